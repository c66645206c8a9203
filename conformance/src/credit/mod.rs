//! The runners of the credit network's recordings: what `sdk-4mica` 0.4.3, 1.1.1 and 1.2.10 signed, sent, read and refused,
//! and what follows from the rules of the contract.

pub mod access;
pub mod bls;
pub mod certificate;
pub mod chain;
pub mod pay;
pub mod signing;
pub mod trace;
pub mod wire;

use faregate_evm::LocalSigner;
use faregate_types::credit::{Claims, digest};
use faregate_types::{B256, Bytes, ChainId, SecretKey, hex_text};
use serde::Deserialize;
use serde_json::Value;

use crate::case::Case;
use crate::l402::equal;

/// The parameters that decide about the domain of claims.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    eip712_name: String,
    eip712_version: String,
    chain_id: u64,
}

/// The separator of the inputs' parameters.
fn separator(case: &Case) -> Result<B256, String> {
    let params: Params = case.input("params")?;
    let chain = ChainId::new(params.chain_id).ok_or("0 is no chain")?;
    Ok(digest::domain_separator(
        &params.eip712_name,
        &params.eip712_version,
        chain,
    ))
}

/// The claims of the inputs, read as a request's are.
fn claims(case: &Case) -> Result<Claims, String> {
    case.input("claims")
}

/// The signer of the inputs.
fn signer(case: &Case) -> Result<LocalSigner, String> {
    let key: String = case.input("private_key")?;
    let key = SecretKey::from_hex(&key).map_err(|error| error.to_string())?;
    LocalSigner::new(key).map_err(|error| error.to_string())
}

/// Bytes of the inputs.
fn input_bytes(case: &Case, key: &str) -> Result<Bytes, String> {
    bytes(&case.input::<String>(key)?)
}

/// Bytes of the answer.
fn expected_bytes(case: &Case, key: &str) -> Result<Bytes, String> {
    bytes(&case.expected::<String>(key)?)
}

fn bytes(text: &str) -> Result<Bytes, String> {
    hex_text::parse_bytes(text).map_err(|error| error.to_string())
}

/// `accepted` or `refused`: what the peer made of it.
fn said(case: &Case) -> &'static str {
    let is_false = |key| case.expected.get(key) == Some(&Value::Bool(false));
    let is_refused =
        case.expected.get("error").is_some() || is_false("valid") || is_false("result");
    verdict(!is_refused)
}

const fn verdict(accepted: bool) -> &'static str {
    if accepted { "accepted" } else { "refused" }
}
