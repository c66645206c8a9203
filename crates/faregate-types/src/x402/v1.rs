//! Protocol version 1: the JSON body of a 402 answer, and the content of `X-PAYMENT`.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::{Map, Value};

use super::wire::{self, VersionTag, wire_struct};
use super::{DecodeError, SCHEME_EXACT, request, v2};
use crate::amount::parse_atomic;
use crate::chain_id::ChainId;
use crate::code::Code;

wire_struct! {
    /// The 402 body.
    pub struct PaymentRequired ("a payment required object of version 1") {
        /// Always 1.
        pub x402_version: VersionTag<1>,
        /// Why payment is asked for: free text or a reason code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub error: Option<String>,
        /// The offers.
        pub accepts: Vec<PaymentRequirements>,
        /// Who tried to pay, when a payment was refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub payer: Option<String>,
    }
}

impl PaymentRequired {
    /// Reads the body of a 402 answer.
    ///
    /// # Errors
    /// [`Code::BodyTooLarge`], [`Code::InvalidX402Version`] or [`Code::MalformedOffer`].
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        request::check_size(body)?;
        serde_json::from_slice(body).map_err(|error| match request::claimed_version(body) {
            Some(Some(1)) => DecodeError::new(Code::MalformedOffer, wire::describe(&error)),
            Some(_) => DecodeError::new(Code::InvalidX402Version, "expected x402Version 1"),
            None => DecodeError::new(Code::MalformedOffer, "expected a JSON object"),
        })
    }
}

wire_struct! {
    /// One offer.
    ///
    /// `extra` and `outputSchema` are left out when there is none: null is refused by the v1 SDKs.
    pub struct PaymentRequirements ("a payment requirements object of version 1") {
        /// For example `exact`.
        #[serde(deserialize_with = "wire::non_empty")]
        pub scheme: String,
        /// Short name, for example `base-sepolia`.
        #[serde(deserialize_with = "wire::non_empty")]
        pub network: String,
        /// Atomic units in decimal digits.
        #[serde(deserialize_with = "atomic")]
        pub max_amount_required: String,
        /// Absolute URL of what is sold.
        #[serde(deserialize_with = "absolute_url")]
        pub resource: String,
        /// What it is, for people.
        pub description: String,
        /// Media type of the answer.
        pub mime_type: String,
        /// Shape of request and answer.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::present_object")]
        pub output_schema: Option<Map<String, Value>>,
        /// Payee.
        #[serde(deserialize_with = "wire::non_empty")]
        pub pay_to: String,
        /// How long the payer's authorization has to be valid at most.
        pub max_timeout_seconds: u64,
        /// Token contract.
        pub asset: String,
        /// The token's EIP-712 `name` and `version`.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::present_object")]
        pub extra: Option<Map<String, Value>>,
    }
}

impl PaymentRequirements {
    /// The version 1 form of an offer, if it has one: scheme `exact` with EIP-3009, on a network with a v1 name.
    #[must_use]
    pub fn from_v2(offer: &v2::PaymentRequirements, resource: &v2::ResourceInfo) -> Option<Self> {
        let method = offer
            .extra
            .as_ref()
            .and_then(|extra| extra.get("assetTransferMethod"));
        let eip3009 = method.is_none_or(|method| method == "eip3009");
        if offer.scheme != SCHEME_EXACT || !eip3009 {
            return None;
        }
        let chain: ChainId = offer.network.parse().ok()?;
        Some(Self {
            scheme: offer.scheme.clone(),
            network: chain.v1_name()?.to_owned(),
            max_amount_required: offer.amount.clone(),
            resource: resource.url.clone(),
            description: resource.description.clone().unwrap_or_default(),
            mime_type: resource.mime_type.clone().unwrap_or_default(),
            output_schema: None,
            pay_to: offer.pay_to.clone(),
            max_timeout_seconds: offer.max_timeout_seconds.as_secs(),
            asset: offer.asset.clone(),
            extra: offer.extra.clone(),
        })
    }
}

wire_struct! {
    /// The payment.
    pub struct PaymentPayload ("a payment payload object of version 1") {
        /// Always 1.
        pub x402_version: VersionTag<1>,
        /// For example `exact`.
        #[serde(deserialize_with = "wire::non_empty")]
        pub scheme: String,
        /// Short name, for example `base-sepolia`.
        #[serde(deserialize_with = "wire::non_empty")]
        pub network: String,
        /// An object, scheme-specific; see [`exact::Payload`](super::exact::Payload).
        #[serde(deserialize_with = "wire::object_value")]
        pub payload: Value,
    }
}

fn atomic<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_atomic(&text).map_err(D::Error::custom)?;
    Ok(text)
}

fn absolute_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if is_absolute_url(&text) {
        Ok(text)
    } else {
        Err(D::Error::custom("expected an absolute URL"))
    }
}

/// A scheme, a colon and something after it, without blanks; web URLs also need a host.
fn is_absolute_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let scheme_fits = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let rest_fits = if web {
        rest.strip_prefix("//")
            .is_some_and(|host| !host.is_empty() && !host.starts_with(['/', '?', '#', ':']))
    } else {
        !rest.is_empty()
    };
    scheme_fits && rest_fits && !text.contains(|c: char| c.is_control() || c == ' ')
}
