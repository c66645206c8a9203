//! One credential from verification to its end: does what the [`machine`](crate::machine) says.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use faregate_ledger::{Claim, Claimed, Idempotency, Payment, PaymentState, Step};
use faregate_types::{Code, Fingerprint, Refusal};
use futures_util::future::{BoxFuture, Either, select};
use http::{HeaderName, HeaderValue};

use super::{Outcome, Owed, Paid, Sale, Served, Till};
use crate::crash::{self, Point};
use crate::live::{LiveGuard, Waiting};
use crate::machine::{Event, Finish, Phase, SettlePolicy};
use crate::offer::Offer;
use crate::order::Asked;
use crate::port::replay::Noted;
use crate::port::{Away, SettleOutcome, Settlement, Unknown};
use crate::rail::{Presented, Rail, Verified, VerifyError};

/// One credential on its way.
pub(super) struct Run<'a> {
    pub(super) till: &'a Till,
    pub(super) rail: &'a Arc<dyn Rail>,
    pub(super) offer: &'a Offer,
    pub(super) asked: &'a Asked,
    pub(super) fingerprint: Fingerprint,
    pub(super) idempotency: Option<Idempotency>,
    /// How often a payment under the same natural key has failed.
    pub(super) attempt: u32,
    pub(super) presented: Presented,
}

/// What the ledger says once the credential was verified, or why nobody got that far.
pub(super) enum Begun {
    /// Claimed on credit: it may be served before the money moves.
    Lent,
    Claimed(Claimed),
    /// Claimed before, and it does not verify any more.
    Spent(Claimed),
    /// Another gate has sold it; what was claimed here is given back.
    Elsewhere,
    Refused(Refusal),
    Away(Away),
}

impl<'a> Run<'a> {
    /// Verifies, then claims.
    pub(super) async fn begin(&self) -> Begun {
        let begun = match self.presented.instrument.verify().await {
            Ok(verified) => match self.claim(verified).await {
                Ok(begun) => self.note(begun).await,
                Err(away) => Err(away),
            },
            Err(VerifyError::Away(away)) => Err(away),
            // A spent authorisation no longer verifies, but its copies deserve what was sold.
            Err(VerifyError::Refused(refusal)) => self
                .known()
                .await
                .map(|known| known.map_or(Begun::Refused(refusal), Begun::Spent)),
        };
        begun.unwrap_or_else(Begun::Away)
    }

    /// Claims, on credit if the offer gives any and the payer has any left.
    async fn claim(&self, verified: Verified) -> Result<Begun, Away> {
        let mut claim = Claim {
            id: self.presented.id,
            rail: self.presented.rail,
            fingerprint: self.fingerprint,
            transfer: self.presented.transfer.clone(),
            route: self.offer.route().into(),
            evidence: self.presented.evidence.0.clone(),
            at: self.till.books.now(),
            exposure_max: None,
            funds: verified.funds,
            idempotency: self.idempotency.clone(),
        };
        let books = &self.till.books;
        let asset = claim.transfer.amount.asset();
        let lends = !self.rail.settles_first();
        if let Some(max) = self.offer.exposure_max(asset).filter(|_| lends) {
            claim.exposure_max = Some(max.value());
            match books.claim(claim.clone()).await? {
                Claimed::Exposed => claim.exposure_max = None,
                Claimed::Won => return Ok(Begun::Lent),
                claimed => return Ok(self.claimed(claimed, verified)),
            }
        }
        let claimed = books.claim(claim).await?;
        Ok(self.claimed(claimed, verified))
    }

    fn claimed(&self, claimed: Claimed, verified: Verified) -> Begun {
        match (claimed, verified.funds) {
            (Claimed::Overdrawn { reserved }, Some(funds)) => {
                Begun::Refused(self.rail.overdrawn(&self.presented, funds, reserved))
            }
            (claimed, _) => Begun::Claimed(claimed),
        }
    }

    /// Notes what may now be served where other gates look, if there are any. Until that is done nothing is.
    async fn note(&self, begun: Begun) -> Result<Begun, Away> {
        let won = matches!(begun, Begun::Lent | Begun::Claimed(Claimed::Won));
        let unanswered = match &begun {
            Begun::Claimed(Claimed::InFlight(payment) | Claimed::Same(payment)) => {
                payment.answer.is_none() && payment.failure.is_none()
            }
            _ => won,
        };
        let Some(shared) = self.presented.instrument.shared().filter(|_| unanswered) else {
            return Ok(begun);
        };
        let (id, books) = (self.presented.id, &self.till.books);
        let noted = shared.take(id, books.now()).await;
        if let Ok(Noted::Now | Noted::Before) = noted {
            return Ok(begun);
        }
        // What an earlier process left behind, recovery gives back.
        if won && let Err(away) = books.advance(id, Step::Release).await {
            tracing::warn!(payment = %id, %away, "a reservation could not be released");
        }
        noted.map(|_| Begun::Elsewhere)
    }

