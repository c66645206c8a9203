//! Good messages, as the real SDKs write them, and a way to spoil them.

use serde_json::{Value, json};

pub(crate) const PAYER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
pub(crate) const PAYEE: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
pub(crate) const USDC: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
pub(crate) const NONCE: &str = "0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480";
/// What the v2 SDKs sign with dev account 1 for [`requirements_v2`] at 1740672089 with [`NONCE`].
pub(crate) const SIGNATURE_V2: &str = "0xf70fbdc611bbe3077f7fe15cc911579c0b8a3ea03c084ed9c489fa54ec60c34c63c1f21810b3ce96876b90c14501875ed73381ffb789c6a928b46a64b23abc201c";

pub(crate) fn requirements_v2() -> Value {
    json!({
        "scheme": "exact", "network": "eip155:84532", "amount": "10000", "asset": USDC, "payTo": PAYEE,
        "maxTimeoutSeconds": 60, "extra": {"name": "USDC", "version": "2"},
    })
}

pub(crate) fn requirements_v1() -> Value {
    json!({
        "scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "10000",
        "resource": "https://api.example.com/premium-data", "description": "Access to premium market data",
        "mimeType": "application/json", "payTo": PAYEE, "maxTimeoutSeconds": 60, "asset": USDC,
        "extra": {"name": "USDC", "version": "2"},
    })
}

pub(crate) fn required_v2() -> Value {
    json!({
        "x402Version": 2, "error": "Payment required",
        "resource": {
            "url": "https://api.example.com/premium-data", "description": "Access to premium market data",
            "mimeType": "application/json",
        },
        "accepts": [requirements_v2()],
    })
}

pub(crate) fn required_v1() -> Value {
    json!({"x402Version": 1, "error": "X-PAYMENT header is required", "accepts": [requirements_v1()]})
}

pub(crate) fn exact_payload() -> Value {
    json!({
        "signature": SIGNATURE_V2,
        "authorization": {
            "from": PAYER, "to": PAYEE, "value": "10000", "validAfter": "0", "validBefore": "1740672149",
            "nonce": NONCE,
        },
    })
}

pub(crate) fn payment_v2() -> Value {
    json!({"x402Version": 2, "accepted": requirements_v2(), "payload": exact_payload()})
}

pub(crate) fn payment_v1() -> Value {
    json!({"x402Version": 1, "scheme": "exact", "network": "base-sepolia", "payload": exact_payload()})
}

pub(crate) fn request_v2() -> Value {
    json!({"x402Version": 2, "paymentPayload": payment_v2(), "paymentRequirements": requirements_v2()})
}

pub(crate) fn request_v1() -> Value {
    json!({"x402Version": 1, "paymentPayload": payment_v1(), "paymentRequirements": requirements_v1()})
}

/// Sets the member at a JSON pointer.
pub(crate) fn with(mut message: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    message
        .pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .insert(key.to_owned(), value);
    message
}

/// Takes the member at a JSON pointer away.
pub(crate) fn without(mut message: Value, pointer: &str) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    message
        .pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove(key)
        .unwrap();
    message
}
