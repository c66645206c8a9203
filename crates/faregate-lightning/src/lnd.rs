//! LND over its REST API (`lnrpc` and `routerrpc` behind grpc-gateway).
//!
//! For selling the `invoice.macaroon` is enough. For paying, a macaroon with `offchain:read` and `offchain:write`.
//! Numbers of 64 bits are strings, bytes are base64, except in payments, where they are hexadecimal.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use faregate_core::port::Away;
use faregate_core::port::lightning::{
    ANSWER_INVALID, FeeCap, InvoiceAsk, InvoiceState, MadeInvoice, PayOrder, PayReport,
    ReceiveAbilities, ReceiveBackend, SendAbilities, SendBackend, Settled, SettledStream, Wanted,
};
use faregate_http::{CallError, Lines};
use faregate_types::lightning::{Msat, PaymentHash};
use faregate_types::{Code, Refusal, Secret};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, stream};
use reqwest::header::HeaderName;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use crate::api::{Api, Reply, away, unheard};
use crate::config::{ConfigError, Endpoint, secret_header};
use crate::{json, limits};

/// Where LND wants the macaroon.
static MACAROON: HeaderName = HeaderName::from_static("grpc-metadata-macaroon");

/// How long LND may keep a subscription waiting for its first line: it sends nothing before, not even headers.
const SUBSCRIPTION_MAX: Duration = Duration::from_secs(365 * 24 * 3_600);

/// A node and what opens it.
#[derive(Debug)]
#[non_exhaustive]
pub struct LndConfig {
    /// Where its REST API is, `https://…:8080` by default. LND makes its own certificate: pin `tls.cert`.
    pub endpoint: Endpoint,
    /// The macaroon: the bytes of the file, or their hexadecimal text.
    pub macaroon: Secret,
    /// Whether invoices tell the way to channels that are not announced.
    pub private_hints: bool,
}

impl LndConfig {
    /// With hints only where LND gives them by itself.
    #[must_use]
    pub const fn new(endpoint: Endpoint, macaroon: Secret) -> Self {
        Self {
            endpoint,
            macaroon,
            private_hints: false,
        }
    }
}

/// An LND node.
pub struct Lnd {
    api: Api,
    private_hints: bool,
}

impl fmt::Debug for Lnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lnd").field(&self.api).finish()
    }
}

