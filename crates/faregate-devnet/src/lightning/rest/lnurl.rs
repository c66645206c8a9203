//! LNURL-pay (LUD-06, LUD-16): every wallet has a Lightning address at this server.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Shared, reply};
use crate::lightning::devlightning::NewInvoice;
use crate::lightning::limits;
use crate::lightning::net::WalletName;

/// How long such an invoice can be paid, in seconds.
const EXPIRY_SECS: u64 = 600;

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    amount: u64,
}

/// What the address stands for. The invoice carries the hash of exactly this text.
fn metadata(wallet: WalletName) -> String {
    json!([[
        "text/plain",
        format!("{} of the dev network", wallet.as_str())
    ]])
    .to_string()
}

fn wallet(name: &str) -> Option<WalletName> {
    WalletName::ALL
        .into_iter()
        .find(|wallet| wallet.as_str() == name)
}

/// Errors come with status 200 in LNURL.
fn error(reason: &str) -> Response {
    reply(
        StatusCode::OK,
        &json!({ "status": "ERROR", "reason": reason }),
    )
}

pub(super) async fn terms(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let (Some(wallet), Some(host)) = (wallet(&name), host) else {
        return error("there is no such wallet");
    };
    let value = json!({
        "tag": "payRequest",
        "callback": format!("http://{host}/lnurlp/{}/callback", wallet.as_str()),
        "minSendable": 1_000,
        "maxSendable": limits::AMOUNT_MSAT_MAX,
        "metadata": metadata(wallet),
    });
    reply(StatusCode::OK, &value)
}

pub(super) async fn invoice(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let Some(wallet) = wallet(&name) else {
        return error("there is no such wallet");
    };
    let new = NewInvoice {
        msat: wanted.amount,
        description_hash: Some(Sha256::digest(metadata(wallet)).into()),
        expiry_secs: EXPIRY_SECS,
        ..NewInvoice::default()
    };
    match shared.core.make(wallet, new) {
        Ok((_, entry)) => reply(
            StatusCode::OK,
            &json!({ "pr": entry.text, "routes": Value::Array(Vec::new()) }),
        ),
        Err(fault) => error(&fault.to_string()),
    }
}
