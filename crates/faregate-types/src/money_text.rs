//! Prices as people write them: `$0.001`, `0.10`, `1.50 USDT`.

use std::fmt;

use alloy_primitives::U256;

use crate::amount::{self, AmountError};
use crate::limits::MONEY_TEXT_BYTES_MAX;

/// A price text that fits the grammar.
///
/// ```text
/// text     = blanks [ "$" ] number [ 1*blank currency ] blanks
/// number   = 1*digit [ "." 1*digit ]
/// currency = letter 0*15( letter | digit | "." )
/// ```
///
/// Digits and letters are ASCII, a blank is a space or a tab. Signs, exponents, thousands separators, `.5` and `5.`
/// are errors: a price that can be read in two ways is refused.
///
/// ```
/// use faregate_types::MoneyText;
///
/// let price = MoneyText::parse("1.50 USDT").unwrap();
/// assert_eq!(price.currency(), Some("USDT"));
/// assert_eq!(price.to_atomic(6).unwrap().to_string(), "1500000");
/// assert!(MoneyText::parse("1,000").is_err());
/// assert!(MoneyText::parse("$0.0000001").unwrap().to_atomic(6).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoneyText {
    number: Box<str>,
    currency: Option<Box<str>>,
}

/// Why a text is no price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyTextError {
    /// The text does not fit the grammar.
    #[error("expected a price such as \"$0.001\", \"0.10\" or \"1.50 USDT\"")]
    Grammar,
    /// The word after the number is not a currency word.
    #[error("expected a currency word of at most 16 letters, digits and points after the number")]
    Currency,
    /// The price is above zero, but less than one atomic unit of the asset: it would be free.
    #[error("expected a price of at least one atomic unit; this one rounds to zero")]
    RoundsToZero,
    /// The price does not fit 256 bits in atomic units.
    #[error("expected a price below 2^256 atomic units")]
    TooLarge,
}

impl MoneyText {
    /// Reads a price.
    ///
    /// # Errors
    /// [`MoneyTextError::Grammar`] or [`MoneyTextError::Currency`].
    pub fn parse(text: &str) -> Result<Self, MoneyTextError> {
        if text.len() > MONEY_TEXT_BYTES_MAX {
            return Err(MoneyTextError::Grammar);
        }
        let text = text.trim_matches(BLANKS);
        let text = text.strip_prefix('$').unwrap_or(text);
        let (number, currency) = match text.split_once(BLANKS) {
            Some((number, word)) => (number, Some(word.trim_start_matches(BLANKS))),
            None => (text, None),
        };
        if !is_number(number) {
            return Err(MoneyTextError::Grammar);
        }
        if currency.is_some_and(|word| !is_currency(word)) {
            return Err(MoneyTextError::Currency);
        }
        Ok(Self {
            number: number.into(),
            currency: currency.map(Into::into),
        })
    }

    /// The number as it was written, without `$` and currency: `0.10` stays `0.10`.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.number
    }

    /// The currency word, if one was written. `USD` means the default asset, as no word does.
    #[must_use]
    pub fn currency(&self) -> Option<&str> {
        self.currency.as_deref()
    }

    /// Whether the price is zero as written.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        !self.number.bytes().any(|b| (b'1'..=b'9').contains(&b))
    }

    /// The price in atomic units of an asset with so many decimals. Digits beyond them are cut off (rounded down).
    ///
    /// # Errors
    /// [`MoneyTextError::RoundsToZero`] when cutting off leaves nothing of a price above zero,
    /// [`MoneyTextError::TooLarge`] at 2^256.
    pub fn to_atomic(&self, decimals: u8) -> Result<U256, MoneyTextError> {
        let places = usize::from(decimals);
        let (whole, fraction) = self.number.split_once('.').unwrap_or((&self.number, ""));
        let kept = fraction.get(..places).unwrap_or(fraction);
        let digits = format!("{whole}{kept:0<places$}");
        let canonical = match digits.trim_start_matches('0') {
            "" => "0",
            trimmed => trimmed,
        };
        let value = amount::parse_atomic(canonical).map_err(|error| match error {
            AmountError::TooLarge => MoneyTextError::TooLarge,
            _ => MoneyTextError::Grammar,
        })?;
        if value.is_zero() && !self.is_zero() {
            Err(MoneyTextError::RoundsToZero)
        } else {
            Ok(value)
        }
    }
}

impl fmt::Display for MoneyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.currency() {
            Some(currency) => write!(f, "{} {currency}", self.number),
            None => f.write_str(&self.number),
        }
    }
}

impl std::str::FromStr for MoneyText {
    type Err = MoneyTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(text),
    }
}

fn is_currency(word: &str) -> bool {
    word.len() <= 16
        && word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
}
