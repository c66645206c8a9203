//! What a request costs.

use std::sync::{Arc, OnceLock};

use faregate_core::Offer;
use http::request::Parts;

use crate::metrics::Meter;
use crate::respond::Prepared;

/// An offer with its 402 answer, made once.
#[derive(Debug)]
pub struct Priced {
    offer: Offer,
    pub(crate) meter: Arc<Meter>,
    pub(crate) prepared: OnceLock<Prepared>,
}

impl Priced {
    /// An offer to be shared by all requests for it.
    #[must_use]
    pub fn new(offer: Offer) -> Arc<Self> {
        let meter = Arc::new(Meter::new(offer.route()));
        Arc::new(Self {
            offer,
            meter,
            prepared: OnceLock::new(),
        })
    }

    /// The same offer for another URL, counted together with this one.
    #[must_use]
    pub fn at(&self, url: impl Into<Box<str>>) -> Arc<Self> {
        Arc::new(Self {
            offer: self.offer.at(url),
            meter: Arc::clone(&self.meter),
            prepared: OnceLock::new(),
        })
    }

    /// The offer.
    #[must_use]
    pub const fn offer(&self) -> &Offer {
        &self.offer
    }
}

/// What one request costs.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a price is there or not; a third answer must break every caller"
)]
pub enum Price {
    /// Nothing: it goes through untouched.
    Free,
    /// This.
    Paid(Arc<Priced>),
}

/// Knows the price of a request. Only who configures the service decides; nothing in a request may make it free by
/// accident, so answer [`Price::Free`] for what is named free and nothing else.
pub trait Pricing: Clone + Send + Sync + 'static {
    /// The price of the request with this head.
    fn price(&self, head: &Parts) -> Price;
}

/// One price for everything behind the layer.
impl Pricing for Arc<Priced> {
    fn price(&self, _head: &Parts) -> Price {
        Price::Paid(Self::clone(self))
    }
}
