//! What happens to the money, told to whoever wants to know: as a stream, or to handlers.
//!
//! Nobody who listens can hold up or break a purchase. Events go into a ring of bounded size; who is slow misses the oldest and
//! is told how many. A handler runs on a thread of its own, and when it panics the next event finds it again.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use faregate_ledger::{CapRefusal, Spend, SpendState, Unit, Worth};
use faregate_types::{Amount, PaymentId};
use tokio::sync::broadcast::{self, Receiver, Sender, error::RecvError};

use crate::limits::EVENTS_KEPT;

/// Something that happened to the money.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A payment is in the books and about to be made: from now on it counts against the caps, however it ends.
    Spent(Arc<Spent>),
    /// A cap refused a payment. Nothing was signed.
    BudgetExceeded(Arc<BudgetExceeded>),
    /// It is known how a payment ended.
    Ended {
        /// The payment's natural key.
        id: PaymentId,
        /// How it ended.
        state: SpendState,
    },
    /// So many events were missed, because they were not taken in time.
    Missed(u64),
}

/// A payment that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spent {
    /// The payment's natural key.
    pub id: PaymentId,
    /// Scheme, host and port of the seller.
    pub origin: Box<str>,
    /// The path of the request.
    pub path: Box<str>,
    /// Who pays: an address, or the name of a Lightning wallet.
    pub payer: Box<str>,
    /// Who is paid.
    pub payee: Box<str>,
    /// How much.
    pub amount: Amount,
    /// What it counts in.
    pub unit: Unit,
    /// How much it counts.
    pub worth: Worth,
}

/// A payment that a cap refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetExceeded {
    /// Scheme, host and port of the seller.
    pub origin: Box<str>,
    /// The path of the request.
    pub path: Box<str>,
    /// Which cap.
    pub cap: CapRefusal,
    /// What it counts in.
    pub unit: Unit,
    /// What would have counted; `None` when several offers were refused.
    pub required: Option<Worth>,
    /// What this cap still allows; `None` when the books do not say.
    pub remaining: Option<Worth>,
}

impl Event {
    pub(crate) fn spent(spend: &Spend) -> Self {
        Self::Spent(Arc::new(Spent {
            id: spend.id,
            origin: spend.origin.clone(),
            path: spend.path.clone(),
            payer: spend.payer.clone(),
            payee: spend.payee.clone(),
            amount: spend.amount,
            unit: Unit::of(spend.amount.asset()),
            worth: spend.worth,
        }))
    }
}

/// Events as they happen, from the moment this was asked for; see [`Client::events`](crate::Client::events).
pub struct Events(Receiver<Event>);

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Events").finish()
    }
}

impl Events {
    /// The next event; `None` once the client and all its clones are gone. May be dropped while it waits, without losing any.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(missed)) => Some(Event::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }

    /// The same, on a thread that may wait. Not inside an async runtime.
    pub(crate) fn next_blocking(&mut self) -> Option<Event> {
        match self.0.blocking_recv() {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(missed)) => Some(Event::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

/// Something that wants to know.
pub(crate) type Handler = Box<dyn Fn(&Event) + Send>;

/// Where events come from.
#[derive(Clone, Debug)]
pub(crate) struct Source(Sender<Event>);

impl Source {
    /// A source with these handlers.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn new(handlers: Vec<Handler>) -> std::io::Result<Self> {
        let source = Self(broadcast::channel(EVENTS_KEPT).0);
        for handler in handlers {
            let mut events = source.events();
            thread::Builder::new()
                .name("faregate-events".into())
                .spawn(move || {
                    while let Some(event) = events.next_blocking() {
                        let told = catch_unwind(AssertUnwindSafe(|| handler(&event)));
                        if told.is_err() {
                            tracing::error!("a handler of events panicked");
                        }
                    }
                })?;
        }
        Ok(source)
    }

    pub(crate) fn events(&self) -> Events {
        Events(self.0.subscribe())
    }

    /// Tells whoever listens.
    pub(crate) fn tell(&self, event: Event) {
        // Nobody listens: that is no error.
        drop(self.0.send(event));
    }

    /// Whether anybody listens.
    pub(crate) fn is_heard(&self) -> bool {
        self.0.receiver_count() > 0
    }
}
