//! `/v1/invoices`: making invoices, looking at them, hearing of them.

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use faregate_types::lightning::{PaymentHash, Preimage};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::wire::{self, Int};
use super::{Fault, Grpc, Shared, body, reply};
use crate::lightning::devlightning::NewInvoice;
use crate::lightning::net::{EntryState, WalletName};

/// What LND takes when nothing is said, in seconds.
const EXPIRY_DEFAULT: u64 = 86_400;

#[derive(Debug, Deserialize)]
struct Create {
    #[serde(default)]
    memo: String,
    #[serde(default)]
    r_preimage: String,
    #[serde(default)]
    value: Int,
    #[serde(default)]
    value_msat: Int,
    #[serde(default)]
    expiry: Int,
    #[serde(default)]
    private: bool,
}

impl Create {
    fn read(self) -> Result<NewInvoice, Fault> {
        let invalid = |message| Fault::new(Grpc::Unknown, message);
        let msat = match (self.value.0, self.value_msat.0) {
            (sat, 0) => sat
                .checked_mul(1_000)
                .ok_or_else(|| invalid("invoice amount too large"))?,
            (0, msat) => msat,
            _ => return Err(invalid("value and value_msat are mutually exclusive")),
        };
        let preimage = match self.r_preimage.as_str() {
            "" => None,
            text => Some(
                wire::bytes32(text)
                    .ok_or_else(|| invalid("payment preimage must be exactly 32 bytes"))?,
            ),
        };
        Ok(NewInvoice {
            msat,
            memo: self.memo,
            description_hash: None,
            expiry_secs: match self.expiry.0 {
                0 => EXPIRY_DEFAULT,
                secs => secs,
            },
            preimage,
            private: self.private,
        })
    }
}

pub(super) async fn create(
    State(shared): State<Shared>,
    Extension(wallet): Extension<WalletName>,
    request: Request,
) -> Result<Response, Fault> {
    let wanted: Create = body(request).await?;
    let wanted = wanted.read()?;
    let made = shared.core.make(wallet, wanted);
    let (hash, entry) = made.map_err(|error| Fault::new(Grpc::Unknown, error.to_string()))?;
    let value = json!({
        "r_hash": STANDARD.encode(hash.as_bytes()),
        "payment_request": entry.text,
        "add_index": entry.add_index.to_string(),
        "payment_addr": STANDARD.encode(entry.payment_secret),
    });
    Ok(reply(StatusCode::OK, &value))
}

pub(super) async fn look_up(
    State(shared): State<Shared>,
    Extension(wallet): Extension<WalletName>,
    Path(hash): Path<String>,
) -> Result<Response, Fault> {
    let hash: PaymentHash = hash
        .parse()
        .map_err(|_| Fault::new(Grpc::Unknown, "payment hash must be exactly 32 bytes"))?;
    let net = shared.core.net();
    let entry = net
        .invoice(wallet, &hash)
        .ok_or_else(|| Fault::new(Grpc::NotFound, "unable to locate invoice"))?;
    let value = wire::invoice(&hash, entry, shared.core.now());
    Ok(reply(StatusCode::OK, &value))
}

#[derive(Debug, Deserialize)]
struct Cancel {
    payment_hash: String,
}

pub(super) async fn cancel(
    State(shared): State<Shared>,
    Extension(wallet): Extension<WalletName>,
    request: Request,
) -> Result<Response, Fault> {
    let wanted: Cancel = body(request).await?;
    let hash = wire::bytes32(&wanted.payment_hash)
        .map(PaymentHash::from_bytes)
        .ok_or_else(|| Fault::new(Grpc::Unknown, "invalid hash"))?;
    let cancelled = shared.core.net().cancel(wallet, &hash);
    if cancelled {
        Ok(reply(StatusCode::OK, &json!({})))
    } else {
        Err(Fault::new(Grpc::NotFound, "unable to locate invoice"))
    }
}

/// Invoices of this wallet, one line each: when they are made, and when they are paid.
pub(super) async fn subscribe(
    State(shared): State<Shared>,
    Extension(wallet): Extension<WalletName>,
) -> Response {
    let permit = match shared.stream() {
        Ok(permit) => permit,
        Err(fault) => return fault.streamed(),
    };
    let state = (shared.core.listen(), shared.core.clone(), permit);
    let lines = stream::unfold(state, move |(mut events, core, permit)| async move {
        loop {
            // A subscriber that is too far behind loses its connection, and sees by that that it missed something.
            let entry = events.recv().await.ok()?;
            let told = matches!(entry.state, EntryState::Open | EntryState::Settled);
            if entry.owner == wallet && told {
                let hash = Preimage::from_bytes(entry.preimage).hash();
                let value = wire::invoice(&hash, &entry, core.now());
                return Some((line(&value), (events, core, permit)));
            }
        }
    });
    lines_reply(Body::from_stream(lines))
}

pub(super) fn line(value: &Value) -> Result<Bytes, std::io::Error> {
    Ok(Bytes::from(format!("{}\n", json!({ "result": value }))))
}

pub(super) fn lines_reply(body: Body) -> Response {
    let kind = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    )];
    (StatusCode::OK, kind, body).into_response()
}
