//! Credit per HTTP request: scheme `4mica-credit` of x402, protocol versions 1 and 2 (specs/4mica.md §6).
//!
//! ```text
//! recipient ── offer: Demand, with the address where tabs are opened ──► payer
//! payer ────── TabRequest ──► that address ── TabTicket: tab and next number ──► payer
//! payer ────── Demand::claims, signed: GuaranteeRequest in the payment ──► recipient
//! recipient ── CreditCall (verify, settle) ──► facilitator ── CreditVerdict, CreditSettlement with the certificate ──► recipient
//! ```
//!
//! Protocol version and guarantee version go together on this wire: an offer of version 1 asks for a guarantee of version 1,
//! one of version 2 for a guarantee on a condition.
//!
//! Offers are read from their JSON and not from the stricter types of [`crate::x402`]: sellers of this network write
//! hexadecimal amounts and relative resources.

mod answer;
mod call;
mod demand;
mod tab;

pub use answer::{CreditSettlement, CreditVerdict};
pub use call::{CreditCall, CreditEnvelope};
pub use demand::{Condition, Demand, DemandError};
pub use tab::{TabRequest, TabTicket};

use crate::chain_id::ChainId;

/// The scheme's name.
pub const SCHEME: &str = "4mica-credit";

/// Whether a scheme is this one. Its clients look for the network's name in it, so sellers may call it otherwise.
///
/// ```
/// use faregate_types::credit::x402::is_credit;
///
/// assert!(is_credit("4mica-credit") && is_credit("4Mica-guarantee"));
/// assert!(!is_credit("exact"));
/// ```
#[must_use]
pub fn is_credit(scheme: &str) -> bool {
    scheme.to_ascii_lowercase().contains("4mica")
}

/// Names of networks from before they were CAIP-2, which the READMEs of both SDKs still show (specs/4mica.md §6.4).
const SHORT_NAMES: &[(&str, u64)] = &[
    ("ethereum-sepolia", 11_155_111),
    ("sepolia", 11_155_111),
    ("sepolia-mainnet", 11_155_111),
    ("polygon-amoy", 80_002),
];

/// The chain a network's name stands for: CAIP-2, a short name of this network, or one of x402's version 1.
///
/// ```
/// use faregate_types::ChainId;
/// use faregate_types::credit::x402::chain;
///
/// assert_eq!(chain("eip155:84532"), Some(ChainId::BASE_SEPOLIA));
/// assert_eq!(chain("base-sepolia"), Some(ChainId::BASE_SEPOLIA));
/// assert_eq!(chain("sepolia-mainnet").map(ChainId::get), Some(11_155_111));
/// assert_eq!(chain("base sepolia"), None);
/// ```
#[must_use]
pub fn chain(network: &str) -> Option<ChainId> {
    let short = SHORT_NAMES.iter().find(|(name, _)| *name == network);
    short
        .and_then(|(_, number)| ChainId::new(*number))
        .or_else(|| network.parse().ok())
        .or_else(|| ChainId::from_v1_name(network))
}

#[cfg(test)]
mod tests;
