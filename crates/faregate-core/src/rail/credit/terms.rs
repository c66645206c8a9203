//! What an offer asks for on credit, in x402's words, and which ask a guarantee pays for.

use alloy_primitives::U256;
use faregate_ledger::AccountId;
use faregate_types::credit::x402::{Condition, CreditEnvelope, Demand, SCHEME, chain};
use faregate_types::x402::{MaxTimeout, Version, v1, v2};
use faregate_types::{Amount, ChainId, Code, Erc20, Refusal};
use serde_json::{Map, Value, json};

use crate::offer::{CreditAsk, Offer};
use crate::rail::x402::Terms;

/// One ask, made once per offer.
#[derive(Debug)]
pub(crate) struct CreditTerms {
    /// In what.
    pub(super) asset: Erc20,
    /// Where it is promised to, in the books.
    pub(super) payee: AccountId,
    /// How much.
    pub(super) amount: Amount,
    /// How much one payer may owe for the route.
    pub(super) owed_max: Option<U256>,
    v1: Option<Demand>,
    v2: Option<(Demand, v2::PaymentRequirements)>,
    tab_endpoint: Box<str>,
    max_timeout_secs: u64,
}

impl CreditTerms {
    /// The form of an ask.
    pub(crate) fn new(offer: &Offer, ask: &CreditAsk) -> Self {
        let demand = |version, condition| Demand {
            version,
            network: ask.asset.chain().to_string(),
            amount: ask.amount.value(),
            asset: ask.asset.token(),
            recipient: ask.recipient,
            tab_endpoint: Some(ask.tab_endpoint.to_string()),
            condition,
        };
        let conditional = ask.condition.as_ref().map(|condition| {
            let demand = demand(Version::V2, Some(condition.clone()));
            let wire = requirements_v2(offer, ask, condition);
            (demand, wire)
        });
        Self {
            asset: ask.asset,
            payee: AccountId::promised(ask.recipient),
            amount: ask.amount,
            owed_max: ask.owed_max,
            v1: ask.is_plain.then(|| demand(Version::V1, None)),
            v2: conditional,
            tab_endpoint: ask.tab_endpoint.clone(),
            max_timeout_secs: offer.max_timeout_secs(),
        }
    }

    /// What the header of the 402 says, where guarantees with a condition are taken.
    pub(crate) fn v2(&self) -> Option<&v2::PaymentRequirements> {
        self.v2.as_ref().map(|(_, wire)| wire)
    }

    /// What the body of the 402 says, where guarantees without a condition are taken.
    pub(crate) fn v1(&self, resource: &v2::ResourceInfo) -> Option<v1::PaymentRequirements> {
        let demand = self.v1.as_ref()?;
        let extra = Map::from_iter([("tabEndpoint".to_owned(), (*self.tab_endpoint).into())]);
        Some(v1::PaymentRequirements {
            scheme: SCHEME.to_owned(),
            network: demand.network.clone(),
            max_amount_required: demand.amount.to_string(),
            resource: resource.url.clone(),
            description: resource.description.clone().unwrap_or_default(),
            mime_type: resource.mime_type.clone().unwrap_or_default(),
            output_schema: None,
            pay_to: demand.recipient.to_string(),
            max_timeout_seconds: self.max_timeout_secs,
            asset: demand.asset.to_string(),
            extra: Some(extra),
        })
    }

    fn demand(&self, version: Version) -> Option<&Demand> {
        match version {
            Version::V1 => self.v1.as_ref(),
            Version::V2 => self.v2.as_ref().map(|(demand, _)| demand),
        }
    }

    fn chain(&self) -> ChainId {
        self.asset.chain()
    }
}

/// The ask that a guarantee meets. With none, the refusal says what keeps it from the nearest one: of the same network, asset
/// and recipient if there is one.
pub(super) fn matched<'o>(
    envelope: &CreditEnvelope,
    offer: &'o Offer,
) -> Result<&'o CreditTerms, Refusal> {
    let claims = &envelope.request.claims;
    let terms = &Terms::of(offer).credit;
    let candidates = || {
        let wanted = |terms: &'o CreditTerms| Some((terms, terms.demand(envelope.version)?));
        terms.iter().filter_map(wanted)
    };
    let refuse = |refusal: Refusal| Err(refusal.payer(claims.payer));
    if candidates().next().is_none() {
        let version = envelope.version.number();
        let detail = format!(
            "expected a payment that is offered: none is by scheme {SCHEME} in x402Version {version}"
        );
        return refuse(Refusal::new(Code::NoMatchingRequirements).detail(detail));
    }
    let named = chain(&envelope.network);
    let here = || candidates().filter(|(terms, _)| Some(terms.chain()) == named);
    if let Some((met, _)) = here().find(|(_, demand)| demand.met_by(claims).is_ok()) {
        return Ok(met);
    }
    let near = |demand: &Demand| {
        let same = [
            demand.asset == claims.asset,
            demand.recipient == claims.recipient,
        ];
        same.into_iter().filter(|same| *same).count()
    };
    let nearest = here().max_by_key(|(_, demand)| near(demand));
    let Some((_, demand)) = nearest else {
        return refuse(Refusal::new(Code::NetworkMismatch));
    };
    match demand.met_by(claims) {
        Err(refusal) => refuse(refusal),
        Ok(()) => refuse(Refusal::new(Code::Internal)),
    }
}

fn requirements_v2(
    offer: &Offer,
    ask: &CreditAsk,
    condition: &Condition,
) -> v2::PaymentRequirements {
    let extra = json!({
        "tabEndpoint": &*ask.tab_endpoint,
        "validationRegistryAddress": condition.registry.to_string(),
        "validationChainId": ask.asset.chain().get(),
        "validatorAddress": condition.validator.to_string(),
        "validatorAgentId": condition.agent_id.to_string(),
        "minValidationScore": condition.min_score,
        "requiredValidationTag": &condition.tag,
        "jobHash": condition.job_hash.to_string(),
    });
    let extra = match extra {
        Value::Object(members) => Some(members),
        _ => None,
    };
    v2::PaymentRequirements {
        scheme: SCHEME.to_owned(),
        network: ask.asset.chain().to_string(),
        amount: ask.amount.value().to_string(),
        asset: ask.asset.token().to_string(),
        pay_to: ask.recipient.to_string(),
        max_timeout_seconds: MaxTimeout::from_secs(offer.max_timeout_secs()),
        extra,
    }
}
