//! A ledger that remembers the payments in progress, to see what a gate costs beside its ledger. It is nobody's books.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use faregate_ledger::{
    AccountId, Balance, Claim, Claimed, Effect, LedgerStore, Payment, Step, StoreError, Totals,
};
use faregate_types::{AssetId, IdempotencyKey, PaymentId, Timestamp, U256};
use futures_util::future::{BoxFuture, ready};

/// Payments that are remembered: more than are ever in progress.
const REMEMBERED: usize = 4_096;

/// The newest payments, nowhere else.
#[derive(Debug, Default)]
pub struct Forgetful(Mutex<Rows>);

#[derive(Debug, Default)]
struct Rows {
    payments: HashMap<PaymentId, Payment>,
    order: VecDeque<PaymentId>,
}

impl Forgetful {
    fn rows(&self) -> std::sync::MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim_now(&self, claim: Claim) -> Claimed {
        let mut rows = self.rows();
        let known = rows.payments.get(&claim.id).cloned();
        if let Some(verdict) = known.and_then(|row| row.verdict(&claim.fingerprint)) {
            return verdict;
        }
        let oldest = rows.order.front().copied();
        if let Some(oldest) = oldest.filter(|_| rows.order.len() >= REMEMBERED) {
            rows.order.pop_front();
            rows.payments.remove(&oldest);
        }
        rows.order.push_back(claim.id);
        rows.payments.insert(claim.id, Payment::reserved(claim));
        Claimed::Won
    }

    fn step_now(
        &self,
        id: PaymentId,
        step: Step,
        at: Timestamp,
    ) -> Result<(Payment, Effect), StoreError> {
        let mut rows = self.rows();
        let row = rows.payments.get_mut(&id).ok_or(StoreError::NotFound)?;
        let effect = row.apply(step, at)?;
        Ok((row.clone(), effect))
    }
}

impl LedgerStore for Forgetful {
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        Box::pin(ready(Ok(self.claim_now(claim))))
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
        Box::pin(ready(Ok(self.rows().payments.get(&id).cloned())))
    }

    fn named_payment(
        &self,
        _payer: AccountId,
        _key: IdempotencyKey,
    ) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        Box::pin(ready(Ok(None)))
    }

    fn open_payments(&self, _limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn unfinal_payments(&self, _limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn prune(
        &self,
        _before: Timestamp,
        _bytes_max: u64,
        _limit: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(ready(Ok(0)))
    }

    fn exposure(
        &self,
        _payer: AccountId,
        _asset: AssetId,
    ) -> BoxFuture<'_, Result<U256, StoreError>> {
        Box::pin(ready(Ok(U256::ZERO)))
    }

    fn recent_payments(&self, _limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn balance(
        &self,
        _account: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<Balance, StoreError>> {
        Box::pin(ready(Ok(Balance::zero(asset))))
    }

    fn totals(&self) -> BoxFuture<'_, Result<Totals, StoreError>> {
        Box::pin(ready(Ok(Vec::new())))
    }
}
