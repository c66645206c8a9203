//! The credit rail: scheme `4mica-credit` of x402, protocol versions 1 and 2 (specs/4mica.md §6).
//!
//! It shares the headers and the 402 answer with the [`x402`] rail, and stands before it in a till. What a payer
//! signs is not a transfer but a promise that its collateral covers, and a credit core turns it into a certificate that the
//! recipient can redeem. So it is checked in this order:
//!
//! ```text
//! here:       the promise meets an ask of ours, is dated now, and is signed by its payer      (nobody is asked)
//! ledger:     claimed, under the natural key of tab and number
//! core:       the certificate is issued: the one round trip; tab, number, collateral          (locks the amount)
//! here:       the certificate is verified, and kept for the recipient, durably
//! ledger:     settled; from here on it may be served
//! ```
//!
//! It is settled first whatever the policy of the route is: until there is a certificate nothing is known of tab and
//! collateral, and whoever has a key could have the service run for nothing. To issue is idempotent, so a request that was cut
//! off anywhere is simply done again with the same bytes.

mod guaranteed;
mod owing;
mod tabs;
mod terms;

use std::collections::BTreeMap;
use std::sync::Arc;

use faregate_ledger::{AccountId, Payment, Transfer};
use faregate_types::credit::x402::{CreditEnvelope, is_credit};
use faregate_types::x402::{Version, extension, header};
use faregate_types::{
    ChainId, Code, IdempotencyKey, IdempotencyKeyError, PaymentId, RailName, Refusal, Timestamp,
};
use futures_util::future::BoxFuture;
use http::HeaderMap;
use serde_json::{Map, Value};

use crate::offer::{Ask, Offer};
use crate::order::Asked;
use crate::port::replay::ReplayStore;
use crate::port::{Away, CertificateStore, Clock, Issuer, SettleOutcome, Settlement, Unknown};
use crate::rail::{
    Challenge, Credential, Evidence, Instrument, Presented, Rail, Reading, Uses, x402,
};

use guaranteed::{Guaranteed, Matter};
use owing::Owing;

pub use tabs::Tabs;
pub(crate) use terms::CreditTerms;

/// Whoever gives credit, by network.
type Issuers = Arc<BTreeMap<ChainId, Arc<dyn Issuer>>>;

/// The rail, over whoever gives credit, one per network.
#[derive(Clone)]
pub struct Credit {
    desk: Arc<Desk>,
}

/// What all its payments need.
#[derive(Clone)]
struct Desk {
    issuers: Issuers,
    certificates: Arc<dyn CertificateStore>,
    clock: Arc<dyn Clock>,
    tabs: Tabs,
    owing: Owing,
    replay: Option<Arc<dyn ReplayStore>>,
}

/// What a request carried.
#[derive(Clone)]
struct Sent {
    envelope: CreditEnvelope,
    extensions: Option<Map<String, Value>>,
}

impl std::fmt::Debug for Credit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credit").finish_non_exhaustive()
    }
}

impl Credit {
    /// The rail. Of several issuers of one network the last counts.
    #[must_use]
    pub fn new(
        issuers: impl IntoIterator<Item = Arc<dyn Issuer>>,
        certificates: Arc<dyn CertificateStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let issuers = issuers.into_iter();
        let issuers: Issuers = Arc::new(issuers.map(|issuer| (issuer.chain(), issuer)).collect());
        let tabs = Tabs::new(Arc::clone(&issuers), Arc::clone(&clock));
        Self {
            desk: Arc::new(Desk {
                issuers,
                certificates,
                clock,
                tabs,
                owing: Owing::default(),
                replay: None,
            }),
        }
    }

    /// Shares what was used with other gates of the same recipients that have ledgers of their own: a core gives each of them
    /// the same certificate for the same promise, so that otherwise each would serve for it.
    #[must_use]
    pub fn replay(self, store: Arc<dyn ReplayStore>) -> Self {
        let desk = Desk {
            replay: Some(store),
            ..Arc::unwrap_or_clone(self.desk)
        };
        Self {
            desk: Arc::new(desk),
        }
    }

    /// Whoever gives credit here.
    pub fn issuers(&self) -> impl Iterator<Item = &Arc<dyn Issuer>> {
        self.desk.issuers.values()
    }

    /// Where payers get their tabs.
    #[must_use]
    pub fn tabs(&self) -> &Tabs {
        &self.desk.tabs
    }

    fn instrument(&self, matter: Matter) -> Result<Guaranteed, Refusal> {
        let issuer = self.desk.issuers.get(&matter.chain);
        let issuer = issuer.ok_or(Refusal::new(Code::NetworkMismatch))?;
        Ok(Guaranteed::new(
            Arc::clone(&self.desk),
            Arc::clone(issuer),
            matter,
        ))
    }

    fn recalled(&self, payment: &Payment) -> Result<Guaranteed, Refusal> {
        self.instrument(Matter::decode(&payment.claim.evidence)?)
    }
}

impl Rail for Credit {
    fn name(&self) -> RailName {
        RailName::CREDIT
    }

    fn serves(&self, offer: &Offer) -> bool {
        let mut asks = offer.asks().iter().filter_map(Ask::as_credit).peekable();
        asks.peek().is_some() && asks.all(|ask| self.desk.issuers.contains_key(&ask.asset.chain()))
    }

