//! The sample API that `demo` and `dev` put a price on. It knows nothing about money, as any API would.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What `GET /joke` sells.
pub(crate) const JOKE: &str =
    "Why did the packet pay the toll? Because it could not find a free route.";

/// The running sample API.
#[derive(Debug)]
pub(crate) struct Seller {
    addr: SocketAddr,
    jokes: Arc<AtomicU64>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Seller {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When no port can be had.
    pub(crate) async fn start(bind: IpAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind((bind, 0)).await?;
        let addr = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let jokes = Arc::new(AtomicU64::new(0));
        let app = Router::new()
            .route("/joke", get(joke))
            .route("/free", get(free))
            .fallback(nothing)
            .with_state(Arc::clone(&jokes));
        let task = tokio::spawn(async move {
            let server = axum::serve(listener, app).with_graceful_shutdown(async {
                // A dropped sender stops it too.
                drop(stopped.await);
            });
            if let Err(error) = server.await {
                tracing::error!(%error, "the sample API stopped");
            }
        });
        Ok(Self {
            addr,
            jokes,
            stop,
            task,
        })
    }

    /// Where it listens; not meant to be reached but through the gate.
    #[must_use]
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many jokes were told: how often the thing that is sold was really run.
    #[must_use]
    pub(crate) fn jokes(&self) -> u64 {
        self.jokes.load(Ordering::SeqCst)
    }

    /// Stops it and waits until it has.
    pub(crate) async fn shutdown(self) {
        drop(self.stop);
        if self.task.await.is_err() {
            tracing::warn!("the sample API ended in a panic");
        }
    }
}

async fn joke(State(jokes): State<Arc<AtomicU64>>) -> Response {
    jokes.fetch_add(1, Ordering::SeqCst);
    axum::Json(json!({"joke": JOKE})).into_response()
}

async fn free() -> Response {
    axum::Json(json!({"message": "this one is on the house"})).into_response()
}

async fn nothing(request: Request) -> Response {
    let path = request.uri().path().to_owned();
    (
        StatusCode::NOT_FOUND,
        axum::Json(json!({"error": "no such thing", "path": path})),
    )
        .into_response()
}
