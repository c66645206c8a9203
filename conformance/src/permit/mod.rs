//! The runners of the permit rail's recordings: what `x402-mock` 0.1.1 to 0.3.0 sent, took and answered.
//!
//! Where the recorded case breaks down (a request that is never answered, a bare 500), the recording's own `ours` says what is
//! wanted; it is read as a rule.

pub mod chain;
mod desk;
pub mod signing;
pub mod token;
pub mod verdict;
pub mod wire;
pub mod words;

use faregate_types::permit::Decimal;
use faregate_types::{Address, Asset, AssetRegistry, hex_text};
use serde_json::Value;

use crate::case::Case;

use crate::l402::equal;

/// An address of the inputs.
fn address(case: &Case, key: &str) -> Result<Address, String> {
    parsed(&case.input::<String>(key)?)
}

fn parsed(text: &str) -> Result<Address, String> {
    hex_text::parse_address(text).map_err(|error| format!("{text}: {error}"))
}

/// The number that stands there, digit by digit.
fn decimal(value: &Value) -> Result<Decimal, String> {
    Decimal::parse(&value.to_string()).map_err(|error| format!("{value}: {error}"))
}

/// The USDC of a chain, from our own table: the product's table has nothing else.
fn usdc(chain: &str) -> Option<Asset> {
    let chain = faregate_types::permit::parse_chain(chain).ok()?;
    AssetRegistry::builtin().default_for(chain).cloned()
}

/// Whether everything of theirs is in ours, with the same value. Ours may have members beside them.
fn contains(ours: &Value, theirs: &Value) -> Result<(), String> {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            theirs.iter().try_for_each(|(key, value)| {
                let found = ours.get(key).ok_or_else(|| format!("no {key:?}"))?;
                contains(found, value).map_err(|error| format!("{key}: {error}"))
            })
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            let mut pairs = ours.iter().zip(theirs);
            pairs.try_for_each(|(ours, theirs)| contains(ours, theirs))
        }
        _ => equal("value", theirs, ours),
    }
}

/// `accepted` or `refused`.
const fn verdict(accepted: bool) -> &'static str {
    if accepted { "accepted" } else { "refused" }
}
