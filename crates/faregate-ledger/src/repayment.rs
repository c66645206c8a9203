//! What a payer sent to repay what it owes on credit. Written down before it is sent, so that no debt is paid twice: whatever may
//! still happen counts as paid, and nothing new is begun for a tab while the end of the last payment is unknown.
//!
//! The rules are here; an engine loads the payments of a tab, asks them, and writes what they say, in one transaction.

use std::fmt;

use alloy_primitives::{Address, B256, U256};
use faregate_types::{ChainId, Timestamp};
use futures_util::future::BoxFuture;

use crate::store::{StoreError, checked_sum};

/// Most payments of one tab.
pub const REPAYMENTS_MAX: u32 = 1_000;

/// Most transactions of one payment: the first and those that replaced it.
pub const REPAYMENT_SENDINGS_MAX: usize = 64;

/// Largest transaction that is kept, in bytes.
pub const REPAYMENT_RAW_BYTES_MAX: usize = 16 * 1024;

/// A tab, wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_structs, reason = "what a tab is known by")]
pub struct TabKey {
    /// The chain.
    pub chain: ChainId,
    /// The contract whose certificates name the tab.
    pub contract: Address,
    /// Who owes.
    pub payer: Address,
    /// The tab's number.
    pub tab: U256,
}

/// A payment on a tab.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "an input, written out by callers"
)]
pub struct Repayment {
    /// The tab.
    pub tab: TabKey,
    /// Its place among the payments of the tab, from 0: how many the caller knows of. So nobody begins one without having seen
    /// those before it.
    pub number: u32,
    /// Whom.
    pub recipient: Address,
    /// The token; the zero address is the chain's coin.
    pub asset: Address,
    /// In the asset's atomic units, above zero.
    pub amount: U256,
    /// What was ever owed on the tab. All payments together are never more.
    pub total: U256,
    /// When it was begun.
    pub at: Timestamp,
}

/// What is known of the end of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the states a payment can be in")]
pub enum RepaymentState {
    /// Nothing: it may have happened, or happen yet.
    Open,
    /// It was mined.
    Paid,
    /// It was mined, and the contract counts it as paid for its tab.
    Recorded,
    /// It will never happen.
    Void,
}

impl RepaymentState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Open, Self::Paid, Self::Recorded, Self::Void];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Recorded => "recorded",
            Self::Void => "void",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// What a payment in this state becomes when it is said to have ended like that; `None` when it stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it ended otherwise: what was paid is not void, and what will never happen is not paid.
    pub fn after(self, end: Self) -> Result<Option<Self>, StoreError> {
        match (self, end) {
            (Self::Open, end) if end != Self::Open => Ok(Some(end)),
            (Self::Paid, Self::Recorded) => Ok(Some(Self::Recorded)),
            (Self::Recorded, Self::Paid) => Ok(None),
            (state, end) if state == end => Ok(None),
            _ => Err(StoreError::Conflict),
        }
    }
}

/// A signed transaction of a payment.
#[derive(Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Sending {
    /// Its hash.
    pub hash: B256,
    /// Its place among the transactions of the payer. Of all with one nonce at most one is mined.
    pub nonce: u64,
    /// Its bytes, to send them again: twice is the same as once.
    pub raw: Vec<u8>,
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("hash", &self.hash)
            .field("nonce", &self.nonce)
            .finish_non_exhaustive()
    }
}

/// A payment in the books.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by every engine")]
pub struct RepaymentRecord {
    /// The payment.
    pub repayment: Repayment,
    /// Its end, as far as it is known.
    pub state: RepaymentState,
    /// Its transactions, oldest first. None: nothing was sent.
    pub sent: Vec<Sending>,
    /// The one that was mined.
    pub transaction: Option<B256>,
}

impl RepaymentRecord {
    /// Whether it has been paid, or may be.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.state != RepaymentState::Void
    }
}

/// Whether a payment may be begun after these, which are all of its tab in their order. `false`: it is the last of them already.
///
/// # Errors
/// [`StoreError::Conflict`] when somebody begun another one, the last one is open, or all together would be more than what was
/// ever owed; [`StoreError::Unavailable`] when there are too many.
pub fn may_begin(known: &[RepaymentRecord], next: &Repayment) -> Result<bool, StoreError> {
    if known.last().is_some_and(|last| {
        last.repayment == *next && last.state == RepaymentState::Open && last.sent.is_empty()
    }) {
        return Ok(false);
    }
    if known.len() >= usize::try_from(REPAYMENTS_MAX).unwrap_or(usize::MAX) {
        return Err(StoreError::Unavailable);
    }
    let is_next = usize::try_from(next.number).is_ok_and(|number| number == known.len());
    let is_open = known
        .iter()
        .any(|record| record.state == RepaymentState::Open);
    let counted = known.iter().filter(|record| record.counts());
    let amounts = counted.map(|record| record.repayment.amount);
    let sum = checked_sum(amounts.chain([next.amount])).ok_or(StoreError::Conflict)?;
    if !is_next || is_open || next.amount.is_zero() || sum > next.total {
        return Err(StoreError::Conflict);
    }
    Ok(true)
}

/// Whether a transaction may be sent for a payment. `false`: it is in the books already.
///
/// # Errors
/// [`StoreError::Conflict`] when the end of the payment is known, or another of its transactions has another nonce, so that both
/// could be mined; [`StoreError::Unavailable`] when there are too many.
pub fn may_send(known: &RepaymentRecord, sending: &Sending) -> Result<bool, StoreError> {
    if known.state != RepaymentState::Open {
        return Err(StoreError::Conflict);
    }
    if known.sent.contains(sending) {
        return Ok(false);
    }
    if known.sent.iter().any(|sent| sent.nonce != sending.nonce) {
        return Err(StoreError::Conflict);
    }
    if known.sent.len() >= REPAYMENT_SENDINGS_MAX || sending.raw.len() > REPAYMENT_RAW_BYTES_MAX {
        return Err(StoreError::Unavailable);
    }
    Ok(true)
}

