//! What a payer signs, and the header it makes of it. The payments are made by our client.

use faregate_evm::{LocalSigner, recover, sign_authorization};
use faregate_types::x402::exact::Payload;
use faregate_types::x402::{Version, header, v1, v2};
use faregate_types::{
    Address, Authorization, B256, ChainId, SecretKey, Signature65, TokenDomain, domain_separator,
    hex_text,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::payer::{Purse, pay};
use super::{equal, json_inside};
use crate::case::Case;
use crate::judge::Heard;

/// A v2 payment.
///
/// # Errors
/// Names the first difference.
pub fn payment_v2(case: &Case) -> Result<Heard, String> {
    case.only(&["privateKey", "paymentRequired", "now", "nonce"], &PAYMENT)?;
    let required: v2::PaymentRequired = case.input("paymentRequired")?;
    let offer = required.accepts.first().ok_or("offers nothing")?;
    let chain = offer
        .network
        .parse()
        .map_err(|_| "the network is no EVM chain")?;
    let asset = (chain, offer.asset.as_str(), offer.extra.as_ref());
    compare(case, Version::V2, &case.input("paymentRequired")?, asset)?;
    Ok(Heard::same(case))
}

/// A v1 payment.
///
/// # Errors
/// Names the first difference.
pub fn payment_v1(case: &Case) -> Result<Heard, String> {
    case.only(
        &[
            "privateKey",
            "paymentRequired",
            "requirements",
            "now",
            "nonce",
        ],
        &PAYMENT,
    )?;
    let required = if case.inputs.get("requirements").is_some() {
        json!({ "x402Version": 1, "error": "", "accepts": [case.input::<Value>("requirements")?] })
    } else {
        case.input("paymentRequired")?
    };
    let typed = v1::PaymentRequired::decode(required.to_string().as_bytes());
    let typed = typed.map_err(|error| error.to_string())?;
    let offer = typed.accepts.first().ok_or("offers nothing")?;
    let chain = ChainId::from_v1_name(&offer.network).ok_or("unknown network")?;
    let asset = (chain, offer.asset.as_str(), offer.extra.as_ref());
    compare(case, Version::V1, &required, asset)?;
    Ok(Heard::same(case))
}

/// The hashes and the signature of an authorization.
///
/// # Errors
/// Names the first difference.
pub fn typed_data(case: &Case) -> Result<Heard, String> {
    let hashes = [
        "typeHash",
        "domainSeparator",
        "structHash",
        "digest",
        "signature",
    ];
    case.only(&["privateKey", "domain", "authorization"], &hashes)?;
    let Domain {
        name,
        version,
        chain_id,
        verifying_contract,
    } = case.input("domain")?;
    let chain = ChainId::new(chain_id).ok_or("0 is no chain")?;
    let domain = TokenDomain::new(name, version);
    // Our own payload parser, so that the texts are read as strictly as those of a payment.
    let payload =
        json!({ "signature": "0x", "authorization": case.input::<Value>("authorization")? });
    let payload = Payload::from_value(&payload).map_err(|refusal| refusal.to_string())?;
    let authorization = payload.authorization;
    let separator = domain_separator(&domain, chain, verifying_contract);
    let recorded: Hashes =
        serde_json::from_value(case.expected.clone()).map_err(|error| error.to_string())?;
    recorded.compare(&authorization, separator)?;
    let signer = LocalSigner::new(key(case)?).map_err(|error| error.to_string())?;
    let ours = sign_authorization(&signer, &domain, chain, verifying_contract, &authorization)
        .map_err(|error| error.to_string())?;
    equal("signature", case.expected("signature")?, ours.to_string())?;
    equal(
        "payer",
        Some(authorization.from),
        signed_by(&ours, authorization.digest(separator)),
    )?;
    Ok(Heard::same(case))
}

const PAYMENT: [&str; 5] = ["header", "base64", "payload", "decoded", "eip712"];

/// The hashes on the way to a signature, as peers recorded them; not every peer recorded each.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hashes {
    type_hash: B256,
    domain_separator: B256,
    struct_hash: Option<B256>,
    digest: B256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Domain {
    name: String,
    version: String,
    chain_id: u64,
    verifying_contract: Address,
}

impl Hashes {
    fn compare(&self, authorization: &Authorization, separator: B256) -> Result<(), String> {
        equal("type hash", self.type_hash, Authorization::TYPE_HASH)?;
        equal("domain separator", self.domain_separator, separator)?;
        let ours = authorization.struct_hash();
        equal("struct hash", self.struct_hash.unwrap_or(ours), ours)?;
        equal("digest", self.digest, authorization.digest(separator))
    }
}

/// Has our client pay, and compares what it sends with what the peer sent. Values are compared, not bytes: the order of
/// members is free.
fn compare(
    case: &Case,
    version: Version,
    required: &Value,
    (chain, token, extra): (ChainId, &str, Option<&Map<String, Value>>),
) -> Result<(), String> {
    let nonce: String = case.input("nonce")?;
    let purse = Purse {
        key: case.input("privateKey")?,
        nonce: hex_text::parse_b256(&nonce).map_err(|error| error.to_string())?,
        now: case.input("now")?,
        chain,
    };
    let sent = pay(purse, version, required)?;
    super::header::name(case, sent.name)?;
    let (theirs, payload): (String, Value) = (case.expected("base64")?, case.expected("payload")?);
    let ours = json_inside(&sent.value)?;
    equal("payload", &payload, &ours)?;
    equal("the JSON in the header", json_inside(&theirs)?, ours)?;
    // The v1 SDK also decoded its own header.
    equal(
        "decoded",
        case.expected.get("decoded").unwrap_or(&payload),
        &payload,
    )?;
    // And the other way round: we read what they wrote.
    let read = match version {
        Version::V1 => header::decode_payment_v1(theirs.as_bytes()).map(|read| read.payload),
        Version::V2 => header::decode_payment_v2(theirs.as_bytes()).map(|read| read.payload),
    };
    let read = Payload::from_value(&read.map_err(|error| error.to_string())?);
    let Payload {
        authorization,
        signature,
    } = read.map_err(|refusal| refusal.to_string())?;
    let token = hex_text::parse_address(token).map_err(|error| error.to_string())?;
    let domain = extra
        .and_then(TokenDomain::from_extra)
        .ok_or("has no EIP-712 domain")?;
    let separator = domain_separator(&domain, chain, token);
    equal(
        "payer",
        Some(authorization.from),
        signed_by(&signature, authorization.digest(separator)),
    )?;
    // The v1 SDK's recording has the payload without the hashes.
    match case.expected.get("eip712") {
        Some(_) => case
            .expected::<Hashes>("eip712")?
            .compare(&authorization, separator),
        None => Ok(()),
    }
}

fn key(case: &Case) -> Result<SecretKey, String> {
    let key: String = case.input("privateKey")?;
    SecretKey::from_hex(&key).map_err(|error| error.to_string())
}

fn signed_by(signature: &[u8], digest: B256) -> Option<Address> {
    recover(digest, &Signature65::parse(signature).ok()?)
}
