//! The durable ledger in memory, with the exact rules of a store, and the way to it, on which anything may go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::{pending, ready};
use std::sync::{Arc, Mutex};

use faregate_ledger::{
    AccountId, Balance, Claim, Claimed, Effect, LedgerStore, Payment, PaymentState, Step,
    StoreError, Totals,
};
use faregate_types::{AssetId, IdempotencyKey, PaymentId, Timestamp, U256};
use futures_util::future::BoxFuture;

use crate::process::Process;
use crate::world::lock;

/// Payments that survive every breakdown.
#[derive(Debug, Default)]
pub struct MemoryLedger(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    payments: BTreeMap<PaymentId, Row>,
    /// The payment that a payer's key stands for.
    keys: BTreeMap<(AccountId, IdempotencyKey), PaymentId>,
    writes: u64,
    /// Every transaction that was ever recorded.
    sent: BTreeSet<Box<str>>,
    /// How often a settlement was taken back.
    reopened: u64,
}

#[derive(Debug)]
struct Row {
    payment: Payment,
    /// The number of the write that claimed it, for lists.
    claimed: u64,
    /// When its answer was kept; none once it was dropped.
    kept_at: Option<Timestamp>,
}

impl Row {
    /// As in a list: nothing of an answer but its status.
    fn listed(&self) -> Payment {
        let mut payment = self.payment.clone();
        drop_answer(&mut payment);
        payment
    }

