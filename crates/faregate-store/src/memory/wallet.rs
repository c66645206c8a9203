//! The wallet of a payer.

use std::fmt;
use std::sync::{Mutex, MutexGuard};

use faregate_ledger::{
    Caps, KeptToken, KnownTerms, Reserved, Signed, Spend, SpendEnd, SpendRecord, StoreError,
    TermsRule, Unit, Usage, WalletStore,
};
use faregate_types::{AssetId, PaymentId, Timestamp};
use futures_util::future::BoxFuture;

use super::limits::WalletLimits;
use super::spends::{Row, Spends};
use super::tokens::Tokens;

/// [`WalletStore`] in memory: caps count what this process signed, and nothing is known of what it paid before.
///
/// After a restart payments whose end was not known are not sent again, so what they bought may be paid twice by somebody
/// who tries again. Share one with an `Arc`: clients that do share its caps.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use faregate_ledger::WalletStore;
/// use faregate_store::memory::MemoryWallet;
///
/// let wallet = MemoryWallet::new();
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// assert!(wallet.open_spends(10).await?.is_empty());
/// # Ok::<(), faregate_ledger::StoreError>(())
/// # })?;
/// # Ok(())
/// # }
/// ```
pub struct MemoryWallet {
    spends: Mutex<Spends>,
    tokens: Mutex<Tokens>,
}

impl fmt::Debug for MemoryWallet {
    /// Nothing of what is in it: credentials are signatures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryWallet").finish_non_exhaustive()
    }
}

impl Default for MemoryWallet {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryWallet {
    /// An empty wallet that holds what [`WalletLimits::default`] says.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limits(WalletLimits::default())
    }

    /// An empty wallet.
    #[must_use]
    pub fn with_limits(limits: WalletLimits) -> Self {
        Self {
            spends: Mutex::new(Spends::new(limits)),
            tokens: Mutex::default(),
        }
    }

    /// The books, for as long as it takes to look things up. After a panic of somebody who had them nobody knows what is in
    /// them.
    fn books(&self) -> Result<MutexGuard<'_, Spends>, StoreError> {
        self.spends.lock().map_err(|_| StoreError::Damaged)
    }

    /// The tokens, likewise.
    fn kept(&self) -> Result<MutexGuard<'_, Tokens>, StoreError> {
        self.tokens.lock().map_err(|_| StoreError::Damaged)
    }

    fn list(
        &self,
        rows: impl FnOnce(&Spends) -> Result<Vec<Row>, StoreError>,
    ) -> Result<Vec<SpendRecord>, StoreError> {
        let rows = rows(&*self.books()?)?;
        Ok(rows.iter().map(Row::listed).collect())
    }
}

impl WalletStore for MemoryWallet {
    fn reserve_spend(
        &self,
        spend: Spend,
        caps: Caps,
        terms: TermsRule,
    ) -> BoxFuture<'_, Result<Reserved, StoreError>> {
        Box::pin(async move { self.books()?.reserve(spend, &caps, terms) })
    }

    fn finish_spend(
        &self,
        id: PaymentId,
        end: SpendEnd,
        _at: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.books()?.finish(&id, &end) })
    }

    /// At once.
    fn finish_spend_later(&self, id: PaymentId, end: SpendEnd, _at: Timestamp) -> bool {
        let finished = self.books().and_then(|mut books| books.finish(&id, &end));
        if let Err(error) = finished {
            tracing::warn!(%error, "the end of a payment could not be recorded");
        }
        true
    }

    fn usage(
        &self,
        origin: Box<str>,
        unit: Unit,
        since: Timestamp,
    ) -> BoxFuture<'_, Result<Usage, StoreError>> {
        Box::pin(async move { self.books()?.usage(&origin, unit, since) })
    }

    fn signed(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Signed>, StoreError>> {
        Box::pin(async move { Ok(self.books()?.signed(limit)) })
    }

    fn recent_spends(&self, limit: u32) -> BoxFuture<'_, Result<Vec<SpendRecord>, StoreError>> {
        Box::pin(async move { self.list(|books| books.recent(limit)) })
    }

    fn open_spends(&self, limit: u32) -> BoxFuture<'_, Result<Vec<SpendRecord>, StoreError>> {
        Box::pin(async move { self.list(|books| books.open(limit)) })
    }

    fn spend(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<SpendRecord>, StoreError>> {
        Box::pin(async move {
            let row = self.books()?.find(&id)?;
            Ok(row.as_ref().map(Row::record))
        })
    }

    fn known_terms(
        &self,
        origin: Box<str>,
        path: Box<str>,
        asset: AssetId,
        payee: Box<str>,
    ) -> BoxFuture<'_, Result<KnownTerms, StoreError>> {
        Box::pin(async move { self.books()?.known(&origin, &path, asset, &payee) })
    }

    fn keep_token(&self, token: KeptToken) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if !token.is_orderable() {
                return Err(StoreError::Damaged);
            }
            self.kept()?.keep(token);
            Ok(())
        })
    }

    fn tokens_at(
        &self,
        origin: Box<str>,
        method: Box<str>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<KeptToken>, StoreError>> {
        Box::pin(async move { Ok(self.kept()?.at(&origin, &method, now)) })
    }

    fn tokens(&self, limit: u32) -> BoxFuture<'_, Result<Vec<KeptToken>, StoreError>> {
        Box::pin(async move { Ok(self.kept()?.all(limit)) })
    }

    fn use_token(&self, payment: PaymentId) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.kept().map(|mut kept| kept.used(payment)) })
    }

    /// At once.
    fn use_token_later(&self, payment: PaymentId) -> bool {
        self.kept().is_ok_and(|mut kept| {
            kept.used(payment);
            true
        })
    }

    fn forget_token(&self, payment: PaymentId) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.kept().map(|mut kept| kept.forget(payment)) })
    }
}