/// Where a payer writes its payments on tabs down. Every method is one atomic, durable transaction, shared by all processes, and may
/// be repeated.
pub trait RepaymentStore: Send + Sync + 'static {
    /// Begins a payment: [`may_begin`].
    fn begin_repayment(&self, next: Repayment) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Writes a transaction down that is about to be sent for it: [`may_send`]. [`StoreError::NotFound`] when there is no such
    /// payment.
    fn send_repayment(
        &self,
        tab: TabKey,
        number: u32,
        sending: Sending,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Writes down how it ended: [`RepaymentState::after`]. The first transaction that is named stays.
    /// [`StoreError::NotFound`] when there is no such payment.
    fn finish_repayment(
        &self,
        tab: TabKey,
        number: u32,
        end: RepaymentState,
        transaction: Option<B256>,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// All payments of a tab, in their order.
    fn repayments(&self, tab: TabKey) -> BoxFuture<'_, Result<Vec<RepaymentRecord>, StoreError>>;

    /// Payments whose end is unknown, of one payer at one contract, oldest first, at most `limit`.
    fn open_repayments(
        &self,
        chain: ChainId,
        contract: Address,
        payer: Address,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<RepaymentRecord>, StoreError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repayment(number: u32, amount: u64) -> Repayment {
        let tab = TabKey {
            chain: ChainId::BASE_SEPOLIA,
            contract: Address::repeat_byte(1),
            payer: Address::repeat_byte(2),
            tab: U256::from(3),
        };
        Repayment {
            tab,
            number,
            recipient: Address::repeat_byte(4),
            asset: Address::ZERO,
            amount: U256::from(amount),
            total: U256::from(100),
            at: Timestamp::from_secs(5),
        }
    }

    fn sending(hash: u8, nonce: u64) -> Sending {
        Sending {
            hash: B256::repeat_byte(hash),
            nonce,
            raw: vec![hash],
        }
    }

    fn record(number: u32, amount: u64, state: RepaymentState) -> RepaymentRecord {
        RepaymentRecord {
            repayment: repayment(number, amount),
            state,
            sent: Vec::new(),
            transaction: None,
        }
    }

    #[test]
    fn no_payment_is_begun_that_could_be_one_too_many() {
        use RepaymentState::{Open, Paid, Recorded, Void};
        type Case = (Vec<(u64, RepaymentState)>, u32, u64, bool);
        let cases: Vec<Case> = vec![
            (vec![], 0, 100, true),
            (vec![], 0, 101, false),
            (vec![], 0, 0, false),
            (vec![], 1, 10, false),
            (vec![(60, Paid)], 1, 40, true),
            (vec![(60, Paid)], 1, 41, false),
            (vec![(60, Recorded)], 1, 41, false),
            (vec![(60, Void)], 1, 100, true),
            // Somebody who did not see the first.
            (vec![(60, Paid)], 0, 40, false),
            (vec![(60, Void)], 0, 40, false),
            // Nobody knows whether the first happens.
            (vec![(10, Open)], 1, 10, false),
            (vec![(10, Paid), (10, Paid), (10, Open)], 3, 10, false),
        ];
        for (known, number, amount, may) in cases {
            let shown = format!("{known:?} {number} {amount}");
            let known = (0..)
                .zip(known)
                .map(|(n, (amount, is))| record(n, amount, is));
            let known: Vec<_> = known.collect();
            let said = may_begin(&known, &repayment(number, amount));
            assert_eq!(said.is_ok(), may, "{shown}");
        }
        let mut again = [record(0, 10, Open)];
        assert_eq!(may_begin(&again, &repayment(0, 10)), Ok(false));
        again[0].sent.push(sending(1, 7));
        assert!(may_begin(&again, &repayment(0, 10)).is_err());
    }

    #[test]
    fn two_transactions_of_one_payment_cannot_both_be_mined() {
        let mut open = record(0, 10, RepaymentState::Open);
        assert_eq!(may_send(&open, &sending(1, 7)), Ok(true));
        open.sent.push(sending(1, 7));
        assert_eq!(may_send(&open, &sending(1, 7)), Ok(false));
        assert_eq!(may_send(&open, &sending(2, 7)), Ok(true));
        assert_eq!(may_send(&open, &sending(2, 8)), Err(StoreError::Conflict));
        open.state = RepaymentState::Void;
        assert_eq!(may_send(&open, &sending(3, 7)), Err(StoreError::Conflict));
    }

    #[test]
    fn an_end_is_not_taken_back() {
        use RepaymentState::{Open, Paid, Recorded, Void};
        for (before, end, after) in [
            (Open, Paid, Ok(Some(Paid))),
            (Open, Recorded, Ok(Some(Recorded))),
            (Open, Void, Ok(Some(Void))),
            (Open, Open, Ok(None)),
            (Paid, Paid, Ok(None)),
            (Paid, Recorded, Ok(Some(Recorded))),
            (Paid, Void, Err(StoreError::Conflict)),
            (Paid, Open, Err(StoreError::Conflict)),
            (Recorded, Paid, Ok(None)),
            (Recorded, Void, Err(StoreError::Conflict)),
            (Void, Paid, Err(StoreError::Conflict)),
            (Void, Void, Ok(None)),
        ] {
            assert_eq!(before.after(end), after, "{before:?} {end:?}");
        }
    }
}
