//! Who may do how much: buckets for strangers, and a number for each day.

use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use faregate_core::rate::{Bucket, Rate};

/// Buckets for names nobody knows in advance: addresses, payers. Their number is fixed, so that strangers cannot fill the
/// memory and cannot push each other out; two names share a bucket by chance only, because the hash is keyed.
#[derive(Debug)]
pub(super) struct Buckets {
    slots: Box<[Bucket]>,
    rate: Rate,
    hash: RandomState,
}

impl Buckets {
    pub(super) fn new(slots: usize, rate: Rate) -> Self {
        Self {
            slots: (0..slots.max(1)).map(|_| Bucket::default()).collect(),
            rate,
            hash: RandomState::new(),
        }
    }

    /// Takes one for `name`, or says how long to wait for it.
    pub(super) fn take(&self, name: impl Hash, now: u64) -> Result<(), Duration> {
        self.slot(name)
            .map_or(Ok(()), |bucket| bucket.take(self.rate, now))
    }

    /// How long `name` has to wait for one, if there is none now.
    pub(super) fn wait(&self, name: impl Hash, now: u64) -> Option<Duration> {
        self.slot(name)?.wait(self.rate, now)
    }

    fn slot(&self, name: impl Hash) -> Option<&Bucket> {
        let count = u64::try_from(self.slots.len()).unwrap_or(u64::MAX);
        let index = self.hash.hash_one(name).checked_rem(count)?;
        self.slots.get(usize::try_from(index).ok()?)
    }
}

/// So many each day, counted from midnight UTC.
#[derive(Debug)]
pub(super) struct Daily {
    max: NonZeroU32,
    /// The day since 1970 in the upper half, how many in the lower one.
    used: AtomicU64,
}

/// Seconds of a day.
const DAY: u64 = 86_400;

impl Daily {
    pub(super) const fn new(max: NonZeroU32) -> Self {
        Self {
            max,
            used: AtomicU64::new(0),
        }
    }

    /// Takes one of today's, or says how long today still is. `now` is in seconds since 1970.
    pub(super) fn take(&self, now: u64) -> Result<(), Duration> {
        let today = now.div_euclid(DAY) & u64::from(u32::MAX);
        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                let count = if used >> 32 == today {
                    used & u64::from(u32::MAX)
                } else {
                    0
                };
                (count < u64::from(self.max.get()))
                    .then_some((today << 32) | (count.saturating_add(1)))
            });
        let left = DAY.saturating_sub(now.rem_euclid(DAY));
        taken.map(drop).map_err(|_| Duration::from_secs(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(count: u32) -> Rate {
        Rate::new(NonZeroU32::new(count).unwrap(), Duration::from_secs(1))
    }

    #[test]
    fn names_have_their_own_bucket_and_their_number_does_not_matter() {
        let buckets = Buckets::new(1_024, rate(1));
        assert_eq!(buckets.take("a", 5), Ok(()));
        assert!(buckets.take("a", 5).is_err());
        assert!(buckets.wait("a", 5).is_some());
        let free = (0..100_u32).filter(|name| buckets.take(name, 5).is_ok());
        assert!(free.count() > 80);
        for name in 0..1_000_000_u32 {
            buckets.take(name, 5).ok();
        }
        assert_eq!(buckets.slots.len(), 1_024);
        assert!(buckets.take("a", 5).is_err());
    }

    #[test]
    fn a_day_ends_at_midnight() {
        let daily = Daily::new(NonZeroU32::new(2).unwrap());
        let evening = 20_000 * DAY - 60;
        assert_eq!(daily.take(evening), Ok(()));
        assert_eq!(daily.take(evening), Ok(()));
        assert_eq!(daily.take(evening), Err(Duration::from_secs(60)));
        assert_eq!(daily.take(evening + 60), Ok(()));
        assert_eq!(daily.take(evening + 60), Ok(()));
        assert_eq!(daily.take(evening + 60), Err(Duration::from_secs(DAY)));
    }
}
