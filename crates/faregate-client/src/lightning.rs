//! The Lightning wallet that pays invoices, and what it may spend.

use faregate_core::port::lightning::Sender;
use faregate_ledger::{Caps, Period, Worth};
use faregate_types::lightning::{BitcoinNetwork, Msat};

use crate::limits;

/// What a wallet is called that nobody named.
const NAME: &str = "lightning";

/// A Lightning wallet and its rules; see [`ClientBuilder::lightning`](crate::ClientBuilder::lightning).
#[derive(Clone, Debug)]
#[must_use]
pub struct LightningWallet {
    pub(crate) name: Box<str>,
    pub(crate) sender: Sender,
    pub(crate) caps: Caps,
    pub(crate) fee: FeeLimit,
    pub(crate) mainnet: bool,
}

/// How much may be spent over Lightning, in millisatoshis. These caps stand beside those in dollars: there is no exchange rate.
///
/// Each payment counts with its amount and with the most that its way may cost ([`FeeLimit`]), whatever it cost in the end, and
/// also when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "an input, written out by callers"
)]
pub struct MsatCaps {
    /// Most for one payment.
    pub per_payment: Msat,
    /// Most for one origin, ever.
    pub per_host: Option<Msat>,
    /// Most within so many seconds, over all origins.
    pub per_period: Option<(u64, Msat)>,
    /// Most altogether, ever, over all origins.
    pub total: Option<Msat>,
}

/// What the way of a payment may cost on top of its amount: a part of the amount, and at least something, because small
/// payments cost a fixed fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "an input, written out by callers"
)]
pub struct FeeLimit {
    /// Hundredths of the amount.
    pub percent: u8,
    /// What is allowed in any case.
    pub at_least: Msat,
}

impl Default for FeeLimit {
    /// One per cent and at least five satoshis.
    fn default() -> Self {
        Self {
            percent: limits::ROUTING_FEE_PERCENT,
            at_least: limits::ROUTING_FEE_MIN,
        }
    }
}

impl FeeLimit {
    /// The most for this amount; `None` on overflow.
    #[must_use]
    pub fn of(self, amount: Msat) -> Option<Msat> {
        let share = amount.checked_mul(u64::from(self.percent))?;
        let share = Msat::new(share.get().checked_div(100)?);
        Some(share.max(self.at_least))
    }
}

impl LightningWallet {
    /// A wallet that pays through `sender`, within `caps`.
    pub fn new(sender: Sender, caps: MsatCaps) -> Self {
        Self {
            name: NAME.into(),
            sender,
            caps: caps.in_books(),
            fee: FeeLimit::default(),
            mainnet: false,
        }
    }

    /// What the books call it as the payer, e.g. `lnd`: at most [`limits::WALLET_NAME_BYTES_MAX`] bytes are kept. `lightning`
    /// otherwise.
    pub fn named(mut self, name: &str) -> Self {
        self.name = cut(name).into();
        self
    }

    /// What the books call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the way of a payment may cost; [`FeeLimit::default`] otherwise.
    pub const fn fee_limit(mut self, fee: FeeLimit) -> Self {
        self.fee = fee;
        self
    }

    /// Allows payments with real bitcoins. Test networks are always allowed.
    pub const fn allow_mainnet(mut self) -> Self {
        self.mainnet = true;
        self
    }

    /// The network it pays on.
    #[must_use]
    pub const fn network(&self) -> BitcoinNetwork {
        self.sender.network()
    }
}

/// The longest beginning that the books keep.
fn cut(name: &str) -> &str {
    let most = limits::WALLET_NAME_BYTES_MAX.min(name.len());
    let end = (0..=most).rev().find(|end| name.is_char_boundary(*end));
    end.and_then(|end| name.get(..end)).unwrap_or_default()
}

impl MsatCaps {
    /// The same as the books count it, in [`Unit::Msat`](crate::Unit::Msat).
    #[must_use]
    pub fn in_books(self) -> Caps {
        Caps {
            per_payment: Worth::of_msat(self.per_payment),
            total: self.total.map(Worth::of_msat),
            per_host: self.per_host.map(Worth::of_msat),
            per_period: self.per_period.map(|(secs, cap)| Period {
                secs,
                cap: Worth::of_msat(cap),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_may_cost_one_per_cent_and_at_least_five_satoshis() {
        let table = [
            (1, Some(5_000)),
            (500_000, Some(5_000)),
            (500_100, Some(5_001)),
            (1_000_000, Some(10_000)),
            (10_000_000_000, Some(100_000_000)),
        ];
        for (amount, expected) in table {
            let fee = FeeLimit {
                percent: 1,
                ..FeeLimit::default()
            }
            .of(Msat::new(amount));
            assert_eq!(fee.map(Msat::get), expected, "{amount}");
        }
        let all = FeeLimit {
            percent: 100,
            at_least: Msat::ZERO,
        };
        assert_eq!(all.of(Msat::new(u64::MAX)), None);
    }
}
