//! The token request, `{"version":"Version 0.1","permit":{…}}`: read as tolerantly as the peers read it, written in one form
//! (specs/permit.md §1.3, §2.3).

use alloy_primitives::{Address, B256, U256};

use super::date::naive;
use super::kind::PermitKind;
use super::lax::{Member, Object, ShapeError};
use super::permit::{Permit, Terms};
use super::refused::Refused;
use crate::chain_id::ChainId;
use crate::code::Code;
use crate::hex_text;
use crate::limits::TOKEN_REQUEST_BYTES_MAX;
use crate::signature::{Signature65, SignatureError};
use crate::timestamp::Timestamp;
use crate::{eip2612, eip3009, permit2};

/// `version` of a request and `protocol_version` of an answer: this text and no other, in all releases.
pub const VERSION: &str = "Version 0.1";

const ADDRESS: &str = "\"0x\" and 40 hexadecimal digits";
const NUMBER: &str = "a whole number below 2^256";

/// Reads a token request.
///
/// Taken as the peers take them: numbers as texts and floats without a rest, addresses of any letter case, `created_at` of
/// any form or none, members nobody knows. From 0.2.0 on clients leave out leading zeros of `r` and `s`; those of their two
/// kinds are filled up. A signature in the upper half of the curve's order is refused, because contracts refuse it.
///
/// # Errors
/// [`Code::PermitMalformed`], or [`Code::PermitSignatureInvalid`] when only `r` or `s` is wrong.
pub fn read(body: &[u8]) -> Result<Permit, Refused> {
    if body.len() > TOKEN_REQUEST_BYTES_MAX {
        return Err(too_long());
    }
    let request = Object::read(body).ok_or(ShapeError::new("request", "a JSON object"))?;
    let version = request.get("version").and_then(Member::text);
    if version.as_deref() != Some(VERSION) {
        return Err(ShapeError::new("version", "\"Version 0.1\"").into());
    }
    let permit = object(&request, "permit", "permit")?;
    let kind = permit.get("permit_type").and_then(Member::text);
    let kind = kind.as_deref().and_then(PermitKind::from_name);
    let kind = kind.ok_or(ShapeError::new(
        "permit.permit_type",
        "\"EIP2612\", \"ERC3009\" or \"Permit2\"",
    ))?;
    let chain = chain(&permit)?;
    let terms = match kind {
        PermitKind::Eip2612 => eip2612(&permit)?,
        PermitKind::Erc3009 => erc3009(&permit)?,
        PermitKind::Permit2 => permit2(&permit)?,
    };
    let signature = object(&permit, "signature", "permit.signature")?;
    let signature = signed(&signature, kind)?;
    Ok(Permit {
        chain,
        terms,
        signature,
    })
}

/// Why a request of more than [`TOKEN_REQUEST_BYTES_MAX`] is refused, for readers that stop there.
#[must_use]
pub fn too_long() -> Refused {
    ShapeError::new("request", "at most 16 KiB").into()
}

/// Writes a token request, members in the order of the product, every word in its one form: 64 digits, checksummed
/// addresses. `created_at` is the time of signing; no reader looks at it.
#[must_use]
pub fn write(permit: &Permit, created_at: Timestamp) -> String {
    let permit = write_permit(permit, created_at);
    format!("{{\"version\":\"{VERSION}\",\"permit\":{permit}}}")
}

/// Writes the permit alone, as MCP tools of the product pass it on.
#[must_use]
pub fn write_permit(permit: &Permit, created_at: Timestamp) -> String {
    // Nothing but digits, fixed words and the time: nothing that JSON would have to escape.
    let at = naive(created_at);
    let kind = permit.terms.kind();
    let Signature65 { r, s, v } = permit.signature;
    let chain = permit.chain.get();
    let head = format!(
        "{{\"permit_type\":\"{kind}\",\"signature\":{{\"signature_type\":\"{kind}\",\"created_at\":\"{at}\",\
         \"v\":{v},\"r\":\"{r}\",\"s\":\"{s}\"}}"
    );
    match &permit.terms {
        Terms::Eip2612 { token, permit } => {
            let eip2612::Permit {
                owner,
                spender,
                value,
                nonce,
                deadline,
            } = permit;
            format!(
                "{head},\"deadline\":{deadline},\"created_at\":\"{at}\",\"owner\":\"{owner}\",\"spender\":\"{spender}\",\
                 \"token\":\"{token}\",\"value\":{value},\"nonce\":{nonce},\"chain_id\":{chain}}}"
            )
        }
        Terms::Erc3009 {
            token,
            authorization,
        } => {
            let eip3009::Authorization {
                from,
                to,
                value,
                valid_after,
                valid_before,
                nonce,
            } = authorization;
            format!(
                "{head},\"created_at\":\"{at}\",\"token\":\"{token}\",\"chain_id\":{chain},\"authorizer\":\"{from}\",\
                 \"recipient\":\"{to}\",\"value\":{value},\"validAfter\":{valid_after},\"validBefore\":{valid_before},\
                 \"nonce\":\"{nonce}\"}}"
            )
        }
        Terms::Permit2 {
            owner,
            contract,
            transfer,
        } => {
            let permit2::PermitTransferFrom {
                token,
                amount,
                spender,
                nonce,
                deadline,
            } = transfer;
            format!(
                "{head},\"created_at\":\"{at}\",\"owner\":\"{owner}\",\"spender\":\"{spender}\",\"token\":\"{token}\",\
                 \"amount\":{amount},\"nonce\":{nonce},\"deadline\":{deadline},\"chain_id\":{chain},\
                 \"permit2_address\":\"{contract}\"}}"
            )
        }
    }
}

