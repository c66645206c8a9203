//! The till: does what the [`machine`](crate::machine) says, over the ports. The one place where a claim is made for a
//! request at the gate.
//!
//! What [`Till::run`] guarantees, in this order: the credential is verified against *our* offer; it is claimed durably
//! before anything is sold or sent; the money moves at most once; the service runs at most once for one settled payment;
//! an end that is not known is neither served nor given back.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use faregate_ledger::{Claimed, Idempotency, LedgerStore, Payment, Transfer};
use faregate_types::{
    Code, Fingerprint, IdempotencyKey, IdempotencyKeyError, PaymentId, RailName, Refusal,
};
use futures_util::future::BoxFuture;
use http::HeaderMap;

use crate::books::Books;
use crate::live::Live;
use crate::offer::{Ask, Identifier, Offer};
use crate::order::{Asked, Order};
use crate::port::{Away, Clock, Settlement, Unknown};
use crate::rail::{Challenge, Credential, Headers, Rail, Reading, Uses};
use crate::uses::Tallies;

mod attempt;
mod many;
mod run;
mod sale;
mod telling;

use run::{Begun, Run, bug};

pub use sale::{Owed, Sale, Settling};

/// Sells offers over every rail it was given, with one ledger behind all of them.
#[derive(Clone)]
pub struct Till {
    pub(crate) books: Books,
    pub(crate) rails: Arc<[Arc<dyn Rail>]>,
    pub(crate) live: Live,
    pub(crate) uses: Tallies,
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
    /// Served and not paid yet ([`SettlePolicy::Background`](crate::SettlePolicy::Background)).
    Owed {
        /// The answer. It may leave once [`Owed::serve`] has recorded it.
        response: R,
        /// The receipt to add to it, which says that the settlement is pending.
        receipt: Headers,
        /// Records the answer, then settles.
        owed: Owed,
    },
    /// The payer's key for this purchase names another request.
    KeyConflict,
    /// Served on a payment that buys whatever is asked until it expires; there is nothing to keep.
    Passed {
        /// The answer.
        response: R,
        /// The receipt to add to it.
        receipt: Headers,
    },
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
            uses: Tallies::default(),
        }
    }

    /// True when some rail can be paid for this offer. A route for which this is false must not start.
    #[must_use]
    pub fn serves(&self, offer: &Offer) -> bool {
        self.rails.iter().any(|rail| rail.serves(offer))
    }

    /// True when the rail of an ask of the offer is here and can be paid for the offer.
    #[must_use]
    pub fn takes(&self, offer: &Offer, ask: &Ask) -> bool {
        self.rail(ask.rail()).is_some_and(|rail| rail.serves(offer))
    }

    /// The first credential in the headers that may be meant for an offer. Pure, no IO, cheap: the unpaid path is this and a
    /// cached challenge.
    #[must_use]
    pub fn read(&self, headers: &HeaderMap, offer: &Offer) -> Reading {
        let is_asked = |rail: &dyn Rail| offer.asks().iter().any(|ask| ask.rail() == rail.name());
        self.rails
            .iter()
            .filter(|rail| !rail.shares_its_header() || is_asked(rail.as_ref()))
            .map(|rail| rail.read(headers))
            .find(|reading| !matches!(reading, Reading::Nothing))
            .unwrap_or(Reading::Nothing)
    }

    /// The payer's own name for the purchase, if the offer takes names and the credential holds one. Pure.
    ///
    /// # Errors
    /// [`IdempotencyKeyError`] for a name that is none.
    pub fn key(
        &self,
        offer: &Offer,
        credential: &Credential,
    ) -> Result<Option<IdempotencyKey>, IdempotencyKeyError> {
        match self.rail(credential.rail()) {
            Some(rail) if offer.identifier() != Identifier::Off => rail.key(credential),
            _ => Ok(None),
        }
    }

    /// Every rail's challenge for the offer, put together. The plain "payment required" is made once per offer.
    ///
    /// # Errors
    /// [`Away`] when no rail could make one.
    pub async fn challenge(
        &self,
        offer: &Offer,
        asked: &Asked,
        why: &Refusal,
    ) -> Result<Challenge, Away> {
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
            match rail.challenge(offer, asked, why).await {
                Ok(part) => {
                    all.headers.extend(part.headers);
                    for (name, member) in part.body {
                        // Only `error` is a name of several; the first rail's says it for all.
                        all.body.entry(name).or_insert(member);
                    }
                    all.reusable &= part.reusable;
                    all.status = all.status.min(part.status);
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
    /// `serve` runs at most once, when the machine says so. A copy of a request in progress waits for its result until `patience` ends. Run this in a task of its own:
    /// dropping it between two effects leaves the payment to [`Rail::resolve`].
    pub async fn run<R, F>(
        &self,
        order: Order<'_>,
        credential: Credential,
        patience: impl Future<Output = ()> + Send,
        serve: F,
    ) -> Outcome<R>
    where
        F: FnOnce(Paid) -> BoxFuture<'static, Served<R>> + Send,
        R: Send,
    {
        let Order {
            offer,
            asked,
            fingerprint,
            idempotency,
        } = order;
        let Some(rail) = self.rail(credential.rail()) else {
            return bug();
        };
        let presented = match rail.present(credential, offer, asked) {
            Ok(presented) => presented,
            Err(refusal) => {
                self.tell_refused(offer, rail.name(), None, refusal.code);
                return self.unpaid(offer, asked, refusal).await;
            }
        };
        let about = self.about_refused(&presented);
        let run = Run {
            till: self,
            rail,
            offer,
            asked,
            idempotency: idempotency.map(|key| Idempotency {
                key,
                request: fingerprint,
            }),
            // A copy with other bytes is another credential, whatever payment it names.
            fingerprint: presented.fingerprint.unwrap_or_else(|| {
                Fingerprint::of(&[fingerprint.as_bytes(), &presented.evidence.0])
            }),
            attempt: 0,
            presented,
        };
        let outcome = match run.presented.uses {
            Uses::One => self.sell_once(run, patience, serve).await,
            Uses::Counted(max) => self.sell_one_of(run, max, patience, serve).await,
            Uses::Unlimited => run.pass(serve).await,
            Uses::Issued => run.admit(serve).await,
        };
        if let Some(code) = telling::refused_for(&outcome) {
            self.tell_refused(offer, rail.name(), about, code);
        }
        outcome
    }

    /// The payment buys one request, and whoever comes with it again is a copy.
    async fn sell_once<R, F>(
        &self,
        mut run: Run<'_>,
        patience: impl Future<Output = ()> + Send,
        serve: F,
    ) -> Outcome<R>
    where
        F: FnOnce(Paid) -> BoxFuture<'static, Served<R>> + Send,
        R: Send,
    {
        loop {
            let guard = match self.live.enter(run.presented.id) {
                Ok(guard) => guard,
                Err(waiting) => return run.wait(waiting, patience).await,
            };
            match run.begin().await {
                // Bought before with another payment: this request is a copy of that one, and its own payment stays unused.
                Begun::Claimed(Claimed::Repeated(first)) => match run.instead(&first) {
                    Some(copy) => run = copy,
                    None => return bug(),
                },
                Begun::Claimed(Claimed::Conflict) | Begun::Spent(Claimed::Conflict) => {
                    match run.after_failure().await {
                        Ok(Some(next)) => run = next,
                        Ok(None) => return Outcome::Conflict,
                        Err(away) => return Outcome::Unavailable(away),
                    }
                }
                begun => return run.go(begun, guard, serve).await,
            }
        }
    }

    /// A payment as the ledger has it.
    ///
    /// # Errors
    /// [`Away`] when the ledger did not answer.
    pub async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, Away> {
        self.books.payment(id).await
    }

    /// Whether a token of this payment was shown here since the process began, and opened something.
    #[must_use]
    pub fn was_shown(&self, id: PaymentId) -> bool {
        self.books.passes().find(id).is_some()
    }

    fn rail(&self, name: RailName) -> Option<&Arc<dyn Rail>> {
        self.rails.iter().find(|rail| rail.name() == name)
    }

    async fn unpaid<R>(&self, offer: &Offer, asked: &Asked, refusal: Refusal) -> Outcome<R> {
        match self.challenge(offer, asked, &refusal).await {
            Ok(challenge) => Outcome::Unpaid { refusal, challenge },
            Err(away) => Outcome::Unavailable(away),
        }
    }
}
