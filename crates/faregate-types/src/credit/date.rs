//! Times in sign-in messages: RFC 3339, kept as they were written because they are signed.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserializer, Serializer};

use super::field::{Field, text};
use crate::permit::date::{civil, is_leap};
use crate::timestamp::Timestamp;

const DAY_SECS: u64 = 86_400;

/// The last second that has four digits for its year.
const LAST: u64 = 253_402_300_799;

/// A time with the text it was written in: `2026-11-21T00:00:00Z`, with a zone instead of `Z` or a fraction too.
///
/// ```
/// use faregate_types::Timestamp;
/// use faregate_types::credit::DateText;
///
/// let date = DateText::parse("2026-11-21T01:30:00.5+01:30").unwrap();
/// assert_eq!(date.at(), Timestamp::from_secs(1_795_219_200));
/// assert_eq!(DateText::from(date.at()).as_str(), "2026-11-21T00:00:00Z");
/// assert!(DateText::parse("2026-02-29T00:00:00Z").is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateText {
    at: Timestamp,
    text: Box<str>,
}

impl DateText {
    /// Reads a time from 1970 to 9999. Fractions of a second are dropped, leap seconds refused.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let at = seconds(text).filter(|secs| *secs <= LAST);
        let at = at.map(Timestamp::from_secs)?;
        let text = text.into();
        Some(Self { at, text })
    }

    /// The time, in whole seconds.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// As it was written.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<Timestamp> for DateText {
    /// In UTC. Times after the year 9999 are its last second.
    fn from(at: Timestamp) -> Self {
        let secs = at.as_secs().min(LAST);
        let (year, month, day) = civil(secs.div_euclid(DAY_SECS));
        let second = secs.rem_euclid(DAY_SECS);
        let (hour, minute) = (
            second.div_euclid(3_600),
            second.div_euclid(60).rem_euclid(60),
        );
        let second = second.rem_euclid(60);
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
        Self {
            at: Timestamp::from_secs(secs),
            text: text.into(),
        }
    }
}

impl fmt::Display for DateText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Field for DateText {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "expected a time like 2026-11-21T00:00:00Z";
        let text = text(deserializer, EXPECTED)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(EXPECTED))
    }
}

fn seconds(text: &str) -> Option<u64> {
    if !text.is_ascii() || text.len() > 40 {
        return None;
    }
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (clock, offset, is_west) = match time.strip_suffix('Z') {
        Some(clock) => (clock, "00:00", false),
        None => {
            let (clock, zone) = time.split_at_checked(time.len().checked_sub(6)?)?;
            let is_west = zone.starts_with('-');
            let offset = zone.strip_prefix(['+', '-'])?;
            (clock, offset, is_west)
        }
    };
    let clock = match clock.split_once('.') {
        Some((clock, fraction)) if is_fraction(fraction) => clock,
        Some(_) => return None,
        None => clock,
    };
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let [zone_hour, zone_minute] = numbers(offset, ':', [2, 2])?;
    if hour > 23 || minute > 59 || second > 59 || zone_hour > 23 || zone_minute > 59 {
        return None;
    }
    let of_day = |hours: u64, minutes: u64| {
        hours
            .checked_mul(3_600)?
            .checked_add(minutes.checked_mul(60)?)
    };
    let local = days(year, month, day)?
        .checked_mul(DAY_SECS)?
        .checked_add(of_day(hour, minute)?)?
        .checked_add(second)?;
    let offset = of_day(zone_hour, zone_minute)?;
    if is_west {
        local.checked_add(offset)
    } else {
        local.checked_sub(offset)
    }
}

fn is_fraction(text: &str) -> bool {
    (1..=9).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit())
}

/// Numbers of so many digits each, with this between them.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[u64; N]> {
    let mut parts = text.split(between);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        let is_number = part.len() == digits && part.bytes().all(|digit| digit.is_ascii_digit());
        *number = is_number.then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days from 1970-01-01 to this one, if there is such a day.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let february = if is_leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month.checked_sub(1)?).ok()?;
    let length: u64 = *months.get(before)?;
    if !(1..=length).contains(&day) {
        return None;
    }
    let of_month = months.iter().take(before).sum::<u64>();
    let of_year = days_before(year)?.checked_sub(days_before(1970)?)?;
    of_year
        .checked_add(of_month)?
        .checked_add(day)?
        .checked_sub(1)
}

/// Days from the year 1 to this one.
fn days_before(year: u64) -> Option<u64> {
    let years = year.checked_sub(1)?;
    let leap = years
        .div_euclid(4)
        .checked_add(years.div_euclid(400))?
        .checked_sub(years.div_euclid(100))?;
    years.checked_mul(365)?.checked_add(leap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar_in_every_zone() {
        for (secs, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
        ] {
            let date = DateText::from(Timestamp::from_secs(secs));
            assert_eq!(date.as_str(), text);
            assert_eq!(DateText::parse(text), Some(date));
        }
        for (text, secs) in [
            ("2026-11-21T00:00:00+00:00", 1_795_219_200),
            ("2026-11-21T00:00:00-01:00", 1_795_222_800),
            ("2026-11-21T00:00:00.123456789+14:00", 1_795_168_800),
        ] {
            let date = DateText::parse(text).unwrap();
            assert_eq!((date.at().as_secs(), date.as_str()), (secs, text));
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "T",
            "2026-11-21",
            "2026-11-21T00:00:00",
            "2026-11-21 00:00:00Z",
            "2026-11-21t00:00:00z",
            "2026-11-21T24:00:00Z",
            "2026-11-21T00:60:00Z",
            "2026-11-21T00:00:60Z",
            "2026-11-21T00:00:00.Z",
            "2026-11-21T00:00:00.1234567890Z",
            "2026-11-21T00:00:00+0100",
            "2026-11-21T00:00:00+24:00",
            "2026-11-21T00:00:00 01:00",
            "2026-00-21T00:00:00Z",
            "2026-13-21T00:00:00Z",
            "2026-11-00T00:00:00Z",
            "2026-11-31T00:00:00Z",
            "2026-1-21T00:00:00Z",
            "+026-11-21T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "0000-01-01T00:00:00Z",
            "2026-11-21T00:00:00Z ",
            "2026-11-21T00:00:00é",
        ] {
            assert_eq!(DateText::parse(text), None, "{text}");
        }
    }
}
