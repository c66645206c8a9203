//! L402 over gRPC: other carriers for the same things (specs/l402.md §1.3, §1.9).

use super::caveat::PREIMAGE;
use super::credential::{Credential, CredentialError};
use super::macaroon::Macaroon;
use crate::hex_text;
use crate::lightning::Preimage;
use crate::limits::MACAROON_BYTES_MAX;

/// Where gRPC clients send the macaroon, in hexadecimal digits, with the preimage in a caveat. Lower case.
pub const METADATA: [&str; 3] = ["macaroon", "grpc-metadata-macaroon", "token"];

/// `grpc-status` of a challenge: INTERNAL, which is what deployed clients look for.
pub const STATUS: &str = "13";

/// `grpc-message` of a challenge. Clients compare it letter by letter.
pub const MESSAGE: &str = "payment required";

/// `grpc-status` for too many requests: RESOURCE_EXHAUSTED.
pub const STATUS_RATE_LIMITED: &str = "8";

/// Whether a request is gRPC, by its `Content-Type`. It is answered with HTTP 200 and a status in the headers.
#[must_use]
pub fn is_grpc(content_type: &[u8]) -> bool {
    let start = b"application/grpc";
    content_type
        .get(..start.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(start))
}

impl Credential {
    /// Reads a value of [`METADATA`]: a macaroon in hexadecimal digits of any case, whose last caveat `preimage=` is the
    /// preimage.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub fn from_metadata(value: &[u8]) -> Result<Self, CredentialError> {
        if value.len() > MACAROON_BYTES_MAX.saturating_mul(2) {
            return Err(CredentialError::TooLarge);
        }
        let digits = std::str::from_utf8(value).map_err(|_| CredentialError::Hex)?;
        let bytes = hex_text::parse_digits(digits).map_err(|_| CredentialError::Hex)?;
        let macaroon =
            Macaroon::decode(&bytes).map_err(super::token_text::TokenTextError::Macaroon)?;
        let preimage = macaroon.caveats().rev().find_map(|caveat| {
            let (condition, value) = std::str::from_utf8(caveat.id).ok()?.split_once('=')?;
            (condition == PREIMAGE).then(|| Preimage::parse(value))
        });
        let preimage = preimage.ok_or(CredentialError::NoPreimage)??;
        Ok(Self {
            tokens: vec![macaroon],
            preimage,
        })
    }
}

/// The value of [`METADATA`] for a token and its preimage.
///
/// # Errors
/// [`MacaroonError::TooLarge`](super::MacaroonError) when there is no room for one more caveat.
pub fn write(
    token: &Macaroon,
    preimage: &Preimage,
) -> Result<zeroize::Zeroizing<String>, super::MacaroonError> {
    let digits = preimage.expose_hex();
    let caveat = zeroize::Zeroizing::new(format!("{PREIMAGE}={}", digits.as_str()));
    let carrier = token.attenuate(caveat.as_bytes())?;
    Ok(zeroize::Zeroizing::new(hex_text::to_digits(
        carrier.as_bytes(),
    )))
}
