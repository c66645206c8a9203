//! The till: does what the [`machine`](crate::machine) says, over the ports. The one place where a claim is made for a
//! request at the gate.
//!
//! What [`Till::run`] guarantees, in this order: the credential is verified against *our* offer; it is claimed durably
//! before anything is sold or sent; the money moves at most once; the service runs at most once for one settled payment;
//! an end that is not known is neither served nor given back.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use faregate_ledger::{Answer, Claim, Claimed, LedgerStore, Payment, PaymentState, Step, Transfer};
use faregate_types::{Code, Fingerprint, PaymentId, RailName, Refusal};
use futures_util::future::{BoxFuture, Either, select};
use http::HeaderMap;

use crate::books::Books;
use crate::crash;
use crate::live::{Live, LiveGuard};
use crate::machine::{Event, Finish, Phase};
use crate::offer::Offer;
use crate::port::{Away, Clock, SettleOutcome, Settlement, Unknown};
use crate::rail::{Challenge, Credential, Headers, Presented, Rail, Reading, VerifyError};

/// Sells offers over every rail it was given, with one ledger behind all of them.
#[derive(Clone)]
pub struct Till {
    pub(crate) books: Books,
    pub(crate) rails: Arc<[Arc<dyn Rail>]>,
    pub(crate) live: Live,
}

impl fmt::Debug for Till {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Till")
            .field("rails", &self.rails.len())
            .finish_non_exhaustive()
    }
}

/// What the service sold, as far as money is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served<R> {
    /// Worth paying for (status below 400).
    Well(R),
    /// An error. With [`SettlePolicy::After`](crate::SettlePolicy::After) it costs the payer nothing.
    Badly(R),
}

/// How a request with a credential ended.
#[derive(Debug)]
pub enum Outcome<R> {
    /// The credential does not pay for this offer: 402 with a fresh challenge.
    Unpaid {
        /// Why not.
        refusal: Refusal,
        /// How to pay.
        challenge: Challenge,
    },
    /// The payment failed after it was claimed: 402 with the failure receipt and a fresh challenge.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The rails' receipt of the failure.
        receipt: Headers,
        /// How to pay instead.
        challenge: Challenge,
    },
    /// Paid and served.
    Sold {
        /// The answer.
        response: R,
        /// The receipt to add to it.
        receipt: Headers,
        /// Keep the answer with this before it leaves.
        sale: Sale,
    },
    /// The service answered with an error and nothing was charged.
    NotSold(R),
    /// Nobody knows yet whether the money moved. The answer is withheld; the same credential may be sent again.
    Pending {
        /// What is known.
        unknown: Unknown,
        /// The rail's receipt that says so.
        receipt: Headers,
    },
    /// A copy of a request that was sold: the same answer again.
    Replay(Box<Payment>),
    /// A copy while the first is in progress.
    InFlight,
    /// The credential was used for another request.
    Conflict,
    /// The ledger, the chain or the facilitator did not answer. Nothing was served.
    Unavailable(Away),
}

/// What the service gets to know about the payment it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// The payment's natural key.
    pub id: PaymentId,
    /// The rail it came by.
    pub rail: RailName,
    /// The accounts and the amount.
    pub transfer: Transfer,
    /// The settlement, when the route settles first.
    pub settlement: Option<Settlement>,
}

/// A finished sale whose answer is not kept yet. While it lives, copies are told to wait.
#[derive(Debug)]
pub struct Sale {
    till: Till,
    id: PaymentId,
    guard: LiveGuard,
}

impl Till {
    /// A till over `rails`, in the order their challenges appear.
    #[must_use]
    pub fn new(
        store: Arc<dyn LedgerStore>,
        clock: Arc<dyn Clock>,
        rails: Vec<Arc<dyn Rail>>,
    ) -> Self {
        Self {
            books: Books::new(store, clock),
            rails: rails.into(),
            live: Live::default(),
        }
    }

    /// True when some rail can be paid for this offer. A route for which this is false must not start.
    #[must_use]
    pub fn serves(&self, offer: &Offer) -> bool {
        self.rails.iter().any(|rail| rail.serves(offer))
    }

