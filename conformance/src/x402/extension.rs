//! Extensions: identifiers of purchases, and echoes of what was offered.

use faregate_types::IdempotencyKey;
use faregate_types::x402::extension::is_echo;
use serde_json::{Map, Value};

use crate::case::Case;
use crate::judge::Heard;

/// Whether a text may name a purchase.
///
/// # Errors
/// When the case has another form.
pub fn identifier(case: &Case) -> Result<Heard, String> {
    case.only(&["id"], &["valid"])?;
    let id: String = case.input("id")?;
    let ours = IdempotencyKey::from_payment_identifier(&id).is_ok();
    Ok(Heard::one(
        case,
        valid(case.expected("valid")?),
        valid(ours),
    ))
}

/// Whether the extensions of a payment are an echo of what was offered.
///
/// # Errors
/// When the case has another form.
pub fn echo(case: &Case) -> Result<Heard, String> {
    case.only(&["advertised", "echoed"], &["valid", "invalidReason"])?;
    let offered: Map<String, Value> = case.input("advertised")?;
    let echoed: Option<Map<String, Value>> = case.input("echoed")?;
    let ours = echoed.is_none_or(|echoed| is_echo(&offered, &echoed));
    Ok(Heard::one(
        case,
        valid(case.expected("valid")?),
        valid(ours),
    ))
}

const fn valid(is: bool) -> &'static str {
    if is { "valid" } else { "invalid" }
}
