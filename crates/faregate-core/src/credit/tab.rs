//! A tab: what one payer owes one recipient in one asset.

use std::fmt;

use alloy_primitives::{Address, U256};
use faregate_types::Timestamp;
use faregate_types::credit::api::{SettlementStatus as Settlement, TabStatus};

/// A tab's id: any 256 bits, on the wire as minimal hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TabId(pub U256);

impl fmt::Display for TabId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// Of one identity at most one tab is active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_structs, reason = "what a tab is known by")]
pub struct Identity {
    /// Who owes.
    pub payer: Address,
    /// Who is owed.
    pub recipient: Address,
    /// In what; the zero address is ETH.
    pub asset: Address,
    /// The guarantee version.
    pub version: u64,
}

/// A tab as it is stored. All amounts are in the asset's atomic units.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by every engine")]
pub struct Tab {
    /// Its id.
    pub id: TabId,
    /// Payer, recipient, asset and version of its guarantees.
    pub identity: Identity,
    /// From when on guarantees may be dated: when it was made, and once there is a guarantee, the time of the first.
    pub start: Timestamp,
    /// For how long after that, in seconds.
    pub ttl_secs: u64,
    /// How many guarantees were issued.
    pub guarantees: u64,
    /// The request id that is handed out next.
    pub next_req: U256,
    /// The sum of all guarantees.
    pub total: U256,
    /// What was paid for it on the chain and recorded by the contract.
    pub paid: U256,
    /// What the contract paid out of the payer's collateral.
    pub remunerated: U256,
    /// The latest timestamp of its guarantees.
    pub latest: Timestamp,
    /// No more guarantees.
    pub closed: bool,
    /// Its certificates can no longer be redeemed.
    pub expired: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Tab {
    /// What the newest certificate is still worth.
    #[must_use]
    pub const fn owed(&self) -> U256 {
        self.total
            .saturating_sub(self.paid)
            .saturating_sub(self.remunerated)
    }

    /// What is locked of the payer's collateral for it: what is owed, until that can no longer be redeemed.
    #[must_use]
    pub const fn locked(&self) -> U256 {
        if self.expired {
            U256::ZERO
        } else {
            self.owed()
        }
    }

    /// What became of the debt so far.
    #[must_use]
    pub fn settlement(&self) -> Settlement {
        let clear = !self.total.is_zero() && self.owed().is_zero();
        match (clear, self.remunerated.is_zero(), self.expired) {
            (true, true, _) => Settlement::Settled,
            (true, false, _) => Settlement::Remunerated,
            (false, _, true) => Settlement::Failed,
            (false, _, false) => Settlement::Pending,
        }
    }

    /// Whether it takes guarantees. A tab that is over is not closed by that: see [`is_active`](Self::is_active).
    #[must_use]
    pub const fn status(&self) -> TabStatus {
        match (self.closed, self.guarantees) {
            (true, _) => TabStatus::Closed,
            (false, 0) => TabStatus::Pending,
            (false, _) => TabStatus::Open,
        }
    }

    /// True while it takes guarantees, as far as its own state says; its time may be over all the same.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.closed && self.settlement() == Settlement::Pending
    }

    /// True when its time is over at `now`.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.start
            .checked_add_secs(self.ttl_secs)
            .is_some_and(|end| end < now)
    }

    /// From when on, by the time of the chain, no certificate of it can be redeemed any more. `None`: never.
    #[must_use]
    pub const fn redeemable_until(&self, expiration_secs: u64) -> Option<Timestamp> {
        self.latest.checked_add_secs(expiration_secs)
    }
}
