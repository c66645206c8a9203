//! Payments: the rules of the ledger crate meet maps. Whatever may fail is computed first, so that a refusal changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use faregate_ledger::{
    AccountId, Claim, Claimed, Effect, EventKind, Movement, Payment, PaymentState, Step, StoreError,
};
use faregate_types::{IdempotencyKey, PaymentId, Timestamp};

use super::accounts::{Accounts, Exposing};
use super::events::Outbox;
use super::limits::{DROPPED_AT_ONCE, LedgerLimits, PAGE_ROWS, SHARED_ROUTES};
use super::row::{AnswerPlace, Fixed, Kept, Row, Told, bytes_of};
use super::slab::Slab;

/// A payment's place in a list: a time, the number of its transfer, the number of its row.
type Place = (Timestamp, u64, u32);

/// The books of a seller or an operator.
#[derive(Debug, Default)]
pub(super) struct Payments {
    limits: LedgerLimits,
    numbers: BTreeMap<PaymentId, u32>,
    rows: Slab<Row>,
    pub(super) accounts: Accounts,
    /// The payment that a key of a payer's account stands for.
    keys: BTreeMap<(u32, IdempotencyKey), u32>,
    routes: BTreeSet<Arc<str>>,
    pub(super) outbox: Outbox,
    open: BTreeSet<Place>,
    unfinal: BTreeSet<Place>,
    recent: BTreeSet<Place>,
    /// Answers of payments that have ended.
    droppable: BTreeSet<(AnswerPlace, u32)>,
    claim_bytes: u64,
    answer_bytes: u64,
    /// Transfers that were ever reserved.
    transfers: u64,
    /// Answers that were ever kept.
    answers: u64,
    /// Whether somebody was told that it is full.
    said_full: bool,
}

/// Where one payment is in all lists.
struct Places {
    open: Option<Place>,
    unfinal: Option<Place>,
    recent: Place,
    droppable: Option<(AnswerPlace, u32)>,
}

impl Places {
    fn of(row: &Row, number: u32) -> Self {
        let changed = (row.changed_at, row.transfer, number);
        let (open, settled) = (row.state.is_open(), row.state == PaymentState::Settled);
        let answer = row.answer_place().map(|place| (place, number));
        Self {
            open: open.then_some(changed),
            unfinal: (settled && row.final_at.is_none()).then_some(changed),
            recent: (row.fixed.at, row.transfer, number),
            droppable: answer.filter(|_| !open),
        }
    }
}

/// Moves an entry of a list.
fn relist<T: Ord>(list: &mut BTreeSet<T>, before: Option<T>, now: Option<T>) {
    if before == now {
        return;
    }
    if let Some(before) = before {
        list.remove(&before);
    }
    list.extend(now);
}

