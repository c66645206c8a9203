//! The runners of the x402 recordings, by what they look at.

mod desk;
pub mod extension;
pub mod facilitator;
pub mod header;
pub mod money;
mod payer;
pub mod route;
mod rule;
pub mod schema;
pub mod signing;
pub mod words;
mod world;

use faregate_types::x402::header as codec;
use serde_json::Value;

/// The JSON inside a header value, as our decoder takes the base64 off.
fn json_inside(base64: &str) -> Result<Value, String> {
    let json = codec::decode_base64(base64.as_bytes()).map_err(|error| error.to_string())?;
    serde_json::from_slice(&json).map_err(|error| error.to_string())
}

/// Compares two things that have to be equal.
#[allow(
    clippy::needless_pass_by_value,
    reason = "both sides are mostly made on the spot"
)]
fn equal<T: PartialEq + std::fmt::Debug>(what: &str, expected: T, ours: T) -> Result<(), String> {
    if expected == ours {
        Ok(())
    } else {
        Err(format!("{what}: expected {expected:?}, got {ours:?}"))
    }
}

/// Whether amount and times of a payload are as strict as x402 §2.2 asks for: texts of decimal digits, without leading
/// zeros. Written down a second time here, so that our parser is not its own judge.
fn has_strict_numbers(payload: &Value) -> bool {
    let authorization = payload.get("authorization").unwrap_or(&Value::Null);
    ["value", "validAfter", "validBefore"]
        .into_iter()
        .all(|key| {
            let text = authorization
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default();
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            digits && (text == "0" || !text.is_empty() && !text.starts_with('0'))
        })
}

/// `accepted` or `refused`.
const fn verdict(accepted: bool) -> &'static str {
    if accepted { "accepted" } else { "refused" }
}

/// `match` or `no match`.
const fn matching(matches: bool) -> &'static str {
    if matches { "match" } else { "no match" }
}
