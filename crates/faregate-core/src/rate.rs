//! Token buckets that hold one number each: when they will be full again (the generic cell rate algorithm).

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// So many in so long, all at once if they were saved up.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Nanoseconds until one more.
    step: u64,
    /// Nanoseconds until an empty bucket is full.
    room: u64,
}

impl Rate {
    /// `count` in every `period`.
    #[must_use]
    pub fn new(count: NonZeroU32, period: Duration) -> Self {
        let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        let step = period.div_euclid(u64::from(count.get())).max(1);
        Self {
            step,
            room: step.saturating_mul(u64::from(count.get())),
        }
    }
}

/// One bucket. Times are nanoseconds since any fixed moment.
#[derive(Debug, Default)]
pub struct Bucket(AtomicU64);

impl Bucket {
    /// Takes one.
    ///
    /// # Errors
    /// How long to wait for it, when there is none now.
    pub fn take(&self, rate: Rate, now: u64) -> Result<(), Duration> {
        let mut full = self.0.load(Ordering::Relaxed);
        loop {
            let next = full.max(now).saturating_add(rate.step);
            let missing = next.saturating_sub(now).saturating_sub(rate.room);
            if missing > 0 {
                return Err(Duration::from_nanos(missing));
            }
            match self
                .0
                .compare_exchange_weak(full, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Ok(()),
                Err(seen) => full = seen,
            }
        }
    }

    /// How long until there is one to take, if there is none now.
    #[must_use]
    pub fn wait(&self, rate: Rate, now: u64) -> Option<Duration> {
        let next = self
            .0
            .load(Ordering::Relaxed)
            .max(now)
            .saturating_add(rate.step);
        let missing = next.saturating_sub(now).saturating_sub(rate.room);
        (missing > 0).then(|| Duration::from_nanos(missing))
    }

    /// Whether it holds all it can, like a new one.
    #[must_use]
    pub fn is_full(&self, now: u64) -> bool {
        self.0.load(Ordering::Relaxed) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(count: u32) -> Rate {
        Rate::new(NonZeroU32::new(count).unwrap(), Duration::from_secs(1))
    }

    #[test]
    fn a_bucket_gives_what_it_holds_and_fills_up_again() {
        let (bucket, rate) = (Bucket::default(), rate(10));
        let start = 77 * SECOND;
        for _ in 0..10 {
            assert_eq!(bucket.take(rate, start), Ok(()));
        }
        let tenth = Duration::from_millis(100);
        assert_eq!(bucket.take(rate, start), Err(tenth));
        assert_eq!(bucket.wait(rate, start), Some(tenth));
        assert!(!bucket.is_full(start) && bucket.is_full(start + SECOND));
        // One more after a tenth of a second, and only one.
        let later = start + 100_000_000;
        assert_eq!(bucket.wait(rate, later), None);
        assert_eq!(bucket.take(rate, later), Ok(()));
        assert_eq!(bucket.take(rate, later), Err(tenth));
        // However long nobody comes, it does not hold more.
        let much_later = start + 1_000 * SECOND;
        let taken = (0..100).filter(|_| bucket.take(rate, much_later).is_ok());
        assert_eq!(taken.count(), 10);
    }

    #[test]
    fn threads_do_not_take_the_same_one() {
        let (bucket, rate) = (Bucket::default(), rate(1_000));
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| (0..1_000).filter(|_| bucket.take(rate, 5).is_ok()).count())
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(taken, 1_000);
    }
}
