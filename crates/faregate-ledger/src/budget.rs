//! Caps of a payer: per payment, per host, per period, and altogether.
//!
//! Everything that was *signed* counts, also when the seller said no afterwards: a signed authorisation can be used by
//! whoever holds it, so a cap that forgot refused payments could be drained by a lying server.

use std::fmt;

use alloy_primitives::U256;
use faregate_types::lightning::{BitcoinNetwork, Msat};
use faregate_types::{Amount, AssetId, Code, PaymentId, Timestamp};

use crate::store::checked_sum;

/// Decimals of [`Worth`].
pub const WORTH_DECIMALS: u8 = 18;

/// What spends are counted in. There are no exchange rates: what is spent in one unit never counts against a cap in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// US dollars with 18 decimals: all tokens.
    Dollar,
    /// Millisatoshis on one network: Lightning.
    Msat(BitcoinNetwork),
}

impl Unit {
    /// What spends in this asset are counted in.
    #[must_use]
    pub const fn of(asset: AssetId) -> Self {
        match asset {
            AssetId::Msat(network) => Self::Msat(network),
            _ => Self::Dollar,
        }
    }

    /// Reads the stored text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "usd" => Some(Self::Dollar),
            asset => match asset.parse() {
                Ok(AssetId::Msat(network)) => Some(Self::Msat(network)),
                _ => None,
            },
        }
    }
}

impl fmt::Display for Unit {
    /// The stored text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dollar => f.write_str("usd"),
            Self::Msat(network) => AssetId::Msat(*network).fmt(f),
        }
    }
}

/// What a spend counts against a cap, in its [`Unit`]: of tokens US dollars with 18 decimals, so that stablecoins of different
/// decimals count against one cap; of Lightning millisatoshis. Only what has the same unit may be compared or added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Worth(U256);

impl Worth {
    /// Nothing.
    pub const ZERO: Self = Self(U256::ZERO);

    /// From units of 10⁻¹⁸ dollars, or millisatoshis.
    #[must_use]
    pub const fn new(units: U256) -> Self {
        Self(units)
    }

    /// What `value` atomic units of a dollar coin with `decimals` are worth. `None` above 18 decimals or on overflow.
    #[must_use]
    pub fn of_dollar_coin(value: U256, decimals: u8) -> Option<Self> {
        let shift = WORTH_DECIMALS.checked_sub(decimals)?;
        let scale = U256::from(10).checked_pow(U256::from(shift))?;
        value.checked_mul(scale).map(Self)
    }

    /// Millisatoshis, to be counted against caps in [`Unit::Msat`].
    #[must_use]
    pub const fn of_msat(value: Msat) -> Self {
        Self(U256::from_limbs([value.get(), 0, 0, 0]))
    }

    /// Units of 10⁻¹⁸ dollars, or millisatoshis.
    #[must_use]
    pub const fn units(self) -> U256 {
        self.0
    }

    /// The sum, or `None` on overflow.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        checked_sum([self.0, other.0]).map(Self)
    }
}

/// A rolling window with a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Length of the window in seconds.
    pub secs: u64,
    /// Most that may be signed within it.
    pub cap: Worth,
}

impl Period {
    /// The start of the window that ends at `now`. It belongs to the window itself: clocks are read in whole seconds, so
    /// leaving it out would let a window of almost `secs` seconds hold more than the cap.
    #[must_use]
    pub const fn since(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_secs(now.as_secs().saturating_sub(self.secs))
    }
}

/// What a payer allows in one unit. A missing cap is no cap, so the client refuses to run without a per-payment cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Most for one payment.
    pub per_payment: Worth,
    /// Most for one origin, ever.
    pub per_host: Option<Worth>,
    /// Most within a rolling window, over all origins.
    pub per_period: Option<Period>,
    /// Most altogether, ever, over all origins.
    pub total: Option<Worth>,
}

/// What was signed before, in one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// For this origin, ever.
    pub host: Worth,
    /// For anybody within the window.
    pub period: Worth,
    /// For anybody, ever.
    pub total: Worth,
}

