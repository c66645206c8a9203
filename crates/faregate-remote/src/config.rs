//! Where the facilitator is, and how long it may take.

use std::time::Duration;

pub use faregate_http::PlainHttp;
use faregate_http::{BaseUrl, UrlError};
use faregate_types::{Code, Secret};
use url::Url;

use crate::limits;

/// Where the facilitator is, and how long it may take.
#[derive(Debug)]
#[non_exhaustive]
pub struct RemoteConfig {
    /// The URL that `/verify`, `/settle` and `/supported` are appended to. May have a path.
    pub base: Url,
    /// Deadline of `/supported` and `/verify`; [`limits::VERIFY_TIMEOUT`] by default.
    pub verify_timeout: Duration,
    /// Deadline of `/settle`; [`limits::SETTLE_TIMEOUT`] by default. When it passes, the end of the payment is unknown.
    pub settle_timeout: Duration,
    /// Largest answer body in bytes; [`limits::ANSWER_BYTES_MAX`] by default.
    pub answer_bytes_max: usize,
    /// Sent as `Authorization: Bearer …`, if set.
    pub bearer: Option<Secret>,
    /// Whether `http://` may leave this machine.
    pub plain_http: PlainHttp,
}

/// Why a configuration cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Another scheme than http or https, or with user, password, query or fragment.
    #[error("expected a facilitator URL of scheme, host and path only")]
    Url,
    /// Plain HTTP to another machine.
    #[error("expected https for a facilitator on another machine")]
    Insecure,
    /// The token has characters that cannot be in a header.
    #[error("expected a bearer token of printable ASCII characters")]
    Bearer,
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be set up")]
    Client,
}

impl ConfigError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Insecure => Code::InsecureUrl,
            Self::Url | Self::Bearer | Self::Client => Code::ConfigInvalid,
        }
    }
}

impl RemoteConfig {
    /// The default limits, no token.
    #[must_use]
    pub const fn new(base: Url) -> Self {
        Self {
            base,
            verify_timeout: limits::VERIFY_TIMEOUT,
            settle_timeout: limits::SETTLE_TIMEOUT,
            answer_bytes_max: limits::ANSWER_BYTES_MAX,
            bearer: None,
            plain_http: PlainHttp::ToThisMachine,
        }
    }

    /// With a token.
    #[must_use]
    pub fn bearer(mut self, token: Secret) -> Self {
        self.bearer = Some(token);
        self
    }

    /// The checked URL that endpoints are appended to.
    pub(crate) fn checked(&self) -> Result<BaseUrl, ConfigError> {
        BaseUrl::new(self.base.clone(), self.plain_http).map_err(|error| match error {
            UrlError::Insecure => ConfigError::Insecure,
            _ => ConfigError::Url,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> RemoteConfig {
        RemoteConfig::new(url.parse().unwrap())
    }

    #[test]
    fn what_is_wrong_with_the_url_is_told() {
        for (url, expected) in [
            ("https://f.example/x", Ok(())),
            ("http://f.example", Err(ConfigError::Insecure)),
            ("https://user@f.example", Err(ConfigError::Url)),
        ] {
            assert_eq!(config(url).checked().map(drop), expected, "{url}");
        }
        let mut open = config("http://facilitator:4022");
        open.plain_http = PlainHttp::Anywhere;
        assert!(open.checked().is_ok());
    }

    #[test]
    fn the_token_is_not_printed() {
        let config = config("https://f.example").bearer(Secret::new(b"hunter2".to_vec()));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
