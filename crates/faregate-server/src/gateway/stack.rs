//! The way of a request through the gate, in order. What comes before it (sizes, times, numbers) is [`crate::http`].

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use faregate_core::route::{NormalisedPath, PathError, normalise_path};
use faregate_tower::{PaywallFuture, TabDesk, TokenDesk, respond, upgrade};
use faregate_types::{Code, Problem};
use futures_util::future::BoxFuture;
use http::header::{ALLOW, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use tower::{Service, ServiceExt};

use super::discovery::Manifest;
use super::proxy::Proxy;
use super::quote::Prices;
use super::table::{Destination, Fare, Table, asked_method};
use super::tunnel::Handshake;
use crate::config::GatewayConfig;
use crate::health::{self, Readiness};
use crate::http::{Gauge, Proxies};

/// The gate as a service. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    table: Arc<Table>,
    tunnels: Gauge,
    health: axum::Router,
    manifest: Option<Manifest>,
    prices: Option<Prices>,
    desk: Option<TokenDesk>,
    tabs: Option<TabDesk>,
    proxies: Proxies,
}

impl Gate {
    pub(super) fn new(
        table: Table,
        (desk, tabs): (Option<TokenDesk>, Option<TabDesk>),
        readiness: Readiness,
        tunnels: Gauge,
        config: &GatewayConfig,
    ) -> Self {
        Self {
            manifest: Manifest::new(config),
            prices: Prices::new(config),
            proxies: Proxies::new(&config.trusted_proxies),
            tunnels,
            desk,
            tabs,
            table: Arc::new(table),
            health: health::router(readiness),
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

/// The answer of a [`Gate`] on its way.
#[allow(missing_debug_implementations, reason = "a future has nothing to show")]
pub struct GateFuture(Way);

enum Way {
    Ready(Option<Response>),
    Sold(PaywallFuture<Infallible>),
    Waiting(BoxFuture<'static, Result<Response, Infallible>>),
}

impl GateFuture {
    fn problem(about: &Problem) -> Self {
        Self(Way::Ready(Some(respond::problem(about))))
    }
}

impl Future for GateFuture {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Way::Ready(response) => response
                .take()
                .map_or(Poll::Pending, |response| Poll::Ready(Ok(response))),
            Way::Sold(future) => Pin::new(future).poll(context),
            Way::Waiting(future) => future.as_mut().poll(context),
        }
    }
}

impl Service<Request<Body>> for Gate {
    type Response = Response;
    type Error = Infallible;
    type Future = GateFuture;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Proxies and paywalls over them are always ready; the number of requests is bounded in front of the gate.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> GateFuture {
        // 0 Whose request it is, when a proxy brought it.
        self.proxies.apply(&mut request);
        // 1 Methods that turn a gate into something else are not for it, and a method in small letters is one that some
        //   programs read as another.
        let method = request.method();
        if matches!(*method, Method::CONNECT | Method::TRACE)
            || method.as_str().contains(|c: char| c.is_ascii_lowercase())
        {
            return GateFuture::problem(&Problem::new(Code::MethodNotAllowed));
        }
        // 2 One reading of the path, for the price list and for the upstream.
        let uri = request.uri().clone();
        let path = match normalise_path(uri.path()) {
            Ok(path) => path,
            Err(PathError::TooLong) => return GateFuture::problem(&Problem::new(Code::UriTooLong)),
            Err(error) => {
                return GateFuture::problem(
                    &Problem::new(Code::BadRequest).detail(error.to_string()),
                );
            }
        };
        // 3 What the gate itself answers, whatever the routes say.
        if let Some(answer) = self.own(&mut request, &uri, &path) {
            return answer;
        }
        // 4 The host the payer asked for, to choose between routes and for nothing else.
        let Ok(host) = asked_host(request.headers(), &uri) else {
            return GateFuture::problem(
                &Problem::new(Code::BadRequest).detail("expected one Host header"),
            );
        };
        // 5 The first route that matches decides price and upstream.
        let method = asked_method(request.method(), request.headers());
        let destination = self.table.find(&method, host, &path);
        // 6 A WebSocket that cannot come about costs nothing.
        if upgrade::is_websocket(request.headers())
            && request.method() != Method::OPTIONS
            && let Some(response) = self.websocket(&destination, &mut request)
        {
            return GateFuture(Way::Ready(Some(response)));
        }
        // 7 The answer that most requests get, without copying anything.
        if let Destination::Route(route) = destination
            && let Fare::Fixed(paywall) = &route.fare
            && let Some(response) = paywall.at_once(request.method(), request.headers())
        {
            return GateFuture(Way::Ready(Some(response)));
        }
        // 8 Upstream and fingerprint see the path as it was compared.
        let Some(target) = target(&uri, path.wire()) else {
            return GateFuture::problem(&Problem::new(Code::BadRequest));
        };
        *request.uri_mut() = target;
        // 9 The paywall, and the proxy behind it.
        match destination {
            Destination::Route(route) => match &route.fare {
                Fare::Fixed(paywall) => GateFuture(Way::Sold(paywall.clone().call(request))),
                Fare::PerPath(many) => GateFuture(Way::Sold(many.paywall(&path).call(request))),
                Fare::Free(proxy) => straight(proxy, request),
            },
            Destination::Free(proxy) => straight(proxy, request),
            Destination::Nowhere => GateFuture::problem(&Problem::new(Code::NotFound)),
            Destination::OtherMethods(methods) => other_methods(&methods),
            Destination::Ambiguous => {
                let detail = "the path has an encoded slash or a ; parameter that other programs read as another path";
                GateFuture::problem(&Problem::new(Code::BadRequest).detail(detail))
            }
        }
    }
}

impl Gate {
    /// The answer to a request for a WebSocket that gets none, or `None` when it may go on.
    fn websocket(
        &self,
        destination: &Destination<'_>,
        request: &mut Request<Body>,
    ) -> Option<Response> {
        let refused = match destination {
            Destination::Route(route) => !route.websocket,
            Destination::Free(_) => false,
            Destination::Nowhere | Destination::OtherMethods(_) | Destination::Ambiguous => {
                return None;
            }
        };
        if refused {
            return Some(respond::problem(&Problem::new(Code::UpgradeNotSupported)));
        }
        Handshake::admit(request, &self.tunnels).err()
    }

    /// The gate's health, what it says about itself, and the endpoints for tokens and tabs. What is answered is taken.
    fn own(
        &self,
        request: &mut Request<Body>,
        uri: &Uri,
        path: &NormalisedPath<'_>,
    ) -> Option<GateFuture> {
        if matches!(path.key(), "/livez" | "/readyz") {
            return Some(self.health(mem::take(request)));
        }
        let (manifest, prices) = (self.manifest.as_ref(), self.prices.as_ref());
        let said = manifest
            .and_then(|manifest| manifest.answer(request.method(), path.key()))
            .or_else(|| prices?.answer(request.method(), path.key(), uri.query()));
        if let Some(response) = said {
            return Some(GateFuture(Way::Ready(Some(response))));
        }
        let desk = self.desk.as_ref().filter(|desk| desk.is_at(path.wire()));
        let tabs = self.tabs.as_ref().filter(|tabs| tabs.is_at(path.wire()));
        if desk.is_none() && tabs.is_none() {
            return None;
        }
        let Some(target) = target(uri, path.wire()) else {
            return Some(GateFuture::problem(&Problem::new(Code::BadRequest)));
        };
        let (desk, tabs, mut request) = (desk.cloned(), tabs.cloned(), mem::take(request));
        *request.uri_mut() = target;
        let answer = async move {
            Ok(match (desk, tabs) {
                (Some(desk), _) => desk.answer(request).await,
                (None, Some(tabs)) => tabs.answer(request).await,
                (None, None) => respond::problem(&Problem::new(Code::NotFound)),
            })
        };
        Some(GateFuture(Way::Waiting(Box::pin(answer))))
    }

    fn health(&self, request: Request<Body>) -> GateFuture {
        let router = self.health.clone();
        GateFuture(Way::Waiting(Box::pin(router.oneshot(request))))
    }
}

fn straight(proxy: &Proxy, request: Request<Body>) -> GateFuture {
    GateFuture(Way::Waiting(proxy.clone().call(request)))
}

fn other_methods(methods: &[Method]) -> GateFuture {
    let mut response = respond::problem(&Problem::new(Code::MethodNotAllowed));
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    if let Ok(value) = HeaderValue::from_str(&names.join(", ")) {
        response.headers_mut().insert(ALLOW, value);
    }
    GateFuture(Way::Ready(Some(response)))
}

/// More than one host, or one that cannot be read.
struct HostError;

/// The host of the request: of the URL when it is absolute, else of the one `Host` header, if there is one.
fn asked_host<'r>(headers: &'r HeaderMap, uri: &'r Uri) -> Result<Option<&'r str>, HostError> {
    if let Some(authority) = uri.authority() {
        return Ok(Some(authority.as_str()));
    }
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => Ok(None),
        (Some(host), None) => host.to_str().map(Some).map_err(|_| HostError),
        (Some(_), Some(_)) => Err(HostError),
    }
}

/// The request target with this path and the old query, without host.
fn target(uri: &Uri, path: &str) -> Option<Uri> {
    if uri.authority().is_none() && uri.path() == path {
        return Some(uri.clone());
    }
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    PathAndQuery::try_from(target).ok().map(Uri::from)
}