    /// This request as a copy of the one that the payer's key names.
    pub(super) fn instead(&self, first: &Payment) -> Option<Self> {
        let rail = self.till.rail(first.claim.rail)?;
        Some(Self {
            till: self.till,
            rail,
            offer: self.offer,
            asked: self.asked,
            fingerprint: first.claim.fingerprint,
            idempotency: None,
            attempt: 0,
            presented: Presented::of(first, rail.as_ref()).ok()?,
        })
    }

    /// Goes on from what the ledger said.
    pub(super) async fn go<R, F>(self, begun: Begun, guard: LiveGuard, serve: F) -> Outcome<R>
    where
        F: FnOnce(Paid) -> BoxFuture<'static, Served<R>> + Send,
        R: Send,
    {
        let start = self.start(match &begun {
            Begun::Lent => true,
            Begun::Claimed(Claimed::InFlight(payment)) => payment.claim.exposure_max.is_some(),
            Begun::Claimed(_)
            | Begun::Spent(_)
            | Begun::Elsewhere
            | Begun::Refused(_)
            | Begun::Away(_) => false,
        });
        match begun {
            Begun::Lent | Begun::Claimed(Claimed::Won) => {
                self.drive(start, None, guard, serve).await
            }
            // It was served, and is settled beside the copies or by recovery.
            Begun::Claimed(Claimed::InFlight(payment))
            | Begun::Spent(Claimed::InFlight(payment))
                if payment.answer.is_some() =>
            {
                self.replay(payment)
            }
            // Whoever claimed it is gone and had sent nothing: what is sent is recorded first.
            Begun::Claimed(Claimed::InFlight(payment))
                if payment.state == PaymentState::Reserved
                    && (self.rail.uses_trail() || self.rail.is_prepaid()) =>
            {
                self.drive(start, None, guard, serve).await
            }
            Begun::Claimed(Claimed::InFlight(payment))
            | Begun::Spent(Claimed::InFlight(payment)) => self.resume(&payment, guard, serve).await,
            Begun::Claimed(Claimed::Same(payment)) | Begun::Spent(Claimed::Same(payment)) => {
                self.again(payment, guard, serve).await
            }
            Begun::Claimed(Claimed::Conflict) | Begun::Spent(Claimed::Conflict) => {
                Outcome::Conflict
            }
            Begun::Claimed(Claimed::KeyConflict) => Outcome::KeyConflict,
            Begun::Elsewhere => self.refuse_used_elsewhere().await,
            Begun::Refused(refusal) => self.till.unpaid(self.offer, self.asked, refusal).await,
            Begun::Away(away) => Outcome::Unavailable(away),
            // What the payer does not have was refused before, only a claim on credit is refused credit, a payment that is known is neither won nor another's, and a copy of
            // what a key names comes without a key.
            Begun::Claimed(Claimed::Overdrawn { .. } | Claimed::Exposed | Claimed::Repeated(_))
            | Begun::Spent(
                Claimed::Won
                | Claimed::Overdrawn { .. }
                | Claimed::Exposed
                | Claimed::Repeated(_)
                | Claimed::KeyConflict,
            ) => bug(),
        }
    }

    /// Where a claimed payment starts. Without credit nothing leaves unpaid.
    fn start(&self, lent: bool) -> Phase {
        match self.offer.policy() {
            _ if self.rail.settles_first() => Phase::start(SettlePolicy::Before),
            SettlePolicy::Background if !lent => Phase::start(SettlePolicy::Before),
            policy => Phase::start(policy),
        }
    }

    /// A copy of a request in progress. One whose answer has left need not wait for the money.
    pub(super) async fn wait<R>(
        self,
        waiting: Waiting,
        patience: impl Future<Output = ()> + Send,
    ) -> Outcome<R> {
        if self.offer.policy() == SettlePolicy::Background
            && let Ok(Some(Claimed::InFlight(payment))) = self.known().await
            && payment.answer.is_some()
        {
            return self.replay(payment);
        }
        match select(pin!(waiting), pin!(patience)).await {
            Either::Left(((), _)) => self.share().await,
            Either::Right(((), _)) => Outcome::InFlight,
        }
    }

