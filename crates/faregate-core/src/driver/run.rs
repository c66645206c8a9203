//! One credential from verification to its end: does what the [`machine`](crate::machine) says.

use faregate_ledger::{Claim, Claimed, Payment, PaymentState, Step};
use faregate_types::{Code, Fingerprint, IdempotencyKey};
use futures_util::future::BoxFuture;

use super::{Outcome, Paid, Sale, Served, Till};
use crate::crash::{self, Point};
use crate::live::LiveGuard;
use crate::machine::{Event, Finish, Phase};
use crate::offer::Offer;
use crate::port::{Away, SettleOutcome, Unknown};
use crate::rail::{Presented, Rail, VerifyError};

/// One credential on its way.
pub(super) struct Run<'a> {
    pub(super) till: &'a Till,
    pub(super) rail: &'a dyn Rail,
    pub(super) offer: &'a Offer,
    pub(super) fingerprint: Fingerprint,
    #[expect(
        dead_code,
        reason = "looked up in the claim, which the ledger learns next"
    )]
    pub(super) idempotency: Option<IdempotencyKey>,
    pub(super) presented: Presented,
}

impl Run<'_> {
    pub(super) async fn go<R, F>(self, guard: LiveGuard, serve: F) -> Outcome<R>
    where
        F: FnOnce(Paid) -> BoxFuture<'static, Served<R>> + Send,
        R: Send,
    {
        let claimed = match self.rail.verify(&self.presented).await {
            Ok(()) => self.claim().await,
            Err(VerifyError::Away(away)) => return Outcome::Unavailable(away),
            // A spent authorisation no longer verifies, but its copies deserve what was sold.
            Err(VerifyError::Refused(refusal)) => match self.known().await {
                Ok(Some(Claimed::InFlight(payment))) => {
                    return self.resume(&payment, guard, serve).await;
                }
                Ok(Some(claimed)) => Ok(claimed),
                Ok(None) => return self.till.unpaid(self.offer, refusal).await,
                Err(away) => Err(away),
            },
        };
        let start = Phase::start(self.offer.policy());
        match claimed {
            Ok(Claimed::Won) => self.drive(start, None, guard, serve).await,
            // Whoever claimed it is gone and had sent nothing: what is sent is recorded first.
            Ok(Claimed::InFlight(payment))
                if payment.state == PaymentState::Reserved && self.rail.uses_trail() =>
            {
                self.drive(start, None, guard, serve).await
            }
            Ok(Claimed::InFlight(payment)) => self.resume(&payment, guard, serve).await,
            Ok(Claimed::Same(payment)) => self.again(payment, guard, serve).await,
            Ok(Claimed::Conflict) => Outcome::Conflict,
            Err(away) => Outcome::Unavailable(away),
        }
    }

    async fn claim(&self) -> Result<Claimed, Away> {
        let claim = Claim {
            id: self.presented.id,
            rail: self.presented.rail,
            fingerprint: self.fingerprint,
            transfer: self.presented.transfer.clone(),
            route: self.offer.route().into(),
            evidence: self.presented.evidence.0.clone(),
            at: self.till.books.now(),
        };
        self.till.books.claim(claim).await
    }

    /// A copy that waited for the first: whatever that one came to, nothing is done again.
    pub(super) async fn share<R>(self) -> Outcome<R> {
        match self.known().await {
            Ok(Some(Claimed::Conflict)) => Outcome::Conflict,
            // Without a kept answer the copy may be sent again.
            Ok(Some(Claimed::Same(payment))) => {
                self.ended(payment).await.unwrap_or(Outcome::InFlight)
            }
            Ok(Some(Claimed::InFlight(payment))) if payment.state == PaymentState::Broadcast => {
                self.pending(SettleOutcome::Unknown(Unknown {
                    code: Code::SettlementPending,
                    transaction: payment.transaction,
                }))
            }
            // The first one sent nothing or bought nothing: the copy may be sent again.
            Ok(Some(Claimed::InFlight(_) | Claimed::Won) | None) => Outcome::InFlight,
            Err(away) => Outcome::Unavailable(away),
        }
    }

    /// What the ledger says about this credential, without claiming it.
    async fn known(&self) -> Result<Option<Claimed>, Away> {
        self.till
            .books
            .known(self.presented.id, &self.fingerprint)
            .await
    }

    /// What a copy of an ended payment hears; how it ended, when it was paid and no answer was kept.
    async fn ended<R>(&self, payment: Box<Payment>) -> Result<Outcome<R>, SettleOutcome> {
        let ended = self.rail.recorded(&payment);
        if payment.failure.is_some() {
            return Ok(self.refused(&ended).await);
        }
        if payment.answer.is_some() {
            return Ok(Outcome::Replay(payment));
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
        loop {
            let event = match phase {
                Phase::Settling { .. } => {
                    let settled = self.settle().await;
                    let event = Event::from(&settled);
                    outcome = Some(settled);
                    event
                }
                Phase::Serving { .. } => match serve.take() {
                    Some(serve) => {
                        let (event, answer) = match serve(self.paid(outcome.as_ref())).await {
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
                Phase::Done(finish) => return self.finish(finish, outcome, response, guard).await,
            };
            phase = phase.on(event);
        }
    }

    async fn settle(&self) -> SettleOutcome {
        let id = self.presented.id;
        let outcome = self
            .rail
            .settle(&self.presented, &self.till.books.trail(id))
            .await;
        self.till.books.record_or_log(id, &outcome).await;
        outcome
    }

    async fn finish<R>(
        &self,
        finish: Finish,
        outcome: Option<SettleOutcome>,
        response: Option<R>,
        guard: LiveGuard,
    ) -> Outcome<R> {
        match (finish, outcome, response) {
            (Finish::Sold, Some(outcome), Some(response)) => Outcome::Sold {
                response,
                receipt: self.rail.receipt(&self.presented.evidence, &outcome),
                sale: Sale {
                    till: self.till.clone(),
                    id: self.presented.id,
                    guard,
                },
            },
            (Finish::NotSold, _, Some(response)) => Outcome::NotSold(response),
            (Finish::Refused, Some(outcome), _) => self.refused(&outcome).await,
            (Finish::Pending, Some(outcome), _) => self.pending(outcome),
            // The machine does not end like this.
            (Finish::Sold | Finish::NotSold | Finish::Refused | Finish::Pending, _, _) => bug(),
        }
    }

    async fn refused<R>(&self, outcome: &SettleOutcome) -> Outcome<R> {
        let SettleOutcome::Failed(refusal) = outcome else {
            return bug();
        };
        let receipt = self.rail.receipt(&self.presented.evidence, outcome);
        match self.till.challenge(self.offer, refusal).await {
            Ok(challenge) => Outcome::Refused {
                refusal: refusal.clone(),
                receipt,
                challenge,
            },
            Err(away) => Outcome::Unavailable(away),
        }
    }

    fn pending<R>(&self, outcome: SettleOutcome) -> Outcome<R> {
        let receipt = self.rail.receipt(&self.presented.evidence, &outcome);
        match outcome {
            SettleOutcome::Unknown(unknown) => Outcome::Pending { unknown, receipt },
            SettleOutcome::Settled(_) | SettleOutcome::Failed(_) => bug(),
        }
    }

    fn paid(&self, outcome: Option<&SettleOutcome>) -> Paid {
        Paid {
            id: self.presented.id,
            rail: self.presented.rail,
            transfer: self.presented.transfer.clone(),
            settlement: match outcome {
                Some(SettleOutcome::Settled(settlement)) => Some(settlement.clone()),
                Some(SettleOutcome::Failed(_) | SettleOutcome::Unknown(_)) | None => None,
            },
        }
    }
}

/// Something that cannot happen did. Nothing is served and nothing is given back.
pub(super) fn bug<R>() -> Outcome<R> {
    tracing::error!("the payment machine reached a state it does not have");
    Outcome::Unavailable(Away {
        code: Code::Internal,
    })
}
