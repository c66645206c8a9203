//! The runners of the x402 recordings, by what they look at.

pub mod facilitator;
pub mod header;
pub mod money;
pub mod route;
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
fn equal<T: PartialEq + std::fmt::Debug + ?Sized>(
    what: &str,
    expected: &T,
    ours: &T,
) -> Result<(), String> {
    if expected == ours {
        Ok(())
    } else {
        Err(format!("{what}: expected {expected:?}, got {ours:?}"))
    }
}

/// `accepted` or `refused`.
const fn verdict(accepted: bool) -> &'static str {
    if accepted { "accepted" } else { "refused" }
}

/// `match` or `no match`.
const fn matching(matches: bool) -> &'static str {
    if matches { "match" } else { "no match" }
}
