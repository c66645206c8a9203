//! Names: networks and reason codes.

use std::collections::BTreeMap;

use faregate_types::x402::network_matches;
use faregate_types::{ChainId, Code};
use serde_json::Value;

use super::matching;
use crate::case::Case;
use crate::judge::Heard;

/// Whether a pattern stands for a network.
///
/// # Errors
/// When the case has another form.
pub fn network(case: &Case) -> Result<Heard, String> {
    case.only(&["network", "pattern"], &["match"])?;
    let (network, pattern): (String, String) = (case.input("network")?, case.input("pattern")?);
    let peer = matching(case.expected("match")?);
    Ok(Heard::one(
        case,
        peer,
        matching(network_matches(&network, &pattern)),
    ))
}

/// Every reason of v1 is one we understand.
///
/// # Errors
/// Names the first that is not.
pub fn reasons(case: &Case) -> Result<Heard, String> {
    let reasons = case.expected.as_array().ok_or("expected a list")?;
    for reason in reasons {
        let known = reason.as_str().and_then(Code::from_str);
        known.ok_or_else(|| format!("{reason} is no reason we know"))?;
    }
    Ok(Heard::same(case))
}

/// Every network name of v1 stands for the same chain here, and back.
///
/// # Errors
/// Names the first that does not.
pub fn networks(case: &Case) -> Result<Heard, String> {
    let networks: BTreeMap<String, u64> =
        serde_json::from_value(Value::clone(&case.expected)).map_err(|error| error.to_string())?;
    for (name, number) in networks {
        let chain = ChainId::from_v1_name(&name);
        if chain.map(ChainId::get) != Some(number) {
            return Err(format!("{name}: expected {number}, got {chain:?}"));
        }
        let back = chain.and_then(ChainId::v1_name);
        if back != Some(name.as_str()) {
            return Err(format!("{number}: expected {name}, got {back:?}"));
        }
    }
    Ok(Heard::same(case))
}
