//! Bugs that can be planted between the product and the world, to see that a run notices them. Each is a mistake that a
//! payment system has really made somewhere, put into a wrapper of a port; the product itself stays as it is.

use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::B256;
use faregate_core::{Away, Facilitator, Finality, SettleOutcome, Settlement, Trail, Verdict};
use faregate_ledger::{
    AccountId, Balance, Claim, Claimed, Effect, LedgerStore, Payment, Step, StoreError, Totals,
};
use faregate_types::x402::{FacilitatorRequest, SupportedResponse};
use faregate_types::{AssetId, Code, IdempotencyKey, PaymentId, Refusal, Timestamp, U256};
use futures_util::future::BoxFuture;
use tokio::time::sleep;

use crate::node::Node;
use crate::process::Process;
use crate::world::lock;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A second claim of one payment wins as well.
    ClaimWinsTwice,
    /// A claim is confirmed first and written a little later.
    ClaimWrittenLate,
    /// A transaction is recorded after it was sent.
    RecordedAfterSending,
    /// No answer in time counts as a failed payment.
    TimeoutIsFailure,
    /// What was only sent counts as settled.
    SentIsSettled,
    /// After a restart whatever is open is given back, also what was sent.
    RestartReleases,
    /// A copy of an answered request runs the service again.
    CopyRunsAgain,
    /// A receipt counts as a settlement, whatever the transaction did.
    AnyReceiptIsSettlement,
    /// What a payment was used for is not compared.
    OtherRequestIsCopy,
    /// How much of a payer is served and not paid is not looked at.
    CreditWithoutLimit,
    /// What leaves before it is paid is not recorded.
    OwedUnrecorded,
    /// What settled once is never looked at again.
    SettledIsFinal,
}

impl Bug {
    /// Every one.
    pub const ALL: [Self; 12] = [
        Self::ClaimWinsTwice,
        Self::ClaimWrittenLate,
        Self::RecordedAfterSending,
        Self::TimeoutIsFailure,
        Self::SentIsSettled,
        Self::RestartReleases,
        Self::CopyRunsAgain,
        Self::AnyReceiptIsSettlement,
        Self::OtherRequestIsCopy,
        Self::CreditWithoutLimit,
        Self::OwedUnrecorded,
        Self::SettledIsFinal,
    ];

    /// The bug of this name, as `Debug` shows it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bug| format!("{bug:?}") == name)
    }
}

/// A ledger with a bug in it.
pub struct Store {
    bug: Option<Bug>,
    process: Process,
    inner: Arc<dyn LedgerStore>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({:?})", self.bug)
    }
}

impl Store {
    /// The ledger of `process`, with the bug.
    #[must_use]
    pub fn new(bug: Option<Bug>, process: &Process, inner: Arc<dyn LedgerStore>) -> Arc<Self> {
        Arc::new(Self {
            bug,
            process: process.clone(),
            inner,
        })
    }
}

impl LedgerStore for Store {
    fn claim(&self, mut claim: Claim) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        Box::pin(async move {
            match self.bug {
                Some(Bug::CreditWithoutLimit) => {
                    claim.exposure_max = claim.exposure_max.map(|_| U256::MAX);
                    self.inner.claim(claim).await
                }
                Some(Bug::ClaimWrittenLate) => {
                    if self.inner.payment(claim.id).await?.is_some() {
                        return self.inner.claim(claim).await;
                    }
                    let inner = Arc::clone(&self.inner);
                    self.process.spawn(async move {
                        sleep(Duration::from_millis(700)).await;
                        drop(inner.claim(claim).await);
                    });
                    Ok(Claimed::Won)
                }
                Some(Bug::ClaimWinsTwice) => Ok(match self.inner.claim(claim).await? {
                    Claimed::InFlight(_) | Claimed::Same(_) => Claimed::Won,
                    told => told,
                }),
                _ => self.inner.claim(claim).await,
            }
        })
    }

    fn take_step(
        &self,
        id: PaymentId,
        step: Step,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(Payment, Effect), StoreError>> {
        Box::pin(async move {
            let skips = self.bug == Some(Bug::OwedUnrecorded) && matches!(step, Step::Serve { .. });
            if skips && let Some(payment) = self.inner.payment(id).await? {
                return Ok((payment, Effect::Keep));
            }
            self.inner.take_step(id, step, at).await
        })
    }

    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        self.inner.payment(id)
    }

    fn named_payment(
        &self,
        payer: AccountId,
        key: IdempotencyKey,
    ) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        self.inner.named_payment(payer, key)
    }

    fn open_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        self.inner.open_payments(limit)
    }

    fn unfinal_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        self.inner.unfinal_payments(limit)
    }

    fn prune(
        &self,
        before: Timestamp,
        bytes_max: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.inner.prune(before, bytes_max, limit)
    }

    fn exposure(
        &self,
        payer: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<U256, StoreError>> {
        self.inner.exposure(payer, asset)
    }

    fn recent_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        self.inner.recent_payments(limit)
    }

    fn balance(
        &self,
        account: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<Balance, StoreError>> {
        self.inner.balance(account, asset)
    }

    fn totals(&self) -> BoxFuture<'_, Result<Totals, StoreError>> {
        self.inner.totals()
    }
}

