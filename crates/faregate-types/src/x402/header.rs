//! Header names, and the codec of their values: standard base64 over the UTF-8 bytes of a JSON object.
//!
//! We write padded base64 and JSON without blanks. We read padded or unpadded base64 of the standard alphabet; the
//! URL-safe alphabet, line breaks and everything else are refused (specs/x402.md §1.1).

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::exact::Payload;
use super::{SCHEME_EXACT, SettleResponse, request, v1, v2, wire};
use crate::chain_id::ChainId;
use crate::code::Code;
use crate::limits::{HEADER_BYTES_MAX, V1_VALUE_DIGITS_MAX};
use crate::refusal::{Refusal, one_line};

/// Server to client, version 2: the offers.
pub const PAYMENT_REQUIRED: &str = "payment-required";
/// Client to server, version 2: the payment.
pub const PAYMENT_SIGNATURE: &str = "payment-signature";
/// Server to client, version 2: the receipt, or how settlement failed.
pub const PAYMENT_RESPONSE: &str = "payment-response";
/// Client to server, version 1: the payment.
pub const X_PAYMENT: &str = "x-payment";
/// Server to client, version 1: the receipt.
pub const X_PAYMENT_RESPONSE: &str = "x-payment-response";

/// Why a header value cannot be used, in the order of the checks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Longer than [`HEADER_BYTES_MAX`].
    #[error("expected a header of at most {HEADER_BYTES_MAX} bytes")]
    TooLarge,
    /// Not base64 of the standard alphabet.
    #[error("expected base64 of the standard alphabet")]
    Base64,
    /// Not a JSON object, or one nested too deep.
    #[error("expected a JSON object")]
    Json,
    /// `x402Version` is missing or another one.
    #[error("expected another x402Version")]
    Version,
    /// A member is missing, twice there or of the wrong type.
    #[error("{0}")]
    Shape(Box<str>),
    /// The payload is not one of scheme `exact`.
    #[error("{0}")]
    Payload(Refusal),
}

impl HeaderError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::TooLarge => Code::CredentialTooLarge,
            Self::Base64 | Self::Json | Self::Shape(_) => Code::MalformedCredential,
            Self::Version => Code::InvalidX402Version,
            Self::Payload(refusal) => refusal.code,
        }
    }
}

impl From<&HeaderError> for Refusal {
    fn from(error: &HeaderError) -> Self {
        match error {
            HeaderError::Payload(refusal) => refusal.clone(),
            other => Self::new(other.code()).detail(other.to_string()),
        }
    }
}

/// Writes a header value.
///
/// ```
/// use faregate_types::x402::{header, SettleResponse};
///
/// let receipt = SettleResponse::pending("eip155:84532", "0x12");
/// let text = header::encode(&receipt);
/// assert_eq!(header::decode_settle_response(text.as_bytes()).unwrap(), receipt);
/// ```
#[must_use]
pub fn encode<T: Serialize>(value: &T) -> String {
    STANDARD.encode(wire::to_json(value))
}

/// Reads a `PAYMENT-SIGNATURE` value.
///
/// # Errors
/// [`HeaderError`] names the first check that failed.
pub fn decode_payment_v2(value: &[u8]) -> Result<v2::PaymentPayload, HeaderError> {
    decode(value, Some(2))
}

/// Reads an `X-PAYMENT` value, as strictly as the v1 SDKs: scheme `exact`, a network with a v1 name we know, and a
/// complete EIP-3009 payload.
///
/// # Errors
/// [`HeaderError`] names the first check that failed.
pub fn decode_payment_v1(value: &[u8]) -> Result<v1::PaymentPayload, HeaderError> {
    let payment: v1::PaymentPayload = decode(value, Some(1))?;
    if payment.scheme != SCHEME_EXACT {
        return Err(HeaderError::Payload(Refusal::new(Code::UnsupportedScheme)));
    }
    if ChainId::from_v1_name(&payment.network).is_none() {
        return Err(HeaderError::Payload(
            Refusal::new(Code::InvalidNetwork).detail("expected a v1 network name"),
        ));
    }
    let payload = Payload::from_value(&payment.payload).map_err(HeaderError::Payload)?;
    if payload.authorization.value.to_string().len() > V1_VALUE_DIGITS_MAX {
        let detail =
            format!("expected authorization.value of at most {V1_VALUE_DIGITS_MAX} digits");
        return Err(HeaderError::Payload(
            Refusal::new(Code::InvalidPayload).detail(detail),
        ));
    }
    Ok(payment)
}

/// Reads a `PAYMENT-REQUIRED` value.
///
/// # Errors
/// [`HeaderError`] names the first check that failed.
pub fn decode_payment_required(value: &[u8]) -> Result<v2::PaymentRequired, HeaderError> {
    decode(value, Some(2))
}

/// Reads a value that is an object of any kind.
///
/// # Errors
/// [`HeaderError`] names the first check that failed.
pub fn decode_any(value: &[u8]) -> Result<serde_json::Value, HeaderError> {
    decode(value, None)
}

/// Reads a `PAYMENT-RESPONSE` or `X-PAYMENT-RESPONSE` value.
///
/// # Errors
/// [`HeaderError`] names the first check that failed.
pub fn decode_settle_response(value: &[u8]) -> Result<SettleResponse, HeaderError> {
    decode(value, None)
}

/// Takes the base64 off a header value, within the size limit. For tools that show headers.
///
/// # Errors
/// [`HeaderError::TooLarge`] or [`HeaderError::Base64`].
pub fn decode_base64(value: &[u8]) -> Result<Vec<u8>, HeaderError> {
    if value.len() > HEADER_BYTES_MAX {
        return Err(HeaderError::TooLarge);
    }
    ENGINE.decode(value).map_err(|_| HeaderError::Base64)
}

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn decode<T: DeserializeOwned>(value: &[u8], version: Option<u64>) -> Result<T, HeaderError> {
    let json = decode_base64(value)?;
    serde_json::from_slice(&json).map_err(|error| {
        // Only now, on the way out with an error, it matters which kind of error it was.
        match (request::claimed_version(&json), version) {
            (None, _) => HeaderError::Json,
            (Some(claimed), Some(wanted)) if claimed != Some(wanted) => HeaderError::Version,
            (Some(_), _) => HeaderError::Shape(one_line(&wire::describe(&error))),
        }
    })
}
