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
//! | `Reserved`, on a rail that only asks | asked about at once: what was issued is found also when its payer does not come back |
//! | `Reserved`, its credential has expired | asked about: the question can move no money any more |
//! | `Reserved`, prepaid, not served | given back: nothing moves by it, and whoever was to serve it is gone |
//! | `Reserved` and served | settled: the payer has got what was sold |
//! | `Settled`, not final | confirmed: final, or gone from the chain. What is gone is reopened and settled again with the same credential, which is good for one transfer and so cannot pay twice |
//! | `Broadcast` and served, not found for a while | settled again: its transaction may never have left, and the payer has got what was sold. A second one moves nothing if the first was mined after all |
//! | `Broadcast` without a transaction | settled again: it was reopened, and nothing is known to be on its way |
//!
//! Kept answers are dropped when they are older than the replay window or too many.
//!
//! The answer is recorded as for any settlement: settled is posted, failed needs the rail's proof, unknown stays open. Time
//! alone never ends a payment, and nothing is released here.

use std::fmt;
use std::sync::Arc;

use faregate_ledger::{Payment, PaymentState, Step};
use faregate_types::{PaymentId, Timestamp};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};

use crate::books::Books;
use crate::driver::Till;
use crate::live::Live;
use crate::patience::Patience;
use crate::port::{Away, Finality, SettleOutcome};
use crate::rail::x402::X402;
use crate::rail::{Presented, Rail};
use crate::settler::Settler;
use crate::uses::Tallies;

/// Most open payments that a sweep reads to choose from.
const OPEN_MAX: u32 = 10_000;

/// How many of them are asked about at the same time.
const ASKED_AT_ONCE: usize = 16;

/// How many that are owed are settled at the same time: those that wait together leave together.
const SETTLED_AT_ONCE: usize = 512;

/// Most settled payments that a sweep asks about whether they are final.
const UNFINAL_MAX: u32 = 1_000;

/// How many of these questions are asked at the same time.
const CONFIRMED_AT_ONCE: usize = 16;

/// Most kept answers that a sweep drops, so that the ledger is not held for long.
const PRUNED_MAX: u32 = 1_000;

/// How long a kept answer is given to copies, in seconds, if nobody says otherwise.
pub const REPLAY_WINDOW_SECS: u64 = 24 * 60 * 60;

/// The shortest replay window, in seconds: as long as a payment of any offer may be valid.
pub const REPLAY_WINDOW_SECS_MIN: u64 = 3_600;

/// How many bytes of answers are kept, if nobody says otherwise.
pub const KEPT_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Seconds that an expired credential rests before it is asked about: clocks differ from the chain's.
const EXPIRED_SECS: u64 = 60;

/// Seconds after which what was served is settled again when its transaction is not found.
const RESEND_SECS: u64 = 20;

/// Resolves open payments of one ledger.
#[derive(Clone)]
pub struct Recovery {
    books: Books,
    rails: Arc<[Arc<dyn Rail>]>,
    live: Live,
    uses: Tallies,
    patience: Patience,
    replay_window_secs: u64,
    kept_bytes_max: u64,
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
    /// Open payments that were asked about; the sum of the next three.
    pub looked_at: u32,
    /// Found to have moved, and posted.
    pub settled: u32,
    /// Proven not to have moved, and voided.
    pub failed: u32,
    /// Open as before, also when the ledger did not take the answer.
    pub still_unknown: u32,
    /// Settlements that became final.
    pub finalized: u32,
    /// Settlements that the chain took back; each was sent again.
    pub reopened: u32,
    /// Claims of prepaid credentials that bought nothing, given back.
    pub released: u32,
    /// Of all that failed: those whose answer was out already. Sold and not paid.
    pub unpaid: u32,
    /// Kept answers that were dropped.
    pub pruned: u32,
}

impl Till {
    /// Recovery of what was claimed at this till. Shares the set of payments in progress with it.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        let (rails, uses) = (Arc::clone(&self.rails), self.uses.clone());
        Recovery::new(self.books.clone(), rails, &self.live, uses)
    }
}

