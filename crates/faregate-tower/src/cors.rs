//! Letting browsers in: a page of another origin may only send and read what these headers name (x402 spec §1.1, "CORS").

use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    CONTENT_TYPE, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue};

use crate::limits::PREFLIGHT_MAX_AGE_SECS;

/// Which pages may call a priced route from a browser. Cookies are never allowed along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cors {
    /// Every page: what is sold is for whoever pays.
    #[default]
    Any,
    /// Pages of these origins, e.g. `https://shop.example`.
    Origins(Arc<[HeaderValue]>),
    /// No page of another origin.
    Off,
}

/// What a page may read of an answer.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "PAYMENT-REQUIRED, PAYMENT-RESPONSE, X-PAYMENT-RESPONSE, EXTENSION-RESPONSES, WWW-Authenticate",
);

/// What a page may send. The peers' clients really send `Access-Control-Expose-Headers` with a request.
const ALLOWED: &str = "PAYMENT-SIGNATURE, X-PAYMENT, SIGN-IN-WITH-X, Authorization, Access-Control-Expose-Headers, Content-Type, Idempotency-Key";

const METHODS: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// Longest list of asked-for headers that is looked at, in bytes.
const ASKED_BYTES_MAX: usize = 1_024;

impl Cors {
    /// True when the answer's headers differ from page to page.
    pub(crate) const fn depends_on_request(&self) -> bool {
        matches!(self, Self::Origins(_))
    }

    /// Of a request's headers, those that decide how it is answered: to keep when the request is gone. Its origin for
    /// [`apply`](Self::apply), and its type, because gRPC has answers of its own.
    pub(crate) fn asked(&self, request: &HeaderMap) -> HeaderMap {
        let origin = request.get(ORIGIN).filter(|_| self.depends_on_request());
        let kind = request.get(CONTENT_TYPE);
        let kept = [(ORIGIN, origin), (CONTENT_TYPE, kind)].into_iter();
        kept.filter_map(|(name, value)| Some((name, value?.clone())))
            .collect()
    }

    /// Adds what a browser needs to hand the answer to the page.
    pub(crate) fn apply(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        let Some(origin) = self.allowed_origin(request, answer) else {
            return;
        };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        match answer.get(ACCESS_CONTROL_EXPOSE_HEADERS) {
            None => drop(answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED)),
            Some(own) if own == EXPOSED => {}
            Some(_) => drop(answer.append(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED)),
        }
    }

    /// Adds the answer to a preflight.
    pub(crate) fn preflight(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        let Some(origin) = self.allowed_origin(request, answer) else {
            return;
        };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(request));
        answer.insert(
            ACCESS_CONTROL_MAX_AGE,
            HeaderValue::from_static(PREFLIGHT_MAX_AGE_SECS),
        );
        answer.append(
            VARY,
            HeaderValue::from_static("Access-Control-Request-Headers"),
        );
    }

    fn allowed_origin(&self, request: &HeaderMap, answer: &mut HeaderMap) -> Option<HeaderValue> {
        match self {
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::Origins(list) => {
                answer.append(VARY, HeaderValue::from_static("Origin"));
                let origin = request.get(ORIGIN)?;
                list.contains(origin).then(|| origin.clone())
            }
            Self::Off => None,
        }
    }
}

/// Ours and whatever else the page asks for, e.g. the seller's own `Authorization`.
fn allowed_headers(request: &HeaderMap) -> HeaderValue {
    let asked = request
        .get(ACCESS_CONTROL_REQUEST_HEADERS)
        .and_then(|value| value.to_str().ok())
        .filter(|asked| !asked.trim().is_empty() && asked.len() <= ASKED_BYTES_MAX);
    asked
        .and_then(|asked| HeaderValue::from_str(&format!("{ALLOWED}, {asked}")).ok())
        .unwrap_or(HeaderValue::from_static(ALLOWED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_request_is_answered_like_the_request() {
        let page = HeaderValue::from_static("https://shop.example");
        let mut request = HeaderMap::new();
        request.insert(ORIGIN, page.clone());
        request.insert("payment-signature", HeaderValue::from_static("secret"));
        let other = HeaderValue::from_static("https://other.example");
        for cors in [
            Cors::Any,
            Cors::Off,
            Cors::Origins([page].into()),
            Cors::Origins([other].into()),
        ] {
            let asked = cors.asked(&request);
            let (mut whole, mut kept) = (HeaderMap::new(), HeaderMap::new());
            cors.apply(&request, &mut whole);
            cors.apply(&asked, &mut kept);
            assert_eq!(whole, kept, "{cors:?}");
            assert!(!asked.contains_key("payment-signature"));
            assert!(cors.asked(&HeaderMap::new()).is_empty());
        }
    }
}
