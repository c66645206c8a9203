//! What a seller says about a guarantee beside "it is issued": certificate and what the tab comes to, in the receipt's header.

use faregate_types::U256;
use faregate_types::credit::{Certificate, Claims, Guarantee};
use faregate_types::x402::{Version, header};
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::receipt;

/// The certificate of a guarantee, as far as it was shown. It is the seller's money: the payer needs it for nothing but to know
/// what it owes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ShownCertificate {
    /// None was shown.
    Missing,
    /// It says what was signed; nobody looked who issued it.
    Given(Certificate),
    /// It says what was signed, and the credit core of this client issued it.
    Verified(Certificate),
    /// It is about something else, or the credit core of this client did not issue it.
    NotCredible,
}

/// What a receipt says about a guarantee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Details {
    pub(crate) certificate: ShownCertificate,
    /// What the tab comes to, by the certificate.
    pub(crate) total: Option<U256>,
}

impl Details {
    /// Reads the header of an answer. Sellers differ in where they put it: beside `success`, or in `extra`.
    pub(crate) fn read(headers: &HeaderMap, version: Version, claims: &Claims) -> Self {
        let value = receipt::value(headers, version);
        let said = value.and_then(|value| header::decode_any(value.as_bytes()).ok());
        let places = said.iter().flat_map(|said| [Some(said), said.get("extra")]);
        let certificate = places.flatten().find_map(certificate);
        let (certificate, total) = match certificate {
            None => (ShownCertificate::Missing, None),
            Some(certificate) => match total(&certificate, claims) {
                Some(total) => (ShownCertificate::Given(certificate), Some(total)),
                None => (ShownCertificate::NotCredible, None),
            },
        };
        Self { certificate, total }
    }
}

fn certificate(place: &Value) -> Option<Certificate> {
    let shown = place.get("certificate")?;
    match shown {
        // As cores write it: a text that is JSON itself.
        Value::String(text) => serde_json::from_str(text).ok(),
        shown => serde_json::from_value(shown.clone()).ok(),
    }
}

/// The sum of the tab, when a certificate says what was signed.
fn total(certificate: &Certificate, claims: &Claims) -> Option<U256> {
    let (guarantee, _) = Guarantee::decode(&certificate.claims).ok()?;
    let total = guarantee.total_amount;
    let expected = Guarantee::of(claims, guarantee.domain, total).ok()?;
    (expected == guarantee && total >= claims.amount).then_some(total)
}