/// A cap that a payment would break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CapRefusal {
    /// More than one payment may cost.
    #[error("the payment is above the cap for one payment")]
    Payment,
    /// More than this host may get.
    #[error("the payment would exceed the cap for this host")]
    Host,
    /// More than the window allows.
    #[error("the payment would exceed the cap for the period")]
    Period,
    /// More than may be spent altogether.
    #[error("the payment would exceed what may be spent altogether")]
    Total,
}

impl CapRefusal {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Payment => Code::OverPaymentCap,
            Self::Host => Code::OverHostCap,
            Self::Period => Code::OverPeriodCap,
            Self::Total => Code::OverTotalCap,
        }
    }
}

/// What was signed in one unit for one origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Scheme, host and port of the seller.
    pub origin: Box<str>,
    /// What it is counted in.
    pub unit: Unit,
    /// How much, as the caps count it.
    pub worth: Worth,
}

impl Caps {
    /// A cap for each payment and no other.
    #[must_use]
    pub const fn per_payment(per_payment: Worth) -> Self {
        Self {
            per_payment,
            per_host: None,
            per_period: None,
            total: None,
        }
    }

    /// Decides whether `worth` may be signed on top of `usage`. The rule of all engines; an overflow refuses.
    ///
    /// # Errors
    /// The first cap that would break, in the order payment, host, period, total.
    pub fn check(&self, worth: Worth, usage: &Usage) -> Result<(), CapRefusal> {
        let within =
            |before: Worth, cap: Worth| before.checked_add(worth).is_some_and(|sum| sum <= cap);
        if worth > self.per_payment {
            return Err(CapRefusal::Payment);
        }
        if self.per_host.is_some_and(|cap| !within(usage.host, cap)) {
            return Err(CapRefusal::Host);
        }
        if self
            .per_period
            .is_some_and(|period| !within(usage.period, period.cap))
        {
            return Err(CapRefusal::Period);
        }
        if self.total.is_some_and(|cap| !within(usage.total, cap)) {
            return Err(CapRefusal::Total);
        }
        Ok(())
    }
}

/// A payment about to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spend {
    /// The payment's natural key.
    pub id: PaymentId,
    /// Scheme, host and port of the seller, e.g. `https://api.example.com`.
    pub origin: Box<str>,
    /// What is bought, in full: two requests with the same resource are the same purchase.
    pub resource: Box<str>,
    /// The path of the request, without its query: where the same terms are expected next time.
    pub path: Box<str>,
    /// Who gets it.
    pub payee: Box<str>,
    /// Who pays: an address, or the name of a Lightning wallet. Empty in books that were written before it was recorded.
    pub payer: Box<str>,
    /// How much.
    pub amount: Amount,
    /// What it counts against the caps, in the [`Unit`] of the amount's asset: a token's dollars; of Lightning the amount and
    /// the most that the way may cost.
    pub worth: Worth,
    /// When it is signed.
    pub at: Timestamp,
    /// When the authorisation ends.
    pub valid_until: Timestamp,
    /// The signed credential, to be sent again after a crash instead of a second signature. Never logged.
    pub credential: Vec<u8>,
    /// The request, to be sent again by a process that does not know it any more; empty if it is not to be kept. It may hold
    /// secrets: kept only as long as the end is unknown, left out of lists, and not compared when a spend is repeated.
    pub request: Vec<u8>,
}

impl Spend {
    /// Whether this is the same spend, whatever is still known of its request.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let Self {
            id,
            origin,
            resource,
            path,
            payee,
            payer,
            amount,
            worth,
            at,
            valid_until,
            credential,
            request: _,
        } = self;
        *id == other.id
            && *origin == other.origin
            && *resource == other.resource
            && *path == other.path
            && *payee == other.payee
            && *payer == other.payer
            && *amount == other.amount
            && *worth == other.worth
            && *at == other.at
            && *valid_until == other.valid_until
            && *credential == other.credential
    }
}

/// How a spend ended, as far as the payer knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpendEnd {
    /// The seller gave a receipt.
    Paid {
        /// The rail's reference.
        transaction: Option<Box<str>>,
    },
    /// The seller refused the credential. It still counts: nobody can take a signature back.
    Refused {
        /// The seller's reason, if it is one we know.
        code: Code,
    },
    /// It was never used and cannot be any more: the authorisation has expired, and the chain says so. It still counts
    /// against the caps.
    Unused,
}

