//! How the credit service says no: `{"error": "<text>"}`, the only shape its clients read (specs/4mica.md §1.1).

use std::borrow::Cow;
use std::time::Duration;

use axum::response::Response;
use faregate_core::port::Away;
use faregate_ledger::StoreError;
use faregate_types::{Code, Problem};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::http::json as body;

/// Why a call is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    text: Cow<'static, str>,
    /// A name for programs, where the status does not say enough.
    code: Option<&'static str>,
    retry_after_secs: Option<u32>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            text: text.into(),
            code: None,
            retry_after_secs: None,
        }
    }

    /// The request says something that cannot be.
    pub(super) fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// Nobody knows who asks.
    pub(super) fn unauthorized(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, text)
    }

    /// It is known who asks, and they may not.
    pub(super) fn forbidden(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    pub(super) fn not_found(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// More often than allowed.
    pub(super) fn limited(wait: Duration) -> Self {
        let whole = wait
            .as_secs()
            .saturating_add(u64::from(wait.subsec_nanos() > 0));
        Self {
            retry_after_secs: Some(u32::try_from(whole).unwrap_or(u32::MAX)),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too many requests")
        }
    }

    /// Something this service needs does not answer, or there is too much to do.
    pub(super) fn away() -> Self {
        Self {
            retry_after_secs: Some(1),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "service unavailable, please retry",
            )
        }
    }

    /// The books are at a block that the chain does not have any more.
    pub(super) fn forked(block: u64) -> Self {
        let text = format!(
            "the chain was reorganised below the confirmed depth at block {block}: nothing is promised until the operator has decided"
        );
        Self {
            code: Some("chain_forked"),
            retry_after_secs: Some(60),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }

    /// A fault of ours, told in the log and not here.
    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal server error")
    }

    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn response(&self) -> Response {
        let mut said = json!({ "error": self.text });
        if let (Some(code), Some(members)) = (self.code, said.as_object_mut()) {
            members.insert("code".to_owned(), code.into());
        }
        let mut response = body::write(self.status, &said);
        let headers = response.headers_mut();
        if let Some(secs) = self.retry_after_secs {
            headers.insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::new(StatusCode::CONFLICT, "request failed, please retry"),
            StoreError::Unavailable => Self::away(),
            StoreError::NotFound | StoreError::Step(_) | StoreError::Damaged => {
                tracing::error!(%error, "the credit service met a bug or damaged books");
                Self::internal()
            }
            _ => Self::away(),
        }
    }
}

impl From<Away> for Refusal {
    fn from(_: Away) -> Self {
        Self::away()
    }
}

/// What the HTTP base has to say, in the shape of this service.
pub(super) fn of_problem(about: &Problem) -> Response {
    Refusal::from(about.clone()).response()
}

/// What the HTTP base says about a request.
impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let text = problem
            .detail
            .map_or_else(|| problem.code.meaning().to_owned(), String::from);
        let status = match problem.code {
            Code::BadRequest => StatusCode::BAD_REQUEST,
            _ => StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST),
        };
        Self {
            retry_after_secs: problem.retry_after_secs,
            ..Self::new(status, text)
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn what_the_base_says_has_the_shape_of_the_service() {
        for (code, status) in [
            (Code::Overloaded, 503),
            (Code::UpstreamTimeout, 504),
            (Code::Internal, 500),
            (Code::BodyTooLarge, 413),
            (Code::RequestTimeout, 408),
        ] {
            let about = Problem::new(code);
            let response = of_problem(&about);
            assert_eq!(response.status().as_u16(), status, "{code:?}");
            let retry = response.headers().get(RETRY_AFTER).cloned();
            let expected = about.retry_after_secs.map(HeaderValue::from);
            assert_eq!(retry, expected, "{code:?}");
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(body, json!({ "error": code.meaning() }));
        }
    }
}
