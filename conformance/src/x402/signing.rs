//! What a payer signs, and the header it makes of it.

use faregate_evm::{LocalSigner, sign_authorization};
use faregate_types::x402::exact::Payload;
use faregate_types::x402::{VersionTag, header, v1, v2};
use faregate_types::{
    Address, Authorization, B256, Bytes, ChainId, SecretKey, TokenDomain, U256, domain_separator,
    hex_text, parse_atomic,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{equal, json_inside};
use crate::case::Case;
use crate::judge::Heard;

/// A v2 payment: valid from the beginning of time.
///
/// # Errors
/// Names the first difference.
pub fn payment_v2(case: &Case) -> Result<Heard, String> {
    case.only(&["privateKey", "paymentRequired", "now", "nonce"], &PAYMENT)?;
    let required: v2::PaymentRequired = case.input("paymentRequired")?;
    let accepted = required.accepts.first().ok_or("offers nothing")?.clone();
    let (signed, payload) = sign(
        case,
        &Terms {
            chain: accepted
                .network
                .parse()
                .map_err(|_| "the network is no EVM chain")?,
            token: address(&accepted.asset)?,
            domain: domain(accepted.extra.as_ref())?,
            pay_to: address(&accepted.pay_to)?,
            amount: parse_atomic(&accepted.amount).map_err(|error| error.to_string())?,
            valid_after: 0,
            valid_for: accepted.max_timeout_seconds.as_secs(),
        },
    )?;
    signed.compare(&case.expected("eip712")?)?;
    let payment = v2::PaymentPayload {
        x402_version: VersionTag,
        resource: Some(required.resource),
        accepted,
        payload: payload.to_value(),
        extensions: None,
    };
    compare(case, header::PAYMENT_SIGNATURE, &payment)?;
    let theirs: String = case.expected("base64")?;
    let read = header::decode_payment_v2(theirs.as_bytes()).map_err(|error| error.to_string())?;
    equal("their header, read by us", &payment, &read)?;
    Ok(Heard::same(case))
}

/// A v1 payment: valid from ten minutes ago.
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
    let offer: v1::PaymentRequirements = if case.inputs.get("requirements").is_some() {
        case.input("requirements")?
    } else {
        let required: v1::PaymentRequired = case.input("paymentRequired")?;
        required.accepts.first().ok_or("offers nothing")?.clone()
    };
    let now: u64 = case.input("now")?;
    let (signed, payload) = sign(
        case,
        &Terms {
            chain: ChainId::from_v1_name(&offer.network).ok_or("unknown network")?,
            token: address(&offer.asset)?,
            domain: domain(offer.extra.as_ref())?,
            pay_to: address(&offer.pay_to)?,
            amount: parse_atomic(&offer.max_amount_required).map_err(|error| error.to_string())?,
            valid_after: now.saturating_sub(600),
            valid_for: offer.max_timeout_seconds,
        },
    )?;
    // The v1 SDK's recording has the payload without the hashes.
    if case.expected.get("eip712").is_some() {
        signed.compare(&case.expected("eip712")?)?;
    }
    let payment = v1::PaymentPayload {
        x402_version: VersionTag,
        scheme: offer.scheme,
        network: offer.network,
        payload: payload.to_value(),
    };
    compare(case, header::X_PAYMENT, &payment)?;
    let theirs: String = case.expected("base64")?;
    let read = header::decode_payment_v1(theirs.as_bytes()).map_err(|error| error.to_string())?;
    equal("their header, read by us", &payment, &read)?;
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
    let authorization = authorization(&case.input("authorization")?)?;
    let separator = domain_separator(&domain, chain, verifying_contract);
    let signature: String = case.expected("signature")?;
    let mut recorded = case.expected.clone();
    if let Some(members) = recorded.as_object_mut() {
        members.remove("signature");
    }
    let recorded = serde_json::from_value(recorded).map_err(|error| error.to_string())?;
    Signed::of(&authorization, separator).compare(&recorded)?;
    let ours = sign_authorization(
        &signer(case)?,
        &domain,
        chain,
        verifying_contract,
        &authorization,
    )
    .map_err(|error| error.to_string())?;
    equal("signature", signature.as_str(), ours.to_string().as_str())?;
    Ok(Heard::same(case))
}

