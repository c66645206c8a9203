//! OpenNode over its REST API. It only receives: its withdrawals give no preimage.
//!
//! It knows a charge by an id of its own, which is not the payment hash, so the id is kept with the invoice. A charge may also
//! be paid on chain; then it is paid, and nobody ever gets the preimage.

use std::fmt;

use faregate_core::port::Away;
use faregate_core::port::lightning::{
    ANSWER_INVALID, InvoiceAsk, InvoiceState, MadeInvoice, ReceiveAbilities, ReceiveBackend,
    UNSUPPORTED, Wanted,
};
use faregate_types::Secret;
use faregate_types::lightning::Msat;
use futures_util::future::BoxFuture;
use reqwest::StatusCode;
use reqwest::header::AUTHORIZATION;
use serde_json::json;

use crate::api::{Api, away};
use crate::config::{ConfigError, Endpoint, secret_header};
use crate::json;

/// Where OpenNode is.
pub const PRODUCTION: &str = "https://api.opennode.com";
/// Where its test network is.
pub const TEST: &str = "https://dev-api.opennode.com";

/// An account.
#[derive(Debug)]
#[non_exhaustive]
pub struct OpenNodeConfig {
    /// [`PRODUCTION`] or [`TEST`].
    pub endpoint: Endpoint,
    /// A key that may make invoices.
    pub key: Secret,
}

impl OpenNodeConfig {
    /// An account by its key.
    #[must_use]
    pub const fn new(endpoint: Endpoint, key: Secret) -> Self {
        Self { endpoint, key }
    }
}

/// An OpenNode account.
pub struct OpenNode(Api);

impl fmt::Debug for OpenNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpenNode").field(&self.0).finish()
    }
}

impl OpenNode {
    /// Checks the configuration. Connects to nobody yet.
    ///
    /// # Errors
    /// [`ConfigError`].
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the key should not live on with the caller"
    )]
    pub fn new(config: OpenNodeConfig) -> Result<Self, ConfigError> {
        let headers = secret_header(AUTHORIZATION, "", config.key.expose())?;
        Api::new("opennode", &config.endpoint, headers).map(Self)
    }

    async fn make(&self, ask: &InvoiceAsk) -> Result<MadeInvoice, Away> {
        let amount = ask.amount.to_sat().ok_or(ANSWER_INVALID)?;
        let body = json!({
            "amount": amount, "currency": "SATS", "description": ask.description, "auto_settle": false,
            // In minutes; it takes nothing below ten.
            "ttl": ask.expiry_secs.div_ceil(60).clamp(10, 1_440),
        });
        let made = self.0.post("v1/charges", &body).await.map_err(away)?.ok()?;
        let invoice = json::text(&made, "/data/lightning_invoice/payreq").ok_or(ANSWER_INVALID)?;
        let id = json::text(&made, "/data/id").and_then(json::name);
        Ok(MadeInvoice {
            invoice: invoice.into(),
            handle: Some(id.ok_or(ANSWER_INVALID)?.into()),
        })
    }

    async fn state(&self, wanted: &Wanted) -> Result<InvoiceState, Away> {
        let id = wanted.handle.as_deref().and_then(json::name);
        let path = format!("v1/charge/{}", id.ok_or(UNSUPPORTED)?);
        let reply = self.0.get(&path).await.map_err(away)?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(InvoiceState::Unknown);
        }
        let charge = reply.ok()?;
        if json::text(&charge, "/data/id") != id {
            return Err(ANSWER_INVALID);
        }
        match json::text(&charge, "/data/status") {
            Some("unpaid" | "processing" | "underpaid") => Ok(InvoiceState::Open),
            Some("paid") => Ok(InvoiceState::Paid { amount: None }),
            Some("expired") => Ok(InvoiceState::Expired),
            Some("refunded") => Ok(InvoiceState::Cancelled),
            _ => Err(ANSWER_INVALID),
        }
    }
}

impl ReceiveBackend for OpenNode {
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
