//! What an engine must promise. Every method is one atomic, durable transaction; every method may be repeated.

use alloy_primitives::U256;
use faregate_types::{AssetId, IdempotencyKey, PaymentId, Timestamp};
use futures_util::future::BoxFuture;

use crate::account::{AccountId, Balance};
use crate::budget::{Caps, Signed, Spend, SpendEnd, SpendRecord, Unit, Usage};
use crate::payment::{Claim, Claimed, Effect, Payment, Step, StepError};
use crate::terms::{KnownTerms, Reserved, TermsRule};
use crate::token::KeptToken;

/// Why a store did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store cannot be reached, is full or too busy. Whether a write happened is unknown: repeat it.
    #[error("the ledger cannot be reached")]
    Unavailable,
    /// There is no such payment.
    #[error("no such payment in the ledger")]
    NotFound,
    /// The id was recorded before, for something else.
    #[error("this id is in the books for another spend")]
    Conflict,
    /// The payment's state does not allow the step.
    #[error(transparent)]
    Step(#[from] StepError),
    /// What is stored cannot be read, or sums would overflow: the file is damaged or from a newer version.
    #[error("the ledger holds something it cannot have written")]
    Damaged,
}

/// The books of one asset: the sum over all accounts. Balanced, always.
pub type Totals = Vec<Balance>;

