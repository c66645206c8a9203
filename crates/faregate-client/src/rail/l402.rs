//! L402: the challenge of a 402 answer, judged by its invoice (specs/l402.md §1.2, §2.1).
//!
//! Amount, payee, payment hash, network and expiry come out of the decoded invoice, whose signature was checked; what the
//! server writes beside it is only compared.

use alloy_primitives::B256;
use faregate_ledger::{Terms, Worth};
use faregate_types::l402::body::ForeignBody;
use faregate_types::l402::{Challenge, ChallengeError, credential};
use faregate_types::lightning::{Bolt11, Msat, NodeKey, Preimage};
use faregate_types::limits::HEADER_BYTES_MAX;
use faregate_types::{Code, Refusal, Timestamp};
use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde::Deserialize;
use serde_json::Value;

use crate::lightning::LightningWallet;
use crate::limits::INVOICE_MARGIN_SECS;
use crate::select::Considered;
use crate::text::clean;

/// The name of the rail, for people and programs.
pub(crate) const NAME: &str = "L402";

/// What stands before the token in the books.
const PREFIX: &str = "l402: ";

/// The scheme, a blank, a colon and a preimage, around the token.
const AROUND_TOKEN: usize = 5 + 1 + 64;

/// What a server asks for, as it words it.
pub(crate) struct Asked {
    token: Box<str>,
    invoice: Box<str>,
    /// What its body says that it costs, in satoshis.
    sats: Option<u64>,
}

/// A token and the invoice that makes it valid. The token is half of a key: no `Debug`.
#[derive(Clone)]
pub(crate) struct Invoiced {
    pub(crate) token: Box<str>,
    pub(crate) invoice: Bolt11,
}

/// What an invoice costs, in our own terms.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvoicePrice {
    /// What is paid.
    pub amount: Msat,
    /// Most that the way may cost on top.
    pub fee_max: Msat,
    /// Who is paid.
    pub payee: NodeKey,
    /// Until when it can be paid.
    pub expires_at: Timestamp,
}

/// The challenge in the headers of an answer, if there is one; `None` when its body has to be looked at.
pub(crate) fn in_headers(headers: &HeaderMap) -> Option<Result<Asked, Refusal>> {
    let lines = headers.get_all(WWW_AUTHENTICATE).iter();
    match Challenge::parse_all(lines.map(HeaderValue::as_bytes)) {
        Ok(challenges) => Some(only(challenges)),
        Err(
            ChallengeError::Absent
            | ChallengeError::MissingToken
            | ChallengeError::MissingInvoice
            | ChallengeError::Version,
        ) => None,
        Err(error) => Some(Err(malformed(format!("WWW-Authenticate: {error}")))),
    }
}

/// The challenge of an answer. Other servers write it into the body, or the price beside it.
pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Option<Result<Asked, Refusal>> {
    let written = ForeignBody::read(body);
    let asked = match (in_headers(headers), written) {
        (None, None) => return None,
        (None, Some(written)) => Ok(Asked {
            token: written.macaroon,
            invoice: written.invoice,
            sats: None,
        }),
        (Some(Ok(asked)), Some(written)) if asked.invoice != written.invoice => {
            Err(malformed("header and body ask for different invoices"))
        }
        (Some(asked), _) => asked,
    };
    Some(asked.map(|asked| Asked {
        sats: sats(body),
        ..asked
    }))
}

/// The same challenge may be there under both names of the scheme. Two that differ are two bills for one thing.
fn only(challenges: Vec<Challenge>) -> Result<Asked, Refusal> {
    let mut challenges = challenges.into_iter();
    let first = challenges
        .next()
        .ok_or_else(|| malformed("there is no challenge"))?;
    if challenges.any(|other| (&other.token, &other.invoice) != (&first.token, &first.invoice)) {
        return Err(malformed("there are two different challenges"));
    }
    Ok(Asked {
        token: first.token,
        invoice: first.invoice,
        sats: None,
    })
}

/// The price that a body names. What is no whole number says nothing.
fn sats(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Said {
        price_sats: Option<Value>,
        #[serde(rename = "priceSats")]
        price_sats_camel: Option<Value>,
    }
    let said: Said = serde_json::from_slice(body).ok()?;
    [said.price_sats, said.price_sats_camel]
        .into_iter()
        .flatten()
        .find_map(|value| match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        })
}

