//! Who may do how much: a number for each day.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
