//! Dates of TOML as points in time.

use toml::value::{Date, Datetime, Offset};

const DAY_SECS: i64 = 86_400;

/// Seconds since 1970. `None` without a date, a time or an offset: a local time is a different moment everywhere.
pub(super) fn secs(moment: &Datetime) -> Option<u64> {
    let (date, time) = (moment.date?, moment.time?);
    let offset_minutes = match moment.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    let minutes = i64::from(time.hour).checked_mul(60)?;
    let minutes = minutes
        .checked_add(i64::from(time.minute))?
        .checked_sub(offset_minutes)?;
    let of_day = minutes
        .checked_mul(60)?
        .checked_add(i64::from(time.second.unwrap_or(0)))?;
    let secs = days(date)?.checked_mul(DAY_SECS)?.checked_add(of_day)?;
    u64::try_from(secs).ok()
}

/// Days since 1970-01-01 in the calendar of today, counted from the first of March of year 0: leap days are last then.
fn days(date: Date) -> Option<i64> {
    let (month, day) = (i64::from(date.month), i64::from(date.day));
    let january_or_february = i64::from(month <= 2);
    let year = i64::from(date.year).checked_sub(january_or_february)?;
    let since_march = (month.checked_add(9)?).checked_rem(12)?;
    // Five months from March have 153 days, over and over.
    let of_year = since_march
        .checked_mul(153)?
        .checked_add(2)?
        .checked_div(5)?
        .checked_add(day)?
        .checked_sub(1)?;
    let leap_days = year
        .div_euclid(4)
        .checked_sub(year.div_euclid(100))?
        .checked_add(year.div_euclid(400))?;
    year.checked_mul(365)?
        .checked_add(leap_days)?
        .checked_add(of_year)?
        .checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values from `date -u -d … +%s`.
    #[test]
    fn dates_are_the_moments_that_they_name() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("1969-12-31T23:59:59Z", None),
            ("2000-02-29T12:30:15Z", Some(951_827_415)),
            ("2000-03-01T00:00:00Z", Some(951_868_800)),
            ("2026-12-01T00:00:00Z", Some(1_796_083_200)),
            ("2026-12-01T00:00:00-05:30", Some(1_796_103_000)),
            ("2100-02-28T23:59:59Z", Some(4_107_542_399)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799)),
            ("2026-12-01T00:00:00", None),
            ("2026-12-01", None),
            ("12:00:00", None),
        ] {
            let moment: Datetime = text.parse().unwrap();
            assert_eq!(secs(&moment), expected, "{text}");
        }
    }
}
