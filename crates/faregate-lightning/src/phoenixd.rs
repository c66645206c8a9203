//! phoenixd over its HTTP API.
//!
//! It has two passwords: the limited one makes invoices, the full one also pays. It does not refuse to pay an invoice twice by
//! itself; the network does, as long as the payee does not take it twice. Its fee is the fixed one of its service, 0.4 % and
//! four satoshis, and cannot be bounded by the caller.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use faregate_core::port::Away;
use faregate_core::port::lightning::{
    ANSWER_INVALID, FeeCap, InvoiceAsk, InvoiceState, MadeInvoice, PayOrder, PayReport,
    ReceiveAbilities, ReceiveBackend, SendAbilities, SendBackend, Wanted,
};
use faregate_types::lightning::{Msat, PaymentHash};
use faregate_types::{Code, Refusal, Secret};
use futures_util::future::BoxFuture;
use reqwest::StatusCode;
use reqwest::header::AUTHORIZATION;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::api::{Api, Reply, away, unheard};
use crate::config::{ConfigError, Endpoint, secret_header};
use crate::json;

/// A phoenixd and what opens it.
#[derive(Debug)]
#[non_exhaustive]
pub struct PhoenixdConfig {
    /// Where its API is, `http://127.0.0.1:9740` by default.
    pub endpoint: Endpoint,
    /// `http-password-limited-access` for selling, `http-password` for paying.
    pub password: Secret,
}

impl PhoenixdConfig {
    /// A phoenixd by its password.
    #[must_use]
    pub const fn new(endpoint: Endpoint, password: Secret) -> Self {
        Self { endpoint, password }
    }
}

/// A phoenixd.
pub struct Phoenixd(Api);

impl fmt::Debug for Phoenixd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Phoenixd").field(&self.0).finish()
    }
}

impl Phoenixd {
    /// Checks the configuration. Connects to nobody yet.
    ///
    /// # Errors
    /// [`ConfigError`].
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the password should not live on with the caller"
    )]
    pub fn new(config: PhoenixdConfig) -> Result<Self, ConfigError> {
        let password = config.password.expose();
        if password.is_empty() {
            return Err(ConfigError::Secret);
        }
        // HTTP Basic without a user.
        let pair = Zeroizing::new([b":", password].concat());
        let text = Zeroizing::new(STANDARD.encode(&pair));
        let headers = secret_header(AUTHORIZATION, "Basic ", text.as_bytes())?;
        Api::new("phoenixd", &config.endpoint, headers).map(Self)
    }

    async fn make(&self, ask: &InvoiceAsk) -> Result<MadeInvoice, Away> {
        let amount = ask.amount.to_sat().ok_or(ANSWER_INVALID)?.to_string();
        // It takes no longer ones.
        let description: String = ask.description.chars().take(128).collect();
        let expiry = ask.expiry_secs.to_string();
        let fields = [
            ("amountSat", amount.as_str()),
            ("description", description.as_str()),
            ("expirySeconds", expiry.as_str()),
        ];
        let request = self.0.form("createinvoice", &fields);
        let reply = self.0.send(request, self.0.timeout()).await;
        let made = reply.map_err(away)?.ok()?;
        let invoice = json::text(&made, "/serialized").ok_or(ANSWER_INVALID)?;
        Ok(MadeInvoice {
            invoice: invoice.into(),
            handle: None,
        })
    }

    async fn state(&self, wanted: &Wanted) -> Result<InvoiceState, Away> {
        let path = format!("payments/incoming/{}", wanted.payment_hash);
        let reply = self.0.get(&path).await.map_err(away)?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(InvoiceState::Unknown);
        }
        let payment = reply.ok()?;
        if !json::is_about(&payment, "/paymentHash", &wanted.payment_hash) {
            return Err(ANSWER_INVALID);
        }
        let flag = |path: &str| payment.pointer(path).and_then(Value::as_bool);
        match (flag("/isPaid"), flag("/isExpired")) {
            // What arrived is told without the service's fee, so it can be less than what was paid.
            (Some(true), _) => Ok(InvoiceState::Paid { amount: None }),
            (Some(false), Some(true)) => Ok(InvoiceState::Expired),
            (Some(false), _) => Ok(InvoiceState::Open),
            (None, _) => Err(ANSWER_INVALID),
        }
    }

    async fn send(&self, order: &PayOrder) -> PayReport {
        let request = self
            .0
            .form("payinvoice", &[("invoice", order.invoice.as_str())]);
        let wait = self.0.patience(order.time_limit);
        let reply = match self.0.send(request, wait).await {
            Ok(reply) => reply,
            Err(error) => return unheard(error),
        };
        if !reply.is_ok() {
            return error_report(&reply);
        }
        let hash = order.invoice.payment_hash();
        if !json::is_about(&reply.json, "/paymentHash", &hash) {
            return PayReport::Unclear(Code::LightningAnswerInvalid);
        }
        if let Some(reason) = json::text(&reply.json, "/reason") {
            return failure(reason);
        }
        match json::preimage(&reply.json, "/paymentPreimage") {
            Some(preimage) => PayReport::Paid {
                preimage: Some(preimage),
                fee: json::sat(&reply.json, "/routingFeeSat"),
            },
            None => PayReport::Unclear(Code::LightningAnswerInvalid),
        }
    }

    async fn ask(&self, hash: &PaymentHash) -> PayReport {
        let path = format!("payments/outgoingbyhash/{hash}");
        let reply = match self.0.get(&path).await {
            Ok(reply) => reply,
            Err(error) => return unheard(error),
        };
        if reply.status == StatusCode::NOT_FOUND {
            return PayReport::NotFound;
        }
        if !reply.is_ok() {
            return error_report(&reply);
        }
        if !json::is_about(&reply.json, "/paymentHash", hash) {
            return PayReport::Unclear(Code::LightningAnswerInvalid);
        }
        let paid = reply.json.pointer("/isPaid").and_then(Value::as_bool);
        match paid {
            Some(true) => PayReport::Paid {
                preimage: json::preimage(&reply.json, "/preimage"),
                fee: json::msat(&reply.json, "/fees"),
            },
            // It does not tell a payment on its way from one that failed.
            Some(false) => PayReport::Pending,
            None => PayReport::Unclear(Code::LightningAnswerInvalid),
        }
    }
}

/// A payment that phoenixd says was not made, in its words.
fn failure(reason: &str) -> PayReport {
    let words = reason.to_ascii_lowercase();
    if words.contains("already") {
        return PayReport::Repeated;
    }
    let code = if words.contains("balance") || words.contains("funds") {
        Code::InsufficientFunds
    } else if words.contains("route") {
        Code::LightningNoRoute
    } else {
        Code::LightningPaymentFailed
    };
    PayReport::Failed(Refusal::new(code).detail(json::detail(reason)))
}

fn error_report(reply: &Reply) -> PayReport {
    if reply.status == StatusCode::BAD_REQUEST {
        // Something in the request cannot be read, which is seen before anything is sent.
        return PayReport::Refused(Refusal::new(Code::InvoiceUnusable));
    }
    reply.pay_error()
}

impl ReceiveBackend for Phoenixd {
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

impl SendBackend for Phoenixd {
    fn abilities(&self) -> SendAbilities {
        SendAbilities {
            track: true,
            preimage: true,
            pays_once: false,
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
