//! Who verifies and settles: somebody else over HTTP, or this process with its own node and keys.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use faregate_types::{Asset, AssetRegistry, ChainId, Erc20, TransferMethod};
use toml::de::DeValue;

use super::caller::{self, AccessConfig};
use super::credit_core::{self, CreditCoreConfig};
use super::error::ConfigCode;
use super::parts::{self, PrivateUrl, UrlKind};
use super::reader::{Inherited, Section};
use super::secret::{SecretSource, key_source, secret_source};
use super::sender::{SenderConfig, sender};
use super::store::{self, StoreConfig};
use crate::gateway::limits;
use crate::limits::SHUTDOWN_TIMEOUT;

/// `[facilitator]`: the service that verifies and settles for gates elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacilitatorConfig {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Where its ledger is.
    pub store: StoreConfig,
    /// Its nodes and keys.
    pub embedded: EmbeddedConfig,
    /// Who may use it.
    pub access: AccessConfig,
    /// The credit cores it stands before.
    pub credit: Vec<CreditCoreConfig>,
    /// How long a stopping service waits for settlements in progress. What is left is open in the ledger.
    pub shutdown: Duration,
}

/// `[gate.facilitator]`: who does it for the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FacilitatorSource {
    /// Somebody else, over HTTP.
    Remote {
        /// What `/verify`, `/settle` and `/supported` are appended to.
        url: PrivateUrl,
        /// Sent as `Authorization: Bearer …`.
        token: Option<SecretSource>,
        /// Plain HTTP to another machine is meant: whoever sits on the way can forge verdicts.
        plain_http: bool,
    },
    /// This process.
    Embedded(EmbeddedConfig),
}

/// Nodes and keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedConfig {
    /// The networks it settles on.
    pub networks: Vec<EmbeddedNetwork>,
    /// The keys that send transactions and pay their gas; several share the load.
    pub signer_keys: Vec<SecretSource>,
}

/// One network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddedNetwork {
    /// Which.
    pub chain: ChainId,
    /// The node's JSON-RPC endpoint.
    pub rpc_url: PrivateUrl,
    /// What may be settled; anything else is refused.
    pub assets: Vec<Asset>,
    /// Blocks that must follow before a settlement counts.
    pub confirmations: u64,
    /// How its transactions are sent.
    pub sender: SenderConfig,
    /// Time between two looks at the chain's events, from which payments are verified without asking the node. `None`:
    /// the node is asked about each payment.
    pub follow: Option<Duration>,
}

/// What every section here needs to know about the rest of the file.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'s> {
    pub(super) registry: &'s AssetRegistry,
    pub(super) mainnet: bool,
}

/// Reads `[facilitator]`.
pub(super) fn service(
    section: &Section<'_, '_>,
    about: Surroundings<'_>,
) -> Option<FacilitatorConfig> {
    let default = SocketAddr::V4(SocketAddrV4::new(
        Ipv4Addr::LOCALHOST,
        limits::FACILITATOR_PORT,
    ));
    let bind = parts::bind(section, default);
    let store = store::read(section, "facilitator.db");
    let embedded = embedded(section, about, &Inherited::Absent);
    let access = caller::read(section);
    let networks = embedded.as_ref().map(|embedded| &*embedded.networks);
    let credit = {
        let node = "expected the URL of a node's JSON-RPC endpoint: this network is not among [[facilitator.network]]";
        let known = networks.unwrap_or_default();
        credit_core::read(section, "credit", about.mainnet, known, node)
    };
    let shutdown = section
        .number("shutdown_secs", 0..=3_600)
        .map_or(SHUTDOWN_TIMEOUT, Duration::from_secs);
    Some(FacilitatorConfig {
        bind,
        store,
        embedded: embedded?,
        access: access?,
        credit: credit?,
        shutdown,
    })
}

/// Reads `[gate.facilitator]`. `gate_chain` is the network of the gate.
pub(super) fn source(
    section: &Section<'_, '_>,
    about: Surroundings<'_>,
    gate_chain: &Inherited<ChainId>,
) -> Option<FacilitatorSource> {
    if !section.has("url") {
        return embedded(section, about, gate_chain).map(FacilitatorSource::Embedded);
    }
    for key in ["rpc_url", "signer_key", "network"] {
        if section.has(key) {
            let message = "a facilitator is either somewhere else (url) or in this process (rpc_url and signer_key)";
            section.fault(ConfigCode::Contradiction, key, message);
        }
    }
    let plain_http = section.flag("plain_http").unwrap_or(false);
    let token = section
        .text("token")
        .map(|text| secret_source(section, &text));
    let text = section.text("url")?;
    let url = parts::url(section, &text, UrlKind::Public)?;
    if url.scheme() == "http" && !plain_http && !is_this_machine(&url) {
        let message = "expected https for a facilitator on another machine: whoever sits on the way could forge verdicts \
                       (plain_http = true if you mean it)";
        section.fault(ConfigCode::Url, "url", message);
    }
    let token = match token {
        None => None,
        Some(source) => Some(source?),
    };
    Some(FacilitatorSource::Remote {
        url: PrivateUrl::new(url),
        token,
        plain_http,
    })
}

