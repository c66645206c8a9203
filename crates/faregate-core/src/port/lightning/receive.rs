//! Invoices of ours.

use std::fmt;
use std::sync::Arc;

use faregate_types::lightning::{BitcoinNetwork, Bolt11, Msat, PaymentHash};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use super::{ANSWER_INVALID, UNSUPPORTED};
use crate::port::{Away, Clock};

/// How much longer than asked an invoice may be good for: clocks differ, and some services round up.
const EXPIRY_SLACK_SECS: u64 = 60;

/// What an invoice is wanted for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "an input, written out by callers"
)]
pub struct InvoiceAsk {
    /// What is to be paid; not zero.
    pub amount: Msat,
    /// What the payer's wallet shows.
    pub description: Box<str>,
    /// How long it can be paid, in seconds.
    pub expiry_secs: u32,
}

/// What a backend says that it made. Nothing of it is believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by every backend")]
pub struct MadeInvoice {
    /// The BOLT 11 text.
    pub invoice: Box<str>,
    /// The backend's own name for it, where it cannot be asked about a payment hash.
    pub handle: Option<Box<str>>,
}

/// An invoice of ours that says what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    bolt11: Bolt11,
    amount: Msat,
    handle: Option<Box<str>>,
}

impl Invoice {
    /// The decoded invoice: its text, its hash, when it expires.
    #[must_use]
    pub const fn bolt11(&self) -> &Bolt11 {
        &self.bolt11
    }

    /// What has to be remembered to ask about it later.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        Wanted {
            payment_hash: self.bolt11.payment_hash(),
            amount: self.amount,
            handle: self.handle.clone(),
        }
    }
}

/// Which invoice is asked about. To be kept with whatever the invoice is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "made again from a store")]
pub struct Wanted {
    /// Its payment hash.
    pub payment_hash: PaymentHash,
    /// What it asks for.
    pub amount: Msat,
    /// The backend's own name for it, as it said when the invoice was made.
    pub handle: Option<Box<str>>,
}

/// What has become of an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "every state has to be decided about"
)]
pub enum InvoiceState {
    /// It can still be paid, or a payment is on its way.
    Open,
    /// It was paid.
    Paid {
        /// What arrived, where the backend says so. Never less than was asked for.
        amount: Option<Msat>,
    },
    /// It was not paid in time, and can no longer be.
    Expired,
    /// It was called off, and can no longer be paid.
    Cancelled,
    /// The backend knows no such invoice.
    Unknown,
}

/// An invoice that was just paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by every backend")]
pub struct Settled {
    /// Its payment hash.
    pub payment_hash: PaymentHash,
    /// What arrived, where the backend says so.
    pub amount: Option<Msat>,
}

/// Paid invoices as they are paid, from now on. Ends, perhaps with an error, when the connection does: whoever listens looks
/// up what was open, and listens again.
pub type SettledStream = BoxStream<'static, Result<Settled, Away>>;

/// What a receiving backend can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "declared by every backend")]
pub struct ReceiveAbilities {
    /// Tells what has become of an invoice.
    pub look_up: bool,
    /// Tells when an invoice is paid, without being asked.
    pub subscribe: bool,
    /// Makes invoices that expire when they are asked to. The others expire when the backend likes.
    pub sets_expiry: bool,
    /// Amounts have to be multiples of this: a satoshi, or a millisatoshi.
    pub unit: Msat,
}

/// A wallet or node that makes invoices. Called by [`Receiver`] only.
pub trait ReceiveBackend: Send + Sync + 'static {
    /// What it can do. Always the same.
    fn abilities(&self) -> ReceiveAbilities;

    /// Makes an invoice.
    fn create<'a>(&'a self, ask: &'a InvoiceAsk) -> BoxFuture<'a, Result<MadeInvoice, Away>>;

    /// Tells what has become of an invoice of its own.
    fn look_up<'a>(&'a self, _wanted: &'a Wanted) -> BoxFuture<'a, Result<InvoiceState, Away>> {
        Box::pin(std::future::ready(Err(UNSUPPORTED)))
    }

    /// Starts telling which invoices are paid. Everything that is paid after this returned is told, as long as the
    /// connection holds.
    fn settled(&self) -> BoxFuture<'_, Result<SettledStream, Away>> {
        Box::pin(std::future::ready(Err(UNSUPPORTED)))
    }
}

