//! What an offer asks for in x402's words, and which ask a credential pays for.

use alloy_primitives::Address;
use faregate_ledger::AccountId;
use faregate_types::x402::exact::Payload;
use faregate_types::x402::{
    FacilitatorRequest, MaxTimeout, SCHEME_EXACT, VersionTag, extension, header, matches, v1, v2,
};
use faregate_types::{Amount, Code, Erc20, RailName, Refusal, TransferMethod};
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::offer::{Ask, Identifier, Offer, Payee, TokenAsk};
use crate::port::Away;
use crate::rail::credit::CreditTerms;
use crate::rail::{Challenge, Headers};

const PAYMENT_REQUIRED: HeaderName = HeaderName::from_static(header::PAYMENT_REQUIRED);

/// What does not change from one request to the next, made once per offer: writing addresses takes a hash each.
#[derive(Debug)]
pub(crate) struct Terms {
    asks: Box<[AskTerms]>,
    /// Of scheme `4mica-credit`. They stand behind the others: what only knows `exact` has stopped reading by then.
    pub(crate) credit: Box<[CreditTerms]>,
    extensions: Option<Map<String, Value>>,
}

/// One ask.
#[derive(Debug)]
pub(super) struct AskTerms {
    v2: v2::PaymentRequirements,
    pay_to: Address,
    /// In what.
    pub(super) asset: Erc20,
    /// Where the money goes, in the books.
    pub(super) payee: AccountId,
    /// How much.
    pub(super) amount: Amount,
}

impl Terms {
    pub(crate) fn of(offer: &Offer) -> &Self {
        let credit = || offer.asks().iter().filter_map(Ask::as_credit);
        offer.x402.get_or_init(|| Self {
            asks: asks(offer).map(|ask| AskTerms::new(offer, ask)).collect(),
            credit: credit().map(|ask| CreditTerms::new(offer, ask)).collect(),
            extensions: offered(offer),
        })
    }
}

impl AskTerms {
    fn new(offer: &Offer, ask: &TokenAsk) -> Self {
        let Payee::Evm(pay_to) = ask.payee;
        Self {
            v2: requirements_v2(offer, ask, pay_to),
            pay_to,
            asset: ask.asset.id,
            payee: AccountId::payee(pay_to),
            amount: ask.amount,
        }
    }

    fn is_paid_by(&self, payload: &Payload) -> bool {
        let signed = &payload.authorization;
        signed.value == self.amount.value() && signed.to == self.pay_to
    }
}

/// The asks this rail can take.
pub(super) fn asks(offer: &Offer) -> impl Iterator<Item = &TokenAsk> {
    offer
        .asks()
        .iter()
        .filter_map(Ask::as_token)
        .filter(|ask| ask.rail == RailName::X402 && ask.asset.transfer == TransferMethod::Eip3009)
}

/// The challenge for every ask that is paid in x402's headers, by whichever scheme.
pub(crate) fn challenge(offer: &Offer, why: &Refusal) -> Result<Challenge, Away> {
    let error = match why.code {
        Code::PaymentRequired => "PAYMENT-SIGNATURE or X-PAYMENT header is required",
        code => code.as_str(),
    };
    let terms = Terms::of(offer);
    let resource = resource_of(offer);
    let required = v2::PaymentRequired {
        x402_version: VersionTag,
        error: Some(error.to_owned()),
        resource: resource.clone(),
        accepts: (terms.asks.iter().map(|ask| &ask.v2))
            .chain(terms.credit.iter().filter_map(CreditTerms::v2))
            .cloned()
            .collect(),
        extensions: terms.extensions.clone(),
    };
    // The same for v2: a header without offers is one that no client can read.
    let mut headers = Headers::new();
    if !required.accepts.is_empty() {
        let value = HeaderValue::from_str(&header::encode(&required));
        let value = value.map_err(|_| Away {
            code: Code::Internal,
        })?;
        headers.push((PAYMENT_REQUIRED, value));
    }
    let body = v1::PaymentRequired {
        x402_version: VersionTag,
        error: Some(error.to_owned()),
        accepts: (terms.asks.iter())
            .filter_map(|ask| v1::PaymentRequirements::from_v2(&ask.v2, &resource))
            .chain(terms.credit.iter().filter_map(|ask| ask.v1(&resource)))
            .collect(),
        payer: why.payer.map(|payer| payer.to_string()),
    };
    // A route that no v1 client can pay has no v1 body: an empty list of ways to pay helps nobody.
    let body = match serde_json::to_value(&body) {
        Ok(Value::Object(members)) if !body.accepts.is_empty() => members,
        Ok(_) | Err(_) => Map::new(),
    };
    Ok(Challenge {
        headers,
        body,
        reusable: true,
        ..Challenge::default()
    })
}