    /// The first credential in the headers. Pure, no IO, cheap: the unpaid path is this and a cached challenge.
    #[must_use]
    pub fn read(&self, headers: &HeaderMap) -> Reading {
        self.rails
            .iter()
            .map(|rail| rail.read(headers))
            .find(|reading| !matches!(reading, Reading::Nothing))
            .unwrap_or(Reading::Nothing)
    }

    /// Every rail's challenge for the offer, put together. The plain "payment required" is made once per offer.
    ///
    /// # Errors
    /// [`Away`] when no rail could make one.
    pub async fn challenge(&self, offer: &Offer, why: &Refusal) -> Result<Challenge, Away> {
        let plain = why.code == Code::PaymentRequired;
        if plain && let Some(made) = offer.unpaid.get() {
            return Ok(made.clone());
        }
        let mut all = Challenge {
            reusable: true,
            ..Challenge::default()
        };
        let mut away = None;
        for rail in self.rails.iter().filter(|rail| rail.serves(offer)) {
            match rail.challenge(offer, why).await {
                Ok(part) => {
                    all.headers.extend(part.headers);
                    all.body.extend(part.body);
                    all.reusable &= part.reusable;
                }
                Err(error) => away = Some(error),
            }
        }
        // An incomplete challenge is better than none, and must not be kept.
        all.reusable &= away.is_none();
        if all.headers.is_empty() && all.body.is_empty() {
            return Err(away.unwrap_or(Away {
                code: Code::Internal,
            }));
        }
        all.bytes =
            serde_json::to_vec(&all.body).map_or_else(|_| Bytes::from_static(b"{}"), Bytes::from);
        if plain && all.reusable {
            // A lost race stores the same bytes.
            drop(offer.unpaid.set(all.clone()));
        }
        Ok(all)
    }

    /// Takes a credential through verification, claim, settlement and service.
    ///
    /// `fingerprint` stands for the request that the credential is used for. `serve` runs at most once, when the machine
    /// says so. A copy of a request in progress waits for its result until `patience` ends. Run this in a task of its own:
    /// dropping it between two effects leaves the payment to [`Rail::resolve`].
    pub async fn run<R, F>(
        &self,
        offer: &Offer,
        credential: &Credential,
        fingerprint: Fingerprint,
        patience: impl Future<Output = ()> + Send,
        serve: F,
    ) -> Outcome<R>
    where
        F: FnOnce(Paid) -> BoxFuture<'static, Served<R>> + Send,
        R: Send,
    {
        let Some(rail) = self
            .rails
            .iter()
            .find(|rail| rail.name() == credential.rail())
        else {
            return bug();
        };
        let presented = match rail.present(credential, offer) {
            Ok(presented) => presented,
            Err(refusal) => return self.unpaid(offer, refusal).await,
        };
        let entered = self.live.enter(presented.id);
        let run = Run {
            till: self,
            rail: rail.as_ref(),
            offer,
            // A copy with other bytes is another credential, whatever payment it names.
            fingerprint: Fingerprint::of(&[fingerprint.as_bytes(), &presented.evidence.0]),
            presented,
        };
        match entered {
            Ok(guard) => run.go(guard, serve).await,
            Err(waiting) => {
                let (waiting, patience) = (pin!(waiting), pin!(patience));
                match select(waiting, patience).await {
                    Either::Left(((), _)) => run.share().await,
                    Either::Right(((), _)) => Outcome::InFlight,
                }
            }
        }
    }

    async fn unpaid<R>(&self, offer: &Offer, refusal: Refusal) -> Outcome<R> {
        match self.challenge(offer, &refusal).await {
            Ok(challenge) => Outcome::Unpaid { refusal, challenge },
            Err(away) => Outcome::Unavailable(away),
        }
    }
}

impl Sale {
    /// The payment that was sold.
    #[must_use]
    pub const fn id(&self) -> PaymentId {
        self.id
    }

