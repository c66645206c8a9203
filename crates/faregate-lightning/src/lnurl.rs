//! A Lightning address (LUD-16): invoices of a wallet that is known by its address only, over LNURL-pay (LUD-06). It only
//! receives.
//!
//! The wallet's service makes the invoices, and is believed as far as an invoice shows what it is for: its description hash has
//! to be that of the metadata the service showed for this address. Whether an invoice was paid can be asked where the service
//! offers it (LUD-21).

use std::fmt;

use faregate_core::port::Away;
use faregate_core::port::lightning::{
    ANSWER_INVALID, InvoiceAsk, InvoiceState, MadeInvoice, ReceiveAbilities, ReceiveBackend,
    UNSUPPORTED, Wanted,
};
use faregate_http::{BaseUrl, PlainHttp};
use faregate_types::Code;
use faregate_types::lightning::{Bolt11, InvoiceDescription, LightningAddress, Msat, Preimage};
use futures_util::future::BoxFuture;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::Url;

use crate::api::{Api, Reply, away};
use crate::config::{ConfigError, Endpoint};
use crate::json;

/// Longest URL that a service may name.
const URL_BYTES_MAX: usize = 2_048;

/// A Lightning address.
#[derive(Debug)]
#[non_exhaustive]
pub struct LnurlConfig {
    /// `name@host`.
    pub address: LightningAddress,
    /// Deadline, certificates, and where the address's host really is: the host of the address, over https, by default.
    pub endpoint: Endpoint,
}

impl LnurlConfig {
    /// An address at its own host.
    ///
    /// # Errors
    /// When it is not `name@host`, in the characters LUD-16 allows.
    pub fn new(address: &str) -> Result<Self, ConfigError> {
        let address = address.parse().map_err(|_| {
            ConfigError::Other("expected a Lightning address such as shop@wallet.example")
        })?;
        Self::of(address)
    }

    /// An address that was read already.
    ///
    /// # Errors
    /// When there can be no such host.
    pub fn of(address: LightningAddress) -> Result<Self, ConfigError> {
        let base = format!("https://{}", address.host());
        let base = Url::parse(&base).map_err(|_| ConfigError::Url)?;
        Ok(Self {
            address,
            endpoint: Endpoint::new(base),
        })
    }

    /// Asks another server for the same address.
    #[must_use]
    pub fn at(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = endpoint;
        self
    }
}

/// A wallet behind a Lightning address.
pub struct Lnurl {
    api: Api,
    path: String,
    plain_http: PlainHttp,
}

impl fmt::Debug for Lnurl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lnurl").field(&self.api).finish()
    }
}

/// What the service says about the address.
struct Terms {
    callback: Url,
    min: Msat,
    max: Msat,
    metadata: String,
    comment_max: usize,
}

impl Lnurl {
    /// Checks the configuration. Connects to nobody yet.
    ///
    /// # Errors
    /// [`ConfigError`].
    #[allow(clippy::needless_pass_by_value, reason = "as for the other backends")]
    pub fn new(config: LnurlConfig) -> Result<Self, ConfigError> {
        Ok(Self {
            path: format!(".well-known/lnurlp/{}", config.address.name()),
            plain_http: config.endpoint.plain_http,
            api: Api::new("lnurl", &config.endpoint, HeaderMap::new())?,
        })
    }

    async fn make(&self, ask: &InvoiceAsk) -> Result<MadeInvoice, Away> {
        let shown = self.api.get(&self.path).await.map_err(away)?;
        let terms = self.terms(&read(shown)?).ok_or(ANSWER_INVALID)?;
        if ask.amount < terms.min || ask.amount > terms.max {
            return Err(UNSUPPORTED);
        }
        let mut url = terms.callback.clone();
        url.query_pairs_mut()
            .append_pair("amount", &ask.amount.get().to_string());
        if terms.comment_max > 0 {
            let comment: String = ask.description.chars().take(terms.comment_max).collect();
            url.query_pairs_mut().append_pair("comment", &comment);
        }
        let made = read(self.ask(url).await?)?;
        let invoice = json::text(&made, "/pr").ok_or(ANSWER_INVALID)?;
        if !is_for(invoice, &terms.metadata) {
            tracing::error!("an LNURL service made an invoice that is not for this address");
            return Err(ANSWER_INVALID);
        }
        let verify = json::text(&made, "/verify").and_then(|text| self.url(text));
        Ok(MadeInvoice {
            invoice: invoice.into(),
            handle: verify.map(|url| url.as_str().into()),
        })
    }

