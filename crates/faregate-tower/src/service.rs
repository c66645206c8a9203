//! The service: which way a request goes.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use faregate_core::{Headers, Paid as CorePaid, Reading};
use faregate_types::{Code, Problem, Refusal};
use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Request};
use tower::{BoxError, Service};

use crate::extract::Paid;
use crate::layer::{Settings, Shared};
use crate::metrics::Ended;
use crate::price::{Price, Priced, Pricing};
use crate::purchase::Purchase;
use crate::{peer, respond, upgrade};

/// A service with a price. Made by [`PaywallLayer`](crate::PaywallLayer).
#[derive(Clone)]
pub struct Paywall<S, P = Arc<Priced>> {
    inner: S,
    shared: Shared<P>,
}

impl<S, P> Paywall<S, P> {
    pub(crate) const fn new(inner: S, shared: Shared<P>) -> Self {
        Self { inner, shared }
    }
}

impl<S: Clone, P> Paywall<S, P> {
    /// The same service with other prices. Whoever makes them asks [`Till::serves`](faregate_core::Till::serves) first.
    #[must_use]
    pub fn with_pricing<Q: Pricing>(&self, pricing: Q) -> Paywall<S, Q> {
        let Shared { till, settings, .. } = &self.shared;
        let shared = Shared {
            till: till.clone(),
            pricing,
            settings: Arc::clone(settings),
        };
        Paywall::new(self.inner.clone(), shared)
    }
}

impl<S: fmt::Debug, P: fmt::Debug> fmt::Debug for Paywall<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paywall")
            .field("inner", &self.inner)
            .field("pricing", &self.shared.pricing)
            .finish_non_exhaustive()
    }
}

/// The answer on its way. The common answers are there at once and cost no allocation here.
#[allow(missing_debug_implementations, reason = "a future has nothing to show")]
pub struct PaywallFuture<E>(State<E>);

enum State<E> {
    Ready(Option<Response>),
    Waiting(BoxFuture<'static, Result<Response, E>>),
}

impl<E> PaywallFuture<E> {
    const fn ready(response: Response) -> Self {
        Self(State::Ready(Some(response)))
    }

    fn waiting(future: impl Future<Output = Result<Response, E>> + Send + 'static) -> Self {
        Self(State::Waiting(Box::pin(future)))
    }
}

impl<E> Future for PaywallFuture<E> {
    type Output = Result<Response, E>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(response) => response
                .take()
                .map_or(Poll::Pending, |response| Poll::Ready(Ok(response))),
            State::Waiting(future) => future.as_mut().poll(context),
        }
    }
}

impl<S, P, B, R> Service<Request<B>> for Paywall<S, P>
where
    S: Service<Request<Body>, Response = http::Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    P: Pricing,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = PaywallFuture<S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        let priced = match self.shared.pricing.price(&head) {
            Price::Paid(priced) => priced,
            Price::Free => {
                let answer = self
                    .ready_inner()
                    .call(Request::from_parts(head, Body::new(body)));
                return PaywallFuture::waiting(async move { Ok(answer.await?.map(Body::new)) });
            }
        };
        if head.method == Method::OPTIONS {
            return PaywallFuture::ready(self.shared.preflight(&head.headers));
        }
        if let Some(refused) = self.shared.no_upgrade(&priced, &head.headers) {
            return PaywallFuture::ready(refused);
        }
        if let Some(paid) = self.shared.pass(&priced, &head) {
            return self.passed(&priced, Request::from_parts(head, Body::new(body)), paid);
        }
        match self.shared.till.read(&head.headers, priced.offer()) {
            Reading::Nothing => match self.shared.prepared(&priced, &head.headers) {
                Some(response) => PaywallFuture::ready(response),
                None => {
                    priced.meter.ended(Ended::Challenged);
                    self.challenge(priced, head, Refusal::new(Code::PaymentRequired))
                }
            },
            Reading::Malformed(refusal) => {
                priced.meter.ended(Ended::Malformed);
                self.challenge(priced, head, refusal)
            }
            Reading::Found(credential) => {
                let (till, asked) = (&self.shared.till, peer::asked(&head));
                let paid = till.new_pass(&head.headers, priced.offer(), &asked, &credential);
                if let Some(paid) = paid {
                    return self.passed(&priced, Request::from_parts(head, Body::new(body)), paid);
                }
                let inner = self.ready_inner();
                let Shared { till, settings, .. } = &self.shared;
                let (till, settings) = (till.clone(), Arc::clone(settings));
                let purchase = Purchase {
                    inner,
                    till,
                    settings,
                    priced,
                    credential,
                };
                PaywallFuture::waiting(purchase.run(head, Body::new(body)))
            }
        }
    }
}