    /// Keeps the answer for copies of the request and lets them in. A failure is logged by the caller: the payer has paid
    /// and gets the answer anyway.
    ///
    /// # Errors
    /// [`Away`] when the ledger did not take it.
    pub async fn keep(self, answer: Answer) -> Result<(), Away> {
        let kept = self
            .till
            .books
            .advance(self.id, Step::Keep { answer })
            .await;
        drop(self.guard);
        kept
    }
}

/// One credential on its way.
struct Run<'a> {
    till: &'a Till,
    rail: &'a dyn Rail,
    offer: &'a Offer,
    fingerprint: Fingerprint,
    presented: Presented,
}

impl Run<'_> {
    async fn go<R, F>(self, guard: LiveGuard, serve: F) -> Outcome<R>
    where
        F: FnOnce(Paid) -> BoxFuture<'static, Served<R>> + Send,
        R: Send,
    {
        let claimed = match self.rail.verify(&self.presented).await {
            Ok(()) => self.claim().await,
            Err(VerifyError::Away(away)) => return Outcome::Unavailable(away),
            // A spent authorisation no longer verifies, but its copies deserve what was sold.
            Err(VerifyError::Refused(refusal)) => {
                match self
                    .till
                    .books
                    .known(self.presented.id, &self.fingerprint)
                    .await
                {
                    Ok(Some(Claimed::InFlight(payment))) => {
                        return self.resume(&payment, guard, serve).await;
                    }
                    Ok(Some(claimed)) => Ok(claimed),
                    Ok(None) => return self.till.unpaid(self.offer, refusal).await,
                    Err(away) => Err(away),
                }
            }
        };
        let start = Phase::start(self.offer.policy());
        match claimed {
            Ok(Claimed::Won) => self.drive(start, None, guard, serve).await,
            // Whoever claimed it is gone and had sent nothing: what is sent is recorded first.
            Ok(Claimed::InFlight(payment)) if payment.state == PaymentState::Reserved => {
                self.drive(start, None, guard, serve).await
            }
            Ok(Claimed::InFlight(payment)) => self.resume(&payment, guard, serve).await,
            Ok(Claimed::Same(payment)) => self.again(*payment, guard, serve).await,
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
    async fn share<R>(self) -> Outcome<R> {
        match self
            .till
            .books
            .known(self.presented.id, &self.fingerprint)
            .await
        {
            Ok(Some(Claimed::Conflict)) => Outcome::Conflict,
            Ok(Some(Claimed::Same(payment))) if payment.failure.is_some() => {
                self.refused(&self.rail.recorded(&payment)).await
            }
            Ok(Some(Claimed::Same(payment))) if payment.answer.is_some() => {
                Outcome::Replay(payment)
            }
            Ok(Some(Claimed::InFlight(payment))) if payment.state == PaymentState::Broadcast => {
                self.pending(SettleOutcome::Unknown(Unknown {
                    code: Code::SettlementPending,
                    transaction: payment.transaction,
                }))
            }
            // The first one sent nothing, bought nothing, or its answer was not kept: the copy may be sent again.
            Ok(Some(Claimed::InFlight(_) | Claimed::Same(_) | Claimed::Won) | None) => {
                Outcome::InFlight
            }
            Err(away) => Outcome::Unavailable(away),
        }
    }

    /// A copy of a payment that has ended.
    async fn again<R, F>(self, payment: Payment, guard: LiveGuard, serve: F) -> Outcome<R>
    where
        F: FnOnce(Paid) -> BoxFuture<'static, Served<R>> + Send,
        R: Send,
    {
        let ended = self.rail.recorded(&payment);
        if payment.failure.is_some() {
            return self.refused(&ended).await;
        }
        if payment.answer.is_some() {
            return Outcome::Replay(Box::new(payment));
        }
        // Paid, and whoever served it died before the answer was kept: the payer is owed an answer.
        self.drive(Phase::Serving { settled: true }, Some(ended), guard, serve)
            .await
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
                        crash::point("served");
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
fn bug<R>() -> Outcome<R> {
    tracing::error!("the payment machine reached a state it does not have");
    Outcome::Unavailable(Away {
        code: Code::Internal,
    })
}