impl Settler {
    /// Recovery of what this settler claimed. Shares the set of payments in progress with it.
    #[must_use]
    pub fn recovery(&self) -> Recovery {
        let rail: Arc<dyn Rail> = Arc::new(X402::new(Arc::clone(&self.facilitator)));
        Recovery::new(
            self.books.clone(),
            [rail].into(),
            &self.live,
            Tallies::default(),
        )
    }
}

impl Recovery {
    fn new(books: Books, rails: Arc<[Arc<dyn Rail>]>, live: &Live, uses: Tallies) -> Self {
        Self {
            books,
            rails,
            live: live.clone(),
            uses,
            patience: Patience::default(),
            replay_window_secs: REPLAY_WINDOW_SECS,
            kept_bytes_max: KEPT_BYTES_MAX,
        }
    }

    /// The same with another replay window, at least [`REPLAY_WINDOW_SECS_MIN`], and another limit to all that is kept.
    /// Where the two disagree the limit counts. A copy that comes too late is told that the payment was used.
    #[must_use]
    pub fn keeping(mut self, replay_window_secs: u64, kept_bytes_max: u64) -> Self {
        self.replay_window_secs = replay_window_secs.max(REPLAY_WINDOW_SECS_MIN);
        self.kept_bytes_max = kept_bytes_max;
        self
    }

    /// Settles what is owed, and asks what became of at most `limit` other open payments, oldest first, of those that have not
    /// changed since `older_than`; some at a time. One that stays unknown rests longer each time, so that it does not stand
    /// before the others; what is owed has to be paid while its credential is good, and rests only shortly. May be dropped at
    /// any point: what was not recorded is asked again.
    ///
    /// Then asks which settlements that have not changed since `older_than` are final, and drops old answers.
    ///
    /// # Errors
    /// [`Away`] when the ledger does not say which payments are open.
    pub async fn sweep(&self, older_than: Timestamp, limit: u32) -> Result<SweepReport, Away> {
        let open = self.books.open(OPEN_MAX).await?;
        let unfinal = self.books.unfinal(UNFINAL_MAX).await?;
        self.forget_all_but(open.iter().chain(&unfinal));
        let mut report = SweepReport::default();
        self.resolve_all(&open, older_than, limit, &mut report)
            .await;
        self.confirm_all(&unfinal, older_than, &mut report).await;
        let now = self.books.now().as_secs();
        let before = Timestamp::from_secs(now.saturating_sub(self.replay_window_secs));
        let pruned = self.books.prune(before, self.kept_bytes_max, PRUNED_MAX);
        match pruned.await {
            Ok(pruned) => report.pruned = pruned,
            Err(away) => tracing::warn!(%away, "old answers could not be dropped"),
        }
        Ok(report)
    }

    async fn resolve_all(
        &self,
        open: &[Payment],
        older_than: Timestamp,
        limit: u32,
        report: &mut SweepReport,
    ) {
        let (mut owed, mut others) = (Vec::new(), Vec::new());
        for payment in open {
            if payment.changed_at > older_than {
                continue;
            }
            if self.give_back(payment).await {
                report.released = report.released.saturating_add(1);
            } else if is_owed(payment) {
                owed.push(payment);
            } else if self
                .rail_of(payment)
                .is_some_and(|rail| self.may_ask(rail, payment) && self.is_due(payment.claim.id))
            {
                others.push(payment);
            }
        }
        others.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        self.look_at_all(owed, SETTLED_AT_ONCE, report).await;
        self.look_at_all(others, ASKED_AT_ONCE, report).await;
    }

    async fn look_at_all(&self, payments: Vec<&Payment>, at_once: usize, report: &mut SweepReport) {
        let mut looks: Vec<BoxFuture<'_, _>> = Vec::new();
        for payment in payments {
            looks.push(Box::pin(async move { (payment, self.look(payment).await) }));
        }
        let mut looks = stream::iter(looks).buffer_unordered(at_once);
        while let Some((payment, outcome)) = looks.next().await {
            let Some(outcome) = outcome else { continue };
            count_unpaid(report, payment, outcome.as_ref().ok());
            let count = match outcome {
                Ok(SettleOutcome::Settled(_)) => &mut report.settled,
                Ok(SettleOutcome::Failed(_)) => &mut report.failed,
                Ok(SettleOutcome::Unknown(_)) | Err(_) => &mut report.still_unknown,
            };
            *count = count.saturating_add(1);
            report.looked_at = report.looked_at.saturating_add(1);
        }
    }

