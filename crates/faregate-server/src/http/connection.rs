//! One connection: hyper over a socket that notices a peer who stopped reading.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::Request;
use http::header::UPGRADE;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Sleep, sleep};
use tower::Service;

use super::Peer;
use super::guard::Guard;
use crate::limits::Limits;

/// What the server is doing, as its connections see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// Finish what is in progress, take nothing new.
    Draining,
    /// Stop now.
    Closing,
}

/// The life of the server, for work that outlives its connection: in the extensions of requests that ask for another
/// protocol. While it lives, a server that stops waits.
#[derive(Clone, Debug)]
pub(crate) struct Life(watch::Receiver<Phase>);

impl Life {
    /// Returns when everything has to be closed at once.
    pub(crate) async fn closing(&mut self) {
        // An error means that the server was dropped.
        drop(self.0.wait_for(|phase| *phase == Phase::Closing).await);
    }
}

/// Serves one connection until it ends, or the server does.
pub(super) async fn run<S>(
    stream: TcpStream,
    guard: Guard<S>,
    limits: Arc<Limits>,
    mut phase: watch::Receiver<Phase>,
) where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let peer = stream.peer_addr().ok().map(Peer);
    let socket = Socket::new(stream, limits.write_stall_timeout);
    let life = phase.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        if request.headers().contains_key(UPGRADE) {
            request.extensions_mut().insert(Life(life.clone()));
        }
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        guard.clone().answer(request)
    });
    let connection = builder(&limits).serve_connection(socket, service);
    let mut connection = pin!(connection.with_upgrades());
    let mut draining = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            changed = phase.changed() => {
                let now = changed.map_or(Phase::Closing, |()| *phase.borrow_and_update());
                match now {
                    Phase::Running => {}
                    Phase::Draining if !draining => {
                        draining = true;
                        connection.as_mut().graceful_shutdown();
                    }
                    Phase::Draining => {}
                    Phase::Closing => return,
                }
            }
        }
    }
}

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.headers_max)
        .max_header_size(limits.header_bytes_max)
        // hyper panics below 8 KiB; the buffer has to hold the largest head.
        .max_buf_size(limits.header_bytes_max.max(16 * 1024))
        .half_close(false);
    builder
}

/// A socket that fails when the peer takes nothing for too long.
struct Socket {
    io: TokioIo<TcpStream>,
    stall: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    fn new(stream: TcpStream, stall: Duration) -> Self {
        Self {
            io: TokioIo::new(stream),
            stall,
            timer: None,
        }
    }

    fn watched<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.timer = None;
            return written;
        }
        let stall = self.stall;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(stall)));
        match timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.watched(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, pieces);
        self.watched(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.watched(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
