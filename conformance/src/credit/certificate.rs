//! Certificates: what they say, in both layouts, and whether they are good.

use alloy_primitives::keccak256;
use faregate_types::credit::certificate::domain_separator;
use faregate_types::credit::{
    BlsPublicKey, Certificate, Claims, Guarantee, GuaranteeVersion, Layout,
};
use faregate_types::{Address, B256, ChainId};
use serde_json::{Value, json};

use super::{equal, expected_bytes, input_bytes, said, verdict};
use crate::case::Case;
use crate::judge::Heard;

/// The separator of a contract.
///
/// # Errors
/// Names the first difference.
pub fn domain(case: &Case) -> Result<Heard, String> {
    case.only(
        &["label", "chain_id", "contract"],
        &["preimage", "domain_separator"],
    )?;
    let version = match case.input::<String>("label")?.as_str() {
        "4MICA_CORE_GUARANTEE_V1" => GuaranteeVersion::V1,
        "4MICA_CORE_GUARANTEE_V2" => GuaranteeVersion::V2,
        other => return Err(format!("{other} is no version")),
    };
    let chain = ChainId::new(case.input("chain_id")?).ok_or("0 is no chain")?;
    let contract: Address = case.input("contract")?;
    let theirs: B256 = case.expected("domain_separator")?;
    equal(
        "separator",
        &theirs,
        &domain_separator(version, chain, contract),
    )?;
    let preimage = expected_bytes(case, "preimage")?;
    equal("hash of the preimage", &theirs, &keccak256(&preimage))?;
    Ok(Heard::same(case))
}

/// What the bytes of a certificate say.
///
/// # Errors
/// Names the first difference.
pub fn decode(case: &Case) -> Result<Heard, String> {
    case.only(
        &["encoded", "encoded_len", "field_order"],
        &["decoded", "ok", "job_hash", "error", "message"],
    )?;
    let encoded = input_bytes(case, "encoded")?;
    equal("length", &case.input("encoded_len")?, &encoded.len())?;
    let read = Guarantee::decode(&encoded);
    if let Ok((guarantee, layout)) = &read {
        equal(
            "encoded again",
            &encoded.to_vec(),
            &guarantee.encode_as(*layout),
        )?;
        let order = case.inputs.get("field_order").and_then(Value::as_str);
        let named = match layout {
            _ if guarantee.validation.is_none() => None,
            Layout::TagFirst => Some("tag_then_job_hash"),
            Layout::JobFirst => Some("job_hash_then_tag"),
        };
        equal("layout", &order, &named)?;
        compare(case, guarantee)?;
    }
    Ok(Heard::one(case, said(case), verdict(read.is_ok())))
}

/// A certificate, its key, and the contract that it should be for.
///
/// # Errors
/// Names the first difference.
pub fn verify(case: &Case) -> Result<Heard, String> {
    case.only(
        &["public_key", "domains", "active_domain", "cert"],
        &["valid", "decoded", "error", "message"],
    )?;
    let key = input_bytes(case, "public_key")?;
    let key = BlsPublicKey::from_bytes(&key).map_err(|error| error.to_string())?;
    let certificate: Certificate = case.input("cert")?;
    let domains: Value = case.input("domains")?;
    let domain = |version: GuaranteeVersion| -> Option<B256> {
        let domain = domains.get(version.number().to_string())?.as_str()?;
        domain.parse().ok()
    };
    let outcome = certificate.verify_for(&key, domain);
    if let Ok(guarantee) = &outcome {
        compare(case, guarantee)?;
    }
    let theirs = case.expected.get("message").and_then(Value::as_str);
    let known = [
        "guarantee domain mismatch",
        "certificate signature mismatch",
        "unsupported guarantee claims version",
    ];
    let told = |text: &str| {
        let known = known.into_iter().find(|known| text.starts_with(known));
        known.unwrap_or("refused").to_owned()
    };
    let ours = match &outcome {
        Ok(_) => "accepted".to_owned(),
        Err(error) => told(&error.to_string()),
    };
    Ok(Heard::one(
        case,
        theirs.map_or_else(|| said(case).to_owned(), told),
        ours,
    ))
}

/// Compares what was read with what the peer read, where it read something.
fn compare(case: &Case, guarantee: &Guarantee) -> Result<(), String> {
    if case.expected.get("job_hash").is_some() {
        let job = guarantee.validation.as_ref().map(|policy| policy.job_hash);
        equal("job", &Some(case.expected::<B256>("job_hash")?), &job)?;
    }
    let Some(theirs) = case.expected.get("decoded") else {
        return Ok(());
    };
    // Addresses outside the condition come in lower case from the peer.
    let lower = |address: Address| format!("{address:#x}");
    let mut ours = json!({
        "domain": guarantee.domain,
        "user_address": lower(guarantee.payer),
        "recipient_address": lower(guarantee.recipient),
        "tab_id": guarantee.tab_id,
        "req_id": guarantee.req_id,
        "amount": guarantee.amount,
        "total_amount": guarantee.total_amount,
        "asset_address": lower(guarantee.asset),
        "timestamp": guarantee.timestamp.as_secs(),
        "version": guarantee.version().number(),
    });
    if let Some(policy) = condition(guarantee) {
        ours["validation_policy"] = policy;
    }
    equal("decoded", theirs, &ours)
}

/// The condition as claims have it.
fn condition(guarantee: &Guarantee) -> Option<Value> {
    let claims = Claims {
        payer: guarantee.payer,
        recipient: guarantee.recipient,
        tab_id: guarantee.tab_id,
        req_id: guarantee.req_id,
        amount: guarantee.amount,
        asset: guarantee.asset,
        timestamp: guarantee.timestamp,
        validation: Some(guarantee.validation.clone()?),
    };
    let Ok(Value::Object(mut members)) = serde_json::to_value(claims) else {
        return None;
    };
    let common = [
        "version",
        "user_address",
        "recipient_address",
        "tab_id",
        "req_id",
        "amount",
        "asset_address",
        "timestamp",
    ];
    members.retain(|name, _| !common.contains(&name.as_str()));
    Some(Value::Object(members))
}
