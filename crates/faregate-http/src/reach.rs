//! Whom a client may connect to at all: anybody, or machines on the public internet only.
//!
//! Where a stranger names the address, a call must not end at a service of this network that trusts everybody inside. The
//! addresses are looked at after the name was resolved, and the connection is made to exactly those, so a name that
//! means something else a moment later does not help.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Whom a client may connect to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// Whoever is configured: this machine and this network, too.
    #[default]
    Anywhere,
    /// Public addresses only. For addresses that strangers name.
    Public,
}

impl Reach {
    /// Whether the host of this URL may be asked. Of a name that is only known when it is resolved.
    pub(crate) fn allows(self, url: &Url) -> bool {
        match (self, url.host()) {
            (Self::Anywhere, _) | (Self::Public, Some(Host::Domain(_))) => true,
            (Self::Public, Some(Host::Ipv4(address))) => is_public(address.into()),
            (Self::Public, Some(Host::Ipv6(address))) => is_public(address.into()),
            (Self::Public, None) => false,
        }
    }
}

/// Resolves names to their public addresses.
#[derive(Debug)]
pub(crate) struct PublicNames;

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(io::Error::other("the name has no public address").into());
            }
            let addresses: Addrs = Box::new(public.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether an address is one of the public internet. What is not known to be is not.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// RFC 6890 and its successors.
const fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = matches!(
        address.octets(),
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    );
    !special
}

/// Global unicast, without the parts of it that carry an IPv4 address inside or are for documents.
const fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let global = first & 0xe000 == 0x2000;
    let special = (first == 0x2001 && (second < 0x0200 || second == 0x0db8))
        || first == 0x2002
        || (first == 0x3fff && second < 0x1000);
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_is_what_is_known_to_be() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "2a00::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for inside in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:8.8.8.8",
            "64:ff9b::a00:1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:a00:1::",
            "3fff::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
    }

    #[test]
    fn hosts_that_are_addresses_are_judged_at_once() {
        for (url, allowed) in [
            ("https://example.com/x", true),
            ("https://1.1.1.1/", true),
            ("https://127.0.0.1/", false),
            // Read as 127.0.0.1 by the URL standard.
            ("https://2130706433/", false),
            ("https://0x7f.1/", false),
            ("https://[::1]/", false),
            ("https://[::ffff:127.0.0.1]/", false),
        ] {
            let url = url.parse().unwrap();
            assert_eq!(Reach::Public.allows(&url), allowed, "{url}");
            assert!(Reach::Anywhere.allows(&url));
        }
    }
}