impl Lnd {
    /// Checks the configuration. Connects to nobody yet.
    ///
    /// # Errors
    /// [`ConfigError`].
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the macaroon should not live on with the caller"
    )]
    pub fn new(config: LndConfig) -> Result<Self, ConfigError> {
        let given = config.macaroon.expose();
        let is_hex = given.len().is_multiple_of(2) && given.iter().all(u8::is_ascii_hexdigit);
        let text = if is_hex {
            Zeroizing::new(given.to_vec())
        } else {
            Zeroizing::new(hex::encode(given).into_bytes())
        };
        let headers = secret_header(MACAROON.clone(), "", &text)?;
        Ok(Self {
            api: Api::new("lnd", &config.endpoint, headers)?,
            private_hints: config.private_hints,
        })
    }

    async fn make(&self, ask: &InvoiceAsk) -> Result<MadeInvoice, Away> {
        let body = json!({
            "value_msat": ask.amount.get().to_string(),
            "memo": ask.description,
            "expiry": ask.expiry_secs.to_string(),
            "private": self.private_hints,
        });
        let reply = self.api.post("v1/invoices", &body).await.map_err(away)?;
        let made = read(reply)?;
        let invoice = json::text(&made, "/payment_request").ok_or(ANSWER_INVALID)?;
        Ok(MadeInvoice {
            invoice: invoice.into(),
            handle: None,
        })
    }

    async fn state(&self, wanted: &Wanted) -> Result<InvoiceState, Away> {
        let path = format!("v1/invoice/{}", wanted.payment_hash);
        let reply = self.api.get(&path).await.map_err(away)?;
        if !reply.is_ok() && is_no_invoice(&reply) {
            return Ok(InvoiceState::Unknown);
        }
        let invoice = read(reply)?;
        if !json::is_about(&invoice, "/r_hash", &wanted.payment_hash) {
            return Err(ANSWER_INVALID);
        }
        match json::text(&invoice, "/state") {
            Some("OPEN" | "ACCEPTED") => Ok(InvoiceState::Open),
            Some("SETTLED") => Ok(InvoiceState::Paid {
                amount: json::msat(&invoice, "/amt_paid_msat"),
            }),
            // LND cancels what was not paid in time, too.
            Some("CANCELED") => Ok(InvoiceState::Cancelled),
            _ => Err(ANSWER_INVALID),
        }
    }

    fn subscribe(&self) -> SettledStream {
        let request = self.api.request(Method::GET, "v1/invoices/subscribe");
        // Asked when the stream is first looked at.
        let opening = Feed::Opening(request);
        let api = self.api.clone();
        stream::unfold(opening, move |feed| {
            let api = api.clone();
            async move { next_settled(&api, feed).await }
        })
        .boxed()
    }

    async fn send(&self, order: &PayOrder) -> PayReport {
        let body = json!({
            "payment_request": order.invoice.as_str(),
            "timeout_seconds": order.time_limit.as_secs().clamp(1, 600),
            "fee_limit_msat": order.fee_max.get().to_string(),
            "no_inflight_updates": true,
        });
        let request = self.api.json("v2/router/send", &body);
        let wait = self.api.patience(order.time_limit);
        let hash = order.invoice.payment_hash();
        self.follow(request, &hash, wait, true).await
    }

    async fn ask(&self, hash: &PaymentHash) -> PayReport {
        let path = format!("v2/router/track/{}", URL_SAFE.encode(hash.as_bytes()));
        let request = self.api.request(Method::GET, &path);
        self.follow(request, hash, self.api.timeout(), false).await
    }

    /// Reads lines about a payment: the first that says something, or the first that says the end.
    async fn follow(
        &self,
        request: RequestBuilder,
        hash: &PaymentHash,
        wait: Duration,
        to_the_end: bool,
    ) -> PayReport {
        let Some(deadline) = Instant::now().checked_add(wait) else {
            return PayReport::Unclear(Code::LightningUnavailable);
        };
        let (status, mut lines) = match self.api.lines(request, wait).await {
            Ok(opened) => opened,
            Err(error) => return unheard(error),
        };
        for _ in 0..limits::PAY_LINES_MAX {
            let line = match timeout_at(deadline, lines.next()).await {
                Ok(Ok(Some(line))) => line,
                Ok(Ok(None) | Err(CallError::Lost | CallError::NotSent | CallError::TimedOut))
                | Err(_) => break,
                Ok(Err(CallError::TooLarge)) => {
                    return PayReport::Unclear(Code::LightningAnswerInvalid);
                }
            };
            let json: Value = serde_json::from_slice(&line).unwrap_or_default();
            let report = report(status, &json, hash);
            if !to_the_end || report != PayReport::Pending {
                return report;
            }
        }
        PayReport::Unclear(Code::LightningUnavailable)
    }
}

/// Where a subscription is.
enum Feed {
    Opening(RequestBuilder),
    Open(Lines),
    Over,
}

async fn next_settled(api: &Api, feed: Feed) -> Option<(Result<Settled, Away>, Feed)> {
    let mut lines = match feed {
        Feed::Opening(request) => match api.lines(request, SUBSCRIPTION_MAX).await {
            Ok((status, lines)) if status.is_success() => lines,
            Ok((status, _)) => {
                let reply = Reply {
                    status,
                    json: Value::Null,
                };
                let error = reply.ok().map_or_else(|away| away, |_| ANSWER_INVALID);
                return Some((Err(error), Feed::Over));
            }
            Err(error) => return Some((Err(away(error)), Feed::Over)),
        },
        Feed::Open(lines) => lines,
        Feed::Over => return None,
    };
    loop {
        let line = match lines.next().await {
            Ok(Some(line)) => line,
            Ok(None) => return None,
            Err(error) => return Some((Err(away(error)), Feed::Over)),
        };
        let json: Value = serde_json::from_slice(&line).unwrap_or_default();
        if json::text(&json, "/result/state") == Some("SETTLED") {
            let settled = json::text(&json, "/result/r_hash")
                .and_then(json::read_hash)
                .map(|payment_hash| Settled {
                    payment_hash,
                    amount: json::msat(&json, "/result/amt_paid_msat"),
                });
            return Some((settled.ok_or(ANSWER_INVALID), Feed::Open(lines)));
        }
        if json.pointer("/error").is_some() || json.is_null() {
            return Some((Err(ANSWER_INVALID), Feed::Over));
        }
    }
}

