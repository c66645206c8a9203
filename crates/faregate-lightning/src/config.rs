//! What all backends are told: where they are, and whom to trust.

use std::time::Duration;

use faregate_http::{BaseUrl, Http, PlainHttp, Reach, TlsError, Trust, UrlError};
use faregate_types::{Code, Secret};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;
use zeroize::Zeroizing;

use crate::limits;

/// Where a backend is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Endpoint {
    /// The URL that its paths are appended to. May have a path.
    pub base: Url,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Whether `http://` may leave this machine.
    pub plain_http: PlainHttp,
    /// Whom may be connected to. For addresses that strangers name, the public internet only.
    pub reach: Reach,
    /// Deadline of a call that is not a payment; [`limits::CALL_TIMEOUT`] by default.
    pub timeout: Duration,
}

impl Endpoint {
    /// Certificates of this machine, default limits.
    #[must_use]
    pub const fn new(base: Url) -> Self {
        Self {
            base,
            trust: Trust::Platform,
            plain_http: PlainHttp::ToThisMachine,
            reach: Reach::Anywhere,
            timeout: limits::CALL_TIMEOUT,
        }
    }

    /// Believes exactly this certificate, in PEM.
    #[must_use]
    pub fn pinned(mut self, pem: Vec<u8>) -> Self {
        self.trust = Trust::Pinned(pem);
        self
    }

    /// With this deadline for calls that are not payments.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Connects to the public internet only.
    #[must_use]
    pub const fn public_only(mut self) -> Self {
        self.reach = Reach::Public;
        self
    }

    pub(crate) fn checked(&self) -> Result<BaseUrl, ConfigError> {
        BaseUrl::new(self.base.clone(), self.plain_http).map_err(ConfigError::from)
    }

    pub(crate) fn http(&self, headers: HeaderMap) -> Result<Http, ConfigError> {
        Http::reaching(self.reach, &self.trust, headers, limits::CONNECT_TIMEOUT)
            .map_err(ConfigError::from)
    }
}

/// Why a configuration cannot work. Never carries a part of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Another scheme than http or https, or with user, password, query or fragment.
    #[error("expected the URL of a Lightning backend to have scheme, host and path only")]
    Url,
    /// Plain HTTP to another machine.
    #[error("expected https for a Lightning backend on another machine")]
    Insecure,
    /// The pinned certificate is not one.
    #[error("expected one certificate in PEM")]
    Certificate,
    /// A key, macaroon or rune is empty or has characters that cannot be in a header.
    #[error("expected a key of printable ASCII characters")]
    Secret,
    /// Something else cannot be read.
    #[error("{0}")]
    Other(&'static str),
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be set up")]
    Client,
    /// The backend cannot pay, so it cannot be a wallet.
    #[error("expected a Lightning backend that can pay; this one only receives")]
    ReceiveOnly,
    /// The backend cannot receive.
    #[error("expected a Lightning backend that can receive; this one only pays")]
    SendOnly,
}

impl ConfigError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Insecure => Code::InsecureUrl,
            _ => Code::ConfigInvalid,
        }
    }
}

impl From<UrlError> for ConfigError {
    fn from(error: UrlError) -> Self {
        match error {
            UrlError::Insecure => Self::Insecure,
            _ => Self::Url,
        }
    }
}

impl From<TlsError> for ConfigError {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::Certificate => Self::Certificate,
            _ => Self::Client,
        }
    }
}

/// One header with a secret in it, after a prefix such as `Bearer `.
pub(crate) fn secret_header(
    name: HeaderName,
    prefix: &str,
    secret: &[u8],
) -> Result<HeaderMap, ConfigError> {
    if secret.is_empty() || !secret.iter().all(u8::is_ascii_graphic) {
        return Err(ConfigError::Secret);
    }
    let text = Zeroizing::new([prefix.as_bytes(), secret].concat());
    let mut value = HeaderValue::from_bytes(&text).map_err(|_| ConfigError::Secret)?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(name, value)]))
}

/// The same, for the usual secret of an API.
pub(crate) fn bearer(secret: &Secret) -> Result<HeaderMap, ConfigError> {
    secret_header(reqwest::header::AUTHORIZATION, "Bearer ", secret.expose())
}
