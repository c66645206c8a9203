//! What one batch works on: a part of the books in memory, locked in the database. The rules are the ledger crate's; here
//! they meet what was loaded, and what they change is noted for [`write`](super::write). A job that is refused changes
//! nothing.

use std::collections::{HashMap, HashSet};

use alloy_primitives::U256;
use faregate_ledger::{
    AccountId, Answer, Balance, Claim, Claimed, Effect, EventKind, EventKinds, Idempotency,
    Movement, Payment, PaymentState, Side, Step, StoreError, Transfer,
};
use faregate_types::{AssetId, IdempotencyKey, PaymentId, Timestamp};

use super::fault::Fault;
use super::seqs::Seqs;

/// What a key of a payer is found by.
pub(super) type KeyName = (AccountId, IdempotencyKey);

/// What sums are found by.
pub(super) type SumsName = (AccountId, AssetId);

/// A part of the books.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    /// Payments that are locked. What is not here is not in the books.
    pub(super) payments: HashMap<PaymentId, Entry>,
    /// Those that are there and cannot be read.
    pub(super) damaged: HashSet<PaymentId>,
    pub(super) keys: HashMap<KeyName, KeyEntry>,
    /// What else keys stand for: as it was when they were locked.
    pub(super) holders: HashMap<PaymentId, Payment>,
    pub(super) sums: HashMap<SumsName, Sums>,
    pub(super) news: News,
}

/// A payment and the number of its transfer.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) payment: Payment,
    pub(super) transfer: i64,
    pub(super) change: Change,
}

/// What is to be written of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// What a step may change.
    Step,
    /// Everything: it was released and claimed again.
    Whole,
    /// A row that was not there.
    New,
}

/// What a key stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyEntry {
    pub(super) stored: Option<PaymentId>,
    pub(super) now: Option<PaymentId>,
}

/// The sums of an account in an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) balance: Balance,
    /// What is owed or may come to be.
    pub(super) exposed: U256,
    pub(super) is_stored: bool,
    pub(super) is_changed: bool,
}

/// Rows that are only ever added.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) transfers: Vec<(PaymentId, i64, Transfer, Timestamp)>,
    /// Whether it was posted; otherwise it was voided.
    pub(super) ends: Vec<(PaymentId, i64, bool, Timestamp)>,
    pub(super) reversals: Vec<(PaymentId, i64, Option<Box<str>>, Timestamp)>,
    pub(super) answers: Vec<(PaymentId, i64, Answer, Timestamp)>,
    pub(super) events: Vec<(i64, EventKind, PaymentId, Timestamp)>,
}

/// The two rows of sums that a transfer is about, being changed.
struct Draft<'t> {
    transfer: &'t Transfer,
    payer: Sums,
    /// None when payer and payee are one account.
    payee: Option<Sums>,
}

impl Sheet {
    /// Makes a payment usable once and reserves its transfer.
    pub(super) fn claim(&mut self, claim: Claim, seqs: &Seqs) -> Result<Claimed, Fault> {
        let known = self.find(&claim.id)?.map(|entry| &entry.payment);
        let released = known.filter(|known| known.state == PaymentState::Released);
        let released = released.map(|known| known.claim.clone());
        if released.is_none()
            && let Some(known) = known.cloned()
        {
            let verdict = known.verdict(&claim.fingerprint);
            return verdict.ok_or(Fault::Damaged("a payment without a verdict"));
        }
        if let Some(refused) = self.keyed(&claim)? {
            return Ok(refused);
        }
        let transfer = claim.transfer.clone();
        let mut draft = self.draft(&transfer)?;
        let reserved = draft.payer.balance.debits_pending;
        if claim.is_uncovered(reserved) {
            return Ok(Claimed::Overdrawn { reserved });
        }
        if claim.is_too_much(draft.payer.exposed) {
            return Ok(Claimed::Exposed);
        }
        draft.apply(Movement::Reserve)?;
        let payment = Payment::reserved(claim);
        draft.expose(false, payment.is_exposed())?;
        let (payer, payee) = (draft.payer, draft.payee);
        self.settle_draft(&transfer, payer, payee);
        if let Some(released) = &released {
            self.forget(released);
        }
        self.name(&payment.claim);
        let (id, at, seq) = (payment.claim.id, payment.claim.at, seqs.next());
        self.news.transfers.push((id, seq, transfer, at));
        let before = self.payments.get(&id).map(|entry| entry.change);
        let change = match before {
            None | Some(Change::New) => Change::New,
            Some(_) => Change::Whole,
        };
        let entry = Entry {
            payment,
            transfer: seq,
            change,
        };
        self.payments.insert(id, entry);
        Ok(Claimed::Won)
    }

