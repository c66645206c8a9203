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
    /// Tabs that were tried, how often, and when last.
    tried: Mutex<HashMap<HeldTabKey, (u32, Instant)>>,
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

    /// Whether a tab was left alone for long enough since it was tried: longer each time, so that one whose payer's collateral comes
    /// in drops is not redeemed for each of them. Near its end it is worth more tries.
    pub(super) fn may_try(&self, key: &HeldTabKey, is_near: bool) -> bool {
        let tried = lock(&self.tried);
        let Some((tries, at)) = tried.get(key) else {
            return true;
        };
        let doubled = if is_near {
            0
        } else {
            tries.saturating_sub(1).min(10)
        };
        let pause = REDEEM_PAUSE_FIRST.saturating_mul(1 << doubled);
        at.elapsed() >= pause.min(REDEEM_PAUSE_MAX)
    }

    /// Something was sent for this tab.
    pub(super) fn tried(&self, key: &HeldTabKey) {
        let mut tried = lock(&self.tried);
        let tries = tried.get(key).map_or(0, |(tries, _)| *tries);
        tried.insert(*key, (tries.saturating_add(1), Instant::now()));
    }

    /// Whether nothing is on its way.
    pub(super) fn is_quiet(&self) -> bool {
        lock(&self.flying).is_empty()
    }

    /// Tabs that have ended need not be remembered.
    pub(super) fn forget(&self, views: &[TabView]) {
        let open = views.iter().filter(|view| !view.tab.has_ended());
        let open: HashSet<_> = open.map(|view| view.tab.key).collect();
        lock(&self.tried).retain(|key, _| open.contains(key));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
