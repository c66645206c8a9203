//! The wallet of a payer.

use std::path::Path;

use faregate_ledger::{
    Caps, KeptToken, KnownTerms, Reserved, Signed, Spend, SpendEnd, SpendRecord, StoreError,
    TermsRule, Unit, Usage, WalletStore,
};
use faregate_types::{AssetId, PaymentId, Timestamp};
use futures_util::future::BoxFuture;

use super::audit;
use super::connection::OpenError;
use super::engine::Engine;
use super::schema::WALLET;
use super::{spends, terms, tokens};
use crate::audit::Audit;

/// [`WalletStore`] on SQLite. Several processes that share a file share its caps.
///
/// Dropping the store finishes what is queued, waits for it and closes the file, so drop it where waiting for the disk is
/// fine.
#[derive(Debug)]
pub struct SqliteWallet {
    pub(super) engine: Engine,
}

impl SqliteWallet {
    /// Opens the wallet in `path`, or creates it, readable only by its owner. Blocks while it does: call it at the start.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the file; a file of another kind or a newer version is not touched.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Engine::file(path.as_ref(), &WALLET).map(|engine| Self { engine })
    }

    /// A wallet without a file, for tests of this engine. Whoever wants no file wants
    /// [`MemoryWallet`](crate::memory::MemoryWallet), which has neither SQL nor a thread.
    ///
    /// # Errors
    /// [`OpenError::Thread`] when the operating system gives no thread.
    pub fn in_memory() -> Result<Self, OpenError> {
        Engine::memory(&WALLET).map(|engine| Self { engine })
    }

    /// Recomputes every sum from the spends and compares. Reads the whole file.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when rows cannot even be read, [`StoreError::Unavailable`] as always.
    pub async fn audit(&self) -> Result<Audit, StoreError> {
        self.engine.read(audit::wallet).await
    }
}

impl WalletStore for SqliteWallet {
    fn reserve_spend(
        &self,
        spend: Spend,
        caps: Caps,
        terms: TermsRule,
    ) -> BoxFuture<'_, Result<Reserved, StoreError>> {
        Box::pin(
            self.engine
                .write(move |conn| spends::reserve(conn, &spend, &caps, terms)),
        )
    }

    fn finish_spend(
        &self,
        id: PaymentId,
        end: SpendEnd,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(
            self.engine
                .write(move |conn| spends::finish(conn, &id, &end, at)),
        )
    }

    fn finish_spend_later(&self, id: PaymentId, end: SpendEnd, at: Timestamp) -> bool {
        self.engine
            .write_later("the end of a payment", move |conn| {
                spends::finish(conn, &id, &end, at)
            })
    }

    fn flush(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.engine.flush())
    }

    fn usage(
        &self,
        origin: Box<str>,
        unit: Unit,
        since: Timestamp,
    ) -> BoxFuture<'_, Result<Usage, StoreError>> {
        Box::pin(
            self.engine
                .read(move |conn| spends::usage(conn, &origin, unit, since)),
        )
    }

    fn signed(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Signed>, StoreError>> {
        Box::pin(self.engine.read(move |conn| spends::signed(conn, limit)))
    }

    fn recent_spends(&self, limit: u32) -> BoxFuture<'_, Result<Vec<SpendRecord>, StoreError>> {
        Box::pin(self.engine.read(move |conn| spends::recent(conn, limit)))
    }

    fn open_spends(&self, limit: u32) -> BoxFuture<'_, Result<Vec<SpendRecord>, StoreError>> {
        Box::pin(self.engine.read(move |conn| spends::open(conn, limit)))
    }

    fn spend(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<SpendRecord>, StoreError>> {
        Box::pin(self.engine.read(move |conn| spends::find(conn, &id)))
    }

    fn known_terms(
        &self,
        origin: Box<str>,
        path: Box<str>,
        asset: AssetId,
        payee: Box<str>,
    ) -> BoxFuture<'_, Result<KnownTerms, StoreError>> {
        Box::pin(
            self.engine
                .read(move |conn| terms::known(conn, &origin, &path, asset, &payee)),
        )
    }

    fn keep_token(&self, token: KeptToken) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.engine.write(move |conn| tokens::keep(conn, &token)))
    }

    fn tokens_at(
        &self,
        origin: Box<str>,
        method: Box<str>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<KeptToken>, StoreError>> {
        Box::pin(
            self.engine
                .read(move |conn| tokens::at(conn, &origin, &method, now)),
        )
    }

    fn tokens(&self, limit: u32) -> BoxFuture<'_, Result<Vec<KeptToken>, StoreError>> {
        Box::pin(self.engine.read(move |conn| tokens::all(conn, limit)))
    }

    fn use_token(&self, payment: PaymentId) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.engine.write(move |conn| tokens::used(conn, &payment)))
    }

    fn use_token_later(&self, payment: PaymentId) -> bool {
        self.engine.write_later("the use of a token", move |conn| {
            tokens::used(conn, &payment)
        })
    }

    fn forget_token(&self, payment: PaymentId) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(
            self.engine
                .write(move |conn| tokens::forget(conn, &payment)),
        )
    }
}
