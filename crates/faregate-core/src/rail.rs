//! What every rail can do. A rail is one file below this folder.

use std::any::Any;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use alloy_primitives::U256;
use bytes::Bytes;
use faregate_ledger::{Payment, Transfer};
use faregate_types::{
    Amount, Code, Fingerprint, IdempotencyKey, IdempotencyKeyError, PaymentId, RailName, Refusal,
    Timestamp,
};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::offer::Offer;
use crate::order::Asked;
use crate::port::{Away, Finality, SettleOutcome, Settlement, Trail};
pub use crate::shared::SharedUses;

pub mod credit;
pub mod l402;
pub mod permit;
mod seen;
pub mod x402;

/// Headers to add to an answer, in order.
pub type Headers = Vec<(HeaderName, HeaderValue)>;

/// One way to move money, as the gate uses it.
pub trait Rail: Send + Sync + 'static {
    /// Its name in books and metrics.
    fn name(&self) -> RailName;

    /// True when at least one ask of the offer can be paid by this rail.
    fn serves(&self, offer: &Offer) -> bool;

    /// Looks for a credential of this rail. Pure and total: any bytes give an answer.
    fn read(&self, headers: &HeaderMap) -> Reading;

    /// What this rail puts into a 402.
    fn challenge<'a>(
        &'a self,
        offer: &'a Offer,
        asked: &'a Asked,
        why: &'a Refusal,
    ) -> BoxFuture<'a, Result<Challenge, Away>>;

    /// Compares the credential with *our* offer and names the payment it stands for. Pure.
    ///
    /// # Errors
    /// A [`Refusal`] when it pays for something else.
    fn present(
        &self,
        credential: Credential,
        offer: &Offer,
        asked: &Asked,
    ) -> Result<Presented, Refusal>;

    /// Reads back what [`present`](Self::present) gave to the ledger. Pure.
    ///
    /// # Errors
    /// A [`Refusal`] for bytes that this rail never wrote: the books are damaged.
    fn recall(&self, evidence: &Evidence) -> Result<Arc<dyn Instrument>, Refusal>;

    /// The payer's own name for the purchase, if the credential holds one. Pure.
    ///
    /// # Errors
    /// [`IdempotencyKeyError`] for a name that is none.
    fn key(&self, _credential: &Credential) -> Result<Option<IdempotencyKey>, IdempotencyKeyError> {
        Ok(None)
    }

    /// True when [`Instrument::settle`] tells its trail of everything before it is sent. A claimed payment of which
    /// nothing is on record may then start afresh; with other rails it may have been sent all the same, and is resolved.
    fn uses_trail(&self) -> bool {
        false
    }

    /// The payment that a credential says it is of; nothing of it was checked. For rails whose payments may buy any number of
    /// requests. Pure.
    fn named(&self, _credential: &Credential) -> Option<PaymentId> {
        None
    }

    /// A credential that was presented and [remembered](Self::remember) before, for the same offer, in exactly these bytes, and
    /// that is still good. Pure but for that memory.
    fn known(
        &self,
        _headers: &HeaderMap,
        _offer: &Offer,
        _asked: &Asked,
    ) -> Option<Arc<Presented>> {
        None
    }

    /// Remembers what was presented with these headers, for payments that buy any number of requests.
    fn remember(
        &self,
        _headers: &HeaderMap,
        _offer: &Offer,
        _asked: &Asked,
        _presented: Presented,
    ) {
    }

    /// What the payer hears whose funds, in atomic units, do not cover this and what is reserved for other payments.
    fn overdrawn(&self, _presented: &Presented, _funds: U256, _reserved: U256) -> Refusal {
        Refusal::new(Code::InsufficientFunds)
    }

    /// Whether what was given out for a payment opens a route before the money has moved.
    fn trusts(&self, _offer: &Offer) -> bool {
        false
    }

    /// Whether a credential with the fingerprint of a claimed payment is a copy of the one that was claimed, without being
    /// verified itself. For rails whose fingerprint does not tell good signatures from others.
    fn is_copy(&self, _presented: &Presented, _of: &Payment) -> bool {
        true
    }

    /// True when its credentials stand in a header that others use too, in any form: they are looked for only where an offer
    /// asks for them.
    fn shares_its_header(&self) -> bool {
        false
    }

    /// What the payer hears whose payment another gate has sold something for.
    fn used_elsewhere(&self) -> Refusal {
        Refusal::new(Code::L402TokenUsedUp)
    }

    /// True when something else that is signed may make the same payment once it has failed, because the chain did not use
    /// its nonce up. What failed stays in the books, and the next attempt has an id of its own.
    fn is_repeatable(&self) -> bool {
        false
    }

    /// True when its payments are settled before anything is served, whatever the policy of the route is.
    fn settles_first(&self) -> bool {
        false
    }

    /// True when the money had moved before the credential was shown, e.g. for an invoice that was paid: to settle moves
    /// nothing then. A claim that sold nothing is given back, and the settlement is written together with the answer.
    fn is_prepaid(&self) -> bool {
        false
    }

    /// Finds out what became of a payment whose end is unknown. Sends nothing.
    fn resolve<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, SettleOutcome>;

    /// True when [`resolve`](Self::resolve) moves nothing anywhere, and says that a payment failed only when nothing can be on
    /// its way any more: then it may also be asked about a payment for which nothing is known to have been sent.
    fn resolves_by_asking(&self) -> bool {
        false
    }

    /// Whether a settled payment can still be undone. Sends nothing. Rails that undo nothing are final at once.
    fn confirm<'a>(&'a self, _payment: &'a Payment) -> BoxFuture<'a, Finality> {
        Box::pin(std::future::ready(Finality::Final))
    }

    /// From when on the credential of a claimed payment moves no money any more, by its own words. `None` when it never
    /// ends or nobody can say: such a payment is left to its copies until something is known to have been sent.
    fn expires(&self, _payment: &Payment) -> Option<Timestamp> {
        None
    }

    /// How a payment ended that the ledger says has ended. Asks nobody.
    fn recorded(&self, payment: &Payment) -> SettleOutcome;
}

