//! WebSocket handshakes (RFC 6455 §4): requests that ask for the connection itself.
//!
//! What flows after the handshake cannot be held back until the money has moved, so a price that is settled afterwards
//! refuses it. Other protocols behind `Upgrade` are an offer that a server may ignore (RFC 9110 §7.8), and are ignored.

use faregate_core::SettlePolicy;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderName};

/// True for a request that asks for a WebSocket.
#[must_use]
pub fn is_websocket(headers: &HeaderMap) -> bool {
    // Nearly every request ends here.
    headers.contains_key(UPGRADE)
        && names(headers, &UPGRADE, "websocket")
        && names(headers, &CONNECTION, "upgrade")
}

/// True when a price with this policy can be paid for a WebSocket.
#[must_use]
pub const fn is_possible(policy: SettlePolicy) -> bool {
    matches!(policy, SettlePolicy::Before)
}

/// True when a list header has this element.
fn names(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|element| element.trim().eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_websocket_handshake_is_one() {
        for (headers, expected) in [
            (
                &[("upgrade", "websocket"), ("connection", "Upgrade")][..],
                true,
            ),
            (
                &[
                    ("upgrade", "WebSocket"),
                    ("connection", "keep-alive, upgrade"),
                ],
                true,
            ),
            (
                &[
                    ("upgrade", "h2c"),
                    ("upgrade", "websocket"),
                    ("connection", "upgrade"),
                ],
                true,
            ),
            (&[("upgrade", "websocket")], false),
            (
                &[
                    ("upgrade", "h2c"),
                    ("connection", "upgrade, http2-settings"),
                ],
                false,
            ),
            (&[("connection", "upgrade")], false),
            (
                &[("upgrade", "websockets"), ("connection", "upgrade")],
                false,
            ),
            (&[], false),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().unwrap());
            }
            assert_eq!(is_websocket(&map), expected, "{headers:?}");
        }
    }
}
