//! LNbits (1.x) over its REST API.
//!
//! The invoice key is enough for selling, paying needs the admin key. The answer to a new invoice has its preimage in it, and
//! anybody can ask for the preimage of a paid one by its hash: what is sold for the preimage alone is not safe behind LNbits.
//! The fee cannot be bounded by the caller; LNbits reserves what its own configuration says.

use std::fmt;

use faregate_core::port::Away;
use faregate_core::port::lightning::{
    ANSWER_INVALID, FeeCap, InvoiceAsk, InvoiceState, MadeInvoice, PayOrder, PayReport,
    ReceiveAbilities, ReceiveBackend, SendAbilities, SendBackend, Wanted,
};
use faregate_types::lightning::{Msat, PaymentHash};
use faregate_types::{Code, Refusal, Secret};
use futures_util::future::BoxFuture;
use reqwest::StatusCode;
use reqwest::header::HeaderName;
use serde_json::{Value, json};

use crate::api::{Api, Reply, away, unheard};
use crate::config::{ConfigError, Endpoint, secret_header};
use crate::json;

static KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A wallet of an LNbits server.
#[derive(Debug)]
#[non_exhaustive]
pub struct LnbitsConfig {
    /// Where the server is.
    pub endpoint: Endpoint,
    /// The wallet's invoice key, or its admin key to pay.
    pub key: Secret,
}

impl LnbitsConfig {
    /// A wallet by its key.
    #[must_use]
    pub const fn new(endpoint: Endpoint, key: Secret) -> Self {
        Self { endpoint, key }
    }
}

/// A wallet of an LNbits server.
pub struct Lnbits(Api);

impl fmt::Debug for Lnbits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lnbits").field(&self.0).finish()
    }
}

impl Lnbits {
    /// Checks the configuration. Connects to nobody yet.
    ///
    /// # Errors
    /// [`ConfigError`].
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the key should not live on with the caller"
    )]
    pub fn new(config: LnbitsConfig) -> Result<Self, ConfigError> {
        let headers = secret_header(KEY.clone(), "", config.key.expose())?;
        Api::new("lnbits", &config.endpoint, headers).map(Self)
    }

    async fn make(&self, ask: &InvoiceAsk) -> Result<MadeInvoice, Away> {
        let amount = ask.amount.to_sat().ok_or(ANSWER_INVALID)?;
        let body = json!({
            "out": false, "amount": amount, "unit": "sat", "memo": ask.description,
            "expiry": ask.expiry_secs,
        });
        let reply = self.0.post("api/v1/payments", &body).await.map_err(away)?;
        let made = read(reply)?;
        // Its older name is still sent; one of them will do.
        let invoice = json::text(&made, "/bolt11")
            .or_else(|| json::text(&made, "/payment_request"))
            .ok_or(ANSWER_INVALID)?;
        Ok(MadeInvoice {
            invoice: invoice.into(),
            handle: None,
        })
    }

    async fn state(&self, wanted: &Wanted) -> Result<InvoiceState, Away> {
        let path = format!("api/v1/payments/{}", wanted.payment_hash);
        let reply = self.0.get(&path).await.map_err(away)?;
        if is_unknown(&reply) {
            return Ok(InvoiceState::Unknown);
        }
        let payment = read(reply)?;
        if !json::is_about(&payment, "/details/payment_hash", &wanted.payment_hash) {
            return Err(ANSWER_INVALID);
        }
        match (
            payment.pointer("/paid").and_then(Value::as_bool),
            status(&payment),
        ) {
            (Some(true), _) => Ok(InvoiceState::Paid {
                amount: json::msat(&payment, "/details/amount"),
            }),
            (Some(false), Some("failed")) => Ok(InvoiceState::Expired),
            (Some(false), _) => Ok(InvoiceState::Open),
            (None, _) => Err(ANSWER_INVALID),
        }
    }

    async fn send(&self, order: &PayOrder) -> PayReport {
        let body = json!({ "out": true, "bolt11": order.invoice.as_str() });
        let reply = match self.0.pay("api/v1/payments", &body, order.time_limit).await {
            Ok(reply) => reply,
            Err(error) => return unheard(error),
        };
        if !reply.is_ok() {
            return error_report(&reply);
        }
        let hash = order.invoice.payment_hash();
        let payment = &reply.json;
        if !json::is_about(payment, "/payment_hash", &hash) {
            return PayReport::Unclear(Code::LightningAnswerInvalid);
        }
        match json::text(payment, "/status") {
            Some("failed") => PayReport::Failed(Refusal::new(Code::LightningPaymentFailed)),
            Some("pending") => PayReport::Pending,
            Some("success") => match json::preimage(payment, "/preimage") {
                Some(preimage) => PayReport::Paid {
                    preimage: Some(preimage),
                    fee: fee(payment, "/fee"),
                },
                None => self.ask(&hash).await,
            },
            // Versions before 1.0 say the hash only.
            _ => self.ask(&hash).await,
        }
    }

    async fn ask(&self, hash: &PaymentHash) -> PayReport {
        let reply = match self.0.get(&format!("api/v1/payments/{hash}")).await {
            Ok(reply) => reply,
            Err(error) => return unheard(error),
        };
        if is_unknown(&reply) {
            return PayReport::NotFound;
        }
        if !reply.is_ok() {
            return error_report(&reply);
        }
        let payment = &reply.json;
        if !json::is_about(payment, "/details/payment_hash", hash) {
            return PayReport::Unclear(Code::LightningAnswerInvalid);
        }
        // The other side of the same payment, on the same server: what came in says nothing about what went out.
        if is_incoming(payment) {
            return PayReport::NotFound;
        }
        match (
            payment.pointer("/paid").and_then(Value::as_bool),
            status(payment),
        ) {
            (Some(true), _) => PayReport::Paid {
                preimage: json::preimage(payment, "/preimage"),
                fee: fee(payment, "/details/fee"),
            },
            (Some(false), Some("failed")) => {
                PayReport::Failed(Refusal::new(Code::LightningPaymentFailed))
            }
            (Some(false), _) => PayReport::Pending,
            (None, _) => PayReport::Unclear(Code::LightningAnswerInvalid),
        }
    }
}

