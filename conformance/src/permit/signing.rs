//! What payers sign: hashes, signatures, the permit as it is sent and read, and that the recorded calls pay with it.

use faregate_evm::{LocalSigner, recover};
use faregate_types::permit::{Permit, Terms, request};
use faregate_types::{
    Address, Authorization, B256, ChainId, SecretKey, Signature65, Timestamp, TokenDomain, U256,
    domain_separator, eip2612, hex_text, permit2 as contract,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::chain::{self, Deal};
use super::{address, decimal, equal};
use crate::case::Case;
use crate::judge::Heard;

/// The clock of the recordings.
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// An EIP-2612 permit of 0.1.1.
///
/// # Errors
/// Names the first difference.
pub fn permit(case: &Case) -> Result<Heard, String> {
    case.only(
        &[
            "private_key",
            "domain",
            "message",
            "component_amount",
            "now",
        ],
        &[
            "domain_separator",
            "struct_hash",
            "digest",
            "v",
            "r",
            "s",
            "signer",
            "permit_json",
            "permit_calldata",
            "transfer_from_calldata",
            "deadline_rule",
        ],
    )?;
    let domain: Domain = case.input("domain")?;
    let message: Message = case.input("message")?;
    let chain = ChainId::new(domain.chain_id).ok_or("0 is no chain")?;
    let token = domain.verifying_contract;
    let separator = domain_separator(&TokenDomain::new(domain.name, domain.version), chain, token);
    let permit = eip2612::Permit {
        owner: message.owner,
        spender: message.spender,
        value: U256::from(message.value),
        nonce: U256::from(message.nonce),
        deadline: U256::from(message.deadline),
    };
    // What is asked for in whole coins is what is signed.
    let asked = decimal(case.inputs.get("component_amount").unwrap_or(&Value::Null))?;
    equal("value", &Ok(permit.value), &asked.to_units(6))?;
    let hashes = (separator, permit.struct_hash());
    let made = Made::by(case, chain, Terms::Eip2612 { token, permit }, hashes)?;
    equal("signer", &case.expected("signer")?, &made.signer)?;
    made.sent_and_read(case, case.expected("permit_json")?)?;
    let deal = made.deal(permit.value);
    chain::permit_pays(case, deal, permit.nonce)?;
    Ok(Heard::same(case))
}

/// An ERC-3009 authorization of 0.2.0 and later; some leave out leading zeros.
///
/// # Errors
/// Names the first difference.
pub fn erc3009(case: &Case) -> Result<Heard, String> {
    case.only(
        &[
            "domain_name",
            "domain_version",
            "chain_id",
            "token",
            "value",
            "validAfter",
            "validBefore",
            "nonce",
            "private_key",
            "authorizer",
            "recipient",
        ],
        &[
            "domain_separator",
            "struct_hash",
            "digest",
            "v",
            "r",
            "s",
            "r_padded",
            "s_padded",
            "permit_json",
            "calldata",
        ],
    )?;
    let chain = ChainId::new(case.input("chain_id")?).ok_or("0 is no chain")?;
    let token = address(case, "token")?;
    let name: String = case.input("domain_name")?;
    let version: String = case.input("domain_version")?;
    let separator = domain_separator(&TokenDomain::new(name, version), chain, token);
    let nonce: String = case.input("nonce")?;
    let number = |key| Ok::<_, String>(U256::from(case.input::<u64>(key)?));
    let authorization = Authorization {
        from: address(case, "authorizer")?,
        to: address(case, "recipient")?,
        value: number("value")?,
        valid_after: number("validAfter")?,
        valid_before: number("validBefore")?,
        nonce: hex_text::parse_b256(&nonce).map_err(|error| error.to_string())?,
    };
    let hashes = (separator, authorization.struct_hash());
    let terms = Terms::Erc3009 {
        token,
        authorization,
    };
    let made = Made::by(case, chain, terms, hashes)?;
    equal("payer", &authorization.from, &made.signer)?;
    made.sent_and_read(case, case.expected("permit_json")?)?;
    chain::authorization_pays(case, made.deal(authorization.value))?;
    Ok(Heard::same(case))
}

/// A Permit2 order of 0.2.0 and later.
///
/// # Errors
/// Names the first difference.
pub fn permit2(case: &Case) -> Result<Heard, String> {
    case.only(
        &[
            "token",
            "amount",
            "nonce",
            "deadline",
            "chain_id",
            "private_key",
            "owner",
            "spender",
            "permit2_address",
        ],
        &[
            "domain_separator",
            "struct_hash",
            "digest",
            "v",
            "r",
            "s",
            "packed_signature",
            "permit_json",
            "calldata",
        ],
    )?;
    let chain = ChainId::new(case.input("chain_id")?).ok_or("0 is no chain")?;
    let number = |key| Ok::<_, String>(U256::from(case.input::<u64>(key)?));
    let transfer = contract::PermitTransferFrom {
        token: address(case, "token")?,
        amount: number("amount")?,
        spender: address(case, "spender")?,
        nonce: number("nonce")?,
        deadline: number("deadline")?,
    };
    let at = address(case, "permit2_address")?;
    equal("the one contract", &at, &contract::CONTRACT)?;
    let hashes = (
        contract::domain_separator(chain, at),
        transfer.struct_hash(),
    );
    let terms = Terms::Permit2 {
        owner: address(case, "owner")?,
        contract: at,
        transfer,
    };
    let made = Made::by(case, chain, terms, hashes)?;
    equal("payer", &address(case, "owner")?, &made.signer)?;
    let packed: String = case.expected("packed_signature")?;
    let packed = hex_text::parse_bytes(&packed).map_err(|error| error.to_string())?;
    equal(
        "packed",
        &packed.to_vec(),
        &made.permit.signature.to_bytes().to_vec(),
    )?;
    made.sent_and_read(case, case.expected("permit_json")?)?;
    chain::order_pays(case, made.deal(transfer.amount))?;
    Ok(Heard::same(case))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Domain {
    name: String,
    version: String,
    chain_id: u64,
    verifying_contract: Address,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    owner: Address,
    spender: Address,
    value: u64,
    nonce: u64,
    deadline: u64,
}

/// A permit that our signer made.
struct Made {
    permit: Permit,
    signer: Address,
}

impl Made {
    /// Compares the hashes, signs, and compares the signature.
    fn by(
        case: &Case,
        chain: ChainId,
        terms: Terms,
        (separator, struct_hash): (B256, B256),
    ) -> Result<Self, String> {
        let digest = terms.digest(chain, separator);
        equal("separator", &case.expected("domain_separator")?, &separator)?;
        equal("struct hash", &case.expected("struct_hash")?, &struct_hash)?;
        equal("digest", &case.expected("digest")?, &digest)?;
        let key: String = case.input("private_key")?;
        let key = SecretKey::from_hex(&key).map_err(|error| error.to_string())?;
        let signer = LocalSigner::new(key).map_err(|error| error.to_string())?;
        let signature = signer.sign_now(digest).map_err(|error| error.to_string())?;
        let Signature65 { r, s, v, .. } = signature;
        equal("v", &case.expected("v")?, &v)?;
        equal("r", &padded(case, "r")?, &r.to_string())?;
        equal("s", &padded(case, "s")?, &s.to_string())?;
        let signed_by = recover(digest, &signature).ok_or("recovers to nobody")?;
        equal("recovered", &signer.address(), &signed_by)?;
        Ok(Self {
            permit: Permit {
                chain,
                terms,
                signature,
            },
            signer: signed_by,
        })
    }

    /// Who pays whom, when the recording was made.
    fn deal(&self, value: U256) -> Deal {
        Deal {
            chain: self.permit.chain,
            now: NOW,
            token: self.permit.terms.token(),
            payer: self.signer,
            payee: self.permit.terms.payee(),
            value,
        }
    }

    /// What we send is what the peer sent, filled up to 64 digits, and what the peer sent is read as the same.
    fn sent_and_read(&self, case: &Case, mut theirs: Value) -> Result<(), String> {
        let request = json!({ "version": request::VERSION, "permit": theirs });
        let read = request::read(request.to_string().as_bytes());
        equal(
            "read",
            &Ok(self.permit),
            &read.map_err(|refused| refused.text()),
        )?;
        let signature = theirs.get_mut("signature").and_then(Value::as_object_mut);
        let signature = signature.ok_or("has no signature")?;
        for part in ["r", "s"] {
            signature.insert(part.to_owned(), Value::from(padded(case, part)?));
        }
        // One recorded token has an address that is not checksummed: the peer passes on what it is told.
        if let Some(token) = theirs.get_mut("token") {
            *token = Value::from(self.permit.terms.token().to_string());
        }
        let ours = request::write(&self.permit, NOW);
        let ours: Value = serde_json::from_str(&ours).map_err(|error| error.to_string())?;
        equal("sent", &Some(&theirs), &ours.get("permit"))
    }
}

/// `r` or `s` as it should have been sent.
fn padded(case: &Case, part: &str) -> Result<String, String> {
    let whole = format!("{part}_padded");
    match case.expected.get(&whole) {
        Some(_) => case.expected(&whole),
        None => case.expected(part),
    }
}
