//! What a process remembers about tabs between rounds.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use faregate_core::port::HeldTabKey;
use tokio::time::Instant;

use super::view::TabView;
use crate::limits::{REDEEM_PAUSE_FIRST, REDEEM_PAUSE_MAX};

/// What this process remembers about tabs. Forgotten with it, which costs nothing but gas.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Tabs of which a transaction of ours is on its way.
    flying: Arc<Mutex<HashSet<HeldTabKey>>>,
    /// Tabs that were tried, how often, and until when not again.
    pauses: Mutex<HashMap<HeldTabKey, (u32, Instant)>>,
}

/// A tab of which a transaction is on its way, for as long as that is watched.
pub(super) struct Landing {
    pub(super) key: HeldTabKey,
    flying: Arc<Mutex<HashSet<HeldTabKey>>>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        lock(&self.flying).remove(&self.key);
    }
}

impl Waiting {
    /// Something of this tab is on its way from now on, unless something was already.
    pub(super) fn fly(&self, key: HeldTabKey) -> Option<Landing> {
        let is_first = lock(&self.flying).insert(key);
        is_first.then(|| Landing {
            key,
            flying: Arc::clone(&self.flying),
        })
    }

    pub(super) fn may_try(&self, key: &HeldTabKey) -> bool {
        let pauses = lock(&self.pauses);
        pauses
            .get(key)
            .is_none_or(|(_, until)| *until <= Instant::now())
    }

    /// Longer each time: a tab whose payer's collateral comes in drops is not redeemed for each of them.
    pub(super) fn tried(&self, key: &HeldTabKey) {
        let mut pauses = lock(&self.pauses);
        let tries = pauses.get(key).map_or(0, |(tries, _)| *tries);
        let pause = REDEEM_PAUSE_FIRST
            .saturating_mul(1 << tries.min(10))
            .min(REDEEM_PAUSE_MAX);
        let now = Instant::now();
        let until = now.checked_add(pause).unwrap_or(now);
        pauses.insert(*key, (tries.saturating_add(1), until));
    }

    /// Tabs that have ended need no pauses.
    pub(super) fn forget(&self, views: &[TabView]) {
        let open = views.iter().filter(|view| !view.tab.has_ended());
        let open: HashSet<_> = open.map(|view| view.tab.key).collect();
        lock(&self.pauses).retain(|key, _| open.contains(key));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
