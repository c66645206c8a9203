//! Carrying a request to the service behind, over HTTP/1.1 with a pool of connections, with TLS where its URL says so.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use faregate_tower::{Paid, respond, upgrade};
use faregate_types::{Code, Problem};
use futures_util::future::BoxFuture;
use http::header::{CONNECTION, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client as Pool, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tokio::time::{Sleep, sleep, timeout};
use tower::Service;
use url::{Position, Url};

use super::forward::{self, Front};
use super::limits::{self, GatewayLimits};
use super::tunnel::Handshake;
use crate::http::Peer;

/// Connections to upstreams. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Body>,
    timeout: Duration,
    idle: Duration,
}

impl Client {
    /// Speaks plain HTTP, and TLS as `tls` says.
    pub(super) fn new(limits: &GatewayLimits, tls: ClientConfig) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(limits::CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_idle_timeout(limits::IDLE_TIMEOUT)
            .pool_max_idle_per_host(limits::IDLE_CONNECTIONS_MAX)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self {
            pool,
            timeout: limits.upstream_timeout,
            idle: limits.stream_idle_timeout,
        }
    }
}

/// One service behind the gate.
#[derive(Debug)]
pub(super) struct Upstream {
    scheme: Scheme,
    authority: Authority,
    /// Path below which everything is, without a slash at its end; mostly empty.
    base: Box<str>,
    /// How it calls itself in redirects.
    url: Box<str>,
    /// What payers call the gate, without a slash at its end.
    public_url: Box<str>,
    front: Front,
}

impl Upstream {
    /// `None` when the URL is none that the gate can call.
    pub(super) fn new(url: &Url, public_url: &Url) -> Option<Self> {
        let scheme = match url.scheme() {
            "http" => Scheme::HTTP,
            "https" => Scheme::HTTPS,
            _ => return None,
        };
        let authority = &url[Position::BeforeHost..Position::AfterPort];
        let public = &public_url[Position::BeforeHost..Position::AfterPort];
        Some(Self {
            scheme,
            authority: authority.parse().ok()?,
            base: url.path().trim_end_matches('/').into(),
            url: url.as_str().trim_end_matches('/').into(),
            public_url: public_url.as_str().trim_end_matches('/').into(),
            front: Front {
                host: HeaderValue::from_str(public).ok()?,
                proto: HeaderValue::from_str(public_url.scheme()).ok()?,
            },
        })
    }

    fn target(&self, asked: &Uri) -> Option<Uri> {
        let asked = asked
            .path_and_query()
            .cloned()
            .unwrap_or(PathAndQuery::from_static("/"));
        let path = if self.base.is_empty() {
            asked
        } else {
            format!("{}{asked}", self.base).try_into().ok()?
        };
        let parts = Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone());
        parts.path_and_query(path).build().ok()
    }
}

/// Carries requests to one upstream. Always ready: what it may hold at the same time is bounded in front of the gate.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    client: Client,
    upstream: Arc<Upstream>,
}

impl Proxy {
    pub(super) fn new(client: Client, upstream: Upstream) -> Self {
        Self {
            client,
            upstream: Arc::new(upstream),
        }
    }

    async fn carry(self, request: Request<Body>) -> Response {
        let Self { client, upstream } = self;
        let (mut head, body) = request.into_parts();
        let Some(target) = upstream.target(&head.uri) else {
            return respond::problem(&Problem::new(Code::BadRequest));
        };
        let paid = head.extensions.get::<Paid>().cloned();
        let peer = head.extensions.get::<Peer>().copied();
        let handshake = head.extensions.remove::<Handshake>();
        forward::request(&mut head.headers, &upstream.front, peer, paid.as_ref());
        if handshake.is_some() {
            switch_to_websocket(&mut head.headers);
        }
        let mut onward = Request::new(body);
        *onward.method_mut() = head.method;
        *onward.uri_mut() = target;
        *onward.headers_mut() = head.headers;
        match timeout(client.timeout, client.pool.request(onward)).await {
            Ok(Ok(answer)) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => {
                upstream.switch(answer, handshake, client.idle)
            }
            Ok(Ok(answer)) => upstream.answer(answer, client.idle),
            Ok(Err(error)) => failed(&error),
            Err(_elapsed) => respond::problem(&Problem::new(Code::UpstreamTimeout)),
        }
    }
}

impl Upstream {
    fn answer(&self, answer: http::Response<Incoming>, stall: Duration) -> Response {
        let (mut head, body) = answer.into_parts();
        forward::response(&mut head.headers, &self.url, &self.public_url);
        head.version = Version::HTTP_11;
        let body = if body.is_end_stream() {
            Body::empty()
        } else {
            Body::new(Paced {
                body,
                stall,
                timer: None,
            })
        };
        Response::from_parts(head, body)
    }
}

impl Upstream {
    /// Hands the connection over, if the payer asked for what the upstream switched to.
    fn switch(
        &self,
        mut answer: http::Response<Incoming>,
        handshake: Option<Handshake>,
        idle: Duration,
    ) -> Response {
        let Some(handshake) = handshake.filter(|_| upgrade::is_websocket(answer.headers())) else {
            return respond::problem(&Problem::new(Code::UpstreamAnswerInvalid));
        };
        handshake.connect(hyper::upgrade::on(&mut answer), idle);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let (mut head, _) = answer.into_parts();
        forward::response(&mut head.headers, &self.url, &self.public_url);
        switch_to_websocket(&mut head.headers);
        *response.headers_mut() = head.headers;
        response
    }
}

fn switch_to_websocket(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// The upstream's trouble, or the payer's whose body broke off.
fn failed(error: &Error) -> Response {
    let code = if error.is_connect() {
        Code::UpstreamUnavailable
    } else {
        Code::UpstreamAnswerInvalid
    };
    tracing::warn!(%error, code = code.as_str(), "an upstream gave no answer");
    respond::problem(&Problem::new(code))
}

impl Service<Request<Body>> for Proxy {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let carried = self.clone().carry(request);
        Box::pin(async move { Ok(carried.await) })
    }
}

/// A body that must keep coming.
struct Paced {
    body: Incoming,
    stall: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let Poll::Ready(next) = Pin::new(&mut this.body).poll_frame(context) else {
            let stall = this.stall;
            let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(stall)));
            ready!(timer.as_mut().poll(context));
            let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
            return Poll::Ready(Some(Err(axum::Error::new(late))));
        };
        this.timer = None;
        Poll::Ready(next.map(|frame| frame.map_err(axum::Error::new)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