    fn kept_bytes(&self) -> u64 {
        let Some(answer) = self
            .payment
            .answer
            .as_ref()
            .filter(|_| self.kept_at.is_some())
        else {
            return 0;
        };
        let headers = answer.headers.iter();
        let headers = headers.map(|(name, value)| 8 + name.len() + value.len());
        let bytes = headers.sum::<usize>() + answer.body.as_ref().map_or(0, Vec::len);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

fn drop_answer(payment: &mut Payment) {
    if let Some(answer) = &mut payment.answer {
        answer.headers = Vec::new();
        answer.body = None;
    }
}

impl MemoryLedger {
    /// The payment, if it was ever claimed.
    #[must_use]
    pub fn get(&self, id: PaymentId) -> Option<Payment> {
        lock(&self.0)
            .payments
            .get(&id)
            .map(|row| row.payment.clone())
    }

    /// Every payment.
    #[must_use]
    pub fn all(&self) -> Vec<Payment> {
        lock(&self.0)
            .payments
            .values()
            .map(|row| row.payment.clone())
            .collect()
    }

    /// [`LedgerStore::claim`], at once.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a sum would overflow.
    pub fn claim_now(&self, claim: Claim) -> Result<Claimed, StoreError> {
        let rows = &mut *lock(&self.0);
        let id = claim.id;
        let known = rows.payments.get(&id).map(|row| row.payment.clone());
        if let Some(verdict) = known.and_then(|payment| payment.verdict(&claim.fingerprint)) {
            return Ok(verdict);
        }
        let (payer, asset) = (claim.transfer.debit.clone(), claim.transfer.amount.asset());
        let named = claim.idempotency.clone();
        if let Some(own) = &named
            && let Some(first) = rows.keys.get(&(payer.clone(), own.key.clone()))
            && *first != id
            && let Some(row) = rows.payments.get(first)
            && let Some(verdict) = row.payment.clone().keyed(&own.request)
        {
            return Ok(verdict);
        }
        let reserved = rows.reserved(&payer, asset)?;
        if claim.is_uncovered(reserved) {
            return Ok(Claimed::Overdrawn { reserved });
        }
        let out = rows.exposure(&payer, asset)?;
        let sum = out.checked_add(claim.transfer.amount.value());
        if claim
            .exposure_max
            .is_some_and(|max| sum.is_none_or(|sum| sum > max))
        {
            return Ok(Claimed::Exposed);
        }
        rows.put(id, Payment::reserved(claim), Change::Claim)?;
        rows.keys.retain(|_, first| *first != id);
        rows.keys.extend(named.map(|own| ((payer, own.key), id)));
        Ok(Claimed::Won)
    }

    /// [`LedgerStore::take_step`], at once.
    ///
    /// # Errors
    /// As there.
    pub fn step_now(
        &self,
        id: PaymentId,
        step: Step,
        at: Timestamp,
    ) -> Result<(Payment, Effect), StoreError> {
        let rows = &mut *lock(&self.0);
        let row = rows.payments.get(&id).ok_or(StoreError::NotFound)?;
        let mut payment = row.payment.clone();
        let sent = match &step {
            Step::Broadcast { transaction } => Some(transaction.clone()),
            _ => None,
        };
        let effect = payment.apply(step, at)?;
        let change = match effect {
            Effect::Keep | Effect::Sell => Change::Keep(at),
            _ => Change::Step,
        };
        rows.put(id, payment.clone(), change)?;
        rows.reopened += u64::from(effect == Effect::Unpost);
        rows.sent.extend(sent);
        Ok((payment, effect))
    }

    /// True when this transaction was recorded under some payment.
    #[must_use]
    pub fn has_recorded(&self, transaction: &str) -> bool {
        lock(&self.0).sent.contains(transaction)
    }

    /// How often a settlement was taken back by the chain and reopened.
    #[must_use]
    pub fn reopened(&self) -> u64 {
        lock(&self.0).reopened
    }

    /// Gives back whatever is open, against all rules. Only a planted bug does that.
    pub fn release_all(&self) {
        let open = |row: &&mut Row| row.payment.state.is_open();
        for row in lock(&self.0).payments.values_mut().filter(open) {
            row.payment.state = PaymentState::Released;
        }
    }

    fn named_now(&self, payer: &AccountId, key: &IdempotencyKey) -> Option<Payment> {
        let rows = lock(&self.0);
        let id = rows.keys.get(&(payer.clone(), key.clone()))?;
        Some(rows.payments.get(id)?.payment.clone())
    }

    /// [`LedgerStore::prune`], at once.
    fn prune_now(&self, before: Timestamp, bytes_max: u64, limit: u32) -> u32 {
        let rows = &mut *lock(&self.0);
        let mut kept: u64 = rows.payments.values().map(Row::kept_bytes).sum();
        let mut old: Vec<&mut Row> = rows
            .payments
            .values_mut()
            .filter(|row| row.kept_at.is_some() && !row.payment.state.is_open())
            .collect();
        old.sort_by_key(|row| row.kept_at);
        let mut dropped = 0;
        for row in old
            .into_iter()
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
        {
            if kept <= bytes_max && row.kept_at >= Some(before) {
                break;
            }
            kept -= row.kept_bytes();
            row.kept_at = None;
            drop_answer(&mut row.payment);
            dropped += 1;
        }
        dropped
    }

    fn list(
        &self,
        limit: u32,
        keep: impl Fn(&Payment) -> bool,
        key: impl Fn(&Row) -> (u64, u64),
    ) -> Vec<Payment> {
        let rows = lock(&self.0);
        let mut list: Vec<&Row> = rows
            .payments
            .values()
            .filter(|row| keep(&row.payment))
            .collect();
        list.sort_by_key(|row| key(row));
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        list.into_iter().take(limit).map(Row::listed).collect()
    }

    fn open_now(&self, limit: u32) -> Vec<Payment> {
        let key = |row: &Row| (row.payment.changed_at.as_secs(), row.claimed);
        self.list(limit, |payment| payment.state.is_open(), key)
    }

    fn unfinal_now(&self, limit: u32) -> Vec<Payment> {
        let key = |row: &Row| (row.payment.changed_at.as_secs(), row.claimed);
        let keep = |payment: &Payment| {
            payment.state == PaymentState::Settled && payment.final_at.is_none()
        };
        self.list(limit, keep, key)
    }

    fn recent_now(&self, limit: u32) -> Vec<Payment> {
        let key = |row: &Row| (!row.payment.claim.at.as_secs(), !row.claimed);
        self.list(limit, |_| true, key)
    }

    fn balance_now(&self, account: &AccountId, asset: AssetId) -> Result<Balance, StoreError> {
        let rows = lock(&self.0);
        let mut sum = Balance::zero(asset);
        for row in rows.payments.values() {
            for (owner, change) in postings(&row.payment) {
                if owner == account && change.asset == asset {
                    sum = sum.plus(&change).map_err(|_| StoreError::Damaged)?;
                }
            }
        }
        Ok(sum)
    }

    fn totals_now(&self) -> Result<Totals, StoreError> {
        lock(&self.0).totals()
    }
}

impl Rows {
    fn totals(&self) -> Result<Totals, StoreError> {
        let mut sums = BTreeMap::<AssetId, Balance>::new();
        for row in self.payments.values() {
            for (_, change) in postings(&row.payment) {
                let sum = sums
                    .entry(change.asset)
                    .or_insert_with(|| Balance::zero(change.asset));
                *sum = sum.plus(&change).map_err(|_| StoreError::Damaged)?;
            }
        }
        Ok(sums.into_values().collect())
    }

    fn exposure(&self, payer: &AccountId, asset: AssetId) -> Result<U256, StoreError> {
        self.sum(payer, asset, Payment::is_exposed)
    }

    fn reserved(&self, payer: &AccountId, asset: AssetId) -> Result<U256, StoreError> {
        self.sum(payer, asset, |payment| payment.state.is_open())
    }

    /// What some payments of a payer come to.
    fn sum(
        &self,
        payer: &AccountId,
        asset: AssetId,
        counts: impl Fn(&Payment) -> bool,
    ) -> Result<U256, StoreError> {
        self.payments
            .values()
            .filter(|row| counts(&row.payment))
            .map(|row| &row.payment.claim.transfer)
            .filter(|transfer| transfer.debit == *payer && transfer.amount.asset() == asset)
            .try_fold(U256::ZERO, |sum, transfer| {
                sum.checked_add(transfer.amount.value())
            })
            .ok_or(StoreError::Damaged)
    }

    /// Writes one payment, or nothing when a sum would overflow.
    fn put(&mut self, id: PaymentId, payment: Payment, change: Change) -> Result<(), StoreError> {
        self.writes += 1;
        let before = self.payments.remove(&id);
        let known = before.as_ref().map(|row| (row.claimed, row.kept_at));
        let (claimed, kept_at) = match (change, known) {
            (Change::Claim, _) | (_, None) => (self.writes, None),
            (Change::Keep(at), Some((claimed, _))) => (claimed, Some(at)),
            (Change::Step, Some(known)) => known,
        };
        let row = Row {
            payment,
            claimed,
            kept_at,
        };
        self.payments.insert(id, row);
        if let Err(error) = self.totals() {
            self.payments.remove(&id);
            self.payments.extend(before.map(|row| (id, row)));
            return Err(error);
        }
        Ok(())
    }
}

/// Why a payment is written.
#[derive(Clone, Copy)]
enum Change {
    Claim,
    Step,
    Keep(Timestamp),
}

/// What a payment puts on its two accounts.
fn postings(payment: &Payment) -> [(&AccountId, Balance); 2] {
    let transfer = &payment.claim.transfer;
    let amount = transfer.amount.value();
    let zero = Balance::zero(transfer.amount.asset());
    let (mut debit, mut credit) = (zero, zero);
    if payment.state.is_open() {
        (debit.debits_pending, credit.credits_pending) = (amount, amount);
    } else if payment.state == PaymentState::Settled {
        (debit.debits_posted, credit.credits_posted) = (amount, amount);
    }
    [(&transfer.debit, debit), (&transfer.credit, credit)]
}

impl LedgerStore for MemoryLedger {
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        Box::pin(ready(self.claim_now(claim)))
    }

    fn take_step(
        &self,
        id: PaymentId,
        step: Step,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(Payment, Effect), StoreError>> {
        Box::pin(ready(self.step_now(id, step, at)))
    }

    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        Box::pin(ready(Ok(self.get(id))))
    }

    fn named_payment(
        &self,
        payer: AccountId,
        key: IdempotencyKey,
    ) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        Box::pin(ready(Ok(self.named_now(&payer, &key))))
    }

