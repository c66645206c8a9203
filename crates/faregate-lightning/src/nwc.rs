//! Nostr Wallet Connect (NIP-47): a wallet somewhere, reached over a Nostr relay.
//!
//! Requests and answers are events, signed and encrypted end to end: the relay can lose or delay them, and learns who talks to
//! whom, but cannot read or forge them. NIP-44 is used where the wallet says that it knows it, and NIP-04 for older ones. A
//! connection is made for each request. The fee cannot be bounded; the wallet's own budget for the connection does that.

mod message;
mod relay;
mod uri;

use std::fmt;
use std::time::Duration;

use faregate_core::port::Away;
use faregate_core::port::lightning::{
    ANSWER_INVALID, FeeCap, InvoiceAsk, InvoiceState, MadeInvoice, PayOrder, PayReport,
    ReceiveAbilities, ReceiveBackend, SendAbilities, SendBackend, Wanted,
};
use faregate_http::{PlainHttp, Trust};
use faregate_types::lightning::{Msat, PaymentHash};
use faregate_types::{Code, Refusal, Secret};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::config::ConfigError;
use crate::{json, limits};
use message::{Cipher, Peer};
use relay::{Fault, Place};

/// A connection to a wallet.
#[derive(Debug)]
#[non_exhaustive]
pub struct NwcConfig {
    /// `nostr+walletconnect://…`, as the wallet shows it. A secret: whoever knows it can use the wallet.
    pub uri: Secret,
    /// Whose certificates are believed for the relay.
    pub trust: Trust,
    /// Whether `ws://` may leave this machine.
    pub plain_http: PlainHttp,
    /// Deadline of a request that is not a payment; [`limits::CALL_TIMEOUT`] by default.
    pub timeout: Duration,
}

impl NwcConfig {
    /// By what the wallet shows.
    #[must_use]
    pub const fn new(uri: Secret) -> Self {
        Self {
            uri,
            trust: Trust::Platform,
            plain_http: PlainHttp::ToThisMachine,
            timeout: limits::CALL_TIMEOUT,
        }
    }

    /// With this deadline.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

/// A wallet over Nostr Wallet Connect.
pub struct Nwc {
    peer: Peer,
    places: Vec<Place>,
    timeout: Duration,
    /// How the wallet wants to be talked to. Asked once.
    cipher: OnceCell<Cipher>,
}

impl fmt::Debug for Nwc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Nwc").finish()
    }
}

