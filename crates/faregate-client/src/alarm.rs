//! Alarms: what a server asks for is not what it asked for before.
//!
//! The first contact is trusted; from then on the books know who was paid at an origin, and how much at each of its paths.
//! Another payee, or a price that jumps, is refused unless that is allowed; smaller changes are told and paid.

use std::fmt;
use std::sync::Arc;

use alloy_primitives::Address;
use faregate_ledger::{KnownTerms, Worth};
use faregate_types::{Amount, AssetId, PaymentId};

use crate::error::{PayError, PayeeChanged, PriceRaised};
use crate::limits::PRICE_RISE_PERCENT;
use crate::select::Price;

/// What to do when a server names another payee than it did before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayeeChanges {
    /// Do not pay: [`PayError::PayeeChanged`].
    #[default]
    Refuse,
    /// Pay, with an [`Alarm`]. The new payee is the known one from then on.
    Warn,
    /// Pay. The new payee is the known one from then on.
    Allow,
}

/// How much more than last time may be paid at the same path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PriceRises {
    /// At most this many hundredths more: with 100 the price may double. Anything below is paid with an [`Alarm`].
    Percent(u32),
    /// Whatever the caps allow, with an [`Alarm`].
    Any,
}

impl Default for PriceRises {
    fn default() -> Self {
        Self::Percent(PRICE_RISE_PERCENT)
    }
}

/// Something a server changed. Everything in it but the addresses and amounts is our own.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alarm {
    /// Another payee than before.
    PayeeChanged {
        /// Scheme, host and port.
        origin: Box<str>,
        /// Where.
        path: Box<str>,
        /// Who was expected.
        known: Box<str>,
        /// Who is named now.
        asked: Address,
        /// Whether the payment was refused for it.
        refused: bool,
    },
    /// More than last time.
    PriceRaised {
        /// Scheme, host and port.
        origin: Box<str>,
        /// Where.
        path: Box<str>,
        /// What was signed last, in dollars.
        before: Worth,
        /// What is asked for now.
        asked: Worth,
        /// Whether the payment was refused for it.
        refused: bool,
    },
    /// Another asset or network than last time.
    AssetChanged {
        /// Scheme, host and port.
        origin: Box<str>,
        /// Where.
        path: Box<str>,
        /// What was paid with last.
        before: AssetId,
        /// What is asked for now.
        asked: AssetId,
    },
    /// A server that was sent a payment asks for another one, on other terms. It is not paid.
    AskedAgain {
        /// The payment it was sent.
        id: PaymentId,
        /// Scheme, host and port.
        origin: Box<str>,
        /// Where.
        path: Box<str>,
        /// What it was paid.
        paid: Amount,
    },
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PayeeChanged {
                origin,
                path,
                known,
                asked,
                ..
            } => write!(f, "{origin}{path} wants payment to {asked}, not to {known}"),
            Self::PriceRaised { origin, path, .. } => {
                write!(f, "{origin}{path} asks for more than last time")
            }
            Self::AssetChanged {
                origin,
                path,
                before,
                asked,
            } => write!(f, "{origin}{path} wants {asked}, not {before}"),
            Self::AskedAgain {
                id, origin, path, ..
            } => write!(
                f,
                "{origin}{path} was sent payment {id} and asks for another one on other terms"
            ),
        }
    }
}

type Told = dyn Fn(&Alarm) + Send + Sync;

/// Who is told.
#[derive(Clone, Default)]
pub(crate) struct Bell(Option<Arc<Told>>);

impl Bell {
    pub(crate) fn new(told: impl Fn(&Alarm) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(told)))
    }

    pub(crate) fn ring(&self, alarm: &Alarm) {
        tracing::warn!(%alarm, "a server changed its terms");
        if let Some(told) = &self.0 {
            told(alarm);
        }
    }
}

/// What is allowed to change.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) payees: PayeeChanges,
    pub(crate) prices: PriceRises,
}

/// What was found at a place.
pub(crate) struct Findings {
    pub(crate) alarms: Vec<Alarm>,
    pub(crate) verdict: Result<(), PayError>,
}

impl Changes {
    /// Compares a price with what is known about its place.
    pub(crate) fn judge(
        self,
        origin: &str,
        path: &str,
        price: &Price,
        known: &KnownTerms,
    ) -> Findings {
        let mut found = Findings {
            alarms: Vec::new(),
            verdict: Ok(()),
        };
        self.payee(origin, path, price, known, &mut found);
        let Some(last) = &known.last else {
            return found;
        };
        if last.amount.asset() != price.amount.asset() {
            found.alarms.push(Alarm::AssetChanged {
                origin: origin.into(),
                path: path.into(),
                before: last.amount.asset(),
                asked: price.amount.asset(),
            });
        }
        if price.worth > last.worth {
            let refused = !self.prices.allow(last.worth, price.worth);
            found.alarms.push(Alarm::PriceRaised {
                origin: origin.into(),
                path: path.into(),
                before: last.worth,
                asked: price.worth,
                refused,
            });
            if refused && found.verdict.is_ok() {
                found.verdict = Err(PayError::PriceRaised(Box::new(PriceRaised {
                    origin: origin.into(),
                    path: path.into(),
                    before: last.worth,
                    asked: price.worth,
                })));
            }
        }
        found
    }

    fn payee(
        self,
        origin: &str,
        path: &str,
        price: &Price,
        known: &KnownTerms,
        found: &mut Findings,
    ) {
        let Some(known) = &known.payee else { return };
        if **known == *price.payee.to_string() || self.payees == PayeeChanges::Allow {
            return;
        }
        let refused = self.payees == PayeeChanges::Refuse;
        found.alarms.push(Alarm::PayeeChanged {
            origin: origin.into(),
            path: path.into(),
            known: known.clone(),
            asked: price.payee,
            refused,
        });
        if refused {
            found.verdict = Err(PayError::PayeeChanged(Box::new(PayeeChanged {
                origin: origin.into(),
                known: known.clone(),
                asked: price.payee,
            })));
        }
    }
}

impl PriceRises {
    /// Whether a price may rise from `before` to `asked`. What cannot be computed may not.
    fn allow(self, before: Worth, asked: Worth) -> bool {
        let Self::Percent(percent) = self else {
            return true;
        };
        let times = |worth: Worth, factor: u64| {
            let factor = alloy_primitives::U256::from(factor);
            worth.units().checked_mul(factor)
        };
        let most = u64::from(percent).saturating_add(100);
        match (times(asked, 100), times(before, most)) {
            (Some(asked), Some(most)) => asked <= most,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;

    #[test]
    fn prices_may_rise_to_the_unit() {
        let worth = |units: u64| Worth::new(U256::from(units));
        let max = Worth::new(U256::MAX);
        let table = [
            (PriceRises::default(), worth(1000), worth(2000), true),
            (PriceRises::default(), worth(1000), worth(2001), false),
            (PriceRises::Percent(0), worth(1000), worth(1001), false),
            (PriceRises::Percent(50), worth(1000), worth(1500), true),
            (PriceRises::Percent(50), worth(1000), worth(1501), false),
            (PriceRises::Percent(50), worth(0), worth(1), false),
            (PriceRises::Percent(u32::MAX), worth(1), max, false),
            (PriceRises::Any, worth(1), max, true),
        ];
        for (rises, before, asked, allowed) in table {
            assert_eq!(rises.allow(before, asked), allowed, "{rises:?} {asked:?}");
        }
    }
}
