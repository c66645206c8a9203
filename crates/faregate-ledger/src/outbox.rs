//! What others are to be told of the books: written in the same transaction as what it is about, kept until it was told.

use faregate_types::Timestamp;
use futures_util::future::BoxFuture;

use crate::payment::Payment;
use crate::store::StoreError;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// The money of a payment moved.
    PaymentReceived,
}

impl EventKind {
    /// Its name, in the books and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PaymentReceived => "payment.received",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "payment.received" => Some(Self::PaymentReceived),
            _ => None,
        }
    }
}

/// Something that is still to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by every engine")]
pub struct Event {
    /// Its number in the outbox.
    pub seq: u64,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// How often telling it failed.
    pub tries: u32,
    /// The payment it is about, as it is now, without the body of a kept answer.
    pub payment: Payment,
}

/// The outbox of a ledger.
pub trait EventStore: Send + Sync + 'static {
    /// From now on there is somebody to tell. Before this nothing is put into the outbox.
    fn keep_events(&self);

    /// What is due at `now`, oldest first, at most `limit`.
    fn due_events(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<Event>, StoreError>>;

    /// It was told, or nobody wants to know any more.
    fn drop_event(&self, seq: u64) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Telling it failed: it is due again at `due`.
    fn postpone_event(&self, seq: u64, due: Timestamp) -> BoxFuture<'_, Result<(), StoreError>>;
}
