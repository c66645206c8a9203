//! Amounts of money: whole atomic units with the asset beside them.

use std::cmp::Ordering;
use std::fmt;

use alloy_primitives::U256;

use crate::asset::AssetId;
use crate::limits::U256_DIGITS_MAX;

/// So many atomic units of one asset.
///
/// There is no `+`, no float and no conversion between assets. Amounts of different assets are not comparable.
///
/// ```
/// use faregate_types::{Amount, ChainId, Address, Erc20, U256};
///
/// let usdc = Erc20::new(ChainId::BASE, Address::ZERO);
/// let one = Amount::new(U256::from(1_000_000), usdc);
/// let two = one.checked_add(&one).unwrap();
/// assert!(one < two);
/// assert!(one.checked_sub(&two).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Amount {
    value: U256,
    asset: AssetId,
}

/// Why a text or a calculation gives no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AmountError {
    /// The text is empty or has a character that is not a digit (sign, blank, point, exponent, prefix).
    #[error("expected only decimal digits")]
    NotDigits,
    /// The text starts with 0 and is longer than that.
    #[error("expected no leading zero")]
    LeadingZero,
    /// The number does not fit 256 bits.
    #[error("expected a number below 2^256")]
    TooLarge,
    /// The two amounts are of different assets.
    #[error("expected two amounts of the same asset")]
    OtherAsset,
    /// The amount to take away is the larger one.
    #[error("expected an amount that is not larger than what is there")]
    Negative,
}

impl Amount {
    /// `value` atomic units of `asset`.
    #[must_use]
    pub fn new(value: U256, asset: impl Into<AssetId>) -> Self {
        Self {
            value,
            asset: asset.into(),
        }
    }

    /// The number of atomic units.
    #[must_use]
    pub const fn value(&self) -> U256 {
        self.value
    }

    /// The asset.
    #[must_use]
    pub const fn asset(&self) -> AssetId {
        self.asset
    }

    /// Whether this is no money at all.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.value.is_zero()
    }

    /// The sum of two amounts of one asset.
    ///
    /// # Errors
    /// [`AmountError::OtherAsset`], or [`AmountError::TooLarge`] at 2^256.
    pub fn checked_add(&self, other: &Self) -> Result<Self, AmountError> {
        let other = self.same_asset(other)?;
        let value = self.value.checked_add(other).ok_or(AmountError::TooLarge)?;
        Ok(Self {
            value,
            asset: self.asset,
        })
    }

    /// What is left after taking `other` away.
    ///
    /// # Errors
    /// [`AmountError::OtherAsset`], or [`AmountError::Negative`] when `other` is larger.
    pub fn checked_sub(&self, other: &Self) -> Result<Self, AmountError> {
        let other = self.same_asset(other)?;
        let value = self.value.checked_sub(other).ok_or(AmountError::Negative)?;
        Ok(Self {
            value,
            asset: self.asset,
        })
    }

    fn same_asset(&self, other: &Self) -> Result<U256, AmountError> {
        if self.asset == other.asset {
            Ok(other.value)
        } else {
            Err(AmountError::OtherAsset)
        }
    }
}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.asset == other.asset).then(|| self.value.cmp(&other.value))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.value, self.asset)
    }
}

/// Reads atomic units as they stand on the wire: 1 to 78 decimal digits, no sign, no `0x`, no leading zero but `0`.
///
/// # Errors
/// [`AmountError`] says what is wrong with the text.
///
/// ```
/// use faregate_types::parse_atomic;
///
/// assert_eq!(parse_atomic("10000").unwrap().to_string(), "10000");
/// assert!(parse_atomic("0x2710").is_err());
/// assert!(parse_atomic("010").is_err());
/// ```
pub fn parse_atomic(text: &str) -> Result<U256, AmountError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AmountError::NotDigits);
    }
    if text.len() > 1 && text.starts_with('0') {
        return Err(AmountError::LeadingZero);
    }
    if text.len() > U256_DIGITS_MAX {
        return Err(AmountError::TooLarge);
    }
    // Nearly every amount and time fits here, and is read several times faster so.
    match text.parse::<u64>() {
        Ok(number) => Ok(U256::from(number)),
        Err(_) => U256::from_str_radix(text, 10).map_err(|_| AmountError::TooLarge),
    }
}

/// Writes atomic units as a decimal number for people, without trailing zeros: 1000 at 6 decimals is `0.001`.
///
/// ```
/// use faregate_types::{U256, to_decimal_text};
///
/// assert_eq!(to_decimal_text(U256::from(1_500_000), 6), "1.5");
/// assert_eq!(to_decimal_text(U256::from(7), 0), "7");
/// ```
#[must_use]
pub fn to_decimal_text(value: U256, decimals: u8) -> String {
    let places = usize::from(decimals);
    let digits = value.to_string();
    let padded = format!("{digits:0>width$}", width = places.saturating_add(1));
    let (whole, fraction) = padded
        .split_at_checked(padded.len().saturating_sub(places))
        .unwrap_or((&padded, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        whole.to_owned()
    } else {
        format!("{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_are_read_as_they_are_written() {
        let small = U256::from(u64::MAX);
        for number in [
            U256::ZERO,
            U256::from(1),
            small,
            small.wrapping_add(U256::from(1)),
            U256::MAX,
        ] {
            assert_eq!(parse_atomic(&number.to_string()), Ok(number));
        }
        let too_large = format!("{}0", U256::MAX);
        for (text, error) in [
            ("", AmountError::NotDigits),
            ("+1", AmountError::NotDigits),
            ("-1", AmountError::NotDigits),
            (" 1", AmountError::NotDigits),
            ("1_0", AmountError::NotDigits),
            ("00", AmountError::LeadingZero),
            (too_large.as_str(), AmountError::TooLarge),
        ] {
            assert_eq!(parse_atomic(text), Err(error), "{text}");
        }
    }
}
