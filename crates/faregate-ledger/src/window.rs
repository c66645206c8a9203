//! Sums over a rolling window in few rows, however much was signed. What the engines keep for [`Caps::per_period`].
//!
//! A spend is added to one slot on each level; a slot of level `n` is 64ⁿ seconds long. The window from a second to the end
//! of time is then at most 63 slots of each lower level and the rest on the highest: a month is some 200 rows, not one per
//! spend. The end is open on purpose: a spend with a later time (another process, a clock set back) counts too.
//!
//! [`Caps::per_period`]: crate::Caps::per_period

/// Slots of one level in a slot of the next.
const FACTOR: u64 = 64;

/// Seconds, about a minute, about an hour, about three days.
pub const LEVELS: u32 = 4;

/// The slot of every level that `secs` falls into: level and slot, or `None` for a time that no file can hold.
#[must_use]
pub fn slots(secs: u64) -> Option<impl Iterator<Item = (u32, i64)>> {
    i64::try_from(secs).ok()?;
    Some((0..LEVELS).filter_map(move |level| {
        let slot = secs.checked_div(FACTOR.checked_pow(level)?)?;
        Some((level, i64::try_from(slot).ok()?))
    }))
}

/// The slots from `since` on: level, first slot, and the slot before which to stop (on the highest level there is none).
#[must_use]
pub fn ranges(since: u64) -> Vec<(u32, i64, i64)> {
    let bounded = |slot: u64| i64::try_from(slot).unwrap_or(i64::MAX);
    let mut ranges = Vec::new();
    let mut from = since;
    for level in 0..LEVELS {
        let next = from.div_ceil(FACTOR);
        let last = level.checked_add(1) == Some(LEVELS);
        let until = if last {
            u64::MAX
        } else {
            next.saturating_mul(FACTOR)
        };
        ranges.push((level, bounded(from), bounded(until)));
        from = next;
    }
    ranges
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::integer_division,
    reason = "small numbers in tests"
)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn sum(slots: &BTreeMap<(u32, i64), u64>, since: u64) -> u64 {
        ranges(since)
            .into_iter()
            .flat_map(|(level, from, until)| slots.range((level, from)..(level, until)))
            .map(|(_, worth)| worth)
            .sum()
    }

    proptest! {
        #[test]
        fn a_window_has_every_spend_once(
            spends in prop::collection::vec((0_u64..20_000_000, 1_u64..1000), 0..60),
            since in 0_u64..20_000_000,
        ) {
            let mut sums = BTreeMap::new();
            for (at, worth) in &spends {
                for slot in slots(*at).unwrap() {
                    *sums.entry(slot).or_default() += worth;
                }
            }
            for since in [since, since / 64 * 64, since / 4096 * 4096, since / 262_144 * 262_144, 0] {
                let expected: u64 = spends.iter().filter(|(at, _)| *at >= since).map(|(_, worth)| worth).sum();
                prop_assert_eq!(sum(&sums, since), expected);
            }
        }

        #[test]
        fn a_window_is_few_rows(since: u64) {
            for (level, from, until) in ranges(since) {
                prop_assert!(level + 1 == LEVELS || until - from < 64);
            }
        }
    }

    #[test]
    fn the_end_of_time() {
        assert!(slots(u64::MAX).is_none());
        assert_eq!(slots(i64::MAX.cast_unsigned()).unwrap().count(), 4);
        assert_eq!(ranges(u64::MAX).len(), 4);
    }
}
