//! Pages of other origins: none may call, unless the file names them. Cookies are never allowed along; there are none.

use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};

/// How long a browser remembers what it may do, in seconds.
const REMEMBERED_SECS: HeaderValue = HeaderValue::from_static("600");

/// The origins that may call.
#[derive(Clone, Debug)]
pub(super) struct Origins(Box<[HeaderValue]>);

impl Origins {
    pub(super) fn new(origins: Vec<HeaderValue>) -> Self {
        Self(origins.into())
    }

    /// Adds what a browser needs to hand an answer to the page that asked.
    pub(super) fn apply(&self, request: &HeaderMap, response: &mut Response) {
        if self.0.is_empty() {
            return;
        }
        let headers = response.headers_mut();
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = self.allowed(request) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        }
    }

    /// The answer to a browser that asks before it calls; `None` when nobody is allowed to.
    pub(super) fn preflight(&self, request: &HeaderMap) -> Option<Response> {
        self.allowed(request)?;
        let mut response = Response::default();
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        let allow = |text| HeaderValue::from_static(text);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, allow("GET, POST"));
        let names = allow("Authorization, Content-Type, Idempotency-Key, X-Api-Key");
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
        headers.insert(ACCESS_CONTROL_MAX_AGE, REMEMBERED_SECS);
        self.apply(request, &mut response);
        Some(response)
    }

    fn allowed<'r>(&self, request: &'r HeaderMap) -> Option<&'r HeaderValue> {
        let origin = request.get(ORIGIN)?;
        self.0.contains(origin).then_some(origin)
    }
}