impl Nwc {
    /// Checks the configuration. Connects to nobody yet.
    ///
    /// # Errors
    /// [`ConfigError`], without a part of the URI in it.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the URI should not live on with the caller"
    )]
    pub fn new(config: NwcConfig) -> Result<Self, ConfigError> {
        let (peer, relays) = uri::read(&config.uri)?;
        let places: Result<Vec<_>, _> = relays
            .iter()
            .map(|relay| Place::new(relay, &config.trust, config.plain_http))
            .collect();
        Ok(Self {
            peer,
            places: places?,
            timeout: config.timeout,
            cipher: OnceCell::new(),
        })
    }

    /// Asks the wallet, over the first relay that can be reached.
    async fn ask(&self, method: &str, params: &Value, wait: Duration) -> Result<Value, Fault> {
        let mut last = Fault::NotSent;
        for place in &self.places {
            let call = self.ask_at(place, method, params, wait);
            match tokio::time::timeout(wait, call).await {
                Ok(Err(Fault::NotSent)) => last = Fault::NotSent,
                Ok(heard) => return heard,
                // Whether it was sent is not known.
                Err(_) => return Err(Fault::Lost),
            }
        }
        Err(last)
    }

    async fn ask_at(
        &self,
        place: &Place,
        method: &str,
        params: &Value,
        wait: Duration,
    ) -> Result<Value, Fault> {
        let mut relay = place.connect().await?;
        let cipher = match self.cipher.get() {
            Some(cipher) => *cipher,
            None => {
                let found = relay.info(&self.peer, self.timeout).await?;
                *self.cipher.get_or_init(|| async { found }).await
            }
        };
        let body = json!({ "method": method, "params": params });
        let request = self
            .peer
            .request(cipher, &body, wait)
            .ok_or(Fault::NotSent)?;
        relay.exchange(&self.peer, cipher, &request).await
    }

    async fn make(&self, ask: &InvoiceAsk) -> Result<MadeInvoice, Away> {
        let params = json!({
            "amount": ask.amount.get(), "description": ask.description, "expiry": ask.expiry_secs,
        });
        let heard = self.ask("make_invoice", &params, self.timeout).await;
        let made = result(heard.map_err(away)?)?;
        let invoice = json::text(&made, "/invoice").ok_or(ANSWER_INVALID)?;
        Ok(MadeInvoice {
            invoice: invoice.into(),
            handle: None,
        })
    }

    async fn state(&self, wanted: &Wanted) -> Result<InvoiceState, Away> {
        let params = json!({ "payment_hash": wanted.payment_hash.to_string() });
        let heard = self.ask("lookup_invoice", &params, self.timeout).await;
        let answer = heard.map_err(away)?;
        if error_code(&answer) == Some("NOT_FOUND") {
            return Ok(InvoiceState::Unknown);
        }
        let found = result(answer)?;
        if !json::is_about(&found, "/payment_hash", &wanted.payment_hash) {
            return Err(ANSWER_INVALID);
        }
        match state(&found) {
            Some("settled") => Ok(InvoiceState::Paid {
                amount: json::msat(&found, "/amount"),
            }),
            Some("pending" | "accepted") => Ok(InvoiceState::Open),
            Some("expired") => Ok(InvoiceState::Expired),
            Some("failed") => Ok(InvoiceState::Cancelled),
            _ => Err(ANSWER_INVALID),
        }
    }

    async fn send(&self, order: &PayOrder) -> PayReport {
        let params = json!({ "invoice": order.invoice.as_str() });
        let wait = order
            .time_limit
            .saturating_add(self.timeout.min(limits::PAY_GRACE));
        let answer = match self.ask("pay_invoice", &params, wait).await {
            Ok(answer) => answer,
            Err(fault) => return fault.report(),
        };
        let Some(code) = error_code(&answer) else {
            let paid = answer.pointer("/result").unwrap_or(&Value::Null);
            return match json::preimage(paid, "/preimage") {
                Some(preimage) => PayReport::Paid {
                    preimage: Some(preimage),
                    fee: json::msat(paid, "/fees_paid"),
                },
                None => PayReport::Unclear(Code::LightningAnswerInvalid),
            };
        };
        let said = json::text(&answer, "/error/message").unwrap_or_default();
        let refusal = |code| Refusal::new(code).detail(json::detail(said));
        match code {
            "INSUFFICIENT_BALANCE" | "QUOTA_EXCEEDED" => {
                PayReport::Refused(refusal(Code::InsufficientFunds))
            }
            "UNAUTHORIZED" | "RESTRICTED" => {
                PayReport::Refused(refusal(Code::LightningUnauthorized))
            }
            "RATE_LIMITED" => PayReport::Refused(refusal(Code::LightningUnavailable)),
            "NOT_IMPLEMENTED" | "UNSUPPORTED_ENCRYPTION" => {
                PayReport::Refused(refusal(Code::LightningUnsupported))
            }
            // NIP-47 says this of a payment that ran out of time, too. Its end is what the wallet says when it is asked.
            "PAYMENT_FAILED" => match self.follow(&order.invoice.payment_hash()).await {
                PayReport::NotFound => PayReport::Failed(refusal(Code::LightningPaymentFailed)),
                report => report,
            },
            _ => PayReport::Unclear(Code::LightningUnavailable),
        }
    }

    async fn follow(&self, hash: &PaymentHash) -> PayReport {
        let params = json!({ "payment_hash": hash.to_string() });
        let answer = match self.ask("lookup_invoice", &params, self.timeout).await {
            Ok(answer) => answer,
            Err(fault) => return fault.report(),
        };
        match error_code(&answer) {
            None => {}
            Some("NOT_FOUND") => return PayReport::NotFound,
            Some("NOT_IMPLEMENTED" | "RESTRICTED" | "UNAUTHORIZED") => {
                return PayReport::Unclear(Code::LightningUnsupported);
            }
            Some(_) => return PayReport::Unclear(Code::LightningUnavailable),
        }
        let found = answer.pointer("/result").unwrap_or(&Value::Null);
        if !json::is_about(found, "/payment_hash", hash) {
            return PayReport::Unclear(Code::LightningAnswerInvalid);
        }
        // The other side of a payment within one wallet service.
        if json::text(found, "/type") == Some("incoming") {
            return PayReport::NotFound;
        }
        match state(found) {
            Some("settled") => PayReport::Paid {
                preimage: json::preimage(found, "/preimage"),
                fee: json::msat(found, "/fees_paid"),
            },
            Some("pending" | "accepted") => PayReport::Pending,
            Some("failed") => PayReport::Failed(Refusal::new(Code::LightningPaymentFailed)),
            _ => PayReport::Unclear(Code::LightningAnswerInvalid),
        }
    }
}

/// The state of a transaction. Older wallets only say when it was settled.
fn state(found: &Value) -> Option<&str> {
    if !found.is_object() {
        return None;
    }
    let said = json::text(found, "/state");
    let settled = json::integer(found, "/settled_at").is_some_and(|at| at > 0);
    said.or(Some(if settled { "settled" } else { "pending" }))
}

fn error_code(answer: &Value) -> Option<&str> {
    let error = answer.pointer("/error").filter(|error| !error.is_null())?;
    // An error without a code is one all the same.
    Some(json::text(error, "/code").unwrap_or("OTHER"))
}

fn result(mut answer: Value) -> Result<Value, Away> {
    let code = match error_code(&answer) {
        None => {
            return answer
                .get_mut("result")
                .map(Value::take)
                .ok_or(ANSWER_INVALID);
        }
        Some("UNAUTHORIZED" | "RESTRICTED") => Code::LightningUnauthorized,
        Some("NOT_IMPLEMENTED") => Code::LightningUnsupported,
        Some(_) => Code::LightningUnavailable,
    };
    Err(Away { code })
}

fn away(fault: Fault) -> Away {
    tracing::warn!(backend = "nwc", ?fault, "a Lightning backend is away");
    Away { code: fault.code() }
}

impl ReceiveBackend for Nwc {
    fn abilities(&self) -> ReceiveAbilities {
        ReceiveAbilities {
            // Where the wallet offers it.
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

impl SendBackend for Nwc {
    fn abilities(&self) -> SendAbilities {
        SendAbilities {
            // Where the wallet offers it.
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
        Box::pin(self.follow(payment_hash))
    }
}
