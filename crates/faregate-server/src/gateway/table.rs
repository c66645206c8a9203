//! From configuration to services: one entry per route, ready to be called.

use std::sync::Arc;

use faregate_core::route::{Lookup, NormalisedPath, RouteTable};
use faregate_core::{Ask, Offer, Resource, Till};
use faregate_tower::limits::SERVE_TIMEOUT;
use faregate_tower::{Paywall, PaywallLayer, Priced, Purchases};
use http::{HeaderMap, Method};
use rustls::ClientConfig;
use tower::Layer;
use url::Url;

use super::StartError;
use super::proxy::{Client, Proxy, Upstream};
use super::tls;
use crate::config::{GatewayConfig, RouteConfig, RouteOffer, RoutePrice, Unmatched};

/// All routes, and what happens to the rest.
pub(super) struct Table {
    routes: RouteTable<Route>,
    unmatched: Option<Proxy>,
}

/// One route, ready to be called.
pub(super) struct Route {
    pub(super) fare: Fare,
    /// Whether a request may ask for a WebSocket.
    pub(super) websocket: bool,
}

/// What a route's requests go through.
pub(super) enum Fare {
    /// Straight to the upstream.
    Free(Proxy),
    /// One price, one URL.
    Fixed(Paywall<Proxy>),
    /// One price for many paths, each a resource with a URL of its own.
    PerPath(Box<PerPath>),
}

/// See [`Fare::PerPath`].
pub(super) struct PerPath {
    paywall: Paywall<Proxy>,
    offer: Arc<Priced>,
    public_url: Box<str>,
}

impl PerPath {
    /// The paywall with the offer for this path.
    pub(super) fn paywall(&self, path: &NormalisedPath<'_>) -> Paywall<Proxy> {
        let url = format!("{}{}", self.public_url, path.wire());
        self.paywall.with_pricing(self.offer.at(url))
    }
}

/// Where a request goes.
pub(super) enum Destination<'t> {
    /// A route.
    Route(&'t Route),
    /// No route, and that is free.
    Free(&'t Proxy),
    /// No route.
    Nowhere,
    /// Routes for this path, and none for this method.
    OtherMethods(Vec<Method>),
    /// Two programs could read the path as two routes.
    Ambiguous,
}

impl Table {
    pub(super) fn new(
        config: &GatewayConfig,
        till: &Till,
        purchases: &Purchases,
    ) -> Result<Self, StartError> {
        let client = Client::new(&config.limits, tls_config(config)?);
        let public_url = config.public_url.as_str().trim_end_matches('/');
        let maker = Maker {
            config,
            till,
            purchases,
            client: &client,
            public_url,
        };
        let mut routes = Vec::new();
        for route in &config.routes {
            let made = Route {
                fare: maker.fare(route)?,
                websocket: route.websocket,
            };
            routes.push((route.pattern.clone(), made));
        }
        let unmatched = match &config.unmatched {
            Unmatched::Refuse => None,
            Unmatched::Free(url) => Some(maker.proxy("unmatched", url)?),
        };
        Ok(Self {
            routes: RouteTable::new(routes),
            unmatched,
        })
    }

    pub(super) fn find(
        &self,
        method: &Method,
        host: Option<&str>,
        path: &NormalisedPath<'_>,
    ) -> Destination<'_> {
        match self.routes.find(method, host, path) {
            Lookup::Route(route) => Destination::Route(route),
            Lookup::Ambiguous => Destination::Ambiguous,
            Lookup::Unmatched => match &self.unmatched {
                Some(proxy) => Destination::Free(proxy),
                None => self.refusal(host, path),
            },
        }
    }

    fn refusal(&self, host: Option<&str>, path: &NormalisedPath<'_>) -> Destination<'_> {
        if !self.routes.knows_path(host, path) {
            return Destination::Nowhere;
        }
        let methods = [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ];
        let taken =
            |method: &Method| matches!(self.routes.find(method, host, path), Lookup::Route(_));
        Destination::OtherMethods(methods.into_iter().filter(taken).collect())
    }
}

/// What a request asks for, as far as routes care: a preflight asks for the method that is to follow.
pub(super) fn asked_method(method: &Method, headers: &HeaderMap) -> Method {
    let following = headers
        .get(http::header::ACCESS_CONTROL_REQUEST_METHOD)
        .filter(|_| *method == Method::OPTIONS)
        .and_then(|value| Method::from_bytes(value.as_bytes()).ok());
    following.unwrap_or_else(|| method.clone())
}

struct Maker<'m> {
    config: &'m GatewayConfig,
    till: &'m Till,
    purchases: &'m Purchases,
    client: &'m Client,
    public_url: &'m str,
}