/// Where a spend stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpendState {
    /// Signed, perhaps sent; nobody answered yet.
    Open,
    /// Paid, with a receipt.
    Paid,
    /// Refused by the seller.
    Refused,
    /// Expired, and proven not to have been used.
    Unused,
}

impl SpendState {
    /// The stored text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Refused => "refused",
            Self::Unused => "unused",
        }
    }

    /// Reads the stored text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Paid, Self::Refused, Self::Unused]
            .into_iter()
            .find(|state| state.as_str() == text)
    }

    /// The state after news. A receipt is never taken back: nothing after it changes the state, and it counts after
    /// anything. A proof that nothing was used counts more than the seller's refusal.
    #[must_use]
    pub const fn after(self, end: &SpendEnd) -> Self {
        match (self, end) {
            (_, SpendEnd::Paid { .. }) | (Self::Paid, _) => Self::Paid,
            (_, SpendEnd::Unused) | (Self::Unused, SpendEnd::Refused { .. }) => Self::Unused,
            (Self::Open | Self::Refused, SpendEnd::Refused { .. }) => Self::Refused,
        }
    }
}

impl SpendState {
    /// What `end` adds to a spend in this state, that has a reference already or not; `None` when it says nothing new. The
    /// first reference stays.
    #[must_use]
    pub fn news(self, has_transaction: bool, end: &SpendEnd) -> Option<SpendNews<'_>> {
        let state = self.after(end);
        let transaction = match end {
            SpendEnd::Paid { transaction } if !has_transaction => transaction.as_deref(),
            SpendEnd::Paid { .. } | SpendEnd::Refused { .. } | SpendEnd::Unused => None,
        };
        (state != self || transaction.is_some()).then_some(SpendNews { state, transaction })
    }
}

/// What is to be written when an end becomes known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpendNews<'a> {
    /// Where the spend stands now.
    pub state: SpendState,
    /// The rail's reference, if there was none before.
    pub transaction: Option<&'a str>,
}

/// A spend as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpendRecord {
    /// What was signed.
    pub spend: Spend,
    /// Where it stands.
    pub state: SpendState,
    /// The rail's reference, with a receipt.
    pub transaction: Option<Box<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worth(value: u64) -> Worth {
        Worth::new(U256::from(value))
    }

    #[test]
    fn caps_hold_in_order() {
        let caps = Caps {
            per_payment: worth(10),
            per_host: Some(worth(25)),
            per_period: Some(Period {
                secs: 60,
                cap: worth(30),
            }),
            total: Some(worth(40)),
        };
        // worth, signed for the host, in the period and altogether, verdict
        let max = Worth::new(U256::MAX);
        let table = [
            (worth(10), worth(0), worth(0), worth(0), Ok(())),
            (worth(10), worth(15), worth(20), worth(30), Ok(())),
            (
                worth(11),
                worth(0),
                worth(0),
                worth(0),
                Err(CapRefusal::Payment),
            ),
            (
                worth(10),
                worth(16),
                worth(21),
                worth(31),
                Err(CapRefusal::Host),
            ),
            (
                worth(10),
                worth(15),
                worth(21),
                worth(31),
                Err(CapRefusal::Period),
            ),
            (
                worth(10),
                worth(15),
                worth(20),
                worth(31),
                Err(CapRefusal::Total),
            ),
            (worth(1), max, worth(0), worth(0), Err(CapRefusal::Host)),
            (worth(1), worth(0), max, worth(0), Err(CapRefusal::Period)),
            (worth(1), worth(0), worth(0), max, Err(CapRefusal::Total)),
        ];
        for (value, host, period, total, verdict) in table {
            assert_eq!(
                caps.check(
                    value,
                    &Usage {
                        host,
                        period,
                        total
                    }
                ),
                verdict
            );
        }
    }

    #[test]
    fn dollar_coins_of_any_decimals_count_alike() {
        let cent6 = Worth::of_dollar_coin(U256::from(10_000), 6);
        let cent18 = Worth::of_dollar_coin(U256::from(10_000_000_000_000_000_u64), 18);
        assert_eq!(cent6, cent18);
        assert_eq!(Worth::of_dollar_coin(U256::from(1), 19), None);
        assert_eq!(Worth::of_dollar_coin(U256::MAX, 6), None);
    }
}
