//! Alby: the Hub over its own API, and the older wallet API.
//!
//! The shared wallets behind the older API were closed on 2025-01-04; it still reaches a Hub that is connected to the account.
//! Neither lets the caller bound the fee. Elsewhere a Hub is better reached by `nwc`.

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
use serde_json::{Value, json};

use crate::api::{Api, Reply, away, unheard};
use crate::config::{ConfigError, Endpoint, bearer};
use crate::json;

/// Where the older API is.
pub const LEGACY: &str = "https://api.getalby.com";

/// Which of the two APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AlbyKind {
    /// A Hub's own, in millisatoshis.
    Hub,
    /// The older one at [`LEGACY`], in satoshis.
    Legacy,
}

/// An account or a Hub.
#[derive(Debug)]
#[non_exhaustive]
pub struct AlbyConfig {
    /// Which API it speaks.
    pub kind: AlbyKind,
    /// The Hub's URL, or [`LEGACY`].
    pub endpoint: Endpoint,
    /// An access token.
    pub token: Secret,
}

impl AlbyConfig {
    /// By its token.
    #[must_use]
    pub const fn new(kind: AlbyKind, endpoint: Endpoint, token: Secret) -> Self {
        Self {
            kind,
            endpoint,
            token,
        }
    }
}

/// An Alby account or Hub.
pub struct Alby {
    api: Api,
    kind: AlbyKind,
}

impl fmt::Debug for Alby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Alby").field(&self.api).finish()
    }
}

/// What became of something, in the words of both APIs.
enum State {
    Settled,
    Open,
    Failed,
}

impl Alby {
    /// Checks the configuration. Connects to nobody yet.
    ///
    /// # Errors
    /// [`ConfigError`].
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the token should not live on with the caller"
    )]
    pub fn new(config: AlbyConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            api: Api::new("alby", &config.endpoint, bearer(&config.token)?)?,
            kind: config.kind,
        })
    }

    const fn unit(&self) -> Msat {
        match self.kind {
            AlbyKind::Hub => Msat::new(1),
            AlbyKind::Legacy => Msat::new(1_000),
        }
    }

    /// Where something with this hash is looked up.
    fn place(&self, hash: &PaymentHash) -> String {
        match self.kind {
            AlbyKind::Hub => format!("api/transactions/{hash}"),
            AlbyKind::Legacy => format!("invoices/{hash}"),
        }
    }

    fn amount(&self, value: &Value, path: &str) -> Option<Msat> {
        match self.kind {
            AlbyKind::Hub => json::msat(value, path),
            AlbyKind::Legacy => json::sat(value, path),
        }
    }

    async fn make(&self, ask: &InvoiceAsk) -> Result<MadeInvoice, Away> {
        let (path, amount) = match self.kind {
            AlbyKind::Hub => ("api/invoices", Some(ask.amount.get())),
            AlbyKind::Legacy => ("invoices", ask.amount.to_sat()),
        };
        let amount = amount.ok_or(ANSWER_INVALID)?;
        let body = json!({ "amount": amount, "description": ask.description });
        let made = self.api.post(path, &body).await.map_err(away)?.ok()?;
        // The names of a Hub, of its older versions, and of the older API.
        let invoice = ["/invoice", "/payment_request", "/paymentRequest"]
            .iter()
            .find_map(|path| json::text(&made, path));
        Ok(MadeInvoice {
            invoice: invoice.ok_or(ANSWER_INVALID)?.into(),
            handle: None,
        })
    }

    async fn state(&self, wanted: &Wanted) -> Result<InvoiceState, Away> {
        let hash = &wanted.payment_hash;
        let reply = self.api.get(&self.place(hash)).await.map_err(away)?;
        if is_missing(&reply) {
            return Ok(InvoiceState::Unknown);
        }
        let found = reply.ok()?;
        if !is_about(&found, hash) {
            return Err(ANSWER_INVALID);
        }
        match state(&found).ok_or(ANSWER_INVALID)? {
            State::Settled => Ok(InvoiceState::Paid {
                amount: self.amount(&found, "/amount"),
            }),
            State::Open => Ok(InvoiceState::Open),
            State::Failed => Ok(InvoiceState::Expired),
        }
    }

    async fn send(&self, order: &PayOrder) -> PayReport {
        let invoice = order.invoice.as_str();
        let (path, body) = match self.kind {
            AlbyKind::Hub => (format!("api/payments/{invoice}"), json!({})),
            AlbyKind::Legacy => ("payments/bolt11".to_owned(), json!({ "invoice": invoice })),
        };
        let reply = match self.api.pay(&path, &body, order.time_limit).await {
            Ok(reply) => reply,
            Err(error) => return unheard(error),
        };
        if !reply.is_ok() {
            return error_report(&reply);
        }
        if !is_about(&reply.json, &order.invoice.payment_hash()) {
            return PayReport::Unclear(Code::LightningAnswerInvalid);
        }
        match preimage(&reply.json) {
            // The Hub answers with the whole transaction; the older API only when it was made.
            Some(preimage) => PayReport::Paid {
                preimage: Some(preimage),
                fee: self.fee(&reply.json),
            },
            None => match state(&reply.json) {
                Some(State::Open) => PayReport::Pending,
                Some(State::Failed) => failed(),
                Some(State::Settled) | None => PayReport::Unclear(Code::LightningAnswerInvalid),
            },
        }
    }

    async fn ask(&self, hash: &PaymentHash) -> PayReport {
        if self.kind == AlbyKind::Legacy {
            // It looks up what comes in only.
            return PayReport::Unclear(Code::LightningUnsupported);
        }
        let reply = match self.api.get(&self.place(hash)).await {
            Ok(reply) => reply,
            Err(error) => return unheard(error),
        };
        if is_missing(&reply) {
            return PayReport::NotFound;
        }
        if !reply.is_ok() {
            return error_report(&reply);
        }
        if !is_about(&reply.json, hash) {
            return PayReport::Unclear(Code::LightningAnswerInvalid);
        }
        if json::text(&reply.json, "/type") == Some("incoming") {
            return PayReport::NotFound;
        }
        match state(&reply.json) {
            Some(State::Settled) => PayReport::Paid {
                preimage: preimage(&reply.json),
                fee: self.fee(&reply.json),
            },
            Some(State::Open) => PayReport::Pending,
            Some(State::Failed) => failed(),
            None => PayReport::Unclear(Code::LightningAnswerInvalid),
        }
    }

    fn fee(&self, value: &Value) -> Option<Msat> {
        match self.kind {
            AlbyKind::Hub => json::msat(value, "/feesPaid"),
            AlbyKind::Legacy => json::sat(value, "/fee"),
        }
    }
}

