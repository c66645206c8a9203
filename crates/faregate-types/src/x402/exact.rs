//! Scheme `exact` on EVM with EIP-3009: the payload, parsed strictly, and the terms it is checked against.
//!
//! Where the SDKs disagree about what a payload may look like, ours is the strictest reading (specs/x402.md §2.2):
//!
//! | part | accepted | refused |
//! |---|---|---|
//! | `value`, `validAfter`, `validBefore` | text of decimal digits below 2^256 | JSON number, `0x…`, sign, leading zero |
//! | `from`, `to` | `0x` and 40 hexadecimal digits, any case | anything else |
//! | `nonce` | `0x` and 64 hexadecimal digits | anything else (reason: signature, as both SDKs say) |
//! | `signature` | `0x` and an even number of digits | anything else; whether it is a signature is decided later |

use alloy_primitives::{Address, B256, Bytes, U256};
use serde_json::{Map, Value};

use super::Version;
use crate::amount::parse_atomic;
use crate::asset::{Erc20, TokenDomain};
use crate::code::Code;
use crate::eip3009::Authorization;
use crate::hex_text;
use crate::id::PaymentId;
use crate::refusal::Refusal;

/// The `payload` object: the payer's authorization and signature.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data, built by literal in the client"
)]
pub struct Payload {
    /// What is signed.
    pub authorization: Authorization,
    /// 65 bytes for an ordinary account, anything for a contract wallet.
    pub signature: Bytes,
}

/// What has to be paid: the requirements, typed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data, built by literal in the client"
)]
pub struct Terms {
    /// Chain and token.
    pub asset: Erc20,
    /// Atomic units, to be paid exactly.
    pub amount: U256,
    /// The payee.
    pub pay_to: Address,
    /// How long the authorization has to be valid at most, in seconds.
    pub max_timeout_secs: u64,
    /// The token's EIP-712 domain **as the requirements say**. Compare it with the own asset table before trusting it.
    pub domain: TokenDomain,
}

/// A payment and what it has to satisfy, the same for both protocol versions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data, built by literal in the client"
)]
pub struct ExactPayment {
    /// The version it came in, for the answer.
    pub version: Version,
    /// What has to be paid.
    pub terms: Terms,
    /// What the payer sent.
    pub payload: Payload,
}

impl ExactPayment {
    /// The payment's natural key: chain, token, payer, nonce.
    #[must_use]
    pub fn id(&self) -> PaymentId {
        let authorization = &self.payload.authorization;
        let asset = self.terms.asset;
        PaymentId::eip3009(
            asset.chain(),
            asset.token(),
            authorization.from,
            authorization.nonce,
        )
    }

    /// Who pays.
    #[must_use]
    pub const fn payer(&self) -> Address {
        self.payload.authorization.from
    }
}

impl Payload {
    /// Reads the `payload` object of a payment.
    ///
    /// # Errors
    /// [`Code::InvalidPayload`], or [`Code::InvalidExactEvmPayloadSignature`] for a nonce that is not 32 bytes (no
    /// signature can cover it). The payer is filled in when `authorization.from` is an address.
    pub fn from_value(payload: &Value) -> Result<Self, Refusal> {
        let payer = payer(payload);
        Self::parse(payload).map_err(|refusal| match payer {
            Some(payer) => refusal.payer(payer),
            None => refusal,
        })
    }

    fn parse(payload: &Value) -> Result<Self, Refusal> {
        let payload = payload
            .as_object()
            .ok_or_else(|| invalid("expected payload to be an object"))?;
        let authorization = match payload.get("authorization") {
            Some(authorization) => authorization
                .as_object()
                .ok_or_else(|| invalid("expected payload.authorization to be an object"))?,
            None if payload.contains_key("permit2Authorization") => {
                return Err(invalid(
                    "expected an EIP-3009 payload; Permit2 is not supported",
                ));
            }
            None => return Err(invalid("expected payload.authorization")),
        };
        let signature = hex_text::parse_bytes(text(payload, "signature")?)
            .map_err(|error| invalid(format_args!("payload.signature: {error}")))?;
        let authorization = Authorization {
            from: address(authorization, "from")?,
            to: address(authorization, "to")?,
            value: number(authorization, "value")?,
            valid_after: number(authorization, "validAfter")?,
            valid_before: number(authorization, "validBefore")?,
            nonce: nonce(authorization)?,
        };
        Ok(Self {
            authorization,
            signature,
        })
    }

    /// The `payload` object, as every SDK writes it.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let Authorization {
            from,
            to,
            value,
            valid_after,
            valid_before,
            nonce,
        } = self.authorization;
        serde_json::json!({
            "signature": self.signature.to_string(),
            "authorization": {
                "from": from.to_string(),
                "to": to.to_string(),
                "value": value.to_string(),
                "validAfter": valid_after.to_string(),
                "validBefore": valid_before.to_string(),
                "nonce": nonce.to_string(),
            },
        })
    }
}

/// Who a payload says is paying, if that can be read at all.
pub(super) fn payer(payload: &Value) -> Option<Address> {
    let authorization = payload
        .get("authorization")
        .or_else(|| payload.get("permit2Authorization"))?;
    hex_text::parse_address(authorization.get("from")?.as_str()?).ok()
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a str, Refusal> {
    object
        .get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| invalid(format_args!("expected {key} to be a text")))
}

fn address(object: &Map<String, Value>, key: &str) -> Result<Address, Refusal> {
    hex_text::parse_address(text(object, key)?)
        .map_err(|error| invalid(format_args!("authorization.{key}: {error}")))
}

fn number(object: &Map<String, Value>, key: &str) -> Result<U256, Refusal> {
    parse_atomic(text(object, key)?)
        .map_err(|error| invalid(format_args!("authorization.{key}: {error}")))
}

fn nonce(object: &Map<String, Value>) -> Result<B256, Refusal> {
    hex_text::parse_b256(text(object, "nonce")?).map_err(|error| {
        Refusal::new(Code::InvalidExactEvmPayloadSignature)
            .detail(format!("authorization.nonce: {error}"))
    })
}

fn invalid(detail: impl std::fmt::Display) -> Refusal {
    Refusal::new(Code::InvalidPayload).detail(detail.to_string())
}
