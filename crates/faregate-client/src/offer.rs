//! What a 402 answer says, read with care and kept as it came.
//!
//! A version 2 answer has its offers in the `PAYMENT-REQUIRED` header, a version 1 answer in a JSON body. The header is
//! looked at first; with a header that cannot be read the answer is malformed, there is no falling back (x402 wire facts
//! §1.1, §1.3).
//!
//! Each offer is parsed on its own, so that one that we cannot read (another scheme, a number for a text) does not hide
//! the others. The JSON text of each is kept: the payment has to repeat it word for word. Offers on credit stand in the same
//! list and are kept apart, because they are read by other rules: see `rail/credit`.

use faregate_types::credit::x402::is_credit;
use faregate_types::x402::{Version, VersionTag, header, v1, v2};
use faregate_types::{ChainId, Code, Refusal};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::limits::OFFERS_MAX;
use crate::rail::credit;
use crate::text::clean;

/// The offers of one 402 answer.
#[derive(Debug)]
pub(crate) struct Offers {
    pub(crate) version: Version,
    /// Why payment is asked for.
    pub(crate) error: Option<Box<str>>,
    /// What is sold, as it came; only version 2 has it here.
    pub(crate) resource: Option<Box<RawValue>>,
    /// The text of `resource.description`, for people.
    pub(crate) description: Option<Box<str>>,
    /// Extensions, as they came.
    pub(crate) extensions: Option<Box<RawValue>>,
    /// In the server's order.
    pub(crate) entries: Vec<Entry>,
    /// Those on credit, in the server's order.
    pub(crate) credits: Vec<credit::Entry>,
}

/// One offer.
#[derive(Debug)]
pub(crate) struct Entry {
    /// As it came.
    pub(crate) raw: Box<RawValue>,
    /// What it says, or why it cannot be read.
    pub(crate) asked: Result<Asked, Refusal>,
}

/// What an offer asks for, in the same form for both versions. Nothing is checked yet but the types.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) scheme: String,
    pub(crate) network: String,
    pub(crate) chain: Option<ChainId>,
    pub(crate) amount: String,
    pub(crate) asset: String,
    pub(crate) pay_to: String,
    pub(crate) max_timeout_secs: u64,
    pub(crate) extra: Option<Map<String, Value>>,
}

/// Whether an answer asks for payment. Some servers say 412 when only an allowance is missing, with the same header.
pub(crate) fn asks_for_payment(status: StatusCode, headers: &HeaderMap) -> bool {
    match status {
        StatusCode::PAYMENT_REQUIRED => true,
        StatusCode::PRECONDITION_FAILED => headers.contains_key(header::PAYMENT_REQUIRED),
        _ => false,
    }
}

/// Whether the offers are in the headers, so that the body does not matter.
pub(crate) fn in_headers(headers: &HeaderMap) -> bool {
    headers.contains_key(header::PAYMENT_REQUIRED)
}

/// Reads the offers of the header.
///
/// # Errors
/// [`Code::MalformedOffer`] or [`Code::HeadersTooLarge`].
pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Offers, Refusal> {
    let mut values = headers.get_all(header::PAYMENT_REQUIRED).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(malformed("expected exactly one PAYMENT-REQUIRED header"));
    };
    let json = header::decode_base64(value.as_bytes()).map_err(|error| match error {
        header::HeaderError::TooLarge => {
            Refusal::new(Code::HeadersTooLarge).detail(format!("PAYMENT-REQUIRED: {error}"))
        }
        other => malformed(format!("PAYMENT-REQUIRED: {other}")),
    })?;
    let envelope: EnvelopeV2 = object(&json, "PAYMENT-REQUIRED")?;
    let resource = envelope
        .resource
        .and_then(|raw| Some((parse::<v2::ResourceInfo>(&raw).ok()?, raw)));
    let (resource, description) = match resource {
        Some((info, raw)) => (Some(raw), info.description.as_deref().map(clean)),
        None => (None, None),
    };
    let (entries, credits) = entries(envelope.accepts, Version::V2)?;
    Ok(Offers {
        version: Version::V2,
        error: envelope.error.as_deref().map(clean),
        resource,
        description,
        extensions: envelope.extensions.filter(|raw| is_object(raw)),
        entries,
        credits,
    })
}