    async fn confirm_all(
        &self,
        unfinal: &[Payment],
        older_than: Timestamp,
        report: &mut SweepReport,
    ) {
        let mut questions: Vec<BoxFuture<'_, _>> = Vec::new();
        for payment in unfinal {
            if payment.changed_at <= older_than {
                questions.push(Box::pin(
                    async move { (payment, self.confirm(payment).await) },
                ));
            }
        }
        let mut asked = stream::iter(questions).buffer_unordered(CONFIRMED_AT_ONCE);
        while let Some((payment, confirmed)) = asked.next().await {
            match confirmed {
                None => {}
                Some(Confirmed::Final) => report.finalized = report.finalized.saturating_add(1),
                Some(Confirmed::Reopened(again)) => {
                    report.reopened = report.reopened.saturating_add(1);
                    count_unpaid(report, payment, Some(&again));
                }
            }
        }
    }

    /// Asks whether one settlement is final, unless it is not the time or somebody here works on it. What is gone is
    /// reopened and settled again.
    async fn confirm(&self, listed: &Payment) -> Option<Confirmed> {
        let id = listed.claim.id;
        let rail = self.rail_of(listed)?;
        if !self.is_due(id) {
            return None;
        }
        let _guard = self.live.enter(id).ok()?;
        self.rest(id);
        match rail.confirm(listed).await {
            Finality::Waiting | Finality::Unknown => None,
            Finality::Final => match self.books.advance(id, Step::Finalize).await {
                Ok(()) => Some(Confirmed::Final),
                Err(away) => {
                    tracing::warn!(payment = %id, %away, "that a payment is final could not be recorded");
                    None
                }
            },
            Finality::Gone => {
                let transaction = listed.transaction.as_deref();
                tracing::warn!(payment = %id, transaction, "a settlement is gone from its chain; it is settled again");
                if let Err(away) = self.books.advance(id, Step::Reopen).await {
                    tracing::warn!(payment = %id, %away, "a payment could not be reopened");
                    return None;
                }
                let again = self.settle(rail, listed).await;
                self.books.record_or_log(id, &again).await;
                Some(Confirmed::Reopened(again))
            }
        }
    }

    /// Settles what is owed. That a payment fails is believed only when the chain says so too: what looks like a spent
    /// authorisation may be a transfer of ours that came back.
    async fn settle(&self, rail: &dyn Rail, payment: &Payment) -> SettleOutcome {
        let Ok(presented) = Presented::of(payment, rail) else {
            // Damaged evidence says nothing about the money.
            return rail.resolve(payment).await;
        };
        let trail = self.books.trail(presented.id);
        let outcome = presented.instrument.settle(&trail).await;
        match outcome {
            SettleOutcome::Failed(_) => rail.resolve(payment).await,
            SettleOutcome::Settled(_) | SettleOutcome::Unknown(_) => outcome,
        }
    }

    fn rail_of(&self, payment: &Payment) -> Option<&dyn Rail> {
        let rail = self
            .rails
            .iter()
            .find(|rail| rail.name() == payment.claim.rail);
        rail.map(AsRef::as_ref)
    }

    /// Asks about one payment, unless it is not the time or somebody here works on it. A copy that arrives meanwhile finds
    /// the payment in progress.
    async fn look(&self, listed: &Payment) -> Option<Result<SettleOutcome, Away>> {
        let id = listed.claim.id;
        let rail = self.rail_of(listed)?;
        if !self.may_ask(rail, listed) || !self.is_due(id) {
            return None;
        }
        let _guard = self.live.enter(id).ok()?;
        // It may have ended between the list and the guard.
        let payment = match self.books.payment(id).await {
            Ok(payment) => payment.filter(|payment| self.may_ask(rail, payment))?,
            Err(away) => return Some(Err(away)),
        };
        let mut outcome = if is_owed(&payment) {
            self.patience.rest_shortly(id, self.books.now());
            self.settle(rail, &payment).await
        } else {
            self.rest(id);
            rail.resolve(&payment).await
        };
        if matches!(outcome, SettleOutcome::Unknown(_)) && self.is_overdue(&payment) {
            outcome = self.settle(rail, &payment).await;
        }
        if is_news(&payment, &outcome)
            && let Err(away) = self.books.record(id, &outcome).await
        {
            tracing::warn!(payment = %id, %away, "what became of a payment could not be recorded");
            return Some(Err(away));
        }
        self.books.weigh(id, &outcome);
        Some(Ok(outcome))
    }

