//! The outbox.

use std::collections::BTreeMap;

use faregate_ledger::{Event, EventKind, EventKinds, EventStore, StoreError};
use faregate_types::{PaymentId, Timestamp};
use futures_util::future::BoxFuture;

use super::ledger::MemoryLedger;
use super::limits::{EVENTS_MAX, PAGE_ROWS};
use super::payments::Payments;
use super::row::Row;

/// What is still to be told, by number. Full, it forgets the oldest: what is in memory is gone with the process anyway.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    kinds: EventKinds,
    last: u64,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    kind: EventKind,
    payment: PaymentId,
    at: Timestamp,
    tries: u32,
    due: Timestamp,
}

impl Outbox {
    pub(super) fn put(&mut self, kind: EventKind, payment: PaymentId, at: Timestamp) {
        if !self.kinds.has(kind) {
            return;
        }
        if self.waiting.len() >= EVENTS_MAX {
            self.waiting.pop_first();
            tracing::warn!("the outbox in memory is full: an event is never told");
        }
        self.last = self.last.saturating_add(1);
        let waiting = Waiting {
            kind,
            payment,
            at,
            tries: 0,
            due: at,
        };
        self.waiting.insert(self.last, waiting);
    }
}

impl Payments {
    fn due_events(&self, now: Timestamp, limit: u32) -> Result<Vec<Event>, StoreError> {
        let limit = usize::try_from(limit.min(PAGE_ROWS)).unwrap_or(usize::MAX);
        let mut due: Vec<(Timestamp, u64)> = self
            .outbox
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.due <= now)
            .map(|(seq, waiting)| (waiting.due, *seq))
            .collect();
        due.sort_unstable();
        due.truncate(limit);
        let mut events = Vec::with_capacity(due.len());
        for (_, seq) in due {
            let waiting = self.outbox.waiting.get(&seq).ok_or(StoreError::Damaged)?;
            let row: Row = self.find(&waiting.payment)?.ok_or(StoreError::Damaged)?;
            events.push(Event {
                seq,
                kind: waiting.kind,
                at: waiting.at,
                tries: waiting.tries,
                payment: row.listed(),
            });
        }
        Ok(events)
    }
}

impl EventStore for MemoryLedger {
    fn keep_events(&self, kinds: EventKinds) {
        if let Ok(mut books) = self.books() {
            books.outbox.kinds = kinds;
        }
    }

    fn due_events(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        Box::pin(async move { self.books()?.due_events(now, limit) })
    }

    fn drop_event(&self, seq: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.books()?.outbox.waiting.remove(&seq);
            Ok(())
        })
    }

    fn postpone_event(&self, seq: u64, due: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            if let Some(waiting) = self.books()?.outbox.waiting.get_mut(&seq) {
                waiting.due = due;
                waiting.tries = waiting.tries.saturating_add(1);
            }
            Ok(())
        })
    }
}
