//! What a macaroon of ours is issued for: the payment it stands for, and which token of it this is (specs/l402.md §1.4).

use sha2::{Digest as _, Sha256};

use crate::lightning::PaymentHash;

/// Bytes of an identifier: two of version, the payment hash, the token id.
pub const IDENTIFIER_BYTES: usize = 66;

/// The identifier of version 0, which Aperture and its clients read as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "version 0 has these two parts")]
pub struct Identifier {
    /// The payment whose preimage the holder has to show.
    pub payment_hash: PaymentHash,
    /// Random. One payment hash has one token, so this names the token and nothing else.
    pub token_id: [u8; 32],
}

/// Under which name the root key of a token is kept: the SHA-256 of its identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 32]);

/// Why bytes are no identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentifierError {
    /// Not 66 bytes.
    #[error("expected an identifier of {IDENTIFIER_BYTES} bytes")]
    Length,
    /// Another version than 0.
    #[error("expected an identifier of version 0")]
    Version,
}

impl Identifier {
    /// Reads the 66 bytes.
    ///
    /// # Errors
    /// [`IdentifierError`]. Tokens of other servers have identifiers of other shapes.
    pub fn decode(bytes: &[u8]) -> Result<Self, IdentifierError> {
        let bytes: &[u8; IDENTIFIER_BYTES] =
            bytes.try_into().map_err(|_| IdentifierError::Length)?;
        let ([0, 0], rest) = bytes.split_at(2) else {
            return Err(IdentifierError::Version);
        };
        let (&[hash, token_id], []) = rest.as_chunks::<32>() else {
            return Err(IdentifierError::Length);
        };
        Ok(Self {
            payment_hash: PaymentHash::from_bytes(hash),
            token_id,
        })
    }

    /// The 66 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; IDENTIFIER_BYTES] {
        let mut bytes = [0; IDENTIFIER_BYTES];
        let parts = self.payment_hash.as_bytes().iter().chain(&self.token_id);
        for (slot, byte) in bytes.iter_mut().skip(2).zip(parts) {
            *slot = *byte;
        }
        bytes
    }

    /// Under which name the root key of this token is kept.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        KeyId(Sha256::digest(self.encode()).into())
    }
}

impl KeyId {
    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id with these bytes, for reading it back from a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}
