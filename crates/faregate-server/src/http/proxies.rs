//! Who asks, when a proxy stands in between.
//!
//! A proxy appends to `X-Forwarded-For` (or `Forwarded`, RFC 7239) whom it heard from; what stands before that was there
//! already, and anybody can have written it. So the lists are read from the right, for as long as the one who wrote an entry is
//! trusted: the first address that is no trusted proxy's is the client's. From anybody else the headers mean nothing.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName, Request};

use super::Peer;
use crate::limits::{PROXIES_MAX, PROXY_HOPS_MAX};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A range of addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    first: IpAddr,
    prefix: u32,
}

/// Why a text is no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressRangeError {
    /// Not an address, or no number of bits after it.
    #[error("expected an address, or a range of them such as 10.0.0.0/8")]
    Form,
    /// There are bits set after the prefix: another range may be meant.
    #[error("expected the first address of the range: bits after the prefix are set")]
    NotFirst,
}

impl AddressRange {
    /// Reads a range.
    ///
    /// # Errors
    /// [`AddressRangeError`].
    pub fn parse(text: &str) -> Result<Self, AddressRangeError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| AddressRangeError::Form)?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let canonical = |digits: &&str| {
            digits.bytes().all(|byte| byte.is_ascii_digit())
                && (digits.len() == 1 || !digits.starts_with('0'))
        };
        let prefix = match prefix {
            None => most,
            Some(digits) => Some(digits)
                .filter(canonical)
                .and_then(|digits| digits.parse().ok())
                .filter(|prefix| *prefix <= most)
                .ok_or(AddressRangeError::Form)?,
        };
        let range = Self { first, prefix };
        if bits(first) & !range.mask() == 0 {
            Ok(range)
        } else {
            Err(AddressRangeError::NotFirst)
        }
    }

    /// Whether an address is in it. An IPv4 address written as one of IPv6 is the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && bits(address) & self.mask() == bits(self.first)
    }

    fn mask(&self) -> u128 {
        let width: u32 = if self.first.is_ipv4() { 32 } else { 128 };
        let free = width.saturating_sub(self.prefix);
        u128::MAX.checked_shl(free).unwrap_or(0) & (u128::MAX >> 128_u32.saturating_sub(width))
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The proxies that are believed. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proxies(Arc<[AddressRange]>);

impl Proxies {
    pub(crate) fn new(trusted: &[AddressRange]) -> Self {
        Self(trusted.iter().copied().take(PROXIES_MAX).collect())
    }

    /// Replaces the peer of a request that came by a trusted proxy with its client.
    pub(crate) fn apply<B>(&self, request: &mut Request<B>) {
        if self.0.is_empty() {
            return;
        }
        let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() else {
            return;
        };
        let client = self.client(peer.ip(), request.headers());
        if client != peer.ip() {
            let client = SocketAddr::new(client, 0);
            request.extensions_mut().insert(Peer(client));
        }
    }

    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let lists = [FORWARDED_FOR, FORWARDED].map(|name| {
            let given = headers.contains_key(&name);
            given.then(|| self.walk(peer, headers, &name))
        });
        match lists {
            [None, None] => peer,
            [Some(client), None] | [None, Some(client)] => client,
            [Some(one), Some(other)] if one == other => one,
            // A proxy writes one of them and lets the other through as it was sent: nobody knows which is which.
            [Some(_), Some(_)] => peer,
        }
    }

    /// From the right, for as long as the one who wrote an entry is trusted.
    fn walk(&self, peer: IpAddr, headers: &HeaderMap, name: &HeaderName) -> IpAddr {
        let lines = headers.get_all(name).iter().rev();
        let entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        let mut client = peer;
        for entry in entries.take(PROXY_HOPS_MAX) {
            let text = std::str::from_utf8(entry).ok();
            let said = text.and_then(|text| match *name == FORWARDED {
                true => address(forwarded_for(text)?),
                false => address(text),
            });
            // Who does not say whom it heard from is the last one that is known.
            let Some(said) = said else { break };
            client = said;
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(address))
    }
}

/// `for` of one element of `Forwarded`, without its quotes.
fn forwarded_for(element: &str) -> Option<&str> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    let value = value.trim();
    let quoted = value.strip_prefix('"').map(|rest| rest.strip_suffix('"'));
    quoted.unwrap_or(Some(value))
}