impl Maker<'_> {
    fn proxy(&self, route: &str, url: &Url) -> Result<Proxy, StartError> {
        let upstream = Upstream::new(url, &self.config.public_url);
        let upstream = upstream.ok_or_else(|| StartError::Upstream {
            route: route.into(),
            url: url.as_str().into(),
        })?;
        Ok(Proxy::new(self.client.clone(), upstream))
    }

    /// An offer is taken whole: a way to pay that silently is not there is a sale that silently is not made.
    fn check_taken(&self, route: &str, offer: &Offer) -> Result<(), StartError> {
        let missing = offer.asks().iter().find(|ask| !self.till.takes(offer, ask));
        missing.map_or(Ok(()), |ask| {
            let what = match ask {
                Ask::Lightning(ask) => format!("{} over Lightning", ask.price),
                Ask::Permit(ask) => format!("with permits in {}", ask.amount.asset()),
                Ask::Credit(ask) => format!("on credit in {}", ask.amount.asset()),
                _ => format!("in {}", ask.amount().asset()),
            };
            Err(StartError::NotTaken {
                route: route.into(),
                what: what.into(),
            })
        })
    }

    fn fare(&self, route: &RouteConfig) -> Result<Fare, StartError> {
        let name = route.pattern.text();
        let proxy = self.proxy(name, &route.upstream)?;
        let RoutePrice::Paid(terms) = &route.price else {
            return Ok(Fare::Free(proxy));
        };
        let fixed = route.pattern.fixed_path();
        let url = format!("{}{}", self.public_url, fixed.as_deref().unwrap_or("/"));
        let offer = offer(name, url, terms)?;
        if self.till.serves(&offer) {
            self.check_taken(name, &offer)?;
        }
        let many = fixed.is_none().then(|| offer.at(""));
        let limits = &self.config.limits;
        let layer = PaywallLayer::new(self.till.clone(), offer)
            .map_err(|_| StartError::NoRail { route: name.into() })?
            .cors(self.config.cors.clone())
            .request_body_bytes_max(limits.paid_body_bytes_max)
            .response_bytes_max(limits.response_bytes_max)
            .kept_bytes_max(limits.kept_bytes_max)
            .serve_timeout(limits.upstream_timeout.max(SERVE_TIMEOUT))
            .counted_by(self.purchases.clone());
        let paywall = layer.layer(proxy);
        Ok(match many {
            None => Fare::Fixed(paywall),
            Some(offer) => {
                let public_url = self.public_url.into();
                Fare::PerPath(Box::new(PerPath {
                    paywall,
                    offer: Priced::new(offer),
                    public_url,
                }))
            }
        })
    }
}

/// Certificates are looked for when some upstream needs them.
fn tls_config(config: &GatewayConfig) -> Result<ClientConfig, StartError> {
    let unmatched = match &config.unmatched {
        Unmatched::Refuse => None,
        Unmatched::Free(url) => Some(url),
    };
    let mut upstreams = config
        .routes
        .iter()
        .map(|route| &route.upstream)
        .chain(unmatched);
    let file = config.upstream_ca.as_deref();
    let made = if upstreams.any(|url| url.scheme() == "https") {
        tls::config(file)
    } else {
        tls::none()
    };
    made.map_err(|source| StartError::Tls {
        file: file.map(Into::into),
        source,
    })
}

/// Every offer of the routes with a price, as they stand in 402 answers but for their URLs.
pub(super) fn offers(config: &GatewayConfig) -> Result<Vec<Offer>, StartError> {
    let priced = config.routes.iter().filter_map(|route| match &route.price {
        RoutePrice::Paid(terms) => Some((route.pattern.text(), terms)),
        RoutePrice::Free => None,
    });
    priced
        .map(|(name, terms)| offer(name, config.public_url.to_string(), terms))
        .collect()
}

fn offer(route: &str, url: String, terms: &RouteOffer) -> Result<Offer, StartError> {
    let resource = Resource {
        url: url.into(),
        description: terms.description.clone(),
        mime_type: terms.mime_type.clone(),
    };
    let asks = terms.asks.clone();
    let offer = Offer::new(route, resource, asks, terms.settle, terms.max_timeout_secs);
    let offer = offer.map_err(|source| StartError::Offer {
        route: route.into(),
        source,
    })?;
    let offer = offer.with_identifier(terms.identifier);
    Ok(match terms.exposure_max {
        Some(max) => offer.with_exposure_max(max),
        None => offer,
    })
}
