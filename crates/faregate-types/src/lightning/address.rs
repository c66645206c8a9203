//! Lightning addresses: `name@host`, as people write down where they are paid (LUD-16).

use std::fmt;
use std::str::FromStr;

use crate::limits::LIGHTNING_ADDRESS_BYTES_MAX;

/// A Lightning address, in lower case: LUD-16 allows no capital letters in a name, and hosts do not have any.
///
/// ```
/// use faregate_types::lightning::LightningAddress;
///
/// let address: LightningAddress = "Shop@Wallet.Example".parse().unwrap();
/// assert_eq!((address.name(), address.host()), ("shop", "wallet.example"));
/// assert!("shop@wallet.example/x".parse::<LightningAddress>().is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LightningAddress(Box<str>);

/// The text is no Lightning address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a Lightning address such as shop@wallet.example")]
#[non_exhaustive]
pub struct LightningAddressError;

impl LightningAddress {
    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Who is paid at the host.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('@').map_or("", |(name, _)| name)
    }

    /// Where to ask, with the port if one is named.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, host)| host)
    }
}

impl FromStr for LightningAddress {
    type Err = LightningAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > LIGHTNING_ADDRESS_BYTES_MAX {
            return Err(LightningAddressError);
        }
        let text = text.to_ascii_lowercase();
        let (name, host) = text.split_once('@').ok_or(LightningAddressError)?;
        let is_name = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.+".contains(&byte)
            })
            && !name.bytes().all(|byte| byte == b'.');
        let (domain, port) = match host.split_once(':') {
            Some((domain, port)) => (domain, Some(port)),
            None => (host, None),
        };
        let is_domain = domain
            .split('.')
            .all(|label| (1..=63).contains(&label.len()))
            && domain
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
        let is_port = port.is_none_or(|port| {
            port.bytes().all(|byte| byte.is_ascii_digit())
                && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if is_name && is_domain && is_port {
            Ok(Self(text.into()))
        } else {
            Err(LightningAddressError)
        }
    }
}

impl fmt::Display for LightningAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for LightningAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LightningAddress({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_address_and_what_is_none() {
        for good in [
            "a@b",
            "shop.2+tips_x-y@wallet.example",
            "owner@127.0.0.1:8080",
            "owner@localhost:1",
        ] {
            assert_eq!(good.parse::<LightningAddress>().unwrap().as_str(), good);
        }
        let long = format!("a@{}", "b.".repeat(80));
        for bad in [
            "",
            "@",
            "a@",
            "@b",
            "a b@c",
            "a@b c",
            "a@b/c",
            "a@b?c",
            "a@b@c",
            "a/b@c",
            "..@c",
            "a@.",
            "a@b..c",
            "a@[::1]",
            "a@b:",
            "a@b:0",
            "a@b:65536",
            "a@b:+1",
            "a@b:1:2",
            "\u{e4}@b",
            "a@b\n",
            &long,
        ] {
            assert!(bad.parse::<LightningAddress>().is_err(), "{bad:?}");
        }
    }
}
