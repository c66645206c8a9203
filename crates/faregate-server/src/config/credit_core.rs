//! A credit core that somebody else runs, as those who need one name it.

use faregate_types::{Address, ChainId};

use super::error::ConfigCode;
use super::facilitator::{EmbeddedNetwork, is_this_machine};
use super::parts::{self, PrivateUrl, UrlKind};
use super::reader::Section;
use super::secret::{SecretSource, key_source};

/// `[[facilitator.credit]]` and `[[gate.credit.core]]`: the core of one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreditCoreConfig {
    /// Which network.
    pub chain: ChainId,
    /// The core's HTTP API.
    pub url: PrivateUrl,
    /// A node, which is asked whether contract and core belong together.
    pub rpc_url: PrivateUrl,
    /// The only contract that is believed; the one that the core names when it is not said.
    pub contract: Option<Address>,
    /// Signs in at the core. Without one nobody signs in.
    pub key: Option<SecretSource>,
    /// Plain HTTP to another machine is meant.
    pub plain_http: bool,
}

/// Reads the tables of a list. A network that is among `known` has its node from there; `node` says what is missing where
/// there is none.
pub(super) fn read(
    section: &Section<'_, '_>,
    key: &'static str,
    mainnet: bool,
    known: &[EmbeddedNetwork],
    node: &str,
) -> Option<Vec<CreditCoreConfig>> {
    let sections = section.sections(key).into_iter();
    let cores: Vec<_> = sections
        .map(|section| {
            let core = one(&section, mainnet, known, node);
            section.finish();
            core
        })
        .collect();
    let cores: Vec<CreditCoreConfig> = cores.into_iter().collect::<Option<_>>()?;
    for (index, core) in cores.iter().enumerate() {
        let mut earlier = cores.iter().take(index);
        if earlier.any(|earlier| earlier.chain == core.chain) {
            let message = format!("{} has two credit cores", core.chain);
            section.fault(ConfigCode::Contradiction, key, message);
        }
    }
    Some(cores)
}

fn one(
    section: &Section<'_, '_>,
    mainnet: bool,
    known: &[EmbeddedNetwork],
    node: &str,
) -> Option<CreditCoreConfig> {
    let chain = section
        .required("network", "expected the network, such as eip155:84532")
        .and_then(|text| parts::chain(section, &text, mainnet));
    let plain_http = section.flag("plain_http").unwrap_or(false);
    let url = section
        .required("url", "expected the URL of a credit core")
        .and_then(|text| parts::url(section, &text, UrlKind::Service));
    if let Some(url) = &url
        && url.scheme() == "http"
        && !plain_http
        && !is_this_machine(url)
    {
        let message = "expected https for a credit core on another machine (plain_http = true if you mean it)";
        section.fault(ConfigCode::Url, "url", message);
    }
    let contract = match section.text("contract") {
        None => Some(None),
        Some(text) => parts::address(section, &text).map(Some),
    };
    let key = match section.text("key") {
        None => Some(None),
        Some(text) => key_source(section, &text).map(Some),
    };
    let rpc_url = match section.text("rpc_url") {
        Some(text) => parts::url(section, &text, UrlKind::Service).map(PrivateUrl::new),
        None => {
            let own = known.iter().find(|network| Some(network.chain) == chain);
            if own.is_none() && chain.is_some() {
                section.missing("rpc_url", node);
            }
            own.map(|network| network.rpc_url.clone())
        }
    };
    Some(CreditCoreConfig {
        chain: chain?,
        url: PrivateUrl::new(url?),
        rpc_url: rpc_url?,
        contract: contract?,
        key: key?,
        plain_http,
    })
}
