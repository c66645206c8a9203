//! The ledger of a seller or an operator.

use std::fmt;
use std::sync::{Mutex, MutexGuard};

use alloy_primitives::U256;
use faregate_ledger::{
    AccountId, AccountPage, AccountStore, Balance, Claim, Claimed, Effect, LedgerStore, Payment,
    Step, StoreError, Totals,
};
use faregate_types::{AssetId, IdempotencyKey, PaymentId, Timestamp};
use futures_util::future::BoxFuture;

use super::access::Access;
use super::audit;
use super::held::Held;
use super::limits::{DROPPED_AT_ONCE, LedgerLimits, PAGE_ROWS};
use super::payments::Payments;
use super::revocations::List;
use super::row::Row;
use crate::audit::Audit;

/// [`LedgerStore`] in memory: gone with the process, and full one day.
///
/// For tests, demonstrations, and sellers who choose that a payment is known only for as long as the process lives. After a
/// restart nobody remembers that a payment was claimed: on a chain its nonce is used, so it cannot be charged twice, but
/// whoever paid and was not served has nobody to turn to, and what was served before the money moved is not settled any more.
///
/// Share one with an `Arc`. When it is [full](LedgerLimits), it refuses new claims and forgets none.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use faregate_ledger::LedgerStore;
/// use faregate_store::memory::MemoryLedger;
///
/// let ledger = MemoryLedger::new();
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// assert!(ledger.open_payments(10).await?.is_empty());
/// assert!(ledger.audit()?.is_clean());
/// # Ok::<(), faregate_ledger::StoreError>(())
/// # })?;
/// # Ok(())
/// # }
/// ```
pub struct MemoryLedger {
    payments: Mutex<Payments>,
    revocations: Mutex<List>,
    access: Mutex<Access>,
    held: Mutex<Held>,
}

impl fmt::Debug for MemoryLedger {
    /// Nothing of what is in it: evidence may hold signatures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLedger").finish_non_exhaustive()
    }
}

impl Default for MemoryLedger {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryLedger {
    /// An empty ledger that holds what [`LedgerLimits::default`] says.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(LedgerLimits::default())
    }

    /// An empty ledger.
    #[must_use]
    pub fn with_limits(limits: LedgerLimits) -> Self {
        Self {
            payments: Mutex::new(Payments::new(limits)),
            revocations: Mutex::default(),
            access: Mutex::default(),
            held: Mutex::default(),
        }
    }

    /// Recomputes every sum from the payments and compares. Reads everything, and nobody else can meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when a sum overflows or a call panicked before.
    pub fn audit(&self) -> Result<Audit, StoreError> {
        audit::ledger(&*self.books()?)
    }

    /// The books. Only held for as long as it takes to look things up: no await, and no copy of an answer. After a panic of
    /// somebody who had them nobody knows what is in them.
    pub(super) fn books(&self) -> Result<MutexGuard<'_, Payments>, StoreError> {
        self.payments.lock().map_err(|_| StoreError::Damaged)
    }

    /// What is revoked.
    pub(super) fn revocation_list(&self) -> Result<MutexGuard<'_, List>, StoreError> {
        self.revocations.lock().map_err(|_| StoreError::Damaged)
    }

    /// Who may call.
    pub(super) fn access(&self) -> Result<MutexGuard<'_, Access>, StoreError> {
        self.access.lock().map_err(|_| StoreError::Damaged)
    }

    /// Which certificates are held.
    pub(super) fn held(&self) -> Result<MutexGuard<'_, Held>, StoreError> {
        self.held.lock().map_err(|_| StoreError::Damaged)
    }

    fn list(
        &self,
        rows: impl FnOnce(&Payments) -> Result<Vec<Row>, StoreError>,
    ) -> Result<Vec<Payment>, StoreError> {
        let rows = rows(&*self.books()?)?;
        Ok(rows.iter().map(Row::listed).collect())
    }

    /// Few at a time, so that others get their turn.
    fn prune_all(&self, before: Timestamp, bytes_max: u64, limit: u32) -> Result<u32, StoreError> {
        let (limit, mut dropped) = (limit.min(PAGE_ROWS), 0_u32);
        loop {
            let asked = limit.saturating_sub(dropped).min(DROPPED_AT_ONCE);
            let now = self.books()?.prune(before, bytes_max, asked)?;
            dropped = dropped.saturating_add(now);
            if now < DROPPED_AT_ONCE {
                return Ok(dropped);
            }
        }
    }
}

impl LedgerStore for MemoryLedger {
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        Box::pin(async move {
            let told = self.books()?.claim(claim)?;
            Ok(told.claimed())
        })
    }

    fn take_step(
        &self,
        id: PaymentId,
        step: Step,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(Payment, Effect), StoreError>> {
        Box::pin(async move {
            let (row, effect) = self.books()?.advance(id, step, at)?;
            Ok((row.payment(), effect))
        })
    }

    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        Box::pin(async move {
            let row = self.books()?.find(&id)?;
            Ok(row.as_ref().map(Row::payment))
        })
    }

    fn named_payment(
        &self,
        payer: AccountId,
        key: IdempotencyKey,
    ) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        Box::pin(async move {
            let row = self.books()?.named(&payer, &key)?.cloned();
            Ok(row.as_ref().map(Row::payment))
        })
    }

    fn open_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(async move { self.list(|books| books.open(limit)) })
    }

    fn unfinal_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(async move { self.list(|books| books.unfinal(limit)) })
    }

    fn prune(
        &self,
        before: Timestamp,
        bytes_max: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(async move { self.prune_all(before, bytes_max, limit) })
    }

    fn exposure(
        &self,
        payer: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<U256, StoreError>> {
        Box::pin(async move { Ok(self.books()?.accounts.sums(&payer, asset).exposure) })
    }

    fn recent_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(async move { self.list(|books| books.recent(limit)) })
    }

    fn balance(
        &self,
        account: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<Balance, StoreError>> {
        Box::pin(async move { Ok(self.books()?.accounts.sums(&account, asset).balance) })
    }

    fn totals(&self) -> BoxFuture<'_, Result<Totals, StoreError>> {
        Box::pin(async move { self.books()?.accounts.totals() })
    }
}

impl AccountStore for MemoryLedger {
    fn accounts(
        &self,
        role: Box<str>,
        asset: AssetId,
        after: Option<AccountId>,
        limit: u32,
    ) -> BoxFuture<'_, Result<AccountPage, StoreError>> {
        Box::pin(async move {
            let books = self.books()?;
            Ok(books.accounts.of_role(&role, asset, after.as_ref(), limit))
        })
    }
}
