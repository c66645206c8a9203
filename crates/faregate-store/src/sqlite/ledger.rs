//! The ledger of a seller or an operator.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use alloy_primitives::U256;
use faregate_ledger::{
    AccountId, AccountPage, AccountStore, Balance, Claim, Claimed, Effect, LedgerStore, Payment,
    Step, StoreError, Totals,
};
use faregate_types::{AssetId, IdempotencyKey, PaymentId, Timestamp};
use futures_util::future::BoxFuture;

use super::audit;
use super::connection::{OpenError, open_reader};
use super::engine::Engine;
use super::schema::LEDGER;
use super::{answers, books, payments};
use crate::SchemaVersion;
use crate::audit::Audit;

/// [`LedgerStore`] on SQLite.
///
/// Several processes may open one file. Dropping the store finishes what is queued, waits for it and closes the file, so
/// drop it where waiting for the disk is fine.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use faregate_ledger::LedgerStore;
/// use faregate_store::sqlite::SqliteLedger;
///
/// let ledger = SqliteLedger::in_memory()?;
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// assert!(ledger.open_payments(10).await?.is_empty());
/// assert!(ledger.audit().await?.is_clean());
/// # Ok::<(), faregate_ledger::StoreError>(())
/// # })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SqliteLedger {
    pub(super) engine: Arc<Engine>,
    /// Whether what happens is put into the outbox.
    pub(super) events: AtomicU8,
}

impl SqliteLedger {
    /// Opens the ledger in `path`, or creates it, readable only by its owner. Blocks while it does: call it at the start.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the file; a file of another kind or a newer version is not touched.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Engine::file(path.as_ref(), &LEDGER).map(Self::over)
    }

    /// A ledger without a file, for tests of this engine. Whoever wants no file wants
    /// [`MemoryLedger`](crate::memory::MemoryLedger), which has neither SQL nor a thread.
    ///
    /// # Errors
    /// [`OpenError::Thread`] when the operating system gives no thread.
    pub fn in_memory() -> Result<Self, OpenError> {
        Engine::memory(&LEDGER).map(Self::over)
    }

    /// Looks at the schema of the ledger in `path`, which need not be there, without changing anything.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn schema_version(path: impl AsRef<Path>) -> Result<SchemaVersion, OpenError> {
        let path = path.as_ref();
        if !path.exists() {
            return Ok(LEDGER.missing());
        }
        LEDGER.version(&mut open_reader(path)?)
    }

    fn over(engine: Engine) -> Self {
        Self {
            engine: Arc::new(engine),
            events: AtomicU8::new(0),
        }
    }

    /// Recomputes every balance from the transfers and the journal of collateral, and compares. Reads the whole file.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when rows cannot even be read, [`StoreError::Unavailable`] as always.
    pub async fn audit(&self) -> Result<Audit, StoreError> {
        self.engine.read(audit::ledger).await
    }
}

impl LedgerStore for SqliteLedger {
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        Box::pin(self.engine.write(move |conn| payments::claim(conn, claim)))
    }

    fn take_step(
        &self,
        id: PaymentId,
        step: Step,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(Payment, Effect), StoreError>> {
        let told = self.told();
        Box::pin(
            self.engine
                .write(move |conn| payments::advance(conn, id, step, at, told)),
        )
    }

    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        Box::pin(self.engine.read(move |conn| {
            let found = payments::find(conn, &id)?;
            Ok(found.map(|(payment, _)| payment))
        }))
    }

    fn named_payment(
        &self,
        payer: AccountId,
        key: IdempotencyKey,
    ) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        Box::pin(
            self.engine
                .read(move |conn| payments::named(conn, &payer, &key)),
        )
    }

    fn open_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(self.engine.read(move |conn| payments::open(conn, limit)))
    }

    fn unfinal_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(self.engine.read(move |conn| payments::unfinal(conn, limit)))
    }

    fn prune(
        &self,
        before: Timestamp,
        bytes_max: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(
            self.engine
                .write(move |conn| answers::prune(conn, before, bytes_max, limit)),
        )
    }

    fn exposure(
        &self,
        payer: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<U256, StoreError>> {
        Box::pin(
            self.engine
                .read(move |conn| books::exposure(conn, &payer, asset)),
        )
    }

    fn recent_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(self.engine.read(move |conn| payments::recent(conn, limit)))
    }

    fn balance(
        &self,
        account: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<Balance, StoreError>> {
        Box::pin(
            self.engine
                .read(move |conn| books::balance(conn, &account, asset)),
        )
    }

    fn totals(&self) -> BoxFuture<'_, Result<Totals, StoreError>> {
        Box::pin(self.engine.read(books::totals))
    }
}

impl AccountStore for SqliteLedger {
    fn accounts(
        &self,
        role: Box<str>,
        asset: AssetId,
        after: Option<AccountId>,
        limit: u32,
    ) -> BoxFuture<'_, Result<AccountPage, StoreError>> {
        Box::pin(
            self.engine
                .read(move |conn| books::accounts(conn, &role, asset, after.as_ref(), limit)),
        )
    }
}
