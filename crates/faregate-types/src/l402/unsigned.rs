//! The tokens of l402kit: base64 of `{"hash": …, "exp": …}` and a preimage, signed by nobody (specs/l402.md §2.2, §2.8).
//!
//! Anybody can invent a preimage, hash it, and has such a token. So this only reads them, for sellers that move away from
//! l402kit: a hash that was not issued here, for this route and price, opens nothing. The reader is stricter than l402kit's,
//! which takes many texts for one token.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::lightning::{PaymentHash, Preimage, PreimageError};
use crate::limits::UNSIGNED_TOKEN_BYTES_MAX;

/// How far ahead l402kit lets a token expire, in milliseconds.
const VALIDITY_MAX_MS: u64 = 7_200_000;

/// A token that nobody signed.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnsignedToken {
    /// Which payment it claims.
    pub hash: PaymentHash,
    /// When it expires by its own word, in milliseconds since 1970.
    pub expires_ms: u64,
    /// Proof of the payment, if it belongs to the hash.
    pub preimage: Preimage,
}

/// Why a text is no token of l402kit, or is none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnsignedTokenError {
    /// Longer than l402kit takes.
    #[error("expected a token of at most {UNSIGNED_TOKEN_BYTES_MAX} characters")]
    TooLong,
    /// No colon, or several.
    #[error("expected base64, one colon and a preimage")]
    Colon,
    /// Not standard base64 with padding.
    #[error("expected standard base64 with padding")]
    Base64,
    /// Not a JSON object with `hash` and `exp`, each once, of the right type.
    #[error("expected a JSON object with hash (64 lower-case digits) and exp (whole milliseconds)")]
    Json,
    /// The preimage cannot be read.
    #[error(transparent)]
    Preimage(#[from] PreimageError),
    /// The preimage is of another hash.
    #[error("expected the preimage of the hash")]
    WrongPreimage,
    /// Expired.
    #[error("the token has expired")]
    Expired,
    /// It expires later than l402kit ever writes.
    #[error("expected a token that expires within two hours")]
    TooFarAhead,
}

impl UnsignedToken {
    /// Whether a credential could be one: base64 of something that starts with a brace.
    #[must_use]
    pub fn looks_like(credential: &str) -> bool {
        // `{"`, `{ `, `{\n` and the like: the first six bits are those of a brace, the next two as well.
        matches!(credential.as_bytes(), [b'e', b'w' | b'x' | b'y' | b'z', ..])
    }

    /// Reads a token. Whether its hash was ever issued is another question.
    ///
    /// # Errors
    /// [`UnsignedTokenError`]; time is not looked at.
    pub fn parse(text: &str) -> Result<Self, UnsignedTokenError> {
        if text.len() > UNSIGNED_TOKEN_BYTES_MAX {
            return Err(UnsignedTokenError::TooLong);
        }
        let (token, preimage) = text.split_once(':').ok_or(UnsignedTokenError::Colon)?;
        if preimage.contains(':') {
            return Err(UnsignedTokenError::Colon);
        }
        let json = STANDARD
            .decode(token)
            .map_err(|_| UnsignedTokenError::Base64)?;
        let Content { hash, expires_ms } = Content::read(&json).ok_or(UnsignedTokenError::Json)?;
        let preimage = Preimage::parse(preimage)?;
        if !hash.is_of(&preimage) {
            return Err(UnsignedTokenError::WrongPreimage);
        }
        Ok(Self {
            hash,
            expires_ms,
            preimage,
        })
    }

    /// Whether l402kit would still take it at this time, in milliseconds since 1970. The last millisecond counts.
    ///
    /// # Errors
    /// [`UnsignedTokenError::Expired`] or [`UnsignedTokenError::TooFarAhead`].
    pub const fn check_time(&self, now_ms: u64) -> Result<(), UnsignedTokenError> {
        if now_ms > self.expires_ms {
            return Err(UnsignedTokenError::Expired);
        }
        if self.expires_ms > now_ms.saturating_add(VALIDITY_MAX_MS) {
            return Err(UnsignedTokenError::TooFarAhead);
        }
        Ok(())
    }
}

/// The first half of such a token, up to the colon: what l402kit's sellers expect beside an invoice that others made for them,
/// and hand on to their payers.
///
/// It proves nothing by itself. Whoever believes it without asking whether the hash was issued, and for what, sells for free.
#[must_use]
pub fn unsigned_token(hash: PaymentHash, expires_ms: u64) -> String {
    STANDARD.encode(format!(r#"{{"hash":"{hash}","exp":{expires_ms}}}"#))
}

/// The hash in an invoice of l402kit's development wallet, `DEV:<64 digits>`. Such an invoice is paid by nobody: whoever reads
/// one outside of a test is being cheated.
#[must_use]
pub fn dev_invoice(text: &str) -> Option<PaymentHash> {
    text.strip_prefix("DEV:")?.parse().ok()
}

struct Content {
    hash: PaymentHash,
    expires_ms: u64,
}

impl Content {
    fn read(json: &[u8]) -> Option<Self> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let content = reader.deserialize_map(ContentVisitor).ok()?;
        reader.end().ok()?;
        Some(content)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with hash and exp")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
        let (mut hash, mut expires_ms) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "hash" if hash.is_none() => {
                    let text: String = map.next_value()?;
                    let parsed: Option<PaymentHash> = text.parse().ok();
                    let canonical = parsed.filter(|hash| hash.to_string() == text);
                    hash = Some(canonical.ok_or_else(|| A::Error::custom("hash"))?);
                }
                "exp" if expires_ms.is_none() => expires_ms = Some(map.next_value::<u64>()?),
                // Which of two counts depends on the reader.
                "hash" | "exp" => return Err(A::Error::custom("twice")),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Content {
            hash: hash.ok_or_else(|| A::Error::missing_field("hash"))?,
            expires_ms: expires_ms.ok_or_else(|| A::Error::missing_field("exp"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_for_l402kit_is_read_again() {
        let preimage = Preimage::from_bytes([7; 32]);
        let token = unsigned_token(preimage.hash(), 1_800_000_000_000);
        let text = format!("{token}:{}", "07".repeat(32));
        let read = UnsignedToken::parse(&text).unwrap();
        assert_eq!(
            (read.hash, read.expires_ms),
            (preimage.hash(), 1_800_000_000_000)
        );
    }
}