impl Asked {
    /// What is bought and what it costs.
    ///
    /// # Errors
    /// Why it is not paid.
    pub(crate) fn judge(
        &self,
        wallet: &LightningWallet,
        now: Timestamp,
    ) -> Result<(Invoiced, InvoicePrice), Refusal> {
        let too_long = self.token.len().saturating_add(AROUND_TOKEN) > HEADER_BYTES_MAX;
        if too_long {
            return Err(Refusal::new(Code::CredentialTooLarge));
        }
        if !self.token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed("the token cannot be sent in a header"));
        }
        let invoice = Bolt11::parse(&self.invoice).map_err(|error| unusable(error.to_string()))?;
        let network = invoice.network();
        if network != wallet.network() || !(network.is_testnet() || wallet.mainnet) {
            let detail = format!("the invoice is for {network}");
            return Err(Refusal::new(Code::NetworkNotAllowed).detail(detail));
        }
        let amount = invoice.amount().filter(|amount| !amount.is_zero());
        let amount = amount.ok_or_else(|| unusable("it does not say how much is to be paid"))?;
        if self.sats.is_some_and(|sats| !is_rounded(sats, amount)) {
            return Err(Refusal::new(Code::InvoicePriceMismatch));
        }
        let soon = now.checked_add_secs(INVOICE_MARGIN_SECS);
        if soon.is_none_or(|soon| invoice.is_expired(soon)) {
            return Err(Refusal::new(Code::InvoiceExpired));
        }
        let fee_max = wallet.fee.of(amount);
        let most = fee_max.and_then(|fee| amount.checked_add(fee));
        let (Some(fee_max), Some(most)) = (fee_max, most) else {
            return Err(Refusal::new(Code::OverPaymentCap));
        };
        if Worth::of_msat(most) > wallet.caps.per_payment {
            return Err(Refusal::new(Code::OverPaymentCap));
        }
        let price = InvoicePrice {
            amount,
            fee_max,
            payee: invoice.payee(),
            expires_at: invoice.expires_at(),
        };
        let token = self.token.clone();
        Ok((Invoiced { token, invoice }, price))
    }

    /// What is said about an offer that is not paid.
    pub(crate) fn refused(&self, refusal: Refusal) -> Considered {
        let invoice = Bolt11::parse(&self.invoice).ok();
        let invoice = invoice.as_ref();
        let text = |of: Option<String>| clean(&of.unwrap_or_default());
        Considered {
            scheme: NAME.into(),
            network: text(invoice.map(|invoice| invoice.network().to_string())),
            amount: text(
                invoice
                    .and_then(Bolt11::amount)
                    .map(|amount| amount.get().to_string()),
            ),
            asset: "msat".into(),
            pay_to: text(invoice.map(|invoice| invoice.payee().to_string())),
            verdict: Err(refusal),
        }
    }
}

/// Whether a price in satoshis is that of the invoice, to the part that cannot be said in satoshis.
fn is_rounded(sats: u64, amount: Msat) -> bool {
    Msat::from_sat(sats).is_some_and(|said| said.get().abs_diff(amount.get()) < 1_000)
}

impl InvoicePrice {
    /// What it counts against the caps.
    pub(crate) fn worth(&self) -> Worth {
        let most = self.amount.checked_add(self.fee_max);
        Worth::of_msat(most.unwrap_or(Msat::new(u64::MAX)))
    }
}

impl Invoiced {
    /// What is remembered about the place where it was asked for.
    pub(crate) fn terms(&self, price: &InvoicePrice) -> Terms {
        Terms {
            payee: price.payee.to_string().into(),
            amount: price.amount.on(self.invoice.network()),
            worth: price.worth(),
        }
    }

    /// The form in the books. The nonce tells two purchases apart.
    pub(crate) fn to_bytes(&self, nonce: B256) -> Vec<u8> {
        format!("{PREFIX}{} {} {nonce}", self.token, self.invoice).into_bytes()
    }

    /// Reads the form in the books.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.strip_prefix(PREFIX)?;
        let mut words = text.split(' ');
        let (token, invoice) = (words.next()?, words.next()?);
        Some(Self {
            token: token.into(),
            invoice: Bolt11::parse(invoice).ok()?,
        })
    }

    /// The value of `Authorization`, marked so that it is not printed.
    pub(crate) fn header(&self, preimage: &Preimage) -> Option<HeaderValue> {
        let value = credential::write(&self.token, preimage);
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn malformed(detail: impl AsRef<str>) -> Refusal {
    Refusal::new(Code::MalformedOffer).detail(detail)
}

fn unusable(detail: impl AsRef<str>) -> Refusal {
    Refusal::new(Code::InvoiceUnusable).detail(detail)
}
