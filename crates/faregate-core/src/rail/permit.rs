//! The permit rail: a signed permit is posted, a token comes back, and the token opens the route (specs/permit.md §1, §2).
//!
//! Two credentials belong to it. A **permit** comes in the body of a token request ([`Permits::posted`]) and is sold a token:
//! its payment is claimed, the token is given out, the money moves before or behind that as the [`TokenPolicy`] says. A
//! **token** comes with every request after that; it names its payment, and is good as long as that one has not failed.
//!
//! No token is stored: everything in it follows from what the ledger keeps of its payment, so whoever asks again gets the same.

mod instrument;
mod kept;
mod quote;
mod token;

use std::fmt;
use std::sync::Arc;

use alloy_primitives::U256;
use faregate_ledger::{AccountId, Payment, RevokedName, Transfer};
use faregate_types::permit::verify::check;
use faregate_types::permit::{
    Body, Component, Endpoint, Expected, Permit, Price, TokenError, TokenKey, authorization,
    overdrawn,
};
use faregate_types::{
    Address, Amount, ChainId, Code, Fingerprint, PaymentId, RailName, Refusal, Timestamp,
};
use futures_util::future::{BoxFuture, ready};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};

use crate::machine::SettlePolicy;
use crate::offer::{Ask, Offer, OfferError, PermitAsk, TokenPolicy};
use crate::order::Asked;
use crate::port::{
    Away, Care, Clock, Collector, Finality, PermitOrder, SettleOutcome, Settlement, Unknown,
};
use crate::rail::l402::Revocations;
use crate::rail::seen::{self, Seen};
use crate::rail::{Challenge, Credential, Evidence, Instrument, Presented, Rail, Reading, Uses};

use instrument::Collecting;
use kept::Kept;

pub use quote::{Quote, Quotes};
pub use token::Token;

/// The route of tokens that were bought without a quote: they open whatever costs no more than was paid.
pub const ANY_ROUTE: &str = "*";

/// The rail, over whoever collects permits.
pub struct Permits {
    collector: Arc<dyn Collector>,
    key: TokenKey,
    audience: Box<str>,
    endpoint: Endpoint,
    clock: Arc<dyn Clock>,
    revocations: Option<Arc<Revocations>>,
    seen: Seen<SeenToken>,
}

/// What a token was checked for.
struct SeenToken {
    route: Box<str>,
    ask: PermitAsk,
    payment: PaymentId,
}

/// What a request carried.
#[derive(Clone)]
enum Sent {
    /// `Authorization` lines.
    Shown(Vec<HeaderValue>),
    /// A token request.
    Posted {
        permit: Box<Permit>,
        /// The route its token shall open.
        route: Box<str>,
    },
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permits")
            .field("audience", &self.audience)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Permits {
    /// The rail. Tokens are signed with `key` and work at the service called `audience`; they are asked for at `endpoint`, or
    /// one level below it.
    #[must_use]
    pub fn new(
        collector: Arc<dyn Collector>,
        key: TokenKey,
        audience: impl Into<Box<str>>,
        endpoint: Endpoint,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            collector,
            key,
            audience: audience.into(),
            endpoint,
            clock,
            revocations: None,
            seen: Seen::default(),
        }
    }

    /// Refuses tokens of payments on this list.
    #[must_use]
    pub fn revocations(mut self, list: Arc<Revocations>) -> Self {
        self.revocations = Some(list);
        self
    }

