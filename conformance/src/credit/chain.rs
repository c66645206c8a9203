//! The contract: calldata, selectors, topics, and what a recorded payment is told apart by.

use std::collections::BTreeSet;

use faregate_evm::credit::abi::{Core, ValidationDecoder, ValidationRegistry};
use faregate_evm::credit::{CreditCore, Event, Payment, eth_tab_calldata};
use faregate_types::credit::Certificate;
use faregate_types::{Address, B256, Bytes, U256};
use serde_json::{Map, Value};

use super::{bytes, equal, expected_bytes};
use crate::case::Case;
use crate::judge::Heard;

/// A call of the SDK.
///
/// # Errors
/// Names the first difference.
pub fn calldata(case: &Case) -> Result<Heard, String> {
    case.only(
        &["function", "args", "cert", "tab_id", "req_id"],
        &["data", "selector", "utf8"],
    )?;
    let theirs = expected_bytes(case, "data")?;
    equal("calldata", &theirs, &made(case)?)?;
    if case.expected.get("selector").is_some() {
        let selector = expected_bytes(case, "selector")?;
        equal("selector", &Some(&selector[..]), &theirs.get(..4))?;
    }
    if case.expected.get("utf8").is_some() {
        let text: String = case.expected("utf8")?;
        equal("text", &text.into_bytes(), &theirs.to_vec())?;
    }
    Ok(Heard::same(case))
}

/// The same call of ours.
fn made(case: &Case) -> Result<Bytes, String> {
    let core = CreditCore::at(Address::repeat_byte(0xc0));
    if case.inputs.get("cert").is_some() {
        let certificate: Certificate = case.input("cert")?;
        let words = certificate
            .signature
            .words()
            .map_err(|error| error.to_string())?;
        let call = core.remunerate(&certificate.claims, &words);
        return Ok(call.ok_or("too long a certificate")?.data);
    }
    if case.inputs.get("req_id").is_some() {
        let (tab, req): (U256, u64) = (case.input("tab_id")?, case.input("req_id")?);
        return Ok(eth_tab_calldata(tab, U256::from(req)));
    }
    let args: Vec<Value> = case.input("args")?;
    let address = |at: usize| typed::<Address>(&args, at);
    let number = |at: usize| typed::<U256>(&args, at);
    let function: String = case.input("function")?;
    Ok(match function.as_str() {
        "depositStablecoin(address,uint256)" => core.deposit(address(0)?, number(1)?).data,
        "payTabInERC20Token(uint256,address,uint256,address)" => {
            core.pay_tab(number(0)?, address(1)?, number(2)?, address(3)?)
                .data
        }
        "getPaymentStatus(uint256)" => core.payment_status(number(0)?).data,
        "getGuaranteeVersionConfig(uint64)" => {
            let version = u64::try_from(number(0)?).map_err(|error| error.to_string())?;
            core.version_config(version).data
        }
        "getUserAllAssets(address)" => core.user_assets(address(0)?).data,
        other => return Err(format!("nobody calls {other}")),
    })
}

fn typed<T: serde::de::DeserializeOwned>(args: &[Value], at: usize) -> Result<T, String> {
    let arg = args.get(at).ok_or("an argument is missing")?;
    serde_json::from_value(arg.clone()).map_err(|error| error.to_string())
}

/// Selectors and topics: the contract of ours has them all, but for those that upstream's newest one needs for its pool.
///
/// # Errors
/// Names the first difference.
pub fn selectors(case: &Case) -> Result<Heard, String> {
    /// Shares of a pool: our contract holds the tokens itself.
    const LEFT_OUT: [&str; 3] = [
        "guaranteeCapacity(address,address)",
        "stablecoinAToken(address)",
        "principalBalance(address,address)",
    ];
    /// As the ABI inside the SDKs still has it; no deployed contract logs it.
    const OLD: &str = "TabPaid(uint256,address,address,uint256)";

    case.only(&[], &["function", "event", "error"])?;
    let functions: BTreeSet<[u8; 4]> = Core::CoreCalls::SELECTORS
        .iter()
        .chain(ValidationDecoder::ValidationDecoderCalls::SELECTORS)
        .chain(ValidationRegistry::ValidationRegistryCalls::SELECTORS)
        .copied()
        .collect();
    let errors: BTreeSet<[u8; 4]> = Core::CoreErrors::SELECTORS.iter().copied().collect();
    each(case, "function", |name, bytes| {
        let known = <[u8; 4]>::try_from(bytes).is_ok_and(|selector| functions.contains(&selector));
        known != LEFT_OUT.contains(&name)
    })?;
    each(case, "error", |_, bytes| {
        <[u8; 4]>::try_from(bytes).is_ok_and(|selector| errors.contains(&selector))
    })?;
    each(case, "event", |name, bytes| {
        let known = Event::topics().iter().any(|topic| topic[..] == *bytes);
        known != (name == OLD)
    })?;
    Ok(Heard::same(case))
}

fn each(case: &Case, kind: &str, is_right: impl Fn(&str, &[u8]) -> bool) -> Result<(), String> {
    let empty = Map::new();
    let table = case.expected.get(kind).and_then(Value::as_object);
    for (name, digits) in table.unwrap_or(&empty) {
        let bytes = bytes(digits.as_str().unwrap_or_default())?;
        if !is_right(name, &bytes) {
            return Err(format!("{kind} {name} is not ours as it should be"));
        }
    }
    Ok(())
}

/// The digest of a recorded payment.
///
/// # Errors
/// Names the first difference.
pub fn record(case: &Case) -> Result<Heard, String> {
    case.only(&["tab_id", "asset", "amount"], &["digest"])?;
    let payment = Payment {
        id: B256::ZERO,
        tab: case.input("tab_id")?,
        asset: case.input("asset")?,
        amount: case.input("amount")?,
    };
    equal("digest", &case.expected("digest")?, &payment.digest())?;
    Ok(Heard::same(case))
}
