//! Quotes: which offer a token is asked for, by the end of the endpoint's path. A quote is a name and promises nothing; what
//! counts is the offer that has it now.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use alloy_primitives::U256;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use faregate_types::Fingerprint;
use faregate_types::permit::Permit;

use super::Permits;
use crate::offer::{Offer, OfferError, PermitAsk};

/// What every quote begins with.
const PREFIX: &str = "q_";

/// The name of an offer: the same as long as route and prices are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quote(Box<str>);

impl Quote {
    /// The quote of an offer.
    #[must_use]
    pub fn of(offer: &Offer) -> Self {
        let mut text = offer.route().to_owned();
        for ask in super::asks(offer) {
            let PermitAsk {
                amount, treasury, ..
            } = ask;
            text.push_str(&format!(
                "\n{} {} {treasury}",
                amount.asset(),
                amount.value()
            ));
        }
        let name = Fingerprint::of(&[b"faregate/quote/1", text.as_bytes()]);
        let (half, _) = name.as_bytes().split_at(16);
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(half)).into())
    }
}

impl fmt::Display for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that a token endpoint sells tokens for.
#[derive(Clone, Debug, Default)]
pub struct Quotes {
    by_name: BTreeMap<Box<str>, Arc<Offer>>,
}

impl Quotes {
    /// Of these offers, those that take permits.
    ///
    /// # Errors
    /// [`OfferError`].
    pub fn of<'o>(offers: impl IntoIterator<Item = &'o Offer>) -> Result<Self, OfferError> {
        let mut by_name = BTreeMap::new();
        for offer in offers {
            if let Some(made) = Permits::token_offer(offer) {
                by_name.insert(Quote::of(offer).0, Arc::new(made?));
            }
        }
        Ok(Self { by_name })
    }

    /// True when no token is sold.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The offer of a quote.
    #[must_use]
    pub fn find(&self, quote: &str) -> Option<&Arc<Offer>> {
        self.by_name.get(quote)
    }

    /// The offer that a permit without a quote pays for: the dearest that it covers, else the cheapest in its asset, else any.
    #[must_use]
    pub fn best(&self, permit: &Permit) -> Option<&Arc<Offer>> {
        let value = permit.terms.value();
        let price = |offer: &Offer| -> Option<U256> {
            let mut asks = super::asks(offer);
            let ask = asks.find(|ask| ask.asset.id == permit.asset())?;
            Some(ask.amount.value())
        };
        let priced = || {
            let offers = self.by_name.values();
            offers.filter_map(move |offer| Some((price(offer)?, offer)))
        };
        let covered = priced()
            .filter(|(price, _)| *price <= value)
            .max_by_key(|(price, _)| *price);
        let found = covered.or_else(|| priced().min_by_key(|(price, _)| *price));
        found
            .map(|(_, offer)| offer)
            .or_else(|| self.by_name.values().next())
    }
}