    /// Where tokens are asked for.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The contract that permits for this payee name, if there is one.
    #[must_use]
    pub fn settler(&self, chain: ChainId, treasury: Address) -> Option<Address> {
        self.collector.payee(chain, treasury)
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A token request for an offer, as a credential. Without a quote its token opens whatever costs no more.
    #[must_use]
    pub fn posted(permit: Permit, offer: &Offer, has_quote: bool) -> Credential {
        let route = if has_quote { offer.route() } else { ANY_ROUTE };
        let sent = Sent::Posted {
            permit: Box::new(permit),
            route: route.into(),
        };
        Credential::new(RailName::PERMIT, sent)
    }

    /// What is sold at the token endpoint: a token for the route of an offer. `None` when it takes no permits.
    ///
    /// # Errors
    /// [`OfferError`].
    pub fn token_offer(offer: &Offer) -> Option<Result<Offer, OfferError>> {
        let asks: Vec<&PermitAsk> = asks(offer).collect();
        if asks.is_empty() {
            return None;
        }
        // One that wants the money first speaks for all.
        let policy = if trusts(offer) {
            SettlePolicy::Background
        } else {
            SettlePolicy::Before
        };
        let all = asks.iter().map(|ask| Ask::from((*ask).clone())).collect();
        let resource = offer.resource().clone();
        let made = Offer::new(
            offer.route(),
            resource,
            all,
            policy,
            offer.max_timeout_secs(),
        );
        Some(made.map(|offer| {
            asks.iter().fold(offer, |offer, ask| {
                offer.with_exposure_max(Amount::new(ask.exposure_max, ask.asset.id))
            })
        }))
    }

    /// The price of an ask, and whom its permits have to name.
    fn price(&self, ask: &PermitAsk) -> Option<Price> {
        let payee = self.collector.payee(ask.asset.id.chain(), ask.treasury)?;
        let amount = ask.amount.value();
        Some(Price::new(ask.asset.clone(), amount, payee, payee))
    }

    fn component(&self, ask: &PermitAsk) -> Option<Component> {
        let price = self.price(ask)?;
        let (wallet, pay_to) = (price.wallet(), price.pay_to());
        let amount = ask.amount.value();
        Component::new(ask.asset.clone(), amount, &ask.currency, wallet, pay_to).ok()
    }

    /// The members of a 402 answer. The endpoint names the offer.
    fn body(&self, offer: &Offer, why: &Refusal) -> Option<Map<String, Value>> {
        let components: Vec<Component> = asks(offer)
            .map(|ask| self.component(ask))
            .collect::<Option<_>>()?;
        let path = format!("{}/{}", self.endpoint, Quote::of(offer));
        let endpoint = Endpoint::parse(&path).ok()?;
        let reason = reason(why);
        let body = Body::new(&reason, &endpoint, &components).ok()?;
        match serde_json::to_value(body).ok()? {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    /// Whether the tokens of a payment were revoked.
    #[must_use]
    pub fn is_revoked(&self, payment: &Payment) -> bool {
        self.is_on_the_list(payment.claim.id)
    }

    fn is_on_the_list(&self, payment: PaymentId) -> bool {
        let name = RevokedName::from_bytes(*payment.as_bytes());
        self.revocations
            .as_ref()
            .is_some_and(|list| list.has_name(name))
    }

    /// A permit that was posted. Whether it is signed is looked at when it is verified.
    fn bought(&self, permit: Permit, route: Box<str>, offer: &Offer) -> Result<Presented, Refusal> {
        let ask = asks(offer).find(|ask| ask.asset.id == permit.asset());
        let ask = ask.ok_or_else(|| self.not_offered(&permit, offer))?;
        let price = self
            .price(ask)
            .ok_or(Refusal::new(Code::NoMatchingRequirements))?;
        let digest = price.digest(&permit);
        let kept = Kept {
            order: PermitOrder {
                permit,
                price,
                treasury: ask.treasury,
            },
            route,
            token_secs: ask.token_secs,
        };
        let evidence = Evidence(kept.encode().ok_or(Refusal::new(Code::Internal))?);
        let care = match ask.policy {
            TokenPolicy::Optimistic | TokenPolicy::Settled => Care::Read,
            TokenPolicy::Simulated => Care::Simulate,
        };
        Ok(Presented {
            id: permit.payment_id(),
            rail: RailName::PERMIT,
            transfer: Transfer {
                debit: AccountId::payer(permit.terms.payer()),
                credit: AccountId::payee(ask.treasury),
                // All that is signed moves, or nothing.
                amount: Amount::new(permit.terms.value(), permit.asset()),
            },
            evidence,
            uses: Uses::One,
            // A copy of a permit is whatever has its digest, wherever it is posted.
            fingerprint: Some(Fingerprint::of(&[b"permit", digest.as_slice()])),
            good_until: None,
            instrument: self.instrument(kept.order, care),
        })
    }

    /// Why a permit over another asset does not pay, in the product's words. Its chain may be one that nobody here knows.
    fn not_offered(&self, permit: &Permit, offer: &Offer) -> Refusal {
        let prices: Vec<Price> = asks(offer).filter_map(|ask| self.price(ask)).collect();
        let expected = Expected {
            prices: &prices,
            now: self.clock.now(),
            margin_secs: 0,
        };
        match check(permit, &expected, |_, _| None) {
            Err(refused) => refused.into(),
            Ok(_) => Refusal::new(Code::NoMatchingRequirements),
        }
    }

    fn instrument(&self, order: PermitOrder, care: Care) -> Arc<dyn Instrument> {
        Arc::new(Collecting {
            collector: Arc::clone(&self.collector),
            order,
            care,
        })
    }
}

/// The asks that this rail can take.
fn asks(offer: &Offer) -> impl Iterator<Item = &PermitAsk> {
    offer.asks().iter().filter_map(Ask::as_permit)
}

/// Whether tokens are given out, and open the route, before the money has moved.
fn trusts(offer: &Offer) -> bool {
    asks(offer).all(|ask| ask.policy != TokenPolicy::Settled)
}

/// What a 402 answer says in `reason`: the product's words about tokens, ours about everything else.
fn reason(why: &Refusal) -> String {
    let known = [
        TokenError::Missing,
        TokenError::Header,
        TokenError::Malformed,
        TokenError::Forged,
        TokenError::Expired,
        TokenError::Elsewhere,
        TokenError::Revoked,
    ];
    match (&why.words, why.code) {
        (Some(words), _) => words.to_string(),
        (None, Code::PaymentRequired) => TokenError::Missing.to_string(),
        (None, code) => known
            .into_iter()
            .find(|error| error.code() == code)
            .map_or_else(|| code.meaning().to_owned(), |error| error.to_string()),
    }
}

fn damaged(payment: &Payment) -> SettleOutcome {
    SettleOutcome::Unknown(Unknown {
        code: Code::Internal,
        transaction: payment.transaction.clone(),
    })
}

impl Rail for Permits {
    fn name(&self) -> RailName {
        RailName::PERMIT
    }

    fn serves(&self, offer: &Offer) -> bool {
        let mut any = false;
        asks(offer).all(|ask| {
            any = true;
            self.component(ask).is_some()
        }) && any
    }

    fn read(&self, headers: &HeaderMap) -> Reading {
        let lines = headers.get_all(AUTHORIZATION).iter();
        let lines: Vec<HeaderValue> = lines.filter(|line| !line.is_empty()).cloned().collect();
        if lines.is_empty() {
            return Reading::Nothing;
        }
        Reading::Found(Credential::new(RailName::PERMIT, Sent::Shown(lines)))
    }

    fn challenge<'a>(
        &'a self,
        offer: &'a Offer,
        _asked: &'a Asked,
        why: &'a Refusal,
    ) -> BoxFuture<'a, Result<Challenge, Away>> {
        let made = self.body(offer, why).ok_or(Away {
            code: Code::Internal,
        });
        Box::pin(ready(made.map(|body| Challenge {
            body,
            reusable: true,
            ..Challenge::default()
        })))
    }

    fn present(
        &self,
        credential: Credential,
        offer: &Offer,
        _asked: &Asked,
    ) -> Result<Presented, Refusal> {
        match credential.into_content::<Sent>() {
            Some(Sent::Shown(lines)) => self.shown(&lines, offer),
            Some(Sent::Posted { permit, route }) => self.bought(*permit, route, offer),
            None => Err(Refusal::new(Code::Internal)),
        }
    }

    fn named(&self, credential: &Credential) -> Option<PaymentId> {
        let Sent::Shown(lines) = credential.content::<Sent>()? else {
            return None;
        };
        let lines = lines.iter().map(HeaderValue::as_bytes);
        let token = authorization::check(lines, &self.key, self.clock.now()).ok()?;
        token.claims.jti?.parse().ok()
    }

    fn known(&self, headers: &HeaderMap, offer: &Offer, _asked: &Asked) -> Option<Arc<Presented>> {
        let line = seen::line(headers)?;
        self.seen.find(line, self.clock.now(), |seen| {
            *seen.route == *offer.route()
                && asks(offer).any(|ask| *ask == seen.ask)
                && !self.is_on_the_list(seen.payment)
        })
    }

    fn remember(&self, headers: &HeaderMap, offer: &Offer, _asked: &Asked, presented: Presented) {
        let asset = presented.transfer.amount.asset();
        let ask = asks(offer).find(|ask| ask.amount.asset() == asset);
        if let (Some(line), Some(ask)) = (seen::line(headers), ask) {
            let on = SeenToken {
                route: offer.route().into(),
                ask: ask.clone(),
                payment: presented.id,
            };
            self.seen.keep(line, on, presented);
        }
    }

    fn overdrawn(&self, presented: &Presented, funds: U256, reserved: U256) -> Refusal {
        Kept::read(&presented.evidence.0).map_or(Refusal::new(Code::PermitBalanceTooLow), |kept| {
            overdrawn(&kept.order.permit, funds, reserved).into()
        })
    }

    fn trusts(&self, offer: &Offer) -> bool {
        trusts(offer)
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    /// Whoever reads the chain knows what was signed, and the same permit is refused once it is spent or too old, before or
    /// after its signature is looked at. So it has to be the signature that was good when it was claimed.
    fn is_copy(&self, presented: &Presented, of: &Payment) -> bool {
        let signature = |evidence: &[u8]| Some(Kept::read(evidence)?.order.permit.signature);
        let theirs = signature(&presented.evidence.0);
        theirs.is_some() && theirs == signature(&of.claim.evidence)
    }

    fn shares_its_header(&self) -> bool {
        true
    }

    fn recall(&self, evidence: &Evidence) -> Result<Arc<dyn Instrument>, Refusal> {
        let kept = Kept::read(&evidence.0).ok_or(Refusal::new(Code::Internal))?;
        Ok(self.instrument(kept.order, Care::Read))
    }

    fn uses_trail(&self) -> bool {
        true
    }

    fn resolve<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(async move {
            let transaction = payment.transaction.as_deref();
            match Kept::read(&payment.claim.evidence) {
                Some(kept) => self.collector.resolve(&kept.order, transaction).await,
                None => damaged(payment),
            }
        })
    }

    fn confirm<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, Finality> {
        Box::pin(async move {
            match (&payment.transaction, Kept::read(&payment.claim.evidence)) {
                (Some(transaction), Some(kept)) => {
                    self.collector.confirm(&kept.order, transaction).await
                }
                // Without a transaction there is nothing that could be looked up, now or later.
                (None, Some(_)) => Finality::Final,
                (_, None) => Finality::Unknown,
            }
        })
    }

    fn expires(&self, payment: &Payment) -> Option<Timestamp> {
        let kept = Kept::read(&payment.claim.evidence)?;
        let end = kept.order.permit.terms.good_until();
        u64::try_from(end).ok().map(Timestamp::from_secs)
    }

    fn recorded(&self, payment: &Payment) -> SettleOutcome {
        let payer = Kept::read(&payment.claim.evidence).map(|kept| kept.order.permit.terms.payer());
        match (payment.failure, payer) {
            (Some(code), Some(payer)) => SettleOutcome::Failed(Refusal::new(code).payer(payer)),
            (None, Some(payer)) => SettleOutcome::Settled(Settlement {
                transaction: payment.transaction.clone(),
                payer: Some(payer),
            }),
            (_, None) => damaged(payment),
        }
    }
}