/// One payment as its rail reads it: the credential, compared and parsed once, with whoever verifies and settles it.
pub trait Instrument: Send + Sync + 'static {
    /// Decides whether the payment would settle now: signature, time, funds. Reads only.
    fn verify(&self) -> BoxFuture<'_, Result<Verified, VerifyError>>;

    /// The settlement, if the money had moved before the credential was shown.
    fn prepaid(&self) -> Option<Settlement> {
        None
    }

    /// Where other gates count the uses of the payment too, if they do.
    fn shared(&self) -> Option<&SharedUses> {
        None
    }

    /// Moves the money; the caller holds the claim. Idempotent by [`PaymentId`].
    fn settle<'a>(&'a self, trail: &'a dyn Trail) -> BoxFuture<'a, SettleOutcome>;

    /// The headers that tell the payer what became of the payment.
    fn receipt(&self, outcome: &SettleOutcome) -> Headers;
}

/// What a rail found in a request.
#[derive(Clone, Debug)]
pub enum Reading {
    /// Nothing of this rail.
    Nothing,
    /// A credential, well formed and not yet believed.
    Found(Credential),
    /// Something meant for this rail that cannot be read.
    Malformed(Refusal),
}

/// A credential as its own rail reads it. Its `Debug` shows the rail and nothing else.
#[derive(Clone)]
pub struct Credential {
    rail: RailName,
    content: Arc<dyn Any + Send + Sync>,
}

impl Credential {
    /// Wraps what a rail read.
    pub fn new(rail: RailName, content: impl Any + Send + Sync) -> Self {
        Self {
            rail,
            content: Arc::new(content),
        }
    }

    /// The rail that read it.
    #[must_use]
    pub const fn rail(&self) -> RailName {
        self.rail
    }

    /// What the rail read, if it was of this type.
    #[must_use]
    pub fn content<T: Any>(&self) -> Option<&T> {
        self.content.downcast_ref()
    }

    /// The same, to keep. Copies it only when the credential was copied.
    #[must_use]
    pub fn into_content<T: Any + Clone + Send + Sync>(self) -> Option<T> {
        self.content.downcast().ok().map(Arc::unwrap_or_clone)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("rail", &self.rail)
            .finish_non_exhaustive()
    }
}

/// A rail's part of a 402 answer.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// Its headers.
    pub headers: Headers,
    /// Its members of the one JSON body that all rails share. Rails use names that do not collide.
    pub body: Map<String, Value>,
    /// True when the same offer may be answered with the same challenge again.
    pub reusable: bool,
    /// The body as bytes, filled when the rails' parts are put together.
    pub bytes: Bytes,
    /// 402, or 401 for a credential that nobody issued.
    pub status: u16,
}