    fn open_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(ready(Ok(self.open_now(limit))))
    }

    fn recent_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(ready(Ok(self.recent_now(limit))))
    }

    fn unfinal_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(ready(Ok(self.unfinal_now(limit))))
    }

    fn prune(
        &self,
        before: Timestamp,
        bytes_max: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(ready(Ok(self.prune_now(before, bytes_max, limit))))
    }

    fn exposure(
        &self,
        payer: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<U256, StoreError>> {
        Box::pin(ready(lock(&self.0).exposure(&payer, asset)))
    }

    fn balance(
        &self,
        account: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<Balance, StoreError>> {
        Box::pin(ready(self.balance_now(&account, asset)))
    }

    fn totals(&self) -> BoxFuture<'_, Result<Totals, StoreError>> {
        Box::pin(ready(self.totals_now()))
    }
}

/// The ledger as one process sees it: late, away, or the last thing it did before it broke down.
pub struct Disk {
    process: Process,
    ledger: Arc<dyn LedgerStore>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disk({})", self.process)
    }
}

impl Disk {
    /// The way of `process` to `ledger`.
    #[must_use]
    pub fn new(process: Process, ledger: Arc<dyn LedgerStore>) -> Self {
        Self { process, ledger }
    }

    /// One transaction. It goes on when the caller stops waiting, and ends with the process.
    async fn transaction<T: Send + 'static>(
        &self,
        what: String,
        work: impl FnOnce(Arc<dyn LedgerStore>) -> BoxFuture<'static, Result<T, StoreError>>
        + Send
        + 'static,
    ) -> Result<T, StoreError> {
        self.process.alive().await;
        let (process, ledger) = (self.process.clone(), Arc::clone(&self.ledger));
        let task = self.process.spawn(async move {
            let world = process.world().clone();
            world.write().await;
            process.may_break(&what, "before").await;
            if world.fault(|faults| faults.store_away) {
                world.note(format_args!("{process} {what}: away"));
                return Err(StoreError::Unavailable);
            }
            let done = work(ledger).await;
            world.note(format_args!(
                "{process} {what}: {}",
                if done.is_ok() { "done" } else { "refused" }
            ));
            process.may_break(&what, "after").await;
            if world.fault(|faults| faults.store_away) {
                world.note(format_args!("{process} {what}: away afterwards"));
                return Err(StoreError::Unavailable);
            }
            done
        });
        match task.await {
            Ok(done) => {
                self.process.alive().await;
                done
            }
            Err(_) => pending().await,
        }
    }
}

