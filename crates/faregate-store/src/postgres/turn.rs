//! One process at a time, for what costs twice when two do it: a row says whose turn it is and when that process was last seen, by
//! the server's clock. The rows of [`hold`](super::hold), under other names.
//!
//! A row, and not a lock of the server's: it outlives a connection that breaks for a moment, proxies that share connections, and a
//! failover, and who hangs with an open connection does not keep it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faregate_core::port::Turn;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::hold::{LEAVE, TAKE, random};
use super::ledger::PostgresLedger;
use super::limits;
use super::pool::Pool;
use super::schema::PostgresError;

/// [`Turn`] among all that have one database, from [`PostgresLedger::turn`]. Whoever was not seen for twenty seconds is replaced.
pub struct PostgresTurn {
    pool: Arc<Pool>,
    name: &'static str,
    run: [u8; 16],
    /// When it was ours for certain, and is not asked again for a moment.
    seen: Mutex<Option<Instant>>,
}

impl fmt::Debug for PostgresTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresTurn")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl PostgresLedger {
    /// Takes part in taking turns at what has this name, beside everybody over the same database who does.
    ///
    /// # Errors
    /// [`PostgresError::Unavailable`] when the system has no random bytes.
    pub fn turn(&self, name: &'static str) -> Result<PostgresTurn, PostgresError> {
        Ok(PostgresTurn {
            pool: Arc::clone(&self.reads),
            name,
            run: random()?,
            seen: Mutex::default(),
        })
    }
}

impl PostgresTurn {
    fn seen(&self) -> MutexGuard<'_, Option<Instant>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn for PostgresTurn {
    fn is_ours(&self) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let asked = Instant::now();
            let kept = Duration::from_millis(limits::HOLD_BEAT_MILLIS);
            if self.seen().is_some_and(|seen| seen.elapsed() < kept) {
                return true;
            }
            let run = self.run.as_slice();
            let ttl = i64::try_from(limits::HOLD_MILLIS).unwrap_or(i64::MAX);
            let taken = self.pool.rows(TAKE, &[&self.name, &run, &run, &ttl]).await;
            let ours = taken.is_ok_and(|rows| !rows.is_empty());
            *self.seen() = ours.then_some(asked);
            ours
        })
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            *self.seen() = None;
            // Otherwise they wait a little.
            let run = self.run.as_slice();
            drop(self.pool.rows(LEAVE, &[&self.name, &run]).await);
        })
    }
}