/// The answer of a call about invoices. LND answers a wrong macaroon with 500.
fn read(reply: Reply) -> Result<Value, Away> {
    if !reply.is_ok() && is_unauthorized(&reply.json) {
        return Err(Away {
            code: Code::LightningUnauthorized,
        });
    }
    reply.ok()
}

/// What went wrong, of a call with one answer or with many.
fn message(json: &Value) -> &str {
    json::text(json, "/error/message")
        .or_else(|| json::text(json, "/message"))
        .unwrap_or_default()
}

fn is_unauthorized(json: &Value) -> bool {
    let message = message(json);
    ["macaroon", "permission denied", "verification failed"]
        .iter()
        .any(|words| message.contains(words))
}

fn is_no_invoice(reply: &Reply) -> bool {
    let message = message(&reply.json);
    message.contains("unable to locate invoice")
        || message.contains("there are no existing invoices")
}

/// What one line, or an error, says about a payment.
fn report(status: StatusCode, json: &Value, hash: &PaymentHash) -> PayReport {
    let Some(payment) = json.pointer("/result") else {
        return error_report(status, json);
    };
    if !json::is_about(payment, "/payment_hash", hash) {
        return PayReport::Unclear(Code::LightningAnswerInvalid);
    }
    match json::text(payment, "/status") {
        Some("SUCCEEDED") => PayReport::Paid {
            preimage: json::preimage(payment, "/payment_preimage"),
            fee: json::msat(payment, "/fee_msat"),
        },
        Some("FAILED") => PayReport::Failed(failure(json::text(payment, "/failure_reason"))),
        Some("IN_FLIGHT" | "INITIATED") => PayReport::Pending,
        _ => PayReport::Unclear(Code::LightningAnswerInvalid),
    }
}

fn failure(reason: Option<&str>) -> Refusal {
    let reason = reason.unwrap_or_default();
    let code = match reason {
        "FAILURE_REASON_NO_ROUTE" => Code::LightningNoRoute,
        "FAILURE_REASON_INSUFFICIENT_BALANCE" => Code::InsufficientFunds,
        _ => Code::LightningPaymentFailed,
    };
    Refusal::new(code).detail(json::detail(reason))
}

fn error_report(status: StatusCode, json: &Value) -> PayReport {
    let message = message(json);
    let says = |words: &str| message.contains(words);
    if says("already paid") || says("in transition") || says("already exists") {
        return PayReport::Repeated;
    }
    if says("payment isn't initiated") {
        return PayReport::NotFound;
    }
    let code = if is_unauthorized(json) {
        Code::LightningUnauthorized
    } else if says("invoice expired") {
        Code::InvoiceExpired
    } else if status == StatusCode::BAD_REQUEST && !message.is_empty() {
        Code::InvoiceUnusable
    } else {
        let reply = Reply {
            status,
            json: Value::Null,
        };
        return reply.pay_error();
    };
    PayReport::Refused(Refusal::new(code).detail(json::detail(message)))
}

impl ReceiveBackend for Lnd {
    fn abilities(&self) -> ReceiveAbilities {
        ReceiveAbilities {
            look_up: true,
            subscribe: true,
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

    fn settled(&self) -> BoxFuture<'_, Result<SettledStream, Away>> {
        Box::pin(std::future::ready(Ok(self.subscribe())))
    }
}

impl SendBackend for Lnd {
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
