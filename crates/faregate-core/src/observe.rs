//! What a gate tells whoever watches it: each request without a credential, each token asked for, each payment's way.
//!
//! | told | when |
//! |---|---|
//! | [`What::Challenged`] | a request without a credential, or with one that nobody can read, is answered with ways to pay |
//! | [`What::TokenAsked`] | a permit was posted for a token; nothing of it was checked |
//! | [`What::Verified`] | a credential was verified and claimed: the payer's side is reserved, durably |
//! | [`What::Refused`] | a credential does not buy this request |
//! | [`What::TokenIssued`] | a token is about to be given out; the ledger says so |
//! | [`What::Authorised`] | a payment, or a token that was bought, opened the route: the service is called now |
//! | [`What::Settled`] | the money moved, and the ledger says so |
//! | [`What::Failed`] | the money did not move and never will, and the ledger says so |
//! | [`What::Unknown`] | somebody tried to move the money, and nobody knows what became of it |
//! | [`What::Released`] | a claim was given back: nothing was sold and nothing was charged |
//! | [`What::Finalized`] | the chain cannot take the settlement back any more |
//! | [`What::Reopened`] | the chain took the settlement back; it is sent again |
//!
//! What stands in the ledger is told by the one whose step put it there, however many copies, processes and retries took the
//! same step (where the ledger did not answer, by the one who takes it again); a process that dies between the step and the
//! telling does not tell it. What must not be lost belongs into the outbox of the ledger ([`EventStore`](faregate_ledger::EventStore)).
//!
//! Nothing that is told has a signature, a token or a key in it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use faregate_ledger::{AccountId, Claim, Effect, Payment, Step, Transfer};
use faregate_types::{Amount, Code, PaymentId, RailName, Timestamp};

/// Something that happened at a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GateEvent {
    /// When.
    pub at: Timestamp,
    /// The route it is about.
    pub route: Box<str>,
    /// The rail, where a credential or a payment says which.
    pub rail: Option<RailName>,
    /// The payment, where there is one.
    pub payment: Option<About>,
    /// What happened.
    pub what: What,
}

/// The payment that an event is about. Of [`What::TokenAsked`] and [`What::Refused`] it is what the credential says, which
/// nobody need have signed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct About {
    /// Its natural key.
    pub id: PaymentId,
    /// Who pays.
    pub payer: AccountId,
    /// How much, with its asset.
    pub amount: Amount,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A request came without a credential that can be read, and was told how to pay.
    Challenged {
        /// [`Code::PaymentRequired`], or what is wrong with the credential.
        code: Code,
    },
    /// A token was asked for.
    TokenAsked,
    /// A credential was verified and claimed.
    Verified,
    /// A credential does not buy this request.
    Refused {
        /// Why.
        code: Code,
    },
    /// A token is given out for a payment.
    TokenIssued,
    /// A payment or a token opened the route.
    Authorised,
    /// The money moved.
    Settled {
        /// The rail's reference, e.g. a transaction hash.
        transaction: Option<Box<str>>,
    },
    /// The money did not move and never will.
    Failed {
        /// Why.
        code: Code,
        /// Something was given out for it: that is lost.
        is_loss: bool,
    },
    /// Nobody knows whether the money moved. Recovery finds out.
    Unknown {
        /// What is known.
        code: Code,
        /// What was handed to the network, if anything was.
        transaction: Option<Box<str>>,
    },
    /// The claim was given back.
    Released,
    /// The settlement is final.
    Finalized,
    /// The settlement was undone and is sent again.
    Reopened,
}

/// [`What`] without what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each says what the `What` of its name says")]
pub enum Kind {
    Challenged,
    TokenAsked,
    Verified,
    Refused,
    TokenIssued,
    Authorised,
    Settled,
    Failed,
    Unknown,
    Released,
    Finalized,
    Reopened,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Challenged,
        Self::TokenAsked,
        Self::Verified,
        Self::Refused,
        Self::TokenIssued,
        Self::Authorised,
        Self::Settled,
        Self::Failed,
        Self::Unknown,
        Self::Released,
        Self::Finalized,
        Self::Reopened,
    ];

    /// A bit of its own, for sets in one number.
    #[must_use]
    pub const fn bit(self) -> u32 {
        match self {
            Self::Challenged => 1,
            Self::TokenAsked => 1 << 1,
            Self::Verified => 1 << 2,
            Self::Refused => 1 << 3,
            Self::TokenIssued => 1 << 4,
            Self::Authorised => 1 << 5,
            Self::Settled => 1 << 6,
            Self::Failed => 1 << 7,
            Self::Unknown => 1 << 8,
            Self::Released => 1 << 9,
            Self::Finalized => 1 << 10,
            Self::Reopened => 1 << 11,
        }
    }

    /// Its name, for logs and pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Challenged => "challenged",
            Self::TokenAsked => "token_asked",
            Self::Verified => "verified",
            Self::Refused => "refused",
            Self::TokenIssued => "token_issued",
            Self::Authorised => "authorised",
            Self::Settled => "settled",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Released => "released",
            Self::Finalized => "finalized",
            Self::Reopened => "reopened",
        }
    }
}

