//! Do the books add up? What an audit finds, whatever engine keeps them.

use std::collections::BTreeMap;

use alloy_primitives::U256;
use faregate_ledger::AccountId;
use faregate_types::{AssetId, PaymentId};

/// Faults that an audit lists before it stops looking for more.
const AUDIT_FAULTS: usize = 100;

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audit {
    /// How many transfers or spends were read.
    pub rows: u64,
    /// What is wrong, at most the first hundred.
    pub faults: Vec<AuditFault>,
}

/// Something that does not add up. None of them can come from a crash: it is a bug, a damaged disk, or somebody's hand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditFault {
    /// SQLite's own check of the file failed.
    #[error("the file is damaged")]
    File,
    /// The balance kept for an account is not the sum of its transfers.
    #[error("the balance of {account} in {asset} is not the sum of its transfers")]
    Balance {
        /// The account.
        account: AccountId,
        /// The asset.
        asset: AssetId,
    },
    /// What was given is not what was received.
    #[error("the books of {asset} are not balanced")]
    Unbalanced {
        /// The asset.
        asset: AssetId,
    },
    /// The state of a payment and the phase of its transfer contradict each other.
    #[error("payment {payment} and its transfer contradict each other")]
    Phase {
        /// The payment.
        payment: PaymentId,
    },
    /// Money is reserved by a transfer that no open payment stands for.
    #[error("a transfer of payment {payment} is reserved for nobody")]
    Orphan {
        /// The payment it was made for.
        payment: PaymentId,
    },
    /// The sum kept for what a payer owes or may come to owe is not the sum of the payments that are served first.
    #[error("the exposure of {account} in {asset} is not the sum of its payments")]
    Exposure {
        /// The payer.
        account: AccountId,
        /// The asset.
        asset: AssetId,
    },
    /// A payer's key stands for a payment that does not have it.
    #[error("a key stands for payment {payment}, which does not have it")]
    Key {
        /// The payment.
        payment: PaymentId,
    },
    /// What is locked of a payer's collateral is not the sum of what its tabs lock.
    #[error("what is locked of {account} in {asset} is not what its tabs lock")]
    Locked {
        /// The payer's collateral.
        account: AccountId,
        /// The asset.
        asset: AssetId,
    },
    /// A tab contradicts its guarantees, or itself.
    #[error("tab {tab:#x} and its guarantees contradict each other")]
    Tab {
        /// Its id.
        tab: U256,
    },
    /// A reservation has no guarantee, or a guarantee neither has a certificate nor waits for one, or both.
    #[error("a guarantee of tab {tab:#x} is neither certified nor to be certified")]
    Certificate {
        /// The tab's id.
        tab: U256,
    },
    /// The sum kept for an origin is not the sum of its spends.
    #[error("the sum signed for {origin} is not the sum of its spends")]
    Origin {
        /// The origin.
        origin: Box<str>,
    },
    /// The sum kept for a span of time is not the sum of its spends.
    #[error("the sum signed in the slot of {level} levels at {slot} is not the sum of its spends")]
    Slot {
        /// 64 to this power is the length of the slot in seconds.
        level: u32,
        /// Which one.
        slot: i64,
    },
}

impl Audit {
    /// True when nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    pub(crate) fn add(&mut self, fault: AuditFault) {
        if self.faults.len() < AUDIT_FAULTS {
            self.faults.push(fault);
        }
    }

    pub(crate) fn row(&mut self) {
        self.rows = self.rows.saturating_add(1);
    }
}

/// Calls `differs` for every key that only one side has, or that the sides disagree about.
pub(crate) fn compare<K: Ord, V: PartialEq>(
    computed: &BTreeMap<K, V>,
    stored: &BTreeMap<K, V>,
    mut differs: impl FnMut(&K),
) {
    for (key, value) in computed {
        if stored.get(key) != Some(value) {
            differs(key);
        }
    }
    for key in stored.keys().filter(|key| !computed.contains_key(*key)) {
        differs(key);
    }
}
