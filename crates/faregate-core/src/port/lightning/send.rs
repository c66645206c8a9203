//! Paying the invoices of others.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use faregate_types::lightning::{BitcoinNetwork, Bolt11, Msat, PaymentHash, Preimage};
use faregate_types::{Code, Refusal};
use futures_util::future::BoxFuture;

use crate::port::{Away, Clock};

/// How long after its expiry an invoice of which a node knows nothing is certain not to be paid any more: what was sent
/// before may have been on its way for so long, and clocks differ.
const LATE_SECS: u64 = 600;

/// What is to be paid, and what it may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "an input, written out by callers"
)]
pub struct PayOrder {
    /// The invoice. Its amount is what is paid.
    pub invoice: Bolt11,
    /// Most that the way may cost on top.
    pub fee_max: Msat,
    /// How long the backend may try. When it is over the payment may still be on its way.
    pub time_limit: Duration,
}

/// A payment that was made.
#[derive(Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "taken apart by callers")]
pub struct PaidInvoice {
    /// The proof. Its hash is the invoice's.
    pub preimage: Preimage,
    /// What the way cost, where the backend says so.
    pub fee: Option<Msat>,
}

/// What became of a payment.
#[derive(Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "every outcome has to be decided about"
)]
pub enum PayOutcome {
    /// It was made.
    Paid(PaidInvoice),
    /// It was not made, with positive proof: the backend knows of this payment that it failed.
    Failed(Refusal),
    /// Nothing was sent by this call. An invoice that was never given to the backend before is not paid; of one that was,
    /// this says nothing.
    Refused(Refusal),
    /// Nobody can say yet; ask [`Sender::track`] later. The invoice must not be given up, and no other be paid in its place.
    Unknown(Code),
}

/// What a backend says about a payment. Not believed yet.
#[derive(Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "made by every backend")]
pub enum PayReport {
    /// It was made.
    Paid {
        /// The proof, where the backend gives it.
        preimage: Option<Preimage>,
        /// What the way cost, where the backend says so.
        fee: Option<Msat>,
    },
    /// It was not made: the backend itself says so, about exactly this payment. Never made of an error that could also
    /// come from something in between.
    Failed(Refusal),
    /// The call did not get so far that anything could be sent: no connection, a wrong key, an invoice that the backend
    /// does not take.
    Refused(Refusal),
    /// It is on its way.
    Pending,
    /// The backend refuses to pay because it has a payment with this hash already.
    Repeated,
    /// The backend has no payment with this hash.
    NotFound,
    /// No answer, or none that says what happened.
    Unclear(Code),
}

/// How a backend keeps the fee within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "declared by every backend")]
pub enum FeeCap {
    /// It is told the most, and does not spend more.
    Enforced,
    /// It says before the payment what the way will cost, and is not told to pay when that is too much.
    Quoted,
    /// It cannot be told: its own rules decide.
    Ignored,
}

/// What a paying backend can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "declared by every backend")]
pub struct SendAbilities {
    /// Tells later what became of a payment.
    pub track: bool,
    /// Gives the preimage. Without it a payment proves nothing, so such a backend is no wallet for L402.
    pub preimage: bool,
    /// Paying one invoice twice at the same backend pays it once.
    pub pays_once: bool,
    /// How the fee is bounded.
    pub fee_cap: FeeCap,
}

/// A wallet or node that pays. Called by [`Sender`] only.
pub trait SendBackend: Send + Sync + 'static {
    /// What it can do. Always the same.
    fn abilities(&self) -> SendAbilities;

    /// Pays an invoice, once, and waits for the end as long as the order says. Dropping it does not call the payment back.
    fn pay<'a>(&'a self, order: &'a PayOrder) -> BoxFuture<'a, PayReport>;

    /// Tells what became of a payment. Sends nothing.
    fn track<'a>(&'a self, _payment_hash: &'a PaymentHash) -> BoxFuture<'a, PayReport> {
        Box::pin(std::future::ready(PayReport::Unclear(
            Code::LightningUnsupported,
        )))
    }
}

