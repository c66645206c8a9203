//! `/v2/router`: paying and following payments.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use faregate_types::lightning::{Bolt11, InvoiceDescription, Msat, PaymentHash};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;

use super::invoices::{line, lines_reply};
use super::wire::{self, Int};
use super::{Fault, Grpc, HELD_MAX, Shared, body, reply};
use crate::lightning::devlightning::Core;
use crate::lightning::net::{PayRefusal, Payment, PaymentState, WalletName};

#[derive(Debug, Deserialize)]
struct Send {
    payment_request: String,
    #[serde(default)]
    timeout_seconds: Int,
    #[serde(default)]
    fee_limit_sat: Int,
    #[serde(default)]
    fee_limit_msat: Int,
    #[serde(default)]
    no_inflight_updates: bool,
}

#[derive(Debug, Default, Deserialize)]
struct FeeLimit {
    #[serde(default)]
    fixed: Int,
    #[serde(default)]
    fixed_msat: Int,
}

#[derive(Debug, Deserialize)]
struct SendSync {
    payment_request: String,
    #[serde(default)]
    fee_limit: Option<FeeLimit>,
}

fn invoice(text: &str) -> Result<Bolt11, Fault> {
    Bolt11::parse(text).map_err(|error| Fault::new(Grpc::Unknown, error.to_string()))
}

fn fee_max(sat: Int, msat: Int) -> Result<Msat, Fault> {
    match (sat.0, msat.0) {
        (0, msat) => Ok(Msat::new(msat)),
        (sat, 0) => {
            Msat::from_sat(sat).ok_or_else(|| Fault::new(Grpc::Unknown, "fee limit too large"))
        }
        _ => Err(Fault::new(
            Grpc::Unknown,
            "fee_limit_sat and fee_limit_msat are mutually exclusive",
        )),
    }
}

fn refused(refusal: PayRefusal) -> Fault {
    let code = match refusal {
        PayRefusal::AlreadyPaid | PayRefusal::InTransition => Grpc::AlreadyExists,
        _ => Grpc::Unknown,
    };
    Fault::new(code, refusal.to_string())
}

pub(super) async fn send(
    State(shared): State<Shared>,
    Extension(wallet): Extension<WalletName>,
    request: Request,
) -> Response {
    match begin(&shared, wallet, request).await {
        Ok(response) => response,
        Err(fault) => fault.streamed(),
    }
}

async fn begin(shared: &Shared, wallet: WalletName, request: Request) -> Result<Response, Fault> {
    let wanted: Send = body(request).await?;
    if wanted.timeout_seconds.0 == 0 {
        return Err(Fault::new(
            Grpc::Unknown,
            "timeout_seconds must be specified",
        ));
    }
    let invoice = invoice(&wanted.payment_request)?;
    let fee_max = fee_max(wanted.fee_limit_sat, wanted.fee_limit_msat)?;
    let follow = follow(shared, wallet, invoice.payment_hash())?;
    let begun = shared
        .core
        .pay(wallet, &invoice, fee_max)
        .map_err(refused)?;
    if !begun.heard {
        return Ok(lost());
    }
    Ok(follow.answer(wanted.no_inflight_updates))
}

/// An answer that breaks off before its first line.
fn lost() -> Response {
    let broken = stream::once(async {
        Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionAborted))
    });
    lines_reply(Body::from_stream(broken))
}

pub(super) async fn track(
    State(shared): State<Shared>,
    Extension(wallet): Extension<WalletName>,
    Path(hash): Path<String>,
    uri: Uri,
) -> Response {
    let Some(hash) = wire::hash_in_path(&hash) else {
        return Fault::new(Grpc::Unknown, "invalid hash length").streamed();
    };
    if shared.core.net().payment(wallet, &hash).is_none() {
        return Fault::new(Grpc::NotFound, "payment isn't initiated").streamed();
    }
    match follow(&shared, wallet, hash) {
        Ok(follow) => follow.answer(wire::flag(&uri, "no_inflight_updates")),
        Err(fault) => fault.streamed(),
    }
}

/// A payment that somebody wants to hear of.
struct Follow {
    core: Arc<Core>,
    wallet: WalletName,
    hash: PaymentHash,
    ends: watch::Receiver<u64>,
    permit: tokio::sync::OwnedSemaphorePermit,
}

fn follow(shared: &Shared, wallet: WalletName, hash: PaymentHash) -> Result<Follow, Fault> {
    Ok(Follow {
        core: Arc::clone(&shared.core),
        wallet,
        hash,
        ends: shared.core.ends(),
        permit: shared.stream()?,
    })
}

