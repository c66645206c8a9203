//! The shape of 65-byte ECDSA signatures. Recovery of the signer is in `faregate-evm`.

use alloy_primitives::{B256, b256};

/// The order of secp256k1.
pub(crate) const CURVE_ORDER: B256 =
    b256!("0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");

/// Half the order, rounded down: the largest `s` that is not malleable (EIP-2).
const HALF_CURVE_ORDER: B256 =
    b256!("0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");

/// An ECDSA signature over secp256k1 with a recovery number, in the only form that contracts accept.
///
/// Values are checked when parsed: `r` and `s` between 1 and the curve order, `s` in the lower half, `v` 27 or 28.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signature65 {
    /// The x coordinate part.
    pub r: B256,
    /// The proof part, in the lower half of the order.
    pub s: B256,
    /// The recovery number: 27 or 28.
    pub v: u8,
}

/// Why bytes are no acceptable ECDSA signature, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Not 65 bytes: empty, EIP-2098 compact (64), or a contract wallet's signature.
    #[error("expected a signature of 65 bytes")]
    Length,
    /// The last byte is not 27 or 28.
    #[error("expected 27 or 28 as the last byte of the signature")]
    RecoveryNumber,
    /// `r` or `s` is zero or not below the curve order.
    #[error("expected r and s between 1 and the order of secp256k1")]
    Range,
    /// `s` is in the upper half of the order.
    #[error("expected s in the lower half of the order of secp256k1")]
    HighS,
}

impl Signature65 {
    /// Reads `r`, `s`, `v` as 65 bytes.
    ///
    /// # Errors
    /// [`SignatureError`] names the first check that failed.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureError> {
        let bytes: &[u8; 65] = bytes.try_into().map_err(|_| SignatureError::Length)?;
        let [words @ .., v] = bytes;
        let (&[r, s], _) = words.as_chunks::<32>() else {
            return Err(SignatureError::Length);
        };
        let (r, s, v) = (B256::from(r), B256::from(s), *v);
        if !matches!(v, 27 | 28) {
            return Err(SignatureError::RecoveryNumber);
        }
        if r.is_zero() || s.is_zero() || r >= CURVE_ORDER || s >= CURVE_ORDER {
            return Err(SignatureError::Range);
        }
        if s > HALF_CURVE_ORDER {
            return Err(SignatureError::HighS);
        }
        Ok(Self { r, s, v })
    }

    /// The 65 bytes again.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 65] {
        let mut out = [0; 65];
        let parts = self
            .r
            .iter()
            .chain(self.s.iter())
            .chain(std::iter::once(&self.v));
        for (slot, byte) in out.iter_mut().zip(parts) {
            *slot = *byte;
        }
        out
    }
}
