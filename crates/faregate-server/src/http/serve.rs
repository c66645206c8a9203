//! Accepting connections, and stopping.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use faregate_tower::respond;
use futures_util::future::BoxFuture;
use http::Request;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tower::Service;

use super::connection::{self, Phase};
use super::guard::{Guard, Say};
use crate::limits::{self, Limits};

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be bound: in use, not ours, or not allowed.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The listener is broken.
    #[error("the listener has no address: {0}")]
    Listener(#[source] io::Error),
}

/// Binds a listener, so that the port is known before anything else starts.
///
/// # Errors
/// [`StartError::Bind`].
pub async fn listen(bind: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(bind)
        .await
        .map_err(|source| StartError::Bind { addr: bind, source })
}

/// Serves every request of `listener` with `service`, e.g. an [`axum::Router`], inside of `limits`. It answers when this
/// returns. `name` stands in logs. What the base itself has to say are problem details (RFC 9457).
///
/// # Errors
/// [`StartError::Listener`].
pub fn serve<S>(
    listener: TcpListener,
    service: S,
    limits: Limits,
    name: &'static str,
) -> Result<Running, StartError>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    serve_saying(listener, service, limits, name, respond::problem)
}

/// The same for a service whose clients read errors of another shape: `say` gives what the base has to say this shape.
///
/// # Errors
/// [`StartError::Listener`].
pub fn serve_saying<S>(
    listener: TcpListener,
    service: S,
    limits: Limits,
    name: &'static str,
    say: Say,
) -> Result<Running, StartError>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    let addr = listener.local_addr().map_err(StartError::Listener)?;
    let (phase, seen) = watch::channel(Phase::Running);
    let grace = limits.shutdown_timeout;
    let limits = Arc::new(limits);
    let guard = Guard::new(service, Arc::clone(&limits), name, say);
    tokio::spawn(accept(listener, guard, limits, seen));
    tracing::info!(server = name, %addr, "listening");
    Ok(Running {
        addr,
        phase,
        grace,
        name,
        also: Vec::new(),
    })
}

/// A server that runs until [`shutdown`](Self::shutdown). Dropping it closes every connection at once.
#[must_use = "dropping a server closes its connections"]
pub struct Running {
    addr: SocketAddr,
    phase: watch::Sender<Phase>,
    grace: Duration,
    name: &'static str,
    also: Vec<BoxFuture<'static, ()>>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("name", &self.name)
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Running {
    /// The address listened on, with the port that was really taken.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Work that goes on without a connection and has to end before the server counts as stopped.
    pub fn drain_also(mut self, work: impl Future<Output = ()> + Send + 'static) -> Self {
        self.also.push(Box::pin(work));
        self
    }

    /// Stops: no new connections, then what is in progress is finished, then everything is closed. Takes at most
    /// [`Limits::shutdown_timeout`] and a moment.
    pub async fn shutdown(self) {
        let Self {
            phase,
            grace,
            name,
            also,
            ..
        } = self;
        phase.send_replace(Phase::Draining);
        let deadline = Instant::now() + grace;
        let finished = async {
            phase.closed().await;
            for work in also {
                work.await;
            }
        };
        if timeout_at(deadline, finished).await.is_err() {
            tracing::warn!(server = name, "stopping with work in progress");
            phase.send_replace(Phase::Closing);
            drop(timeout(limits::CLOSE_WAIT, phase.closed()).await);
        }
        tracing::info!(server = name, "stopped");
    }
}

async fn accept<S>(
    listener: TcpListener,
    guard: Guard<S>,
    limits: Arc<Limits>,
    mut phase: watch::Receiver<Phase>,
) where
    S: Service<Request<Body>, Response = Response, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
{
    let room = Arc::new(Semaphore::new(
        limits.connections_max.min(Semaphore::MAX_PERMITS),
    ));
    loop {
        let next = async {
            // Acquired before accepting: who finds no room waits in the backlog.
            let permit = Arc::clone(&room).acquire_owned().await.ok()?;
            Some((permit, next_stream(&listener).await))
        };
        let (permit, stream) = tokio::select! {
            biased;
            // An error means that the server was dropped.
            _ = phase.wait_for(|phase| *phase != Phase::Running) => return,
            next = next => match next {
                Some(next) => next,
                None => return,
            },
        };
        let connection = connection::run(stream, guard.clone(), Arc::clone(&limits), phase.clone());
        tokio::spawn(async move {
            connection.await;
            drop(permit);
        });
    }
}

/// The next connection. One that fails on the way in is the peer's trouble; when the system is out of something, waiting
/// helps more than trying again at once.
async fn next_stream(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::ConnectionReset
                        | io::ErrorKind::ConnectionRefused
                ) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}
