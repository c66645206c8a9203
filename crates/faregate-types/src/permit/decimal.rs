//! Amounts as this rail writes them, JSON numbers in whole coins, without ever making a float of one (specs/permit.md §1.6).

use std::cmp::Ordering;
use std::fmt;

use alloy_primitives::U256;

use crate::amount::parse_atomic;
use crate::limits::{MONEY_TEXT_BYTES_MAX, U256_DIGITS_MAX};

/// Most digits that survive the float into which every peer reads an amount: 15 always do, 16 and 17 sometimes.
pub const FLOAT_DIGITS: usize = 15;

/// A decimal number that is not negative, exactly as written.
///
/// ```
/// use faregate_types::permit::Decimal;
///
/// let half = Decimal::parse("0.50").unwrap();
/// assert_eq!(half.to_units(6).unwrap().to_string(), "500000");
/// assert_eq!(half.to_string(), "0.5");
/// assert!(Decimal::parse("1e-07").unwrap().to_units(6).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// Without zeros at either end; nothing for zero.
    digits: Box<str>,
    /// The power of ten behind the last digit; 0 for zero.
    exponent: i32,
}

/// Why a text is no amount, or an amount no number of atomic units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecimalError {
    /// Not a decimal number: infinity, a word, a thousands separator.
    #[error("expected a decimal number")]
    Grammar,
    /// Below zero.
    #[error("expected a number that is not negative")]
    Negative,
    /// It has more digits behind the point than the asset.
    #[error("expected an amount in whole smallest units of the asset")]
    NotRepresentable,
    /// The number does not fit 256 bits.
    #[error("expected less than 2^256 smallest units")]
    TooLarge,
}

impl Decimal {
    /// Reads a number as JSON and Python write them: digits, a fraction, an exponent of up to four digits.
    ///
    /// # Errors
    /// [`DecimalError::Grammar`] or [`DecimalError::Negative`]. Minus zero is zero.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        if text.len() > MONEY_TEXT_BYTES_MAX {
            return Err(DecimalError::Grammar);
        }
        let (is_negative, number) = match text.strip_prefix('-') {
            Some(number) => (true, number),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match number.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, power_of_ten(power)?),
            None => (number, 0),
        };
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if digits(fraction) => (whole, fraction),
            Some(_) => return Err(DecimalError::Grammar),
            None => (mantissa, ""),
        };
        if !digits(whole) {
            return Err(DecimalError::Grammar);
        }
        let all = format!("{whole}{fraction}");
        let number = Self::new(&all, exponent.saturating_sub(length(fraction)));
        if is_negative && !number.is_zero() {
            Err(DecimalError::Negative)
        } else {
            Ok(number)
        }
    }

    /// So many atomic units of an asset with so many decimals.
    #[must_use]
    pub fn from_units(value: U256, decimals: u8) -> Self {
        Self::new(&value.to_string(), i32::from(decimals).saturating_neg())
    }

    fn new(digits: &str, exponent: i32) -> Self {
        let digits = digits.trim_start_matches('0');
        let kept = digits.trim_end_matches('0');
        let cut = length(digits).saturating_sub(length(kept));
        let exponent = if kept.is_empty() {
            0
        } else {
            exponent.saturating_add(cut)
        };
        Self {
            digits: kept.into(),
            exponent,
        }
    }

    /// The amount in atomic units, exactly.
    ///
    /// # Errors
    /// [`DecimalError::NotRepresentable`] when there would be a rest, [`DecimalError::TooLarge`] at 2^256.
    pub fn to_units(&self, decimals: u8) -> Result<U256, DecimalError> {
        if self.is_zero() {
            return Ok(U256::ZERO);
        }
        let zeros = self.exponent.saturating_add(i32::from(decimals));
        let zeros = usize::try_from(zeros).map_err(|_| DecimalError::NotRepresentable)?;
        if self.digits.len().saturating_add(zeros) > U256_DIGITS_MAX {
            return Err(DecimalError::TooLarge);
        }
        parse_atomic(&format!("{}{:0<zeros$}", self.digits, "")).map_err(|_| DecimalError::TooLarge)
    }

    /// The whole number below or at this one; `None` from 2^64.
    #[must_use]
    pub fn floor(&self) -> Option<u64> {
        if self.exponent >= 0 {
            return u64::try_from(self.to_units(0).ok()?).ok();
        }
        match usize::try_from(self.whole_digits()) {
            Ok(0) | Err(_) => Some(0),
            Ok(whole) => self.digits.get(..whole)?.parse().ok(),
        }
    }

    /// Whether this is nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// Whether every peer reads the same number, although all of them make a float of it.
    #[must_use]
    pub fn survives_a_float(&self) -> bool {
        self.digits.len() <= FLOAT_DIGITS
    }

    /// How many digits stand before the point; below zero: how many zeros follow the point, negated.
    fn whole_digits(&self) -> i32 {
        length(&self.digits).saturating_add(self.exponent)
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        // Without zeros at the ends, the longer of two numbers of one magnitude with one beginning is the larger.
        let zero = other.is_zero().cmp(&self.is_zero());
        let magnitude = || self.whole_digits().cmp(&other.whole_digits());
        zero.then_with(magnitude)
            .then_with(|| self.digits.cmp(&other.digits))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As Python writes a float, but never with an exponent: always with a point and a digit behind it.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0.0");
        }
        let zeros = usize::try_from(self.exponent).unwrap_or(0);
        if self.exponent >= 0 {
            return write!(f, "{}{:0<zeros$}.0", self.digits, "");
        }
        let point = self.whole_digits();
        if let Some((whole, fraction)) = usize::try_from(point)
            .ok()
            .filter(|point| *point > 0)
            .and_then(|point| self.digits.split_at_checked(point))
        {
            return write!(f, "{whole}.{fraction}");
        }
        let zeros = usize::try_from(point.saturating_neg()).unwrap_or(0);
        write!(f, "0.{:0<zeros$}{}", "", self.digits)
    }
}

