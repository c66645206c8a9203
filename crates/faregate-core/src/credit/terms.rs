//! What the operator and the contract allow.

use std::collections::BTreeSet;

use alloy_primitives::Address;

/// What a tab or a guarantee has to keep to. The contract's part is read from it and follows its changes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that the service builds by literal"
)]
pub struct Terms {
    /// Guarantee versions that are accepted.
    pub versions: BTreeSet<u64>,
    /// Assets the contract takes; the zero address is ETH.
    pub assets: BTreeSet<Address>,
    /// `tabExpirationTime` of the contract, in seconds: how long after its timestamp a certificate can be redeemed, and the
    /// longest life of a tab.
    pub expiration_secs: u64,
    /// A tab's life when nobody says otherwise, in seconds.
    pub ttl_default_secs: u64,
    /// How request ids are given out.
    pub req_ids: ReqIds,
}

/// How the guarantees of a tab are numbered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "two ways, no third")]
pub enum ReqIds {
    /// 0, 1, 2, …: each is the last one and one. Of two that are asked for at once one is refused.
    #[default]
    Strict,
    /// Everybody who asks for the tab gets a number of their own, and any number is taken once: payers that pay in parallel do
    /// not meet, and there are gaps.
    Reserved,
}

impl ReqIds {
    /// The word for it on the wire and in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Reserved => "reserved",
        }
    }

    /// What a word stands for.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Strict, Self::Reserved];
        all.into_iter().find(|way| way.as_str() == name)
    }
}