/// Where an answer is.
enum Step {
    /// Nothing was said yet.
    Begin(Follow),
    /// That it is on its way was said, or need not be.
    Wait(Follow),
    /// The end was said.
    Done,
}

impl Follow {
    fn payment(&self) -> Option<Payment> {
        self.core.net().payment(self.wallet, &self.hash).cloned()
    }

    /// One line when it is on its way, unless that is not wanted, and one when it is over.
    fn answer(self, quiet: bool) -> Response {
        let first = if quiet {
            Step::Wait(self)
        } else {
            Step::Begin(self)
        };
        let lines = stream::unfold(first, |step| async move {
            match step {
                Step::Begin(follow) => {
                    let payment = follow.payment()?;
                    let next = match payment.state {
                        PaymentState::InFlight => Step::Wait(follow),
                        _ => Step::Done,
                    };
                    Some((line(&wire::payment(&payment)), next))
                }
                Step::Wait(follow) => {
                    let payment = follow.end().await?;
                    Some((line(&wire::payment(&payment)), Step::Done))
                }
                Step::Done => None,
            }
        });
        lines_reply(Body::from_stream(lines))
    }

    /// Waits until the payment is over.
    async fn end(mut self) -> Option<Payment> {
        loop {
            let payment = self.payment()?;
            if payment.state != PaymentState::InFlight {
                drop(self.permit);
                return Some(payment);
            }
            timeout(HELD_MAX, self.ends.changed()).await.ok()?.ok()?;
        }
    }
}

/// The older way to pay: one answer, when it is over. Errors of the payment are in a 200.
pub(super) async fn pay_and_wait(
    State(shared): State<Shared>,
    Extension(wallet): Extension<WalletName>,
    request: Request,
) -> Result<Response, Fault> {
    let wanted: SendSync = body(request).await?;
    let invoice = invoice(&wanted.payment_request)?;
    let limit = wanted.fee_limit.unwrap_or_default();
    // Without a limit the fee may be as high as the amount, as with LND.
    let fee_max = match fee_max(limit.fixed, limit.fixed_msat)? {
        Msat::ZERO => invoice.amount().unwrap_or_default(),
        limit => limit,
    };
    let follow = follow(&shared, wallet, invoice.payment_hash())?;
    let failed = |why: String| {
        reply(
            StatusCode::OK,
            &json!({ "payment_error": why, "payment_preimage": "", "payment_route": null, "payment_hash": "" }),
        )
    };
    match shared.core.pay(wallet, &invoice, fee_max) {
        Ok(begun) if !begun.heard => return Ok(lost()),
        Ok(_) => {}
        Err(refusal) => return Ok(failed(refusal.to_string())),
    }
    let Some(payment) = follow.end().await else {
        return Err(Fault::new(Grpc::Unknown, "payment did not end in time"));
    };
    let PaymentState::Succeeded { preimage } = payment.state else {
        return Ok(failed("unable to find a path to destination".to_owned()));
    };
    let value = json!({
        "payment_error": "",
        "payment_preimage": STANDARD.encode(preimage),
        "payment_route": {
            "total_amt_msat": payment.amount.checked_add(payment.fee).unwrap_or_default().get().to_string(),
            "total_fees_msat": payment.fee.get().to_string(),
            "hops": [],
        },
        "payment_hash": STANDARD.encode(payment.payment_hash.as_bytes()),
    });
    Ok(reply(StatusCode::OK, &value))
}

pub(super) async fn decode(Path(text): Path<String>) -> Result<Response, Fault> {
    let invoice = invoice(&text)?;
    let msat = invoice.amount().unwrap_or_default().get();
    let (description, description_hash) = match invoice.description() {
        Some(InvoiceDescription::Text(text)) => (text.as_ref(), String::new()),
        Some(InvoiceDescription::Hash(hash)) => ("", hex::encode(hash)),
        None => ("", String::new()),
    };
    let value = json!({
        "destination": invoice.payee().to_string(),
        "payment_hash": invoice.payment_hash().to_string(),
        "num_satoshis": wire::sat(msat),
        "timestamp": invoice.created_at().as_secs().to_string(),
        "expiry": invoice.expires_at().secs_since(invoice.created_at()).to_string(),
        "description": description,
        "description_hash": description_hash,
        "fallback_addr": "",
        "cltv_expiry": invoice.min_final_cltv().to_string(),
        "route_hints": [],
        "num_msat": msat.to_string(),
        "features": {},
    });
    Ok(reply(StatusCode::OK, &value))
}