/// An address, perhaps with a port, perhaps in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let plain = bare.unwrap_or(text).parse::<IpAddr>();
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    plain
        .or_else(|_| with_port())
        .ok()
        .map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const TRUSTED: [&str; 3] = ["10.0.0.0/8", "2001:db8:1::/48", "192.0.2.7"];

    fn proxies() -> Proxies {
        Proxies::new(&TRUSTED.map(|text| AddressRange::parse(text).unwrap()))
    }

    fn client(peer: &str, lines: &[(&str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        proxies()
            .client(peer.parse().unwrap(), &headers)
            .to_string()
    }

    #[test]
    fn what_a_stranger_writes_means_nothing() {
        for lines in [
            &[("x-forwarded-for", "203.0.113.1")][..],
            &[("x-forwarded-for", "10.0.0.1")],
            &[("forwarded", "for=203.0.113.1")],
            &[
                ("x-forwarded-for", "203.0.113.1"),
                ("forwarded", "for=203.0.113.1"),
            ],
        ] {
            assert_eq!(client("198.51.100.9", lines), "198.51.100.9", "{lines:?}");
            // Nearly the trusted ones.
            assert_eq!(client("192.0.2.8", lines), "192.0.2.8");
            assert_eq!(client("11.0.0.1", lines), "11.0.0.1");
            assert_eq!(client("2001:db8:2::1", lines), "2001:db8:2::1");
        }
    }

    #[test]
    fn the_rightmost_that_is_no_trusted_proxy_is_the_client() {
        const XFF: &str = "X-Forwarded-For";
        let long = vec!["10.1.1.1"; 100].join(", ");
        for (lines, expected) in [
            (&[][..], "10.0.0.1"),
            (&[(XFF, "203.0.113.1")], "203.0.113.1"),
            // The client wrote the left part, with whatever it likes.
            (&[(XFF, "127.0.0.1, 203.0.113.1")], "203.0.113.1"),
            (&[(XFF, "10.0.0.9,203.0.113.1")], "203.0.113.1"),
            (
                &[(XFF, "198.51.100.2, 203.0.113.1, 10.2.3.4")],
                "203.0.113.1",
            ),
            (&[(XFF, "nonsense, 203.0.113.1, 192.0.2.7")], "203.0.113.1"),
            (
                &[(XFF, "198.51.100.2"), (XFF, "203.0.113.1")],
                "203.0.113.1",
            ),
            // All of them trusted: the first one is the client.
            (&[(XFF, "10.9.9.9, 10.2.3.4")], "10.9.9.9"),
            // A trusted proxy that does not say whom it heard from.
            (&[(XFF, "203.0.113.1, unknown, 10.2.3.4")], "10.2.3.4"),
            (&[(XFF, "unknown")], "10.0.0.1"),
            (&[(XFF, "203.0.113.1, ")], "10.0.0.1"),
            (&[(XFF, "")], "10.0.0.1"),
            (&[(XFF, "203.0.113.1:4711")], "203.0.113.1"),
            (&[(XFF, "[2001:db8::5]:4711")], "2001:db8::5"),
            (&[(XFF, "2001:db8::5")], "2001:db8::5"),
            (&[(XFF, "::ffff:203.0.113.1")], "203.0.113.1"),
            (&[(XFF, "2001:db8::5, ::ffff:10.1.1.1")], "2001:db8::5"),
            (&[(XFF, &long)], "10.1.1.1"),
            (&[("forwarded", "for=203.0.113.1")], "203.0.113.1"),
            (
                &[(
                    "forwarded",
                    "for=\"[2001:db8::5]:4711\";proto=https;by=10.0.0.1",
                )],
                "2001:db8::5",
            ),
            (
                &[("forwarded", "proto=http; For=\"203.0.113.1:80\"")],
                "203.0.113.1",
            ),
            (
                &[(
                    "forwarded",
                    "for=198.51.100.2, for=203.0.113.1, for=10.2.3.4",
                )],
                "203.0.113.1",
            ),
            (&[("forwarded", "for=203.0.113.1, for=_hidden")], "10.0.0.1"),
            (&[("forwarded", "for=unknown")], "10.0.0.1"),
            (&[("forwarded", "for=\"203.0.113.1")], "10.0.0.1"),
            (&[("forwarded", "by=203.0.113.1")], "10.0.0.1"),
            (&[("forwarded", "for=\"a, for=203.0.113.1")], "203.0.113.1"),
            // The proxy writes one header, the client sends the other.
            (
                &[(XFF, "203.0.113.1"), ("forwarded", "for=198.51.100.2")],
                "10.0.0.1",
            ),
            (
                &[(XFF, "203.0.113.1"), ("forwarded", "for=203.0.113.1")],
                "203.0.113.1",
            ),
        ] {
            assert_eq!(client("10.0.0.1", lines), expected, "{lines:?}");
            let mapped = client("::ffff:10.0.0.1", lines);
            assert_eq!(mapped.trim_start_matches("::ffff:"), expected, "{lines:?}");
        }
        assert_eq!(
            client("2001:db8:1::9", &[(XFF, "203.0.113.1")]),
            "203.0.113.1"
        );
        assert_eq!(client("192.0.2.7", &[(XFF, "203.0.113.1")]), "203.0.113.1");
    }

    #[test]
    fn ranges_are_written_in_one_way() {
        use AddressRangeError::{Form, NotFirst};
        for (text, expected) in [
            ("10.0.0.0/8", Ok(())),
            ("0.0.0.0/0", Ok(())),
            ("::/0", Ok(())),
            ("::1", Ok(())),
            ("192.0.2.7/32", Ok(())),
            ("10.0.0.1/8", Err(NotFirst)),
            ("2001:db8::1/64", Err(NotFirst)),
            ("10.0.0.0/33", Err(Form)),
            ("10.0.0.0/08", Err(Form)),
            ("10.0.0.0/+8", Err(Form)),
            ("10.0.0.0/", Err(Form)),
            ("10.0.0/8", Err(Form)),
            ("proxy.example", Err(Form)),
            ("", Err(Form)),
        ] {
            assert_eq!(AddressRange::parse(text).map(drop), expected, "{text}");
        }
        let all = AddressRange::parse("0.0.0.0/0").unwrap();
        assert!(all.contains("203.0.113.1".parse().unwrap()));
        assert!(!all.contains("2001:db8::1".parse().unwrap()));
        let six = AddressRange::parse("::/0").unwrap();
        assert!(six.contains("2001:db8::1".parse().unwrap()));
        assert!(!six.contains("::ffff:203.0.113.1".parse().unwrap()));
    }
}
