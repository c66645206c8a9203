//! Managed mode, the seller's side: somebody else's server makes the invoices and passes the money on to a Lightning address.
//! It only receives.
//!
//! The API is l402kit's (specs/l402.md §2.4, §2.5), so it may be their service or `faregate managed`. The server is believed as
//! far as an invoice shows it: network, amount and expiry are compared by whoever asks. Whether it passes the money on is a
//! matter of trust; that is what managed mode means. The token that comes with an invoice is signed by nobody and is not used.

use std::fmt;

use faregate_core::port::Away;
use faregate_core::port::lightning::{
    ANSWER_INVALID, InvoiceAsk, MadeInvoice, ReceiveAbilities, ReceiveBackend,
};
use faregate_types::Secret;
use faregate_types::lightning::{LightningAddress, Msat};
use futures_util::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::{Value, json};
use url::Url;

use crate::api::{Api, Reply, away};
use crate::config::{ConfigError, Endpoint, secret_header};
use crate::json;

/// A server, and who is paid by it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ManagedConfig {
    /// Where the server is: `api/invoice` is appended.
    pub endpoint: Endpoint,
    /// Where the money is passed on to.
    pub owner: LightningAddress,
}

impl ManagedConfig {
    /// Paid at this Lightning address, by the server at `base`.
    ///
    /// # Errors
    /// When it is no Lightning address.
    pub fn from_address(address: &str, base: Url) -> Result<Self, ConfigError> {
        let owner = address.parse().map_err(|_| {
            ConfigError::Other("expected a Lightning address such as shop@wallet.example")
        })?;
        Ok(Self {
            endpoint: Endpoint::new(base),
            owner,
        })
    }
}

/// What stands in the server's directory about an API.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "an input, written out by callers"
)]
pub struct Listing {
    /// Where it is. An entry is known by this.
    pub url: Url,
    /// What it is called.
    pub name: Box<str>,
    /// What a request costs, in satoshis.
    pub price_sats: u64,
    /// A sentence about it.
    pub description: Option<Box<str>>,
    /// Where it belongs, such as `data` or `ai`.
    pub category: Box<str>,
}

/// An entry that was made or changed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Listed {
    /// The server found the Lightning address at the API's own host.
    pub verified: bool,
    /// With this the entry can be changed later. Said once, when the entry is made, by servers that have such keys.
    pub key: Option<Secret>,
}

/// Why there is no entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The server did not answer, or not in a way that can be understood.
    #[error("the directory did not answer")]
    Away(Away),
    /// The server says no.
    #[error("the directory refused with status {status}: {detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// In the server's words.
        detail: Box<str>,
    },
    /// The key cannot be sent.
    #[error(transparent)]
    Key(#[from] ConfigError),
}

/// A server that receives for a Lightning address.
pub struct Managed {
    api: Api,
    owner: LightningAddress,
}

impl fmt::Debug for Managed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Managed")
            .field("api", &self.api)
            .field("owner", &self.owner)
            .finish()
    }
}

impl Managed {
    /// Checks the configuration. Connects to nobody yet.
    ///
    /// # Errors
    /// [`ConfigError`].
    #[allow(clippy::needless_pass_by_value, reason = "as for the other backends")]
    pub fn new(config: ManagedConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            api: Api::new("managed", &config.endpoint, HeaderMap::new())?,
            owner: config.owner,
        })
    }

    async fn make(&self, ask: &InvoiceAsk) -> Result<MadeInvoice, Away> {
        let sats = ask.amount.to_sat().ok_or(ANSWER_INVALID)?;
        let body = json!({ "amountSats": sats, "ownerAddress": self.owner.as_str() });
        let made = self
            .api
            .post("api/invoice", &body)
            .await
            .map_err(away)?
            .ok()?;
        let invoice = json::text(&made, "/paymentRequest").ok_or(ANSWER_INVALID)?;
        Ok(MadeInvoice {
            invoice: invoice.into(),
            handle: None,
        })
    }

    /// Puts an API into the server's directory, or changes what stands there: an entry that exists is changed by who has its
    /// key, or the host it is about.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub async fn register(
        &self,
        listing: &Listing,
        key: Option<&Secret>,
    ) -> Result<Listed, RegisterError> {
        // l402kit writes a description that is absent as null.
        let body = json!({
            "url": listing.url.as_str(), "name": listing.name, "price_sats": listing.price_sats,
            "lightning_address": self.owner.as_str(), "description": listing.description,
            "category": listing.category,
        });
        let mut request = self.api.json("api/register", &body);
        if let Some(key) = key {
            request = request.headers(secret_header(AUTHORIZATION, "Bearer ", key.expose())?);
        }
        let reply = self.api.send(request, self.api.timeout()).await;
        let reply = reply.map_err(|error| RegisterError::Away(away(error)))?;
        if !reply.is_ok() {
            return Err(refused(&reply));
        }
        if reply.json.pointer("/ok").and_then(Value::as_bool) != Some(true) {
            return Err(RegisterError::Away(ANSWER_INVALID));
        }
        let verified = reply.json.pointer("/verified").and_then(Value::as_bool);
        let key = json::text(&reply.json, "/key").map(|key| Secret::new(key.as_bytes().to_vec()));
        Ok(Listed {
            verified: verified.unwrap_or(false),
            key,
        })
    }
}

fn refused(reply: &Reply) -> RegisterError {
    let said = ["/detail", "/error", "/title"];
    let said = said.iter().find_map(|path| json::text(&reply.json, path));
    RegisterError::Refused {
        status: reply.status.as_u16(),
        detail: json::detail(said.unwrap_or("no reason given")).into(),
    }
}

impl ReceiveBackend for Managed {
    fn abilities(&self) -> ReceiveAbilities {
        ReceiveAbilities {
            look_up: false,
            subscribe: false,
            sets_expiry: false,
            unit: Msat::new(1_000),
        }
    }

    fn create<'a>(&'a self, ask: &'a InvoiceAsk) -> BoxFuture<'a, Result<MadeInvoice, Away>> {
        Box::pin(self.make(ask))
    }
}
