//! Macaroons as text: base64 in the forms that are deployed, of which each is the same token.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::macaroon::{Macaroon, MacaroonError};
use crate::limits::MACAROON_BYTES_MAX;

/// Most characters of a token: four for every three bytes.
const TOKEN_TEXT_MAX: usize = MACAROON_BYTES_MAX.div_ceil(3).saturating_mul(4);

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenTextError {
    /// Not base64, neither standard nor url-safe.
    #[error("expected a token in base64")]
    Base64,
    /// Longer than any macaroon.
    #[error("expected a token of at most {TOKEN_TEXT_MAX} characters")]
    TooLong,
    /// Base64 of something else.
    #[error(transparent)]
    Macaroon(#[from] MacaroonError),
}

/// The bytes behind a token's text. Either alphabet, with or without padding, but not a mixture, no blanks, no stray bits.
pub(super) fn bytes(text: &str) -> Result<Vec<u8>, TokenTextError> {
    if text.len() > TOKEN_TEXT_MAX {
        return Err(TokenTextError::TooLong);
    }
    let url_safe = text.bytes().any(|byte| matches!(byte, b'-' | b'_'));
    let engine = if url_safe { &URL_SAFE } else { &STANDARD };
    engine.decode(text).map_err(|_| TokenTextError::Base64)
}

impl Macaroon {
    /// Reads base64 in any of its deployed forms: they are one token, compared by its bytes.
    ///
    /// # Errors
    /// [`TokenTextError`].
    pub fn from_base64(text: &str) -> Result<Self, TokenTextError> {
        Ok(Self::decode(&bytes(text)?)?)
    }

    /// Standard base64 with padding, the one form every client reads.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.as_bytes())
    }
}
