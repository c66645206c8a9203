//! Payments for a tab that happened on the chain, on their way into the contract's records.

use alloy_primitives::{Address, B256, U256};
use faregate_types::Timestamp;

use super::event::Place;
use super::tab::TabId;

/// Money that went from payer to recipient for a tab.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by every engine")]
pub struct TabPayment {
    /// Where it happened: its natural key. Two payments in one transaction are two.
    pub place: Place,
    /// For which tab.
    pub tab: TabId,
    /// The request it was made for, if it said so.
    pub req: Option<U256>,
    /// Who paid.
    pub payer: Address,
    /// Who was paid.
    pub recipient: Address,
    /// What; the zero address is ETH.
    pub asset: Address,
    /// How much, in atomic units.
    pub amount: U256,
    /// How far it is.
    pub stage: PaymentStage,
    /// When it happened, by the clock of the chain.
    pub at: Timestamp,
}

/// How far the contract knows of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the stages of recording")]
pub enum PaymentStage {
    /// It happened and will stay; the contract is to be told.
    Found,
    /// This transaction that tells it is about to be sent, or was.
    Telling(B256),
    /// The contract knows, and what it was locked for is free.
    Recorded(B256),
    /// The contract refused it for good.
    Refused,
}

impl TabPayment {
    /// The id it is recorded under: see [`Place::record`].
    #[must_use]
    pub fn record(&self) -> B256 {
        self.place.record()
    }
}
