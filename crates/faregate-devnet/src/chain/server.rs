//! HTTP around the JSON-RPC interface.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::any,
};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::{limits, rpc::Node};

/// What every request needs.
#[derive(Clone, Debug)]
struct Shared {
    node: Arc<Node>,
    /// How many requests may be under way.
    open: Arc<Semaphore>,
    /// How many of them may execute at the same time.
    slots: Arc<Semaphore>,
}

/// The whole server: POST anywhere is JSON-RPC.
pub(crate) fn router(node: Arc<Node>) -> Router {
    let shared = Shared {
        node,
        open: Arc::new(Semaphore::new(limits::REQUESTS_OPEN_MAX)),
        slots: Arc::new(Semaphore::new(limits::REQUESTS_AT_ONCE_MAX)),
    };
    Router::new()
        .fallback(any(answer))
        .layer(middleware::from_fn(allow_browsers))
        .with_state(shared)
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    if request.method() != Method::POST {
        let allow = [(header::ALLOW, "POST, OPTIONS")];
        return (
            StatusCode::METHOD_NOT_ALLOWED,
            allow,
            "send JSON-RPC with POST\n",
        )
            .into_response();
    }
    let Ok(_open) = shared.open.try_acquire() else {
        return failure(
            StatusCode::SERVICE_UNAVAILABLE,
            -32005,
            "too many requests at once",
        );
    };
    let body = match timeout(
        limits::BODY_READ_MAX,
        to_bytes(request.into_body(), limits::BODY_BYTES_MAX),
    )
    .await
    {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            return failure(
                StatusCode::PAYLOAD_TOO_LARGE,
                -32600,
                "request body too large or broken off",
            );
        }
        Err(_) => {
            return failure(
                StatusCode::REQUEST_TIMEOUT,
                -32600,
                "request body did not arrive",
            );
        }
    };
    let Ok(slot) = Arc::clone(&shared.slots).acquire_owned().await else {
        return failure(StatusCode::SERVICE_UNAVAILABLE, -32000, "stopping");
    };
    let node = Arc::clone(&shared.node);
    let done = spawn_blocking(move || {
        let reply = node.handle(&body);
        // Given back only now: a client that goes away does not stop the work it asked for.
        drop(slot);
        reply
    });
    match done.await {
        Ok(Some(reply)) => json(StatusCode::OK, reply),
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => {
            tracing::error!(%error, "a call broke off");
            failure(StatusCode::OK, -32603, "internal error")
        }
    }
}

fn failure(status: StatusCode, code: i32, message: &str) -> Response {
    let body =
        format!(r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":{code},"message":"{message}"}}}}"#);
    json(status, body)
}

fn json(status: StatusCode, body: String) -> Response {
    let kind = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )];
    (status, kind, Body::from(body)).into_response()
}

/// Lets pages of any origin use the chain: there is nothing on it worth protecting, and wallets need it.
async fn allow_browsers(request: Request, next: Next) -> Response {
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in CORS {
        headers.insert(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        );
    }
    response
}

const CORS: [(&str, &str); 5] = [
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "POST, GET, OPTIONS"),
    ("access-control-allow-headers", "*"),
    ("access-control-allow-private-network", "true"),
    ("access-control-max-age", "600"),
];
