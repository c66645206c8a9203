//! Which messages are taken and which refused. Everything goes through the decoders that the products use.

use faregate_types::Code;
use faregate_types::x402::{FacilitatorRequest, VersionTag, header, matches, v1, v2};
use serde_json::{Value, json};

use super::{matching, verdict};
use crate::case::Case;
use crate::judge::Heard;

/// A 402 answer of either version.
///
/// # Errors
/// When the case has another form.
pub fn payment_required(case: &Case) -> Result<Heard, String> {
    let json = message(case)?;
    let ours = header::decode_payment_required(header::encode(&json).as_bytes()).is_ok()
        || v1::PaymentRequired::decode(json.to_string().as_bytes()).is_ok();
    Ok(Heard::one(
        case,
        verdict(case.expected("valid")?),
        verdict(ours),
    ))
}

/// A payment of either version, whatever the payload of its scheme.
///
/// # Errors
/// When the case has another form.
pub fn payment_payload(case: &Case) -> Result<Heard, String> {
    let json = message(case)?;
    let ours = header::decode_payment_v2(header::encode(&json).as_bytes()).is_ok()
        || serde_json::from_str::<v1::PaymentPayload>(&json.to_string()).is_ok();
    Ok(Heard::one(
        case,
        verdict(case.expected("valid")?),
        verdict(ours),
    ))
}

/// One offer of v1: whether it can be read in a 402 body, and means something to a facilitator.
///
/// # Errors
/// When the case has another form.
pub fn requirements_v1(case: &Case) -> Result<Heard, String> {
    let body = json!({ "x402Version": 1, "accepts": [message(case)?] });
    let ours = v1::PaymentRequired::decode(body.to_string().as_bytes())
        .is_ok_and(|required| required.accepts.into_iter().all(is_meaningful));
    Ok(Heard::one(
        case,
        verdict(case.expected("valid")?),
        verdict(ours),
    ))
}

/// Scheme, network, amount and addresses are ones. The domain in `extra` may be missing in v1.
fn is_meaningful(requirements: v1::PaymentRequirements) -> bool {
    let payload = v1::PaymentPayload {
        x402_version: VersionTag,
        scheme: requirements.scheme.clone(),
        network: requirements.network.clone(),
        payload: json!({}),
    };
    let request = FacilitatorRequest::V1 {
        payload,
        requirements,
    };
    // The payload is empty, so it ends there at the latest.
    let refusal = request.exact().err().map(|refusal| refusal.code);
    matches!(
        refusal,
        Some(Code::InvalidPayload | Code::MissingEip712Domain)
    )
}

/// Whether what a client accepted is what we offered.
///
/// # Errors
/// When the case has another form.
pub fn accepted(case: &Case) -> Result<Heard, String> {
    case.only(&["required", "accepted"], &["match"])?;
    let required: v2::PaymentRequirements = case.input("required")?;
    let accepted: v2::PaymentRequirements = case.input("accepted")?;
    let ours = matches(&required, &accepted);
    Ok(Heard::one(
        case,
        matching(case.expected("match")?),
        matching(ours),
    ))
}

/// The message; where in it the peers saw the fault (`paths`) is in their validator's words and not compared.
fn message(case: &Case) -> Result<Value, String> {
    case.only(&["json"], &["valid", "paths"])?;
    case.input("json")
}
