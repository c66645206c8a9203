//! The facilitator: whoever verifies and settles x402 payments, in this process or behind HTTP.

use alloy_primitives::Address;
use faregate_types::x402::{FacilitatorRequest, SupportedResponse};
use faregate_types::{Code, Refusal};
use futures_util::future::BoxFuture;

/// What verification says. Nothing was changed by asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The payment would settle now.
    Valid {
        /// Who pays.
        payer: Address,
    },
    /// It would not, and why.
    Invalid(Refusal),
}

/// What became of the money. On purpose no bool: see [`Unknown`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettleOutcome {
    /// It moved.
    Settled(Settlement),
    /// It did not move, with positive proof; nothing is owed by this credential.
    Failed(Refusal),
    /// Nobody can say yet. Never served, never voided: [`Facilitator::resolve`] is asked later.
    Unknown(Unknown),
}

/// A settled payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The rail's reference, e.g. the transaction hash.
    pub transaction: Option<Box<str>>,
    /// Who paid, where payers have an address.
    pub payer: Option<Address>,
}

/// An end that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What stood in the way, e.g. [`Code::SettlementPending`].
    pub code: Code,
    /// What was handed to the network, if anything is known to have been.
    pub transaction: Option<Box<str>>,
}

/// Whether a settlement can still be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finality {
    /// It stays: deep enough in the chain, or a rail that undoes nothing.
    Final,
    /// The transfer is there, not yet deep enough.
    Waiting,
    /// Positive proof that the transfer is not on the chain any more, and that no other transfer used this
    /// authorisation: it may be settled again.
    Gone,
    /// Nobody could say.
    Unknown,
}

/// A dependency that did not answer. The caller says 503 and tries again; it never serves and never charges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", code.as_str())]
pub struct Away {
    /// Which one: [`Code::FacilitatorUnavailable`], [`Code::ChainUnavailable`], [`Code::StoreUnavailable`].
    pub code: Code,
}

/// Records what is about to be handed to the network, before it is.
pub trait Trail: Send + Sync {
    /// Returns once `transaction` is durable. On an error nothing may be sent.
    fn broadcast<'a>(&'a self, transaction: &'a str) -> BoxFuture<'a, Result<(), Away>>;
}

/// A trail that keeps nothing, for tests and callers whose peer keeps its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrail;

impl Trail for NoTrail {
    fn broadcast<'a>(&'a self, _transaction: &'a str) -> BoxFuture<'a, Result<(), Away>> {
        Box::pin(async { Ok(()) })
    }
}

/// Verifies and settles x402 payments (x402 spec §7; our wire facts: `docs`, "facilitator").
///
/// The request carries *our own* requirements beside the payer's payload; an implementation compares the payload with
/// the requirements and believes nothing the payload says about its own price.
pub trait Facilitator: Send + Sync + 'static {
    /// Which schemes on which networks it settles.
    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, Away>>;

    /// Decides whether the payment would settle. Changes nothing.
    fn verify<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
    ) -> BoxFuture<'a, Result<Verdict, Away>>;

    /// Moves the money. The caller holds the durable claim on this payment; `trail` makes the transaction durable before
    /// it is sent. Repeating it never pays twice: the authorisation is good for one transfer.
    fn settle<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
        trail: &'a dyn Trail,
    ) -> BoxFuture<'a, SettleOutcome>;

    /// True when [`settle`](Self::settle) tells its trail of every transaction before it is sent: then a payment of which
    /// nothing is on record was never sent. False, the default, for a facilitator that keeps its records elsewhere.
    fn uses_trail(&self) -> bool {
        false
    }

    /// Finds out what became of a payment whose end is unknown. Sends nothing.
    fn resolve<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
        transaction: Option<&'a str>,
    ) -> BoxFuture<'a, SettleOutcome>;

    /// Tells whether a settlement can still be undone by the chain it happened on. Sends nothing. A facilitator behind
    /// HTTP has no word for this, so by default a settlement is final when it is told.
    fn confirm<'a>(
        &'a self,
        _request: &'a FacilitatorRequest,
        _transaction: &'a str,
    ) -> BoxFuture<'a, Finality> {
        Box::pin(std::future::ready(Finality::Final))
    }
}
