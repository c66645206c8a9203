//! `created_at`: a date without a zone, as Python prints it. Ours is in UTC; nobody decides anything by it.

use crate::timestamp::Timestamp;

const DAY_SECS: u64 = 86_400;

/// The last moment that Python can print.
const LAST: u64 = 253_402_300_799;

/// `2027-01-15T08:00:00.000000`. Times after the year 9999 are printed as its last second.
#[must_use]
pub fn naive(at: Timestamp) -> String {
    let secs = at.as_secs().min(LAST);
    let (year, month, day) = civil(secs.div_euclid(DAY_SECS));
    let second = secs.rem_euclid(DAY_SECS);
    let (hour, minute) = (
        second.div_euclid(3_600),
        second.div_euclid(60).rem_euclid(60),
    );
    let second = second.rem_euclid(60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.000000")
}

/// Year, month and day of so many days after 1970-01-01. Walks the years and months; dates are printed rarely.
pub(crate) fn civil(days: u64) -> (u64, u64, u64) {
    let (mut year, mut rest) = (1970_u64, days);
    while let Some(after) = rest.checked_sub(if is_leap(year) { 366 } else { 365 }) {
        (year, rest) = (year.saturating_add(1), after);
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1_u64;
    for length in months {
        match rest.checked_sub(length) {
            Some(after) => (month, rest) = (month.saturating_add(1), after),
            None => break,
        }
    }
    (year, month, rest.saturating_add(1))
}

pub(crate) const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00.000000"),
            (951_782_399, "2000-02-28T23:59:59.000000"),
            (951_782_400, "2000-02-29T00:00:00.000000"),
            (1_709_164_800, "2024-02-29T00:00:00.000000"),
            (1_735_689_599, "2024-12-31T23:59:59.000000"),
            (1_800_000_000, "2027-01-15T08:00:00.000000"),
            (4_107_542_400, "2100-03-01T00:00:00.000000"),
            (LAST, "9999-12-31T23:59:59.000000"),
            (u64::MAX, "9999-12-31T23:59:59.000000"),
        ] {
            assert_eq!(naive(Timestamp::from_secs(secs)), text);
        }
    }
}
