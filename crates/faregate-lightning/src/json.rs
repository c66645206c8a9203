//! Reading the JSON of backends: numbers that are strings, hashes in two alphabets, texts that nobody vouches for.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use faregate_types::lightning::{Msat, PaymentHash, Preimage};
use serde_json::Value;

use crate::limits::DETAIL_CHARS_MAX;

/// A text in an object, looked up by a path such as `/data/id`.
pub(crate) fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value
        .pointer(path)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

/// A whole number that is not negative, as a number or as a string.
pub(crate) fn integer(value: &Value, path: &str) -> Option<u64> {
    match value.pointer(path)? {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => number.as_u64(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number of millisatoshis.
pub(crate) fn msat(value: &Value, path: &str) -> Option<Msat> {
    integer(value, path).map(Msat::new)
}

/// A number of satoshis.
pub(crate) fn sat(value: &Value, path: &str) -> Option<Msat> {
    integer(value, path).and_then(Msat::from_sat)
}

/// A preimage in hexadecimal. Nodes write zeros where there is none.
pub(crate) fn preimage(value: &Value, path: &str) -> Option<Preimage> {
    let preimage = Preimage::parse(text(value, path)?).ok()?;
    (preimage.expose() != &[0; 32]).then_some(preimage)
}

/// Whether a payment hash is the one that is meant, where there is one at all.
pub(crate) fn is_about(value: &Value, path: &str, hash: &PaymentHash) -> bool {
    match text(value, path) {
        Some(text) => read_hash(text) == Some(*hash),
        None => true,
    }
}

/// A payment hash in hexadecimal, or in base64 of either alphabet.
pub(crate) fn read_hash(text: &str) -> Option<PaymentHash> {
    if let Ok(hash) = text.parse() {
        return Some(hash);
    }
    let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
    let bytes: [u8; 32] = bytes.ok()?.try_into().ok()?;
    Some(PaymentHash::from_bytes(bytes))
}

/// A text of a backend, cut to what fits into a line.
pub(crate) fn detail(text: &str) -> String {
    text.chars().take(DETAIL_CHARS_MAX).collect()
}