impl Default for Challenge {
    fn default() -> Self {
        Self {
            headers: Headers::new(),
            body: Map::new(),
            reusable: false,
            bytes: Bytes::new(),
            status: 402,
        }
    }
}

/// A credential that names a payment for the offer. Not yet believed, claimed or settled.
#[derive(Clone)]
pub struct Presented {
    /// The payment's natural key.
    pub id: PaymentId,
    /// The rail.
    pub rail: RailName,
    /// What will be reserved, from whom, for whom.
    pub transfer: Transfer,
    /// Durable bytes from which the rail can [recall](Rail::recall) the instrument. May hold a signature: never logged.
    pub evidence: Evidence,
    /// How often it may be used.
    pub uses: Uses,
    /// What makes two requests copies of each other, where that is not the whole request and its credential.
    pub fingerprint: Option<Fingerprint>,
    /// From when on it is no good any more, where that has to be remembered with it.
    pub good_until: Option<Timestamp>,
    /// What verifies and settles it.
    pub instrument: Arc<dyn Instrument>,
}

/// How many requests one payment buys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "every edge has to know each")]
pub enum Uses {
    /// One. A copy of the request gets the same answer.
    One,
    /// So many, each its own request: there are no copies, but those that the payer names as such
    /// (`Idempotency-Key`).
    Counted(NonZeroU32),
    /// As many as the payer likes until it expires.
    Unlimited,
    /// None of its own: it was given out for a payment that stands in the ledger, and is good as long as that one is not
    /// known to have failed.
    Issued,
}

impl Presented {
    /// One of the uses of a payment that has several, counted from zero: a payment of its own in the books, with its part
    /// of the money. All parts together are the whole.
    ///
    /// # Errors
    /// A [`Refusal`] when there are not so many.
    pub fn nth(&self, n: u32, of: NonZeroU32) -> Result<Self, Refusal> {
        let amount = self.transfer.amount;
        let part = part(amount.value(), n, of).ok_or(Refusal::new(Code::Internal))?;
        let transfer = Transfer {
            amount: Amount::new(part, amount.asset()),
            ..self.transfer.clone()
        };
        Ok(Self {
            id: self.id.nth(n),
            transfer,
            ..self.clone()
        })
    }

    /// A claimed payment as it was presented to `rail`.
    ///
    /// # Errors
    /// A [`Refusal`] when the ledger's bytes are not the rail's.
    pub fn of(payment: &Payment, rail: &dyn Rail) -> Result<Self, Refusal> {
        let evidence = Evidence(payment.claim.evidence.clone());
        Ok(Self {
            id: payment.claim.id,
            rail: payment.claim.rail,
            transfer: payment.claim.transfer.clone(),
            uses: Uses::One,
            fingerprint: None,
            good_until: None,
            instrument: rail.recall(&evidence)?,
            evidence,
        })
    }
}

/// What the `n`th of so many uses costs: what all up to it cost, less what all before it cost.
fn part(whole: U256, n: u32, of: NonZeroU32) -> Option<U256> {
    let up_to = |n: u32| {
        whole
            .checked_mul(U256::from(n))?
            .checked_div(U256::from(of.get()))
    };
    if n >= of.get() {
        return None;
    }
    up_to(n.checked_add(1)?)?.checked_sub(up_to(n)?)
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("id", &self.id)
            .field("rail", &self.rail)
            .field("transfer", &self.transfer)
            .field("evidence", &self.evidence)
            .finish_non_exhaustive()
    }
}

/// Bytes that may hold a signature. `Debug` shows their number only.
#[derive(Clone, PartialEq, Eq)]
pub struct Evidence(pub Vec<u8>);

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Evidence({} bytes)", self.0.len())
    }
}

/// A payment that would settle now, and what was found out about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that rails build by literal"
)]
pub struct Verified {
    /// What the payer holds of the asset, in atomic units, where it counts: the claim is refused when it does not cover what
    /// is reserved already.
    pub funds: Option<U256>,
}

/// Why verification gave no payment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The credential does not pay for this offer.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nobody could say.
    #[error(transparent)]
    Away(#[from] Away),
}
