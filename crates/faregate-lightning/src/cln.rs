//! Core Lightning over its REST plugin (clnrest), opened by a rune.
//!
//! A rune for selling needs `invoice` and `listinvoices`, one for paying `pay` and `listpays`.

use std::fmt;

use faregate_core::port::Away;
use faregate_core::port::lightning::{
    ANSWER_INVALID, FeeCap, InvoiceAsk, InvoiceState, MadeInvoice, PayOrder, PayReport,
    ReceiveAbilities, ReceiveBackend, SendAbilities, SendBackend, UNAVAILABLE, Wanted,
};
use faregate_types::lightning::{Msat, PaymentHash};
use faregate_types::{Code, Refusal, Secret};
use futures_util::future::BoxFuture;
use reqwest::header::HeaderName;
use serde_json::{Value, json};

use crate::api::{Api, Reply, away, unheard};
use crate::config::{ConfigError, Endpoint, secret_header};
use crate::json;

static RUNE: HeaderName = HeaderName::from_static("rune");

/// A node and what opens it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ClnConfig {
    /// Where clnrest is. It makes its own certificate: pin it.
    pub endpoint: Endpoint,
    /// The rune.
    pub rune: Secret,
}

impl ClnConfig {
    /// A node by its rune.
    #[must_use]
    pub const fn new(endpoint: Endpoint, rune: Secret) -> Self {
        Self { endpoint, rune }
    }
}

/// A Core Lightning node.
pub struct Cln(Api);

impl fmt::Debug for Cln {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cln").field(&self.0).finish()
    }
}

impl Cln {
    /// Checks the configuration. Connects to nobody yet.
    ///
    /// # Errors
    /// [`ConfigError`].
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the rune should not live on with the caller"
    )]
    pub fn new(config: ClnConfig) -> Result<Self, ConfigError> {
        let headers = secret_header(RUNE.clone(), "", config.rune.expose())?;
        Api::new("cln", &config.endpoint, headers).map(Self)
    }

    async fn make(&self, ask: &InvoiceAsk) -> Result<MadeInvoice, Away> {
        let body = json!({
            "amount_msat": ask.amount.get(), "label": label()?, "description": ask.description,
            "expiry": ask.expiry_secs,
        });
        let made = self.0.post("v1/invoice", &body).await.map_err(away)?.ok()?;
        let invoice = json::text(&made, "/bolt11").ok_or(ANSWER_INVALID)?;
        Ok(MadeInvoice {
            invoice: invoice.into(),
            handle: None,
        })
    }

    async fn state(&self, wanted: &Wanted) -> Result<InvoiceState, Away> {
        let body = json!({ "payment_hash": wanted.payment_hash.to_string() });
        let reply = self.0.post("v1/listinvoices", &body).await;
        let list = reply.map_err(away)?.ok()?;
        let invoices = list.pointer("/invoices").and_then(Value::as_array);
        let Some(invoice) = invoices.ok_or(ANSWER_INVALID)?.first() else {
            return Ok(InvoiceState::Unknown);
        };
        if !json::is_about(invoice, "/payment_hash", &wanted.payment_hash) {
            return Err(ANSWER_INVALID);
        }
        match json::text(invoice, "/status") {
            Some("unpaid") => Ok(InvoiceState::Open),
            Some("expired") => Ok(InvoiceState::Expired),
            Some("paid") => Ok(InvoiceState::Paid {
                amount: msat(invoice, "/amount_received_msat"),
            }),
            _ => Err(ANSWER_INVALID),
        }
    }

    async fn send(&self, order: &PayOrder) -> PayReport {
        let body = json!({
            "bolt11": order.invoice.as_str(), "maxfee": order.fee_max.get(),
            "retry_for": order.time_limit.as_secs().clamp(1, 600),
        });
        let reply = match self.0.pay("v1/pay", &body, order.time_limit).await {
            Ok(reply) => reply,
            Err(error) => return unheard(error),
        };
        if !reply.is_ok() {
            return error_report(&reply);
        }
        let hash = order.invoice.payment_hash();
        if !json::is_about(&reply.json, "/payment_hash", &hash) {
            return PayReport::Unclear(Code::LightningAnswerInvalid);
        }
        match json::text(&reply.json, "/status") {
            Some("complete") => paid(&reply.json, "/payment_preimage"),
            Some("pending") => PayReport::Pending,
            Some("failed") => PayReport::Failed(Refusal::new(Code::LightningPaymentFailed)),
            _ => PayReport::Unclear(Code::LightningAnswerInvalid),
        }
    }

    async fn ask(&self, hash: &PaymentHash) -> PayReport {
        let body = json!({ "payment_hash": hash.to_string() });
        let reply = match self.0.post("v1/listpays", &body).await {
            Ok(reply) => reply,
            Err(error) => return unheard(error),
        };
        if !reply.is_ok() {
            return reply.pay_error();
        }
        let Some(pays) = reply.json.pointer("/pays").and_then(Value::as_array) else {
            return PayReport::Unclear(Code::LightningAnswerInvalid);
        };
        if !pays
            .iter()
            .all(|pay| json::is_about(pay, "/payment_hash", hash))
        {
            return PayReport::Unclear(Code::LightningAnswerInvalid);
        }
        // One invoice may have been tried several times.
        let of = |status: &str| {
            pays.iter()
                .find(|pay| json::text(pay, "/status") == Some(status))
        };
        match (of("complete"), of("pending"), pays.first()) {
            (Some(pay), _, _) => paid(pay, "/preimage"),
            (None, Some(_), _) => PayReport::Pending,
            (None, None, None) => PayReport::NotFound,
            (None, None, Some(_)) if pays.iter().all(is_failed) => {
                PayReport::Failed(Refusal::new(Code::LightningPaymentFailed))
            }
            (None, None, Some(_)) => PayReport::Unclear(Code::LightningAnswerInvalid),
        }
    }
}

