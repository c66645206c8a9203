//! Values that must not leak: they cannot be cloned, printed or serialised, and they are wiped when dropped.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use crate::hex_text;
use crate::signature::CURVE_ORDER;

/// Secret bytes of any length: an API token, a password.
///
/// ```
/// let token = faregate_types::Secret::new(b"s3cret".to_vec());
/// assert_eq!(format!("{token:?}"), "Secret(redacted)");
/// assert!(token.is_equal_to(b"s3cret"));
/// ```
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over. Copies made before are the caller's to wipe.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The secret itself. Called `expose` so that a review can find every use.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Compares with bytes from outside in a time that depends on the lengths only.
    #[must_use]
    pub fn is_equal_to(&self, other: &[u8]) -> bool {
        let differing = self
            .0
            .iter()
            .zip(other)
            .fold(0_u8, |acc, (ours, theirs)| acc | (ours ^ theirs));
        self.0.len() == other.len() && std::hint::black_box(differing) == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// A secp256k1 private key: 32 bytes, above zero and below the curve order.
///
/// ```
/// let key = faregate_types::SecretKey::from_hex(&format!("0x{}", "11".repeat(32))).unwrap();
/// assert_eq!(format!("{key:?}"), "SecretKey(redacted)");
/// ```
pub struct SecretKey(Box<Zeroizing<[u8; 32]>>);

/// Why a text or bytes are no private key. Never carries a part of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretKeyError {
    /// Not 64 hexadecimal digits, with or without `0x` before them.
    #[error("expected a private key of 64 hexadecimal digits, \"0x\" before them is optional")]
    Hex,
    /// Zero, or not below the order of secp256k1.
    #[error("expected a private key between 1 and the order of secp256k1")]
    Range,
}

impl SecretKey {
    /// Reads 64 hexadecimal digits, `0x` before them is optional.
    ///
    /// # Errors
    /// [`SecretKeyError`], without a part of the text in it.
    pub fn from_hex(text: &str) -> Result<Self, SecretKeyError> {
        let mut bytes = Box::new(Zeroizing::new([0; 32]));
        let digits = text.strip_prefix("0x").unwrap_or(text);
        hex_text::fill(digits, bytes.as_mut_slice()).map_err(|_| SecretKeyError::Hex)?;
        Self::checked(bytes)
    }

    /// Takes 32 bytes, most significant first, and wipes the argument.
    ///
    /// # Errors
    /// [`SecretKeyError::Range`] when they are no key of the curve.
    pub fn from_bytes(mut bytes: [u8; 32]) -> Result<Self, SecretKeyError> {
        let boxed = Box::new(Zeroizing::new(bytes));
        bytes.zeroize();
        Self::checked(boxed)
    }

    fn checked(bytes: Box<Zeroizing<[u8; 32]>>) -> Result<Self, SecretKeyError> {
        let in_range = **bytes != [0; 32] && **bytes < CURVE_ORDER.0;
        if in_range {
            Ok(Self(bytes))
        } else {
            Err(SecretKeyError::Range)
        }
    }

    /// The key itself. Called `expose` so that a review can find every use.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(redacted)")
    }
}
