//! Where the facilitator is, and how long it may take.

use std::time::Duration;

use faregate_types::{Code, Secret};
use url::{Host, Url};

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

/// Whether `http://` may leave this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlainHttp {
    /// Only to this machine: `localhost`, 127.0.0.0/8, `::1`.
    #[default]
    ToThisMachine,
    /// To any host. Whoever sits on the way can then forge verdicts: for private networks only, e.g. between containers.
    Anywhere,
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

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let base = &self.base;
        let bare = base.username().is_empty()
            && base.password().is_none()
            && base.query().is_none()
            && base.fragment().is_none()
            && base.host().is_some();
        match base.scheme() {
            "https" if bare => Ok(()),
            "http" if bare && self.plain_allowed() => Ok(()),
            "http" if bare => Err(ConfigError::Insecure),
            _ => Err(ConfigError::Url),
        }
    }

    fn plain_allowed(&self) -> bool {
        let this_machine = match self.base.host() {
            Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        this_machine || self.plain_http == PlainHttp::Anywhere
    }

    /// `base` with one more path segment, whether or not it ends with a slash.
    pub(crate) fn endpoint(&self, name: &str) -> Result<Url, ConfigError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| ConfigError::Url)?
            .pop_if_empty()
            .push(name);
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> RemoteConfig {
        RemoteConfig::new(url.parse().unwrap())
    }

    #[test]
    fn plain_http_stays_on_this_machine_unless_it_is_named() {
        let table = [
            ("https://f.example", Ok(())),
            ("http://127.0.0.1:4022", Ok(())),
            ("http://127.9.9.9", Ok(())),
            ("http://[::1]:4022", Ok(())),
            ("http://localhost:4022/x", Ok(())),
            ("http://f.example", Err(ConfigError::Insecure)),
            ("http://localhost.f.example", Err(ConfigError::Insecure)),
            ("http://10.0.0.1", Err(ConfigError::Insecure)),
            ("ftp://f.example", Err(ConfigError::Url)),
            ("https://user@f.example", Err(ConfigError::Url)),
            ("https://:pass@f.example", Err(ConfigError::Url)),
            ("https://f.example?key=1", Err(ConfigError::Url)),
            ("https://f.example#x", Err(ConfigError::Url)),
            ("data:text/plain,x", Err(ConfigError::Url)),
        ];
        for (url, expected) in table {
            assert_eq!(config(url).check(), expected, "{url}");
        }
        let mut open = config("http://facilitator:4022");
        open.plain_http = PlainHttp::Anywhere;
        assert_eq!(open.check(), Ok(()));
    }

    #[test]
    fn endpoints_are_appended_to_the_path() {
        for (base, expected) in [
            ("https://f.example", "https://f.example/verify"),
            ("https://f.example/", "https://f.example/verify"),
            ("https://f.example/a", "https://f.example/a/verify"),
            ("https://f.example/a/", "https://f.example/a/verify"),
        ] {
            assert_eq!(config(base).endpoint("verify").unwrap().as_str(), expected);
        }
    }

    #[test]
    fn the_token_is_not_printed() {
        let config = config("https://f.example").bearer(Secret::new(b"hunter2".to_vec()));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
