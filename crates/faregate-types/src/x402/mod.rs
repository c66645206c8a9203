//! x402 messages, protocol versions 1 and 2 (specs/x402.md §1 to §3).
//!
//! | module | what |
//! |---|---|
//! | [`v2`], [`v1`] | the wire objects of the two versions |
//! | [`exact`] | scheme `exact` on EVM: the payload, and the terms it is checked against |
//! | [`header`] | header names, and the base64 codecs |
//! | the rest | what a facilitator is asked and answers |
//!
//! Wire structs ignore unknown members, refuse duplicate members and JSON arrays in place of objects, and are as
//! strict about types as the official SDKs' schemas. They keep texts as texts; [`FacilitatorRequest::exact`] turns
//! them into checked values.

pub mod exact;
pub mod extension;
mod facilitator;
pub mod header;
mod request;
pub mod v1;
pub mod v2;
pub(crate) mod wire;

use serde_json::Value;

pub use facilitator::{Kind, SettleResponse, SupportedResponse, VerifyResponse};
pub use request::{DecodeError, FacilitatorRequest};
pub use wire::{MaxTimeout, VersionTag};

/// The protocol version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a third version would have to be handled everywhere"
)]
pub enum Version {
    /// Body and `X-PAYMENT` header.
    V1,
    /// `PAYMENT-REQUIRED` and `PAYMENT-SIGNATURE` headers.
    V2,
}

impl Version {
    /// The number in `x402Version`.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// The version with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }
}

/// The scheme this crate can type.
pub const SCHEME_EXACT: &str = "exact";

/// Whether what a client says it accepted is what we offered (specs/x402.md §1.1 step 4).
///
/// Texts are compared byte by byte: an address in other letter case does not match. Every member of our `extra` has to
/// be present and equal; the client may add members.
#[must_use]
pub fn matches(own: &v2::PaymentRequirements, accepted: &v2::PaymentRequirements) -> bool {
    own.scheme == accepted.scheme
        && own.network == accepted.network
        && own.amount == accepted.amount
        && own.asset == accepted.asset
        && own.pay_to == accepted.pay_to
        && own.max_timeout_seconds == accepted.max_timeout_seconds
        && own
            .extra
            .iter()
            .flatten()
            .all(|(key, ours)| accepted_extra(accepted, key) == Some(ours))
}

/// Whether a network is one of those that a pattern stands for: its own name, or `eip155:*` for every network of a
/// namespace, as in the keys of [`SupportedResponse::signers`].
///
/// Only for reading what others say about themselves. What we verify or settle on is never registered by pattern: a
/// payment of another chain would be checked against the wrong node (specs/x402.md §8 no. 21).
///
/// ```
/// use faregate_types::x402::network_matches;
///
/// assert!(network_matches("eip155:8453", "eip155:*"));
/// assert!(!network_matches("eip155:8453", "eip155:84*"));
/// ```
#[must_use]
pub fn network_matches(network: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(namespace) if namespace.ends_with(':') => network.starts_with(namespace),
        Some(_) | None => network == pattern,
    }
}

fn accepted_extra<'a>(accepted: &'a v2::PaymentRequirements, key: &str) -> Option<&'a Value> {
    accepted.extra.as_ref().and_then(|extra| extra.get(key))
}
