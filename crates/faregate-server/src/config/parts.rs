//! Values that several sections have: URLs, networks, addresses, places to listen.

use std::fmt;
use std::net::SocketAddr;

use faregate_types::{Address, ChainId, network};
use url::Url;

use super::error::ConfigCode;
use super::reader::{Section, Text};
use crate::http::AddressRange;
use crate::limits::PROXIES_MAX;

/// A URL whose path or query may hold an access key: `Debug` shows scheme and host only.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateUrl(Url);

impl PrivateUrl {
    /// Wraps a URL.
    #[must_use]
    pub const fn new(url: Url) -> Self {
        Self(url)
    }

    /// The whole URL. Not for logs.
    #[must_use]
    pub const fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for PrivateUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PrivateUrl({}://{}/…)",
            self.0.scheme(),
            self.0.host_str().unwrap_or("?")
        )
    }
}

/// Which parts a URL may have besides scheme, host and path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UrlKind {
    /// `http` or `https`, nothing else.
    Public,
    /// A service behind the gate: `http` or `https`, nothing else.
    Upstream,
    /// A node or a facilitator: may have user and password, and a query.
    Service,
}

pub(super) fn url(section: &Section<'_, '_>, text: &Text, kind: UrlKind) -> Option<Url> {
    let fault = |message: &str| {
        section
            .reader()
            .fault(ConfigCode::Url, &text.span, &text.key, message)
    };
    let Ok(url) = Url::parse(text.value.trim()) else {
        fault("expected a URL such as https://api.example");
        return None;
    };
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        fault("expected a URL that starts with http:// or https://");
        return None;
    }
    let extras = !url.username().is_empty() || url.password().is_some() || url.query().is_some();
    if url.fragment().is_some() || (extras && kind != UrlKind::Service) {
        fault("expected a URL without user, password, query and fragment");
        return None;
    }
    Some(url)
}

/// A network by its CAIP-2 name or its v1 short name. Real money has to be allowed first.
pub(super) fn chain(section: &Section<'_, '_>, text: &Text, mainnet: bool) -> Option<ChainId> {
    let fault =
        |code, message: String| section.reader().fault(code, &text.span, &text.key, message);
    let name = text.value.trim();
    let chain = name.parse().ok().or_else(|| ChainId::from_v1_name(name));
    let Some(known) = chain.and_then(network) else {
        fault(
            ConfigCode::UnknownNetwork,
            "expected a known network such as eip155:84532 or base-sepolia".to_owned(),
        );
        return None;
    };
    if !known.testnet && !mainnet {
        let message = format!(
            "{} moves real money: say mainnet = true at the top of the file if you mean it",
            known.title
        );
        fault(ConfigCode::MainnetNotEnabled, message);
        return None;
    }
    Some(known.chain)
}

/// `trusted_proxies` of a service.
pub(super) fn proxies(section: &Section<'_, '_>) -> Option<Vec<AddressRange>> {
    const KEY: &str = "trusted_proxies";
    let texts = section.texts(KEY).unwrap_or_default();
    if texts.len() > PROXIES_MAX {
        let message = format!("expected at most {PROXIES_MAX} ranges");
        section.fault(ConfigCode::TooMany, KEY, message);
        return None;
    }
    let ranges = texts.iter().map(|text| {
        let range = AddressRange::parse(text.value.trim());
        range
            .map_err(|error| {
                let reader = section.reader();
                reader.fault(ConfigCode::Value, &text.span, &text.key, error.to_string());
            })
            .ok()
    });
    // All of them are looked at, so that all faults are told.
    let ranges: Vec<Option<AddressRange>> = ranges.collect();
    ranges.into_iter().collect()
}

/// An account that is paid. A mixed-case address must have the right letters in upper case (EIP-55), because a mistyped one
/// pays nobody.
pub(super) fn address(section: &Section<'_, '_>, text: &Text) -> Option<Address> {
    let fault = |message: &str| {
        section
            .reader()
            .fault(ConfigCode::Address, &text.span, &text.key, message)
    };
    let value = text.value.trim();
    let digits = value.strip_prefix("0x").unwrap_or_default();
    let Ok(address) = value.parse::<Address>() else {
        fault("expected an address: 0x and 40 hexadecimal digits");
        return None;
    };
    if digits.is_empty() {
        fault("expected an address that starts with 0x");
        return None;
    }
    let mixed = digits.bytes().any(|byte| byte.is_ascii_uppercase())
        && digits.bytes().any(|byte| byte.is_ascii_lowercase());
    if mixed && Address::parse_checksummed(value, None).is_err() {
        fault("the upper-case letters do not fit this address (EIP-55): it is probably mistyped");
        return None;
    }
    if address.is_zero() {
        fault("expected an address that somebody owns, not the zero address");
        return None;
    }
    Some(address)
}

/// Where to listen: address and port, loopback unless the file says otherwise.
pub(super) fn bind(section: &Section<'_, '_>, default: SocketAddr) -> SocketAddr {
    let Some(text) = section.text("bind") else {
        return default;
    };
    text.value.trim().parse().unwrap_or_else(|_| {
        section.fault(
            ConfigCode::Value,
            "bind",
            "expected an IP address and a port, such as 127.0.0.1:4021",
        );
        default
    })
}