/// The extensions that the offer speaks.
fn offered(offer: &Offer) -> Option<Map<String, Value>> {
    let required = match offer.identifier() {
        Identifier::Off => return None,
        Identifier::Optional => false,
        Identifier::Required => true,
    };
    let name = extension::PAYMENT_IDENTIFIER.to_owned();
    Some(Map::from_iter([(
        name,
        extension::payment_identifier_offer(required),
    )]))
}

fn resource_of(offer: &Offer) -> v2::ResourceInfo {
    let resource = offer.resource();
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    v2::ResourceInfo {
        description: text(&resource.description),
        mime_type: text(&resource.mime_type),
        ..v2::ResourceInfo::new(&*resource.url)
    }
}

/// Our requirement for one ask, as v2 puts it.
fn requirements_v2(offer: &Offer, ask: &TokenAsk, pay_to: Address) -> v2::PaymentRequirements {
    v2::PaymentRequirements {
        scheme: SCHEME_EXACT.to_owned(),
        network: ask.asset.id.chain().to_string(),
        amount: ask.amount.value().to_string(),
        asset: ask.asset.id.token().to_string(),
        pay_to: pay_to.to_string(),
        max_timeout_seconds: MaxTimeout::from_secs(offer.max_timeout_secs()),
        extra: Some(ask.asset.domain.to_extra()),
    }
}

fn no_match() -> Refusal {
    Refusal::new(Code::NoMatchingRequirements)
}

/// A credential and the ask that it pays for.
pub(super) struct Matched<'o> {
    /// What a facilitator is asked.
    pub(super) request: FacilitatorRequest,
    /// What the payer signed.
    pub(super) payload: Payload,
    /// What it pays for.
    pub(super) ask: &'o AskTerms,
}

/// A v2 credential pays for the ask whose requirement it accepted, member for member.
pub(super) fn match_v2(payload: v2::PaymentPayload, offer: &Offer) -> Result<Matched<'_>, Refusal> {
    let terms = Terms::of(offer);
    if let (Some(offered), Some(echoed)) = (&terms.extensions, &payload.extensions)
        && !extension::is_echo(offered, echoed)
    {
        return Err(Refusal::new(Code::ExtensionEchoMismatch));
    }
    let ask = (terms.asks.iter())
        .find(|ask| matches(&ask.v2, &payload.accepted))
        .ok_or_else(no_match)?;
    Ok(Matched {
        payload: Payload::from_value(&payload.payload)?,
        request: FacilitatorRequest::V2 {
            payload,
            requirements: ask.v2.clone(),
        },
        ask,
    })
}

/// A v1 credential pays for the ask on its network whose amount and payee it signed. With none, the first ask of the
/// network decides, so that the refusal says what is wrong.
pub(super) fn match_v1(payload: v1::PaymentPayload, offer: &Offer) -> Result<Matched<'_>, Refusal> {
    let resource = resource_of(offer);
    let candidates: Vec<_> = (Terms::of(offer).asks.iter())
        .filter_map(|ask| Some((ask, v1::PaymentRequirements::from_v2(&ask.v2, &resource)?)))
        .filter(|(_, own)| own.scheme == payload.scheme && own.network == payload.network)
        .collect();
    if candidates.is_empty() {
        return Err(no_match());
    }
    let signed = Payload::from_value(&payload.payload)?;
    let paid = candidates
        .iter()
        .position(|(ask, _)| ask.is_paid_by(&signed))
        .unwrap_or(0);
    let (ask, requirements) = candidates.into_iter().nth(paid).ok_or_else(no_match)?;
    Ok(Matched {
        payload: signed,
        request: FacilitatorRequest::V1 {
            payload,
            requirements,
        },
        ask,
    })
}
