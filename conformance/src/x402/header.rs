//! Header values, read and written.

use faregate_types::x402::{SettleResponse, header, v2};
use serde_json::Value;

use super::{equal, has_strict_numbers, json_inside, verdict};
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

/// Whether a `PAYMENT-SIGNATURE` is taken.
///
/// TypeScript's decoder takes base64 and JSON apart and looks no further there, so it is compared with ours at that depth.
/// Python's decoder reads the whole message, of the version it claims; so does ours.
///
/// Rule: a message without version, or of an unknown one, is refused (x402 §1.1).
///
/// # Errors
/// When the case has another form, or the JSON inside is another one.
pub fn payment_v2(case: &Case) -> Result<Heard, String> {
    case.only(&["base64"], &["ok", "error", "type", "value"])?;
    let (base64, peer): (String, bool) = (case.input("base64")?, case.expected("ok")?);
    let inside = json_inside(&base64);
    let decoded = header::decode_payment_v2(base64.as_bytes());
    if let Some(value) = case.expected.get("value") {
        equal("the JSON inside", Ok(value), inside.as_ref())?;
        if decoded.is_ok() && !value.get("accepted").is_some_and(Value::is_object) {
            return Err("is no payment, and our full decoder took it".to_owned());
        }
        return Ok(Heard::one(case, verdict(peer), verdict(inside.is_ok())));
    }
    let version = inside
        .as_ref()
        .map(|json| json.get("x402Version").and_then(Value::as_u64));
    let ours = match version {
        Ok(Some(1)) => header::decode_payment_v1(base64.as_bytes()).is_ok(),
        Ok(_) | Err(_) => decoded.is_ok(),
    };
    let is_unknown = version.is_ok_and(|version| !matches!(version, Some(1 | 2)));
    Ok(Heard::one(case, verdict(peer), verdict(ours)).ruled(is_unknown.then_some(verdict(false))))
}

/// Whether an `X-PAYMENT` is taken.
///
/// Rule: amounts and times are texts of decimal digits (x402 §2.2).
///
/// # Errors
/// When the case has another form.
pub fn payment_v1(case: &Case) -> Result<Heard, String> {
    case.only(&["header"], &["ok"])?;
    let (value, peer): (String, bool) = (case.input("header")?, case.expected("ok")?);
    let ours = header::decode_payment_v1(value.as_bytes());
    let is_loose = json_inside(&value).is_ok_and(|json| {
        json.get("payload")
            .is_some_and(|payload| !has_strict_numbers(payload))
    });
    let heard = Heard::one(case, verdict(peer), verdict(ours.is_ok()));
    Ok(heard.ruled(is_loose.then_some(verdict(false))))
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
