//! What a facilitator is asked: the payment, as a header or as an object, and what it has to meet.

use serde::{Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::{Demand, DemandError, is_credit};
use crate::code::Code;
use crate::credit::binding;
use crate::credit::claims::{Claims, GuaranteeRequest, ValidationPolicy};
use crate::credit::field::{Field, Malformed, message};
use crate::limits::BODY_BYTES_MAX;
use crate::refusal::Refusal;
use crate::x402::{Version, header, wire};

/// Any JSON object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Object(pub(super) Value);

impl Field for Object {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        wire::object_value(deserializer).map(Self)
    }
}

message! {
    struct Asked ("a request to verify or settle") {
        x402_version: Option<u64> = "x402Version",
        payload: Option<Object> = "paymentPayload",
        header: Option<String> = "paymentHeader",
        requirements: Object = "paymentRequirements",
    }
}

message! {
    /// Where both versions differ: what the payer says it accepted.
    struct Envelope ("a payment payload") {
        x402_version: u64 = "x402Version",
        scheme: Option<String> = "scheme",
        network: Option<String> = "network",
        accepted: Option<Accepted> = "accepted",
        payload: GuaranteeRequest = "payload",
    }
}

message! {
    struct Accepted ("the offer that was accepted") {
        scheme: String = "scheme",
        network: String = "network",
    }
}

/// A payment of scheme `4mica-credit`: what `X-PAYMENT` and `PAYMENT-SIGNATURE` carry (specs/4mica.md §6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that gates and tests build by literal"
)]
pub struct CreditEnvelope {
    /// The protocol version.
    pub version: Version,
    /// The scheme, as the payer spells it.
    pub scheme: String,
    /// The network, as the payer spells it.
    pub network: String,
    /// What is promised, signed.
    pub request: GuaranteeRequest,
}

impl CreditEnvelope {
    /// Reads a payment from its JSON.
    ///
    /// # Errors
    /// A [`Refusal`] with `invalid_x402_version` or `invalid_payload`.
    pub fn read(payment: &Value) -> Result<Self, Refusal> {
        let envelope = Envelope::read(payment).map_err(|error| {
            Refusal::new(Code::InvalidPayload).detail(Malformed::from(error).to_string())
        })?;
        let version = Version::from_number(envelope.x402_version).ok_or_else(|| {
            let number = envelope.x402_version;
            Refusal::new(Code::InvalidX402Version)
                .detail(format!("unsupported x402Version {number}"))
        })?;
        let said = match version {
            Version::V1 => envelope.scheme.zip(envelope.network),
            Version::V2 => envelope.accepted.map(|said| (said.scheme, said.network)),
        };
        let (scheme, network) = said.ok_or_else(|| {
            Refusal::new(Code::InvalidPayload).detail("expected scheme and network")
        })?;
        Ok(Self {
            version,
            scheme,
            network,
            request: envelope.payload,
        })
    }
}

impl CreditEnvelope {
    /// The payment as it goes into `X-PAYMENT` or `PAYMENT-SIGNATURE`: base64 of JSON. Version 2 repeats the offer that was
    /// accepted and what is bought; version 1 has no place for them.
    #[must_use]
    pub fn to_header(&self, accepted: &Value, resource: Option<&Value>) -> String {
        let mut payment = json!({
            "x402Version": self.version.number(),
            "payload": &self.request,
        });
        let mut put = |name: &str, value: Value| {
            if let Value::Object(members) = &mut payment {
                members.insert(name.to_owned(), value);
            }
        };
        match self.version {
            Version::V1 => {
                put("scheme", Value::from(self.scheme.as_str()));
                put("network", Value::from(self.network.as_str()));
            }
            Version::V2 => {
                put("accepted", accepted.clone());
                if let Some(resource) = resource {
                    put("resource", resource.clone());
                }
            }
        }
        header::encode(&payment)
    }
}

/// The body of `POST /verify` and `POST /settle`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that gates and tests build by literal"
)]
pub struct CreditCall {
    /// The payment.
    pub payment: CreditEnvelope,
    /// What it has to meet.
    pub demand: Demand,
}

impl CreditCall {
    /// Reads the body of a request, with `paymentHeader` in base64 or `paymentPayload`.
    ///
    /// # Errors
    /// A [`Refusal`]: `body_too_large`, `malformed_json`, `malformed_credential`, `invalid_x402_version`, `invalid_payload`,
    /// `unsupported_scheme` or `invalid_payment_requirements`.
    pub fn decode(body: &[u8]) -> Result<Self, Refusal> {
        if body.len() > BODY_BYTES_MAX {
            return Err(Refusal::new(Code::BodyTooLarge));
        }
        let asked: Result<Asked, _> = serde_json::from_slice(body);
        let asked = asked.map_err(|error| {
            let code = match error.is_data() {
                true => Code::InvalidPayload,
                false => Code::MalformedJson,
            };
            Refusal::new(code).detail(Malformed::from(error).to_string())
        })?;
        let payment = match (asked.payload, asked.header) {
            (Some(Object(payment)), None) => payment,
            (None, Some(text)) => {
                header::decode_any(text.as_bytes()).map_err(|error| Refusal::from(&error))?
            }
            _ => {
                let expected = "expected either paymentPayload or paymentHeader";
                return Err(Refusal::new(Code::InvalidPayload).detail(expected));
            }
        };
        let payment = CreditEnvelope::read(&payment)?;
        let number = u64::from(payment.version.number());
        if let Some(said) = asked.x402_version.filter(|said| *said != number) {
            let detail =
                format!("x402Version {said} does not match paymentPayload x402Version {number}");
            return Err(Refusal::new(Code::InvalidX402Version).detail(detail));
        }
        let payer = payment.request.claims.payer;
        let demand = Demand::read(payment.version, &asked.requirements.0)
            .map_err(|error| Refusal::from(&error).payer(payer))?;
        Ok(Self { payment, demand })
    }

