//! Every call that each method of the SDKs makes: paths and bodies are ones that our words have, calldata is that of our
//! contract, and what is signed in between is the payer's. That the service answers them is shown by the SDKs themselves.

use alloy_primitives::hex;
use faregate_evm::credit::abi::{Core, Erc20};
use faregate_evm::recover;
use faregate_types::credit::api::{
    CreateAdminKey, CreateTab, NonceRequest, SetSuspension, SettlementStatus, VerifyRequest,
};
use faregate_types::credit::{
    Encoding, GuaranteeRequest, Message, SignIn, digest, parse_quantity, parse_signature, read,
    write,
};
use faregate_types::{Address, ChainId, hex_text};
use serde::Deserialize;
use serde_json::Value;

use super::equal;
use crate::case::Case;
use crate::judge::Heard;

/// What nodes are asked by web3 (specs/4mica.md §4.6).
const METHODS: [&str; 7] = [
    "eth_chainId",
    "eth_call",
    "eth_getTransactionCount",
    "eth_estimateGas",
    "eth_gasPrice",
    "eth_sendRawTransaction",
    "eth_getTransactionReceipt",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    step: String,
    calls: Vec<Call>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Call {
    Http {
        method: String,
        path: String,
        body: Value,
    },
    JsonRpc {
        method: String,
        params: Vec<Value>,
    },
}

/// All calls of one SDK.
///
/// # Errors
/// Names the first step that is not understood.
pub fn calls(case: &Case) -> Result<Heard, String> {
    case.only(&[], &["sdk", "web3", "private_key", "trace"])?;
    let steps: Vec<Step> = case.expected("trace")?;
    for step in &steps {
        for call in &step.calls {
            let understood = match call {
                Call::Http { method, path, body } => asked(method, path, body),
                Call::JsonRpc { method, params } => node(method, params),
            };
            understood.map_err(|error| format!("{}: {error}", step.step))?;
        }
    }
    let total: usize = steps.iter().map(|step| step.calls.len()).sum();
    if total < 50 {
        return Err(format!("has only {total} calls"));
    }
    Ok(Heard::same(case))
}

/// A call of the service.
fn asked(method: &str, path: &str, body: &Value) -> Result<(), String> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (method, parts.as_slice()) {
        (
            "GET",
            ["core", "public-params" | "health" | "tokens"] | ["core", "admin", "api-keys"],
        ) => nothing(body),
        ("GET", ["core", "tabs", tab]) => number(tab, "0x").and_then(|()| nothing(body)),
        ("GET", ["core", "tabs", tab, "guarantees" | "collateral-events"]) => {
            number(tab, "0x").and_then(|()| nothing(body))
        }
        ("GET", ["core", "tabs", tab, "guarantees", "latest"]) => {
            number(tab, "0x").and_then(|()| nothing(body))
        }
        ("GET", ["core", "tabs", tab, "guarantees", req]) => {
            number(tab, "0x")?;
            number(req, "").and_then(|()| nothing(body))
        }
        ("GET", ["core", "recipients", recipient, "tabs"]) => {
            statuses(query)?;
            address(recipient).and_then(|()| nothing(body))
        }
        (
            "GET",
            [
                "core",
                "recipients",
                recipient,
                "settled-tabs" | "pending-remunerations" | "payments",
            ],
        ) => address(recipient).and_then(|()| nothing(body)),
        ("GET", ["core", "users", user, "assets", asset]) => {
            address(user)?;
            address(asset).and_then(|()| nothing(body))
        }
        ("POST", ["core", "payment-tabs"]) => sent::<CreateTab>(body).map(drop),
        ("POST", ["core", "guarantees"]) => issued(&sent(body)?),
        ("POST", ["core", "users", user, "suspension"]) => {
            address(user).and_then(|()| sent::<SetSuspension>(body).map(drop))
        }
        ("POST", ["core", "admin", "api-keys"]) => sent::<CreateAdminKey>(body).map(drop),
        ("POST", ["core", "admin", "api-keys", _, "revoke"]) => {
            equal("body", &Value::Object(serde_json::Map::new()), body)
        }
        ("POST", ["auth", "nonce"]) => sent::<NonceRequest>(body).map(drop),
        ("POST", ["auth", "verify"]) => signed_in(&sent(body)?),
        _ => Err(format!("nobody answers {method} {path}")),
    }
}

/// A body that we read, and write with the same members. What is null is left out by the older SDK.
fn sent<M: Message>(body: &Value) -> Result<M, String> {
    let message: M = read(body.to_string().as_bytes()).map_err(|error| error.to_string())?;
    let ours: Value = serde_json::from_str(&write(&message)).map_err(|error| error.to_string())?;
    let (Value::Object(ours), Value::Object(theirs)) = (&ours, body) else {
        return Err("is no object".to_owned());
    };
    for (name, value) in ours {
        let theirs = theirs.get(name).unwrap_or(&Value::Null);
        equal(name, theirs, value)?;
    }
    let stranger = theirs.keys().find(|name| !ours.contains_key(*name));
    match stranger {
        Some(name) => Err(format!("{name} is not read")),
        None => Ok(message),
    }
}

/// The claims of the traces are signed in the domain of the service that was played to the SDKs.
fn issued(request: &GuaranteeRequest) -> Result<(), String> {
    let separator = digest::domain_separator("4Mica", "1", ChainId::evm(31_337));
    let found = request.signed_as(separator, recover);
    equal("encoding", &Some(Encoding::TypedV1), &found)
}

fn signed_in(request: &VerifyRequest) -> Result<(), String> {
    let message = SignIn::parse(&request.message).map_err(|error| error.to_string())?;
    equal("address", &request.address, &message.address)?;
    let signature = parse_signature(&request.signature).map_err(|error| error.to_string())?;
    let signer = recover(message.digest(), &signature);
    equal("signer", &Some(request.address), &signer)
}

/// A call of a node.
fn node(method: &str, params: &[Value]) -> Result<(), String> {
    if !METHODS.contains(&method) {
        return Err(format!("{method} is not among the calls of web3"));
    }
    let data = params.first().and_then(|call| call.get("data"));
    let Some(data) = data.and_then(Value::as_str) else {
        return Ok(());
    };
    let data = hex_text::parse_bytes(data).map_err(|error| error.to_string())?;
    // A payment in ETH goes to its recipient, with a text in it.
    if data.starts_with(b"tab_id:") {
        return Ok(());
    }
    let selector = data.first_chunk::<4>().ok_or("calls nothing")?;
    let known = Core::CoreCalls::SELECTORS.contains(selector)
        || Erc20::Erc20Calls::SELECTORS.contains(selector);
    if known {
        Ok(())
    } else {
        Err(format!("0x{} is no call of ours", hex::encode(selector)))
    }
}

fn nothing(body: &Value) -> Result<(), String> {
    equal("body", &Value::Null, body)
}

/// A number that is written so: tabs in hexadecimal, requests in decimal digits.
fn number(text: &str, prefix: &str) -> Result<(), String> {
    let is_number = text.starts_with(prefix) && parse_quantity(text).is_some();
    equal(text, &true, &is_number)
}

fn address(text: &str) -> Result<(), String> {
    let address: Address = hex_text::parse_address(text).map_err(|error| error.to_string())?;
    equal("checksum", &text, &address.to_string().as_str())
}

fn statuses(query: &str) -> Result<(), String> {
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .try_for_each(|part| {
            let status = part
                .strip_prefix("settlement_status=")
                .and_then(SettlementStatus::from_name);
            status
                .map(drop)
                .ok_or_else(|| format!("{part} is no status"))
        })
}
