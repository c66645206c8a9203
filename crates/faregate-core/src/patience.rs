//! How long to leave alone what was asked about and is still unknown: longer each time, and never for good.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use faregate_types::{PaymentId, Timestamp};

/// Seconds until the second question; doubled each time.
const AGAIN_SECS: u64 = 30;

/// Longest such wait, in seconds.
const AGAIN_SECS_MAX: u64 = 3_600;

/// When each may be asked about again. Kept in memory: after a restart everything may be asked about at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patience(Arc<Mutex<BTreeMap<PaymentId, Tried>>>);

/// How patient to be with one of them.
#[derive(Clone, Copy, Debug)]
struct Tried {
    next: Timestamp,
    wait_secs: u64,
}

impl Patience {
    /// Whether it has rested long enough, or was never asked about.
    pub(crate) fn is_due(&self, id: PaymentId, now: Timestamp) -> bool {
        self.tried().get(&id).is_none_or(|tried| tried.next <= now)
    }

    /// It was asked about, or is about to be, and rests longer than the last time.
    pub(crate) fn rest(&self, id: PaymentId, now: Timestamp) {
        let mut all = self.tried();
        let wait_secs = all.get(&id).map_or(AGAIN_SECS, |tried| {
            tried.wait_secs.saturating_mul(2).min(AGAIN_SECS_MAX)
        });
        let next = now.checked_add_secs(wait_secs).unwrap_or(now);
        all.insert(id, Tried { next, wait_secs });
    }

    /// The same, and the next time not longer.
    pub(crate) fn rest_shortly(&self, id: PaymentId, now: Timestamp) {
        let next = now.checked_add_secs(AGAIN_SECS).unwrap_or(now);
        let tried = Tried {
            next,
            wait_secs: AGAIN_SECS,
        };
        self.tried().insert(id, tried);
    }

    /// It went well: the next time begins with the shortest wait again.
    pub(crate) fn forget(&self, id: PaymentId) {
        self.tried().remove(&id);
    }

    /// Nobody will ask about any others.
    pub(crate) fn forget_all_but(&self, ids: &BTreeSet<PaymentId>) {
        self.tried().retain(|id, _| ids.contains(id));
    }

    fn tried(&self) -> MutexGuard<'_, BTreeMap<PaymentId, Tried>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