    /// The kept answer; once that is dropped, a receipt for what was used.
    fn replay<R>(&self, mut payment: Box<Payment>) -> Outcome<R> {
        let outcome = if payment.state.is_open() {
            pending_at(payment.transaction.clone())
        } else {
            self.rail.recorded(&payment)
        };
        if let Some(answer) = &mut payment.answer
            && answer.body.is_none()
            && answer.headers.is_empty()
        {
            let receipt = self.presented.instrument.receipt(&outcome);
            let header = |(name, value): (HeaderName, HeaderValue)| {
                (name.as_str().into(), value.as_bytes().to_vec())
            };
            answer.headers = receipt.into_iter().map(header).collect();
        }
        Outcome::Replay(payment)
    }

    /// A copy that waited for the first: whatever that one came to, nothing is done again.
    async fn share<R>(self) -> Outcome<R> {
        match self.known().await {
            Ok(Some(Claimed::Conflict)) => Outcome::Conflict,
            // Without a kept answer the copy may be sent again.
            Ok(Some(Claimed::Same(payment))) => {
                self.ended(payment).await.unwrap_or(Outcome::InFlight)
            }
            Ok(Some(Claimed::InFlight(payment))) if payment.answer.is_some() => {
                self.replay(payment)
            }
            Ok(Some(Claimed::InFlight(payment))) if payment.state == PaymentState::Broadcast => {
                self.pending(pending_at(payment.transaction))
            }
            // The first one sent nothing or bought nothing: the copy may be sent again.
            Ok(
                Some(
                    Claimed::InFlight(_)
                    | Claimed::Won
                    | Claimed::Overdrawn { .. }
                    | Claimed::Exposed
                    | Claimed::Repeated(_)
                    | Claimed::KeyConflict,
                )
                | None,
            ) => Outcome::InFlight,
            Err(away) => Outcome::Unavailable(away),
        }
    }

    /// What the ledger says about this credential, without claiming it; nothing when it only looks like the one that was
    /// claimed, because here nobody has verified it.
    async fn known(&self) -> Result<Option<Claimed>, Away> {
        let books = &self.till.books;
        let known = books.known(self.presented.id, &self.fingerprint).await?;
        Ok(known.filter(|known| match known {
            Claimed::InFlight(payment) | Claimed::Same(payment) => {
                self.rail.is_copy(&self.presented, payment)
            }
            _ => true,
        }))
    }

    /// What a copy of an ended payment hears; how it ended, when it was paid and no answer was kept.
    async fn ended<R>(&self, payment: Box<Payment>) -> Result<Outcome<R>, SettleOutcome> {
        let ended = self.rail.recorded(&payment);
        if payment.failure.is_some() {
            return Ok(self.refused(&ended).await);
        }
        if payment.answer.is_some() {
            return Ok(self.replay(payment));
        }
        Err(ended)
    }

    /// A copy of a payment that has ended, with nobody else on it.
    async fn again<R, F>(self, payment: Box<Payment>, guard: LiveGuard, serve: F) -> Outcome<R>
    where
        F: FnOnce(Paid) -> BoxFuture<'static, Served<R>> + Send,
        R: Send,
    {
        match self.ended(payment).await {
            Ok(outcome) => outcome,
            // Whoever served it died before the answer was kept: the payer is owed an answer.
            Err(settled) => {
                let phase = Phase::Serving { settled: true };
                self.drive(phase, Some(settled), guard, serve).await
            }
        }
    }

    /// A copy of a payment that nobody here is working on: whoever was is gone, so find out what became of it.
    async fn resume<R, F>(self, payment: &Payment, guard: LiveGuard, serve: F) -> Outcome<R>
    where
        F: FnOnce(Paid) -> BoxFuture<'static, Served<R>> + Send,
        R: Send,
    {
        let outcome = self.rail.resolve(payment).await;
        let phase = Phase::Settling { served: false }.on(Event::from(&outcome));
        if let Err(away) = self.till.books.record(payment.claim.id, &outcome).await {
            return Outcome::Unavailable(away);
        }
        self.drive(phase, Some(outcome), guard, serve).await
    }