    /// Gives back what a prepaid credential was claimed for and did not get, because whoever was serving it is gone: the
    /// answer is recorded before it leaves.
    async fn give_back(&self, listed: &Payment) -> bool {
        let id = listed.claim.id;
        let unserved =
            |payment: &Payment| payment.state == PaymentState::Reserved && payment.answer.is_none();
        if !unserved(listed) || !self.rail_of(listed).is_some_and(Rail::is_prepaid) {
            return false;
        }
        let Ok(_guard) = self.live.enter(id) else {
            return false;
        };
        // It may have ended between the list and the guard.
        match self.books.payment(id).await {
            Ok(Some(payment)) if unserved(&payment) => {
                self.give_back_elsewhere(&payment).await;
                if let Err(away) = self.books.advance(id, Step::Release).await {
                    tracing::warn!(payment = %id, %away, "an unserved use could not be given back");
                    return false;
                }
                self.uses.search_again();
                true
            }
            Ok(_) | Err(_) => false,
        }
    }

    /// Before the claim is given back, so that nobody serves what is not noted.
    async fn give_back_elsewhere(&self, payment: &Payment) {
        let Some(rail) = self.rail_of(payment) else {
            return;
        };
        if let Ok(presented) = Presented::of(payment, rail)
            && let Some(shared) = presented.instrument.shared()
        {
            shared.give_back(presented.id).await;
        }
    }

    /// True when the question itself cannot move money that should not move: see the table above.
    fn may_ask(&self, rail: &dyn Rail, payment: &Payment) -> bool {
        match payment.state {
            PaymentState::Broadcast => true,
            PaymentState::Reserved if is_owed(payment) || rail.resolves_by_asking() => true,
            PaymentState::Reserved => rail
                .expires(payment)
                .and_then(|at| at.checked_add_secs(EXPIRED_SECS))
                .is_some_and(|sure_at| self.books.now() >= sure_at),
            PaymentState::Settled | PaymentState::Failed | PaymentState::Released => false,
        }
    }

    /// True when it was served, and its transaction should have been mined long ago.
    fn is_overdue(&self, payment: &Payment) -> bool {
        payment.state == PaymentState::Broadcast
            && payment.transaction.is_some()
            && payment.answer.is_some()
            && payment
                .changed_at
                .checked_add_secs(RESEND_SECS)
                .is_some_and(|late_at| self.books.now() >= late_at)
    }

    fn is_due(&self, id: PaymentId) -> bool {
        let now = self.books.now();
        self.patience.is_due(id, now)
    }

    /// Before the question is asked, so that one that breaks the sweep is not asked first again.
    fn rest(&self, id: PaymentId) {
        self.patience.rest(id, self.books.now());
    }

    fn forget_all_but<'p>(&self, listed: impl Iterator<Item = &'p Payment>) {
        let ids = listed.map(|payment| payment.claim.id).collect();
        self.patience.forget_all_but(&ids);
    }
}

/// What became of the question whether a settlement is final.
enum Confirmed {
    Final,
    /// Gone, and what sending it again came to.
    Reopened(SettleOutcome),
}

/// True when the money has to be moved and nothing is on its way: served and never sent, or reopened.
fn is_owed(payment: &Payment) -> bool {
    match payment.state {
        PaymentState::Reserved => payment.answer.is_some(),
        PaymentState::Broadcast => payment.transaction.is_none(),
        PaymentState::Settled | PaymentState::Failed | PaymentState::Released => false,
    }
}

/// What was sold and can never be paid: an operator has to know.
fn count_unpaid(report: &mut SweepReport, payment: &Payment, outcome: Option<&SettleOutcome>) {
    if let Some(SettleOutcome::Failed(refusal)) = outcome
        && payment.answer.is_some()
    {
        let (id, code) = (payment.claim.id, refusal.code.as_str());
        tracing::error!(payment = %id, code, "sold and not paid: the payment failed for good");
        report.unpaid = report.unpaid.saturating_add(1);
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