/// The name other gates read the same thing from, when the file names no facilitator.
pub(super) const URL_VARIABLE: &str = "FACILITATOR_URL";

/// A facilitator that only the environment names.
pub(super) fn from_environment(section: &Section<'_, '_>) -> Option<FacilitatorSource> {
    let text = section.reader().env().get(URL_VARIABLE)?;
    let safe = |url: &url::Url| {
        url.scheme() == "https" || (url.scheme() == "http" && is_this_machine(url))
    };
    match url::Url::parse(text) {
        Ok(url) if safe(&url) => Some(FacilitatorSource::Remote {
            url: PrivateUrl::new(url),
            token: None,
            plain_http: false,
        }),
        Ok(_) | Err(_) => {
            let message = format!("{URL_VARIABLE} is no https URL of a facilitator");
            section.fault(ConfigCode::Url, "facilitator", message);
            None
        }
    }
}

pub(super) fn is_this_machine(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn embedded(
    section: &Section<'_, '_>,
    about: Surroundings<'_>,
    gate_chain: &Inherited<ChainId>,
) -> Option<EmbeddedConfig> {
    let signer_keys = signer_keys(section);
    let many = section
        .value("network")
        .is_some_and(|value| matches!(value.get_ref(), DeValue::Array(_)));
    let networks: Vec<Option<EmbeddedNetwork>> = if many {
        section
            .sections("network")
            .into_iter()
            .map(|section| {
                let network = network(&section, about, &Inherited::Absent);
                section.finish();
                network
            })
            .collect()
    } else {
        vec![network(section, about, gate_chain)]
    };
    let networks: Vec<EmbeddedNetwork> = networks.into_iter().collect::<Option<_>>()?;
    for (index, network) in networks.iter().enumerate() {
        if networks
            .iter()
            .take(index)
            .any(|earlier| earlier.chain == network.chain)
        {
            section.fault(
                ConfigCode::Contradiction,
                "network",
                format!("{} stands there twice", network.chain),
            );
        }
    }
    Some(EmbeddedConfig {
        networks,
        signer_keys: signer_keys?,
    })
}

fn signer_keys(section: &Section<'_, '_>) -> Option<Vec<SecretSource>> {
    let Some(texts) = section.texts("signer_key") else {
        section.missing(
            "signer_key",
            "expected the key that pays for gas, as env:NAME or file:/absolute/path",
        );
        return None;
    };
    if texts.is_empty() {
        section.fault(ConfigCode::Value, "signer_key", "expected at least one key");
    }
    texts.iter().map(|text| key_source(section, text)).collect()
}

fn network(
    section: &Section<'_, '_>,
    about: Surroundings<'_>,
    default: &Inherited<ChainId>,
) -> Option<EmbeddedNetwork> {
    let chain = Inherited::read(section, "network", |text| {
        parts::chain(section, text, about.mainnet)
    })
    .or(default)
    .expected(
        section,
        "network",
        "expected the network, such as eip155:84532",
    );
    let confirmations = section.number("confirmations", 0..=1_000).unwrap_or(0);
    let sender = sender(section);
    let follow = section.flag("follow").unwrap_or(true);
    let poll = section.number("poll_ms", 50..=60_000).unwrap_or(1_000);
    let follow = follow.then(|| Duration::from_millis(poll));
    let rpc_url = section.required("rpc_url", "expected the URL of a node's JSON-RPC endpoint");
    let rpc_url = rpc_url.and_then(|text| parts::url(section, &text, UrlKind::Service));
    let assets = assets(section, about.registry, chain?);
    Some(EmbeddedNetwork {
        chain: chain?,
        rpc_url: PrivateUrl::new(rpc_url?),
        assets: assets?,
        confirmations,
        sender,
        follow,
    })
}

/// What may be settled: what the file names, or the network's own dollar coin.
fn assets(
    section: &Section<'_, '_>,
    registry: &AssetRegistry,
    chain: ChainId,
) -> Option<Vec<Asset>> {
    let Some(names) = section.texts("assets") else {
        let default = registry
            .default_for(chain)
            .filter(|asset| asset.transfer == TransferMethod::Eip3009);
        if default.is_none() {
            section.missing(
                "assets",
                "this network has no asset of its own that can be settled here: name one",
            );
        }
        return default.map(|asset| vec![asset.clone()]);
    };
    if names.is_empty() {
        section.fault(ConfigCode::Value, "assets", "expected at least one asset");
        return None;
    }
    let mut assets = Vec::new();
    for name in names {
        let found = match name.value.trim().parse::<Erc20>() {
            Ok(id) => registry.find(id).filter(|asset| asset.id.chain() == chain),
            Err(_) => registry.by_symbol(chain, name.value.trim()),
        };
        match found {
            Some(asset) if asset.transfer == TransferMethod::Eip3009 => assets.push(asset.clone()),
            Some(_) => {
                let message = "this asset has no transferWithAuthorization (EIP-3009)";
                section
                    .reader()
                    .fault(ConfigCode::NoUsableRail, &name.span, &name.key, message);
            }
            None => {
                let message = format!("no such asset is known on {chain}: name it in [[asset]]");
                section
                    .reader()
                    .fault(ConfigCode::UnknownAsset, &name.span, &name.key, message);
            }
        }
    }
    Some(assets)
}
