//! Why a tab is not opened or a guarantee not issued.

use alloy_primitives::U256;

use super::tab::TabId;

/// Why not. The texts are those of the wire (specs/4mica.md §1.7): clients show them to people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreditRefusal {
    /// The payer has never deposited anything.
    #[error("user not registered")]
    NotRegistered,
    /// Payer or recipient is suspended.
    #[error("user suspended")]
    Suspended,
    /// Payer and recipient are the same.
    #[error("payer and recipient must be different")]
    SelfPayment,
    /// The contract does not take this asset.
    #[error("asset is not supported")]
    UnsupportedAsset,
    /// The tab would not live at all.
    #[error("tab ttl must be greater than zero")]
    NoTtl,
    /// The tab would live longer than its certificates can be redeemed.
    #[error("tab ttl exceeds tab expiration time (ttl={ttl}, max={max})")]
    TtlTooLong {
        /// What was asked for, in seconds.
        ttl: u64,
        /// The most, in seconds.
        max: u64,
    },
    /// No tabs of this guarantee version.
    #[error("guarantee version {0} is not accepted by core")]
    Version(u64),
    /// No guarantees of this version.
    #[error(
        "guarantee request version {version} is not accepted; accepted versions are {accepted:?}"
    )]
    RequestVersion {
        /// What was asked for.
        version: u64,
        /// What is accepted.
        accepted: Vec<u64>,
    },
    /// The tab has guarantees of another version, or is to have.
    #[error("tab {tab} only accepts guarantee version {accepts}, got {got}")]
    TabVersion {
        /// The tab.
        tab: TabId,
        /// Its version.
        accepts: u64,
        /// What was asked for.
        got: u64,
    },
    /// There is no such tab.
    #[error("{0}")]
    UnknownTab(TabId),
    /// The number is taken.
    #[error("another guarantee with req_id {0} already exists")]
    Duplicate(U256),
    /// The number is not the next one.
    #[error("req_id not valid")]
    ReqId,
    /// It is dated later than now.
    #[error("timestamp is in the future")]
    Future,
    /// It is dated outside the tab's life.
    #[error("start timestamp modified")]
    Timestamp,
    /// The tab is closed, settled, remunerated or its time is over.
    #[error("tab already closed")]
    Closed,
    /// The payer is not the tab's.
    #[error("User address does not match tab")]
    Payer,
    /// The recipient is not the tab's.
    #[error("Recipient address does not match tab")]
    Recipient,
    /// The asset is not the tab's.
    #[error("Invalid asset address")]
    Asset,
    /// A guarantee of nothing.
    #[error("amount must be greater than zero")]
    AmountZero,
    /// Too little of the payer's collateral is free.
    #[error("Not enough free collateral")]
    Collateral,
}