fn eip2612(permit: &Object<'_>) -> Result<Terms, ShapeError> {
    Ok(Terms::Eip2612 {
        token: address(permit, "token", "permit.token")?,
        permit: eip2612::Permit {
            owner: address(permit, "owner", "permit.owner")?,
            spender: address(permit, "spender", "permit.spender")?,
            value: number(permit, "value", "permit.value")?,
            nonce: number(permit, "nonce", "permit.nonce")?,
            deadline: number(permit, "deadline", "permit.deadline")?,
        },
    })
}

fn erc3009(permit: &Object<'_>) -> Result<Terms, ShapeError> {
    let nonce = permit.get("nonce").and_then(Member::text);
    let nonce = nonce.and_then(|nonce| hex_text::parse_b256(&nonce).ok());
    Ok(Terms::Erc3009 {
        token: address(permit, "token", "permit.token")?,
        authorization: eip3009::Authorization {
            from: address(permit, "authorizer", "permit.authorizer")?,
            to: address(permit, "recipient", "permit.recipient")?,
            value: number(permit, "value", "permit.value")?,
            valid_after: number(permit, "validAfter", "permit.validAfter")?,
            valid_before: number(permit, "validBefore", "permit.validBefore")?,
            nonce: nonce.ok_or(ShapeError::new(
                "permit.nonce",
                "\"0x\" and 64 hexadecimal digits",
            ))?,
        },
    })
}

fn permit2(permit: &Object<'_>) -> Result<Terms, ShapeError> {
    Ok(Terms::Permit2 {
        owner: address(permit, "owner", "permit.owner")?,
        contract: address(permit, "permit2_address", "permit.permit2_address")?,
        transfer: permit2::PermitTransferFrom {
            token: address(permit, "token", "permit.token")?,
            amount: number(permit, "amount", "permit.amount")?,
            spender: address(permit, "spender", "permit.spender")?,
            nonce: number(permit, "nonce", "permit.nonce")?,
            deadline: number(permit, "deadline", "permit.deadline")?,
        },
    })
}

fn chain(permit: &Object<'_>) -> Result<ChainId, ShapeError> {
    let number = permit.get("chain_id").and_then(Member::integer);
    number
        .and_then(|number| u64::try_from(number).ok())
        .and_then(ChainId::new)
        .ok_or(ShapeError::new("permit.chain_id", "the number of a chain"))
}

fn object<'a>(of: &Object<'a>, name: &str, member: &'static str) -> Result<Object<'a>, ShapeError> {
    let found = of.get(name).and_then(Member::object);
    found.ok_or(ShapeError::new(member, "an object"))
}

fn address(of: &Object<'_>, name: &str, member: &'static str) -> Result<Address, ShapeError> {
    let text = of.get(name).and_then(Member::text);
    text.and_then(|text| hex_text::parse_address(&text).ok())
        .ok_or(ShapeError::new(member, ADDRESS))
}

fn number(of: &Object<'_>, name: &str, member: &'static str) -> Result<U256, ShapeError> {
    let number = of.get(name).and_then(Member::integer);
    number.ok_or(ShapeError::new(member, NUMBER))
}

/// The signature. What the product calls the structure of a permit is checked last and refused in its words.
fn signed(of: &Object<'_>, kind: PermitKind) -> Result<Signature65, Refused> {
    let name = of.get("signature_type");
    if name.is_some_and(|name| name.text().as_deref() != Some(kind.as_str())) {
        return Err(
            ShapeError::new("permit.signature.signature_type", "that of the permit").into(),
        );
    }
    let said = of.get("v").and_then(Member::integer);
    let v = [27_u8, 28]
        .into_iter()
        .find(|v| said == Some(U256::from(*v)))
        .ok_or(ShapeError::new("permit.signature.v", "27 or 28"))?;
    let part = |name, member| {
        let text = of.get(name).and_then(Member::text);
        let text = text.ok_or(ShapeError::new(member, "hexadecimal digits"))?;
        scalar(&text, name, kind)
    };
    let r = part("r", "permit.signature.r")?;
    let s = part("s", "permit.signature.s")?;
    let mut bytes = [v; 65];
    for (slot, byte) in bytes.iter_mut().zip(r.iter().chain(s.iter())) {
        *slot = *byte;
    }
    Signature65::parse(&bytes).map_err(|error| {
        structure(match error {
            SignatureError::HighS => "Invalid s: expected the lower half of the order of secp256k1",
            _ => "Invalid r or s: expected numbers below the order of secp256k1, not 0",
        })
    })
}

/// `r` or `s`. The prefix is optional; leading zeros are where clients are known to leave them out.
fn scalar(text: &str, name: &str, kind: PermitKind) -> Result<B256, Refused> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let count = digits.chars().count();
    let may_be_short = kind != PermitKind::Eip2612;
    if count != 64 && !(may_be_short && (1..64).contains(&count)) {
        return Err(structure(&format!(
            "Invalid {name}: expected 64 hex chars, got {count}"
        )));
    }
    hex_text::parse_b256(&format!("0x{digits:0>64}"))
        .map_err(|_| structure(&format!("Invalid {name}: not valid hexadecimal")))
}

fn structure(what: &str) -> Refused {
    let error = format!("Signature validation failed: {what}");
    let message = format!("Invalid permit structure: {error}");
    Refused::verification(Code::PermitSignatureInvalid, message).with("validation_error", error)
}
