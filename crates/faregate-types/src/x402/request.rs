//! What a facilitator is asked, and how it becomes a typed payment.
//!
//! Bad input is answered in one of two ways:
//!
//! | input | answer | code |
//! |---|---|---|
//! | body larger than the limit | 413, [`DecodeError`] | `body_too_large` |
//! | not JSON, or not an object | 400, [`DecodeError`] | `malformed_json` |
//! | `x402Version` of the payload missing, not 1 or 2, or not the request's own | 400, [`DecodeError`] | `invalid_x402_version` |
//! | `paymentPayload` missing, not an object, or a member of the wrong type (`accepted`, `scheme`, `payload` not an object) | 400, [`DecodeError`] | `invalid_payload` |
//! | `paymentRequirements` missing, not an object, or a member of the wrong type | 400, [`DecodeError`] | `invalid_payment_requirements` |
//! | well-formed, but another scheme than `exact` on either side | 200, [`Refusal`] | `unsupported_scheme` |
//! | … another network in the payload than in the requirements | 200, [`Refusal`] | `network_mismatch` |
//! | … a network that is no EVM chain (v2) or no v1 name we know | 200, [`Refusal`] | `invalid_exact_evm_failed_to_get_network_config` |
//! | … `extra.name` or `extra.version` missing | 200, [`Refusal`] | `missing_eip712_domain` |
//! | … `amount`, `asset` or `payTo` that are no amount or address | 200, [`Refusal`] | `invalid_payment_requirements` |
//! | … a `payload` object without `authorization`, or with members of the wrong type (`{}` included) | 200, [`Refusal`] | `invalid_payload` |
//! | … a `nonce` that is not 32 bytes | 200, [`Refusal`] | `invalid_exact_evm_payload_signature` |
//!
//! The rows are in order of precedence. A refusal is a verdict: facilitators answer it with HTTP 200 and
//! `isValid: false` or `success: false`, because one of the SDKs takes any other status for an outage.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::exact::{self, ExactPayment, Payload, Terms};
use super::{SCHEME_EXACT, Version, v1, v2, wire};
use crate::amount::parse_atomic;
use crate::asset::{Erc20, TokenDomain};
use crate::chain_id::ChainId;
use crate::code::Code;
use crate::hex_text;
use crate::limits::BODY_BYTES_MAX;
use crate::problem::Problem;
use crate::refusal::{Refusal, one_line};

/// The body of `POST /verify` and `POST /settle`.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::exhaustive_enums, reason = "one variant per protocol version")]
#[allow(
    clippy::large_enum_variant,
    reason = "lives for one request, and boxing would cost an allocation"
)]
pub enum FacilitatorRequest {
    /// Both parts in version 1.
    V1 {
        /// What the payer sent.
        payload: v1::PaymentPayload,
        /// What the server asks for.
        requirements: v1::PaymentRequirements,
    },
    /// Both parts in version 2.
    V2 {
        /// What the payer sent.
        payload: v2::PaymentPayload,
        /// What the server asks for.
        requirements: v2::PaymentRequirements,
    },
}

/// A body that is no request at all. The module documentation says which code stands for what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
#[non_exhaustive]
pub struct DecodeError {
    /// The stable reason.
    pub code: Code,
    /// More for people, one line.
    pub detail: Box<str>,
}

impl DecodeError {
    pub(super) fn new(code: Code, detail: impl AsRef<str>) -> Self {
        Self {
            code,
            detail: one_line(detail.as_ref()),
        }
    }

    /// The HTTP status of the answer: 413 for a body that is too large, else 400.
    #[must_use]
    pub fn http_status(&self) -> u16 {
        if self.code == Code::BodyTooLarge {
            self.code.http_status()
        } else {
            400
        }
    }
}

impl From<&DecodeError> for Problem {
    fn from(error: &DecodeError) -> Self {
        Self::new(error.code)
            .status(error.http_status())
            .detail(&error.detail)
    }
}

