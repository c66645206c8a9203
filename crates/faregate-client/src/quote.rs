//! What a request would cost, without paying.

use faregate_types::x402::Version;
use url::Url;

use crate::error::PayError;
use crate::select::{Considered, Price};

/// What a request would cost.
#[derive(Debug)]
#[non_exhaustive]
pub enum Quote {
    /// The server did not ask for payment.
    Free {
        /// The status of its answer.
        status: u16,
    },
    /// It did.
    Priced(Box<Priced>),
}

/// Offers, what we make of them, and what would happen.
#[derive(Debug)]
#[non_exhaustive]
pub struct Priced {
    /// The protocol version of the answer.
    pub version: Version,
    /// Where the payment would be sent, after redirects.
    pub url: Url,
    /// What the server says it sells, shortened and made printable.
    pub description: Option<Box<str>>,
    /// Why the server says it asks for payment.
    pub error: Option<Box<str>>,
    /// Every offer, in the server's order.
    pub options: Vec<Considered>,
    /// The place of the offer that would be paid now, or why nothing would be.
    pub verdict: Result<usize, PayError>,
}

impl Priced {
    /// The price that would be paid.
    #[must_use]
    pub fn price(&self) -> Option<&Price> {
        let index = self.verdict.as_ref().ok()?;
        self.options.get(*index)?.verdict.as_ref().ok()
    }
}
