//! `access_token_endpoint`: a path of the same origin, and nothing else (specs/permit.md §1.12, §4 no. 24).
//!
//! Clients of the product glue it to scheme and host, so `@elsewhere` makes the host a user name; others resolve it, so
//! `//elsewhere` is another host. What is taken here is the same path for both.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::limits::ENDPOINT_BYTES_MAX;

/// Where a token is asked for: an absolute path, a query if need be.
///
/// ```
/// use faregate_types::permit::Endpoint;
///
/// assert!(Endpoint::parse("/token/q_0123?x=1").is_ok());
/// for other in ["token", "@evil.example/", "https://evil.example/", "//evil.example/", "/\\evil.example"] {
///     assert!(Endpoint::parse(other).is_err());
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Box<str>);

/// The text is not a path of the same origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a path that starts with one \"/\", without blanks, \"\\\" and \"#\", of at most {ENDPOINT_BYTES_MAX} bytes"
)]
#[non_exhaustive]
pub struct EndpointError;

impl Endpoint {
    /// The plain path that all servers of the product have, unless told otherwise.
    pub const PLAIN: &'static str = "/token";

    /// Checks a text.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#');
        let is_path = text.starts_with('/') && !text.starts_with("//");
        if is_path && text.len() <= ENDPOINT_BYTES_MAX && text.bytes().all(plain) {
            Ok(Self(text.into()))
        } else {
            Err(EndpointError)
        }
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
