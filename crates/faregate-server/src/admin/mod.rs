//! What only the operator sees, on an address of its own that is off unless it is configured.
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | every metric of the process in the text format of Prometheus |
//! | `/livez`, `/health` | 200 while the process answers |
//! | `/l402/revocations` | tokens that were revoked, and one more (`POST`), for whoever has `[admin] key` |
//! | `/readyz` | 200 while it can work; 503 with a code when a part is away, and from the moment it is told to stop |
//!
//! Otherwise nobody has to say who they are here: the address has to be one that only the operator reaches, loopback by default.

mod exporter;
mod process;
mod revoking;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use faregate_tower::respond;
use faregate_types::{Code, Problem};

use tokio::task::AbortHandle;

use crate::health::{self, Readiness};
use crate::http::{self, Limits, Running, StartError};
use crate::limits;

pub use exporter::{InstallError, Metrics, install};
pub use process::describe;
pub use revoking::Revoking;

/// The admin address, listening.
pub struct Admin {
    running: Running,
    stopping: Arc<AtomicBool>,
    upkeep: AbortHandle,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Admin").field(&self.running.addr()).finish()
    }
}

#[derive(Clone)]
struct Shared {
    metrics: Metrics,
    readiness: Readiness,
    stopping: Arc<AtomicBool>,
}

impl Admin {
    /// Listens on `bind`. It answers when this returns.
    ///
    /// # Errors
    /// [`StartError`] when the address cannot be bound.
    pub async fn start(
        bind: SocketAddr,
        metrics: Metrics,
        readiness: Readiness,
        revoking: Option<Revoking>,
    ) -> Result<Self, StartError> {
        let listener = http::listen(bind).await?;
        let stopping = Arc::new(AtomicBool::new(false));
        let upkeep = tokio::spawn(exporter::upkeep(metrics.clone())).abort_handle();
        let shared = Shared {
            metrics,
            readiness: readiness.clone(),
            stopping: Arc::clone(&stopping),
        };
        let revocations = Router::new()
            .route("/l402/revocations", get(revoking::list).post(revoking::put))
            .with_state(revoking);
        // `/readyz` is our own here, because the parts of a server that is stopping are still fine.
        let router = Router::new()
            .route("/metrics", get(metrics_page))
            .route("/readyz", get(ready))
            .with_state(shared)
            .merge(health::live_router())
            .merge(revocations)
            .fallback(async || http::not_found())
            .method_not_allowed_fallback(async || http::method_not_allowed());
        let running = http::serve(listener, router, own_limits(), "admin")?;
        Ok(Self {
            running,
            stopping,
            upkeep,
        })
    }

    /// Where it listens, with the port that was really taken.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.running.addr()
    }

    /// From now on `/readyz` says that the service is stopping. Everything else goes on, so that the end can be watched.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Stops listening.
    pub async fn shutdown(self) {
        self.upkeep.abort();
        self.running.shutdown().await;
    }
}

fn own_limits() -> Limits {
    Limits {
        connections_max: limits::ADMIN_CONNECTIONS_MAX,
        requests_max: limits::ADMIN_CONNECTIONS_MAX,
        body_bytes_max: limits::ADMIN_BODY_BYTES_MAX,
        request_timeout: limits::ADMIN_TIMEOUT,
        shutdown_timeout: limits::ADMIN_SHUTDOWN_TIMEOUT,
        ..Limits::default()
    }
}

async fn metrics_page(State(shared): State<Shared>) -> Response {
    process::observe();
    let headers = [
        (CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, shared.metrics.render()).into_response()
}

async fn ready(State(shared): State<Shared>) -> Response {
    if shared.stopping.load(Ordering::Relaxed) {
        return respond::problem(&Problem::new(Code::ShuttingDown));
    }
    health::ready(State(shared.readiness)).await
}