const PAYMENT: [&str; 5] = ["header", "base64", "payload", "decoded", "eip712"];

/// What an offer asks for, typed.
struct Terms {
    chain: ChainId,
    token: Address,
    domain: TokenDomain,
    pay_to: Address,
    amount: U256,
    valid_after: u64,
    valid_for: u64,
}

/// The hashes on the way to a signature.
struct Signed {
    domain_separator: B256,
    struct_hash: B256,
    digest: B256,
}

/// The same, as peers recorded them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
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

impl Signed {
    fn of(authorization: &Authorization, domain_separator: B256) -> Self {
        Self {
            domain_separator,
            struct_hash: authorization.struct_hash(),
            digest: authorization.digest(domain_separator),
        }
    }

    fn compare(&self, recorded: &Hashes) -> Result<(), String> {
        equal("type hash", &recorded.type_hash, &Authorization::TYPE_HASH)?;
        equal(
            "domain separator",
            &recorded.domain_separator,
            &self.domain_separator,
        )?;
        equal(
            "struct hash",
            &recorded.struct_hash.unwrap_or(self.struct_hash),
            &self.struct_hash,
        )?;
        equal("digest", &recorded.digest, &self.digest)
    }
}

fn sign(case: &Case, terms: &Terms) -> Result<(Signed, Payload), String> {
    let signer = signer(case)?;
    let (now, nonce): (u64, String) = (case.input("now")?, case.input("nonce")?);
    let authorization = Authorization {
        from: signer.address(),
        to: terms.pay_to,
        value: terms.amount,
        valid_after: U256::from(terms.valid_after),
        valid_before: U256::from(now.saturating_add(terms.valid_for)),
        nonce: hex_text::parse_b256(&nonce).map_err(|error| error.to_string())?,
    };
    let signature: Bytes = sign_authorization(
        &signer,
        &terms.domain,
        terms.chain,
        terms.token,
        &authorization,
    )
    .map_err(|error| error.to_string())?;
    let separator = domain_separator(&terms.domain, terms.chain, terms.token);
    Ok((
        Signed::of(&authorization, separator),
        Payload {
            authorization,
            signature,
        },
    ))
}

/// The payment and the header made of it, against the recorded ones. Values are compared, not bytes: the order of members
/// is free.
fn compare<T: Serialize>(case: &Case, header_name: &str, payment: &T) -> Result<(), String> {
    super::header::name(case, header_name)?;
    let ours = serde_json::to_value(payment).map_err(|error| error.to_string())?;
    let (payload, base64): (Value, String) = (case.expected("payload")?, case.expected("base64")?);
    equal("payload", &payload, &ours)?;
    // The v1 SDK also decoded its own header.
    equal(
        "decoded",
        case.expected.get("decoded").unwrap_or(&payload),
        &ours,
    )?;
    equal(
        "the JSON in the header",
        &json_inside(&base64)?,
        &json_inside(&header::encode(payment))?,
    )
}

fn signer(case: &Case) -> Result<LocalSigner, String> {
    let key: String = case.input("privateKey")?;
    let key = SecretKey::from_hex(&key).map_err(|error| error.to_string())?;
    LocalSigner::new(key).map_err(|error| error.to_string())
}

fn authorization(value: &Value) -> Result<Authorization, String> {
    // Our own payload parser, so that the texts are read as strictly as those of a payment.
    let payload = serde_json::json!({ "signature": "0x", "authorization": value });
    let payload = Payload::from_value(&payload).map_err(|refusal| refusal.to_string())?;
    Ok(payload.authorization)
}

fn address(text: &str) -> Result<Address, String> {
    hex_text::parse_address(text).map_err(|error| error.to_string())
}

fn domain(extra: Option<&serde_json::Map<String, Value>>) -> Result<TokenDomain, String> {
    extra
        .and_then(TokenDomain::from_extra)
        .ok_or_else(|| "has no EIP-712 domain".to_owned())
}
