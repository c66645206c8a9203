//! How many tabs are opened for whom.

use std::collections::HashSet;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use faregate_core::rate::Rate;
use faregate_types::credit::GuaranteeVersion;
use faregate_types::{Address, ChainId, Problem};

use crate::limits::{
    NEW_TABS_PER_MINUTE, NEW_TABS_PER_PAYER_MINUTE, TAB_CALLS_PER_MINUTE, TAB_COUNTERS_MAX,
    TABS_KNOWN_MAX,
};
use crate::strangers::{Buckets, limited};

const MINUTE: Duration = Duration::from_secs(60);

/// What a core has one open tab for: payer, chain, asset, recipient, version.
pub(super) type Identity = (Address, ChainId, Address, Address, GuaranteeVersion);

/// The limits, and who was here lately. A payer that comes back costs the core no row, however often it comes.
#[derive(Debug)]
pub(super) struct Limit {
    calls: Buckets,
    new_by_client: Buckets,
    new_by_payer: Buckets,
    known: Mutex<Known>,
    epoch: Instant,
}

/// Two halves: when the younger one is full it becomes the older one, which is forgotten.
#[derive(Debug, Default)]
struct Known {
    young: HashSet<Identity>,
    old: HashSet<Identity>,
}

impl Limit {
    pub(super) fn new() -> Self {
        let buckets = |count| Buckets::new(TAB_COUNTERS_MAX, Rate::new(count, MINUTE));
        Self {
            calls: buckets(TAB_CALLS_PER_MINUTE),
            new_by_client: buckets(NEW_TABS_PER_MINUTE),
            new_by_payer: buckets(NEW_TABS_PER_PAYER_MINUTE),
            known: Mutex::default(),
            epoch: Instant::now(),
        }
    }

    /// One request of this client; this machine is not counted.
    pub(super) fn call(&self, client: Option<u64>) -> Result<(), Problem> {
        client.map_or(Ok(()), |client| {
            self.calls.take(client, self.now()).map_err(limited)
        })
    }

    /// One tab. Of many requests for one that nobody has asked for yet, the first counts.
    pub(super) fn open(&self, client: Option<u64>, identity: Identity) -> Result<(), Problem> {
        let mut known = self.known();
        if known.has(&identity) {
            return Ok(());
        }
        let now = self.now();
        if let Some(client) = client {
            self.new_by_client.take(client, now).map_err(limited)?;
        }
        let (payer, ..) = identity;
        self.new_by_payer.take(payer, now).map_err(limited)?;
        known.insert(identity);
        Ok(())
    }

    /// There is no such tab after all: the next request for it counts again.
    pub(super) fn forget(&self, identity: &Identity) {
        let mut known = self.known();
        known.young.remove(identity);
        known.old.remove(identity);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Never held while anything is waited for.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Whoever comes back stays.
    fn has(&mut self, identity: &Identity) -> bool {
        if self.young.contains(identity) {
            return true;
        }
        let was_here = self.old.remove(identity);
        if was_here {
            self.insert(*identity);
        }
        was_here
    }

    fn insert(&mut self, identity: Identity) {
        if self.young.len() >= TABS_KNOWN_MAX.div_euclid(2) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(identity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(number: u64) -> Identity {
        let payer = Address::left_padding_from(&number.to_be_bytes());
        let recipient = Address::repeat_byte(2);
        let chain = ChainId::BASE_SEPOLIA;
        (payer, chain, Address::ZERO, recipient, GuaranteeVersion::V1)
    }

    #[test]
    fn a_client_gets_so_many_new_tabs_and_any_number_of_old_ones() {
        let limit = Limit::new();
        let new = u64::from(NEW_TABS_PER_MINUTE.get());
        // A bucket fills up while this runs: twice as many are too many for sure.
        let given = (0..2 * new).filter(|n| limit.open(Some(7), identity(*n)).is_ok());
        let given = given.count() as u64;
        assert!(given >= new && given < 2 * new, "{given}");
        for _ in 0..1_000 {
            limit.open(Some(7), identity(0)).unwrap();
        }
        // Another client, and this machine, are not concerned.
        limit.open(Some(8), identity(2 * new)).unwrap();
        limit.open(None, identity(3 * new)).unwrap();
        let about = (0..2 * new)
            .find_map(|n| limit.open(Some(7), identity(4 * new + n)).err())
            .unwrap();
        assert_eq!(about.status, 429);
        assert!(about.retry_after_secs.is_some());
    }

    #[test]
    fn who_asks_in_the_name_of_a_payer_is_limited_whoever_it_is() {
        let limit = Limit::new();
        let most = u64::from(NEW_TABS_PER_PAYER_MINUTE.get());
        let asked = |client| {
            let opened = limit.open(Some(client), identity(1));
            limit.forget(&identity(1));
            opened
        };
        assert!((0..2 * most).any(|client| asked(client).is_err()));
    }

    #[test]
    fn what_was_refused_counts_again() {
        let limit = Limit::new();
        let asked = || {
            let opened = limit.open(Some(7), identity(1));
            limit.forget(&identity(1));
            opened.is_ok()
        };
        let new = 2 * NEW_TABS_PER_MINUTE.get() as usize;
        assert!((0..new).filter(|_| asked()).count() < new);
    }

    #[test]
    fn strangers_do_not_fill_the_memory_and_who_comes_back_stays() {
        let mut known = Known::default();
        known.insert(identity(0));
        for number in 1..200_000 {
            known.insert(identity(number));
            assert!(number % 10_000 != 0 || known.has(&identity(0)));
        }
        assert!(known.young.len() + known.old.len() <= TABS_KNOWN_MAX);
        assert!(!known.has(&identity(1)));
    }
}
