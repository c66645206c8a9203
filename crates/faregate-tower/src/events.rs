//! Listening to a gate: subscriptions, and handlers that no request waits for.
//!
//! ```
//! use std::sync::Arc;
//!
//! use faregate_core::{GateEvent, Kind, Till, What};
//! use faregate_tower::Events;
//!
//! /// Has the till tell what happens. Needs a tokio runtime.
//! fn listen(till: Till) -> Till {
//!     let events = Events::default();
//!     events.on([Kind::Settled, Kind::Failed], |event: Arc<GateEvent>| async move {
//!         match &event.what {
//!             What::Settled { transaction } => println!("{}: paid by {transaction:?}", event.route),
//!             What::Failed { code, is_loss: true } => println!("{}: lost, {code}", event.route),
//!             _ => {}
//!         }
//!     });
//!     till.observed_by(Arc::new(events))
//! }
//! ```
//!
//! Every listener has a queue of its own, which holds [`EVENTS_MAX`] events: one that is slower than the gate loses the
//! oldest and is told how many. Nothing here outlives the process; what must not be lost is told by the webhooks of the
//! outbox ([`faregate_ledger::EventStore`]).

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use faregate_core::{GateEvent, Kind, Observer};
use futures_util::FutureExt as _;
use futures_util::stream::{Stream, unfold};
use metrics::{counter, describe_counter};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::timeout;

use crate::limits::{EVENTS_MAX, HANDLER_TIMEOUT};

const HANDLED: &str = "faregate_gate_events_handled_total";
const LOST: &str = "faregate_gate_events_lost_total";

/// Registers what is counted of handlers.
pub(crate) fn describe_metrics() {
    describe_counter!(
        HANDLED,
        "Events that were given to handlers in the process, by `outcome` (done, late: dropped because it took too long, panicked)"
    );
    describe_counter!(
        LOST,
        "Events that handlers in the process were too slow for"
    );
}

/// Whoever listens to a gate. Cheap to clone; an [`Observer`] of the till. While nobody listens it costs an atomic load.
#[derive(Clone, Default)]
pub struct Events(Arc<Hub>);

#[derive(Default)]
struct Hub {
    /// The kinds that somebody listens to, as [`Kind::bit`].
    wanted: AtomicU32,
    listeners: RwLock<Vec<Listener>>,
    last: AtomicU64,
}

struct Listener {
    number: u64,
    wants: u32,
    queue: broadcast::Sender<Arc<GateEvent>>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

/// What a subscription hears.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there is nothing else to hear")]
pub enum Heard {
    /// Something happened.
    Event(Arc<GateEvent>),
    /// So many events were not heard in time and are gone: the oldest that waited. What comes next happened after them.
    Lost(u64),
}

/// Events in the order in which they happened. Dropped, it listens no more.
pub struct Subscription {
    queue: broadcast::Receiver<Arc<GateEvent>>,
    number: u64,
    hub: Weak<Hub>,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

impl Events {
    /// Events of these kinds from now on; [`Kind::ALL`] for all.
    #[must_use]
    pub fn subscribe(&self, kinds: impl IntoIterator<Item = Kind>) -> Subscription {
        self.0.listen(kinds, EVENTS_MAX)
    }

    /// Calls `handler` with each event of these kinds, one after the other, in a task of its own: nobody waits for it. A call
    /// that takes longer than [`HANDLER_TIMEOUT`] is dropped, a panic is logged, and the next event comes. It goes on until
    /// the last clone of this is gone. To be called in a tokio runtime. Like all async code a handler must not block its
    /// thread.
    pub fn on<H, F>(&self, kinds: impl IntoIterator<Item = Kind>, handler: H)
    where
        H: Fn(Arc<GateEvent>) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        drop(tokio::spawn(handle(self.subscribe(kinds), handler)));
    }
}

/// Brings every event of a subscription to its handler.
async fn handle<H, F>(mut events: Subscription, handler: H)
where
    H: Fn(Arc<GateEvent>) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    while let Some(heard) = events.next().await {
        let event = match heard {
            Heard::Event(event) => event,
            Heard::Lost(count) => {
                tracing::warn!(
                    count,
                    "a handler of events is too slow: it misses the oldest"
                );
                counter!(LOST).increment(count);
                continue;
            }
        };
        let kind = event.what.kind().as_str();
        // Also a panic before the handler's first await is its own.
        let call = AssertUnwindSafe(async { handler(event).await }).catch_unwind();
        let outcome = match timeout(HANDLER_TIMEOUT, call).await {
            Ok(Ok(())) => "done",
            Ok(Err(_panic)) => {
                tracing::error!(kind, "a handler of events panicked");
                "panicked"
            }
            Err(_elapsed) => {
                tracing::warn!(kind, "a handler of events took too long and was dropped");
                "late"
            }
        };
        counter!(HANDLED, "outcome" => outcome).increment(1);
    }
}

impl Subscription {
    /// The next event; `None` when nobody can tell any more.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.queue.recv().await {
            Ok(event) => Some(Heard::Event(event)),
            Err(RecvError::Lagged(count)) => Some(Heard::Lost(count)),
            Err(RecvError::Closed) => None,
        }
    }

    /// The same as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Heard> + Send {
        unfold(self, |mut events| async move {
            let heard = events.next().await?;
            Some((heard, events))
        })
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.upgrade() {
            hub.change(|listeners| listeners.retain(|one| one.number != self.number));
        }
    }
}

impl Observer for Events {
    fn wants(&self, kind: Kind) -> bool {
        self.0.wanted.load(Ordering::Relaxed) & kind.bit() != 0
    }

    fn notice(&self, event: GateEvent) {
        let (bit, event) = (event.what.kind().bit(), Arc::new(event));
        let listeners = self
            .0
            .listeners
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        for listener in listeners.iter().filter(|one| one.wants & bit != 0) {
            // It cannot be full, only be overtaken; nobody is there when it is being dropped.
            drop(listener.queue.send(Arc::clone(&event)));
        }
    }
}

impl Hub {
    fn listen(
        self: &Arc<Self>,
        kinds: impl IntoIterator<Item = Kind>,
        events_max: usize,
    ) -> Subscription {
        let (sender, queue) = broadcast::channel(events_max);
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let listener = Listener {
            number,
            wants: kinds.into_iter().fold(0, |wants, kind| wants | kind.bit()),
            queue: sender,
        };
        self.change(|listeners| listeners.push(listener));
        Subscription {
            queue,
            number,
            hub: Arc::downgrade(self),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Listener>)) {
        let mut listeners = self
            .listeners
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        change(&mut listeners);
        let wanted = listeners.iter().fold(0, |wanted, one| wanted | one.wants);
        self.wanted.store(wanted, Ordering::Relaxed);
    }
}
