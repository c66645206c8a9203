//! Credit per HTTP request: what the SDKs ask for, sign and send when they are offered scheme `4mica-credit`.

use faregate_types::credit::digest::Encoding;
use faregate_types::credit::x402::{
    CreditCall, CreditEnvelope, CreditSettlement, Demand, TabRequest, TabTicket,
};
use faregate_types::credit::{GuaranteeRequest, SigningScheme, read_answer};
use faregate_types::x402::{Version, header};
use faregate_types::{Address, Timestamp};
use serde_json::Value;

use super::{equal, said, separator, signer, verdict};
use crate::case::Case;
use crate::judge::Heard;

const INPUTS: &[&str] = &[
    "user_address",
    "private_key",
    "params",
    "frozen_unix_time",
    "tab_response",
    "tab_status",
    "payment_requirements",
    "payment_required",
    "payment_required_header",
    "accepted_index",
];
const EXPECTED: &[&str] = &[
    "tab_request",
    "header",
    "header_json",
    "signature",
    "error",
    "message",
];

/// Where a payer asks for a tab in these recordings.
const TAB_ENDPOINT: &str = "https://api.example.com/tab";

/// What a payer made of an offer.
struct Purchase {
    /// The body of the request for a tab, once it is sent.
    asked: Option<Value>,
    /// The header of the paid request.
    paid: Result<String, String>,
}

/// An offer of version 1, paid.
///
/// # Errors
/// Names the first difference.
pub fn v1(case: &Case) -> Result<Heard, String> {
    case.only(INPUTS, EXPECTED)?;
    let offer: Value = case.input("payment_requirements")?;
    compared(case, buy(case, Version::V1, &offer, None)?)
}

/// An offer of version 2, paid.
///
/// # Errors
/// Names the first difference.
pub fn v2(case: &Case) -> Result<Heard, String> {
    case.only(INPUTS, EXPECTED)?;
    let text: String = case.input("payment_required_header")?;
    let purchase = match header::decode_payment_required(text.as_bytes()) {
        Err(error) => Purchase {
            asked: None,
            paid: Err(error.to_string()),
        },
        Ok(required) => {
            let index: usize = case.input("accepted_index")?;
            let offer = required.accepts.get(index).ok_or("no such offer")?;
            let offer = serde_json::to_value(offer).map_err(|error| error.to_string())?;
            let resource = &required.resource;
            let resource = serde_json::to_value(resource).map_err(|error| error.to_string())?;
            buy(case, Version::V2, &offer, Some(&resource))?
        }
    };
    compared(case, purchase)
}

/// The way of a payer: read the offer, ask for a tab, sign.
fn buy(
    case: &Case,
    version: Version,
    offer: &Value,
    resource: Option<&Value>,
) -> Result<Purchase, String> {
    let refused = |asked, error: &dyn std::fmt::Display| Purchase {
        asked,
        paid: Err(error.to_string()),
    };
    let demand = match Demand::read(version, offer) {
        Ok(demand) => demand,
        Err(error) => return Ok(refused(None, &error)),
    };
    match demand.tab_endpoint() {
        Ok(endpoint) => equal("tab endpoint", &TAB_ENDPOINT, &endpoint)?,
        Err(error) => return Ok(refused(None, &error)),
    }
    let payer: Address = case.input("user_address")?;
    let body = TabRequest::for_offer(version, payer, offer, resource);
    let read = TabRequest::read(body.as_bytes()).map_err(|error| error.to_string())?;
    equal("demand of the request", &read.demand, &Some(demand.clone()))?;
    let asked = serde_json::from_str(&body).map_err(|error| error.to_string())?;
    if case
        .inputs
        .get("tab_status")
        .is_some_and(|status| status != 200)
    {
        return Ok(refused(Some(asked), &"no tab"));
    }
    let ticket: Value = case.input("tab_response")?;
    let claims = read_answer::<TabTicket>(ticket.to_string().as_bytes())
        .map_err(|error| error.to_string())
        .and_then(|ticket| {
            let now = case.input("frozen_unix_time").map(Timestamp::from_secs)?;
            let claims = demand.claims(payer, &ticket, now);
            claims.map_err(|error| error.to_string())
        });
    let claims = match claims {
        Ok(claims) => claims,
        Err(error) => return Ok(refused(Some(asked), &error)),
    };
    let encoding = match version {
        Version::V1 => Encoding::TypedV1,
        Version::V2 => Encoding::TypedV2TagFirst,
    };
    let digest = claims.digest(encoding, separator(case)?);
    let signature = signer(case)?.sign_now(digest.ok_or("another version")?);
    let payment = CreditEnvelope {
        version,
        scheme: offer["scheme"].as_str().unwrap_or_default().to_owned(),
        network: demand.network,
        request: GuaranteeRequest {
            claims,
            signature: signature.map_err(|error| error.to_string())?,
            scheme: SigningScheme::Eip712,
        },
    };
    Ok(Purchase {
        asked: Some(asked),
        paid: Ok(payment.to_header(offer, resource)),
    })
}