/// The ledger of a seller or an operator.
pub trait LedgerStore: Send + Sync + 'static {
    /// Makes a payment usable once and reserves its transfer, in one transaction. Two processes may call this at the same
    /// time; exactly one gets [`Claimed::Won`]. Survives a crash after it returns.
    ///
    /// In the same transaction, and in this order: the payment itself ([`Payment::verdict`]), then the payer's key
    /// ([`Payment::keyed`] of the payment that has it; it passes to this one when that one bought nothing), then the
    /// payer's funds ([`Claimed::Overdrawn`] when the payer's pending debits in this asset, and this one, are more than
    /// [`Claim::funds`]), then the exposure ([`Claimed::Exposed`] when the amounts of all payments of this payer in this asset that are
    /// [exposed](Payment::is_exposed), and this one, are more than [`Claim::exposure_max`]).
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StoreError>>;

    /// Applies `step` under the rules of [`PaymentState::after`](crate::PaymentState::after) and moves the money in the
    /// same transaction: `Settle` posts, `Fail` and `Release` void, `Reopen` reverses what was posted and reserves it again.
    /// What is exposed changes in the same transaction too. With the payment comes what the step did: of all who take the
    /// same step one hears something else than [`Effect::Repeated`].
    fn take_step(
        &self,
        id: PaymentId,
        step: Step,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(Payment, Effect), StoreError>>;

    /// [`take_step`](Self::take_step) for those who do not ask what it did.
    fn advance(
        &self,
        id: PaymentId,
        step: Step,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Payment, StoreError>> {
        let taken = self.take_step(id, step, at);
        Box::pin(async move { Ok(taken.await?.0) })
    }

    /// The payment, if it was ever claimed.
    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<Payment>, StoreError>>;

    /// The payment that a payer's key stands for, if the payer ever used it. It may have bought nothing:
    /// [`Payment::keyed`] says what that means for a request.
    fn named_payment(
        &self,
        payer: AccountId,
        key: IdempotencyKey,
    ) -> BoxFuture<'_, Result<Option<Payment>, StoreError>>;

    /// Payments whose end is not known, oldest change first, at most `limit`. Of a kept answer they carry the status only.
    fn open_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>>;

    /// Settled payments that are not final, oldest change first, at most `limit`. Of a kept answer they carry the status
    /// only.
    fn unfinal_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>>;

    /// Drops headers and bodies of kept answers, oldest first, at most `limit` of them: those kept before `before`, and
    /// others until no more than `bytes_max` bytes are kept. Only of payments that have ended; the payments, and that they
    /// were answered with which status, stay for ever. Returns how many were dropped.
    fn prune(
        &self,
        before: Timestamp,
        bytes_max: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>>;

    /// How much of this payer was served before the money moved and is not paid: the sum of all
    /// [exposed](Payment::is_exposed) payments, in atomic units.
    fn exposure(&self, payer: AccountId, asset: AssetId)
    -> BoxFuture<'_, Result<U256, StoreError>>;

    /// The newest payments, newest first, at most `limit`.
    fn recent_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>>;

    /// The sums of one account in one asset; zero when nothing happened to it.
    fn balance(
        &self,
        account: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<Balance, StoreError>>;

    /// The sums over all accounts, one per asset. Each is balanced or the books are damaged.
    fn totals(&self) -> BoxFuture<'_, Result<Totals, StoreError>>;
}

/// What one page of accounts of a role says: who, and the sums.
pub type AccountPage = Vec<(AccountId, Balance)>;

/// A ledger of who owes money to many others: it can list to whom.
pub trait AccountStore: LedgerStore {
    /// Accounts of a role (the part of [`AccountId`] before the slash) that something happened to in this asset, with their
    /// sums, in the order of their names, at most `limit`, beginning after `after`.
    fn accounts(
        &self,
        role: Box<str>,
        asset: AssetId,
        after: Option<AccountId>,
        limit: u32,
    ) -> BoxFuture<'_, Result<AccountPage, StoreError>>;
}

/// The books of a payer: what was signed, and what may still be.
pub trait WalletStore: Send + Sync + 'static {
    /// Compares `spend` with the [terms known](Self::known_terms) of its place, checks `caps` against everything signed in the same unit so
    /// far, and records it, in one transaction that is shared by all processes. Terms come before caps; when either says no,
    /// nothing is recorded. The window of `caps.per_period` ends at `spend.at`.
    ///
    /// May be repeated: a spend that is already in the books is [`Reserved::Recorded`] again, whatever caps and terms say
    /// now, and counts once; what is known then has the spend in it. The same id with anything else different is
    /// [`StoreError::Conflict`].
    fn reserve_spend(
        &self,
        spend: Spend,
        caps: Caps,
        terms: TermsRule,
    ) -> BoxFuture<'_, Result<Reserved, StoreError>>;

    /// Records how a spend ended, and forgets its request. It goes on to count against the caps: see [`SpendEnd`]. The first receipt stays:
    /// see [`SpendState::after`](crate::SpendState::after).
    fn finish_spend(
        &self,
        id: PaymentId,
        end: SpendEnd,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// [`finish_spend`](Self::finish_spend) for callers that do not wait: it is done after everything asked before it, seen
    /// by everything asked of this store after it, and on the disk at the latest when [`flush`](Self::flush) returns or the
    /// store is dropped. A crash before that leaves the spend open, which is safe: sent again, the server knows it. If it
    /// cannot be written, that is logged.
    ///
    /// `false`: nothing was done, because the queue is full or the engine has none. Then wait.
    #[must_use = "what was not queued has to be written otherwise"]
    fn finish_spend_later(&self, id: PaymentId, end: SpendEnd, at: Timestamp) -> bool {
        drop((id, end, at));
        false
    }

    /// Waits until everything that was queued before is done.
    fn flush(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    /// What was signed in `unit` for `origin` altogether, for anybody since `since`, and for anybody altogether.
    fn usage(
        &self,
        origin: Box<str>,
        unit: Unit,
        since: Timestamp,
    ) -> BoxFuture<'_, Result<Usage, StoreError>>;

    /// What was signed for each origin in each unit, by origin and then by the unit's text, at most `limit`.
    fn signed(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Signed>, StoreError>>;

    /// The newest spends, newest first, at most `limit`, without their requests.
    fn recent_spends(&self, limit: u32) -> BoxFuture<'_, Result<Vec<SpendRecord>, StoreError>>;

    /// Spends whose end is not known, oldest first, at most `limit`, without their requests.
    fn open_spends(&self, limit: u32) -> BoxFuture<'_, Result<Vec<SpendRecord>, StoreError>>;

    /// One spend, with its request if that is still kept.
    fn spend(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<SpendRecord>, StoreError>>;

    /// What is known about `path` of `origin`, where `payee` asks for `asset`. Every spend counts, however it ended: a
    /// signature is as good as a payment to whoever holds it.
    fn known_terms(
        &self,
        origin: Box<str>,
        path: Box<str>,
        asset: AssetId,
        payee: Box<str>,
    ) -> BoxFuture<'_, Result<KnownTerms, StoreError>>;

    /// Keeps a token, instead of what was kept of the same payment. Tokens that have ended when this one was bought are dropped,
    /// and beyond [`TOKENS_KEPT_MAX`](crate::token::TOKENS_KEPT_MAX) those that end first.
    fn keep_token(&self, token: KeptToken) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Tokens for `method` at `origin` that have not ended at `now`, newest first, at most
    /// [`TOKENS_TOLD_MAX`](crate::token::TOKENS_TOLD_MAX).
    fn tokens_at(
        &self,
        origin: Box<str>,
        method: Box<str>,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Vec<KeptToken>, StoreError>>;

    /// All tokens, newest first, at most `limit`, without their credentials.
    fn tokens(&self, limit: u32) -> BoxFuture<'_, Result<Vec<KeptToken>, StoreError>>;

    /// One more request was made with a token: [`KeptToken::used`]. Nothing happens when it is not kept.
    fn use_token(&self, payment: PaymentId) -> BoxFuture<'_, Result<(), StoreError>>;

    /// [`use_token`](Self::use_token) for callers that do not wait, as [`finish_spend_later`](Self::finish_spend_later): a
    /// crash before it is written leaves a use too many in the books, and the seller knows better.
    ///
    /// `false`: nothing was done. Then wait.
    #[must_use = "what was not queued has to be written otherwise"]
    fn use_token_later(&self, payment: PaymentId) -> bool {
        let _ = payment;
        false
    }

    /// Drops a token that its seller does not take any more.
    fn forget_token(&self, payment: PaymentId) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// Sums that never wrap.
pub(crate) fn checked_sum(values: impl IntoIterator<Item = U256>) -> Option<U256> {
    values
        .into_iter()
        .try_fold(U256::ZERO, |sum, value| sum.checked_add(value))
}