    fn read(&self, headers: &HeaderMap) -> Reading {
        let (value, version) = if let Some(value) = headers.get(header::PAYMENT_SIGNATURE) {
            (value, Version::V2)
        } else if let Some(value) = headers.get(header::X_PAYMENT) {
            (value, Version::V1)
        } else {
            return Reading::Nothing;
        };
        // What cannot be read at all says nothing of its scheme; the other rail of these headers gives the reason.
        let Ok(payment) = header::decode_any(value.as_bytes()) else {
            return Reading::Nothing;
        };
        if !scheme(&payment).is_some_and(is_credit) {
            return Reading::Nothing;
        }
        match CreditEnvelope::read(&payment) {
            Ok(envelope) if envelope.version == version => {
                let extensions = payment.get("extensions").and_then(Value::as_object);
                let extensions = extensions.cloned();
                let sent = Sent {
                    envelope,
                    extensions,
                };
                Reading::Found(Credential::new(RailName::CREDIT, sent))
            }
            Ok(_) => Reading::Malformed(Refusal::new(Code::InvalidX402Version)),
            Err(refusal) => Reading::Malformed(refusal),
        }
    }

    fn challenge<'a>(
        &'a self,
        offer: &'a Offer,
        _asked: &'a Asked,
        why: &'a Refusal,
    ) -> BoxFuture<'a, Result<Challenge, Away>> {
        // Where the other rail of these headers makes the challenge, this one's part is in it.
        let challenge = if x402::is_asked(offer) {
            Ok(Challenge {
                reusable: true,
                ..Challenge::default()
            })
        } else {
            x402::challenge(offer, why)
        };
        Box::pin(std::future::ready(challenge))
    }

    fn present(
        &self,
        credential: Credential,
        offer: &Offer,
        _asked: &Asked,
    ) -> Result<Presented, Refusal> {
        let Some(Sent { envelope, .. }) = credential.into_content::<Sent>() else {
            return Err(Refusal::new(Code::Internal));
        };
        let ask = terms::matched(&envelope, offer)?;
        let claims = &envelope.request.claims;
        let chain = ask.asset.chain();
        let good_until = claims.timestamp.checked_add_secs(offer.max_timeout_secs());
        let matter = Matter {
            id: PaymentId::credit(
                chain,
                claims.payer,
                claims.recipient,
                claims.tab_id,
                claims.req_id,
            ),
            chain,
            route: offer.route().into(),
            good_until: good_until
                .ok_or(Refusal::new(Code::CreditTimestampInvalid).payer(claims.payer))?,
            owed_max: ask.owed_max,
            envelope,
        };
        let transfer = Transfer {
            debit: AccountId::payer(matter.claims().payer),
            credit: ask.payee.clone(),
            amount: ask.amount,
        };
        let evidence = Evidence(matter.encode());
        Ok(Presented {
            id: matter.id,
            rail: RailName::CREDIT,
            uses: Uses::One,
            fingerprint: None,
            good_until: None,
            instrument: Arc::new(self.instrument(matter)?),
            transfer,
            evidence,
        })
    }

    fn recall(&self, evidence: &Evidence) -> Result<Arc<dyn Instrument>, Refusal> {
        Ok(Arc::new(self.instrument(Matter::decode(&evidence.0)?)?))
    }

    fn key(&self, credential: &Credential) -> Result<Option<IdempotencyKey>, IdempotencyKeyError> {
        let sent = credential.content::<Sent>();
        extension::payment_identifier(sent.and_then(|sent| sent.extensions.as_ref()))
    }

    /// Nothing is sent but a request that may be repeated.
    fn uses_trail(&self) -> bool {
        true
    }

    fn settles_first(&self) -> bool {
        true
    }

    fn shares_its_header(&self) -> bool {
        true
    }

    fn used_elsewhere(&self) -> Refusal {
        let detail = "another gate has sold something for this guarantee";
        Refusal::new(Code::CreditReqIdTaken).detail(detail)
    }

    /// A number that was refused is still free.
    fn is_repeatable(&self) -> bool {
        true
    }

    /// A certificate that was issued is the recipient's, whether or not the payer comes back.
    fn resolves_by_asking(&self) -> bool {
        true
    }

    fn resolve<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(async move {
            match self.recalled(payment) {
                Ok(guaranteed) => guaranteed.resolve().await,
                Err(refusal) => unknown(refusal.code),
            }
        })
    }

    fn expires(&self, payment: &Payment) -> Option<Timestamp> {
        let matter = Matter::decode(&payment.claim.evidence).ok()?;
        Some(matter.good_until)
    }

    fn recorded(&self, payment: &Payment) -> SettleOutcome {
        match (payment.failure, Matter::decode(&payment.claim.evidence)) {
            (Some(code), _) => SettleOutcome::Failed(Refusal::new(code)),
            (None, Ok(matter)) => SettleOutcome::Settled(Settlement {
                transaction: None,
                payer: Some(matter.claims().payer),
            }),
            (None, Err(refusal)) => unknown(refusal.code),
        }
    }
}

const fn unknown(code: Code) -> SettleOutcome {
    SettleOutcome::Unknown(Unknown {
        code,
        transaction: None,
    })
}

/// The scheme that a payment of either version names.
fn scheme(payment: &Value) -> Option<&str> {
    let accepted = payment.get("accepted").unwrap_or(payment);
    accepted.get("scheme").and_then(Value::as_str)
}
