//! Writing down what happens to a payment: the one place that turns outcomes into ledger steps.

use std::sync::Arc;

use faregate_ledger::{AccountId, Claim, Claimed, Effect, LedgerStore, Payment, Step, StoreError};
use faregate_types::{Code, Fingerprint, IdempotencyKey, PaymentId, Timestamp};
use futures_util::future::BoxFuture;

use crate::crash::{self, Point};
use crate::observe::{self, GateEvent, Kind, Watch, What};
use crate::port::{Away, Clock, SettleOutcome, Trail};
use crate::uses::Passes;

/// How often a step is repeated when the store is busy. Every step may be repeated.
const STEP_TRIES: u32 = 3;

/// The ledger and the clock, used together.
#[derive(Clone)]
pub(crate) struct Books {
    store: Arc<dyn LedgerStore>,
    clock: Arc<dyn Clock>,
    passes: Passes,
    watch: Watch,
}

impl Books {
    pub(crate) fn new(store: Arc<dyn LedgerStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            passes: Passes::default(),
            watch: Watch::default(),
        }
    }

    /// The same, watched.
    pub(crate) fn watched(self, watch: Watch) -> Self {
        Self { watch, ..self }
    }

    /// Whoever watches.
    pub(crate) const fn watch(&self) -> &Watch {
        &self.watch
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Payments that are known to open whatever they were made for.
    pub(crate) const fn passes(&self) -> &Passes {
        &self.passes
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    pub(crate) async fn claim(&self, claim: Claim) -> Result<Claimed, Away> {
        let wanted = self.watch.wants(Kind::Verified);
        let verified = wanted.then(|| GateEvent::claimed(&claim, claim.at));
        let claimed = self.store.claim(claim).await.map_err(away)?;
        if claimed == Claimed::Won {
            crash::point(Point::Claimed);
            verified
                .into_iter()
                .for_each(|event| self.watch.tell(event));
        }
        Ok(claimed)
    }

    /// What a claim with this fingerprint would meet, without claiming.
    pub(crate) async fn known(
        &self,
        id: PaymentId,
        fingerprint: &Fingerprint,
    ) -> Result<Option<Claimed>, Away> {
        let payment = self.payment(id).await?;
        Ok(payment.and_then(|payment| payment.verdict(fingerprint)))
    }

    /// The payment, if it was ever claimed.
    pub(crate) async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, Away> {
        self.store.payment(id).await.map_err(away)
    }

    /// The payment that a payer's key stands for, if there is one.
    pub(crate) async fn named(
        &self,
        payer: AccountId,
        key: IdempotencyKey,
    ) -> Result<Option<Payment>, Away> {
        self.store.named_payment(payer, key).await.map_err(away)
    }

    /// Payments whose end is not known, oldest change first.
    pub(crate) async fn open(&self, limit: u32) -> Result<Vec<Payment>, Away> {
        self.store.open_payments(limit).await.map_err(away)
    }

    /// Settled payments that are not final, oldest change first.
    pub(crate) async fn unfinal(&self, limit: u32) -> Result<Vec<Payment>, Away> {
        self.store.unfinal_payments(limit).await.map_err(away)
    }

    /// Drops kept answers of before `before`, and more until `bytes_max` are kept.
    pub(crate) async fn prune(
        &self,
        before: Timestamp,
        bytes_max: u64,
        limit: u32,
    ) -> Result<u32, Away> {
        self.store
            .prune(before, bytes_max, limit)
            .await
            .map_err(away)
    }

    pub(crate) async fn advance(&self, id: PaymentId, step: Step) -> Result<(), Away> {
        let mut last = StoreError::Unavailable;
        for tried in 0..STEP_TRIES {
            let now = self.now();
            match self.store.take_step(id, step.clone(), now).await {
                Ok((payment, effect)) => {
                    if matches!(
                        step,
                        Step::Keep { .. } | Step::Serve { .. } | Step::Sell { .. }
                    ) {
                        crash::point(Point::Kept);
                    }
                    if step == Step::Reopen {
                        self.passes.remove(id);
                    }
                    // A store that did not answer may have done it all the same.
                    let effect = match effect {
                        Effect::Repeated if tried > 0 => observe::likely(&step),
                        effect => effect,
                    };
                    self.watch.step(&step, effect, &payment, now);
                    return Ok(());
                }
                Err(StoreError::Unavailable) => {}
                Err(error) => {
                    tracing::error!(payment = %id, %error, "the ledger refused a step");
                    last = error;
                    break;
                }
            }
        }
        Err(away(last))
    }

    /// What an outcome means for tokens that were given out on trust.
    pub(crate) fn weigh(&self, id: PaymentId, outcome: &SettleOutcome) {
        match outcome {
            SettleOutcome::Unknown(unknown) if unknown.code == Code::SettlementReverted => {
                self.passes.doubt(id);
            }
            SettleOutcome::Unknown(_) => {}
            SettleOutcome::Settled(_) | SettleOutcome::Failed(_) => self.passes.no_doubt(id),
        }
    }

    /// Posts, voids or leaves open, as the outcome says. An unknown end changes nothing but the known transaction.
    pub(crate) async fn record(&self, id: PaymentId, outcome: &SettleOutcome) -> Result<(), Away> {
        let recorded = match outcome {
            SettleOutcome::Settled(settlement) => {
                let transaction = settlement.transaction.clone();
                self.advance(id, Step::Settle { transaction }).await
            }
            SettleOutcome::Failed(refusal) => {
                let step = Step::Fail { code: refusal.code };
                let failed = self.advance(id, step).await;
                // Also when the ledger is away. Not before: whoever asks it meanwhile would hear that the payment is good.
                self.passes.remove(id);
                failed
            }
            SettleOutcome::Unknown(unknown) => match unknown.transaction.clone() {
                Some(transaction) => self.advance(id, Step::Broadcast { transaction }).await,
                None => Ok(()),
            },
        };
        self.weigh(id, outcome);
        recorded
    }

    /// Records an outcome of money that has already moved or not: a ledger that is away cannot change that, so the
    /// failure is logged and the next copy of the request finds out by asking the rail.
    pub(crate) async fn record_or_log(&self, id: PaymentId, outcome: &SettleOutcome) {
        crash::point(Point::ReceiptSeen);
        if let Err(away) = self.record(id, outcome).await {
            tracing::error!(payment = %id, %away, "a settlement could not be recorded");
        }
        crash::point(Point::OutcomeRecorded);
        if let SettleOutcome::Unknown(unknown) = outcome
            && self.watch.wants(Kind::Unknown)
            && let Ok(Some(payment)) = self.payment(id).await
        {
            let what = What::Unknown {
                code: unknown.code,
                transaction: unknown.transaction.clone(),
            };
            self.watch.tell(GateEvent::of(&payment, what, self.now()));
        }
    }

    /// The trail of one payment.
    pub(crate) const fn trail(&self, id: PaymentId) -> BooksTrail<'_> {
        BooksTrail { books: self, id }
    }
}

/// Makes a transaction durable under its payment before it is sent.
pub(crate) struct BooksTrail<'b> {
    books: &'b Books,
    id: PaymentId,
}

impl Trail for BooksTrail<'_> {
    fn broadcast<'a>(&'a self, transaction: &'a str) -> BoxFuture<'a, Result<(), Away>> {
        let step = Step::Broadcast {
            transaction: transaction.into(),
        };
        Box::pin(async move {
            crash::point(Point::BeforeBroadcastRecorded);
            self.books.advance(self.id, step).await?;
            crash::point(Point::BroadcastRecorded);
            Ok(())
        })
    }
}

/// A store that did not answer is away; one that refused is our bug or damage, and the gate stays shut all the same.
pub(crate) const fn away(error: StoreError) -> Away {
    match error {
        StoreError::Unavailable => Away {
            code: Code::StoreUnavailable,
        },
        _ => Away {
            code: Code::Internal,
        },
    }
}