fn failed() -> PayReport {
    PayReport::Failed(Refusal::new(Code::LightningPaymentFailed))
}

fn preimage(value: &Value) -> Option<faregate_types::lightning::Preimage> {
    json::preimage(value, "/preimage").or_else(|| json::preimage(value, "/payment_preimage"))
}

fn is_about(value: &Value, hash: &PaymentHash) -> bool {
    json::is_about(value, "/paymentHash", hash) && json::is_about(value, "/payment_hash", hash)
}

fn state(value: &Value) -> Option<State> {
    let state = json::text(value, "/state").map(str::to_ascii_lowercase);
    match state.as_deref() {
        Some("settled") => Some(State::Settled),
        Some("pending" | "created" | "accepted") => Some(State::Open),
        Some("failed" | "canceled" | "expired") => Some(State::Failed),
        Some(_) => None,
        None => match value.pointer("/settled").and_then(Value::as_bool) {
            Some(true) => Some(State::Settled),
            Some(false) => Some(State::Open),
            None => None,
        },
    }
}

fn message(reply: &Reply) -> &str {
    json::text(&reply.json, "/message")
        .or_else(|| json::text(&reply.json, "/error"))
        .unwrap_or_default()
}

fn is_missing(reply: &Reply) -> bool {
    let words = message(reply).to_ascii_lowercase();
    (reply.status == StatusCode::NOT_FOUND && !reply.json.is_null()) || words.contains("not found")
}

fn error_report(reply: &Reply) -> PayReport {
    let said = message(reply);
    let words = said.to_ascii_lowercase();
    let refused = |code| PayReport::Refused(Refusal::new(code).detail(json::detail(said)));
    if words.contains("already") {
        return PayReport::Repeated;
    }
    if words.contains("insufficient") || words.contains("not enough balance") {
        return refused(Code::InsufficientFunds);
    }
    if words.contains("expired") {
        return refused(Code::InvoiceExpired);
    }
    if reply.status == StatusCode::BAD_REQUEST && !words.is_empty() {
        return refused(Code::InvoiceUnusable);
    }
    reply.pay_error()
}

impl ReceiveBackend for Alby {
    fn abilities(&self) -> ReceiveAbilities {
        ReceiveAbilities {
            look_up: true,
            subscribe: false,
            sets_expiry: false,
            unit: self.unit(),
        }
    }

    fn create<'a>(&'a self, ask: &'a InvoiceAsk) -> BoxFuture<'a, Result<MadeInvoice, Away>> {
        Box::pin(self.make(ask))
    }

    fn look_up<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<InvoiceState, Away>> {
        Box::pin(self.state(wanted))
    }
}

impl SendBackend for Alby {
    fn abilities(&self) -> SendAbilities {
        SendAbilities {
            track: self.kind == AlbyKind::Hub,
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
