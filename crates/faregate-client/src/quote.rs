//! What a request would cost, without paying.

use faregate_types::Refusal;
use faregate_types::x402::Version;
use url::Url;

use crate::choose::Choice;
use crate::error::PayError;
use crate::rail::l402::InvoicePrice;
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
    /// The x402 version of the answer, if it has offers of x402.
    pub version: Option<Version>,
    /// Where the payment would be sent, after redirects.
    pub url: Url,
    /// What the server says it sells, shortened and made printable.
    pub description: Option<Box<str>>,
    /// Why the server says it asks for payment.
    pub error: Option<Box<str>>,
    /// Every offer of x402, in the server's order.
    pub options: Vec<Considered>,
    /// Every offer that is paid with a permit, in the server's order. Its `scheme` is the kind of the permit.
    pub permits: Vec<Considered>,
    /// Every offer on credit, in the server's order.
    pub credits: Vec<Considered>,
    /// The Lightning invoice, or why it is not paid; `None` when there is none.
    pub invoice: Option<Result<InvoicePrice, Refusal>>,
    /// What would be paid now, or why nothing would be.
    pub verdict: Result<Choice, PayError>,
}

impl Priced {
    /// The price that would be paid over x402, with a permit or on credit.
    #[must_use]
    pub fn price(&self) -> Option<&Price> {
        let taken = match self.verdict {
            Ok(Choice::Offer(place)) => self.options.get(place),
            Ok(Choice::Permit(place)) => self.permits.get(place),
            Ok(Choice::Credit(place)) => self.credits.get(place),
            Ok(Choice::Invoice) | Err(_) => None,
        };
        taken?.verdict.as_ref().ok()
    }
}