fn status(payment: &Value) -> Option<&str> {
    json::text(payment, "/details/status").or_else(|| json::text(payment, "/status"))
}

fn is_incoming(payment: &Value) -> bool {
    let amount = payment.pointer("/details/amount").and_then(Value::as_i64);
    amount.is_some_and(|amount| amount > 0)
}

/// LNbits writes fees of what goes out below zero.
fn fee(payment: &Value, path: &str) -> Option<Msat> {
    let fee = payment.pointer(path)?.as_i64()?;
    Some(Msat::new(fee.unsigned_abs()))
}

fn detail(reply: &Reply) -> &str {
    json::text(&reply.json, "/detail").unwrap_or_default()
}

fn is_unknown(reply: &Reply) -> bool {
    reply.status == StatusCode::NOT_FOUND && detail(reply).contains("Payment does not exist")
}

/// The answer of a call about invoices. A wrong key is 404, as if the wallet did not exist.
fn read(reply: Reply) -> Result<Value, Away> {
    if reply.status == StatusCode::NOT_FOUND && detail(&reply).contains("Wallet not found") {
        return Err(Away {
            code: Code::LightningUnauthorized,
        });
    }
    reply.ok()
}

fn error_report(reply: &Reply) -> PayReport {
    let said = detail(reply);
    let words = said.to_ascii_lowercase();
    let refused = |code| PayReport::Refused(Refusal::new(code).detail(json::detail(said)));
    if words.contains("already paid") || words.contains("already pending") {
        return PayReport::Repeated;
    }
    if words.contains("wallet not found") {
        return refused(Code::LightningUnauthorized);
    }
    // LNbits checks these before it sends anything.
    if words.contains("insufficient balance") || words.contains("you must reserve") {
        return refused(Code::InsufficientFunds);
    }
    if reply.status == StatusCode::BAD_REQUEST && !words.is_empty() {
        return refused(Code::InvoiceUnusable);
    }
    // It asked its own node, and says that the payment is over and was not made.
    if json::text(&reply.json, "/status") == Some("failed") {
        let refusal = Refusal::new(Code::LightningPaymentFailed).detail(json::detail(said));
        return PayReport::Failed(refusal);
    }
    reply.pay_error()
}

impl ReceiveBackend for Lnbits {
    fn abilities(&self) -> ReceiveAbilities {
        ReceiveAbilities {
            look_up: true,
            subscribe: false,
            sets_expiry: true,
            unit: Msat::new(1_000),
        }
    }

    fn create<'a>(&'a self, ask: &'a InvoiceAsk) -> BoxFuture<'a, Result<MadeInvoice, Away>> {
        Box::pin(self.make(ask))
    }

    fn look_up<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<InvoiceState, Away>> {
        Box::pin(self.state(wanted))
    }
}

impl SendBackend for Lnbits {
    fn abilities(&self) -> SendAbilities {
        SendAbilities {
            track: true,
            preimage: true,
            pays_once: true,
            fee_cap: FeeCap::Ignored,
        }
    }

    fn pay<'a>(&'a self, order: &'a PayOrder) -> BoxFuture<'a, PayReport> {
        Box::pin(self.send(order))
    }

    fn track<'a>(&'a self, payment_hash: &'a PaymentHash) -> BoxFuture<'a, PayReport> {
        Box::pin(self.ask(payment_hash))
    }
}
