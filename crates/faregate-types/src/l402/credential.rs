//! `Authorization: L402 <token>[,<token>…]:<preimage>` (specs/l402.md §1.3).
//!
//! However it is written, a credential is its bytes: the tokens' and the preimage's. Letter case, alphabet and padding of the
//! text make no other credential, and must never be used to tell two apart.

use super::challenge::Scheme;
use super::macaroon::Macaroon;
use super::token_text::{self, TokenTextError};
use super::unsigned::{UnsignedToken, UnsignedTokenError};
use crate::lightning::{Preimage, PreimageError};
use crate::limits::{HEADER_BYTES_MAX, TOKENS_MAX};

/// Tokens and the preimage that has to belong to each of them.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credential {
    /// At least one.
    pub tokens: Vec<Macaroon>,
    /// Proof of the payment.
    pub preimage: Preimage,
}

/// What an `Authorization` line of ours holds.
#[derive(Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "every edge has to decide about both"
)]
pub enum Presented {
    /// Signed tokens.
    Signed(Credential),
    /// A token of l402kit: nobody signed it, anybody can make one. See [`unsigned`](super::unsigned).
    Unsigned(UnsignedToken),
}

/// Why an `Authorization` line of L402 is no credential. Never carries a part of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// Longer than [`HEADER_BYTES_MAX`].
    #[error("expected a credential of at most {HEADER_BYTES_MAX} bytes")]
    TooLarge,
    /// Not ASCII, or blanks inside.
    #[error("expected the scheme, one blank, and a credential without blanks")]
    Blank,
    /// Nothing that could be a preimage.
    #[error("expected a token, a colon and a preimage")]
    NoColon,
    /// More than [`TOKENS_MAX`] tokens.
    #[error("expected at most {TOKENS_MAX} tokens")]
    TooManyTokens,
    /// A token cannot be read.
    #[error("token: {0}")]
    Token(#[from] TokenTextError),
    /// The preimage cannot be read.
    #[error("preimage: {0}")]
    Preimage(#[from] PreimageError),
    /// An unsigned token cannot be read.
    #[error("token: {0}")]
    Unsigned(#[from] UnsignedTokenError),
    /// Several lines with different credentials.
    #[error("expected one credential of L402")]
    Several,
    /// A macaroon in gRPC metadata without the caveat that carries its preimage.
    #[error("expected a caveat preimage in the macaroon")]
    NoPreimage,
    /// A macaroon in gRPC metadata that is not hexadecimal.
    #[error("expected a macaroon in hexadecimal digits")]
    Hex,
}

impl Presented {
    /// Reads one `Authorization` value. `None` when its scheme is none of ours.
    ///
    /// # Errors
    /// [`CredentialError`] when the scheme is ours and what follows is not a credential.
    pub fn read(value: &[u8]) -> Result<Option<Self>, CredentialError> {
        let Some(credential) = ours(value) else {
            return Ok(None);
        };
        if credential.len() > HEADER_BYTES_MAX {
            return Err(CredentialError::TooLarge);
        }
        let credential = std::str::from_utf8(credential)
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or(CredentialError::Blank)?;
        if UnsignedToken::looks_like(credential) {
            return Ok(Some(Self::Unsigned(UnsignedToken::parse(credential)?)));
        }
        // Base64 has no colon. What stands before the last one is all of the token, or nothing at all.
        let (tokens, preimage) = credential
            .rsplit_once(':')
            .ok_or(CredentialError::NoColon)?;
        let mut macaroons = Vec::new();
        for token in tokens.split(',') {
            if macaroons.len() == TOKENS_MAX {
                return Err(CredentialError::TooManyTokens);
            }
            macaroons
                .push(Macaroon::decode(&token_text::bytes(token)?).map_err(TokenTextError::from)?);
        }
        Ok(Some(Self::Signed(Credential {
            tokens: macaroons,
            preimage: Preimage::parse(preimage)?,
        })))
    }

    /// Reads all `Authorization` lines of a request. Two lines are one credential when they say the same: proxies send it
    /// under both names of the scheme.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`CredentialError::Several`].
    pub fn read_all<'a>(
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Option<Self>, CredentialError> {
        let mut found: Option<Self> = None;
        for value in values {
            match (Self::read(value)?, &found) {
                (Some(next), Some(before)) if next != *before => {
                    return Err(CredentialError::Several);
                }
                (Some(next), _) => found = Some(next),
                (None, _) => {}
            }
        }
        Ok(found)
    }
}

/// The value of `Authorization` for a token and its preimage.
#[must_use]
pub fn write(token: &str, preimage: &Preimage) -> zeroize::Zeroizing<String> {
    let preimage = preimage.expose_hex();
    let scheme = Scheme::L402.as_str();
    zeroize::Zeroizing::new(format!("{scheme} {token}:{}", preimage.as_str()))
}

/// What comes after the name of our scheme.
fn ours(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let end = value.iter().position(|byte| matches!(byte, b' ' | b'\t'));
    let (name, rest) = value.split_at_checked(end.unwrap_or(value.len()))?;
    Scheme::from_name(std::str::from_utf8(name).ok()?)?;
    Some(rest.trim_ascii_start())
}
