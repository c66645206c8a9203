//! The outbox, and the list of revoked tokens.

use std::sync::atomic::Ordering;

use faregate_ledger::{
    Event, EventKind, EventKinds, EventStore, Revocation, RevocationStore, RevokedName, StoreError,
};
use faregate_types::Timestamp;
use futures_util::future::BoxFuture;
use tokio_postgres::Row;

use super::codec::{self, payments};
use super::fault::Fault;
use super::ledger::PostgresLedger;
use super::reads::{page, told};

/// Payments that events are about, with the events; headers of a kept answer and not its body.
const DUE: &str = concat!(
    "SELECT w.*, e.seq AS event, e.kind, e.at, e.tries FROM event e JOIN (",
    payments!(@ "a.headers, NULL::bytea AS body"),
    ") w ON w.id = e.payment WHERE e.due_at <= $1 ORDER BY e.due_at, e.seq LIMIT $2"
);

const DROP: &str = "DELETE FROM event WHERE seq = $1";

const POSTPONE: &str = "UPDATE event SET tries = tries + 1, due_at = $2 WHERE seq = $1";

const REVOKE: &str = "INSERT INTO revocation (name, seq, revoked_at) VALUES ($1, $2, $3) \
     ON CONFLICT (name) DO NOTHING RETURNING seq";

const REVOCATIONS: &str = "SELECT name, revoked_at FROM revocation ORDER BY seq";

impl EventStore for PostgresLedger {
    fn keep_events(&self, kinds: EventKinds) {
        self.events.store(kinds.bits(), Ordering::Relaxed);
    }

    fn due_events(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<Event>, StoreError>> {
        Box::pin(async move {
            let rows = self
                .reads
                .rows(DUE, &[&codec::secs(now), &page(limit)])
                .await?;
            told(rows.iter().map(event).collect())
        })
    }

    fn drop_event(&self, seq: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            self.reads.rows(DROP, &[&number(seq)]).await?;
            Ok(())
        })
    }

    fn postpone_event(&self, seq: u64, due: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let due = codec::secs(due);
            self.reads.rows(POSTPONE, &[&number(seq), &due]).await?;
            Ok(())
        })
    }
}

impl RevocationStore for PostgresLedger {
    fn revoke(&self, revocation: Revocation) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move {
            let (name, seq) = (revocation.name.as_bytes().as_slice(), self.seqs.next());
            let at = codec::secs(revocation.at);
            let new = self.reads.rows(REVOKE, &[&name, &seq, &at]).await?;
            Ok(!new.is_empty())
        })
    }

    fn revocations(&self) -> BoxFuture<'_, Result<Vec<Revocation>, StoreError>> {
        Box::pin(async move {
            let rows = self.reads.rows(REVOCATIONS, &[]).await?;
            told(rows.iter().map(entry).collect())
        })
    }
}

impl PostgresLedger {
    /// What is put into the outbox.
    pub(super) fn told(&self) -> EventKinds {
        EventKinds::from_bits(self.events.load(Ordering::Relaxed))
    }
}

fn event(row: &Row) -> Result<Event, Fault> {
    let kind = EventKind::from_name(row.try_get("kind")?);
    let whole =
        |number: i64| u64::try_from(number).map_err(|_| Fault::Damaged("a number below zero"));
    let tries: i64 = row.try_get("tries")?;
    Ok(Event {
        seq: whole(row.try_get("event")?)?,
        kind: kind.ok_or(Fault::Damaged("an event of another program"))?,
        at: codec::time(row.try_get("at")?),
        tries: u32::try_from(tries).unwrap_or(u32::MAX),
        payment: codec::payment(row)?.0,
    })
}

fn entry(row: &Row) -> Result<Revocation, Fault> {
    Ok(Revocation {
        name: RevokedName::from_bytes(codec::bytes32(row.try_get("name")?)?),
        at: codec::time(row.try_get("revoked_at")?),
    })
}

fn number(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
