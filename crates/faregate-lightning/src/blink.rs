//! Blink over its GraphQL API.
//!
//! The fee is asked for before a payment and cannot be bounded in the payment itself. The preimage may come later than the
//! word that a payment was made.

use std::fmt;
use std::time::Duration;

use faregate_core::port::Away;
use faregate_core::port::lightning::{
    ANSWER_INVALID, FeeCap, InvoiceAsk, InvoiceState, MadeInvoice, PayOrder, PayReport,
    ReceiveAbilities, ReceiveBackend, SendAbilities, SendBackend, Wanted,
};
use faregate_http::CallError;
use faregate_types::lightning::{Msat, PaymentHash};
use faregate_types::{Code, Refusal, Secret};
use futures_util::future::BoxFuture;
use reqwest::header::HeaderName;
use serde_json::{Value, json};

use crate::api::{Api, Reply, away, unheard};
use crate::config::{ConfigError, Endpoint, secret_header};
use crate::json;

static KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Where Blink is.
pub const PRODUCTION: &str = "https://api.blink.sv";

/// How often, and how long apart, the preimage of a payment that was made is asked for.
const PREIMAGE_TRIES: u32 = 3;
const PREIMAGE_PAUSE: Duration = Duration::from_millis(300);

const CREATE: &str = "mutation Create($input: LnInvoiceCreateInput!) { lnInvoiceCreate(input: $input) \
    { invoice { paymentRequest } errors { message code } } }";

const LOOK_UP: &str = "query LookUp($walletId: WalletId!, $paymentHash: PaymentHash!) { me { defaultAccount \
    { walletById(walletId: $walletId) { invoiceByPaymentHash(paymentHash: $paymentHash) \
    { ... on LnInvoice { paymentHash paymentStatus } } } } } }";

const PROBE: &str = "mutation Probe($input: LnInvoiceFeeProbeInput!) { lnInvoiceFeeProbe(input: $input) \
    { amount errors { message code } } }";

const PAY: &str = "mutation Pay($input: LnInvoicePaymentInput!) { lnInvoicePaymentSend(input: $input) \
    { status errors { message code } transaction { settlementFee settlementVia \
    { ... on SettlementViaLn { preImage } } } } }";

const TRACK: &str = "query Track($walletId: WalletId!, $paymentHash: PaymentHash!) { me { defaultAccount \
    { walletById(walletId: $walletId) { transactionsByPaymentHash(paymentHash: $paymentHash) \
    { settlementFee status direction settlementVia { ... on SettlementViaLn { preImage } } } } } } }";

/// A wallet of a Blink account.
#[derive(Debug)]
#[non_exhaustive]
pub struct BlinkConfig {
    /// [`PRODUCTION`], or a server of one's own.
    pub endpoint: Endpoint,
    /// The account's key.
    pub key: Secret,
    /// The id of its Bitcoin wallet.
    pub wallet_id: Box<str>,
}

impl BlinkConfig {
    /// A wallet by its account's key and its own id.
    #[must_use]
    pub const fn new(endpoint: Endpoint, key: Secret, wallet_id: Box<str>) -> Self {
        Self {
            endpoint,
            key,
            wallet_id,
        }
    }
}

/// A wallet of a Blink account.
pub struct Blink {
    api: Api,
    wallet_id: Box<str>,
}

impl fmt::Debug for Blink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blink").field(&self.api).finish()
    }
}