    /// Whether the payment meets what is asked for, as far as their words go: not who signed, not the tab, not the
    /// collateral. In the order of specs/4mica.md §6.3.
    ///
    /// # Errors
    /// The first thing that does not fit, with the payer.
    pub fn check(&self) -> Result<(), Refusal> {
        let CreditEnvelope {
            scheme, network, ..
        } = &self.payment;
        let claims = &self.payment.request.claims;
        let fits = || {
            if !is_credit(scheme) {
                return Err(
                    Refusal::new(Code::UnsupportedScheme).detail("expected scheme 4mica-credit")
                );
            }
            // `base-sepolia` and `eip155:84532` are the same; what nobody knows is compared as it is spelled.
            let known = super::chain(network);
            if *network != self.demand.network && (known.is_none() || known != self.demand.chain())
            {
                return Err(Refusal::new(Code::NetworkMismatch));
            }
            self.demand.met_by(claims)
        };
        fits().map_err(|refusal| refusal.payer(claims.payer))
    }
}

impl Demand {
    /// Whether claims are what is asked for: this much, of this, to this recipient, on this condition and no other.
    ///
    /// # Errors
    /// The first thing that is not.
    pub fn met_by(&self, claims: &Claims) -> Result<(), Refusal> {
        let differs = |code,
                       what: &str,
                       found: &dyn std::fmt::Display,
                       name: &str,
                       asked: &dyn std::fmt::Display| {
            Err(Refusal::new(code).detail(format!(
                "claim {what} {found} does not match {name} {asked}"
            )))
        };
        if claims.version() != self.guarantee_version() {
            return differs(
                Code::CreditVersionMismatch,
                "version",
                &claims.version(),
                "x402Version",
                &self.version.number(),
            );
        }
        if claims.recipient != self.recipient {
            let code = Code::CreditRecipientMismatch;
            return differs(
                code,
                "recipient",
                &claims.recipient,
                "payTo",
                &self.recipient,
            );
        }
        if claims.asset != self.asset {
            return differs(
                Code::CreditAssetMismatch,
                "asset",
                &claims.asset,
                "requirement",
                &self.asset,
            );
        }
        if claims.amount.is_zero() {
            return Err(Refusal::new(Code::CreditAmountMismatch).detail("claim amount is zero"));
        }
        if claims.amount != self.amount {
            let name = match self.version {
                Version::V1 => "maxAmountRequired",
                Version::V2 => "amount",
            };
            return differs(
                Code::CreditAmountMismatch,
                "amount",
                &claims.amount,
                name,
                &self.amount,
            );
        }
        self.condition_met_by(claims)
    }

    fn condition_met_by(&self, claims: &Claims) -> Result<(), Refusal> {
        binding::check(claims).map_err(|error| {
            Refusal::new(Code::CreditConditionInvalid).detail(error.to_string())
        })?;
        let asked = self.policy().map_err(|error| Refusal::from(&error))?;
        let (Some(asked), Some(found)) = (asked, &claims.validation) else {
            return Ok(());
        };
        match difference(&asked, found) {
            None => Ok(()),
            Some(member) => Err(Refusal::new(Code::CreditConditionMismatch)
                .detail(format!("claim {member} does not match the requirement"))),
        }
    }
}

/// The first member in which a condition is another, but for the hashes that follow from the rest.
fn difference(asked: &ValidationPolicy, found: &ValidationPolicy) -> Option<&'static str> {
    [
        (
            asked.registry == found.registry,
            "validation_registry_address",
        ),
        (asked.chain_id == found.chain_id, "validation_chain_id"),
        (asked.validator == found.validator, "validator_address"),
        (asked.agent_id == found.agent_id, "validator_agent_id"),
        (asked.min_score == found.min_score, "min_validation_score"),
        (asked.tag == found.tag, "required_validation_tag"),
        (asked.job_hash == found.job_hash, "job_hash"),
    ]
    .into_iter()
    .find_map(|(same, member)| (!same).then_some(member))
}

impl From<&DemandError> for Refusal {
    fn from(error: &DemandError) -> Self {
        let code = match error {
            DemandError::Scheme => Code::UnsupportedScheme,
            DemandError::Network => Code::InvalidNetwork,
            DemandError::Tab(_) => Code::CreditTabMismatch,
            _ => Code::InvalidPaymentRequirements,
        };
        Self::new(code).detail(error.to_string())
    }
}