impl Payments {
    pub(super) fn new(limits: LedgerLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Makes a payment usable once and reserves its transfer.
    pub(super) fn claim(&mut self, claim: Claim) -> Result<Told, StoreError> {
        let known = self.numbers.get(&claim.id).copied();
        if let Some(number) = known {
            let row = self.row(number)?;
            if let Some(claimed) = row.listed().verdict(&claim.fingerprint) {
                return Ok(Told::about(row, claimed));
            }
        }
        if let Some(told) = self.keyed(&claim)? {
            return Ok(told);
        }
        let (payer, asset) = (&claim.transfer.debit, claim.transfer.amount.asset());
        let sums = self.accounts.sums(payer, asset);
        let reserved = sums.balance.debits_pending;
        if claim.is_uncovered(reserved) {
            return Ok(Told::new(Claimed::Overdrawn { reserved }));
        }
        if claim.is_too_much(sums.exposure) {
            return Ok(Told::new(Claimed::Exposed));
        }
        self.fit(&claim, known)?;
        self.win(claim, known)?;
        Ok(Told::new(Claimed::Won))
    }

    /// What the payer's key says against this claim. That it stands for the same payment says nothing: it was released.
    fn keyed(&self, claim: &Claim) -> Result<Option<Told>, StoreError> {
        let Some(own) = &claim.idempotency else {
            return Ok(None);
        };
        let Some(first) = self.named(&claim.transfer.debit, &own.key)? else {
            return Ok(None);
        };
        let claimed = first.listed().keyed(&own.request);
        Ok(claimed.map(|claimed| Told::about(first, claimed)))
    }

    /// The payment that a payer's key stands for.
    pub(super) fn named(
        &self,
        payer: &AccountId,
        key: &IdempotencyKey,
    ) -> Result<Option<&Row>, StoreError> {
        let Some(payer) = self.accounts.number(payer) else {
            return Ok(None);
        };
        let number = self.keys.get(&(payer, key.clone()));
        number.map(|number| self.row(*number)).transpose()
    }

    /// Refuses what there is no room for.
    fn fit(&mut self, claim: &Claim, known: Option<u32>) -> Result<(), StoreError> {
        self.shed()?;
        // A released payment gives its bytes back.
        let released = match known {
            Some(number) => self.row(number)?.claim_bytes(),
            None => 0,
        };
        let bytes = self.claim_bytes.saturating_sub(released);
        let bytes = bytes.saturating_add(bytes_of(claim));
        // Two accounts per payment, and some to spare for payments that were released and claimed by others.
        let accounts_max = self.limits.payments.saturating_mul(4);
        let full = (known.is_none() && self.rows.len() >= self.limits.payments)
            || self.accounts.len() >= accounts_max
            || bytes > self.limits.claim_bytes
            || self.answer_bytes > self.limits.answer_bytes;
        if !full {
            self.said_full = false;
            return Ok(());
        }
        if !std::mem::replace(&mut self.said_full, true) {
            tracing::error!(
                payments = self.rows.len(),
                claim_bytes = self.claim_bytes,
                answer_bytes = self.answer_bytes,
                "the ledger in memory is full and refuses new claims"
            );
        }
        Err(StoreError::Unavailable)
    }

    /// Writes a claimed payment; a released one with the same id becomes this one.
    fn win(&mut self, claim: Claim, known: Option<u32>) -> Result<(), StoreError> {
        let debit = self.accounts.holder(&claim.transfer.debit)?;
        let credit = self.accounts.holder(&claim.transfer.credit)?;
        let route = self.route(&claim.route);
        let payment = Payment::reserved(claim);
        let exposing = Exposing::between(false, payment.is_exposed());
        let amount = payment.claim.transfer.amount;
        let both = [debit.number, credit.number];
        self.accounts
            .apply(both, amount, &[Movement::Reserve], exposing)?;
        let fixed = Fixed::new(payment.claim, debit, credit, route);
        let row = Row::reserved(fixed, self.next_transfer());
        let number = match known {
            Some(number) => {
                self.forget_key(number)?;
                self.put(number, row.clone())?;
                number
            }
            None => self.add(row.clone())?,
        };
        if let Some(own) = row.fixed.idempotency() {
            let key = (row.fixed.debit.number, own.key.clone());
            self.keys.insert(key, number);
        }
        Ok(())
    }

    /// The text of a route, held once.
    fn route(&mut self, route: &str) -> Arc<str> {
        if let Some(known) = self.routes.get(route) {
            return Arc::clone(known);
        }
        let route: Arc<str> = route.into();
        if self.routes.len() < SHARED_ROUTES {
            self.routes.insert(Arc::clone(&route));
        }
        route
    }

    const fn next_transfer(&mut self) -> u64 {
        self.transfers = self.transfers.saturating_add(1);
        self.transfers
    }

    /// What was released has no key any more.
    fn forget_key(&mut self, number: u32) -> Result<(), StoreError> {
        let fixed = Arc::clone(&self.row(number)?.fixed);
        if let Some(own) = fixed.idempotency() {
            let key = (fixed.debit.number, own.key.clone());
            if self.keys.get(&key) == Some(&number) {
                self.keys.remove(&key);
            }
        }
        Ok(())
    }

    /// Applies a step and moves the money. The payment is told without headers and body of an answer that was there before.
    pub(super) fn advance(
        &mut self,
        id: PaymentId,
        step: Step,
        at: Timestamp,
    ) -> Result<(Row, Effect), StoreError> {
        let number = *self.numbers.get(&id).ok_or(StoreError::NotFound)?;
        let mut row = self.row(number)?.clone();
        let mut payment = row.listed();
        let was_exposed = payment.is_exposed();
        let effect = payment.apply(step, at)?;
        if effect == Effect::Repeated {
            return Ok((row, effect));
        }
        let exposing = Exposing::between(was_exposed, payment.is_exposed());
        if !effect.movements().is_empty() || exposing != Exposing::No {
            let both = [row.fixed.debit.number, row.fixed.credit.number];
            self.accounts
                .apply(both, row.fixed.amount, effect.movements(), exposing)?;
        }
        row.note(&payment);
        match effect {
            Effect::Keep | Effect::Sell => {
                self.answers = self.answers.saturating_add(1);
                let kept = |answer| Arc::new(Kept::new(answer, at, self.answers));
                row.kept = payment.answer.take().map(kept);
            }
            Effect::Unpost => row.transfer = self.next_transfer(),
            Effect::Repeated | Effect::Noted | Effect::Post | Effect::Void => {}
        }
        self.put(number, row.clone())?;
        for kind in EventKind::of(effect, &payment) {
            self.outbox.put(*kind, id, at);
        }
        self.shed()?;
        Ok((row, effect))
    }

    /// The payment, if it was ever claimed.
    pub(super) fn find(&self, id: &PaymentId) -> Result<Option<Row>, StoreError> {
        let number = self.numbers.get(id);
        number.map(|number| self.row(*number).cloned()).transpose()
    }

    /// Payments whose end is not known, oldest change first.
    pub(super) fn open(&self, limit: u32) -> Result<Vec<Row>, StoreError> {
        self.list(self.open.iter(), limit)
    }

    /// Settled payments that are not final, oldest change first.
    pub(super) fn unfinal(&self, limit: u32) -> Result<Vec<Row>, StoreError> {
        self.list(self.unfinal.iter(), limit)
    }

    /// The newest payments, newest first.
    pub(super) fn recent(&self, limit: u32) -> Result<Vec<Row>, StoreError> {
        self.list(self.recent.iter().rev(), limit)
    }

    fn list<'a>(
        &self,
        places: impl Iterator<Item = &'a Place>,
        limit: u32,
    ) -> Result<Vec<Row>, StoreError> {
        let limit = usize::try_from(limit.min(PAGE_ROWS)).unwrap_or(usize::MAX);
        places
            .take(limit)
            .map(|(_, _, number)| self.row(*number).cloned())
            .collect()
    }

