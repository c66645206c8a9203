//! Header values, read and written.

use faregate_types::x402::{SettleResponse, header, v2};
use serde_json::Value;

use super::{equal, json_inside, verdict};
use crate::case::Case;
use crate::judge::Heard;

/// `PAYMENT-RESPONSE`.
///
/// # Errors
/// Names the first difference.
pub fn receipt_v2(case: &Case) -> Result<Heard, String> {
    if case.inputs.get("settleResponse").is_some() {
        return receipt(case, header::PAYMENT_RESPONSE);
    }
    // Only to be read: what is in it are the members of the answer itself.
    case.only(&["base64"], &["success", "payer", "transaction", "network"])?;
    let base64: String = case.input("base64")?;
    let ours =
        header::decode_settle_response(base64.as_bytes()).map_err(|error| error.to_string())?;
    equal("decoded", &case.expected, &value_of(&ours)?)?;
    Ok(Heard::same(case))
}

/// `X-PAYMENT-RESPONSE`.
///
/// # Errors
/// Names the first difference.
pub fn receipt_v1(case: &Case) -> Result<Heard, String> {
    receipt(case, header::X_PAYMENT_RESPONSE)
}

/// `PAYMENT-REQUIRED`.
///
/// # Errors
/// Names the first difference.
pub fn payment_required(case: &Case) -> Result<Heard, String> {
    case.only(
        &["paymentRequired"],
        &["header", "base64", "decodedJsonText"],
    )?;
    let required: v2::PaymentRequired = case.input("paymentRequired")?;
    if case.expected.get("header").is_some() {
        name(case, header::PAYMENT_REQUIRED)?;
    }
    let theirs: String = case.expected("base64")?;
    let decoded =
        header::decode_payment_required(theirs.as_bytes()).map_err(|error| error.to_string())?;
    equal("decoded", &required, &decoded)?;
    let text: String = case.expected("decodedJsonText")?;
    let json: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    equal("their JSON", &json, &json_inside(&theirs)?)?;
    equal("our JSON", &json, &json_inside(&header::encode(&required))?)?;
    Ok(Heard::same(case))
}

/// Whether a `PAYMENT-SIGNATURE` is taken. The TypeScript SDK takes base64 and JSON apart and looks no further there;
/// its value is compared with ours at that depth.
///
/// # Errors
/// When the case has another form, or the JSON inside is another one.
pub fn payment_v2(case: &Case) -> Result<Heard, String> {
    case.only(&["base64"], &["ok", "error", "type", "value"])?;
    let base64: String = case.input("base64")?;
    if let Some(value) = case.expected.get("value") {
        equal("the JSON inside", value, &json_inside(&base64)?)?;
    }
    let peer = case.expected("ok")?;
    let ours = header::decode_payment_v2(base64.as_bytes());
    Ok(Heard::one(case, verdict(peer), verdict(ours.is_ok())))
}

/// Whether an `X-PAYMENT` is taken.
///
/// # Errors
/// When the case has another form.
pub fn payment_v1(case: &Case) -> Result<Heard, String> {
    case.only(&["header"], &["ok"])?;
    let (value, peer): (String, bool) = (case.input("header")?, case.expected("ok")?);
    let ours = header::decode_payment_v1(value.as_bytes());
    Ok(Heard::one(case, verdict(peer), verdict(ours.is_ok())))
}

/// Insists on the name of the header.
pub(super) fn name(case: &Case, ours: &str) -> Result<(), String> {
    let name: String = case.expected("header")?;
    equal("header name", name.to_lowercase().as_str(), ours)
}

fn receipt(case: &Case, name_of_ours: &str) -> Result<Heard, String> {
    case.only(&["settleResponse"], &["header", "base64", "decoded"])?;
    name(case, name_of_ours)?;
    let response: SettleResponse = case.input("settleResponse")?;
    let (theirs, decoded): (String, Value) = (case.expected("base64")?, case.expected("decoded")?);
    equal(
        "our JSON",
        &decoded,
        &json_inside(&header::encode(&response))?,
    )?;
    let read =
        header::decode_settle_response(theirs.as_bytes()).map_err(|error| error.to_string())?;
    equal("decoded", &response, &read)?;
    Ok(Heard::same(case))
}

fn value_of(response: &SettleResponse) -> Result<Value, String> {
    serde_json::to_value(response).map_err(|error| error.to_string())
}
