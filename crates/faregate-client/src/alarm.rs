//! Alarms: what a server asks for is not what it asked for before.
//!
//! The first contact is trusted; from then on the books know who was paid at an origin, and how much at each of its paths.
//! Another payee, or a price that jumps, is refused unless that is allowed; smaller changes are told and paid.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use faregate_ledger::{KnownTerms, Terms, TermsRule, Unit, Worth};
use faregate_types::{Amount, AssetId, PaymentId};

use crate::error::{PayError, PayeeChanged, PriceRaised};
use crate::limits::{PLACES_MAX, PRICE_RISE_PERCENT};

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
        asked: Box<str>,
        /// Whether the payment was refused for it.
        refused: bool,
    },
    /// More than last time.
    PriceRaised {
        /// Scheme, host and port.
        origin: Box<str>,
        /// Where.
        path: Box<str>,
        /// What the prices are in.
        unit: Unit,
        /// What was signed last.
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

    pub(crate) fn ring_all(&self, alarms: &[Alarm]) {
        for alarm in alarms {
            self.ring(alarm);
        }
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
    /// What of this the books enforce, in the transaction that records a payment. It agrees with the verdict of
    /// [`judge`](Self::judge).
    pub(crate) fn rule(self) -> TermsRule {
        TermsRule {
            any_payee: self.payees != PayeeChanges::Refuse,
            rise_percent_max: match self.prices {
                PriceRises::Percent(percent) => Some(percent),
                PriceRises::Any => None,
            },
        }
    }

    /// Compares a price with what is known about its place.
    pub(crate) fn judge(
        self,
        origin: &str,
        path: &str,
        asked: &Terms,
        known: &KnownTerms,
    ) -> Findings {
        let mut found = Findings {
            alarms: Vec::new(),
            verdict: Ok(()),
        };
        self.payee(origin, path, asked, known, &mut found);
        let Some(last) = &known.last else {
            return found;
        };
        if last.amount.asset() != asked.amount.asset() {
            found.alarms.push(Alarm::AssetChanged {
                origin: origin.into(),
                path: path.into(),
                before: last.amount.asset(),
                asked: asked.amount.asset(),
            });
        }
        if asked.worth > last.worth {
            let unit = Unit::of(asked.amount.asset());
            let refused = !self.rule().allows_rise(last.worth, asked.worth);
            found.alarms.push(Alarm::PriceRaised {
                origin: origin.into(),
                path: path.into(),
                unit,
                before: last.worth,
                asked: asked.worth,
                refused,
            });
            if refused && found.verdict.is_ok() {
                found.verdict = Err(PayError::PriceRaised(Box::new(PriceRaised {
                    origin: origin.into(),
                    path: path.into(),
                    unit,
                    before: last.worth,
                    asked: asked.worth,
                })));
            }
        }
        found
    }

    fn payee(
        self,
        origin: &str,
        path: &str,
        asked: &Terms,
        known: &KnownTerms,
        found: &mut Findings,
    ) {
        let Some(known) = &known.payee else { return };
        if *known == asked.payee || self.payees == PayeeChanges::Allow {
            return;
        }
        let refused = self.payees == PayeeChanges::Refuse;
        found.alarms.push(Alarm::PayeeChanged {
            origin: origin.into(),
            path: path.into(),
            known: known.clone(),
            asked: asked.payee.clone(),
            refused,
        });
        if refused {
            found.verdict = Err(PayError::PayeeChanged(Box::new(PayeeChanged {
                origin: origin.into(),
                known: known.clone(),
                asked: asked.payee.clone(),
            })));
        }
    }
}

/// The terms this client signed last at each place. What is asked for on the very same terms is no news and needs no look
/// into the books before it is signed; whether other processes know better the books say when they record it, which is
/// before it is sent.
#[derive(Default)]
pub(crate) struct Places(Mutex<HashMap<Box<str>, Terms>>);

impl Places {
    /// Whether the last payment that was signed here had these terms.
    pub(crate) fn has(&self, origin: &str, path: &str, terms: &Terms) -> bool {
        self.lock().get(&*place(origin, path)) == Some(terms)
    }

    /// Remembers what was signed. When there are too many places all are forgotten, and read from the books again.
    pub(crate) fn put(&self, origin: &str, path: &str, terms: Terms) {
        let mut places = self.lock();
        if places.len() >= PLACES_MAX {
            places.clear();
        }
        places.insert(place(origin, path), terms);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Terms>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An origin has no path and a path starts with a slash, so this is one place only.
fn place(origin: &str, path: &str) -> Box<str> {
    [origin, path].concat().into()
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;
    use faregate_ledger::TermsRefusal;
    use faregate_types::{AssetRegistry, ChainId};

    use super::*;

    fn price(units: u64, payee: u8) -> Terms {
        let assets = AssetRegistry::builtin();
        let asset = assets.default_for(ChainId::evm(84_532)).unwrap();
        let value = U256::from(units);
        Terms {
            amount: Amount::new(value, asset.id),
            worth: Worth::new(value),
            payee: payee.to_string().into(),
        }
    }

    fn after(last: &Terms) -> KnownTerms {
        KnownTerms {
            payee: Some(last.payee.clone()),
            last: Some(last.clone()),
        }
    }

    /// What is told and what the books enforce is one rule.
    #[test]
    fn the_verdict_is_the_rule_of_the_books() {
        let payees = [
            PayeeChanges::Refuse,
            PayeeChanges::Warn,
            PayeeChanges::Allow,
        ];
        let prices = [
            PriceRises::Percent(0),
            PriceRises::default(),
            PriceRises::Any,
        ];
        let mut refused = [0, 0, 0];
        for (payees, prices) in payees
            .into_iter()
            .flat_map(|payees| prices.map(|prices| (payees, prices)))
        {
            let changes = Changes { payees, prices };
            for (units, payee) in [(10, 1), (9, 1), (11, 1), (20, 2), (21, 2), (5, 2)] {
                let (asked, before) = (price(units, payee), price(10, 1));
                for known in [KnownTerms::default(), after(&before)] {
                    let found = changes.judge("https://a.example", "/", &asked, &known);
                    let ruled = changes.rule().check(&asked.payee, asked.worth, &known);
                    let agrees = match (&found.verdict, ruled) {
                        (Ok(()), Ok(())) => 0,
                        (Err(PayError::PayeeChanged(_)), Err(TermsRefusal::Payee)) => 1,
                        (Err(PayError::PriceRaised(_)), Err(TermsRefusal::Price)) => 2,
                        other => panic!("{changes:?} {units} {payee}: {other:?}"),
                    };
                    refused[agrees] += 1;
                }
            }
        }
        assert!(refused.iter().all(|count| *count > 0), "{refused:?}");
    }

    #[test]
    fn only_the_very_same_terms_are_no_news() {
        let places = Places::default();
        let (host, first) = ("https://a.example", price(10, 1));
        assert!(!places.has(host, "/joke", &first));
        places.put(host, "/joke", first.clone());
        assert!(places.has(host, "/joke", &first));
        assert!(!places.has(host, "/other", &first));
        assert!(!places.has("https://b.example", "/joke", &first));
        for other in [price(11, 1), price(9, 1), price(10, 2)] {
            assert!(!places.has(host, "/joke", &other), "{other:?}");
        }
        places.put(host, "/joke", price(10, 2));
        assert!(!places.has(host, "/joke", &first));
        for number in 0..PLACES_MAX.saturating_mul(2) {
            places.put(host, &format!("/{number}"), first.clone());
            assert!(places.lock().len() <= PLACES_MAX);
        }
    }
}
