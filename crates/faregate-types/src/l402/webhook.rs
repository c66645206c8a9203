//! `payment.received`: what a seller's own systems are told, and how they know it is from us (specs/l402.md §2.7).
//!
//! The scheme is l402kit's, texts of its errors included, so that receivers need not change. Unlike l402kit we leave the
//! preimage out unless it is asked for: who has it and the token may use what somebody else paid for.

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::hex_text;
use crate::lightning::PaymentHash;
use crate::limits::WEBHOOK_SIGNATURE_BYTES_MAX;
use crate::mac::hmac_sha256;
use crate::secret::Secret;
use crate::timestamp::Timestamp;

/// The header with the signature, in lower case.
pub const SIGNATURE_HEADER: &str = "l402-signature";

/// How far the clocks of sender and receiver may be apart, in seconds.
pub const TOLERANCE_SECS: u64 = 300;

/// The body of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that the sender builds by literal"
)]
pub struct Event {
    /// Names this event, so that a copy is recognised.
    pub id: String,
    /// `payment.received`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Seconds since 1970.
    pub created: u64,
    /// What was paid for.
    pub data: EventData,
}

/// What was paid for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that the sender builds by literal"
)]
pub struct EventData {
    /// The route.
    pub endpoint: String,
    /// Satoshis, parts of one counted as a whole.
    pub amount_sats: u64,
    /// 64 digits; only for receivers that ask for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preimage: Option<String>,
    /// Which payment.
    pub payment_hash: PaymentHash,
}

impl std::fmt::Debug for EventData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventData")
            .field("endpoint", &self.endpoint)
            .field("amount_sats", &self.amount_sats)
            .field("payment_hash", &self.payment_hash)
            .finish_non_exhaustive()
    }
}

/// Why a webhook is not to be believed, in l402kit's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// No header, or an empty one.
    #[error("[l402] Missing l402-signature header")]
    Missing,
    /// No time in it.
    #[error("[l402] Invalid l402-signature: missing timestamp")]
    NoTimestamp,
    /// No signature in it.
    #[error("[l402] Invalid l402-signature: missing v1")]
    NoSignature,
    /// Too old, or from the future.
    #[error("[l402] Webhook timestamp too old ({drift_secs}s drift, tolerance {TOLERANCE_SECS}s)")]
    TooOld {
        /// How far its time is from ours, in seconds.
        drift_secs: u64,
    },
    /// Another secret or another body.
    #[error("[l402] Webhook signature mismatch")]
    Mismatch,
}

/// The value of [`SIGNATURE_HEADER`] for a body that is sent at this time.
#[must_use]
pub fn sign(secret: &Secret, at: Timestamp, body: &[u8]) -> String {
    let time = at.to_string();
    let signature = hex_text::to_digits(&mac(secret, &time, body));
    format!("t={time},v1={signature}")
}

/// Checks the signature of a received body.
///
/// # Errors
/// [`WebhookError`]. Names and digits have to be as they are written: no blanks, lower case.
pub fn verify(
    secret: &Secret,
    header: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), WebhookError> {
    if header.is_empty() {
        return Err(WebhookError::Missing);
    }
    if header.len() > WEBHOOK_SIGNATURE_BYTES_MAX {
        return Err(WebhookError::Mismatch);
    }
    // Of several the last counts.
    let part = |name: &str| {
        let parts = header.rsplit(',').filter_map(|part| part.split_once('='));
        let mut values = parts.filter(|(other, _)| *other == name);
        values.next().map(|(_, value)| value)
    };
    let time = part("t").ok_or(WebhookError::NoTimestamp)?;
    let digits = time.bytes().all(|byte| byte.is_ascii_digit());
    let at: Option<u64> = time.parse().ok().filter(|_| digits);
    let at = at.ok_or(WebhookError::NoTimestamp)?;
    let signature = part("v1").ok_or(WebhookError::NoSignature)?;
    let drift_secs = now.as_secs().abs_diff(at);
    if drift_secs > TOLERANCE_SECS {
        return Err(WebhookError::TooOld { drift_secs });
    }
    let right = hex_text::to_digits(&mac(secret, time, body));
    if bool::from(right.as_bytes().ct_eq(signature.as_bytes())) {
        Ok(())
    } else {
        Err(WebhookError::Mismatch)
    }
}

fn mac(secret: &Secret, time: &str, body: &[u8]) -> [u8; 32] {
    hmac_sha256(secret.expose(), &[time.as_bytes(), b".", body])
}
