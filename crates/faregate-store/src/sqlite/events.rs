//! The outbox.

use std::sync::atomic::Ordering;

use faregate_ledger::{Event, EventKind, EventKinds, EventStore, Payment, StoreError};
use faregate_types::Timestamp;
use futures_util::future::BoxFuture;
use rusqlite::{Connection, params};

use super::fault::Fault;
use super::ledger::SqliteLedger;
use super::{codec, limits, payments};

impl EventStore for SqliteLedger {
    fn keep_events(&self, kinds: EventKinds) {
        self.events.store(kinds.bits(), Ordering::Relaxed);
    }

    fn due_events(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        Box::pin(self.engine.read(move |conn| due(conn, now, limit)))
    }

    fn drop_event(&self, seq: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.engine.write(move |conn| {
            conn.prepare_cached("DELETE FROM event WHERE seq = ?1")?
                .execute([number(seq)])?;
            Ok(())
        }))
    }

    fn postpone_event(&self, seq: u64, due: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.engine.write(move |conn| {
            conn.prepare_cached("UPDATE event SET tries = tries + 1, due_at = ?2 WHERE seq = ?1")?
                .execute(params![number(seq), codec::secs(due)])?;
            Ok(())
        }))
    }
}

impl SqliteLedger {
    /// What is put into the outbox.
    pub(super) fn told(&self) -> EventKinds {
        EventKinds::from_bits(self.events.load(Ordering::Relaxed))
    }
}

/// Puts an event about this payment into the outbox.
pub(super) fn put(
    conn: &Connection,
    kind: EventKind,
    payment: &Payment,
    at: Timestamp,
) -> Result<(), Fault> {
    conn.prepare_cached("INSERT INTO event (kind, payment, at, due_at) VALUES (?1, ?2, ?3, ?3)")?
        .execute(params![
            kind.as_str(),
            payment.claim.id.as_bytes(),
            codec::secs(at)
        ])?;
    Ok(())
}

fn due(conn: &Connection, now: Timestamp, limit: u32) -> Result<Vec<Event>, Fault> {
    let mut statement = conn.prepare_cached(
        "SELECT seq, kind, payment, at, tries FROM event WHERE due_at <= ?1 ORDER BY due_at, seq LIMIT ?2",
    )?;
    let limit = limit.min(limits::PAGE_ROWS);
    let mut rows = statement.query(params![codec::secs(now), limit])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let kind = EventKind::from_name(&row.get::<_, String>(1)?);
        let id = codec::id(row.get(2)?);
        let (mut payment, _) =
            payments::find(conn, &id)?.ok_or(Fault::Damaged("an event of no payment"))?;
        if let Some(answer) = &mut payment.answer {
            answer.body = None;
        }
        let whole =
            |number: i64| u64::try_from(number).map_err(|_| Fault::Damaged("a number below zero"));
        events.push(Event {
            seq: whole(row.get(0)?)?,
            kind: kind.ok_or(Fault::Damaged("an event of another program"))?,
            at: Timestamp::from_secs(whole(row.get(3)?)?),
            tries: row.get(4)?,
            payment,
        });
    }
    Ok(events)
}

fn number(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
