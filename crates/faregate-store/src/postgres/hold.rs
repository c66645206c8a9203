//! One process per ledger, for services that need that: a gate knows alone what it is working on, so two of them over one
//! ledger could both serve one payment.
//!
//! A row says who holds the ledger and when it was last seen, by the server's clock. The holder is seen every few seconds;
//! whoever was not seen for [`HOLD_MILLIS`](limits::HOLD_MILLIS) may be replaced. A holder that cannot be seen stops writing by
//! its own clock long before: after that no transaction of its is begun, and one that is open is ended by the server
//! ([`IDLE_IN_TRANSACTION_MILLIS`](limits::IDLE_IN_TRANSACTION_MILLIS)) before anybody else may hold.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use faregate_ledger::StoreError;
use tokio::time::{Instant, sleep};

use super::fault::Fault;
use super::limits;
use super::pool::Pool;
use super::schema::PostgresError;

/// Takes what nobody holds, or who holds it was not seen for too long; the name stays.
pub(super) const TAKE: &str = "INSERT INTO holder AS h (name, gate, run, seen_at) \
     VALUES ($1, $2, $3, (extract(epoch FROM clock_timestamp()) * 1000)::bigint) \
     ON CONFLICT (name) DO UPDATE SET run = excluded.run, seen_at = excluded.seen_at \
     WHERE h.run = excluded.run OR h.seen_at < excluded.seen_at - $4 RETURNING h.gate";

const SEEN: &str = "SELECT run, seen_at FROM holder WHERE name = $1";

const BEAT: &str = "UPDATE holder SET seen_at = (extract(epoch FROM clock_timestamp()) * 1000)::bigint \
     WHERE name = $1 AND run = $2 RETURNING name";

pub(super) const LEAVE: &str =
    "UPDATE holder SET seen_at = 0 WHERE name = $1 AND run = $2 RETURNING name";

/// What is held. There is one ledger in a schema.
const NAME: &str = "ledger";

/// Whether this process may write: nobody has to hold the ledger, or it does.
pub(super) fn held(hold: Option<&Hold>) -> Result<(), Fault> {
    if hold.is_none_or(Hold::is_ours) {
        Ok(())
    } else {
        Err(StoreError::Unavailable.into())
    }
}

/// The ledger is held by this process, as far as it knows.
pub(super) struct Hold {
    pool: Arc<Pool>,
    run: [u8; 16],
    gate: [u8; 16],
    since: Instant,
    /// When it was last seen for certain, in milliseconds after `since`.
    seen_millis: AtomicU64,
    is_lost: AtomicBool,
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold")
            .field("is_lost", &self.is_lost)
            .finish_non_exhaustive()
    }
}

impl Hold {
    /// Takes the ledger. Waits for a holder that seems to be gone; one that is there is refused at once.
    pub(super) async fn take(pool: Arc<Pool>) -> Result<Arc<Self>, PostgresError> {
        let (run, new) = (random()?, random()?);
        let began = Instant::now();
        let (mut first, mut told) = (None, false);
        loop {
            let asked = Instant::now();
            let ttl = i64::try_from(limits::HOLD_MILLIS).unwrap_or(i64::MAX);
            let taken = pool
                .rows(TAKE, &[&NAME, &new.as_slice(), &run.as_slice(), &ttl])
                .await;
            let taken = taken.map_err(|_| unreachable_database())?;
            if let Some(row) = taken.first() {
                let gate: &[u8] = row.try_get("gate").map_err(Fault::from)?;
                let gate = gate.try_into().map_err(|_| Fault::Damaged("a name"))?;
                let hold = Arc::new(Self {
                    pool,
                    run,
                    gate,
                    since: asked,
                    seen_millis: AtomicU64::new(0),
                    is_lost: AtomicBool::new(false),
                });
                tokio::spawn(beat(Arc::downgrade(&hold)));
                return Ok(hold);
            }
            let seen = pool.rows(SEEN, &[&NAME]).await;
            let seen = seen.map_err(|_| unreachable_database())?;
            let seen = seen.first().map(|row| row.try_get::<_, i64>("seen_at"));
            let seen = seen.transpose().map_err(Fault::from)?;
            let is_alive = first.is_some() && first != seen;
            let wait = Duration::from_millis(limits::HOLD_MILLIS.saturating_mul(2));
            if is_alive || began.elapsed() > wait {
                return Err(PostgresError::Held);
            }
            if !told {
                told = true;
                tracing::warn!(
                    "another process holds the ledger: waiting whether it is still there"
                );
            }
            first = seen;
            sleep(Duration::from_millis(limits::HOLD_LOOK_MILLIS)).await;
        }
    }

    /// What a gate over this ledger is called.
    pub(super) const fn gate(&self) -> [u8; 16] {
        self.gate
    }

    /// Whether a transaction that is begun now ends before anybody else may hold the ledger.
    pub(super) fn is_ours(&self) -> bool {
        let seen = Duration::from_millis(self.seen_millis.load(Ordering::Acquire));
        let still = limits::HOLD_MILLIS.saturating_sub(limits::ATTEMPT_MILLIS);
        let until = seen.saturating_add(Duration::from_millis(still));
        !self.is_lost.load(Ordering::Acquire) && self.since.elapsed() < until
    }

    /// Lets others hold it at once. Nothing is written afterwards.
    pub(super) async fn leave(&self) {
        self.is_lost.store(true, Ordering::Release);
        // Otherwise they wait a little.
        drop(self.pool.rows(LEAVE, &[&NAME, &self.run.as_slice()]).await);
    }

    async fn be_seen(&self) {
        let asked = self.since.elapsed();
        match self.pool.rows(BEAT, &[&NAME, &self.run.as_slice()]).await {
            Ok(rows) if rows.is_empty() => {
                if !self.is_lost.swap(true, Ordering::AcqRel) {
                    tracing::error!(
                        "another process has taken this ledger: nothing is written any more"
                    );
                }
            }
            Ok(_) => {
                let millis = u64::try_from(asked.as_millis()).unwrap_or(u64::MAX);
                self.seen_millis.fetch_max(millis, Ordering::AcqRel);
            }
            // Said already. Tried again before long.
            Err(_) => {}
        }
    }
}

/// The life of the task: as long as somebody has the hold.
async fn beat(hold: Weak<Hold>) {
    loop {
        sleep(Duration::from_millis(limits::HOLD_BEAT_MILLIS)).await;
        match hold.upgrade() {
            Some(hold) if !hold.is_lost.load(Ordering::Acquire) => hold.be_seen().await,
            Some(_) | None => return,
        }
    }
}

pub(super) fn random() -> Result<[u8; 16], PostgresError> {
    let mut bytes = [0; 16];
    let filled = getrandom::fill(&mut bytes);
    filled.map_err(|_| PostgresError::Unavailable("the system has no random bytes".into()))?;
    Ok(bytes)
}

fn unreachable_database() -> PostgresError {
    PostgresError::Unavailable("it did not answer".into())
}