impl Blink {
    /// Checks the configuration. Connects to nobody yet.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn new(config: BlinkConfig) -> Result<Self, ConfigError> {
        let headers = secret_header(KEY.clone(), "", config.key.expose())?;
        if config.wallet_id.is_empty() {
            return Err(ConfigError::Other("expected the id of a Blink wallet"));
        }
        Ok(Self {
            api: Api::new("blink", &config.endpoint, headers)?,
            wallet_id: config.wallet_id,
        })
    }

    async fn query(&self, query: &str, variables: &Value) -> Result<Reply, CallError> {
        let body = json!({ "query": query, "variables": variables });
        self.api.post("graphql", &body).await
    }

    /// What a query about one payment hash found, below the wallet.
    async fn about(&self, query: &str, hash: &PaymentHash) -> Result<Reply, CallError> {
        let variables = json!({ "walletId": self.wallet_id, "paymentHash": hash.to_string() });
        self.query(query, &variables).await
    }

    async fn make(&self, ask: &InvoiceAsk) -> Result<MadeInvoice, Away> {
        let input = json!({
            "walletId": self.wallet_id, "amount": ask.amount.to_sat().ok_or(ANSWER_INVALID)?,
            "memo": ask.description, "expiresIn": ask.expiry_secs.div_ceil(60).max(1),
        });
        let reply = self.query(CREATE, &json!({ "input": input })).await;
        let made = read(reply.map_err(away)?)?;
        let path = "/data/lnInvoiceCreate/invoice/paymentRequest";
        let invoice = json::text(&made, path).ok_or(ANSWER_INVALID)?;
        Ok(MadeInvoice {
            invoice: invoice.into(),
            handle: None,
        })
    }

    async fn state(&self, wanted: &Wanted) -> Result<InvoiceState, Away> {
        let reply = self.about(LOOK_UP, &wanted.payment_hash).await;
        let found = read(reply.map_err(away)?)?;
        let path = "/data/me/defaultAccount/walletById/invoiceByPaymentHash";
        let invoice = found.pointer(path).ok_or(ANSWER_INVALID)?;
        if !json::is_about(invoice, "/paymentHash", &wanted.payment_hash) {
            return Err(ANSWER_INVALID);
        }
        match json::text(invoice, "/paymentStatus") {
            Some("PAID") => Ok(InvoiceState::Paid { amount: None }),
            Some("PENDING") => Ok(InvoiceState::Open),
            Some("EXPIRED") => Ok(InvoiceState::Expired),
            None if invoice.is_null() => Ok(InvoiceState::Unknown),
            _ => Err(ANSWER_INVALID),
        }
    }

    async fn send(&self, order: &PayOrder) -> PayReport {
        let input = json!({ "input": {
            "walletId": self.wallet_id, "paymentRequest": order.invoice.as_str(),
        }});
        if let Err(report) = self.probe(&input, order.fee_max).await {
            return report;
        }
        let body = json!({ "query": PAY, "variables": input });
        let reply = match self.api.pay("graphql", &body, order.time_limit).await {
            Ok(reply) => reply,
            Err(error) => return unheard(error),
        };
        if !reply.is_ok() || is_refused(&reply.json) {
            return refused(&reply);
        }
        let Some(sent) = reply.json.pointer("/data/lnInvoicePaymentSend") else {
            return PayReport::Unclear(Code::LightningAnswerInvalid);
        };
        match json::text(sent, "/status") {
            Some("SUCCESS") => match transaction(sent.pointer("/transaction")) {
                PayReport::Paid { preimage: None, .. } => self.wait_for_preimage(order).await,
                report => report,
            },
            Some("FAILURE") => PayReport::Failed(failure(sent)),
            Some("PENDING") => PayReport::Pending,
            Some("ALREADY_PAID") => PayReport::Repeated,
            _ => PayReport::Unclear(Code::LightningAnswerInvalid),
        }
    }

    /// Asks what the way costs. Nothing is sent.
    async fn probe(&self, input: &Value, fee_max: Msat) -> Result<(), PayReport> {
        let Ok(reply) = self.query(PROBE, input).await else {
            // Only the question was lost.
            return Err(refuse(Code::LightningUnavailable, ""));
        };
        if !reply.is_ok() || is_refused(&reply.json) {
            return Err(match refused(&reply) {
                PayReport::Unclear(code) => refuse(code, ""),
                report => report,
            });
        }
        let path = "/data/lnInvoiceFeeProbe";
        let probe = reply.json.pointer(path).unwrap_or(&Value::Null);
        match json::sat(probe, "/amount") {
            Some(fee) if fee <= fee_max => Ok(()),
            Some(_) => Err(refuse(Code::LightningNoRoute, "the fee is above the limit")),
            None => Err(PayReport::Refused(failure(probe))),
        }
    }

    async fn wait_for_preimage(&self, order: &PayOrder) -> PayReport {
        let hash = order.invoice.payment_hash();
        for _ in 0..PREIMAGE_TRIES {
            tokio::time::sleep(PREIMAGE_PAUSE).await;
            let report = self.ask(&hash).await;
            let there = matches!(
                report,
                PayReport::Paid {
                    preimage: Some(_),
                    ..
                }
            );
            if there {
                return report;
            }
        }
        PayReport::Paid {
            preimage: None,
            fee: None,
        }
    }

    async fn ask(&self, hash: &PaymentHash) -> PayReport {
        let reply = match self.about(TRACK, hash).await {
            Ok(reply) => reply,
            Err(error) => return unheard(error),
        };
        if !reply.is_ok() || is_refused(&reply.json) {
            return refused(&reply);
        }
        let path = "/data/me/defaultAccount/walletById/transactionsByPaymentHash";
        let Some(list) = reply.json.pointer(path).and_then(Value::as_array) else {
            return PayReport::Unclear(Code::LightningAnswerInvalid);
        };
        let sent: Vec<_> = list
            .iter()
            .filter(|one| json::text(one, "/direction") == Some("SEND"))
            .collect();
        let of = |status| {
            sent.iter()
                .find(|one| json::text(one, "/status") == Some(status))
        };
        match (of("SUCCESS"), of("PENDING"), of("FAILURE")) {
            (Some(one), _, _) => transaction(Some(one)),
            (None, Some(_), _) => PayReport::Pending,
            (None, None, Some(_)) => PayReport::Failed(Refusal::new(Code::LightningPaymentFailed)),
            (None, None, None) if sent.is_empty() => PayReport::NotFound,
            (None, None, None) => PayReport::Unclear(Code::LightningAnswerInvalid),
        }
    }
}