impl What {
    /// Which one it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Challenged { .. } => Kind::Challenged,
            Self::TokenAsked => Kind::TokenAsked,
            Self::Verified => Kind::Verified,
            Self::Refused { .. } => Kind::Refused,
            Self::TokenIssued => Kind::TokenIssued,
            Self::Authorised => Kind::Authorised,
            Self::Settled { .. } => Kind::Settled,
            Self::Failed { .. } => Kind::Failed,
            Self::Unknown { .. } => Kind::Unknown,
            Self::Released => Kind::Released,
            Self::Finalized => Kind::Finalized,
            Self::Reopened => Kind::Reopened,
        }
    }
}

/// Watches a gate. Called in the middle of purchases, with no lock held: it must return at once, whatever it does with what
/// it hears.
pub trait Observer: Send + Sync + 'static {
    /// True when somebody wants to hear of this kind now. Asked before an event is made, also for requests that cost next to
    /// nothing: an atomic load, no more.
    fn wants(&self, kind: Kind) -> bool;

    /// Something happened. A panic is logged and otherwise ignored.
    fn notice(&self, event: GateEvent);
}

/// Whoever watches, if anybody does.
#[derive(Clone, Default)]
pub(crate) struct Watch(Option<Arc<dyn Observer>>);

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.0.is_some()).finish()
    }
}

impl Watch {
    pub(crate) const fn new(observer: Arc<dyn Observer>) -> Self {
        Self(Some(observer))
    }

    pub(crate) fn wants(&self, kind: Kind) -> bool {
        self.0.as_ref().is_some_and(|observer| observer.wants(kind))
    }

    /// Tells it, if it is wanted.
    pub(crate) fn tell(&self, event: GateEvent) {
        let Some(observer) = self.0.as_ref().filter(|all| all.wants(event.what.kind())) else {
            return;
        };
        let told = catch_unwind(AssertUnwindSafe(|| observer.notice(event)));
        if told.is_err() {
            tracing::error!("whoever watches the gate panicked");
        }
    }

    /// What a step did.
    pub(crate) fn step(&self, step: &Step, effect: Effect, payment: &Payment, at: Timestamp) {
        if self.0.is_none() {
            return;
        }
        for what in news(step, effect, payment).into_iter().flatten() {
            self.tell(GateEvent::of(payment, what, at));
        }
    }
}

/// What there is to tell of a step. The settlement of what is sold comes before it.
fn news(step: &Step, effect: Effect, payment: &Payment) -> [Option<What>; 2] {
    let settled = || What::Settled {
        transaction: payment.transaction.clone(),
    };
    let issued = payment.sells_token().then_some(What::TokenIssued);
    match effect {
        Effect::Post => [Some(settled()), None],
        Effect::Sell => [Some(settled()), issued],
        Effect::Keep => [issued, None],
        Effect::Void => {
            let failed = payment.failure.map(|code| What::Failed {
                code,
                is_loss: payment.is_lost(),
            });
            [Some(failed.unwrap_or(What::Released)), None]
        }
        Effect::Unpost => [Some(What::Reopened), None],
        Effect::Noted if matches!(step, Step::Finalize) => [Some(What::Finalized), None],
        Effect::Noted | Effect::Repeated => [None, None],
    }
}

/// What a step does the first time it is taken, for one of which nobody knows whether it was taken before.
pub(crate) const fn likely(step: &Step) -> Effect {
    match step {
        Step::Broadcast { .. } | Step::Finalize => Effect::Noted,
        Step::Settle { .. } => Effect::Post,
        Step::Fail { .. } | Step::Release => Effect::Void,
        Step::Keep { .. } | Step::Serve { .. } => Effect::Keep,
        Step::Sell { .. } => Effect::Sell,
        Step::Reopen => Effect::Unpost,
    }
}

impl About {
    pub(crate) fn new(id: PaymentId, transfer: &Transfer) -> Self {
        Self {
            id,
            payer: transfer.debit.clone(),
            amount: transfer.amount,
        }
    }
}

impl GateEvent {
    pub(crate) fn of(payment: &Payment, what: What, at: Timestamp) -> Self {
        Self {
            what,
            ..Self::claimed(&payment.claim, at)
        }
    }

    /// A credential was verified and claimed.
    pub(crate) fn claimed(claim: &Claim, at: Timestamp) -> Self {
        Self {
            at,
            route: claim.route.clone(),
            rail: Some(claim.rail),
            payment: Some(About::new(claim.id, &claim.transfer)),
            what: What::Verified,
        }
    }
}
