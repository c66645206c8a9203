//! The whole suite with every other call on another connection: what one writes the other sees, and their crowds race.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::atomic::{AtomicUsize, Ordering};

use faregate_ledger::{
    AccountId, Balance, Caps, Claim, Claimed, Effect, KeptToken, KnownTerms, LedgerStore, Payment,
    Reserved, Signed, Spend, SpendEnd, SpendRecord, Step, StoreError, TermsRule, Totals, Unit,
    Usage, WalletStore,
};
use faregate_store::sqlite::{SqliteLedger, SqliteWallet};
use faregate_types::{AssetId, IdempotencyKey, PaymentId, Timestamp, U256};
use futures_util::future::BoxFuture;
use tempfile::TempDir;

/// Two stores on one file, in turns.
struct InTurns<S> {
    stores: [S; 2],
    turn: AtomicUsize,
}

impl<S> InTurns<S> {
    fn new(open: impl Fn() -> S) -> Self {
        Self {
            stores: [open(), open()],
            turn: AtomicUsize::new(0),
        }
    }

    fn next(&self) -> &S {
        let [even, odd] = &self.stores;
        if self.turn.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            even
        } else {
            odd
        }
    }
}

impl LedgerStore for InTurns<SqliteLedger> {
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        self.next().claim(claim)
    }
    fn take_step(
        &self,
        id: PaymentId,
        step: Step,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(Payment, Effect), StoreError>> {
        self.next().take_step(id, step, at)
    }
    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        self.next().payment(id)
    }
    fn named_payment(
        &self,
        payer: AccountId,
        key: IdempotencyKey,
    ) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        self.next().named_payment(payer, key)
    }
    fn open_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        self.next().open_payments(limit)
    }
    fn unfinal_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        self.next().unfinal_payments(limit)
    }
    fn prune(
        &self,
        before: Timestamp,
        bytes_max: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.next().prune(before, bytes_max, limit)
    }
    fn exposure(
        &self,
        payer: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<U256, StoreError>> {
        self.next().exposure(payer, asset)
    }
    fn recent_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        self.next().recent_payments(limit)
    }
    fn balance(
        &self,
        account: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<Balance, StoreError>> {
        self.next().balance(account, asset)
    }
    fn totals(&self) -> BoxFuture<'_, Result<Totals, StoreError>> {
        self.next().totals()
    }
}

impl WalletStore for InTurns<SqliteWallet> {
    fn reserve_spend(
        &self,
        spend: Spend,
        caps: Caps,
        terms: TermsRule,
    ) -> BoxFuture<'_, Result<Reserved, StoreError>> {
        self.next().reserve_spend(spend, caps, terms)
    }
    fn finish_spend(
        &self,
        id: PaymentId,
        end: SpendEnd,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.next().finish_spend(id, end, at)
    }
    fn usage(
        &self,
        origin: Box<str>,
        unit: Unit,
        since: Timestamp,
    ) -> BoxFuture<'_, Result<Usage, StoreError>> {
        self.next().usage(origin, unit, since)
    }
    fn signed(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Signed>, StoreError>> {
        self.next().signed(limit)
    }
    fn keep_token(&self, token: KeptToken) -> BoxFuture<'_, Result<(), StoreError>> {
        self.next().keep_token(token)
    }
    fn tokens_at(
        &self,
        origin: Box<str>,
        method: Box<str>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<KeptToken>, StoreError>> {
        self.next().tokens_at(origin, method, now)
    }
    fn tokens(&self, limit: u32) -> BoxFuture<'_, Result<Vec<KeptToken>, StoreError>> {
        self.next().tokens(limit)
    }
    fn use_token(&self, payment: PaymentId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.next().use_token(payment)
    }
    fn forget_token(&self, payment: PaymentId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.next().forget_token(payment)
    }
    fn recent_spends(&self, limit: u32) -> BoxFuture<'_, Result<Vec<SpendRecord>, StoreError>> {
        self.next().recent_spends(limit)
    }
    fn open_spends(&self, limit: u32) -> BoxFuture<'_, Result<Vec<SpendRecord>, StoreError>> {
        self.next().open_spends(limit)
    }
    fn spend(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<SpendRecord>, StoreError>> {
        self.next().spend(id)
    }
    fn known_terms(
        &self,
        origin: Box<str>,
        path: Box<str>,
        asset: AssetId,
        payee: Box<str>,
    ) -> BoxFuture<'_, Result<KnownTerms, StoreError>> {
        self.next().known_terms(origin, path, asset, payee)
    }
}

fn ledgers() -> (InTurns<SqliteLedger>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    (InTurns::new(|| SqliteLedger::open(&file).unwrap()), folder)
}

fn wallets() -> (InTurns<SqliteWallet>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wallet.db");
    (InTurns::new(|| SqliteWallet::open(&file).unwrap()), folder)
}

mod ledger {
    faregate_ledger::ledger_store_suite!(super::ledgers());
}

mod wallet {
    faregate_ledger::wallet_store_suite!(super::wallets());
}
