//! Terms: what a place asked for before, and how far from that a payment may be.
//!
//! The rule is data, so that a store can apply it in the transaction that records the payment: no other process can change
//! what is known in between.

use alloy_primitives::U256;
use faregate_types::{Amount, AssetId};

use crate::budget::{CapRefusal, Caps, Spend, Unit, Usage, Worth};

/// Spends at one place that are looked through for the newest in an asset, so that what is known is found in bounded time.
pub const PLACE_SPENDS_MAX: u16 = 64;

/// What was signed at a place before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Who got it.
    pub payee: Box<str>,
    /// How much, of what.
    pub amount: Amount,
    /// What it counted against the caps.
    pub worth: Worth,
}

/// What is known about a place where a payment is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownTerms {
    /// The newest terms at this origin and path, in any asset that is counted in the same unit.
    pub last: Option<Terms>,
    /// The payee that is expected for the asset: the newest one at this path; at a path that is new, whoever is asked for if
    /// the origin was paid that way before, else the first payee of the origin. `None` when the origin is new.
    pub payee: Option<Box<str>>,
}

/// How far the terms of a payment may be from the known ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermsRule {
    /// Whether somebody else than the known payee may be paid.
    pub any_payee: bool,
    /// How much more than last time may be signed at the same path, in hundredths; `None` for any price.
    pub rise_percent_max: Option<u32>,
}

/// Terms that a payment may not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TermsRefusal {
    /// Another payee than the known one.
    #[error("the payee is not the known one")]
    Payee,
    /// Too much more than last time.
    #[error("the price rose too far")]
    Price,
}

/// What became of a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// The spend is in the books. This is what was known about its place before.
    Recorded(KnownTerms),
    /// Its terms are too far from what is known. Nothing was recorded.
    Terms(TermsRefusal, KnownTerms),
    /// A cap would break. Nothing was recorded.
    Cap(CapRefusal, KnownTerms),
}

impl KnownTerms {
    /// What follows from the spends at a place, `newest` first, of which [`PLACE_SPENDS_MAX`] count. The payee that
    /// `origin` gives is asked for when none of them is in `asset`.
    ///
    /// # Errors
    /// Those of the books.
    pub fn of_place<E>(
        newest: impl IntoIterator<Item = Result<Terms, E>>,
        asset: AssetId,
        origin: impl FnOnce() -> Result<Option<Box<str>>, E>,
    ) -> Result<Self, E> {
        let (mut last, mut payee) = (None, None);
        for found in newest.into_iter().take(PLACE_SPENDS_MAX.into()) {
            let found = found?;
            if found.amount.asset() == asset {
                payee = Some(found.payee.clone());
            }
            // Dollars and bitcoins cannot be compared.
            if Unit::of(found.amount.asset()) == Unit::of(asset) {
                last = last.or(Some(found));
            }
            if payee.is_some() {
                break;
            }
        }
        let payee = match payee {
            Some(payee) => Some(payee),
            None => origin()?,
        };
        Ok(Self { last, payee })
    }
}

impl Reserved {
    /// The verdict on a spend that is not in the books yet, terms before caps: [`Recorded`](Self::Recorded) when it may be.
    #[must_use]
    pub fn judge(
        spend: &Spend,
        caps: &Caps,
        rule: TermsRule,
        known: KnownTerms,
        before: &Usage,
    ) -> Self {
        if let Err(refusal) = rule.check_spend(spend, &known) {
            return Self::Terms(refusal, known);
        }
        match caps.check(spend.worth, before) {
            Ok(()) => Self::Recorded(known),
            Err(refusal) => Self::Cap(refusal, known),
        }
    }
}

impl TermsRule {
    /// Everything is allowed.
    pub const ANY: Self = Self {
        any_payee: true,
        rise_percent_max: None,
    };

    /// Decides whether `worth` may be signed for `payee`. The rule of all engines.
    ///
    /// # Errors
    /// What is too far from `known`: the payee before the price.
    pub fn check(&self, payee: &str, worth: Worth, known: &KnownTerms) -> Result<(), TermsRefusal> {
        let stranger = known.payee.as_deref().is_some_and(|known| known != payee);
        if stranger && !self.any_payee {
            return Err(TermsRefusal::Payee);
        }
        match &known.last {
            Some(last) if !self.allows_rise(last.worth, worth) => Err(TermsRefusal::Price),
            _ => Ok(()),
        }
    }

    /// [`check`](Self::check) for a spend.
    ///
    /// # Errors
    /// As there.
    pub fn check_spend(&self, spend: &Spend, known: &KnownTerms) -> Result<(), TermsRefusal> {
        self.check(&spend.payee, spend.worth, known)
    }

    /// Whether a price may go from `before` to `asked`. What cannot be computed may not rise; a lower price always may.
    #[must_use]
    pub fn allows_rise(&self, before: Worth, asked: Worth) -> bool {
        let Some(percent) = self.rise_percent_max else {
            return true;
        };
        let times = |worth: Worth, factor: u64| worth.units().checked_mul(U256::from(factor));
        let most = times(before, u64::from(percent).saturating_add(100));
        asked <= before
            || match (times(asked, 100), most) {
                (Some(asked), Some(most)) => asked <= most,
                (Some(_), None) => true,
                (None, _) => false,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_may_rise_to_the_unit() {
        let worth = |units: u64| Worth::new(U256::from(units));
        let max = Worth::new(U256::MAX);
        let table = [
            (Some(100), worth(1000), worth(2000), true),
            (Some(100), worth(1000), worth(2001), false),
            (Some(0), worth(1000), worth(1001), false),
            (Some(0), worth(1000), worth(1000), true),
            (Some(0), max, max, true),
            (Some(50), worth(1000), worth(1500), true),
            (Some(50), worth(1000), worth(1501), false),
            (Some(50), worth(0), worth(1), false),
            (Some(u32::MAX), worth(1), max, false),
            (None, worth(1), max, true),
        ];
        for (rise_percent_max, before, asked, allowed) in table {
            let rule = TermsRule {
                any_payee: false,
                rise_percent_max,
            };
            assert_eq!(
                rule.allows_rise(before, asked),
                allowed,
                "{rule:?} {asked:?}"
            );
        }
    }
}