/// Makes invoices and asks about them, and believes what can be checked.
#[derive(Clone)]
pub struct Receiver {
    backend: Arc<dyn ReceiveBackend>,
    network: BitcoinNetwork,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}

impl Receiver {
    /// Around a backend that has to be on `network`.
    #[must_use]
    pub fn new(
        backend: Arc<dyn ReceiveBackend>,
        network: BitcoinNetwork,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            backend,
            network,
            clock,
        }
    }

    /// What the backend can do.
    #[must_use]
    pub fn abilities(&self) -> ReceiveAbilities {
        self.backend.abilities()
    }

    /// The network invoices are for.
    #[must_use]
    pub const fn network(&self) -> BitcoinNetwork {
        self.network
    }

    /// Whether the backend can make an invoice over this amount.
    #[must_use]
    pub fn can_ask(&self, amount: Msat) -> bool {
        let unit = self.backend.abilities().unit.get().max(1);
        !amount.is_zero() && amount.get().is_multiple_of(unit)
    }

    /// Makes an invoice.
    ///
    /// # Errors
    /// [`LightningUnsupported`](faregate_types::Code) for an amount that [`can_ask`](Self::can_ask) refuses, [`LightningAnswerInvalid`](faregate_types::Code)
    /// when the backend made something else than it was asked to, and whatever else stands in the backend's way.
    pub async fn create(&self, ask: &InvoiceAsk) -> Result<Invoice, Away> {
        if !self.can_ask(ask.amount) {
            return Err(UNSUPPORTED);
        }
        let made = self.backend.create(ask).await?;
        let bolt11 = self.read(&made.invoice, ask).map_err(|why| {
            tracing::error!(
                why,
                "a Lightning backend made another invoice than it was asked to"
            );
            ANSWER_INVALID
        })?;
        Ok(Invoice {
            bolt11,
            amount: ask.amount,
            handle: made.handle,
        })
    }

    /// The invoice, if it says what was asked for.
    fn read(&self, text: &str, ask: &InvoiceAsk) -> Result<Bolt11, &'static str> {
        let bolt11 = Bolt11::parse(text).map_err(|_| "it cannot be decoded")?;
        if bolt11.network() != self.network {
            return Err("it is for another network");
        }
        if bolt11.amount() != Some(ask.amount) {
            return Err("it is over another amount");
        }
        if bolt11.is_expired(self.clock.now()) {
            return Err("it has expired already");
        }
        let lasts = bolt11.expires_at().secs_since(bolt11.created_at());
        let lasts_max = u64::from(ask.expiry_secs).saturating_add(EXPIRY_SLACK_SECS);
        if self.backend.abilities().sets_expiry && lasts > lasts_max {
            return Err("it can be paid for longer");
        }
        Ok(bolt11)
    }

    /// Tells what has become of an invoice.
    ///
    /// # Errors
    /// When the backend did not answer, cannot look up, or says that less was paid than was asked for, which Lightning does
    /// not do.
    pub async fn look_up(&self, wanted: &Wanted) -> Result<InvoiceState, Away> {
        let state = self.backend.look_up(wanted).await?;
        match state {
            InvoiceState::Paid {
                amount: Some(amount),
            } if amount < wanted.amount => {
                tracing::error!("a Lightning backend says that less was paid than was asked for");
                Err(ANSWER_INVALID)
            }
            _ => Ok(state),
        }
    }

    /// Starts telling which invoices are paid, where the backend can.
    ///
    /// # Errors
    /// [`LightningUnsupported`](faregate_types::Code) where it cannot, or whatever stands in its way.
    pub async fn settled(&self) -> Result<SettledStream, Away> {
        self.backend.settled().await
    }
}
