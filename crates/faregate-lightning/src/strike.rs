//! Strike over its REST API.
//!
//! A payment is quoted first, with its fee, and then executed. Strike cannot be asked about a payment hash, so a payment whose
//! answer was lost is not found again.

use std::fmt;
use std::time::Duration;

use faregate_core::port::Away;
use faregate_core::port::lightning::{
    ANSWER_INVALID, FeeCap, InvoiceAsk, InvoiceState, MadeInvoice, PayOrder, PayReport,
    ReceiveAbilities, ReceiveBackend, SendAbilities, SendBackend, UNSUPPORTED, Wanted,
};
use faregate_types::lightning::Msat;
use faregate_types::{Code, Refusal, Secret};
use futures_util::future::BoxFuture;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::{Api, Reply, away, unheard};
use crate::config::{ConfigError, Endpoint, bearer};
use crate::json;

/// Where Strike is.
pub const PRODUCTION: &str = "https://api.strike.me";

/// How often a payment on its way is looked at.
const POLL: Duration = Duration::from_millis(500);

/// An account.
#[derive(Debug)]
#[non_exhaustive]
pub struct StrikeConfig {
    /// [`PRODUCTION`], or a test server.
    pub endpoint: Endpoint,
    /// A key with the scopes of receive requests or of payments.
    pub key: Secret,
}

impl StrikeConfig {
    /// An account by its key.
    #[must_use]
    pub const fn new(endpoint: Endpoint, key: Secret) -> Self {
        Self { endpoint, key }
    }
}

/// A Strike account.
pub struct Strike(Api);

impl fmt::Debug for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Strike").field(&self.0).finish()
    }
}

impl Strike {
    /// Checks the configuration. Connects to nobody yet.
    ///
    /// # Errors
    /// [`ConfigError`].
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the key should not live on with the caller"
    )]
    pub fn new(config: StrikeConfig) -> Result<Self, ConfigError> {
        Api::new("strike", &config.endpoint, bearer(&config.key)?).map(Self)
    }

    async fn make(&self, ask: &InvoiceAsk) -> Result<MadeInvoice, Away> {
        let amount = json::to_btc(ask.amount.to_sat().ok_or(ANSWER_INVALID)?);
        let body = json!({
            "bolt11": {
                "amount": { "currency": "BTC", "amount": amount },
                "description": ask.description,
                "expiryInSeconds": ask.expiry_secs,
            },
            "targetCurrency": "BTC",
        });
        let reply = self.0.post("v1/receive-requests", &body).await;
        let made = reply.map_err(away)?.ok()?;
        let invoice = json::text(&made, "/bolt11/invoice").ok_or(ANSWER_INVALID)?;
        let id = json::text(&made, "/receiveRequestId").and_then(json::name);
        Ok(MadeInvoice {
            invoice: invoice.into(),
            handle: Some(id.ok_or(ANSWER_INVALID)?.into()),
        })
    }

    async fn state(&self, wanted: &Wanted) -> Result<InvoiceState, Away> {
        let id = wanted.handle.as_deref().and_then(json::name);
        let path = format!("v1/receive-requests/{}/receives", id.ok_or(UNSUPPORTED)?);
        let reply = self.0.get(&path).await.map_err(away)?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(InvoiceState::Unknown);
        }
        let found = reply.ok()?;
        let items = found.pointer("/items").and_then(Value::as_array);
        let done = items
            .ok_or(ANSWER_INVALID)?
            .iter()
            .find(|item| json::text(item, "/state") == Some("COMPLETED"));
        Ok(match done {
            Some(item) => InvoiceState::Paid {
                amount: json::btc(item, "/amountReceived"),
            },
            // Strike does not say whether it has expired.
            None => InvoiceState::Open,
        })
    }

    async fn send(&self, order: &PayOrder) -> PayReport {
        let quote = match self.quote(order).await {
            Ok(quote) => quote,
            Err(refusal) => return PayReport::Refused(refusal),
        };
        let until = Instant::now().checked_add(order.time_limit);
        let path = format!("v1/payment-quotes/{quote}/execute");
        let request = self.0.request(Method::PATCH, &path);
        let executed = self
            .0
            .send(request, self.0.patience(order.time_limit))
            .await;
        let mut reply = match executed {
            Ok(reply) => reply,
            Err(error) => return unheard(error),
        };
        if !reply.is_ok() {
            return error_report(&reply);
        }
        loop {
            let report = report(&reply.json);
            let asked_again = matches!(
                report,
                PayReport::Pending | PayReport::Paid { preimage: None, .. }
            );
            let id = json::text(&reply.json, "/paymentId").and_then(json::name);
            let (Some(id), true) = (id, asked_again) else {
                return report;
            };
            if until.is_none_or(|until| Instant::now() >= until) {
                return report;
            }
            tokio::time::sleep(POLL.min(order.time_limit)).await;
            match self.0.get(&format!("v1/payments/{id}")).await {
                Ok(next) if next.is_ok() => reply = next,
                // It was under way a moment ago.
                Ok(_) | Err(_) => return report,
            }
        }
    }

    /// What the payment costs, and its name. Nothing is sent.
    async fn quote(&self, order: &PayOrder) -> Result<String, Refusal> {
        let body = json!({ "lnInvoice": order.invoice.as_str(), "sourceCurrency": "BTC" });
        let reply = self.0.post("v1/payment-quotes/lightning", &body).await;
        let reply = reply.map_err(|error| Refusal::new(away(error).code))?;
        if !reply.is_ok() {
            return Err(match error_report(&reply) {
                PayReport::Failed(refusal) | PayReport::Refused(refusal) => refusal,
                _ => Refusal::new(Code::LightningUnavailable),
            });
        }
        let quote = &reply.json;
        let id = json::text(quote, "/paymentQuoteId").and_then(json::name);
        let id = id.ok_or_else(|| Refusal::new(Code::LightningAnswerInvalid))?;
        // Everything that is taken on top, whatever it is called.
        let fee = match (json::btc(quote, "/totalAmount"), order.invoice.amount()) {
            (Some(total), Some(amount)) => total.checked_sub(amount),
            _ => json::btc(quote, "/lightningNetworkFee"),
        };
        match fee {
            Some(fee) if fee <= order.fee_max => Ok(id.to_owned()),
            Some(_) => {
                Err(Refusal::new(Code::LightningNoRoute).detail("the fee is above the limit"))
            }
            None => Err(Refusal::new(Code::LightningAnswerInvalid)
                .detail("the quote does not say what the payment costs")),
        }
    }
}

