//! What happened on the chain.

use alloy_primitives::{Address, B256, U256, keccak256};
use faregate_types::Timestamp;

use super::tab::TabId;

/// Up to where the chain was read: everything up to this block, and nothing after it, is in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by every engine")]
pub struct Cursor {
    /// The block's number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Its timestamp, the time by which certificates expire.
    pub time: Timestamp,
}

/// Where something happened. Nothing happens twice at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_structs, reason = "written out by every engine")]
pub struct Place {
    /// The number of the block.
    pub block: u64,
    /// The transaction.
    pub transaction: B256,
    /// Which of the contract's logs in this transaction, from 0 on: it is the same when the transaction is mined again in another
    /// block. Absent for what left no log, i.e. the transaction itself.
    pub log: Option<u64>,
}

impl Place {
    /// The id under which the contract records a payment that happened here (`recordPaymentById`): the transaction's hash
    /// when the transaction was the payment, else one for each log, so that several payments of one transaction count.
    #[must_use]
    pub fn record(&self) -> B256 {
        match self.log {
            None => self.transaction,
            Some(index) => {
                let mut bytes = [0_u8; 40];
                let (transaction, log) = bytes.split_at_mut(32);
                transaction.copy_from_slice(self.transaction.as_slice());
                log.copy_from_slice(&index.to_be_bytes());
                keccak256(bytes)
            }
        }
    }
}

/// Something that happened, where and when.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "built by literal by whoever follows the chain"
)]
pub struct Happening {
    /// Where.
    pub place: Place,
    /// The timestamp of the block.
    pub at: Timestamp,
    /// What.
    pub event: TabEvent,
}

/// What the contract said, or a payment it does not see. Amounts are in the asset's atomic units; the zero address is ETH.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "each has its rule")]
pub enum TabEvent {
    /// `CollateralDeposited`.
    Deposited {
        /// For whom.
        payer: Address,
        /// What.
        asset: Address,
        /// How much.
        amount: U256,
    },
    /// `WithdrawalRequested`, also when a remuneration changed the request; `WithdrawalCanceled` with zero.
    Withdrawing {
        /// Who.
        payer: Address,
        /// What.
        asset: Address,
        /// All of what is asked for now.
        amount: U256,
    },
    /// `CollateralWithdrawn`.
    Withdrawn {
        /// Who.
        payer: Address,
        /// What.
        asset: Address,
        /// How much was paid out.
        amount: U256,
    },
    /// `TabPaid`, or ETH sent with the marker of a tab.
    Paid {
        /// For which tab.
        tab: TabId,
        /// For which request, if it was said.
        req: Option<U256>,
        /// Who paid.
        payer: Address,
        /// Who was paid.
        recipient: Address,
        /// What.
        asset: Address,
        /// How much.
        amount: U256,
    },
    /// `PaymentRecordedById`, or `PaymentRecorded` without an id.
    Recorded {
        /// The id it was recorded under.
        record: Option<B256>,
        /// For which tab.
        tab: TabId,
        /// What.
        asset: Address,
        /// How much.
        amount: U256,
    },
    /// `RecipientRemunerated`.
    Remunerated {
        /// For which tab.
        tab: TabId,
        /// What.
        asset: Address,
        /// How much was paid out this time.
        amount: U256,
    },
    /// Something that cannot be read; kept for a person to look at.
    Unreadable {
        /// What it looks like, at most 200 bytes.
        what: Box<str>,
    },
}

impl TabEvent {
    /// Its name in stores, logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Deposited { .. } => "deposited",
            Self::Withdrawing { .. } => "withdrawing",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Paid { .. } => "paid",
            Self::Recorded { .. } => "recorded",
            Self::Remunerated { .. } => "remunerated",
            Self::Unreadable { .. } => "unreadable",
        }
    }
}

/// Why something that happened does not fit the books. It is put aside and reported, and the rest goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(clippy::exhaustive_enums, reason = "each is stored by its name")]
pub enum Odd {
    /// It cannot be read.
    #[error("it cannot be read")]
    Unreadable,
    /// There is no such tab.
    #[error("there is no such tab")]
    UnknownTab,
    /// Payer, recipient or asset are not those of the tab.
    #[error("it is not what the tab is about")]
    AnotherTab,
    /// It is about nothing.
    #[error("the amount is zero")]
    Nothing,
    /// More leaves the contract than the books say is in it.
    #[error("the books say less is there")]
    TooLittle,
    /// Sums of this size do not exist.
    #[error("the sums overflow")]
    Overflow,
}

impl Odd {
    /// Its name in stores, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::UnknownTab => "unknown_tab",
            Self::AnotherTab => "another_tab",
            Self::Nothing => "nothing",
            Self::TooLittle => "too_little",
            Self::Overflow => "overflow",
        }
    }
}