impl<S, P, R> Paywall<S, P>
where
    S: Service<Request<Body>, Response = http::Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    /// What was bought goes through like what is free, in both directions.
    fn passed(
        &mut self,
        priced: &Priced,
        mut request: Request<Body>,
        paid: CorePaid,
    ) -> PaywallFuture<S::Error> {
        priced.meter.ended(Ended::Sold);
        let settings = Arc::clone(&self.shared.settings);
        let asked = settings.cors.asked(request.headers());
        request.extensions_mut().insert(Paid::from(paid));
        let answer = self.ready_inner().call(request);
        PaywallFuture::waiting(async move {
            let mut answer = answer.await?.map(Body::new);
            respond::sold(answer.headers_mut(), Headers::new());
            settings.cors.apply(&asked, answer.headers_mut());
            Ok(answer)
        })
    }
}

impl<S> Paywall<S> {
    /// The answer that needs neither the service nor any waiting: a preflight's, and the 402 once it was made. `None` means
    /// that the service has to be called. For routers that want to spare themselves a clone.
    #[must_use]
    pub fn at_once(&self, method: &Method, headers: &HeaderMap) -> Option<Response> {
        if method == Method::OPTIONS {
            return Some(self.shared.preflight(headers));
        }
        if let Some(refused) = self.shared.no_upgrade(&self.shared.pricing, headers) {
            return Some(refused);
        }
        // Only a hint, so that a credential is not decoded twice.
        let maybe_paid = CREDENTIALS.iter().any(|name| headers.contains_key(name));
        let (till, offer) = (&self.shared.till, self.shared.pricing.offer());
        if maybe_paid || !matches!(till.read(headers, offer), Reading::Nothing) {
            return None;
        }
        self.shared.prepared(&self.shared.pricing, headers)
    }
}

/// Headers that credentials come in.
const CREDENTIALS: [HeaderName; 3] = [
    HeaderName::from_static("payment-signature"),
    HeaderName::from_static("x-payment"),
    AUTHORIZATION,
];

impl<P> Shared<P> {
    /// Answered here whoever asks: behind the paywall it could be a way around it.
    fn preflight(&self, request: &HeaderMap) -> Response {
        respond::preflight(&self.settings.cors, request)
    }

    /// Refused before anybody signs: what flows over the connection could not be held back.
    fn no_upgrade(&self, priced: &Priced, request: &HeaderMap) -> Option<Response> {
        if !upgrade::is_websocket(request) || upgrade::is_possible(priced.offer().policy()) {
            return None;
        }
        priced.meter.ended(Ended::Malformed);
        let about = Problem::new(Code::UpgradeNotSupported)
            .detail("this route is paid for after it was served, and a WebSocket cannot be held back that long; nothing was charged");
        Some(respond::error(&about, &self.settings.cors, request))
    }

    /// What was bought and goes straight through. `Authorization` is where such credentials come.
    fn pass(&self, priced: &Priced, head: &Parts) -> Option<CorePaid> {
        let maybe = head.headers.contains_key(AUTHORIZATION);
        let asked = maybe.then(|| peer::asked(head))?;
        self.till.pass(&head.headers, priced.offer(), &asked)
    }

    /// The 402, if it was made already.
    fn prepared(&self, priced: &Priced, request: &HeaderMap) -> Option<Response> {
        let prepared = priced.prepared.get()?;
        if !prepared.is_for(&self.settings.cors) {
            return None;
        }
        self.till
            .tell_challenged(priced.offer(), Code::PaymentRequired);
        priced.meter.ended(Ended::Challenged);
        Some(prepared.response(request))
    }
}

impl<S: Clone, P> Paywall<S, P> {
    /// The service that said it is ready; a fresh clone takes its place.
    fn ready_inner(&mut self) -> S {
        let spare = self.inner.clone();
        mem::replace(&mut self.inner, spare)
    }

    fn challenge<E>(&self, priced: Arc<Priced>, request: Parts, why: Refusal) -> PaywallFuture<E> {
        let till = self.shared.till.clone();
        let (asked, request) = (peer::asked(&request), request.headers);
        let settings: Arc<Settings> = Arc::clone(&self.shared.settings);
        till.tell_challenged(priced.offer(), why.code);
        PaywallFuture::waiting(async move {
            let response = match till.challenge(priced.offer(), &asked, &why).await {
                Ok(challenge) => {
                    let prepared = respond::Prepared::new(&challenge, &settings.cors);
                    let response = prepared.response(&request);
                    if why.code == Code::PaymentRequired && challenge.reusable {
                        // A lost race stores the same answer.
                        drop(priced.prepared.set(prepared));
                    }
                    response
                }
                Err(away) => respond::away(away, &settings.cors, &request),
            };
            Ok(response)
        })
    }
}
