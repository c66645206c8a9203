//! The layer: settings of a paywall.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use faregate_core::{Offer, Till};
use tokio::sync::watch;
use tower::Layer;

use crate::cors::Cors;
use crate::limits;
use crate::price::{Priced, Pricing};
use crate::service::Paywall;

/// Puts a price on a service. See the [crate] for an example.
#[derive(Clone)]
pub struct PaywallLayer<P = Arc<Priced>> {
    shared: Shared<P>,
}

/// What all requests share.
#[derive(Clone)]
pub(crate) struct Shared<P> {
    pub(crate) till: Till,
    pub(crate) pricing: P,
    pub(crate) settings: Arc<Settings>,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) cors: Cors,
    pub(crate) request_body_bytes_max: usize,
    pub(crate) response_bytes_max: usize,
    pub(crate) kept_bytes_max: usize,
    pub(crate) serve_timeout: Duration,
    pub(crate) copy_wait: Duration,
    pub(crate) purchases: Purchases,
}

/// Counts purchases in progress, also those whose payer hung up: a program that stops waits for them.
#[derive(Clone, Debug, Default)]
pub struct Purchases(Arc<watch::Sender<()>>);

impl Purchases {
    /// A purchase in progress for as long as what this returns lives.
    pub(crate) fn enter(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }

    /// Returns once no purchase is in progress.
    pub async fn ended(&self) {
        self.0.closed().await;
    }
}

/// No rail of the till can be paid for the offer. Served like this the route would be free or unreachable, so it does not
/// start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no rail of this till can be paid for the offer")]
#[non_exhaustive]
pub struct NoRail;

impl PaywallLayer {
    /// One offer for everything behind the layer.
    ///
    /// # Errors
    /// [`NoRail`] when nobody could pay for it.
    pub fn new(till: Till, offer: Offer) -> Result<Self, NoRail> {
        if till.serves(&offer) {
            Ok(Self::with_pricing(till, Priced::new(offer)))
        } else {
            Err(NoRail)
        }
    }
}

impl<P: Pricing> PaywallLayer<P> {
    /// A price for each request. Whoever makes the offers asks [`Till::serves`] about each of them first.
    #[must_use]
    pub fn with_pricing(till: Till, pricing: P) -> Self {
        let settings = Settings {
            cors: Cors::default(),
            request_body_bytes_max: limits::REQUEST_BODY_BYTES_MAX,
            response_bytes_max: limits::RESPONSE_BYTES_MAX,
            kept_bytes_max: limits::KEPT_BYTES_MAX,
            serve_timeout: limits::SERVE_TIMEOUT,
            copy_wait: limits::COPY_WAIT,
            purchases: Purchases::default(),
        };
        Self {
            shared: Shared {
                till,
                pricing,
                settings: Arc::new(settings),
            },
        }
    }

    /// Which pages may call it from a browser; every page unless told otherwise.
    #[must_use]
    pub fn cors(self, cors: Cors) -> Self {
        self.with(|settings| settings.cors = cors)
    }

    /// The longest body of a paid request, in bytes.
    #[must_use]
    pub fn request_body_bytes_max(self, bytes: usize) -> Self {
        self.with(|settings| settings.request_body_bytes_max = bytes)
    }

    /// The longest answer that is held back until the money has moved, in bytes.
    #[must_use]
    pub fn response_bytes_max(self, bytes: usize) -> Self {
        self.with(|settings| settings.response_bytes_max = bytes)
    }

    /// The longest answer that is kept for copies, in bytes.
    #[must_use]
    pub fn kept_bytes_max(self, bytes: usize) -> Self {
        self.with(|settings| settings.kept_bytes_max = bytes)
    }

    /// The longest wait for the service.
    #[must_use]
    pub fn serve_timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.serve_timeout = timeout)
    }

    /// Counts with these purchases, so that several layers can be waited for at once.
    #[must_use]
    pub fn counted_by(self, purchases: Purchases) -> Self {
        self.with(|settings| settings.purchases = purchases)
    }

    /// The purchases in progress.
    #[must_use]
    pub fn purchases(&self) -> Purchases {
        self.shared.settings.purchases.clone()
    }

    /// How long a copy of a request in progress waits for the first one's answer before it hears
    /// `payment_in_flight`. Default: [`limits::COPY_WAIT`].
    #[must_use]
    pub fn copy_wait(self, wait: Duration) -> Self {
        self.with(|settings| settings.copy_wait = wait)
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.shared.settings));
        self
    }
}

impl<P: fmt::Debug> fmt::Debug for PaywallLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaywallLayer")
            .field("pricing", &self.shared.pricing)
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

impl<S, P: Clone> Layer<S> for PaywallLayer<P> {
    type Service = Paywall<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Paywall::new(inner, self.shared.clone())
    }
}