fn report(payment: &Value) -> PayReport {
    match json::text(payment, "/state") {
        Some("COMPLETED") => PayReport::Paid {
            preimage: json::preimage(payment, "/lightning/preImage")
                .or_else(|| json::preimage(payment, "/lightning/preimage"))
                .or_else(|| json::preimage(payment, "/preimage")),
            fee: json::btc(payment, "/lightning/networkFee")
                .or_else(|| json::btc(payment, "/lightningNetworkFee")),
        },
        Some("FAILED") => PayReport::Failed(Refusal::new(Code::LightningPaymentFailed)),
        Some("PENDING") => PayReport::Pending,
        _ => PayReport::Unclear(Code::LightningAnswerInvalid),
    }
}

fn error_report(reply: &Reply) -> PayReport {
    let code = json::text(&reply.json, "/data/code").unwrap_or_default();
    let refused = |ours| PayReport::Refused(Refusal::new(ours).detail(json::detail(code)));
    match code {
        "BALANCE_TOO_LOW" => refused(Code::InsufficientFunds),
        "LN_INVOICE_EXPIRED" => refused(Code::InvoiceExpired),
        "LN_INVOICE_PROCESSED" => PayReport::Repeated,
        "LN_ROUTE_NOT_FOUND" => refused(Code::LightningNoRoute),
        "INVALID_LN_INVOICE" | "INVALID_DATA" => refused(Code::InvoiceUnusable),
        _ => reply.pay_error(),
    }
}

impl ReceiveBackend for Strike {
    fn abilities(&self) -> ReceiveAbilities {
        ReceiveAbilities {
            look_up: true,
            subscribe: false,
            sets_expiry: false,
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

impl SendBackend for Strike {
    fn abilities(&self) -> SendAbilities {
        SendAbilities {
            track: false,
            preimage: true,
            pays_once: true,
            fee_cap: FeeCap::Quoted,
        }
    }

    fn pay<'a>(&'a self, order: &'a PayOrder) -> BoxFuture<'a, PayReport> {
        Box::pin(self.send(order))
    }
}
