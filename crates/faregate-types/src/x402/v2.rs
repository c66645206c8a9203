//! Protocol version 2: the wire objects of `PAYMENT-REQUIRED` and `PAYMENT-SIGNATURE`.
//!
//! ```
//! use faregate_types::x402::{MaxTimeout, v2};
//!
//! let requirements = v2::PaymentRequirements {
//!     scheme: "exact".into(),
//!     network: "eip155:84532".into(),
//!     amount: "1000".into(),
//!     asset: "0x036CbD53842c5426634e7929541eC2318f3dCF7e".into(),
//!     pay_to: "0x209693Bc6afc0C5328bA36FaF03C514EF312287C".into(),
//!     max_timeout_seconds: MaxTimeout::from_secs(60),
//!     extra: None,
//! };
//! assert!(serde_json::to_string(&requirements).unwrap().contains(r#""payTo":"0x2096"#));
//! ```

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::{Map, Value};

use super::wire::{self, MaxTimeout, VersionTag, wire_struct};

wire_struct! {
    /// The 402 answer: what can be bought, and every way to pay for it.
    pub struct PaymentRequired ("a PaymentRequired object of version 2") {
        /// Always 2.
        pub x402_version: VersionTag<2>,
        /// Why payment is asked for: free text or a reason code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub error: Option<String>,
        /// What is sold. Required by the TypeScript SDK, so it is required here.
        pub resource: ResourceInfo,
        /// The offers, at least one.
        #[serde(deserialize_with = "offers")]
        pub accepts: Vec<PaymentRequirements>,
        /// Extensions by key.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::optional_object")]
        pub extensions: Option<Map<String, Value>>,
    }
}

wire_struct! {
    /// The thing that is sold.
    pub struct ResourceInfo ("a resource object") {
        /// Absolute URL.
        pub url: String,
        /// What it is, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub description: Option<String>,
        /// Media type of the answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub mime_type: Option<String>,
        /// Name of the service: at most 32 printable ASCII characters.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "service_name")]
        pub service_name: Option<String>,
        /// At most 5 tags of at most 32 characters.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "tags")]
        pub tags: Option<Vec<String>>,
        /// At most 2048 characters. Never fetched by us.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "icon_url")]
        pub icon_url: Option<String>,
    }
}

impl ResourceInfo {
    /// A resource with nothing but its URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            description: None,
            mime_type: None,
            service_name: None,
            tags: None,
            icon_url: None,
        }
    }
}

wire_struct! {
    /// One offer: pay this, that way.
    pub struct PaymentRequirements ("a payment requirements object of version 2") {
        /// For example `exact`.
        #[serde(deserialize_with = "wire::non_empty")]
        pub scheme: String,
        /// CAIP-2 name; has a colon and at least three characters.
        #[serde(deserialize_with = "network")]
        pub network: String,
        /// Atomic units in decimal digits.
        #[serde(deserialize_with = "wire::non_empty")]
        pub amount: String,
        /// Token contract.
        pub asset: String,
        /// Payee.
        #[serde(deserialize_with = "wire::non_empty")]
        pub pay_to: String,
        /// How long the payer's authorization has to be valid at most.
        pub max_timeout_seconds: MaxTimeout,
        /// Scheme-specific; for `exact` on EVM the token's EIP-712 `name` and `version`.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::optional_object")]
        pub extra: Option<Map<String, Value>>,
    }
}

wire_struct! {
    /// The payment: the chosen offer, verbatim, and the scheme's payload.
    pub struct PaymentPayload ("a PaymentPayload object of version 2") {
        /// Always 2.
        pub x402_version: VersionTag<2>,
        /// What is bought.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub resource: Option<ResourceInfo>,
        /// The offer the payer chose.
        pub accepted: PaymentRequirements,
        /// An object, scheme-specific; see [`exact::Payload`](super::exact::Payload).
        #[serde(deserialize_with = "wire::object_value")]
        pub payload: Value,
        /// Echo of the offered extensions.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::optional_object")]
        pub extensions: Option<Map<String, Value>>,
    }
}

fn offers<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<PaymentRequirements>, D::Error> {
    let offers = Vec::deserialize(deserializer)?;
    if offers.is_empty() {
        Err(D::Error::invalid_length(0, &"at least one offer"))
    } else {
        Ok(offers)
    }
}

fn network<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() >= 3 && text.contains(':') {
        Ok(text)
    } else {
        Err(D::Error::custom(
            "expected a CAIP-2 network such as eip155:8453",
        ))
    }
}

/// Lengths are in UTF-16 units, as the TypeScript schema counts them.
fn fits(text: &str, units_max: usize) -> bool {
    text.encode_utf16().count() <= units_max
}

fn service_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    match &text {
        Some(name) if name.len() > 32 || !name.bytes().all(|b| (b' '..=b'~').contains(&b)) => Err(
            D::Error::custom("expected a service name of at most 32 printable ASCII characters"),
        ),
        _ => Ok(text),
    }
}

fn tags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let tags = Option::<Vec<String>>::deserialize(deserializer)?;
    match &tags {
        Some(list) if list.len() > 5 || !list.iter().all(|tag| fits(tag, 32)) => Err(
            D::Error::custom("expected at most 5 tags of at most 32 characters"),
        ),
        _ => Ok(tags),
    }
}

fn icon_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let url = Option::<String>::deserialize(deserializer)?;
    match &url {
        Some(text) if !fits(text, 2048) => Err(D::Error::custom(
            "expected an icon URL of at most 2048 characters",
        )),
        _ => Ok(url),
    }
}
