//! The answer to a token request: the token, or why not (specs/permit.md §1.4, §1.8).

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::lax::{Member, Object, ShapeError};
use crate::limits::{ACCESS_TOKEN_BYTES_MAX, BODY_BYTES_MAX};
use crate::refusal::one_line;
use crate::x402::wire::to_json;

/// The member of `metadata` that the product writes, and what it says there.
pub const INSTRUCTION: (&str, &str) = (
    "Token Instruction",
    "Use this token to access the protected resource in the Authorization header as a Bearer token.",
);

/// What a server of ours answers.
#[derive(Clone, PartialEq, Serialize)]
pub struct TokenResponse<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: Option<u64>,
    metadata: Map<String, Value>,
}

impl<'a> TokenResponse<'a> {
    /// The answer with a token that is valid for so many seconds. `metadata` is a free object: clients of the product keep it
    /// and look at nothing in it.
    #[must_use]
    pub fn new(token: &'a str, expires_in: Option<u64>, mut metadata: Map<String, Value>) -> Self {
        let (name, text) = INSTRUCTION;
        metadata.insert(name.to_owned(), Value::from(text));
        Self {
            access_token: token,
            token_type: "Bearer",
            expires_in,
            metadata,
        }
    }

    /// The body.
    #[must_use]
    pub fn to_json(&self) -> String {
        to_json(self)
    }
}

/// Without the token.
impl fmt::Debug for TokenResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse")
            .field("expires_in", &self.expires_in)
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}

/// A token that a server gave us.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Issued {
    token: Box<str>,
    scheme: Box<str>,
    /// For so many seconds from now, if the server says so.
    pub expires_in: Option<u64>,
}

impl Issued {
    /// Reads a body, whatever its status was.
    ///
    /// # Errors
    /// [`ShapeError`]: also when token or scheme could not stand in a header.
    pub fn read(body: &[u8]) -> Result<Self, ShapeError> {
        let within = body.len() <= BODY_BYTES_MAX;
        let body = Object::read(body).filter(|_| within);
        let body = body.ok_or(ShapeError::new("answer", "a JSON object"))?;
        let wrong = ShapeError::new("access_token", "a text that fits a header");
        let token = body.get("access_token").and_then(Member::text);
        let token = token.filter(|token| fits_a_header(token)).ok_or(wrong)?;
        let scheme = match body.get("token_type") {
            Some(scheme) => scheme.text().filter(|scheme| fits_a_header(scheme)),
            None if body.has("token_type") => None,
            None => Some("Bearer".to_owned()),
        };
        let scheme = scheme.ok_or(ShapeError::new("token_type", "the name of a scheme"))?;
        let expires_in = body.get("expires_in").map(|secs| {
            let secs = secs.integer().and_then(|secs| u64::try_from(secs).ok());
            secs.ok_or(ShapeError::new("expires_in", "seconds, not negative"))
        });
        Ok(Self {
            token: token.into(),
            scheme: scheme.into(),
            expires_in: expires_in.transpose()?,
        })
    }

    /// The value of `Authorization`: the scheme as the server wrote it.
    #[must_use]
    pub fn authorization(&self) -> String {
        format!("{} {}", self.scheme, self.token)
    }
}

/// Without the token.
impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("scheme", &self.scheme)
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// `error` of a refusal, as one bounded line; `None` when the body has none. Servers of the product also answer with words of
/// their framework, which say nothing.
#[must_use]
pub fn error(body: &[u8]) -> Option<Box<str>> {
    let within = body.len() <= BODY_BYTES_MAX;
    let body = Object::read(body).filter(|_| within)?;
    Some(one_line(&body.get("error")?.text()?))
}

/// One word of visible ASCII.
fn fits_a_header(text: &str) -> bool {
    let fits = (1..=ACCESS_TOKEN_BYTES_MAX).contains(&text.len());
    fits && text.bytes().all(|byte| byte.is_ascii_graphic())
}