/// A new name: no two invoices of a node may have the same.
fn label() -> Result<String, Away> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| UNAVAILABLE)?;
    Ok(format!("faregate-{}", hex::encode(bytes)))
}

fn is_failed(pay: &Value) -> bool {
    json::text(pay, "/status") == Some("failed")
}

fn paid(pay: &Value, preimage: &str) -> PayReport {
    let fee = msat(pay, "/amount_sent_msat")
        .and_then(|sent| sent.checked_sub(msat(pay, "/amount_msat")?));
    PayReport::Paid {
        preimage: json::preimage(pay, preimage),
        fee,
    }
}

/// Millisatoshis: a number, or before version 23 a number with its unit.
fn msat(value: &Value, path: &str) -> Option<Msat> {
    json::msat(value, path).or_else(|| {
        let number = json::text(value, path)?.strip_suffix("msat")?;
        number.parse().ok().map(Msat::new)
    })
}

/// Errors of `pay`, by their number (lightning-pay(7)). clnrest answers them with 500.
fn error_report(reply: &Reply) -> PayReport {
    let error = reply.json.pointer("/error").unwrap_or(&reply.json);
    let said = json::text(error, "/message").unwrap_or_default();
    let refusal = |code| Refusal::new(code).detail(json::detail(said));
    match error.pointer("/code").and_then(Value::as_i64) {
        // Already on its way, or paid before to somebody else or with another amount.
        Some(200 | 201) => PayReport::Repeated,
        Some(203 | 210) => PayReport::Failed(refusal(Code::LightningPaymentFailed)),
        Some(205 | 206) => PayReport::Failed(refusal(Code::LightningNoRoute)),
        Some(207) => PayReport::Refused(refusal(Code::InvoiceExpired)),
        Some(-32602) => PayReport::Refused(refusal(Code::InvoiceUnusable)),
        _ => reply.pay_error(),
    }
}

impl ReceiveBackend for Cln {
    fn abilities(&self) -> ReceiveAbilities {
        ReceiveAbilities {
            look_up: true,
            subscribe: false,
            sets_expiry: true,
            unit: Msat::new(1),
        }
    }

    fn create<'a>(&'a self, ask: &'a InvoiceAsk) -> BoxFuture<'a, Result<MadeInvoice, Away>> {
        Box::pin(self.make(ask))
    }

    fn look_up<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<InvoiceState, Away>> {
        Box::pin(self.state(wanted))
    }
}

impl SendBackend for Cln {
    fn abilities(&self) -> SendAbilities {
        SendAbilities {
            track: true,
            preimage: true,
            pays_once: true,
            fee_cap: FeeCap::Enforced,
        }
    }

    fn pay<'a>(&'a self, order: &'a PayOrder) -> BoxFuture<'a, PayReport> {
        Box::pin(self.send(order))
    }

    fn track<'a>(&'a self, payment_hash: &'a PaymentHash) -> BoxFuture<'a, PayReport> {
        Box::pin(self.ask(payment_hash))
    }
}