    /// Drops headers and bodies, oldest first: what was kept before `before`, and more until `bytes_max` is kept to.
    pub(super) fn prune(
        &mut self,
        before: Timestamp,
        bytes_max: u64,
        limit: u32,
    ) -> Result<u32, StoreError> {
        let mut dropped = 0_u32;
        while dropped < limit {
            let Some((place, number)) = self.droppable.first().copied() else {
                break;
            };
            if self.answer_bytes <= bytes_max && !place.is_before(before) {
                break;
            }
            let mut row = self.row(number)?.clone();
            row.drop_answer();
            self.put(number, row)?;
            dropped = dropped.saturating_add(1);
        }
        Ok(dropped)
    }

    /// Drops answers, few at a time, while there are more than there may be.
    fn shed(&mut self) -> Result<(), StoreError> {
        let bytes_max = self.limits.answer_bytes;
        if self.answer_bytes > bytes_max {
            self.prune(Timestamp::from_secs(0), bytes_max, DROPPED_AT_ONCE)?;
        }
        Ok(())
    }

    /// Every payment.
    pub(super) fn all(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter()
    }

    /// Every key, with the payer's account and the payment that it stands for.
    pub(super) fn keys(&self) -> impl Iterator<Item = (u32, &IdempotencyKey, Option<&Row>)> {
        let keys = self.keys.iter();
        keys.map(|((payer, key), number)| (*payer, key, self.rows.get(*number)))
    }

    fn row(&self, number: u32) -> Result<&Row, StoreError> {
        self.rows.get(number).ok_or(StoreError::Damaged)
    }

    /// A payment with an id that is new.
    fn add(&mut self, row: Row) -> Result<u32, StoreError> {
        let (id, bytes) = (row.fixed.id, row.claim_bytes());
        let next = self.rows.len();
        let places = Places::of(&row, next);
        let number = self.rows.push(row).ok_or(StoreError::Unavailable)?;
        self.numbers.insert(id, number);
        self.claim_bytes = self.claim_bytes.saturating_add(bytes);
        self.open.extend(places.open);
        self.recent.insert(places.recent);
        Ok(number)
    }

    /// Replaces a payment, wherever it is listed and counted.
    fn put(&mut self, number: u32, now: Row) -> Result<(), StoreError> {
        let row = self.rows.get_mut(number).ok_or(StoreError::Damaged)?;
        let (was, is) = (Places::of(row, number), Places::of(&now, number));
        let counted = |sum: u64, was: u64, is: u64| sum.saturating_sub(was).saturating_add(is);
        let bytes = |row: &Row| row.answer_place().map_or(0, |place| place.bytes);
        self.claim_bytes = counted(self.claim_bytes, row.claim_bytes(), now.claim_bytes());
        self.answer_bytes = counted(self.answer_bytes, bytes(row), bytes(&now));
        *row = now;
        relist(&mut self.open, was.open, is.open);
        relist(&mut self.unfinal, was.unfinal, is.unfinal);
        relist(&mut self.recent, Some(was.recent), Some(is.recent));
        relist(&mut self.droppable, was.droppable, is.droppable);
        Ok(())
    }
}
