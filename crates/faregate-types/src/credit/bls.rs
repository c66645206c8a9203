//! BLS signatures over certificates: BLS12-381, keys in G1, signatures in G2, the basic ciphersuite (specs/4mica.md §3).
//!
//! What infinity, another subgroup or another length would allow is refused wherever bytes become a point. Nothing here is
//! random: the scalars of a batch follow from what is in it.

use std::fmt;

use alloy_primitives::{Bytes, Keccak256};
use blst::min_pk::{PublicKey, SecretKey, Signature};
use blst::{BLST_ERROR, blst_scalar};
use zeroize::Zeroizing;

use super::words::{self, KeyWords, SignatureWords};
use crate::hex_text::fill;

/// The domain of the ciphersuite.
const DST: &[u8] = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_NUL_";

/// Bits of the scalars of a batch: a batch with a wrong signature passes with this probability, halved so often.
const BATCH_BITS: usize = 128;

/// Why bytes are no key or no signature, or a signature is not right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlsError {
    /// Not hexadecimal text.
    #[error("expected hexadecimal digits")]
    Hex,
    /// A key has 48 bytes, a signature 96, a secret key 32.
    #[error("expected another number of bytes")]
    Length,
    /// Not the compressed form of a point on the curve.
    #[error("expected a compressed point of BLS12-381")]
    Encoding,
    /// The point at infinity.
    #[error("expected another point than infinity")]
    Infinity,
    /// A point on the curve outside the group.
    #[error("expected a point of the group")]
    Subgroup,
    /// Zero, or not below the order of the group.
    #[error("expected a secret key between 1 and the order of BLS12-381")]
    Range,
    /// The signature is not that of this key over this message.
    #[error("certificate signature mismatch")]
    Mismatch,
}

impl BlsError {
    const fn of(error: BLST_ERROR) -> Self {
        match error {
            BLST_ERROR::BLST_PK_IS_INFINITY => Self::Infinity,
            BLST_ERROR::BLST_POINT_NOT_IN_GROUP => Self::Subgroup,
            BLST_ERROR::BLST_VERIFY_FAIL => Self::Mismatch,
            _ => Self::Encoding,
        }
    }
}

/// The key that issues certificates. It cannot be printed or cloned, and is wiped when dropped.
///
/// ```
/// use faregate_types::credit::BlsSecretKey;
///
/// let key = BlsSecretKey::from_hex(&format!("{:064x}", 7)).unwrap();
/// assert_eq!(format!("{key:?}"), "BlsSecretKey(redacted)");
/// let signature = key.sign(b"hello");
/// assert!(key.public_key().verify(b"hello", &signature).is_ok());
/// assert!(key.public_key().verify(b"hallo", &signature).is_err());
/// ```
pub struct BlsSecretKey(Box<SecretKey>);

impl BlsSecretKey {
    /// Reads 64 hexadecimal digits, the most significant first; `0x` before them is optional.
    ///
    /// # Errors
    /// [`BlsError::Hex`] or [`BlsError::Range`], without a part of the text in it.
    pub fn from_hex(text: &str) -> Result<Self, BlsError> {
        let mut bytes = Zeroizing::new([0; 32]);
        let digits = text.strip_prefix("0x").unwrap_or(text);
        fill(digits, bytes.as_mut_slice()).map_err(|_| BlsError::Hex)?;
        Self::from_bytes(&bytes)
    }

    /// Reads 32 bytes, the most significant first. The caller's copy is the caller's to wipe.
    ///
    /// # Errors
    /// [`BlsError::Range`].
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BlsError> {
        let key = SecretKey::from_bytes(bytes).map_err(|_| BlsError::Range)?;
        Ok(Self(Box::new(key)))
    }

    /// Whose signatures it makes.
    #[must_use]
    pub fn public_key(&self) -> BlsPublicKey {
        BlsPublicKey(self.0.sk_to_pk())
    }

    /// Signs. Takes about ten times as long as recovering who made an ECDSA signature: not for where others wait.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> BlsSignature {
        BlsSignature(self.0.sign(message, DST, &[]).to_bytes())
    }
}

impl fmt::Debug for BlsSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlsSecretKey(redacted)")
    }
}

/// The key of a service, published among its parameters: a checked point.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BlsPublicKey(PublicKey);

impl BlsPublicKey {
    /// Bytes of the compressed form.
    pub const LENGTH: usize = 48;

