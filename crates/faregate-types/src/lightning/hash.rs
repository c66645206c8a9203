//! Payment hashes and the preimages that prove a payment.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::{B256, Keccak256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

use crate::hex_text::{self, HexError};
use crate::id::PaymentId;

/// How long the text of a preimage is that a wallet has base64-decoded although it was hexadecimal already.
const TWICE_DECODED_DIGITS: usize = 96;

/// The SHA-256 of a preimage: what an invoice asks for, and the natural key of one Lightning payment.
///
/// In text 64 hexadecimal digits without `0x`, written in lower case, read in any.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentHash([u8; 32]);

/// The text is not a payment hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a payment hash of 64 hexadecimal digits")]
#[non_exhaustive]
pub struct PaymentHashError;

impl PaymentHash {
    /// The hash with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The id of the payment: an invoice is paid once, and the hash of its preimage names it on every network.
    #[must_use]
    pub fn payment_id(&self) -> PaymentId {
        let mut hasher = Keccak256::new();
        hasher.update(b"faregate/payment-id/lightning/1");
        hasher.update(self.0);
        PaymentId::from_bytes(hasher.finalize().0)
    }

    /// Whether this preimage is the one of this hash.
    #[must_use]
    pub fn is_of(&self, preimage: &Preimage) -> bool {
        preimage.hash() == *self
    }
}

impl fmt::Display for PaymentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", B256::from(self.0))
    }
}

impl fmt::Debug for PaymentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PaymentHash({self})")
    }
}

impl FromStr for PaymentHash {
    type Err = PaymentHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex_text::fill(text, &mut bytes).map_err(|_| PaymentHashError)?;
        Ok(Self(bytes))
    }
}

impl Serialize for PaymentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PaymentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::x402::wire::from_text(deserializer)
    }
}

/// The 32 secret bytes that a payer learns by paying. Wiped when dropped, never printed, compared in constant time.
///
/// ```
/// use faregate_types::lightning::Preimage;
///
/// let preimage = Preimage::parse(&"00".repeat(32)).unwrap();
/// assert_eq!(format!("{preimage:?}"), "Preimage(redacted)");
/// assert_eq!(
///     preimage.hash().to_string(),
///     "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
/// );
/// ```
pub struct Preimage(Box<Zeroizing<[u8; 32]>>);

/// Why a text is no preimage. Never carries a part of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreimageError {
    /// A character is not a hexadecimal digit.
    #[error("expected only hexadecimal digits in the preimage")]
    Digit,
    /// There are not 64 digits.
    #[error("expected a preimage of exactly 64 hexadecimal digits")]
    Length,
    /// 96 digits: 48 bytes, which are the base64 decoding of the 64 digits. The wallet took hexadecimal text for base64.
    #[error(
        "expected a preimage of 64 hexadecimal digits; these 96 are what is left of them when a wallet decodes hexadecimal text as base64"
    )]
    DecodedTwice,
}

impl Preimage {
    /// Takes 32 bytes and wipes the argument.
    #[must_use]
    pub fn from_bytes(mut bytes: [u8; 32]) -> Self {
        let boxed = Box::new(Zeroizing::new(bytes));
        bytes.zeroize();
        Self(boxed)
    }

    /// Reads exactly 64 hexadecimal digits of any case.
    ///
    /// # Errors
    /// [`PreimageError`]; for text that [`repaired`](Self::repaired) can read it is [`PreimageError::DecodedTwice`].
    pub fn parse(text: &str) -> Result<Self, PreimageError> {
        let mut bytes = Box::new(Zeroizing::new([0; 32]));
        match hex_text::fill(text, bytes.as_mut_slice()) {
            Ok(()) => Ok(Self(bytes)),
            Err(HexError::Length) if Self::repaired(text).is_some() => {
                Err(PreimageError::DecodedTwice)
            }
            Err(HexError::Length) => Err(PreimageError::Length),
            Err(HexError::Digit | HexError::Prefix) => Err(PreimageError::Digit),
        }
    }

    /// The preimage behind 96 digits that a wallet made by decoding the right 64 as base64; `None` for any other text.
    ///
    /// Seen with LND, whose payments carry hexadecimal where its other fields are base64 (specs/l402.md §1.3). The result is
    /// as unproven as any preimage: compare its hash.
    #[must_use]
    pub fn repaired(text: &str) -> Option<Self> {
        if text.len() != TWICE_DECODED_DIGITS {
            return None;
        }
        let mut decoded = Zeroizing::new([0; 48]);
        hex_text::fill(text, decoded.as_mut_slice()).ok()?;
        let digits = Zeroizing::new(STANDARD.encode(decoded.as_slice()));
        let mut bytes = Box::new(Zeroizing::new([0; 32]));
        hex_text::fill(&digits, bytes.as_mut_slice()).ok()?;
        Some(Self(bytes))
    }

    /// The payment hash this preimage proves.
    #[must_use]
    pub fn hash(&self) -> PaymentHash {
        PaymentHash(Sha256::digest(self.0.as_slice()).into())
    }

    /// The secret itself. Called `expose` so that a review can find every use.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The secret as 64 lower-case hexadecimal digits, for the one place it has to be sent to.
    #[must_use]
    pub fn expose_hex(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(64));
        for byte in self.0.iter() {
            for nibble in [byte >> 4, byte & 0xf] {
                text.extend(char::from_digit(u32::from(nibble), 16));
            }
        }
        text
    }
}

impl PartialEq for Preimage {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for Preimage {}

impl fmt::Debug for Preimage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Preimage(redacted)")
    }
}
