//! Origins: who may be paid, and which redirects may be followed. Credentials never cross from one origin to another.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use url::{Host, Url};

use crate::error::RequestFault;

/// Whether payments may be sent over plain `http://` to another machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlainHttp {
    /// Only to this machine: `localhost`, 127.0.0.0/8, `::1`.
    #[default]
    ToThisMachine,
    /// To any host. Whoever sits on the way can take the payment: for private networks only, e.g. between containers.
    Anywhere,
}

/// Which origins may be paid.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    pub(crate) plain_http: PlainHttp,
    /// If set, nobody else is paid.
    pub(crate) only: Option<BTreeSet<String>>,
}

impl Origins {
    /// The origin of a URL that may be paid, e.g. `https://api.example.com`.
    pub(crate) fn payable(&self, url: &Url) -> Result<Box<str>, RequestFault> {
        let origin = name(url)?;
        if !self.is_secure(url) {
            return Err(RequestFault::Insecure);
        }
        match &self.only {
            Some(only) if !only.contains(&*origin) => Err(RequestFault::HostNotAllowed),
            Some(_) | None => Ok(origin),
        }
    }

    /// Whether nobody on the way can change what is said there, or this was allowed.
    pub(crate) fn is_secure(&self, url: &Url) -> bool {
        url.scheme() != "http" || self.plain_http == PlainHttp::Anywhere || is_this_machine(url)
    }
}

/// Scheme, host and port, the port left out where it is the scheme's own.
pub(crate) fn name(url: &Url) -> Result<Box<str>, RequestFault> {
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(url.origin().ascii_serialization().into())
    } else {
        Err(RequestFault::Malformed)
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Where a redirect leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) url: Url,
    /// Whether the request becomes a GET without body, as browsers do it.
    pub(crate) becomes_get: bool,
}

/// The next request after a redirect, if it stays on the same origin.
pub(crate) fn hop(status: StatusCode, location: &str, from: &Url, method: &Method) -> Option<Hop> {
    let becomes_get = match status.as_u16() {
        301 | 302 => method == Method::POST,
        303 => method != Method::GET && method != Method::HEAD,
        307 | 308 => false,
        _ => return None,
    };
    let url = from.join(location).ok()?;
    let bare = url.username().is_empty() && url.password().is_none();
    (bare && url.origin() == from.origin()).then_some(Hop { url, becomes_get })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn redirects_stay_on_the_origin() {
        let from = url("https://a.example/x?y");
        let table = [
            ("/z", Some("https://a.example/z")),
            ("z", Some("https://a.example/z")),
            ("https://a.example:443/z", Some("https://a.example/z")),
            ("https://a.example:444/z", None),
            ("http://a.example/z", None),
            ("https://b.example/z", None),
            ("//b.example/z", None),
            ("https://a.example@b.example/", None),
            ("https://user@a.example/z", None),
            ("javascript:alert(1)", None),
            ("https://", None),
        ];
        for (location, expected) in table {
            let hop = hop(StatusCode::FOUND, location, &from, &Method::GET);
            let found = hop.as_ref().map(|hop| hop.url.as_str());
            assert_eq!(found, expected, "{location}");
        }
        let upgrade = hop(
            StatusCode::PERMANENT_REDIRECT,
            "https://a.example/",
            &url("http://a.example/"),
            &Method::GET,
        );
        assert_eq!(upgrade, None);
    }

    #[test]
    fn methods_change_as_in_browsers() {
        let from = url("https://a.example/");
        let table = [
            (300, Method::GET, None),
            (301, Method::GET, Some(false)),
            (301, Method::POST, Some(true)),
            (302, Method::PUT, Some(false)),
            (303, Method::PUT, Some(true)),
            (303, Method::HEAD, Some(false)),
            (304, Method::GET, None),
            (307, Method::POST, Some(false)),
            (308, Method::POST, Some(false)),
            (200, Method::GET, None),
        ];
        for (status, method, expected) in table {
            let status = StatusCode::from_u16(status).unwrap();
            let hop = hop(status, "/b", &from, &method);
            assert_eq!(
                hop.map(|hop| hop.becomes_get),
                expected,
                "{status} {method}"
            );
        }
    }

    #[test]
    fn who_may_be_paid() {
        use RequestFault::{HostNotAllowed, Insecure, Malformed};
        let open = Origins::default();
        let anywhere = Origins {
            plain_http: PlainHttp::Anywhere,
            only: None,
        };
        let only = Origins {
            only: Some(BTreeSet::from(["https://a.example".to_owned()])),
            ..Origins::default()
        };
        let table = [
            (&open, "https://a.example/x", Ok("https://a.example")),
            (
                &open,
                "https://a.example:8443/",
                Ok("https://a.example:8443"),
            ),
            (&open, "http://127.0.0.1:4021/", Ok("http://127.0.0.1:4021")),
            (&open, "http://[::1]/", Ok("http://[::1]")),
            (&open, "http://localhost/", Ok("http://localhost")),
            (&open, "http://a.example/", Err(Insecure)),
            (&open, "http://localhost.a.example/", Err(Insecure)),
            (&open, "ftp://a.example/", Err(Malformed)),
            (&anywhere, "http://a.example/", Ok("http://a.example")),
            (&only, "https://a.example/y", Ok("https://a.example")),
            (&only, "https://b.example/", Err(HostNotAllowed)),
        ];
        for (origins, text, expected) in table {
            let found = origins.payable(&url(text));
            assert_eq!(found.as_deref().map_err(|fault| *fault), expected, "{text}");
        }
    }
}
