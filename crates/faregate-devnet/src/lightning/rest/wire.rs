//! The JSON of LND.

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use faregate_types::lightning::PaymentHash;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::lightning::invoice::CLTV_EXPIRY;
use crate::lightning::net::{Entry, EntryState, Failure, Payment, PaymentState};

/// A number of 64 bits: a string or a number, as in proto3's JSON.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct Int(pub(super) u64);

impl TryFrom<Value> for Int {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let number = match &value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_u64(),
            Value::Null => Some(0),
            Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        number.map(Self).ok_or("expected a number")
    }
}

pub(super) fn sat(msat: u64) -> String {
    msat.div_euclid(1_000).to_string()
}

/// 32 bytes in base64 of either alphabet.
pub(super) fn bytes32(text: &str) -> Option<[u8; 32]> {
    let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
    bytes.ok()?.try_into().ok()
}

/// A hash in the path: hexadecimal, or base64.
pub(super) fn hash_in_path(text: &str) -> Option<PaymentHash> {
    text.parse()
        .ok()
        .or_else(|| bytes32(text).map(PaymentHash::from_bytes))
}

/// Whether the query has this flag set.
pub(super) fn flag(uri: &Uri, name: &str) -> bool {
    let query = uri.query().unwrap_or_default();
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .any(|(key, value)| key == name && value == "true")
}

pub(super) fn invoice(hash: &PaymentHash, entry: &Entry, now: u64) -> Value {
    let msat = entry.amount.get();
    let settled = entry.state == EntryState::Settled;
    let paid = if settled { msat } else { 0 };
    let state = match entry.state {
        EntryState::Open if entry.is_expired(now) => "CANCELED",
        EntryState::Open => "OPEN",
        EntryState::Accepted => "ACCEPTED",
        EntryState::Settled => "SETTLED",
        EntryState::Cancelled => "CANCELED",
    };
    json!({
        "memo": entry.memo,
        "r_preimage": STANDARD.encode(entry.preimage),
        "r_hash": STANDARD.encode(hash.as_bytes()),
        "value": sat(msat),
        "value_msat": msat.to_string(),
        "settled": settled,
        "creation_date": entry.created_secs.to_string(),
        "settle_date": entry.settled_secs.to_string(),
        "payment_request": entry.text,
        "description_hash": "",
        "expiry": entry.expiry_secs.to_string(),
        "fallback_addr": "",
        "cltv_expiry": CLTV_EXPIRY.to_string(),
        "route_hints": [],
        "private": entry.private,
        "add_index": entry.add_index.to_string(),
        "settle_index": entry.settle_index.to_string(),
        "amt_paid": paid.to_string(),
        "amt_paid_sat": sat(paid),
        "amt_paid_msat": paid.to_string(),
        "state": state,
        "htlcs": [],
        "features": {},
        "is_keysend": false,
        "payment_addr": STANDARD.encode(entry.payment_secret),
        "is_amp": false,
        "amp_invoice_state": {},
    })
}

pub(super) fn payment(payment: &Payment) -> Value {
    let (status, preimage, failure) = match payment.state {
        PaymentState::InFlight => ("IN_FLIGHT", [0; 32], "FAILURE_REASON_NONE"),
        PaymentState::Succeeded { preimage } => ("SUCCEEDED", preimage, "FAILURE_REASON_NONE"),
        PaymentState::Failed(failure) => ("FAILED", [0; 32], reason(failure)),
    };
    json!({
        "payment_hash": payment.payment_hash.to_string(),
        "value": sat(payment.amount.get()),
        "creation_date": payment.created_secs.to_string(),
        "fee": sat(payment.fee.get()),
        "payment_preimage": hex::encode(preimage),
        "value_sat": sat(payment.amount.get()),
        "value_msat": payment.amount.get().to_string(),
        "payment_request": payment.invoice,
        "status": status,
        "fee_sat": sat(payment.fee.get()),
        "fee_msat": payment.fee.get().to_string(),
        "creation_time_ns": payment.created_secs.saturating_mul(1_000_000_000).to_string(),
        "htlcs": [],
        "payment_index": payment.index.to_string(),
        "failure_reason": failure,
    })
}

const fn reason(failure: Failure) -> &'static str {
    match failure {
        Failure::NoRoute => "FAILURE_REASON_NO_ROUTE",
        Failure::InsufficientBalance => "FAILURE_REASON_INSUFFICIENT_BALANCE",
        Failure::IncorrectDetails => "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS",
    }
}