/// What was asked and sent is what the SDK asked and sent, and its payment meets the offer.
fn compared(case: &Case, purchase: Purchase) -> Result<Heard, String> {
    let accepted = purchase.paid.is_ok();
    // Whoever refuses may do so before a tab is asked for: an offer that cannot be met needs none.
    let (theirs, ours) = (tab_request(case)?, purchase.asked.map(unversioned));
    if ours.is_some() && (theirs.is_some() || !accepted) {
        equal("request for a tab", &theirs, &ours)?;
    }
    if let (Ok(ours), Some(theirs)) = (&purchase.paid, case.expected.get("header")) {
        let theirs = theirs.as_str().ok_or("the header is no text")?;
        let object = |text: &str| header::decode_any(text.as_bytes());
        let (ours, theirs) = (object(ours), object(theirs));
        equal("payment", &theirs, &ours)?;
        let theirs = theirs.map_err(|error| error.to_string())?;
        equal(
            "payment as recorded",
            &case.expected("header_json")?,
            &theirs,
        )?;
        CreditEnvelope::read(&theirs).map_err(|refusal| refusal.to_string())?;
    }
    Ok(Heard::one(case, said(case), verdict(accepted)))
}

/// The body that the SDK sent, if it sent one. Release 0.4.3 does not say the version.
fn tab_request(case: &Case) -> Result<Option<Value>, String> {
    let sent: Vec<Value> = case.expected("tab_request")?;
    Ok(sent
        .first()
        .map(|request| unversioned(request["body"].clone())))
}

fn unversioned(mut body: Value) -> Value {
    if let Value::Object(members) = &mut body
        && members.get("x402Version") == Some(&Value::from(1))
    {
        members.remove("x402Version");
    }
    body
}

/// A payment that a recipient hands to a facilitator, and what it answers.
///
/// # Errors
/// Names the first difference.
pub fn settle(case: &Case) -> Result<Heard, String> {
    case.only(
        &[
            "payment_requirements",
            "facilitator_url",
            "facilitator_status",
            "facilitator_response",
        ],
        &["requests", "settlement", "error", "message"],
    )?;
    let requests: Vec<Value> = case.expected("requests")?;
    let call = requests
        .iter()
        .find(|request| request["path"] == "/settle")
        .ok_or("nothing was settled")?;
    let call = CreditCall::decode(call["body"].to_string().as_bytes());
    let call = call.map_err(|refusal| refusal.to_string())?;
    call.check().map_err(|refusal| refusal.to_string())?;
    let offer = Demand::read(Version::V1, &case.input("payment_requirements")?);
    equal("demand", &offer, &Ok(call.demand))?;
    let status: u16 = case.input("facilitator_status")?;
    let answer: Value = case.input("facilitator_response")?;
    let read: Result<CreditSettlement, _> = serde_json::from_value(answer.clone());
    let accepted = status == 200 && read.is_ok();
    if let (true, Ok(read)) = (accepted, read) {
        equal("success", &answer["success"], &Value::from(read.success))?;
        let written = serde_json::to_value(&read).map_err(|error| error.to_string())?;
        let members = answer.as_object().ok_or("the answer is no object")?;
        for (name, theirs) in members {
            equal(name, theirs, &written[name])?;
        }
    }
    Ok(Heard::one(case, said(case), verdict(accepted)))
}
