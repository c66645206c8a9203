//! The ledger of a seller or an operator.

use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use alloy_primitives::U256;
use faregate_ledger::{
    AccountId, AccountPage, AccountStore, Balance, Claim, Claimed, Effect, LedgerStore, Payment,
    Step, StoreError, Totals,
};
use faregate_types::{AssetId, IdempotencyKey, PaymentId, Timestamp};
use futures_util::future::BoxFuture;

use super::access::AccessWork;
use super::address::PostgresUrl;
use super::held::HeldWork;
use super::hold::Hold;
use super::lane::Lane;
use super::pool::Pool;
use super::reads;
use super::schema::{LEDGER, PostgresError};
use super::seqs::Seqs;
use super::work::{Done, Job, LedgerWork};
use super::{audit, limits};
use crate::audit::Audit;

/// [`LedgerStore`] on PostgreSQL.
///
/// Any number of processes may use one database: each claim has one winner among all of them. Needs a Tokio runtime with IO
/// and time, on which its connections live; dropping the store lets what is queued be done in the background.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use faregate_ledger::LedgerStore;
/// use faregate_store::postgres::{PostgresLedger, PostgresUrl};
///
/// let address = PostgresUrl::parse("postgres://gate@localhost/books")?;
/// let ledger = PostgresLedger::open(&address).await?;
/// assert!(ledger.open_payments(10).await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PostgresLedger {
    lane: Lane<LedgerWork>,
    pub(super) access: Lane<AccessWork>,
    pub(super) held: Lane<HeldWork>,
    pub(super) reads: Arc<Pool>,
    pub(super) seqs: Seqs,
    /// Whether what happens is put into the outbox.
    pub(super) events: AtomicU8,
    pub(super) hold: Option<Arc<Hold>>,
    address: PostgresUrl,
}

impl PostgresLedger {
    /// Opens the ledger in a database, and makes or updates its tables where they are missing or old.
    ///
    /// # Errors
    /// [`PostgresError`]; a database of a newer version is not touched.
    pub async fn open(address: &PostgresUrl) -> Result<Self, PostgresError> {
        Self::open_as(address, false).await
    }

    /// Opens the ledger for this process alone, for a gate or another service that knows alone what it is working on. Waits
    /// some seconds for a holder that has died. Once another process has taken the ledger nothing is written any more.
    ///
    /// # Errors
    /// [`PostgresError::Held`] when another process holds it, and as [`open`](Self::open).
    pub async fn open_alone(address: &PostgresUrl) -> Result<Self, PostgresError> {
        Self::open_as(address, true).await
    }

    async fn open_as(address: &PostgresUrl, alone: bool) -> Result<Self, PostgresError> {
        let pool = |most| {
            let pool = Pool::new(address, most).map_err(|_| PostgresError::Certificates);
            pool.map(Arc::new)
        };
        let by_keys = || {
            let pool = Pool::by_keys(address).map_err(|_| PostgresError::Certificates);
            pool.map(Arc::new)
        };
        let (writes, reads) = (by_keys()?, pool(limits::READ_CONNECTIONS)?);
        LEDGER.migrate(&reads).await?;
        let hold = if alone {
            // With a connection of its own, so that nobody keeps it from being seen.
            Some(Hold::take(pool(1)?).await?)
        } else {
            None
        };
        Ok(Self {
            lane: Lane::start(LedgerWork::new(hold.clone()), writes),
            // With a connection of its own, made when somebody signs in.
            access: Lane::start(AccessWork::new(), pool(1)?),
            // With another, made when the first certificate is kept.
            held: Lane::start(HeldWork::new(hold.clone()), by_keys()?),
            reads,
            seqs: Seqs::new(),
            events: AtomicU8::new(0),
            hold,
            address: address.clone(),
        })
    }

    /// One more connection to the same database, for a lane.
    pub(super) fn one_connection(&self) -> Result<Arc<Pool>, StoreError> {
        let pool = Pool::by_keys(&self.address).map_err(|_| StoreError::Unavailable)?;
        Ok(Arc::new(pool))
    }

    /// What the one gate over this ledger is called among others, from now on for ever; `None` when it was not opened alone.
    #[must_use]
    pub fn gate(&self) -> Option<[u8; 16]> {
        self.hold.as_ref().map(|hold| hold.gate())
    }

    /// Lets another process hold the ledger at once. Call it last: nothing is written afterwards.
    pub async fn leave(&self) {
        if let Some(hold) = &self.hold {
            hold.leave().await;
        }
    }

    /// Recomputes every balance from the transfers and compares. Reads everything.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when rows cannot even be read, [`StoreError::Unavailable`] as always.
    pub async fn audit(&self) -> Result<Audit, StoreError> {
        audit::ledger(&self.reads).await
    }
}

/// What only a bug brings about: the lane answered something else.
pub(super) fn other<T>() -> Result<T, StoreError> {
    tracing::error!("the lane of the store answered another question");
    Err(StoreError::Unavailable)
}

impl LedgerStore for PostgresLedger {
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        Box::pin(async move {
            match self.lane.ask(Job::Claim(Box::new(claim))).await? {
                Done::Claimed(claimed) => Ok(claimed),
                Done::Stepped(..) => other(),
            }
        })
    }

    fn take_step(
        &self,
        id: PaymentId,
        step: Step,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(Payment, Effect), StoreError>> {
        let job = Job::Step(id, Box::new(step), at, self.told());
        Box::pin(async move {
            match self.lane.ask(job).await? {
                Done::Stepped(payment, effect) => Ok((*payment, effect)),
                Done::Claimed(_) => other(),
            }
        })
    }

    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        Box::pin(reads::payment(&self.reads, id))
    }

    fn named_payment(
        &self,
        payer: AccountId,
        key: IdempotencyKey,
    ) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        Box::pin(reads::named(&self.reads, payer, key))
    }

    fn open_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(reads::list(&self.reads, reads::OPEN, limit))
    }

    fn unfinal_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(reads::list(&self.reads, reads::UNFINAL, limit))
    }

    fn prune(
        &self,
        before: Timestamp,
        bytes_max: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(reads::prune(&self.reads, before, bytes_max, limit))
    }

    fn exposure(
        &self,
        payer: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<U256, StoreError>> {
        Box::pin(reads::exposure(&self.reads, payer, asset))
    }

    fn recent_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(reads::list(&self.reads, reads::RECENT, limit))
    }

    fn balance(
        &self,
        account: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<Balance, StoreError>> {
        Box::pin(reads::balance(&self.reads, account, asset))
    }

    fn totals(&self) -> BoxFuture<'_, Result<Totals, StoreError>> {
        Box::pin(reads::totals(&self.reads))
    }
}

impl AccountStore for PostgresLedger {
    fn accounts(
        &self,
        role: Box<str>,
        asset: AssetId,
        after: Option<AccountId>,
        limit: u32,
    ) -> BoxFuture<'_, Result<AccountPage, StoreError>> {
        Box::pin(reads::accounts(&self.reads, role, asset, after, limit))
    }
}
