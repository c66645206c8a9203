//! What a facilitator answers: for clients of this network and for those of x402 alike (specs/4mica.md §6.1).
//!
//! Clients of the network look at `error`, `networkId`, `txHash` and `certificate`; those of x402 at `errorReason`,
//! `network`, `transaction` and `payer`. Both are there, and say the same.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize, Serializer};

use crate::code::Code;
use crate::credit::certificate::Certificate;
use crate::hex_text::to_digits;
use crate::refusal::Refusal;

/// The answer of `POST /verify`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CreditVerdict {
    /// Whether a guarantee would be issued now.
    pub is_valid: bool,
    /// Why not: a reason code. `null` when it is valid.
    #[serde(default)]
    pub invalid_reason: Option<String>,
    /// Why not, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalid_message: Option<String>,
    /// Who would owe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
}

impl CreditVerdict {
    /// The payment is good.
    #[must_use]
    pub fn valid(payer: Address) -> Self {
        Self {
            is_valid: true,
            invalid_reason: None,
            invalid_message: None,
            payer: Some(payer.to_string()),
        }
    }

    /// The payment is refused.
    #[must_use]
    pub fn invalid(refusal: &Refusal) -> Self {
        Self {
            is_valid: false,
            invalid_reason: Some(refusal.code.as_str().to_owned()),
            invalid_message: Some(said(refusal)),
            payer: refusal.payer.map(|payer| payer.to_string()),
        }
    }
}

/// The answer of `POST /settle`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CreditSettlement {
    /// Whether there is a certificate.
    pub success: bool,
    /// Why not, for people; `null` when there is one.
    #[serde(default)]
    pub error: Option<String>,
    /// Always `null`: a guarantee is no transaction.
    #[serde(default)]
    pub tx_hash: Option<String>,
    /// The network, as the caller spelled it.
    #[serde(default)]
    pub network_id: Option<String>,
    /// What was issued.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "prefixed"
    )]
    pub certificate: Option<Certificate>,
    /// Why not: a reason code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_reason: Option<String>,
    /// Always empty: a guarantee is no transaction.
    #[serde(default)]
    pub transaction: String,
    /// The same as `networkId`.
    #[serde(default)]
    pub network: String,
    /// Who owes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<String>,
}

impl CreditSettlement {
    /// A certificate was issued.
    #[must_use]
    pub fn issued(network: &str, payer: Address, certificate: Certificate) -> Self {
        Self {
            success: true,
            certificate: Some(certificate),
            payer: Some(payer.to_string()),
            ..Self::empty(network)
        }
    }

    /// None was issued.
    #[must_use]
    pub fn failed(network: &str, refusal: &Refusal) -> Self {
        Self {
            error: Some(said(refusal)),
            error_reason: Some(refusal.code.as_str().to_owned()),
            payer: refusal.payer.map(|payer| payer.to_string()),
            ..Self::empty(network)
        }
    }

    fn empty(network: &str) -> Self {
        Self {
            success: false,
            error: None,
            tx_hash: None,
            network_id: Some(network.to_owned()),
            certificate: None,
            error_reason: None,
            transaction: String::new(),
            network: network.to_owned(),
            payer: None,
        }
    }

    /// The reason as one of our codes.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.error_reason.as_deref().and_then(Code::from_str)
    }
}

/// A certificate as facilitators write it: with `0x`, which cores leave out.
fn prefixed<S: Serializer>(
    certificate: &Option<Certificate>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Texts {
        claims: String,
        signature: String,
    }
    let digits = |bytes: &[u8]| format!("0x{}", to_digits(bytes));
    let texts = certificate.as_ref().map(|certificate| Texts {
        claims: digits(&certificate.claims),
        signature: digits(certificate.signature.as_bytes()),
    });
    texts.serialize(serializer)
}

/// What is said to people.
fn said(refusal: &Refusal) -> String {
    match &refusal.detail {
        Some(detail) => detail.to_string(),
        None => refusal.code.meaning().to_owned(),
    }
}
