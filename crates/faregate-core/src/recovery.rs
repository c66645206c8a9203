//! Finding out what became of payments that nobody works on any more, without waiting for their payers to ask.
//!
//! One implementation for the [`Till`] and the [`Settler`]. It has no timer: whoever owns it calls
//! [`sweep`](Recovery::sweep) now and then.
//!
//! | a payment that is | is |
//! |---|---|
//! | worked on in this process | left alone |
//! | `Broadcast` | asked about: something was handed to the network |
//! | `Reserved`, its credential may still be good | left alone: nothing is known to have been sent, and some rails resolve by settling again, which would charge for what was not sold. A copy of the request takes it over |
//! | `Reserved`, its credential has expired | asked about: the question can move no money any more |
//!
//! The answer is recorded as for any settlement: settled is posted, failed needs the rail's proof, unknown stays open. Time
//! alone never ends a payment, and nothing is released here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use faregate_ledger::{Payment, PaymentState};
use faregate_types::{PaymentId, Timestamp};

use crate::books::Books;
use crate::driver::Till;
use crate::live::Live;
use crate::port::{Away, SettleOutcome};
use crate::rail::Rail;
use crate::rail::x402::X402;
use crate::settler::Settler;

/// Most open payments that a sweep reads to choose from.
const OPEN_MAX: u32 = 1_000;

/// Seconds that an expired credential rests before it is asked about: clocks differ from the chain's.
const EXPIRED_SECS: u64 = 60;

/// Seconds until a payment that stayed unknown is asked about again; doubled each time.
const AGAIN_SECS: u64 = 30;

/// Longest such wait, in seconds.
const AGAIN_SECS_MAX: u64 = 3_600;

/// Resolves open payments of one ledger.
#[derive(Clone)]
pub struct Recovery {
    books: Books,
    rails: Arc<[Arc<dyn Rail>]>,
    live: Live,
    tried: Arc<Mutex<BTreeMap<PaymentId, Tried>>>,
}

impl fmt::Debug for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recovery").finish_non_exhaustive()
    }
}

/// What a sweep did, in payments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SweepReport {
    /// Asked about; the sum of the others.
    pub looked_at: u32,
    /// Found to have moved, and posted.
    pub settled: u32,
    /// Proven not to have moved, and voided.
    pub failed: u32,
    /// Open as before, also when the ledger did not take the answer.
    pub still_unknown: u32,
}

/// How patient to be with one payment.
#[derive(Clone, Copy, Debug)]
struct Tried {
    next: Timestamp,
    wait_secs: u64,
}

impl Till {
    /// Recovery of what was claimed at this till. Shares the set of payments in progress with it.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        Recovery::new(self.books.clone(), Arc::clone(&self.rails), &self.live)
    }
}

impl Settler {
    /// Recovery of what this settler claimed. Shares the set of payments in progress with it.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        let rail: Arc<dyn Rail> = Arc::new(X402::new(Arc::clone(&self.facilitator)));
        Recovery::new(self.books.clone(), [rail].into(), &self.live)
    }
}

impl Recovery {
    fn new(books: Books, rails: Arc<[Arc<dyn Rail>]>, live: &Live) -> Self {
        Self {
            books,
            rails,
            live: live.clone(),
            tried: Arc::default(),
        }
    }

    /// Asks what became of at most `limit` open payments that have not changed since `older_than`, oldest first, one after
    /// the other. One that stays unknown rests longer each time, so that it does not stand before the others. May be dropped
    /// at any point: what was not recorded is asked again.
    ///
    /// # Errors
    /// [`Away`] when the ledger does not say which payments are open.
    pub async fn sweep(&self, older_than: Timestamp, limit: u32) -> Result<SweepReport, Away> {
        let open = self.books.open(OPEN_MAX).await?;
        self.forget_all_but(&open);
        let mut report = SweepReport::default();
        for payment in open
            .iter()
            .filter(|payment| payment.changed_at <= older_than)
        {
            if report.looked_at >= limit {
                break;
            }
            let Some(outcome) = self.look(payment).await else {
                continue;
            };
            let count = match outcome {
                Ok(SettleOutcome::Settled(_)) => &mut report.settled,
                Ok(SettleOutcome::Failed(_)) => &mut report.failed,
                Ok(SettleOutcome::Unknown(_)) | Err(_) => &mut report.still_unknown,
            };
            *count = count.saturating_add(1);
            report.looked_at = report.looked_at.saturating_add(1);
        }
        Ok(report)
    }

    /// Asks about one payment, unless it is not the time or somebody here works on it. A copy that arrives meanwhile finds
    /// the payment in progress.
    async fn look(&self, listed: &Payment) -> Option<Result<SettleOutcome, Away>> {
        let id = listed.claim.id;
        let rail = self
            .rails
            .iter()
            .find(|rail| rail.name() == listed.claim.rail)?;
        if !self.may_ask(rail.as_ref(), listed) || !self.is_due(id) {
            return None;
        }
        let _guard = self.live.enter(id).ok()?;
        // It may have ended between the list and the guard.
        let payment = match self.books.payment(id).await {
            Ok(payment) => payment.filter(|payment| self.may_ask(rail.as_ref(), payment))?,
            Err(away) => return Some(Err(away)),
        };
        self.rest(id);
        let outcome = rail.resolve(&payment).await;
        if is_news(&payment, &outcome)
            && let Err(away) = self.books.record(id, &outcome).await
        {
            tracing::warn!(payment = %id, %away, "what became of a payment could not be recorded");
            return Some(Err(away));
        }
        Some(Ok(outcome))
    }

    /// True when the question itself cannot move money that should not move: see the table above.
    fn may_ask(&self, rail: &dyn Rail, payment: &Payment) -> bool {
        match payment.state {
            PaymentState::Broadcast => true,
            PaymentState::Reserved => rail
                .expires(payment)
                .and_then(|at| at.checked_add_secs(EXPIRED_SECS))
                .is_some_and(|sure_at| self.books.now() >= sure_at),
            PaymentState::Settled | PaymentState::Failed | PaymentState::Released => false,
        }
    }

    fn is_due(&self, id: PaymentId) -> bool {
        let now = self.books.now();
        self.tried().get(&id).is_none_or(|tried| tried.next <= now)
    }

    /// Before the question is asked, so that one that breaks the sweep is not asked first again.
    fn rest(&self, id: PaymentId) {
        let now = self.books.now();
        let mut all = self.tried();
        let wait_secs = all.get(&id).map_or(AGAIN_SECS, |tried| {
            tried.wait_secs.saturating_mul(2).min(AGAIN_SECS_MAX)
        });
        let next = now.checked_add_secs(wait_secs).unwrap_or(now);
        all.insert(id, Tried { next, wait_secs });
    }

    fn forget_all_but(&self, open: &[Payment]) {
        let ids: BTreeSet<PaymentId> = open.iter().map(|payment| payment.claim.id).collect();
        self.tried().retain(|id, _| ids.contains(id));
    }

    fn tried(&self) -> MutexGuard<'_, BTreeMap<PaymentId, Tried>> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// False for an unknown end with nothing in it that the ledger does not have.
fn is_news(payment: &Payment, outcome: &SettleOutcome) -> bool {
    match outcome {
        SettleOutcome::Settled(_) | SettleOutcome::Failed(_) => true,
        SettleOutcome::Unknown(unknown) => {
            unknown.transaction.is_some() && unknown.transaction != payment.transaction
        }
    }
}
