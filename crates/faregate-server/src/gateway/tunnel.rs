//! WebSocket connections: a handshake that is checked before anybody pays, and then bytes in both directions.
//!
//! The gate reads no frames. It ends a connection when one side does, when nothing flows for too long, and when the server
//! stops; each end closes the other side too.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use faregate_tower::respond;
use faregate_types::{Code, Problem};
use http::header::{SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION};
use http::{HeaderValue, Method, Request, Version};
use http_body::Body as _;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tracing::Instrument;

use super::limits::{TUNNEL_BUFFER_BYTES, TUNNEL_LINGER, TUNNEL_OPEN_TIMEOUT};
use crate::http::{Gauge, Inside, Life};

/// The only version of the protocol (RFC 6455 §4.1).
const WEBSOCKET_VERSION: HeaderValue = HeaderValue::from_static("13");

/// Everything that is needed to hand a payer's connection over, in the extensions of a request with a good handshake. A
/// place among the tunnels is taken for as long as it lives.
#[derive(Clone, Debug)]
pub(super) struct Handshake {
    upgrade: OnUpgrade,
    life: Option<Life>,
    place: Arc<Inside>,
}

impl Handshake {
    /// Checks a request that asks for a WebSocket, before it costs anything, and puts a [`Handshake`] into it.
    ///
    /// # Errors
    /// The answer when no connection can come of it.
    #[allow(
        clippy::result_large_err,
        reason = "the answer is what the caller wants then"
    )]
    pub(super) fn admit(request: &mut Request<Body>, tunnels: &Gauge) -> Result<(), Response> {
        let bad = |detail| respond::problem(&Problem::new(Code::BadRequest).detail(detail));
        if request.method() != Method::GET || request.version() != Version::HTTP_11 {
            return Err(bad("a WebSocket is asked for with GET and HTTP/1.1"));
        }
        if !request.body().is_end_stream() {
            return Err(bad("a request for a WebSocket has no body"));
        }
        let headers = request.headers();
        if headers.get(SEC_WEBSOCKET_VERSION) != Some(&WEBSOCKET_VERSION) {
            let about = Problem::new(Code::BadRequest).detail("expected WebSocket version 13");
            let mut response = respond::problem(&about.status(426));
            let headers = response.headers_mut();
            headers.insert(SEC_WEBSOCKET_VERSION, WEBSOCKET_VERSION);
            return Err(response);
        }
        // 16 bytes in base64; the service makes its answer from them.
        if headers
            .get(SEC_WEBSOCKET_KEY)
            .is_none_or(|key| key.len() != 24)
        {
            return Err(bad("expected a Sec-WebSocket-Key of 16 bytes in base64"));
        }
        let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
            return Err(respond::problem(&Problem::new(Code::UpgradeNotSupported)));
        };
        let Some(place) = tunnels.enter() else {
            return Err(respond::problem(&Problem::new(Code::Overloaded)));
        };
        let life = request.extensions_mut().remove::<Life>();
        request.extensions_mut().insert(Self {
            upgrade,
            life,
            place: Arc::new(place),
        });
        Ok(())
    }

    /// Connects the payer, once the answer has left, with what the upstream switched to.
    pub(super) fn connect(self, upstream: OnUpgrade, idle: Duration) {
        tokio::spawn(self.carry(upstream, idle).in_current_span());
    }

    async fn carry(self, upstream: OnUpgrade, idle: Duration) {
        let Self {
            upgrade,
            life,
            place,
        } = self;
        let both = async { tokio::try_join!(upgrade, upstream) };
        let (payer, upstream) = match timeout(TUNNEL_OPEN_TIMEOUT, both).await {
            Ok(Ok(both)) => both,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a WebSocket did not come about");
                return;
            }
            Err(_elapsed) => return,
        };
        metrics::counter!(TUNNELS_TOTAL).increment(1);
        let _open = Open::new();
        let flow = Flow::default();
        let mut payer = Watched(TokioIo::new(payer), flow.clone());
        let mut upstream = TokioIo::new(upstream);
        let size = TUNNEL_BUFFER_BYTES;
        let closing = async {
            match life {
                Some(mut life) => life.closing().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = copy_bidirectional_with_sizes(&mut payer, &mut upstream, size, size) => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a WebSocket ended early");
                }
            }
            () = flow.has_ended() => {}
            () = flow.stops(idle) => tracing::debug!("a WebSocket was idle for too long"),
            () = closing => {}
        }
        drop(place);
    }
}

/// Registers what the metrics of this module mean.
pub(crate) fn describe_metrics() {
    metrics::describe_gauge!(TUNNELS, "Open WebSocket connections");
    metrics::describe_counter!(TUNNELS_TOTAL, "WebSocket connections that were opened");
}

const TUNNELS: &str = "faregate_gate_tunnels";
const TUNNELS_TOTAL: &str = "faregate_gate_tunnels_total";

/// Counted until it is dropped.
struct Open(metrics::Gauge);

impl Open {
    fn new() -> Self {
        let gauge = metrics::gauge!(TUNNELS);
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// What flows.
#[derive(Clone, Debug, Default)]
struct Flow(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// How often something did.
    count: AtomicU64,
    /// One side has no more to say.
    ended: Notify,
}

impl Flow {
    fn note(&self) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
    }

    fn end(&self) {
        self.0.ended.notify_one();
    }

    /// Returns a moment after one side ended: what is on its way may still arrive.
    async fn has_ended(&self) {
        self.0.ended.notified().await;
        sleep(TUNNEL_LINGER).await;
    }

    /// Returns once nothing has flowed for `idle`, at the latest after twice that time.
    async fn stops(&self, idle: Duration) {
        let mut before = self.0.count.load(Ordering::Relaxed);
        loop {
            sleep(idle).await;
            let now = self.0.count.load(Ordering::Relaxed);
            if now == before {
                return;
            }
            before = now;
        }
    }
}

/// The payer's end: whatever is read from it or written to it flows.
struct Watched<T>(T, Flow);

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.1.note();
        } else if buffer.remaining() > 0 {
            self.1.end();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.0).poll_write(context, bytes))?;
        self.1.note();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.1.end();
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
