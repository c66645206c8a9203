//! What x402 §2.2 and §8 ask of a facilitator whatever other facilitators do, read off the recorded request.
//!
//! | request | answer |
//! |---|---|
//! | an `x402Version` that does not exist | 400 `invalid_x402_version` |
//! | another scheme than `exact` on either side | `unsupported_scheme` |
//! | another network in the payload than in the requirements | `network_mismatch` |
//! | a network that is not the facilitator's | `invalid_exact_evm_failed_to_get_network_config` |
//! | no `authorization`, or numbers in it that are no texts of decimal digits | `invalid_payload` |
//! | 65 bytes of signature that do not end with 27 or 28 | `invalid_exact_evm_payload_signature` |
//! | a settlement that was made before | the same answer again, nothing sent |

use faregate_types::{ChainId, hex_text};
use serde_json::Value;

use super::facilitator::by;
use super::has_strict_numbers;

/// What is added to the words about a settlement that was made before.
pub(super) const AGAIN: &str = ", the one from before";

/// The answer to `/verify`, if a rule asks for one.
pub(super) fn verified(inputs: &Value, chain: u64) -> Option<String> {
    let payload = inputs.get("paymentPayload")?;
    let requirements = inputs.get("paymentRequirements")?;
    let version = payload.get("x402Version").and_then(Value::as_u64);
    let Some(version @ (1 | 2)) = version else {
        return Some("http 400 invalid_x402_version".to_owned());
    };
    let paid = if version == 1 {
        payload
    } else {
        payload.get("accepted")?
    };
    let reason = reason(paid, payload.get("payload")?, requirements, chain)?;
    let payer = payload
        .pointer("/payload/authorization/from")
        .and_then(Value::as_str);
    let payer = payer.filter(|payer| hex_text::parse_address(payer).is_ok());
    Some(format!("refused: {reason}{}", by(payer).ok()?))
}

/// The answer to `/settle` for a payment that was settled with this answer before.
pub(super) fn settled_again(first: &str) -> Option<String> {
    first
        .starts_with("settled")
        .then(|| format!("{first}{AGAIN}"))
}

fn reason(paid: &Value, payload: &Value, requirements: &Value, chain: u64) -> Option<&'static str> {
    let text =
        |object: &Value, key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
    let schemes = [text(paid, "scheme"), text(requirements, "scheme")];
    let networks = [text(paid, "network"), text(requirements, "network")];
    let [Some(network), Some(required)] = networks else {
        return None;
    };
    let number = ChainId::from_v1_name(&required).or_else(|| required.parse().ok());
    if schemes
        .iter()
        .any(|scheme| scheme.as_deref() != Some("exact"))
    {
        Some("unsupported_scheme")
    } else if network != required {
        Some("network_mismatch")
    } else if number.map(ChainId::get) != Some(chain) {
        Some("invalid_exact_evm_failed_to_get_network_config")
    } else if requirements.pointer("/extra/name").is_none()
        || payload.get("permit2Authorization").is_some()
    {
        // Other reasons come first, or the payload is another one.
        None
    } else if !has_strict_numbers(payload) {
        Some("invalid_payload")
    } else {
        let signature = text(payload, "signature").unwrap_or_default();
        let ends_wrong = !signature.ends_with("1b") && !signature.ends_with("1c");
        (signature.len() == 132 && ends_wrong).then_some("invalid_exact_evm_payload_signature")
    }
}
