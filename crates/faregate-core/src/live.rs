//! Which payments this process is working on right now.
//!
//! The ledger decides who may use a payment; this set only tells "somebody here is on it" from "whoever was on it is
//! gone", so that a copy arriving after a crash may finish the work and a copy arriving during it may not.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use faregate_types::PaymentId;

/// The set. Bounded by the number of requests in progress.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live(Arc<Mutex<BTreeSet<PaymentId>>>);

impl Live {
    /// Enters a payment; `None` when somebody here is on it already.
    pub(crate) fn enter(&self, id: PaymentId) -> Option<LiveGuard> {
        let mut set = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        set.insert(id).then(|| LiveGuard {
            live: self.clone(),
            id,
        })
    }
}

/// Leaves the set when dropped.
#[derive(Debug)]
pub(crate) struct LiveGuard {
    live: Live,
    id: PaymentId,
}

impl Drop for LiveGuard {
    fn drop(&mut self) {
        let mut set = self.live.0.lock().unwrap_or_else(PoisonError::into_inner);
        set.remove(&self.id);
    }
}
