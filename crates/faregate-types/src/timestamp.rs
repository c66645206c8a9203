//! Points in time, as whole seconds since 1970-01-01T00:00:00Z.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the Unix epoch. Time is always an argument in the pure crates; this type never reads a clock.
///
/// ```
/// use faregate_types::Timestamp;
///
/// let now = Timestamp::from_secs(1_740_672_089);
/// let deadline = now.checked_add_secs(60).unwrap();
/// assert_eq!(deadline.secs_since(now), 60);
/// assert_eq!(now.secs_since(deadline), 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// A point in time by its seconds since the epoch.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs)
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The point `secs` seconds later, or `None` past the end of time (2^64 seconds).
    #[must_use]
    pub const fn checked_add_secs(self, secs: u64) -> Option<Self> {
        match self.0.checked_add(secs) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// Seconds from `earlier` to `self`; 0 when `earlier` is not earlier.
    #[must_use]
    pub const fn secs_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<SystemTime> for Timestamp {
    /// Whole seconds, rounded down. A clock set before 1970 reads as 0.
    fn from(time: SystemTime) -> Self {
        Self(
            time.duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        )
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
