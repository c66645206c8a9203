//! The x402 rail: scheme `exact` on EVM chains, protocol versions 1 and 2 on one route (x402 wire facts §1, §2).
//!
//! One 402 answer carries the v2 header and the v1 body, so that clients of both versions can pay it. A v2 credential
//! names the requirement it accepted and must equal ours in every member; a v1 credential names only scheme and network,
//! so it is compared with each of our asks on that network.

mod terms;

use std::sync::Arc;

use alloy_primitives::Address;
use faregate_ledger::{AccountId, Payment, Transfer};
use faregate_types::x402::{FacilitatorRequest, SettleResponse, extension, header, v1, v2};
use faregate_types::{
    Code, IdempotencyKey, IdempotencyKeyError, PaymentId, RailName, Refusal, Timestamp,
};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::offer::Offer;
use crate::order::Asked;
use crate::port::{Away, Facilitator, Finality, SettleOutcome, Trail, Unknown, Verdict};
use crate::rail::{
    Challenge, Credential, Evidence, Headers, Instrument, Presented, Rail, Reading, Uses, Verified,
    VerifyError,
};
use crate::settler::recorded;

use terms::Matched;
pub(crate) use terms::{Terms, challenge};

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
#[derive(Clone)]
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

/// Whether an offer asks for anything that this rail takes.
pub(crate) fn is_asked(offer: &Offer) -> bool {
    terms::asks(offer).next().is_some()
}

impl Rail for X402 {
    fn name(&self) -> RailName {
        RailName::X402
    }

    fn serves(&self, offer: &Offer) -> bool {
        is_asked(offer)
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
        _asked: &'a Asked,
        why: &'a Refusal,
    ) -> BoxFuture<'a, Result<Challenge, Away>> {
        Box::pin(std::future::ready(challenge(offer, why)))
    }

    fn present(
        &self,
        credential: Credential,
        offer: &Offer,
        _asked: &Asked,
    ) -> Result<Presented, Refusal> {
        let Some(sent) = credential.into_content::<Sent>() else {
            return Err(Refusal::new(Code::Internal));
        };
        let Matched {
            request,
            payload,
            ask,
        } = match sent {
            Sent::V2(payload) => terms::match_v2(payload, offer)?,
            Sent::V1(payload) => terms::match_v1(payload, offer)?,
        };
        let (asset, signed) = (ask.asset, payload.authorization);
        let debit = AccountId::payer(signed.from);
        let evidence = Evidence(request.encode());
        Ok(Presented {
            id: PaymentId::eip3009(asset.chain(), asset.token(), signed.from, signed.nonce),
            rail: RailName::X402,
            uses: Uses::One,
            fingerprint: None,
            good_until: None,
            instrument: Arc::new(Exact {
                facilitator: Arc::clone(&self.facilitator),
                request,
                payer: Some((signed.from, debit.name().into())),
            }),
            transfer: Transfer {
                debit,
                credit: ask.payee.clone(),
                amount: ask.amount,
            },
            evidence,
        })
    }

    fn recall(&self, evidence: &Evidence) -> Result<Arc<dyn Instrument>, Refusal> {
        Ok(Arc::new(Exact {
            facilitator: Arc::clone(&self.facilitator),
            request: request_of(&evidence.0)?,
            payer: None,
        }))
    }

    fn key(&self, credential: &Credential) -> Result<Option<IdempotencyKey>, IdempotencyKeyError> {
        match credential.content::<Sent>() {
            Some(Sent::V2(payload)) => extension::payment_identifier(payload.extensions.as_ref()),
            // The first version of the protocol has no extensions.
            Some(Sent::V1(_)) | None => Ok(None),
        }
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
}

/// A payment of scheme `exact`.
struct Exact {
    facilitator: Arc<dyn Facilitator>,
    request: FacilitatorRequest,
    /// Who pays, and the same as a receipt names them, where that is known.
    payer: Option<(Address, Box<str>)>,
}

impl Instrument for Exact {
    fn verify(&self) -> BoxFuture<'_, Result<Verified, VerifyError>> {
        Box::pin(async move {
            match self.facilitator.verify(&self.request).await? {
                Verdict::Valid { .. } => Ok(Verified::default()),
                Verdict::Invalid(refusal) => Err(refusal.into()),
            }
        })
    }

    fn settle<'a>(&'a self, trail: &'a dyn Trail) -> BoxFuture<'a, SettleOutcome> {
        self.facilitator.settle(&self.request, trail)
    }

    fn receipt(&self, outcome: &SettleOutcome) -> Headers {
        let response = response_by(&self.request, outcome, |payer| match &self.payer {
            Some((known, text)) if *known == payer => text.to_string(),
            Some(_) | None => payer.to_string(),
        });
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
    response_by(request, outcome, |payer| payer.to_string())
}

fn response_by(
    request: &FacilitatorRequest,
    outcome: &SettleOutcome,
    name: impl FnOnce(Address) -> String,
) -> SettleResponse {
    let network = request.network();
    match outcome {
        SettleOutcome::Settled(settlement) => SettleResponse {
            success: true,
            error_reason: None,
            error_message: None,
            payer: settlement.payer.map(name),
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

fn request_of(evidence: &[u8]) -> Result<FacilitatorRequest, Refusal> {
    FacilitatorRequest::decode(evidence)
        .map_err(|error| Refusal::new(error.code).detail(&*error.detail))
}
