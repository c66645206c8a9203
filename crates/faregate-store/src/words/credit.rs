//! How the words of the credit books are stored by every engine with rows.

use alloy_primitives::B256;
use faregate_core::credit::{EntryKind, PaymentStage, Settlement, Tab, TabId};
use faregate_core::port::RedemptionEnd;

use super::secs;

/// A number as a database's signed integer, bit for bit.
pub(crate) const fn integer(number: u64) -> i64 {
    number.cast_signed()
}

/// The bytes of a tab's id.
pub(crate) const fn id_bytes(id: TabId) -> [u8; 32] {
    id.0.to_be_bytes()
}

/// Whether a tab is settled.
pub(crate) const fn settlement(settlement: Settlement) -> u8 {
    match settlement {
        Settlement::Pending => 0,
        Settlement::Settled => 1,
        Settlement::Failed => 2,
        Settlement::Remunerated => 3,
    }
}

/// From when on the certificates of a tab grow old, if there are any that count.
pub(crate) fn ages_from(tab: &Tab) -> Option<i64> {
    let ages = tab.guarantees > 0 && !tab.expired;
    ages.then(|| secs(tab.latest))
}

/// The kind of a line of the journal.
pub(crate) const fn kind(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::Deposit => 0,
        EntryKind::Withdraw => 1,
        EntryKind::Reserve => 2,
        EntryKind::CancelReserve => 3,
        EntryKind::Unlock => 4,
        EntryKind::Remunerate => 5,
    }
}

/// The reverse of [`kind`].
pub(crate) fn kind_of(stored: u8) -> Option<EntryKind> {
    let mut all = EntryKind::ALL.iter();
    all.find(|is| kind(**is) == stored).copied()
}

/// The stage of a payment, and the transaction that belongs to it.
pub(crate) const fn stage(stage: PaymentStage) -> (u8, Option<[u8; 32]>) {
    match stage {
        PaymentStage::Found => (0, None),
        PaymentStage::Telling(transaction) => (1, Some(transaction.0)),
        PaymentStage::Recorded(transaction) => (2, Some(transaction.0)),
        PaymentStage::Refused => (3, None),
    }
}

/// The reverse of [`stage`].
pub(crate) fn stage_of(stored: u8, teller: Option<[u8; 32]>) -> Option<PaymentStage> {
    let teller = teller.map(B256::from);
    match (stored, teller) {
        (0, None) => Some(PaymentStage::Found),
        (1, Some(transaction)) => Some(PaymentStage::Telling(transaction)),
        (2, Some(transaction)) => Some(PaymentStage::Recorded(transaction)),
        (3, None) => Some(PaymentStage::Refused),
        _ => None,
    }
}

/// How a redemption ended.
pub(crate) const fn redemption_end(end: RedemptionEnd) -> u8 {
    match end {
        RedemptionEnd::Mined => 1,
        RedemptionEnd::Reverted => 2,
        RedemptionEnd::GivenUp => 3,
    }
}
