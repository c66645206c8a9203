//! What everybody may ask: parameters, tokens, health.

use std::sync::Arc;

use axum::response::Response;
use faregate_core::credit::Terms;
use faregate_types::credit::api::{ActiveDomain, Condition, Health, PublicParams, SupportedTokens};
use faregate_types::credit::{BlsPublicKey, GuaranteeVersion, binding, certificate, digest, write};
use faregate_types::{Address, B256};
use http::StatusCode;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::{Call, ChainStanding, Parameters, Parts, Said, json, message};
use crate::limits::{READY_KEPT, READY_TIMEOUT};

/// What is published, and what follows from it.
#[derive(Debug)]
pub(super) struct Published {
    parameters: Parameters,
    key: BlsPublicKey,
    /// In which domain payers sign claims.
    pub(super) claims_domain: B256,
}

impl Published {
    pub(super) fn new(parameters: Parameters, key: BlsPublicKey) -> Self {
        let claims_domain = digest::domain_separator(
            &parameters.eip712_name,
            &parameters.eip712_version,
            parameters.chain,
        );
        Self {
            parameters,
            key,
            claims_domain,
        }
    }

    /// The separator of certificates of this version.
    pub(super) fn certificate_domain(&self, version: GuaranteeVersion) -> B256 {
        certificate::domain_separator(version, self.parameters.chain, self.parameters.contract)
    }

    /// Whether validations in this registry, on this chain, count.
    pub(super) fn trusts(&self, registry: Address, chain_id: u64) -> bool {
        chain_id == self.parameters.chain.get() && self.parameters.registries.contains(&registry)
    }

    /// The chain of the contract.
    pub(super) const fn chain_id(&self) -> u64 {
        self.parameters.chain.get()
    }

    fn params(&self, terms: &Terms) -> PublicParams {
        let newest = terms.versions.last().copied();
        let version = newest.and_then(GuaranteeVersion::from_number);
        PublicParams {
            public_key: self.key,
            contract: self.parameters.contract,
            node_url: self.parameters.node_url.clone().into(),
            eip712_name: self.parameters.eip712_name.clone().into(),
            eip712_version: self.parameters.eip712_version.clone().into(),
            chain_id: self.chain_id(),
            max_version: newest.unwrap_or(1),
            versions: terms.versions.iter().copied().collect(),
            active_domain: ActiveDomain(version.map(|version| self.certificate_domain(version))),
            trusted_registries: self.parameters.registries.clone(),
            canonicalization: binding::CANONICALIZATION.to_owned(),
            req_ids: Some(terms.req_ids.as_str().to_owned()),
        }
    }
}

/// `GET /core/public-params`.
pub(super) async fn public(parts: Arc<Parts>, _: Call) -> Said {
    Ok(message(&parts.published.params(&parts.terms())))
}

/// `GET /core/tokens`.
pub(super) async fn tokens(parts: Arc<Parts>, _: Call) -> Said {
    let terms = parts.terms();
    let taken = parts.published.parameters.tokens.iter();
    // What the contract does not take is not worth naming.
    let taken = taken.filter(|token| terms.assets.contains(&token.address));
    Ok(message(&SupportedTokens {
        chain_id: parts.published.chain_id(),
        tokens: taken.cloned().collect(),
    }))
}

/// Whether the books answer; asked once a second at most.
#[derive(Debug, Default)]
pub(super) struct Database(Mutex<Option<(Instant, bool)>>);

impl Database {
    async fn answers(&self, parts: &Parts) -> bool {
        let mut last = self.0.lock().await;
        if let Some((at, answered)) = *last
            && at.elapsed() < READY_KEPT
        {
            return answered;
        }
        let answered = timeout(READY_TIMEOUT, parts.books.cursor()).await;
        let answered = matches!(answered, Ok(Ok(_)));
        *last = Some((Instant::now(), answered));
        answered
    }
}

/// `GET /core/health`.
pub(super) async fn health(parts: Arc<Parts>, _: Call) -> Said {
    let (db, standing) = (parts.db.answers(&parts).await, *parts.chain.borrow());
    let chain = standing == ChainStanding::Followed;
    let forked_at = match standing {
        ChainStanding::Forked { block } => Some(block),
        ChainStanding::Followed | ChainStanding::Away => None,
    };
    let condition = |well| if well { Condition::Ok } else { Condition::Fail };
    let health = Health {
        status: condition(db && chain),
        db: Some(condition(db)),
        chain_rpc: Some(condition(chain)),
        listener_ready: Some(chain),
        forked_at,
    };
    let mut response: Response = json(write(&health));
    if !(db && chain) {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}