/// A sender with a bug in it.
pub struct Sender {
    bug: Option<Bug>,
    node: Arc<Node>,
    inner: Arc<dyn Facilitator>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({:?})", self.bug)
    }
}

/// Remembers instead of recording.
#[derive(Default)]
struct Later(Mutex<Vec<Box<str>>>);

impl Trail for Later {
    fn broadcast<'a>(&'a self, transaction: &'a str) -> BoxFuture<'a, Result<(), Away>> {
        lock(&self.0).push(transaction.into());
        Box::pin(async { Ok(()) })
    }
}

impl Sender {
    /// A sender on the chain of `node`, with the bug.
    #[must_use]
    pub fn new(bug: Option<Bug>, node: &Arc<Node>, inner: Arc<dyn Facilitator>) -> Arc<Self> {
        Arc::new(Self {
            bug,
            node: Arc::clone(node),
            inner,
        })
    }

    fn bend(&self, request: &FacilitatorRequest, outcome: SettleOutcome) -> SettleOutcome {
        let transaction = match &outcome {
            SettleOutcome::Unknown(unknown) => unknown.transaction.clone(),
            SettleOutcome::Settled(_) | SettleOutcome::Failed(_) => return outcome,
        };
        match (self.bug, transaction) {
            (Some(Bug::TimeoutIsFailure), Some(_)) => {
                SettleOutcome::Failed(Refusal::new(Code::TransactionFailed))
            }
            (Some(Bug::SentIsSettled), Some(transaction)) => settled(request, transaction),
            _ => outcome,
        }
    }

    /// Whether one of these was mined, with whatever effect.
    fn any_receipt(&self, sent: &[Box<str>]) -> Option<Box<str>> {
        let mined = |text: &str| {
            text.parse::<B256>()
                .is_ok_and(|hash| self.node.chain().find(hash).is_some())
        };
        sent.iter().find(|text| mined(text)).cloned()
    }
}

fn settled(request: &FacilitatorRequest, transaction: Box<str>) -> SettleOutcome {
    match request.exact() {
        Ok(payment) => SettleOutcome::Settled(Settlement {
            transaction: Some(transaction),
            payer: Some(payment.payer()),
        }),
        Err(refusal) => SettleOutcome::Failed(refusal),
    }
}

/// Records at once, and remembers.
struct Both<'a>(&'a dyn Trail, Later);

impl Trail for Both<'_> {
    fn broadcast<'a>(&'a self, transaction: &'a str) -> BoxFuture<'a, Result<(), Away>> {
        lock(&self.1.0).push(transaction.into());
        self.0.broadcast(transaction)
    }
}

impl Facilitator for Sender {
    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, Away>> {
        self.inner.supported()
    }

    fn verify<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
    ) -> BoxFuture<'a, Result<Verdict, Away>> {
        self.inner.verify(request)
    }

    fn uses_trail(&self) -> bool {
        self.inner.uses_trail()
    }

    fn settle<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
        trail: &'a dyn Trail,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(async move {
            match self.bug {
                Some(Bug::RecordedAfterSending) => {
                    let later = Later::default();
                    let outcome = self.inner.settle(request, &later).await;
                    let sent = lock(&later.0).pop();
                    if let Some(transaction) = sent {
                        trail.broadcast(&transaction).await.ok();
                    }
                    outcome
                }
                Some(Bug::AnyReceiptIsSettlement) => {
                    let both = Both(trail, Later::default());
                    let outcome = self.inner.settle(request, &both).await;
                    let sent = lock(&both.1.0).clone();
                    match self.any_receipt(&sent) {
                        Some(transaction) => settled(request, transaction),
                        None => outcome,
                    }
                }
                _ => self.bend(request, self.inner.settle(request, trail).await),
            }
        })
    }

    fn resolve<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
        transaction: Option<&'a str>,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(async move {
            let sent: Vec<Box<str>> = transaction.map(Into::into).into_iter().collect();
            if self.bug == Some(Bug::AnyReceiptIsSettlement)
                && let Some(transaction) = self.any_receipt(&sent)
            {
                return settled(request, transaction);
            }
            self.bend(request, self.inner.resolve(request, transaction).await)
        })
    }

    fn confirm<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
        transaction: &'a str,
    ) -> BoxFuture<'a, Finality> {
        match self.bug {
            Some(Bug::SettledIsFinal) => Box::pin(ready(Finality::Final)),
            _ => self.inner.confirm(request, transaction),
        }
    }
}
