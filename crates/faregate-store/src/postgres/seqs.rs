//! Numbers that grow with time, without a counter that anybody shares.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bits at the end that differ between processes.
const TAG_BITS: u32 = 10;

/// Gives out numbers: microseconds since 1970, then a tag of this process. Within a process each is larger than the one
/// before, also when the clock is set back.
#[derive(Debug)]
pub(in crate::postgres) struct Seqs {
    tag: i64,
    last: AtomicI64,
}

impl Seqs {
    /// With a tag by chance.
    pub(in crate::postgres) fn new() -> Self {
        let mut bytes = [0_u8; 2];
        // Without chance the tag is the same for all, and what two processes do in one microsecond is tried again.
        let tag = getrandom::fill(&mut bytes).map_or(0, |()| u16::from_be_bytes(bytes));
        Self {
            tag: i64::from(tag) & ((1 << TAG_BITS) - 1),
            last: AtomicI64::new(0),
        }
    }

    /// The next number.
    pub(in crate::postgres) fn next(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let micros = since.map_or(0, |since| {
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        });
        let now = micros.saturating_mul(1 << TAG_BITS) | self.tag;
        let next = |last: i64| now.max(last.saturating_add(1 << TAG_BITS));
        let last = self
            .last
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| Some(next(last)));
        last.map_or(now, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_and_keep_the_tag() {
        let seqs = Seqs::new();
        let numbers: Vec<i64> = (0..1_000).map(|_| seqs.next()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b));
        assert!(numbers.iter().all(|number| number & 1_023 == seqs.tag));
        seqs.last.store(i64::MAX >> 1, Ordering::Release);
        assert!(seqs.next() > i64::MAX >> 1, "though the clock says less");
    }
}