    /// Applies a step and moves the money. `told` is what is put into the outbox.
    pub(super) fn step(
        &mut self,
        id: PaymentId,
        step: Step,
        at: Timestamp,
        told: EventKinds,
        seqs: &Seqs,
    ) -> Result<(Payment, Effect), Fault> {
        let entry = self.find(&id)?.ok_or(StoreError::NotFound)?;
        let (mut payment, ended, change) = (entry.payment.clone(), entry.transfer, entry.change);
        let (was_exposed, undone) = (payment.is_exposed(), payment.transaction.clone());
        let effect = payment.apply(step, at)?;
        if effect == Effect::Repeated {
            return Ok((payment, effect));
        }
        let transfer = &payment.claim.transfer;
        // Without sums when there is nothing to move: a kept answer locks no account.
        if !effect.movements().is_empty() || payment.is_exposed() != was_exposed {
            let mut draft = self.draft(transfer)?;
            for movement in effect.movements() {
                draft.apply(*movement)?;
            }
            draft.expose(was_exposed, payment.is_exposed())?;
            let (payer, payee) = (draft.payer, draft.payee);
            self.settle_draft(transfer, payer, payee);
        }
        let mut seq = ended;
        for movement in effect.movements() {
            match movement {
                Movement::Post => self.news.ends.push((id, seq, true, at)),
                Movement::Void => self.news.ends.push((id, seq, false, at)),
                Movement::Reverse => self.news.reversals.push((id, seq, undone.clone(), at)),
                Movement::Reserve => {
                    seq = seqs.next();
                    self.news.transfers.push((id, seq, transfer.clone(), at));
                }
            }
        }
        if matches!(effect, Effect::Keep | Effect::Sell)
            && let Some(answer) = &payment.answer
        {
            self.news
                .answers
                .push((id, seqs.next(), answer.clone(), at));
        }
        for kind in EventKind::of(effect, &payment) {
            if told.has(*kind) {
                self.news.events.push((seqs.next(), *kind, id, at));
            }
        }
        let entry = Entry {
            payment: payment.clone(),
            transfer: seq,
            change: change.max(Change::Step),
        };
        self.payments.insert(id, entry);
        Ok((payment, effect))
    }

    fn find(&self, id: &PaymentId) -> Result<Option<&Entry>, Fault> {
        if self.damaged.contains(id) {
            return Err(Fault::Damaged("a payment"));
        }
        Ok(self.payments.get(id))
    }

    /// What the payer's key says against this claim.
    fn keyed(&self, claim: &Claim) -> Result<Option<Claimed>, Fault> {
        let Some(own) = &claim.idempotency else {
            return Ok(None);
        };
        let entry = self.keys.get(&key_name(claim, own));
        let Some(id) = entry.and_then(|entry| entry.now) else {
            return Ok(None);
        };
        // That it stands for the same payment says nothing: it was released.
        if id == claim.id {
            return Ok(None);
        }
        let first = match self.find(&id)? {
            Some(entry) => Some(&entry.payment),
            None => self.holders.get(&id),
        };
        let first = first.ok_or(Fault::Damaged("a key of no payment"))?;
        Ok(first.clone().keyed(&own.request))
    }

    /// Makes the payer's key stand for this payment.
    fn name(&mut self, claim: &Claim) {
        if let Some(own) = &claim.idempotency {
            let entry = self.keys.entry(key_name(claim, own)).or_default();
            entry.now = Some(claim.id);
        }
    }

    /// What was released has no key any more.
    fn forget(&mut self, claim: &Claim) {
        if let Some(own) = &claim.idempotency
            && let Some(entry) = self.keys.get_mut(&key_name(claim, own))
            && entry.now == Some(claim.id)
        {
            entry.now = None;
        }
    }

    fn draft<'t>(&self, transfer: &'t Transfer) -> Result<Draft<'t>, Fault> {
        let asset = transfer.amount.asset();
        let sums = |account: &AccountId| {
            let found = self.sums.get(&(account.clone(), asset)).cloned();
            found.ok_or(Fault::Damaged("sums that were not loaded"))
        };
        let is_one = transfer.debit == transfer.credit;
        Ok(Draft {
            transfer,
            payer: sums(&transfer.debit)?,
            payee: (!is_one).then(|| sums(&transfer.credit)).transpose()?,
        })
    }

    fn settle_draft(&mut self, transfer: &Transfer, payer: Sums, payee: Option<Sums>) {
        let asset = transfer.amount.asset();
        self.sums.insert((transfer.debit.clone(), asset), payer);
        if let Some(payee) = payee {
            self.sums.insert((transfer.credit.clone(), asset), payee);
        }
    }
}

fn key_name(claim: &Claim, own: &Idempotency) -> KeyName {
    (claim.transfer.debit.clone(), own.key.clone())
}

impl Draft<'_> {
    /// The same movement on the giving side of one account and the receiving side of the other, so that the sum over all
    /// accounts cannot leave zero.
    fn apply(&mut self, movement: Movement) -> Result<(), Fault> {
        let amount = self.transfer.amount.value();
        self.payer.after(Side::Debit, movement, amount)?;
        let payee = self.payee.as_mut().unwrap_or(&mut self.payer);
        payee.after(Side::Credit, movement, amount)
    }

    /// Counts the transfer to its payer's exposure, or no longer.
    fn expose(&mut self, was: bool, is: bool) -> Result<(), Fault> {
        let (sum, amount) = (self.payer.exposed, self.transfer.amount.value());
        let sum = match (was, is) {
            (false, true) => sum.checked_add(amount),
            (true, false) => sum.checked_sub(amount),
            _ => return Ok(()),
        };
        self.payer.exposed = sum.ok_or(Fault::Damaged(
            "an exposure that a transfer does not fit into",
        ))?;
        self.payer.is_changed = true;
        Ok(())
    }
}

impl Sums {
    /// An account nothing has happened to.
    pub(super) const fn none(asset: AssetId) -> Self {
        Self {
            balance: Balance::zero(asset),
            exposed: U256::ZERO,
            is_stored: false,
            is_changed: false,
        }
    }

    pub(super) fn after(
        &mut self,
        side: Side,
        movement: Movement,
        amount: U256,
    ) -> Result<(), Fault> {
        let after = self.balance.after(side, movement, amount);
        self.balance =
            after.map_err(|_| Fault::Damaged("a balance that a transfer does not fit into"))?;
        self.is_changed = true;
        Ok(())
    }
}
