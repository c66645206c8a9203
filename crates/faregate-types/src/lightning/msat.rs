//! Millisatoshis: what Lightning counts in.

use std::fmt;

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

use super::network::BitcoinNetwork;
use crate::amount::Amount;
use crate::asset::AssetId;
use crate::money_text::{MoneyText, MoneyTextError};

/// Millisatoshis in one satoshi.
const PER_SAT: u64 = 1_000;

/// So many millisatoshis: 1 000 are one satoshi, 10^11 are one bitcoin. Which network's they are is said beside it.
///
/// ```
/// use faregate_types::lightning::Msat;
///
/// let price = Msat::from_sat(10).unwrap();
/// assert_eq!((price.get(), price.to_sat()), (10_000, Some(10)));
/// assert_eq!(Msat::new(10_001).to_sat(), None);
/// assert_eq!(Msat::new(10_001).to_sat_rounded_up(), 11);
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Msat(u64);

/// Why a price text is no sum of millisatoshis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MsatError {
    /// The number is no price.
    #[error(transparent)]
    Money(#[from] MoneyTextError),
    /// No unit, or none of Bitcoin's: a bare number may be satoshis, bitcoins or dollars.
    #[error("expected a price in sat, msat or BTC, such as \"10 sat\"")]
    Unit,
    /// The number has more digits than the unit has millisatoshis.
    #[error("expected a whole number of millisatoshis")]
    TooFine,
    /// 2^64 millisatoshis or more, far above all bitcoins there will be.
    #[error("expected fewer than 2^64 millisatoshis")]
    TooLarge,
}

impl Msat {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// So many millisatoshis.
    #[must_use]
    pub const fn new(msat: u64) -> Self {
        Self(msat)
    }

    /// So many satoshis; `None` when that is 2^64 millisatoshis or more.
    #[must_use]
    pub const fn from_sat(sat: u64) -> Option<Self> {
        match sat.checked_mul(PER_SAT) {
            Some(msat) => Some(Self(msat)),
            None => None,
        }
    }

    /// The number of millisatoshis.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether this is no money at all.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whole satoshis, when it is so many exactly.
    #[must_use]
    pub const fn to_sat(self) -> Option<u64> {
        if self.0.is_multiple_of(PER_SAT) {
            self.0.checked_div(PER_SAT)
        } else {
            None
        }
    }

    /// Satoshis, where a part of one counts as a whole one: a price for those who cannot pay parts.
    #[must_use]
    pub const fn to_sat_rounded_up(self) -> u64 {
        self.0.div_ceil(PER_SAT)
    }

    /// The sum, below 2^64.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// What is left, if `other` is not larger.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// So many times the sum, below 2^64.
    #[must_use]
    pub const fn checked_mul(self, times: u64) -> Option<Self> {
        match self.0.checked_mul(times) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }

    /// The same as an amount of a network's money.
    #[must_use]
    pub fn on(self, network: BitcoinNetwork) -> Amount {
        Amount::new(U256::from(self.0), network)
    }

    /// The millisatoshis of an amount, whatever network's; `None` when it is of another asset, or 2^64 or more.
    #[must_use]
    pub fn of(amount: &Amount) -> Option<Self> {
        match amount.asset() {
            AssetId::Msat(_) => u64::try_from(amount.value()).ok().map(Self),
            AssetId::Erc20(_) => None,
        }
    }

    /// Reads a price with a unit: `10 sat`, `10 sats`, `2500 msat`, `0.0001 BTC`. Letter case does not matter. Exact, or an
    /// error: nothing is rounded.
    ///
    /// # Errors
    /// [`MsatError`].
    pub fn from_money(money: &MoneyText) -> Result<Self, MsatError> {
        let unit = money.currency().ok_or(MsatError::Unit)?;
        let places: u8 = match () {
            () if unit.eq_ignore_ascii_case("msat") || unit.eq_ignore_ascii_case("msats") => 0,
            () if unit.eq_ignore_ascii_case("sat") || unit.eq_ignore_ascii_case("sats") => 3,
            () if unit.eq_ignore_ascii_case("btc") => 11,
            () => return Err(MsatError::Unit),
        };
        let (_, fraction) = money.number().split_once('.').unwrap_or_default();
        if fraction.trim_end_matches('0').len() > usize::from(places) {
            return Err(MsatError::TooFine);
        }
        let msat = money.to_atomic(places)?;
        u64::try_from(msat)
            .map(Self)
            .map_err(|_| MsatError::TooLarge)
    }
}

impl fmt::Display for Msat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} msat", self.0)
    }
}
