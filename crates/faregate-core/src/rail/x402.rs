//! The x402 rail: scheme `exact` on EVM chains, protocol versions 1 and 2 on one route (x402 wire facts §1, §2).
//!
//! One 402 answer carries the v2 header and the v1 body, so that clients of both versions can pay it. A v2 credential
//! names the requirement it accepted and must equal ours in every member; a v1 credential names only scheme and network,
//! so it is compared with each of our asks on that network.

use std::sync::Arc;

use faregate_ledger::Payment;
use faregate_types::x402::exact::ExactPayment;
use faregate_types::x402::{
    FacilitatorRequest, MaxTimeout, SCHEME_EXACT, SettleResponse, VersionTag, extension, header,
    matches, v1, v2,
};
use faregate_types::{
    Code, IdempotencyKey, IdempotencyKeyError, RailName, Refusal, Timestamp, TransferMethod,
};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::offer::{Ask, Identifier, Offer, Payee};
use crate::port::{Away, Facilitator, Finality, SettleOutcome, Trail, Unknown, Verdict};
use crate::rail::{
    Challenge, Credential, Evidence, Headers, Presented, Rail, Reading, VerifyError,
};
use crate::settler::{recorded, transfer_of};

const PAYMENT_REQUIRED: HeaderName = HeaderName::from_static(header::PAYMENT_REQUIRED);
const PAYMENT_RESPONSE: HeaderName = HeaderName::from_static(header::PAYMENT_RESPONSE);
const X_PAYMENT_RESPONSE: HeaderName = HeaderName::from_static(header::X_PAYMENT_RESPONSE);

/// The rail, over whoever verifies and settles.
#[derive(Clone)]
pub struct X402 {
    facilitator: Arc<dyn Facilitator>,
}

impl std::fmt::Debug for X402 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("X402").finish_non_exhaustive()
    }
}

/// What a request carried.
#[expect(
    clippy::large_enum_variant,
    reason = "lives for one request; a box would cost an allocation"
)]
enum Sent {
    V1(v1::PaymentPayload),
    V2(v2::PaymentPayload),
}

impl X402 {
    /// The rail over `facilitator`.
    #[must_use]
    pub fn new(facilitator: Arc<dyn Facilitator>) -> Self {
        Self { facilitator }
    }
}

impl Rail for X402 {
    fn name(&self) -> RailName {
        RailName::X402
    }

    fn serves(&self, offer: &Offer) -> bool {
        asks(offer).next().is_some()
    }

    fn read(&self, headers: &HeaderMap) -> Reading {
        let decoded = if let Some(value) = headers.get(header::PAYMENT_SIGNATURE) {
            header::decode_payment_v2(value.as_bytes()).map(Sent::V2)
        } else if let Some(value) = headers.get(header::X_PAYMENT) {
            header::decode_payment_v1(value.as_bytes()).map(Sent::V1)
        } else {
            return Reading::Nothing;
        };
        match decoded {
            Ok(sent) => Reading::Found(Credential::new(RailName::X402, sent)),
            Err(error) => Reading::Malformed(Refusal::new(error.code()).detail(error.to_string())),
        }
    }