impl LedgerStore for Disk {
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        let what = format!("claims {}", short(claim.id));
        Box::pin(self.transaction(what, move |ledger| {
            Box::pin(async move { ledger.claim(claim).await })
        }))
    }

    fn take_step(
        &self,
        id: PaymentId,
        step: Step,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(Payment, Effect), StoreError>> {
        let what = format!("records {} of {}", name(&step), short(id));
        Box::pin(self.transaction(what, move |ledger| {
            Box::pin(async move { ledger.take_step(id, step, at).await })
        }))
    }

    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        Box::pin(
            self.transaction(format!("reads {}", short(id)), move |ledger| {
                Box::pin(async move { ledger.payment(id).await })
            }),
        )
    }

    fn named_payment(
        &self,
        payer: AccountId,
        key: IdempotencyKey,
    ) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        Box::pin(
            self.transaction("reads what a key stands for".to_owned(), move |ledger| {
                Box::pin(async move { ledger.named_payment(payer, key).await })
            }),
        )
    }

    fn open_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(
            self.transaction("lists open payments".to_owned(), move |ledger| {
                Box::pin(async move { ledger.open_payments(limit).await })
            }),
        )
    }

    fn recent_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(
            self.transaction("lists payments".to_owned(), move |ledger| {
                Box::pin(async move { ledger.recent_payments(limit).await })
            }),
        )
    }

    fn unfinal_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        let what = "lists what is not final".to_owned();
        Box::pin(self.transaction(what, move |ledger| {
            Box::pin(async move { ledger.unfinal_payments(limit).await })
        }))
    }

    fn prune(
        &self,
        before: Timestamp,
        bytes_max: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(
            self.transaction("drops old answers".to_owned(), move |ledger| {
                Box::pin(async move { ledger.prune(before, bytes_max, limit).await })
            }),
        )
    }

    fn exposure(
        &self,
        payer: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<U256, StoreError>> {
        Box::pin(
            self.transaction("reads an exposure".to_owned(), move |ledger| {
                Box::pin(async move { ledger.exposure(payer, asset).await })
            }),
        )
    }

    fn balance(
        &self,
        account: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<Balance, StoreError>> {
        Box::pin(
            self.transaction("reads a balance".to_owned(), move |ledger| {
                Box::pin(async move { ledger.balance(account, asset).await })
            }),
        )
    }

    fn totals(&self) -> BoxFuture<'_, Result<Totals, StoreError>> {
        Box::pin(self.transaction("sums up".to_owned(), move |ledger| {
            Box::pin(async move { ledger.totals().await })
        }))
    }
}

fn name(step: &Step) -> String {
    match step {
        Step::Broadcast { transaction } => format!("broadcast {}", head(transaction)),
        Step::Settle { .. } => "settle".to_owned(),
        Step::Fail { code } => format!("fail {}", code.as_str()),
        Step::Release => "release".to_owned(),
        Step::Keep { .. } => "keep".to_owned(),
        Step::Sell { .. } => "sell".to_owned(),
        Step::Serve { .. } => "serve".to_owned(),
        Step::Finalize => "finalize".to_owned(),
        Step::Reopen => "reopen".to_owned(),
    }
}

/// Enough of an id to tell payments apart.
#[must_use]
pub fn short(id: PaymentId) -> String {
    head(&id.to_string()).to_owned()
}

/// The first few characters of a hash.
#[must_use]
pub fn head(text: &str) -> &str {
    text.get(..10).unwrap_or(text)
}
