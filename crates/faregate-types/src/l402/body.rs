//! The JSON body of a 402 answer as l402kit's servers write it and its clients read it (specs/l402.md §2.1).

use serde::{Deserialize, Serialize};

use crate::lightning::Msat;

/// What l402kit's documents say to any other token that opens nothing.
pub const UNAUTHORIZED: &str = "Unauthorized";

/// `error` in l402kit's answer to a token that was used before. Clients compare it letter by letter.
pub const ALREADY_USED: &str = "Token already used";

/// What l402kit's clients look for in a 402 answer. Servers of ours write both names of the price; some clients know only one.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Body {
    /// For people.
    pub error: Box<str>,
    /// What it costs, in whole satoshis: a payer must not trust this but look into the invoice.
    pub price_sats: u64,
    /// The same once more.
    #[serde(rename = "priceSats")]
    pub price_sats_camel: u64,
    /// The invoice.
    pub invoice: Box<str>,
    /// The token.
    pub macaroon: Box<str>,
}

impl Body {
    /// The body that goes with a challenge.
    #[must_use]
    pub fn new(error: &str, price: Msat, invoice: &str, token: &str) -> Self {
        let sats = price.to_sat_rounded_up();
        Self {
            error: error.into(),
            price_sats: sats,
            price_sats_camel: sats,
            invoice: invoice.into(),
            macaroon: token.into(),
        }
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("error", &self.error)
            .field("price_sats", &self.price_sats)
            .field("invoice", &self.invoice)
            .finish_non_exhaustive()
    }
}

/// Token and invoice in the body of a 402 answer of another server, under all the names they are seen with.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ForeignBody {
    /// The invoice.
    #[serde(alias = "paymentRequest", alias = "payment_request")]
    pub invoice: Box<str>,
    /// The token.
    #[serde(alias = "token", alias = "payment_token")]
    pub macaroon: Box<str>,
}

impl ForeignBody {
    /// Reads a body. `None` when it is not JSON, has none of the two, or has one of them under two names.
    #[must_use]
    pub fn read(body: &[u8]) -> Option<Self> {
        let within = body.len() <= crate::limits::BODY_BYTES_MAX;
        let read: Self = serde_json::from_slice(body).ok().filter(|_| within)?;
        (!read.invoice.is_empty() && !read.macaroon.is_empty()).then_some(read)
    }
}

impl std::fmt::Debug for ForeignBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForeignBody")
            .field("invoice", &self.invoice)
            .finish_non_exhaustive()
    }
}
