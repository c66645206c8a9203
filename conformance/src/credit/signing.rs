//! What payers sign: typed data and messages of both versions, in every encoding, and the hashes of conditions.

use faregate_evm::recover;
use faregate_types::credit::{Encoding, GuaranteeRequest, SigningScheme, binding, parse_signature};
use faregate_types::{Address, B256};

use super::{claims, equal, expected_bytes, input_bytes, said, separator, signer, verdict};
use crate::case::Case;
use crate::judge::Heard;

/// Typed data.
///
/// # Errors
/// Names the first difference.
pub fn typed(case: &Case) -> Result<Heard, String> {
    case.only(
        &["params", "private_key", "claims", "field_order"],
        &[
            "type_string",
            "type_hash",
            "domain_type_string",
            "domain_separator",
            "struct_hash",
            "digest",
            "signature",
            "signer",
            "same_as",
        ],
    )?;
    let encoding = match order(case)? {
        None => Encoding::TypedV1,
        Some(Order::TagFirst) => Encoding::TypedV2TagFirst,
        Some(Order::JobFirst) => Encoding::TypedV2JobFirst,
    };
    let separator = separator(case)?;
    if case.expected.get("domain_separator").is_some() {
        equal("separator", &case.expected("domain_separator")?, &separator)?;
    }
    let struct_hash = claims(case)?.struct_hash(encoding);
    if case.expected.get("struct_hash").is_some() {
        equal("struct hash", &case.expected("struct_hash")?, &struct_hash)?;
    }
    signed(case, SigningScheme::Eip712, encoding, separator)?;
    Ok(Heard::same(case))
}

/// A message.
///
/// # Errors
/// Names the first difference.
pub fn message(case: &Case) -> Result<Heard, String> {
    case.only(
        &["private_key", "claims", "field_order", "outer_offset_word"],
        &[
            "payload",
            "payload_len",
            "prefix_ascii",
            "digest",
            "signature",
            "same_as",
        ],
    )?;
    let is_struct = case.inputs.get("outer_offset_word").is_some()
        && case.input::<bool>("outer_offset_word")?;
    let encoding = match (order(case)?, is_struct) {
        (None, false) => Encoding::MessageV1,
        (Some(Order::TagFirst), false) => Encoding::MessageV2TagFirst,
        (Some(Order::JobFirst), false) => Encoding::MessageV2JobFirst,
        (Some(Order::JobFirst), true) => Encoding::MessageV2Struct,
        _ => return Err("nobody encodes like this".to_owned()),
    };
    let payload = claims(case)?.message(encoding).ok_or("another version")?;
    if case.expected.get("payload").is_some() {
        equal(
            "payload",
            &expected_bytes(case, "payload")?.to_vec(),
            &payload,
        )?;
        equal("length", &case.expected("payload_len")?, &payload.len())?;
    }
    // Whatever the separator is: a message has none.
    signed(case, SigningScheme::Eip191, encoding, B256::ZERO)?;
    Ok(Heard::same(case))
}

enum Order {
    TagFirst,
    JobFirst,
}

fn order(case: &Case) -> Result<Option<Order>, String> {
    let Some(order) = case.inputs.get("field_order") else {
        return Ok(None);
    };
    match order.as_str() {
        Some("tag_then_job_hash") => Ok(Some(Order::TagFirst)),
        Some("job_hash_then_tag") => Ok(Some(Order::JobFirst)),
        _ => Err(format!("{order} is no order")),
    }
}

/// Our signer makes the recorded signature over the recorded digest, and it is found to be the payer's in this encoding.
fn signed(
    case: &Case,
    scheme: SigningScheme,
    encoding: Encoding,
    separator: B256,
) -> Result<(), String> {
    let claims = claims(case)?;
    let digest = claims
        .digest(encoding, separator)
        .ok_or("another version")?;
    if case.expected.get("digest").is_some() {
        equal("digest", &case.expected("digest")?, &digest)?;
    }
    let signer = signer(case)?;
    let ours = signer.sign_now(digest).map_err(|error| error.to_string())?;
    let theirs = expected_bytes(case, "signature")?;
    equal("signature", &theirs.to_vec(), &ours.to_bytes().to_vec())?;
    if case.expected.get("signer").is_some() {
        equal(
            "signer",
            &case.expected::<Address>("signer")?,
            &signer.address(),
        )?;
    }
    let signature = parse_signature(&theirs).map_err(|error| error.to_string())?;
    let request = GuaranteeRequest {
        claims,
        signature,
        scheme,
    };
    let found = request.signed_as(separator, recover);
    equal("encoding", &Some(encoding), &found)
}

/// A signature that is not over these claims.
///
/// # Errors
/// Names the first difference.
pub fn forged(case: &Case) -> Result<Heard, String> {
    case.only(
        &["params", "claims", "signature", "expected_user"],
        &["valid", "recovered_address"],
    )?;
    let (claims, separator) = (claims(case)?, separator(case)?);
    equal(
        "payer",
        &case.input::<Address>("expected_user")?,
        &claims.payer,
    )?;
    let signature = parse_signature(&input_bytes(case, "signature")?);
    let signature = signature.map_err(|error| error.to_string())?;
    let digest = claims
        .digest(Encoding::TypedV1, separator)
        .ok_or("another version")?;
    let recovered: Address = case.expected("recovered_address")?;
    equal("signer", &Some(recovered), &recover(digest, &signature))?;
    let request = GuaranteeRequest {
        claims,
        signature,
        scheme: SigningScheme::Eip712,
    };
    let found = request.signed_as(separator, recover);
    Ok(Heard::one(case, said(case), verdict(found.is_some())))
}

/// The hash of what is guaranteed.
///
/// # Errors
/// Names the first difference.
pub fn subject(case: &Case) -> Result<Heard, String> {
    case.only(&["claims"], &["binding_domain_hash", "preimage", "hash"])?;
    let hash = binding::subject_hash(&claims(case)?);
    equal("hash", &case.expected("hash")?, &hash)?;
    Ok(Heard::same(case))
}

/// The hash of a condition. Claims with these hashes are good.
///
/// # Errors
/// Names the first difference.
pub fn request(case: &Case) -> Result<Heard, String> {
    case.only(
        &["claims"],
        &["binding_domain_hash", "tag_hash", "preimage", "hash"],
    )?;
    let claims = claims(case)?;
    let policy = claims.validation.as_ref().ok_or("another version")?;
    equal(
        "hash",
        &case.expected("hash")?,
        &binding::request_hash(policy),
    )?;
    binding::check(&claims).map_err(|error| error.to_string())?;
    equal("bound", &claims, &binding::bind(claims.clone()))?;
    Ok(Heard::same(case))
}