/// Reads the offers of a version 1 body.
///
/// # Errors
/// [`Code::MalformedOffer`].
pub(crate) fn from_body(body: &[u8]) -> Result<Offers, Refusal> {
    let envelope: EnvelopeV1 = object(body, "the body of the 402 answer")?;
    let (mut entries, credits) = entries(envelope.accepts, Version::V1)?;
    if envelope.version.is_none() {
        // Sellers on credit leave it out (specs/4mica.md §6.2), and nobody else.
        if credits.is_empty() {
            return Err(malformed(
                "the body of the 402 answer: expected x402Version 1",
            ));
        }
        entries = Vec::new();
    }
    Ok(Offers {
        version: Version::V1,
        error: envelope.error.as_deref().map(clean),
        resource: None,
        description: None,
        extensions: None,
        entries,
        credits,
    })
}

/// The texts with which an answer says why it refuses a payment: the header's, else the body's.
pub(crate) fn refusal_text(headers: &HeaderMap, body: &[u8]) -> Option<Box<str>> {
    #[derive(Deserialize)]
    struct Said {
        error: Option<String>,
        reason: Option<String>,
    }
    let said = |json: &[u8]| {
        let said: Said = serde_json::from_slice(json).ok()?;
        said.error.or(said.reason)
    };
    let header = headers
        .get(header::PAYMENT_REQUIRED)
        .and_then(|value| header::decode_base64(value.as_bytes()).ok());
    header
        .and_then(|json| said(&json))
        .or_else(|| said(body))
        .filter(|text| !text.trim().is_empty())
        .map(|text| clean(&text))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EnvelopeV2 {
    #[serde(rename = "x402Version")]
    _version: VersionTag<2>,
    error: Option<String>,
    resource: Option<Box<RawValue>>,
    accepts: Vec<Box<RawValue>>,
    extensions: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EnvelopeV1 {
    #[serde(rename = "x402Version")]
    version: Option<VersionTag<1>>,
    error: Option<String>,
    accepts: Vec<Box<RawValue>>,
}

/// The offers of `exact` and of whatever is not known, and those on credit.
fn entries(
    accepts: Vec<Box<RawValue>>,
    version: Version,
) -> Result<(Vec<Entry>, Vec<credit::Entry>), Refusal> {
    if accepts.is_empty() || accepts.len() > OFFERS_MAX {
        return Err(malformed(format!("expected 1 to {OFFERS_MAX} offers")));
    }
    let read = match version {
        Version::V1 => asked_v1,
        Version::V2 => asked_v2,
    };
    let (mut entries, mut credits) = (Vec::with_capacity(accepts.len()), Vec::new());
    for raw in accepts {
        let asked = read(&raw);
        let may_be_credit = asked
            .as_ref()
            .map_or(true, |asked| is_credit(&asked.scheme));
        let credit = if may_be_credit {
            credit::Entry::read(&raw, version)
        } else {
            None
        };
        match credit {
            Some(credit) => credits.push(credit),
            None => entries.push(Entry {
                asked: asked.map_err(|error| malformed(error.to_string())),
                raw,
            }),
        }
    }
    Ok((entries, credits))
}

fn asked_v2(raw: &RawValue) -> Result<Asked, serde_json::Error> {
    let offer: v2::PaymentRequirements = parse(raw)?;
    Ok(Asked {
        chain: offer.network.parse().ok(),
        scheme: offer.scheme,
        network: offer.network,
        amount: offer.amount,
        asset: offer.asset,
        pay_to: offer.pay_to,
        max_timeout_secs: offer.max_timeout_seconds.as_secs(),
        extra: offer.extra,
    })
}

fn asked_v1(raw: &RawValue) -> Result<Asked, serde_json::Error> {
    let offer: v1::PaymentRequirements = parse(raw)?;
    Ok(Asked {
        chain: ChainId::from_v1_name(&offer.network),
        scheme: offer.scheme,
        network: offer.network,
        amount: offer.max_amount_required,
        asset: offer.asset,
        pay_to: offer.pay_to,
        max_timeout_secs: offer.max_timeout_seconds,
        extra: offer.extra,
    })
}

fn parse<T: DeserializeOwned>(raw: &RawValue) -> Result<T, serde_json::Error> {
    serde_json::from_str(raw.get())
}

/// A struct from a JSON object; serde alone would also take an array of its members.
fn object<T: DeserializeOwned>(json: &[u8], what: &str) -> Result<T, Refusal> {
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(malformed(format!("{what}: expected a JSON object")));
    }
    serde_json::from_slice(json).map_err(|error| malformed(format!("{what}: {error}")))
}

fn is_object(raw: &RawValue) -> bool {
    raw.get().starts_with('{')
}

fn malformed(detail: impl AsRef<str>) -> Refusal {
    Refusal::new(Code::MalformedOffer).detail(detail)
}

#[cfg(test)]
mod tests;
