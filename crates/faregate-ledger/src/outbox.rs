//! What others are to be told of the books: written in the same transaction as what it is about, kept until it was told.

use faregate_types::Timestamp;
use futures_util::future::BoxFuture;

use crate::payment::{Effect, Payment};
use crate::store::StoreError;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// The money of a payment moved.
    PaymentReceived,
    /// The money of a payment did not move and never will. What was given out for it is lost:
    /// [`Payment::is_lost`].
    PaymentFailed,
    /// A token was given out for a payment, before or after its money moved. Only of rails whose payments buy tokens.
    TokenIssued,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::PaymentReceived,
        Self::PaymentFailed,
        Self::TokenIssued,
    ];

    /// Its name, in the books and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PaymentReceived => "payment.received",
            Self::PaymentFailed => "payment.failed",
            Self::TokenIssued => "token.issued",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// What there is to tell once a step had this effect, and the payment is like this. In every engine.
    #[must_use]
    pub fn of(effect: Effect, payment: &Payment) -> &'static [Self] {
        match (effect, payment.sells_token()) {
            (Effect::Post, _) | (Effect::Sell, false) => &[Self::PaymentReceived],
            (Effect::Sell, true) => &[Self::PaymentReceived, Self::TokenIssued],
            (Effect::Keep, true) => &[Self::TokenIssued],
            (Effect::Void, _) if payment.failure.is_some() => &[Self::PaymentFailed],
            (
                Effect::Void | Effect::Keep | Effect::Repeated | Effect::Noted | Effect::Unpost,
                _,
            ) => &[],
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::PaymentReceived => 1,
            Self::PaymentFailed => 2,
            Self::TokenIssued => 4,
        }
    }
}

/// Some kinds of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventKinds(u8);

impl EventKinds {
    /// None.
    pub const NONE: Self = Self(0);

    /// True when this kind is one of them.
    #[must_use]
    pub const fn has(self, kind: EventKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// As a number, for engines that keep them in one.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// What [`bits`](Self::bits) gave.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
}

impl FromIterator<EventKind> for EventKinds {
    fn from_iter<I: IntoIterator<Item = EventKind>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | kind.bit()))
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
    /// From now on there is somebody to tell of these. Before this nothing is put into the outbox.
    fn keep_events(&self, kinds: EventKinds);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_name_and_its_place_in_a_set() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_name(kind.as_str()), Some(kind));
            let only: EventKinds = [kind].into_iter().collect();
            assert_eq!(EventKinds::from_bits(only.bits()), only);
            for other in EventKind::ALL {
                assert_eq!(only.has(other), kind == other);
            }
        }
        assert_eq!(EventKind::from_name("payment"), None);
        assert!(
            EventKind::ALL
                .into_iter()
                .all(|kind| !EventKinds::NONE.has(kind))
        );
    }
}
