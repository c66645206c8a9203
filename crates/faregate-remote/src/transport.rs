//! One HTTP call: sent once, no redirect followed, body bounded.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use faregate_types::PaymentId;
use futures_util::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Method, StatusCode, redirect};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt;
use url::Url;

use crate::config::{ConfigError, RemoteConfig};
use crate::limits;

/// Says which calls are the same.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

/// Why nothing usable came back. Whether the request arrived is not known, except for [`CallError::NotSent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// There was no connection.
    NotSent,
    /// The connection was lost before the answer was complete.
    Lost,
    /// The deadline passed.
    TimedOut,
    /// The body is larger than the limit.
    TooLarge,
}

/// Carries calls to a facilitator in this process, a model of one for example.
pub trait Carrier: Send + Sync + 'static {
    /// One call: a `POST` of JSON, or a `GET` without a body. Answers with status and body; `None` when nobody knows what
    /// became of it. Dropped when it takes too long.
    fn call(&self, url: &Url, body: Option<Vec<u8>>) -> BoxFuture<'_, Option<(u16, Vec<u8>)>>;
}

pub(crate) enum Transport {
    Http { client: Client, bytes_max: usize },
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
        let client = Client::builder()
            .tls_backend_preconfigured(tls()?)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(limits::CONNECT_TIMEOUT)
            .default_headers(headers(config)?)
            .build()
            .map_err(|_| ConfigError::Client)?;
        Ok(Self::Http {
            client,
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
        let (client, bytes_max) = match self {
            Self::Http { client, bytes_max } => (client, *bytes_max),
            Self::InProcess(carrier) => return carried(carrier.call(url, body), timeout).await,
        };
        let mut request = match body {
            Some(body) => client
                .request(Method::POST, url.clone())
                .header(CONTENT_TYPE, "application/json")
                .body(body),
            None => client.request(Method::GET, url.clone()),
        };
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_KEY, key.to_string());
        }
        let response = request
            .timeout(timeout)
            .send()
            .await
            .map_err(|error| call_error(&error))?;
        let status = response.status();
        let body = read(response, bytes_max).await?;
        Ok(Answer { status, body })
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

async fn read(mut response: reqwest::Response, bytes_max: usize) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| call_error(&error))? {
        if chunk.len() > bytes_max.saturating_sub(body.len()) {
            return Err(CallError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn call_error(error: &reqwest::Error) -> CallError {
    if error.is_connect() {
        CallError::NotSent
    } else if error.is_timeout() {
        CallError::TimedOut
    } else {
        CallError::Lost
    }
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

/// TLS on ring with the platform's root certificates. Where the platform has none (a bare container), no server is
/// trusted, but plain HTTP to this machine still works.
fn tls() -> Result<ClientConfig, ConfigError> {
    let builder = || {
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| ConfigError::Client)
    };
    let config = match builder()?.with_platform_verifier() {
        Ok(verified) => verified.with_no_client_auth(),
        Err(error) => {
            tracing::warn!(%error, "no root certificates: https will not work");
            builder()?
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth()
        }
    };
    Ok(config)
}
