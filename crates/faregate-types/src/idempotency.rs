//! A name that the payer gives to a purchase, so that repeating it buys nothing twice.

use std::fmt;

/// Longest key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// Lengths of an id in the x402 extension `payment-identifier`, in bytes (x402 spec §3.3).
const PAYMENT_IDENTIFIER_BYTES: std::ops::RangeInclusive<usize> = 16..=128;

/// A key that the payer chose: the value of an `Idempotency-Key` header, or the id of the x402 extension
/// `payment-identifier`. Both name the same thing, so the same text is the same key wherever it stood.
///
/// Means something only together with its payer: two payers may choose the same one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdempotencyKey(Box<str>);

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdempotencyKeyError {
    /// Not what `Idempotency-Key` may hold.
    #[error("an idempotency key is 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible ascii characters")]
    Header,
    /// Not what `payment-identifier` may hold.
    #[error("a payment identifier is 16 to 128 letters, digits, \"_\" and \"-\"")]
    PaymentIdentifier,
}

impl IdempotencyKey {
    /// Reads the value of an `Idempotency-Key` header, as it is: quotes are part of it.
    ///
    /// # Errors
    /// [`IdempotencyKeyError::Header`] for anything but 1 to 255 visible ASCII characters.
    ///
    /// ```
    /// use faregate_types::IdempotencyKey;
    ///
    /// assert!(IdempotencyKey::from_header(b"order-17").is_ok());
    /// assert!(IdempotencyKey::from_header(b"two words").is_err());
    /// ```
    pub fn from_header(value: &[u8]) -> Result<Self, IdempotencyKeyError> {
        let fits = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&value.len());
        if !fits || !value.iter().all(u8::is_ascii_graphic) {
            return Err(IdempotencyKeyError::Header);
        }
        std::str::from_utf8(value)
            .map(|text| Self(text.into()))
            .map_err(|_| IdempotencyKeyError::Header)
    }

    /// Reads the id of the extension `payment-identifier`.
    ///
    /// # Errors
    /// [`IdempotencyKeyError::PaymentIdentifier`] for anything but 16 to 128 of `[A-Za-z0-9_-]`.
    pub fn from_payment_identifier(id: &str) -> Result<Self, IdempotencyKeyError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if PAYMENT_IDENTIFIER_BYTES.contains(&id.len()) && id.bytes().all(allowed) {
            Ok(Self(id.into()))
        } else {
            Err(IdempotencyKeyError::PaymentIdentifier)
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Shows the length only: the key opens an answer, together with its payer.
impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdempotencyKey({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_checked() {
        let longest = "k".repeat(255);
        for (value, good) in [
            ("k", true),
            ("\"8e03978e-40d5-43e8-bc93-6894a57f9324\"", true),
            (longest.as_str(), true),
            (&format!("{longest}k"), false),
            ("", false),
            ("a b", false),
            ("a\u{7f}", false),
            ("é", false),
        ] {
            let key = IdempotencyKey::from_header(value.as_bytes());
            assert_eq!(key.is_ok(), good, "{value}");
            assert!(key.is_err() || key.unwrap().as_str() == value);
        }
        assert!(IdempotencyKey::from_header(b"\xff").is_err());
    }

    #[test]
    fn payment_identifiers_are_checked() {
        let (shortest, longest) = ("a".repeat(16), "Z".repeat(128));
        for (id, good) in [
            (shortest.as_str(), true),
            (&longest, true),
            ("pay_7d5d747be160e280504c099d984bcfe0", true),
            ("a23456789012345", false),
            (&format!("{longest}Z"), false),
            ("0123456789abcdef.", false),
            ("0123456789abcdefé", false),
        ] {
            let key = IdempotencyKey::from_payment_identifier(id);
            assert_eq!(key.is_ok(), good, "{id}");
        }
    }
}