    fn challenge<'a>(
        &'a self,
        offer: &'a Offer,
        why: &'a Refusal,
    ) -> BoxFuture<'a, Result<Challenge, Away>> {
        Box::pin(std::future::ready(challenge(offer, why)))
    }

    fn present(&self, credential: &Credential, offer: &Offer) -> Result<Presented, Refusal> {
        let request = match credential.content::<Sent>() {
            Some(Sent::V2(payload)) => match_v2(payload, offer)?,
            Some(Sent::V1(payload)) => match_v1(payload, offer)?,
            None => return Err(Refusal::new(Code::Internal)),
        };
        let payment = request.exact()?;
        Ok(Presented {
            id: payment.id(),
            rail: RailName::X402,
            transfer: transfer_of(&payment),
            evidence: Evidence(request.encode()),
        })
    }

    fn key(&self, credential: &Credential) -> Result<Option<IdempotencyKey>, IdempotencyKeyError> {
        match credential.content::<Sent>() {
            Some(Sent::V2(payload)) => extension::payment_identifier(payload.extensions.as_ref()),
            // The first version of the protocol has no extensions.
            Some(Sent::V1(_)) | None => Ok(None),
        }
    }

    fn verify<'a>(&'a self, presented: &'a Presented) -> BoxFuture<'a, Result<(), VerifyError>> {
        Box::pin(async move {
            let request = request_of(&presented.evidence.0)?;
            match self.facilitator.verify(&request).await? {
                Verdict::Valid { .. } => Ok(()),
                Verdict::Invalid(refusal) => Err(refusal.into()),
            }
        })
    }

    fn settle<'a>(
        &'a self,
        presented: &'a Presented,
        trail: &'a dyn Trail,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(async move {
            match request_of(&presented.evidence.0) {
                Ok(request) => self.facilitator.settle(&request, trail).await,
                Err(refusal) => SettleOutcome::Failed(refusal),
            }
        })
    }

    fn uses_trail(&self) -> bool {
        self.facilitator.uses_trail()
    }

    fn resolve<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(async move {
            let transaction = payment.transaction.as_deref();
            match request_of(&payment.claim.evidence) {
                Ok(request) => self.facilitator.resolve(&request, transaction).await,
                Err(refusal) => SettleOutcome::Unknown(Unknown {
                    code: refusal.code,
                    transaction: payment.transaction.clone(),
                }),
            }
        })
    }

    fn confirm<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Finality> {
        Box::pin(async move {
            match (&payment.transaction, request_of(&payment.claim.evidence)) {
                (Some(transaction), Ok(request)) => {
                    self.facilitator.confirm(&request, transaction).await
                }
                // Without a transaction there is nothing that could be looked up, now or later.
                (None, Ok(_)) => Finality::Final,
                (_, Err(_)) => Finality::Unknown,
            }
        })
    }

    fn expires(&self, payment: &Payment) -> Option<Timestamp> {
        let exact = request_of(&payment.claim.evidence).and_then(|request| request.exact());
        let valid_before = exact.ok()?.payload.authorization.valid_before;
        u64::try_from(valid_before).ok().map(Timestamp::from_secs)
    }

    fn recorded(&self, payment: &Payment) -> SettleOutcome {
        match request_of(&payment.claim.evidence).and_then(|request| request.exact()) {
            Ok(exact) => recorded(payment, &exact),
            Err(refusal) => SettleOutcome::Unknown(Unknown {
                code: refusal.code,
                transaction: payment.transaction.clone(),
            }),
        }
    }

    fn receipt(&self, evidence: &Evidence, outcome: &SettleOutcome) -> Headers {
        let Ok(request) = request_of(&evidence.0) else {
            return Headers::new();
        };
        let response = response_of(&request, outcome);
        let Ok(value) = HeaderValue::from_str(&header::encode(&response)) else {
            return Headers::new();
        };
        vec![
            (PAYMENT_RESPONSE, value.clone()),
            (X_PAYMENT_RESPONSE, value),
        ]
    }
}

/// The wire form of an outcome, in the version and with the network name the payer used. Also what a facilitator
/// answers to `/settle`.
#[must_use]
pub fn response_of(request: &FacilitatorRequest, outcome: &SettleOutcome) -> SettleResponse {
    let network = network_of(request);
    match outcome {
        SettleOutcome::Settled(settlement) => SettleResponse {
            success: true,
            error_reason: None,
            error_message: None,
            payer: Some(settlement.payer.to_string()),
            transaction: settlement
                .transaction
                .as_deref()
                .unwrap_or_default()
                .to_owned(),
            network: network.to_owned(),
            amount: None,
            extensions: None,
            extra: None,
        },
        SettleOutcome::Failed(refusal) => SettleResponse::failed(network, refusal, None),
        SettleOutcome::Unknown(unknown) => {
            SettleResponse::pending(network, unknown.transaction.as_deref().unwrap_or_default())
        }
    }
}

fn network_of(request: &FacilitatorRequest) -> &str {
    match request {
        FacilitatorRequest::V1 { requirements, .. } => &requirements.network,
        FacilitatorRequest::V2 { requirements, .. } => &requirements.network,
    }
}

