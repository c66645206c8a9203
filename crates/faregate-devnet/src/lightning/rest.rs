//! LND's REST API, as far as clients that sell and pay need it. Shapes and error texts are LND's, because clients look at
//! them: numbers of 64 bits are strings, bytes are base64 except in payments, where they are hexadecimal.

mod invoices;
mod lnurl;
mod payments;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::devlightning::Core;
use super::limits;
use super::net::WalletName;

/// Where LND wants the macaroon.
const MACAROON: &str = "grpc-metadata-macaroon";

/// What went wrong, in gRPC's words.
#[derive(Clone, Copy, Debug)]
enum Grpc {
    Unknown,
    InvalidArgument,
    NotFound,
    AlreadyExists,
    Unavailable,
}

/// An error in the shape of grpc-gateway.
#[derive(Debug)]
struct Fault {
    code: Grpc,
    message: String,
}

impl Fault {
    fn new(code: Grpc, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    const fn status(&self) -> StatusCode {
        match self.code {
            Grpc::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
            Grpc::InvalidArgument => StatusCode::BAD_REQUEST,
            Grpc::NotFound => StatusCode::NOT_FOUND,
            Grpc::AlreadyExists => StatusCode::CONFLICT,
            Grpc::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn body(&self) -> Value {
        json!({ "code": number(self.code), "message": self.message, "details": [] })
    }

    /// The same, of a call whose answer goes on line by line.
    fn streamed(&self) -> Response {
        reply(self.status(), &json!({ "error": self.body() }))
    }
}

/// gRPC's numbers.
const fn number(code: Grpc) -> u8 {
    match code {
        Grpc::Unknown => 2,
        Grpc::InvalidArgument => 3,
        Grpc::NotFound => 5,
        Grpc::AlreadyExists => 6,
        Grpc::Unavailable => 14,
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        reply(self.status(), &self.body())
    }
}

/// What every request needs.
#[derive(Clone, Debug)]
struct Shared {
    core: Arc<Core>,
    /// How many requests may be under way.
    open: Arc<Semaphore>,
    /// How many answers may go on.
    streams: Arc<Semaphore>,
}

impl Shared {
    fn stream(&self) -> Result<OwnedSemaphorePermit, Fault> {
        Arc::clone(&self.streams)
            .try_acquire_owned()
            .map_err(|_| Fault::new(Grpc::Unavailable, "too many streams at once"))
    }
}

/// The whole server.
pub(super) fn router(core: Arc<Core>) -> Router {
    let shared = Shared {
        core,
        open: Arc::new(Semaphore::new(limits::REQUESTS_OPEN_MAX)),
        streams: Arc::new(Semaphore::new(limits::STREAMS_OPEN_MAX)),
    };
    Router::new()
        .route("/v1/getinfo", get(info))
        .route("/v1/balance/channels", get(balance))
        .route("/v1/invoices", post(invoices::create))
        .route("/v1/invoices/subscribe", get(invoices::subscribe))
        .route("/v1/invoice/{hash}", get(invoices::look_up))
        .route("/v2/invoices/cancel", post(invoices::cancel))
        .route("/v1/payreq/{invoice}", get(payments::decode))
        .route("/v1/channels/transactions", post(payments::pay_and_wait))
        .route("/v2/router/send", post(payments::send))
        .route("/v2/router/track/{hash}", get(payments::track))
        .fallback(|| async { Fault::new(Grpc::NotFound, "Not Found") })
        .layer(middleware::from_fn_with_state(shared.clone(), bounded))
        // For everybody: whoever knows an address may pay it.
        .route("/.well-known/lnurlp/{name}", get(lnurl::terms))
        .route("/lnurlp/{name}/callback", get(lnurl::invoice))
        .with_state(shared)
}

/// A bounded number of requests, each with its macaroon.
async fn bounded(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    let Ok(_open) = shared.open.try_acquire() else {
        return Fault::new(Grpc::Unavailable, "too many requests at once").into_response();
    };
    match wallet(&shared.core, request.headers()) {
        Ok(wallet) => {
            request.extensions_mut().insert(wallet);
            next.run(request).await
        }
        Err(fault) => fault.into_response(),
    }
}

/// Whose macaroon it is.
fn wallet(core: &Core, headers: &HeaderMap) -> Result<WalletName, Fault> {
    let text = headers
        .get(MACAROON)
        .ok_or_else(|| Fault::new(Grpc::Unknown, "expected 1 macaroon, got 0"))?;
    let given = hex::decode(text.as_bytes()).map_err(|_| {
        Fault::new(
            Grpc::Unknown,
            "cannot determine data format of binary-encoded macaroon",
        )
    })?;
    WalletName::ALL
        .into_iter()
        .find(|name| core.macaroon(*name) == given)
        .ok_or_else(|| {
            Fault::new(
                Grpc::Unknown,
                "verification failed: signature mismatch after caveat verification",
            )
        })
}

async fn body<T: DeserializeOwned>(request: Request) -> Result<T, Fault> {
    let read = to_bytes(request.into_body(), limits::BODY_BYTES_MAX);
    let bytes = timeout(limits::BODY_READ_MAX, read)
        .await
        .map_err(|_| Fault::new(Grpc::InvalidArgument, "request body did not arrive"))?
        .map_err(|_| {
            Fault::new(
                Grpc::InvalidArgument,
                "request body too large or broken off",
            )
        })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Fault::new(Grpc::InvalidArgument, error.to_string()))
}

fn reply(status: StatusCode, value: &Value) -> Response {
    let kind = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )];
    (status, kind, Body::from(value.to_string())).into_response()
}

async fn info(
    State(shared): State<Shared>,
    axum::Extension(wallet): axum::Extension<WalletName>,
) -> Response {
    let value = json!({
        "version": concat!("0.20.0-beta faregate-devnet/", env!("CARGO_PKG_VERSION")),
        "identity_pubkey": hex::encode(shared.core.node(wallet)),
        "alias": wallet.as_str(),
        "num_active_channels": 1,
        "num_peers": 1,
        "synced_to_chain": true,
        "synced_to_graph": true,
        "testnet": false,
        "chains": [{ "chain": "bitcoin", "network": "regtest" }],
        "uris": [],
    });
    reply(StatusCode::OK, &value)
}

async fn balance(
    State(shared): State<Shared>,
    axum::Extension(wallet): axum::Extension<WalletName>,
) -> Response {
    let funds = shared.core.net().funds(wallet);
    let amount = |msat: u64| json!({ "sat": wire::sat(msat), "msat": msat.to_string() });
    let value = json!({
        "balance": wire::sat(funds.balance.get()),
        "pending_open_balance": "0",
        "local_balance": amount(funds.balance.get()),
        "unsettled_local_balance": amount(funds.in_flight.get()),
    });
    reply(StatusCode::OK, &value)
}

/// How long a payment that is held may keep its answer open.
const HELD_MAX: Duration = Duration::from_secs(600);