/// Pays invoices, and believes what can be checked.
#[derive(Clone)]
pub struct Sender {
    backend: Arc<dyn SendBackend>,
    network: BitcoinNetwork,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

impl Sender {
    /// Around a backend that has to be on `network`.
    ///
    /// # Errors
    /// [`Code::LightningUnsupported`] for a backend that does not give preimages: what it pays for could never be got.
    pub fn new(
        backend: Arc<dyn SendBackend>,
        network: BitcoinNetwork,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Away> {
        if !backend.abilities().preimage {
            return Err(super::UNSUPPORTED);
        }
        Ok(Self {
            backend,
            network,
            clock,
        })
    }

    /// What the backend can do.
    #[must_use]
    pub fn abilities(&self) -> SendAbilities {
        self.backend.abilities()
    }

    /// The network payments are made on.
    #[must_use]
    pub const fn network(&self) -> BitcoinNetwork {
        self.network
    }

    /// Pays an invoice. The caller has recorded it durably before; after an unknown outcome it asks [`track`](Self::track).
    pub async fn pay(&self, order: &PayOrder) -> PayOutcome {
        if let Err(refusal) = self.payable(&order.invoice) {
            return PayOutcome::Refused(refusal);
        }
        let report = match self.backend.pay(order).await {
            // Paid before, or on its way since before: what became of that is what became of this.
            PayReport::Repeated => return self.track(&order.invoice).await,
            report => report,
        };
        let outcome = judge(&order.invoice, report);
        if let PayOutcome::Paid(PaidInvoice { fee: Some(fee), .. }) = &outcome
            && *fee > order.fee_max
        {
            tracing::error!(%fee, "a Lightning backend paid a higher fee than it was allowed to");
        }
        outcome
    }

    /// Tells what became of a payment that was to be made with the same backend before. Sends nothing.
    pub async fn track(&self, invoice: &Bolt11) -> PayOutcome {
        match self.backend.track(&invoice.payment_hash()).await {
            // Whatever was sent did not arrive, and no node pays it any more.
            PayReport::NotFound if self.is_too_late(invoice) => {
                PayOutcome::Failed(Refusal::new(Code::InvoiceExpired))
            }
            // Only the question was refused.
            PayReport::Refused(refusal) => PayOutcome::Unknown(refusal.code),
            report => judge(invoice, report),
        }
    }

    /// What can be seen before anything is sent.
    fn payable(&self, invoice: &Bolt11) -> Result<(), Refusal> {
        let unusable = |why: &str| Err(Refusal::new(Code::InvoiceUnusable).detail(why));
        if invoice.network() != self.network {
            return unusable("the invoice is for another network");
        }
        if invoice.amount().is_none_or(Msat::is_zero) {
            return unusable("the invoice does not say how much is to be paid");
        }
        if invoice.is_expired(self.clock.now()) {
            return Err(Refusal::new(Code::InvoiceExpired));
        }
        Ok(())
    }

    fn is_too_late(&self, invoice: &Bolt11) -> bool {
        let late = invoice.expires_at().checked_add_secs(LATE_SECS);
        late.is_some_and(|late| self.clock.now() >= late)
    }
}

/// What a report comes to: only a preimage with the right hash is a payment.
fn judge(invoice: &Bolt11, report: PayReport) -> PayOutcome {
    match report {
        PayReport::Paid {
            preimage: Some(preimage),
            fee,
        } => {
            if invoice.payment_hash().is_of(&preimage) {
                PayOutcome::Paid(PaidInvoice { preimage, fee })
            } else {
                tracing::error!("a Lightning backend gave a preimage of another hash");
                PayOutcome::Unknown(Code::LightningAnswerInvalid)
            }
        }
        PayReport::Paid { preimage: None, .. } => {
            PayOutcome::Unknown(Code::LightningPreimageMissing)
        }
        PayReport::Failed(refusal) => PayOutcome::Failed(refusal),
        PayReport::Refused(refusal) => PayOutcome::Refused(refusal),
        PayReport::Pending | PayReport::Repeated => {
            PayOutcome::Unknown(Code::LightningPaymentPending)
        }
        PayReport::NotFound => PayOutcome::Unknown(Code::LightningPaymentNotFound),
        PayReport::Unclear(code) => PayOutcome::Unknown(code),
    }
}