/// Digits of a bounded text.
fn length(digits: &str) -> i32 {
    i32::try_from(digits.len()).unwrap_or(i32::MAX)
}

fn power_of_ten(text: &str) -> Result<i32, DecimalError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_short = (1..=4).contains(&digits.len());
    if !is_short || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DecimalError::Grammar);
    }
    text.parse().map_err(|_| DecimalError::Grammar)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_compared_and_written_as_what_they_are() {
        let rising = [
            "0", "1e-9999", "1e-07", "0.05", "0.1", "0.11", "0.5", "1", "1.5", "9", "10", "1e21",
            "1e9999",
        ];
        for pair in rising.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
        }
        for (text, written) in [
            ("0", "0.0"),
            ("-0.0", "0.0"),
            ("1", "1.0"),
            ("1e3", "1000.0"),
            ("1.50", "1.5"),
            ("0.000001", "0.000001"),
            ("1E-06", "0.000001"),
            ("12.5e1", "125.0"),
            (" 007.250 ", "7.25"),
        ] {
            assert_eq!(number(text).to_string(), written, "{text}");
            assert_eq!(number(written), number(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", "-", ".5", "5.", "1,0", "0x1", "inf", "nan", "True", "1e", "1e99999", "1e+-1",
            "1_0", "--1", "1.-1",
        ] {
            assert_eq!(Decimal::parse(text), Err(DecimalError::Grammar), "{text}");
        }
        assert_eq!(Decimal::parse("-1e-9"), Err(DecimalError::Negative));
        assert_eq!(number("1e78").to_units(0), Err(DecimalError::TooLarge));
        assert_eq!(
            number("0.1").to_units(0),
            Err(DecimalError::NotRepresentable)
        );
    }

    #[test]
    fn a_floor_is_the_whole_part() {
        for (text, floor) in [
            ("0", Some(0)),
            ("0.9", Some(0)),
            ("0.009", Some(0)),
            ("1800000000.5", Some(1_800_000_000)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("1e9999", None),
        ] {
            assert_eq!(number(text).floor(), floor, "{text}");
        }
    }
}
