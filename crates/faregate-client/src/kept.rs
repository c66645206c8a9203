//! The request of a payment, as the books keep it while its end is unknown, so that another process can send it again.
//!
//! One line of JSON, then the body as it is. Headers that usually hold secrets are left out; a request that lacks something
//! is marked, and only whoever has the original can send it again.

use reqwest::header::{
    AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
};
use reqwest::{Method, Request};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::limits::{KEPT_BODY_BYTES_MAX, KEPT_HEAD_BYTES_MAX};

/// Headers that are not written down: their secrets outlive the payment.
const SECRET: [HeaderName; 5] = [
    AUTHORIZATION,
    COOKIE,
    PROXY_AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
];

#[derive(Serialize, Deserialize)]
struct Head {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    /// Whether nothing was left out.
    whole: bool,
}

/// The form in the books; empty when the request is too large even without its body.
pub(crate) fn to_bytes(request: &Request) -> Vec<u8> {
    let mut whole = true;
    let mut headers = Vec::with_capacity(request.headers().len());
    for (name, value) in request.headers() {
        match value.to_str() {
            Ok(text) if !value.is_sensitive() && !SECRET.contains(name) => {
                headers.push((name.as_str().to_owned(), text.to_owned()));
            }
            Ok(_) | Err(_) => whole = false,
        }
    }
    let body = match request.body() {
        None => Some(&[][..]),
        Some(body) => body.as_bytes(),
    };
    let body = body.filter(|body| body.len() <= KEPT_BODY_BYTES_MAX);
    let head = Head {
        method: request.method().to_string(),
        url: request.url().to_string(),
        headers,
        whole: whole && body.is_some(),
    };
    let mut bytes = serde_json::to_vec(&head).unwrap_or_default();
    if bytes.is_empty() || bytes.len() > KEPT_HEAD_BYTES_MAX {
        return Vec::new();
    }
    bytes.push(b'\n');
    bytes.extend_from_slice(body.unwrap_or_default());
    bytes
}

/// The request, if it is there in full.
pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Request> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (head, body) = (bytes.get(..end)?, bytes.get(end.checked_add(1)?..)?);
    let head: Head = serde_json::from_slice(head).ok()?;
    if !head.whole {
        return None;
    }
    let method = Method::from_bytes(head.method.as_bytes()).ok()?;
    let mut request = Request::new(method, Url::parse(&head.url).ok()?);
    let mut headers = HeaderMap::with_capacity(head.headers.len());
    for (name, value) in head.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_str(&value).ok()?);
    }
    *request.headers_mut() = headers;
    if !body.is_empty() {
        *request.body_mut() = Some(body.to_vec().into());
    }
    Some(request)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(body: &[u8]) -> Request {
        let url = "https://a.example/joke?key=1".parse().unwrap();
        let mut request = Request::new(Method::PUT, url);
        let headers = request.headers_mut();
        headers.append("accept", HeaderValue::from_static("text/plain"));
        headers.append("accept", HeaderValue::from_static("*/*"));
        if !body.is_empty() {
            *request.body_mut() = Some(body.to_vec().into());
        }
        request
    }

    #[test]
    fn a_request_comes_back_whole() {
        for body in [&b""[..], b"x", b"{\"a\":\n1}\n\n\xff"] {
            let before = request(body);
            let after = from_bytes(&to_bytes(&before)).unwrap();
            assert_eq!(
                (after.method(), after.url(), after.headers()),
                (before.method(), before.url(), before.headers())
            );
            let body_of = |request: &Request| {
                let body = request.body().and_then(reqwest::Body::as_bytes);
                body.map(<[u8]>::to_vec)
            };
            assert_eq!(body_of(&after), body_of(&before));
        }
    }

    #[test]
    fn secrets_are_not_written_down_and_leave_a_mark() {
        for name in ["authorization", "cookie", "x-api-key"] {
            let mut secret = request(b"");
            let value = HeaderValue::from_static("hunter2");
            secret.headers_mut().insert(name, value);
            let bytes = to_bytes(&secret);
            assert!(!String::from_utf8_lossy(&bytes).contains("hunter2"));
            assert!(from_bytes(&bytes).is_none(), "{name}");
        }
        let mut marked = request(b"");
        let mut value = HeaderValue::from_static("hunter2");
        value.set_sensitive(true);
        marked.headers_mut().insert("x-mine", value);
        assert!(from_bytes(&to_bytes(&marked)).is_none());
    }

    #[test]
    fn what_is_too_large_is_marked() {
        let large = request(&vec![b'x'; KEPT_BODY_BYTES_MAX + 1]);
        let bytes = to_bytes(&large);
        assert!(bytes.len() < 1000 && from_bytes(&bytes).is_none());
        let mut url = request(b"");
        url.url_mut()
            .set_query(Some(&"x".repeat(KEPT_HEAD_BYTES_MAX)));
        assert!(to_bytes(&url).is_empty() && from_bytes(b"").is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _request = from_bytes(&bytes);
        }
    }
}
