//! What the SDKs send and read: bodies of requests, answers, numbers, and what they refuse.

use faregate_evm::recover;
use faregate_types::credit::api::{
    AssetBalance, CollateralEvent, CreateTab, GuaranteeInfo, NonceAnswer, PendingRemuneration,
    PublicParams, RecipientPayment, TabInfo, Tokens,
};
use faregate_types::credit::{
    Claims, Encoding, GuaranteeRequest, Message, SigningScheme, parse_quantity, read, read_answer,
    to_quantity, write,
};
use faregate_types::{B256, Bytes, U256};
use serde_json::{Map, Value, json};

use super::{claims, equal, said, separator, signer, verdict};
use crate::case::Case;
use crate::judge::Heard;

/// A body that the SDK sends: read, and written the same.
///
/// # Errors
/// Names the first difference.
pub fn body(case: &Case) -> Result<Heard, String> {
    case.only(
        &["method", "path", "private_key", "params"],
        &["body", "same_as"],
    )?;
    let theirs: Value = case.expected("body")?;
    let text = theirs.to_string();
    let written = match case.input::<String>("path")?.as_str() {
        "/core/payment-tabs" => write(&parsed::<CreateTab>(&text)?),
        "/core/guarantees" => {
            let request: GuaranteeRequest = parsed(&text)?;
            let separator = separator(case)?;
            let digest = request.claims.digest(Encoding::TypedV1, separator);
            let signature = signer(case)?.sign_now(digest.ok_or("another version")?);
            equal(
                "signature",
                &Ok(request.signature),
                &signature.map_err(|error| error.to_string()),
            )?;
            write(&request)
        }
        other => return Err(format!("nobody sends this to {other}")),
    };
    let ours: Value = serde_json::from_str(&written).map_err(|error| error.to_string())?;
    equal("written", &without_nulls(&theirs), &without_nulls(&ours))?;
    Ok(Heard::same(case))
}

fn parsed<M: Message>(text: &str) -> Result<M, String> {
    read(text.as_bytes()).map_err(|error| error.to_string())
}

