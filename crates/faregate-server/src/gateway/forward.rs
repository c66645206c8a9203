//! Which headers cross the gate, in both directions.

use faregate_tower::{Paid, respond};
use http::header::{
    CONNECTION, EXPECT, FORWARDED, HOST, LOCATION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::http::Peer;

/// Headers for one connection only (RFC 9110 §7.6.1), besides those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Headers that the upstream must not get from a stranger: credentials that are spent here, statements that only a gate may
/// make, and ways to ask for another method or path than the one that was priced.
const NOT_FOR_UPSTREAMS: [HeaderName; 14] = [
    EXPECT,
    HOST,
    FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
    HeaderName::from_static("x-original-url"),
    HeaderName::from_static("x-rewrite-url"),
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What the upstream learns about the payment. Whatever a stranger sends under these names is dropped.
const PAYMENT: HeaderName = HeaderName::from_static("faregate-payment");
const PAYER: HeaderName = HeaderName::from_static("faregate-payer");
const AMOUNT: HeaderName = HeaderName::from_static("faregate-amount");
const ASSET: HeaderName = HeaderName::from_static("faregate-asset");
const RAIL: HeaderName = HeaderName::from_static("faregate-rail");

const OUR_VIA: HeaderValue = HeaderValue::from_static("1.1 faregate");

/// What every request to one upstream says about where it came in.
#[derive(Clone, Debug)]
pub(super) struct Front {
    pub(super) host: HeaderValue,
    pub(super) proto: HeaderValue,
}

/// Makes the head of a request to the upstream.
pub(super) fn request(
    headers: &mut HeaderMap,
    front: &Front,
    peer: Option<Peer>,
    paid: Option<&Paid>,
) {
    remove_hop_by_hop(headers);
    respond::strip_credentials(headers);
    for name in NOT_FOR_UPSTREAMS {
        headers.remove(name);
    }
    for name in [PAYMENT, PAYER, AMOUNT, ASSET, RAIL] {
        headers.remove(name);
    }
    headers.insert(FORWARDED_HOST, front.host.clone());
    headers.insert(FORWARDED_PROTO, front.proto.clone());
    if let Some(Ok(value)) =
        peer.map(|Peer(address)| HeaderValue::try_from(address.ip().to_string()))
    {
        headers.insert(FORWARDED_FOR, value);
    }
    headers.append(VIA, OUR_VIA);
    if let Some(paid) = paid {
        for (name, text) in [
            (PAYMENT, paid.id().to_string()),
            (PAYER, paid.payer().to_string()),
            (AMOUNT, paid.amount().value().to_string()),
            (ASSET, paid.amount().asset().to_string()),
            (RAIL, paid.rail().to_string()),
        ] {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
    }
}

/// Makes the head of an answer from the upstream. A redirect to the upstream's own address becomes one to ours.
pub(super) fn response(headers: &mut HeaderMap, upstream: &str, public_url: &str) {
    remove_hop_by_hop(headers);
    respond::strip_ours(headers);
    headers.append(VIA, OUR_VIA);
    let moved = headers
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|location| {
            let rest = location.strip_prefix(upstream)?;
            // The prefix ends where the host ends, or it is another host.
            (rest.is_empty() || rest.starts_with(['/', '?', '#']))
                .then(|| format!("{public_url}{rest}"))
        });
    if let Some(Ok(value)) = moved.map(HeaderValue::try_from) {
        headers.insert(LOCATION, value);
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn front() -> Front {
        Front {
            host: HeaderValue::from_static("api.example"),
            proto: HeaderValue::from_static("https"),
        }
    }

    #[test]
    fn strangers_cannot_speak_for_the_gate() {
        let mut headers = map(&[
            ("host", "evil.example"),
            ("accept", "text/plain"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "for=10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
            ("payment-signature", "secret"),
            ("x-payment", "secret"),
            ("x-http-method-override", "DELETE"),
            ("x-original-url", "/admin"),
            ("faregate-payer", "somebody"),
            ("connection", "close, x-drop"),
            ("x-drop", "1"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
        ]);
        let peer = Peer(([192, 0, 2, 7], 5_000).into());
        request(&mut headers, &front(), Some(peer), None);
        let expected = map(&[
            ("accept", "text/plain"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-host", "api.example"),
            ("x-forwarded-proto", "https"),
            ("via", "1.1 faregate"),
        ]);
        assert_eq!(headers, expected);
    }

    #[test]
    fn redirects_to_the_upstream_come_back_to_the_gate() {
        for (location, expected) in [
            ("http://127.0.0.1:8000/x?y", "https://api.example/x?y"),
            ("http://127.0.0.1:8000", "https://api.example"),
            ("http://127.0.0.1:80001/x", "http://127.0.0.1:80001/x"),
            ("/x", "/x"),
            ("https://elsewhere.example/", "https://elsewhere.example/"),
        ] {
            let mut headers = map(&[
                ("location", location),
                ("payment-response", "spoofed"),
                ("connection", "close"),
            ]);
            response(&mut headers, "http://127.0.0.1:8000", "https://api.example");
            assert_eq!(
                headers,
                map(&[("location", expected), ("via", "1.1 faregate")]),
                "{location}"
            );
        }
    }
}
