//! What a payer has with the contract.

use alloy_primitives::{Address, U256};
use faregate_ledger::Balance;
use faregate_types::Timestamp;

/// Somebody the core knows: has deposited, or was suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by every engine")]
pub struct Account {
    /// Who.
    pub address: Address,
    /// May neither give nor receive guarantees.
    pub suspended: bool,
    /// When this was said.
    pub updated_at: Timestamp,
}

/// A payer's collateral in one asset, in its atomic units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by every engine")]
pub struct Collateral {
    /// What the contract holds: posted credits less posted debits of the payer's account in the ledger.
    pub total: U256,
    /// What is locked for guarantees: pending debits of it.
    pub locked: U256,
    /// What the payer has asked to withdraw and has not withdrawn.
    pub withdrawing: U256,
    /// How often it has changed.
    pub version: u64,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A payer's standing request to withdraw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by every engine")]
pub struct Withdrawal {
    /// Who.
    pub payer: Address,
    /// Of what; the zero address is ETH.
    pub asset: Address,
    /// How much of it is asked for now, in atomic units; zero when there is no request any more.
    pub amount: U256,
    /// Since when.
    pub at: Timestamp,
}

impl Collateral {
    /// What further guarantees may lock. A payer who withdraws may ask for more than is free; then nothing is.
    #[must_use]
    pub const fn free(&self) -> U256 {
        self.total
            .saturating_sub(self.locked)
            .saturating_sub(self.withdrawing)
    }

    /// What the ledger's sums of the payer's account mean.
    #[must_use]
    pub const fn of(balance: &Balance) -> (U256, U256) {
        let total = balance.credits_posted.saturating_sub(balance.debits_posted);
        (total, balance.debits_pending)
    }
}
