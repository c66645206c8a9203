//! What a facilitator answers (specs/x402.md §1.1, §3.1).
//!
//! Texts stay texts: other facilitators send an empty `payer` or `network`, and their own reason words.

use alloy_primitives::{Address, B256};
use serde_json::{Map, Value};

use super::Version;
use super::wire::{self, wire_struct};
use crate::code::Code;
use crate::hex_text;
use crate::refusal::Refusal;

wire_struct! {
    /// The answer of `POST /verify`.
    pub struct VerifyResponse ("a verify response object") {
        /// Whether the payment would settle.
        pub is_valid: bool,
        /// Why not: a reason code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub invalid_reason: Option<String>,
        /// Why not, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub invalid_message: Option<String>,
        /// Who pays.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub payer: Option<String>,
        /// Extensions by key.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::optional_object")]
        pub extensions: Option<Map<String, Value>>,
        /// Scheme-specific.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::optional_object")]
        pub extra: Option<Map<String, Value>>,
    }
}

impl VerifyResponse {
    /// The payment is good.
    #[must_use]
    pub fn valid(payer: Address) -> Self {
        Self {
            is_valid: true,
            payer: Some(payer.to_string()),
            ..Self::empty()
        }
    }

    /// The payment is refused.
    #[must_use]
    pub fn invalid(refusal: &Refusal) -> Self {
        Self {
            invalid_reason: Some(refusal.code.as_str().to_owned()),
            invalid_message: refusal.detail.as_deref().map(str::to_owned),
            payer: refusal.payer.map(|payer| payer.to_string()),
            ..Self::empty()
        }
    }

    const fn empty() -> Self {
        Self {
            is_valid: false,
            invalid_reason: None,
            invalid_message: None,
            payer: None,
            extensions: None,
            extra: None,
        }
    }

    /// The reason as one of our codes, whichever SDK's name it is.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.invalid_reason.as_deref().and_then(Code::from_str)
    }

    /// The payer's address, if there is one.
    #[must_use]
    pub fn payer_address(&self) -> Option<Address> {
        hex_text::parse_address(self.payer.as_deref()?).ok()
    }
}

wire_struct! {
    /// The answer of `POST /settle`, and the content of `PAYMENT-RESPONSE` and `X-PAYMENT-RESPONSE`.
    ///
    /// `success: false` with a `transaction` means: broadcast, but failed **or still pending**. Only
    /// [`Code::SettlementPending`] and its like tell the two apart; when in doubt the result is unknown.
    pub struct SettleResponse ("a settle response object") {
        /// Whether the money moved.
        pub success: bool,
        /// Why not: a reason code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub error_reason: Option<String>,
        /// Why not, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub error_message: Option<String>,
        /// Who paid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub payer: Option<String>,
        /// Transaction hash; empty when nothing was broadcast.
        #[serde(default, deserialize_with = "text_or_nothing")]
        pub transaction: String,
        /// CAIP-2 name, or v1 short name.
        #[serde(default, deserialize_with = "text_or_nothing")]
        pub network: String,
        /// What was really paid, in atomic units, where the scheme leaves that open.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub amount: Option<String>,
        /// Extensions by key.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::optional_object")]
        pub extensions: Option<Map<String, Value>>,
        /// Scheme-specific.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::optional_object")]
        pub extra: Option<Map<String, Value>>,
    }
}

impl SettleResponse {
    /// The money moved with this transaction.
    #[must_use]
    pub fn settled(network: impl Into<String>, payer: Address, transaction: B256) -> Self {
        Self {
            success: true,
            payer: Some(payer.to_string()),
            transaction: transaction.to_string(),
            ..Self::empty(network)
        }
    }

    /// The money did not move. `transaction` is the hash of a transaction that was broadcast and reverted, if any.
    #[must_use]
    pub fn failed(
        network: impl Into<String>,
        refusal: &Refusal,
        transaction: Option<B256>,
    ) -> Self {
        Self {
            error_reason: Some(refusal.code.as_str().to_owned()),
            error_message: refusal.detail.as_deref().map(str::to_owned),
            payer: refusal.payer.map(|payer| payer.to_string()),
            transaction: transaction.map(|hash| hash.to_string()).unwrap_or_default(),
            ..Self::empty(network)
        }
    }

    /// The transaction was broadcast and nobody knows yet how it ends.
    #[must_use]
    pub fn pending(network: impl Into<String>, transaction: impl Into<String>) -> Self {
        Self {
            error_reason: Some(Code::SettlementPending.as_str().to_owned()),
            transaction: transaction.into(),
            ..Self::empty(network)
        }
    }

    fn empty(network: impl Into<String>) -> Self {
        Self {
            success: false,
            error_reason: None,
            error_message: None,
            payer: None,
            transaction: String::new(),
            network: network.into(),
            amount: None,
            extensions: None,
            extra: None,
        }
    }

    /// The reason as one of our codes, whichever SDK's name it is.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.error_reason.as_deref().and_then(Code::from_str)
    }

    /// The transaction hash, if there is a well-formed one.
    #[must_use]
    pub fn transaction_hash(&self) -> Option<B256> {
        hex_text::parse_b256(&self.transaction).ok()
    }

    /// The payer's address, if there is one.
    #[must_use]
    pub fn payer_address(&self) -> Option<Address> {
        hex_text::parse_address(self.payer.as_deref()?).ok()
    }
}

wire_struct! {
    /// The answer of `GET /supported`.
    pub struct SupportedResponse ("a supported response object") {
        /// What can be verified and settled, both versions in one list.
        pub kinds: Vec<Kind>,
        /// Keys of supported extensions.
        #[serde(default)]
        pub extensions: Vec<String>,
        /// Settling accounts by CAIP-2 pattern, for example `eip155:*`.
        #[serde(default)]
        pub signers: std::collections::BTreeMap<String, Vec<String>>,
    }
}

wire_struct! {
    /// One thing a facilitator can do.
    pub struct Kind ("a supported kind object") {
        /// 1 or 2; others are kept and ignored.
        pub x402_version: u64,
        /// For example `exact`.
        pub scheme: String,
        /// CAIP-2 name in version 2, short name in version 1.
        pub network: String,
        /// Scheme-specific.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::optional_object")]
        pub extra: Option<Map<String, Value>>,
    }
}

impl Kind {
    /// Scheme `exact` on a network.
    #[must_use]
    pub fn exact(version: Version, network: impl Into<String>) -> Self {
        let scheme = super::SCHEME_EXACT.to_owned();
        Self {
            x402_version: version.number().into(),
            scheme,
            network: network.into(),
            extra: None,
        }
    }
}

fn text_or_nothing<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    <Option<String> as serde::Deserialize>::deserialize(deserializer).map(Option::unwrap_or_default)
}