    /// Follows the machine to its end.
    async fn drive<R, F>(
        self,
        start: Phase,
        mut outcome: Option<SettleOutcome>,
        guard: LiveGuard,
        serve: F,
    ) -> Outcome<R>
    where
        F: FnOnce(Paid) -> BoxFuture<'static, Served<R>> + Send,
        R: Send,
    {
        let (mut phase, mut serve, mut response) = (start, Some(serve), None);
        let mut unrecorded = false;
        loop {
            let event = match phase {
                Phase::Settling { .. } => {
                    // What was prepaid is recorded with the answer. Should nobody come to that, the claim has sold nothing.
                    let prepaid = self.rail.is_prepaid();
                    let settled = if prepaid {
                        self.settle_only().await
                    } else {
                        self.settle().await
                    };
                    let event = Event::from(&settled);
                    unrecorded = prepaid && event == Event::Settled;
                    outcome = Some(settled);
                    event
                }
                Phase::Serving { .. } | Phase::Lending => match serve.take() {
                    Some(serve) => {
                        let (event, answer) = match serve(self.serving(outcome.as_ref())).await {
                            Served::Well(answer) => (Event::ServedWell, answer),
                            Served::Badly(answer) => (Event::ServedBadly, answer),
                        };
                        response = Some(answer);
                        crash::point(Point::Served);
                        event
                    }
                    None => return bug(),
                },
                Phase::Releasing => {
                    if let Some(shared) = self.presented.instrument.shared() {
                        shared.give_back(self.presented.id).await;
                    }
                    // If the ledger is away the reservation stays; it is in nobody's way but this credential's.
                    if let Err(away) = self
                        .till
                        .books
                        .advance(self.presented.id, Step::Release)
                        .await
                    {
                        tracing::warn!(payment = %self.presented.id, %away, "a reservation could not be released");
                    }
                    Event::Released
                }
                Phase::Done(finish) => {
                    let ended = (outcome, unrecorded);
                    return self.finish(finish, ended, response, guard).await;
                }
            };
            phase = phase.on(event);
        }
    }

    pub(super) async fn settle(&self) -> SettleOutcome {
        let outcome = self.settle_only().await;
        let books = &self.till.books;
        books.record_or_log(self.presented.id, &outcome).await;
        outcome
    }

    /// Without a word in the ledger.
    async fn settle_only(&self) -> SettleOutcome {
        let trail = self.till.books.trail(self.presented.id);
        self.presented.instrument.settle(&trail).await
    }

    async fn finish<R>(
        &self,
        finish: Finish,
        (outcome, unrecorded): (Option<SettleOutcome>, bool),
        response: Option<R>,
        guard: LiveGuard,
    ) -> Outcome<R> {
        match (finish, outcome, response) {
            (Finish::Sold, Some(outcome), Some(response)) => Outcome::Sold {
                response,
                receipt: self.presented.instrument.receipt(&outcome),
                sale: Sale::new(
                    self.till,
                    &self.presented,
                    settlement(&outcome).filter(|_| unrecorded),
                    guard,
                ),
            },
            (Finish::NotSold, _, Some(response)) => Outcome::NotSold(response),
            (Finish::Refused, Some(outcome), _) => self.refused(&outcome).await,
            (Finish::Pending, Some(outcome), _) => self.pending(outcome),
            (Finish::Owed, None, Some(response)) => Outcome::Owed {
                response,
                receipt: self.presented.instrument.receipt(&pending_at(None)),
                owed: Owed::new(self.till, self.presented.clone(), guard),
            },
            // The machine does not end like this.
            (
                Finish::Sold | Finish::NotSold | Finish::Refused | Finish::Pending | Finish::Owed,
                _,
                _,
            ) => bug(),
        }
    }

    pub(super) async fn refused<R>(&self, outcome: &SettleOutcome) -> Outcome<R> {
        let SettleOutcome::Failed(refusal) = outcome else {
            return bug();
        };
        let receipt = self.presented.instrument.receipt(outcome);
        match self.till.challenge(self.offer, self.asked, refusal).await {
            Ok(challenge) => Outcome::Refused {
                refusal: refusal.clone(),
                receipt,
                challenge,
            },
            Err(away) => Outcome::Unavailable(away),
        }
    }

    pub(super) fn pending<R>(&self, outcome: SettleOutcome) -> Outcome<R> {
        let receipt = self.presented.instrument.receipt(&outcome);
        match outcome {
            SettleOutcome::Unknown(unknown) => Outcome::Pending { unknown, receipt },
            SettleOutcome::Settled(_) | SettleOutcome::Failed(_) => bug(),
        }
    }

    pub(super) fn paid(&self, outcome: Option<&SettleOutcome>) -> Paid {
        Paid {
            id: self.presented.id,
            rail: self.presented.rail,
            transfer: self.presented.transfer.clone(),
            settlement: outcome.and_then(settlement),
        }
    }
}

fn settlement(outcome: &SettleOutcome) -> Option<Settlement> {
    match outcome {
        SettleOutcome::Settled(settlement) => Some(settlement.clone()),
        SettleOutcome::Failed(_) | SettleOutcome::Unknown(_) => None,
    }
}

/// Nobody knows yet.
pub(super) const fn pending_at(transaction: Option<Box<str>>) -> SettleOutcome {
    SettleOutcome::Unknown(Unknown {
        code: Code::SettlementPending,
        transaction,
    })
}

/// Something that cannot happen did. Nothing is served and nothing is given back.
pub(super) fn bug<R>() -> Outcome<R> {
    tracing::error!("the payment machine reached a state it does not have");
    Outcome::Unavailable(Away {
        code: Code::Internal,
    })
}