/// A member that is null and one that is not there say the same.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(_, value)| !value.is_null());
            let kept = kept.map(|(name, value)| (name.clone(), without_nulls(value)));
            Value::Object(kept.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// An answer as the SDK reads it: every member that it read is in what we read, and what we write is read as the same.
///
/// # Errors
/// Names the first difference.
pub fn answer(case: &Case) -> Result<Heard, String> {
    let label = case.name.rsplit('/').next().unwrap_or_default();
    if case.inputs.get("value").is_some() {
        return number(case);
    }
    let label = label.strip_prefix("sdk043_").unwrap_or(label);
    if label.starts_with("public_params") {
        return parameters(case);
    }
    if label.starts_with("auth_tokens") {
        return heard::<Tokens>(case, &[]);
    }
    let model = label.strip_prefix("model_").unwrap_or_default();
    match model.split('_').next().unwrap_or_default() {
        "TabInfo" => heard::<TabInfo>(case, &[]),
        "GuaranteeInfo" => heard::<GuaranteeInfo>(case, &[("timestamp", "start_timestamp")]),
        "PendingRemunerationInfo" => {
            heard::<PendingRemuneration>(case, &[("timestamp", "start_timestamp")])
        }
        "CollateralEventInfo" => heard::<CollateralEvent>(case, &[]),
        "AssetBalanceInfo" => heard::<AssetBalance>(case, &[]),
        "RecipientPaymentInfo" => heard::<RecipientPayment>(case, &[]),
        other => Err(format!("{other} is no answer")),
    }
}

/// Reads the payload as `M`, writes it, reads it again, and compares with what the SDK has under its own names.
fn heard<M: Message + PartialEq>(case: &Case, names: &[(&str, &str)]) -> Result<Heard, String> {
    let payload: Value = case.input("payload")?;
    let read: Result<M, _> = read_answer(payload.to_string().as_bytes());
    if let Ok(message) = &read {
        let written = write(message);
        let again: Result<M, _> = read_answer(written.as_bytes());
        equal(
            "read again",
            &true,
            &again.is_ok_and(|again| again == *message),
        )?;
        let ours: Value = serde_json::from_str(&written).map_err(|error| error.to_string())?;
        equal_members(&case.expected, &ours, names)?;
    }
    Ok(Heard::one(case, said(case), verdict(read.is_ok())))
}

/// Every member of theirs has its value in ours.
fn equal_members(theirs: &Value, ours: &Value, names: &[(&str, &str)]) -> Result<(), String> {
    let Value::Object(members) = theirs else {
        return Err(format!("{theirs} is no object"));
    };
    for (name, theirs) in members {
        let renamed = names.iter().find(|(of_sdk, _)| of_sdk == name);
        let name = renamed.map_or(name.as_str(), |(_, ours)| *ours);
        let ours = ours
            .get(name)
            .ok_or_else(|| format!("{name} is not read"))?;
        if theirs.is_object() && ours.is_object() {
            equal_members(theirs, ours, names)?;
        } else {
            equal(name, &plain(theirs), &plain(ours))
                .or_else(|error| as_float(theirs, ours).ok_or(error))?;
        }
    }
    Ok(())
}

/// The recording has numbers of 256 bits as digits, of which its reader makes floats: they are compared as far as those go.
fn as_float(theirs: &Value, ours: &Value) -> Option<()> {
    let theirs = theirs.as_f64().filter(|_| theirs.is_f64())?;
    let ours: f64 = plain(ours).parse().ok()?;
    (theirs.to_bits() == ours.to_bits()).then_some(())
}

/// Numbers as decimal digits, addresses in one case, certificates without the blanks that Python puts between members.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text.starts_with("0x") && text.len() == 42 => text.to_lowercase(),
        Value::String(text) if text.starts_with("0x") => {
            parse_quantity(text).map_or_else(|| text.clone(), |number| number.to_string())
        }
        Value::String(text) if text.starts_with('{') => text.replace(' ', ""),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The public parameters, with the names and the defaults of the SDK.
fn parameters(case: &Case) -> Result<Heard, String> {
    let payload: Value = case.input("payload")?;
    let read: Result<PublicParams, _> = read_answer(payload.to_string().as_bytes());
    if let Ok(params) = &read {
        let registries = params.trusted_registries.iter();
        let accepted = params
            .accepted()
            .into_iter()
            .map(|version| version.number());
        let ours = json!({
            "public_key": Bytes::from(params.public_key.to_bytes()),
            "contract_address": params.contract.to_string(),
            "ethereum_http_rpc_url": params.node_url,
            "eip712_name": params.eip712_name,
            "eip712_version": params.eip712_version,
            "chain_id": params.chain_id,
            "max_accepted_guarantee_version": params.max_version,
            "accepted_guarantee_versions": params.versions,
            "active_guarantee_domain_separator": params.active_domain.0.map_or_else(String::new, |domain| domain.to_string()),
            "trusted_validation_registries": registries.map(ToString::to_string).collect::<Vec<_>>(),
            "validation_hash_canonicalization_version": params.canonicalization,
            "accepted_or_default": accepted.collect::<Vec<_>>(),
        });
        for (name, theirs) in case.expected.as_object().into_iter().flatten() {
            equal(name, &Some(theirs), &ours.get(name))?;
        }
        let again = read_answer(write(params).as_bytes());
        equal("read again", &Ok(params.clone()), &again)?;
    }
    Ok(Heard::one(case, said(case), verdict(read.is_ok())))
}

/// A number in one of its forms, as a member of claims and alone.
fn number(case: &Case) -> Result<Heard, String> {
    case.only(&["value"], &["value", "serialized"])?;
    let value: Value = case.input("value")?;
    let number = read_number(&value)?;
    let theirs: u64 = case.expected("value")?;
    equal("number", &Some(U256::from(theirs)), &number)?;
    let written = number.map(to_quantity);
    equal(
        "written",
        &Some(case.expected::<String>("serialized")?),
        &written,
    )?;
    if let Value::String(text) = &value {
        equal("alone", &number, &parse_quantity(text))?;
    }
    Ok(Heard::same(case))
}

/// Claims of version 1 with this number as their tab.
fn read_number(value: &Value) -> Result<Option<U256>, String> {
    let zero = "0x0000000000000000000000000000000000000000";
    let claims = json!({
        "version": "v1", "user_address": zero, "recipient_address": zero, "tab_id": value, "req_id": 0, "amount": 0,
        "asset_address": zero, "timestamp": 0,
    });
    let read: Result<Claims, _> = read(claims.to_string().as_bytes());
    match read {
        Ok(claims) => Ok(Some(claims.tab_id)),
        Err(error) if error.to_string().starts_with("tab_id: ") => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// What the SDK refuses to send or to read.
///
/// # Errors
/// Names the first difference.
pub fn refusal(case: &Case) -> Result<Heard, String> {
    case.only(
        &[
            "private_key",
            "claims",
            "min_validation_score",
            "value",
            "payload",
        ],
        &["error", "message"],
    )?;
    let is_accepted = if case.inputs.get("claims").is_some() {
        let (claims, signer) = (claims(case)?, signer(case)?);
        let digest = claims
            .digest(Encoding::TypedV1, B256::ZERO)
            .ok_or("another version")?;
        let signature = signer.sign_now(digest).map_err(|error| error.to_string())?;
        let scheme = SigningScheme::Eip712;
        let request = GuaranteeRequest {
            claims,
            signature,
            scheme,
        };
        let found = request.signed_as(B256::ZERO, recover);
        found.is_some()
    } else if case.inputs.get("payload").is_some() {
        nonce(&case.input("payload")?)?
    } else if case.inputs.get("min_validation_score").is_some() {
        conditional("min_validation_score", &case.input("min_validation_score")?)?
    } else if case.name.contains("/neg_bytes32_") {
        conditional("job_hash", &case.input("value")?)?
    } else {
        read_number(&case.input("value")?)?.is_some()
    };
    Ok(Heard::one(case, said(case), verdict(is_accepted)))
}

/// Whether claims of version 2 are read with this member. With another value they are.
fn conditional(name: &str, value: &Value) -> Result<bool, String> {
    let (zero, word) = (
        format!("0x{}", "00".repeat(20)),
        format!("0x{}", "11".repeat(32)),
    );
    let mut claims = json!({
        "version": "v2", "user_address": zero, "recipient_address": zero, "tab_id": 0, "req_id": 0, "amount": 0,
        "asset_address": zero, "timestamp": 0, "validation_registry_address": zero, "validation_request_hash": word,
        "validation_chain_id": 1, "validator_address": zero, "validator_agent_id": 0, "min_validation_score": 80,
        "validation_subject_hash": word, "required_validation_tag": "", "job_hash": word,
    });
    let is_read = |claims: &Value| read::<Claims>(claims.to_string().as_bytes()).is_ok();
    equal("before", &true, &is_read(&claims))?;
    claims[name] = value.clone();
    Ok(is_read(&claims))
}

/// Whether an answer with a nonce is read. The recording's times (`e`, `i`) are none and stand for any; with real ones, and
/// with what is wrong made right, it is.
fn nonce(payload: &Value) -> Result<bool, String> {
    let good = json!({
        "nonce": "x",
        "siwe": {
            "domain": "d", "uri": "u", "chainId": 1, "statement": "s", "expiration": "2026-11-21T00:05:00Z",
            "issuedAt": "2026-11-21T00:00:00Z",
        },
    });
    let is_read =
        |answer: &Value| read_answer::<NonceAnswer>(answer.to_string().as_bytes()).is_ok();
    equal("before", &true, &is_read(&good))?;
    let mut payload = payload.clone();
    if let Some(siwe) = payload.get_mut("siwe") {
        siwe["expiration"] = good["siwe"]["expiration"].clone();
        siwe["issuedAt"] = good["siwe"]["issuedAt"].clone();
    }
    Ok(is_read(&payload))
}
