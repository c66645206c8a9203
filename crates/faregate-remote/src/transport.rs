//! One HTTP call: sent once, no redirect followed, body bounded.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use faregate_http::{Answer, CallError, Http, Trust};
use faregate_types::PaymentId;
use futures_util::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use url::Url;

use crate::config::{ConfigError, RemoteConfig};
use crate::limits;

/// Says which calls are the same.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Carries calls to a facilitator in this process, a model of one for example.
pub trait Carrier: Send + Sync + 'static {
    /// One call: a `POST` of JSON, or a `GET` without a body. Answers with status and body; `None` when nobody knows what
    /// became of it. Dropped when it takes too long.
    fn call(&self, url: &Url, body: Option<Vec<u8>>) -> BoxFuture<'_, Option<(u16, Vec<u8>)>>;
}

pub(crate) enum Transport {
    Http { http: Http, bytes_max: usize },
    InProcess(Arc<dyn Carrier>),
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http { .. } => "Http",
            Self::InProcess(_) => "InProcess",
        })
    }
}

impl Transport {
    pub(crate) fn new(config: &RemoteConfig) -> Result<Self, ConfigError> {
        let http = Http::new(&Trust::Platform, headers(config)?, limits::CONNECT_TIMEOUT)
            .map_err(|_| ConfigError::Client)?;
        Ok(Self::Http {
            http,
            bytes_max: config.answer_bytes_max,
        })
    }

    /// Sends one request. `body` is JSON. Calls with the same `key` are one call: the other side may answer the second like
    /// the first. A carrier needs no key, it is asked by one gate only.
    pub(crate) async fn call(
        &self,
        url: &Url,
        body: Option<Vec<u8>>,
        key: Option<PaymentId>,
        timeout: Duration,
    ) -> Result<Answer, CallError> {
        let (http, bytes_max) = match self {
            Self::Http { http, bytes_max } => (http, *bytes_max),
            Self::InProcess(carrier) => return carried(carrier.call(url, body), timeout).await,
        };
        let mut request = match body {
            Some(body) => http
                .request(Method::POST, url.clone())
                .header(CONTENT_TYPE, "application/json")
                .body(body),
            None => http.request(Method::GET, url.clone()),
        };
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_KEY, key.to_string());
        }
        http.send(request, timeout, bytes_max).await
    }
}

async fn carried(
    call: BoxFuture<'_, Option<(u16, Vec<u8>)>>,
    timeout: Duration,
) -> Result<Answer, CallError> {
    let heard = tokio::time::timeout(timeout, call).await;
    let (status, body) = heard
        .map_err(|_| CallError::TimedOut)?
        .ok_or(CallError::Lost)?;
    let status = StatusCode::from_u16(status).map_err(|_| CallError::Lost)?;
    Ok(Answer { status, body })
}

fn headers(config: &RemoteConfig) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    if let Some(token) = &config.bearer {
        let token = token.expose();
        if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
            return Err(ConfigError::Bearer);
        }
        let mut value = HeaderValue::from_bytes(&[b"Bearer ", token].concat())
            .map_err(|_| ConfigError::Bearer)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}