fn request_of(evidence: &[u8]) -> Result<FacilitatorRequest, Refusal> {
    FacilitatorRequest::decode(evidence)
        .map_err(|error| Refusal::new(error.code).detail(&*error.detail))
}

/// The asks this rail can take, with what it needs of each.
fn asks(offer: &Offer) -> impl Iterator<Item = &Ask> {
    offer
        .asks()
        .iter()
        .filter(|ask| ask.rail == RailName::X402 && ask.asset.transfer == TransferMethod::Eip3009)
}

fn challenge(offer: &Offer, why: &Refusal) -> Result<Challenge, Away> {
    let error = match why.code {
        Code::PaymentRequired => "PAYMENT-SIGNATURE or X-PAYMENT header is required",
        code => code.as_str(),
    };
    let required = v2::PaymentRequired {
        x402_version: VersionTag,
        error: Some(error.to_owned()),
        resource: resource_of(offer),
        accepts: asks(offer).map(|ask| requirements_v2(offer, ask)).collect(),
        extensions: offered(offer),
    };
    let value = HeaderValue::from_str(&header::encode(&required)).map_err(|_| Away {
        code: Code::Internal,
    })?;
    let body = v1::PaymentRequired {
        x402_version: VersionTag,
        error: Some(error.to_owned()),
        accepts: asks(offer)
            .filter_map(|ask| requirements_v1(offer, ask))
            .collect(),
        payer: why.payer.map(|payer| payer.to_string()),
    };
    // A route that no v1 client can pay has no v1 body: an empty list of ways to pay helps nobody.
    let body = match serde_json::to_value(&body) {
        Ok(Value::Object(members)) if !body.accepts.is_empty() => members,
        Ok(_) | Err(_) => Map::new(),
    };
    Ok(Challenge {
        headers: vec![(PAYMENT_REQUIRED, value)],
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
fn requirements_v2(offer: &Offer, ask: &Ask) -> v2::PaymentRequirements {
    let Payee::Evm(pay_to) = ask.payee;
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

/// The same as v1 puts it; `None` for networks that v1 has no name for.
fn requirements_v1(offer: &Offer, ask: &Ask) -> Option<v1::PaymentRequirements> {
    v1::PaymentRequirements::from_v2(&requirements_v2(offer, ask), &resource_of(offer))
}

fn no_match() -> Refusal {
    Refusal::new(Code::NoMatchingRequirements)
}

/// A v2 credential pays for the ask whose requirement it accepted, member for member.
fn match_v2(payload: &v2::PaymentPayload, offer: &Offer) -> Result<FacilitatorRequest, Refusal> {
    if let (Some(offered), Some(echoed)) = (offered(offer), &payload.extensions)
        && !extension::is_echo(&offered, echoed)
    {
        return Err(Refusal::new(Code::ExtensionEchoMismatch));
    }
    asks(offer)
        .map(|ask| requirements_v2(offer, ask))
        .find(|own| matches(own, &payload.accepted))
        .map(|requirements| FacilitatorRequest::V2 {
            payload: payload.clone(),
            requirements,
        })
        .ok_or_else(no_match)
}

/// A v1 credential pays for the ask on its network whose amount and payee it signed. With none, the first ask of the
/// network decides, so that the refusal says what is wrong.
fn match_v1(payload: &v1::PaymentPayload, offer: &Offer) -> Result<FacilitatorRequest, Refusal> {
    let candidates: Vec<FacilitatorRequest> = asks(offer)
        .filter_map(|ask| requirements_v1(offer, ask))
        .filter(|own| own.scheme == payload.scheme && own.network == payload.network)
        .map(|requirements| FacilitatorRequest::V1 {
            payload: payload.clone(),
            requirements,
        })
        .collect();
    let signed = candidates
        .iter()
        .position(|request| request.exact().is_ok_and(|payment| pays(&payment)))
        .unwrap_or(0);
    candidates.into_iter().nth(signed).ok_or_else(no_match)
}

fn pays(payment: &ExactPayment) -> bool {
    let signed = &payment.payload.authorization;
    signed.value == payment.terms.amount && signed.to == payment.terms.pay_to
}