impl FacilitatorRequest {
    /// Reads the body of a request. The version is the payload's; the request's own has to be the same or absent.
    ///
    /// # Errors
    /// [`DecodeError`]; see the module documentation.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        check_size(body)?;
        match version(body)? {
            Version::V1 => parse(body).map(|(payload, requirements)| Self::V1 {
                payload,
                requirements,
            }),
            Version::V2 => parse(body).map(|(payload, requirements)| Self::V2 {
                payload,
                requirements,
            }),
        }
    }

    /// Writes the body of a request.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let x402_version = self.version().number();
        let body = match self {
            Self::V1 {
                payload,
                requirements,
            } => wire::to_json(&Body {
                x402_version,
                payment_payload: payload,
                payment_requirements: requirements,
            }),
            Self::V2 {
                payload,
                requirements,
            } => wire::to_json(&Body {
                x402_version,
                payment_payload: payload,
                payment_requirements: requirements,
            }),
        };
        body.into_bytes()
    }

    /// The protocol version.
    #[must_use]
    pub const fn version(&self) -> Version {
        match self {
            Self::V1 { .. } => Version::V1,
            Self::V2 { .. } => Version::V2,
        }
    }

    /// The network as the requirements write it, for the answer.
    #[must_use]
    pub fn network(&self) -> &str {
        match self {
            Self::V1 { requirements, .. } => &requirements.network,
            Self::V2 { requirements, .. } => &requirements.network,
        }
    }

    /// The typed payment of scheme `exact`.
    ///
    /// Does steps 1 and 2 of the order of checks (specs/x402.md §2.2: scheme, network, chain, EIP-712 domain), then
    /// types the requirements, then the payload. Whether the two fit each other is not looked at here.
    ///
    /// # Errors
    /// The first check that failed; see the module documentation. The payer is filled in when it can be read.
    pub fn exact(&self) -> Result<ExactPayment, Refusal> {
        let (parts, payload) = match self {
            Self::V1 {
                payload,
                requirements,
            } => (Parts::v1(payload, requirements), &payload.payload),
            Self::V2 {
                payload,
                requirements,
            } => (Parts::v2(payload, requirements), &payload.payload),
        };
        let payment = || {
            let terms = parts.terms()?;
            let payload = Payload::from_value(payload)?;
            Ok(ExactPayment {
                version: self.version(),
                terms,
                payload,
            })
        };
        payment().map_err(|refusal: Refusal| match exact::payer(payload) {
            Some(payer) => refusal.payer(payer),
            None => refusal,
        })
    }
}