    /// LUD-06, except that the invoice's amount is compared elsewhere.
    fn terms(&self, shown: &Value) -> Option<Terms> {
        if json::text(shown, "/tag") != Some("payRequest") {
            return None;
        }
        let terms = Terms {
            callback: self.url(json::text(shown, "/callback")?)?,
            min: json::msat(shown, "/minSendable")?,
            max: json::msat(shown, "/maxSendable")?,
            metadata: json::text(shown, "/metadata")?.to_owned(),
            comment_max: json::integer(shown, "/commentAllowed")
                .and_then(|max| usize::try_from(max).ok())
                .unwrap_or_default(),
        };
        let sensible = !terms.min.is_zero() && terms.min <= terms.max;
        sensible.then_some(terms)
    }

    /// A URL that the service named: as strict as a configured one, but it may have a query.
    fn url(&self, text: &str) -> Option<Url> {
        if text.len() > URL_BYTES_MAX {
            return None;
        }
        let url = Url::parse(text).ok()?;
        let mut bare = url.clone();
        bare.set_query(None);
        BaseUrl::new(bare, self.plain_http).ok().map(|_| url)
    }

    async fn ask(&self, url: Url) -> Result<Reply, Away> {
        let request = self.api.request_at(Method::GET, url);
        let reply = self.api.send(request, self.api.timeout()).await;
        reply.map_err(away)
    }

    async fn state(&self, wanted: &Wanted) -> Result<InvoiceState, Away> {
        let url = wanted.handle.as_deref().and_then(|text| self.url(text));
        let reply = self.ask(url.ok_or(UNSUPPORTED)?).await?;
        if reply.is_ok() && is_error(&reply.json) {
            return Ok(InvoiceState::Unknown);
        }
        let found = reply.ok()?;
        if let Some(invoice) = json::text(&found, "/pr")
            && Bolt11::parse(invoice).map(|invoice| invoice.payment_hash())
                != Ok(wanted.payment_hash)
        {
            return Err(ANSWER_INVALID);
        }
        match found.pointer("/settled").and_then(Value::as_bool) {
            Some(true) => match json::text(&found, "/preimage").map(Preimage::parse) {
                Some(Ok(preimage)) if wanted.payment_hash.is_of(&preimage) => {
                    Ok(InvoiceState::Paid { amount: None })
                }
                None => Ok(InvoiceState::Paid { amount: None }),
                Some(_) => Err(ANSWER_INVALID),
            },
            Some(false) => Ok(InvoiceState::Open),
            None => Err(ANSWER_INVALID),
        }
    }
}

/// Whether the invoice is for what the service showed before.
fn is_for(invoice: &str, metadata: &str) -> bool {
    let shown: [u8; 32] = Sha256::digest(metadata).into();
    // One that cannot be decoded is refused elsewhere, and is refused here, too.
    Bolt11::parse(invoice).is_ok_and(|invoice| match invoice.description() {
        Some(InvoiceDescription::Hash(hash)) => *hash == shown,
        Some(InvoiceDescription::Text(_)) | None => false,
    })
}

fn is_error(json: &Value) -> bool {
    json::text(json, "/status").is_some_and(|status| status.eq_ignore_ascii_case("error"))
}

/// An answer of the service, whose errors come with status 200.
fn read(reply: Reply) -> Result<Value, Away> {
    if reply.is_ok() && is_error(&reply.json) {
        return Err(Away {
            code: Code::LightningUnavailable,
        });
    }
    reply.ok()
}

impl ReceiveBackend for Lnurl {
    fn abilities(&self) -> ReceiveAbilities {
        ReceiveAbilities {
            // Where the service offers it.
            look_up: true,
            subscribe: false,
            sets_expiry: false,
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
