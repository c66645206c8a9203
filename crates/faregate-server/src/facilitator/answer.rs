//! From outcomes to answers in the protocol's shapes.

use axum::response::Response;
use faregate_core::Away;
use faregate_tower::respond;
use faregate_types::{Code, Problem};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::http::json;

const BEARER: HeaderValue = HeaderValue::from_static("Bearer realm=\"facilitator\"");

/// Which endpoint is answering: the two name the same things differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Verify,
    Settle,
    /// Of credit.
    Tabs,
}

impl Endpoint {
    /// The name in metrics.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Settle => "settle",
            Self::Tabs => "tabs",
        }
    }
}

/// 200 with a JSON body.
pub(super) fn ok(body: &impl Serialize) -> Response {
    json::write(StatusCode::OK, body)
}

/// Not a request of the protocol. The answer is a verdict of the endpoint and a problem at once, because clients look for
/// either.
pub(super) fn refuse(endpoint: Endpoint, about: &Problem) -> Response {
    let mut body = match serde_json::to_value(about) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => Map::new(),
    };
    let detail = about.detail.as_deref().unwrap_or(about.code.meaning());
    let members = match endpoint {
        Endpoint::Verify => [
            ("isValid", Value::Bool(false)),
            ("invalidReason", about.code.as_str().into()),
            ("invalidMessage", detail.into()),
        ]
        .to_vec(),
        Endpoint::Settle => [
            ("success", Value::Bool(false)),
            ("errorReason", about.code.as_str().into()),
            ("errorMessage", detail.into()),
            ("transaction", "".into()),
            ("network", "".into()),
        ]
        .to_vec(),
        Endpoint::Tabs => vec![("error", detail.into())],
    };
    body.extend(
        members
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value)),
    );
    let status = StatusCode::from_u16(about.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = json::write(status, &body);
    if let Some(secs) = about.retry_after_secs {
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    response
}

/// Not looked at, because of who asks or how often. `/settle` says that nothing was settled, which is true and lets the
/// caller go on; `/verify` says nothing about the payment, because a refusal would be taken for a verdict on it.
pub(super) fn turned_away(endpoint: Endpoint, about: &Problem) -> Response {
    let mut response = match endpoint {
        Endpoint::Verify => respond::problem(about),
        Endpoint::Settle | Endpoint::Tabs => refuse(endpoint, about),
    };
    if about.code == Code::Unauthorized {
        let headers = response.headers_mut();
        headers.insert(WWW_AUTHENTICATE, BEARER);
    }
    response
}

/// Nobody could say. No verdict stands in the body: it would be taken for one.
pub(super) fn away(away: Away) -> Response {
    if away.code == Code::Internal {
        tracing::error!("the facilitator met a bug or damaged books");
    }
    respond::problem(&Problem::new(away.code))
}