/// The parts of a request that `exact` looks at, whatever the version.
struct Parts<'a> {
    schemes: [&'a str; 2],
    networks: [&'a str; 2],
    chain: Option<ChainId>,
    extra: Option<&'a Map<String, Value>>,
    amount: &'a str,
    asset: &'a str,
    pay_to: &'a str,
    max_timeout_secs: u64,
}

impl<'a> Parts<'a> {
    fn v1(payload: &'a v1::PaymentPayload, requirements: &'a v1::PaymentRequirements) -> Self {
        Self {
            schemes: [&payload.scheme, &requirements.scheme],
            networks: [&payload.network, &requirements.network],
            chain: ChainId::from_v1_name(&requirements.network),
            extra: requirements.extra.as_ref(),
            amount: &requirements.max_amount_required,
            asset: &requirements.asset,
            pay_to: &requirements.pay_to,
            max_timeout_secs: requirements.max_timeout_seconds,
        }
    }

    fn v2(payload: &'a v2::PaymentPayload, requirements: &'a v2::PaymentRequirements) -> Self {
        Self {
            schemes: [&payload.accepted.scheme, &requirements.scheme],
            networks: [&payload.accepted.network, &requirements.network],
            chain: requirements.network.parse().ok(),
            extra: requirements.extra.as_ref(),
            amount: &requirements.amount,
            asset: &requirements.asset,
            pay_to: &requirements.pay_to,
            max_timeout_secs: requirements.max_timeout_seconds.as_secs(),
        }
    }

    fn terms(&self) -> Result<Terms, Refusal> {
        if self.schemes != [SCHEME_EXACT; 2] {
            return Err(Refusal::new(Code::UnsupportedScheme).detail("expected scheme exact"));
        }
        let [paid, required] = self.networks;
        if paid != required {
            return Err(Refusal::new(Code::NetworkMismatch));
        }
        let chain = self
            .chain
            .ok_or(Code::InvalidExactEvmFailedToGetNetworkConfig)?;
        let domain = self
            .extra
            .and_then(TokenDomain::from_extra)
            .ok_or(Code::MissingEip712Domain)?;
        let amount =
            parse_atomic(self.amount).map_err(|error| requirements("the amount", &error))?;
        let token =
            hex_text::parse_address(self.asset).map_err(|error| requirements("asset", &error))?;
        let pay_to =
            hex_text::parse_address(self.pay_to).map_err(|error| requirements("payTo", &error))?;
        let asset = Erc20::new(chain, token);
        Ok(Terms {
            asset,
            amount,
            pay_to,
            max_timeout_secs: self.max_timeout_secs,
            domain,
        })
    }
}

fn requirements(what: &str, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(Code::InvalidPaymentRequirements).detail(format!("{what}: {error}"))
}

/// Refuses a body above the limit before anything looks into it.
pub(super) fn check_size(body: &[u8]) -> Result<(), DecodeError> {
    if body.len() <= BODY_BYTES_MAX {
        Ok(())
    } else {
        Err(DecodeError::new(
            Code::BodyTooLarge,
            format!("expected at most {BODY_BYTES_MAX} bytes"),
        ))
    }
}

/// The version number a message claims: `None` when it is no JSON object, `Some(None)` when it claims none.
pub(super) fn claimed_version(json: &[u8]) -> Option<Option<u64>> {
    let claim: Claim = wire::object_from_slice(json).ok()?;
    Some(claim.number())
}

/// A look at the version only; everything else is skipped.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claim {
    x402_version: Option<Claimed>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Claimed {
    Number(u64),
    Other(IgnoredAny),
}

impl Claim {
    const fn number(&self) -> Option<u64> {
        match self.x402_version {
            Some(Claimed::Number(number)) => Some(number),
            Some(Claimed::Other(_)) | None => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Peek {
    x402_version: Option<Claimed>,
    #[serde(deserialize_with = "wire::object_only")]
    payment_payload: Claim,
}

/// The version of a request, without building anything of it.
fn version(body: &[u8]) -> Result<Version, DecodeError> {
    let peek: Peek = wire::object_from_slice(body).map_err(|error| not_a_request(body, &error))?;
    let claimed = peek.payment_payload.number();
    let version = claimed.and_then(Version::from_number);
    let request_agrees = match peek.x402_version {
        Some(Claimed::Number(number)) => Some(number) == claimed,
        Some(Claimed::Other(_)) => false,
        None => true,
    };
    version.filter(|_| request_agrees).ok_or_else(|| {
        DecodeError::new(
            Code::InvalidX402Version,
            "expected x402Version 1 or 2, the same in paymentPayload",
        )
    })
}

/// Tells bodies that are no JSON object from objects without a payload object.
fn not_a_request(body: &[u8], error: &serde_json::Error) -> DecodeError {
    let is_object = claimed_version(body).is_some();
    let code = if is_object {
        Code::InvalidPayload
    } else {
        Code::MalformedJson
    };
    DecodeError::new(code, wire::describe(error))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parsed<P, R> {
    payment_payload: P,
    payment_requirements: R,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "only asked whether it parses")]
struct ParsedPayload<P> {
    payment_payload: P,
}

fn parse<P: DeserializeOwned, R: DeserializeOwned>(body: &[u8]) -> Result<(P, R), DecodeError> {
    let parsed: Parsed<P, R> = wire::object_from_slice(body).map_err(|error| {
        // Only now, on the way out with an error, it matters which part is to blame.
        let payload_is_good = wire::object_from_slice::<ParsedPayload<P>>(body).is_ok();
        let code = if payload_is_good {
            Code::InvalidPaymentRequirements
        } else {
            Code::InvalidPayload
        };
        DecodeError::new(code, wire::describe(&error))
    })?;
    Ok((parsed.payment_payload, parsed.payment_requirements))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a, P, R> {
    x402_version: u8,
    payment_payload: &'a P,
    payment_requirements: &'a R,
}