fn refuse(code: Code, why: &str) -> PayReport {
    PayReport::Refused(Refusal::new(code).detail(json::detail(why)))
}

/// A payment that was made.
fn transaction(transaction: Option<&Value>) -> PayReport {
    let transaction = transaction.unwrap_or(&Value::Null);
    let fee = transaction
        .pointer("/settlementFee")
        .and_then(Value::as_i64);
    PayReport::Paid {
        preimage: json::preimage(transaction, "/settlementVia/preImage"),
        fee: fee.and_then(|fee| Msat::from_sat(fee.unsigned_abs())),
    }
}

/// The first error of a mutation.
fn failure(mutation: &Value) -> Refusal {
    let code = json::text(mutation, "/errors/0/code").unwrap_or_default();
    let said = json::text(mutation, "/errors/0/message").unwrap_or_default();
    let code = match code {
        "INSUFFICIENT_BALANCE" => Code::InsufficientFunds,
        "ROUTE_FINDING_ERROR" => Code::LightningNoRoute,
        _ => Code::LightningPaymentFailed,
    };
    Refusal::new(code).detail(json::detail(said))
}

/// Whether GraphQL itself refused the question.
fn is_refused(json: &Value) -> bool {
    let errors = json.pointer("/errors").and_then(Value::as_array);
    errors.is_some_and(|errors| !errors.is_empty())
}

fn is_unauthorized(json: &Value) -> bool {
    let code = json::text(json, "/errors/0/extensions/code").unwrap_or_default();
    let said = json::text(json, "/errors/0/message").unwrap_or_default();
    matches!(code, "UNAUTHENTICATED" | "FORBIDDEN" | "NOT_AUTHORIZED")
        || said.eq_ignore_ascii_case("not authorized")
        || said.eq_ignore_ascii_case("not authenticated")
}

fn refused(reply: &Reply) -> PayReport {
    if is_unauthorized(&reply.json) {
        return refuse(Code::LightningUnauthorized, "");
    }
    if reply.is_ok() {
        return PayReport::Unclear(Code::LightningAnswerInvalid);
    }
    reply.pay_error()
}

fn read(reply: Reply) -> Result<Value, Away> {
    if is_unauthorized(&reply.json) {
        return Err(Away {
            code: Code::LightningUnauthorized,
        });
    }
    let json = reply.ok()?;
    if is_refused(&json) {
        return Err(ANSWER_INVALID);
    }
    Ok(json)
}

impl ReceiveBackend for Blink {
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

impl SendBackend for Blink {
    fn abilities(&self) -> SendAbilities {
        SendAbilities {
            track: true,
            preimage: true,
            pays_once: true,
            fee_cap: FeeCap::Quoted,
        }
    }

    fn pay<'a>(&'a self, order: &'a PayOrder) -> BoxFuture<'a, PayReport> {
        Box::pin(self.send(order))
    }

    fn track<'a>(&'a self, payment_hash: &'a PaymentHash) -> BoxFuture<'a, PayReport> {
        Box::pin(self.ask(payment_hash))
    }
}