    /// Reads the compressed form.
    ///
    /// # Errors
    /// [`BlsError`] says what is wrong with the point.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BlsError> {
        if bytes.len() != Self::LENGTH {
            return Err(BlsError::Length);
        }
        PublicKey::key_validate(bytes)
            .map(Self)
            .map_err(BlsError::of)
    }

    /// The compressed form.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        self.0.compress()
    }

    /// As the contract takes it.
    #[must_use]
    pub fn words(&self) -> KeyWords {
        words::of_g1(&self.0.serialize())
    }

    /// Whether the signature is this key's over the message.
    ///
    /// # Errors
    /// [`BlsError::Mismatch`], or what is wrong with the signature's point.
    pub fn verify(&self, message: &[u8], signature: &BlsSignature) -> Result<(), BlsError> {
        let point = signature.point()?;
        match point.verify(false, message, DST, &[], &self.0, false) {
            BLST_ERROR::BLST_SUCCESS => Ok(()),
            error => Err(BlsError::of(error)),
        }
    }

    /// Whether all signatures are this key's over their messages; nothing to verify is right. Takes less than half as long for
    /// each as one by one, and does not say which one is wrong.
    ///
    /// # Errors
    /// [`BlsError::Mismatch`] when at least one is wrong, or what is wrong with the first point that is none.
    pub fn verify_batch(&self, signed: &[(&[u8], BlsSignature)]) -> Result<(), BlsError> {
        if signed.is_empty() {
            return Ok(());
        }
        let points: Result<Vec<Signature>, BlsError> = signed
            .iter()
            .map(|(_, signature)| signature.point())
            .collect();
        let points = points?;
        let messages: Vec<&[u8]> = signed.iter().map(|(message, _)| *message).collect();
        let scalars = self.scalars(signed);
        let outcome = Signature::verify_multiple_aggregate_signatures(
            &messages,
            DST,
            &vec![&self.0; signed.len()],
            false,
            &points.iter().collect::<Vec<_>>(),
            false,
            &scalars,
            BATCH_BITS,
        );
        match outcome {
            BLST_ERROR::BLST_SUCCESS => Ok(()),
            error => Err(BlsError::of(error)),
        }
    }

    /// A scalar for each signature, which nobody knows before everything in the batch is fixed: whoever makes up signatures
    /// that cancel each other out changes the scalars by it.
    fn scalars(&self, signed: &[(&[u8], BlsSignature)]) -> Vec<blst_scalar> {
        let mut transcript = Keccak256::new();
        transcript.update(b"faregate/bls-batch/1");
        transcript.update(self.to_bytes());
        for (message, signature) in signed {
            transcript.update(alloy_primitives::keccak256(message));
            transcript.update(signature.0);
        }
        let seed = transcript.finalize();
        let scalar = |index: usize| {
            let mut hasher = Keccak256::new();
            hasher.update(seed);
            hasher.update(index.to_be_bytes());
            let mut scalar = blst_scalar {
                b: hasher.finalize().0,
            };
            // Not zero, which would leave a signature out. The other bits are enough.
            if let Some(lowest) = scalar.b.first_mut() {
                *lowest |= 1;
            }
            scalar
        };
        (0..signed.len()).map(scalar).collect()
    }
}

impl fmt::Debug for BlsPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlsPublicKey({})", Bytes::from(self.to_bytes()))
    }
}

/// 96 bytes that should be a signature. Whether they are a point at all is looked at when they are used.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlsSignature([u8; Self::LENGTH]);

impl BlsSignature {
    /// Bytes of the compressed form.
    pub const LENGTH: usize = 96;

    /// Takes 96 bytes.
    ///
    /// # Errors
    /// [`BlsError::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BlsError> {
        let bytes = bytes.try_into().map_err(|_| BlsError::Length)?;
        Ok(Self(bytes))
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// As the contract takes it.
    ///
    /// # Errors
    /// [`BlsError`] says what is wrong with the point.
    pub fn words(&self) -> Result<SignatureWords, BlsError> {
        Ok(words::of_g2(&self.point()?.serialize()))
    }

    fn point(&self) -> Result<Signature, BlsError> {
        Signature::sig_validate(&self.0, true).map_err(BlsError::of)
    }
}

impl fmt::Debug for BlsSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlsSignature(redacted)")
    }
}
