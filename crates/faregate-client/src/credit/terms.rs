//! What is checked at the start, and what certificates are held against from then on.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use faregate_core::credit::ReqIds;
use faregate_evm::credit::CreditCore;
use faregate_evm::{Account, AskError};
use faregate_types::credit::api::PublicParams;
use faregate_types::credit::digest::domain_separator;
use faregate_types::credit::{
    BlsPublicKey, Certificate, Claims, Guarantee, GuaranteeVersion, binding,
};
use faregate_types::{Address, ChainId};

use super::error::{CertificateFault, ClaimsFault, CreditError, Distrust};

/// What holds for a service and its contract. Never changes for a client.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) chain: ChainId,
    pub(super) core: CreditCore,
    /// The separator of what payers sign.
    pub(super) claims_domain: B256,
    /// The separators of certificates, of all versions that service and contract both take.
    domains: BTreeMap<GuaranteeVersion, B256>,
    pub(super) key: BlsPublicKey,
    registries: Vec<Address>,
    /// How the service numbers the guarantees of a tab.
    pub(super) req_ids: ReqIds,
}

/// What was pinned.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pins {
    pub(super) chain: Option<ChainId>,
    pub(super) contract: Option<Address>,
}

impl Pins {
    /// The chain that the service says, if it may be that one.
    pub(super) fn check(self, params: &PublicParams) -> Result<ChainId, Distrust> {
        let wrong = Distrust::Chain {
            said: params.chain_id,
        };
        let chain = ChainId::new(params.chain_id).ok_or(wrong)?;
        if self.chain.is_some_and(|pinned| pinned != chain) {
            return Err(wrong);
        }
        let said = params.contract;
        if self.contract.is_some_and(|pinned| pinned != said) || said.is_zero() {
            return Err(Distrust::Contract { said });
        }
        Ok(chain)
    }
}

impl Terms {
    /// Asks the contract whether it is the service's.
    pub(super) async fn check(
        params: &PublicParams,
        chain: ChainId,
        account: &Account,
    ) -> Result<Self, CreditError> {
        let core = CreditCore::at(params.contract);
        let words = params.public_key.words();
        let mut domains = BTreeMap::new();
        let mut other_key = None;
        for version in params.accepted() {
            let config = account.ask(&core.version_config(version.number())).await;
            let config = match config {
                // Older contracts know version 1 only.
                Err(AskError::Unreadable) if version != GuaranteeVersion::V1 => continue,
                config => config?,
            };
            if !config.enabled {
                continue;
            }
            if config.key != words {
                other_key = Some(version);
                continue;
            }
            domains.insert(version, config.domain);
        }
        if let Some(version) = other_key {
            return Err(Distrust::Key(version).into());
        }
        let newest = GuaranteeVersion::from_number(params.max_version);
        let ours = newest.and_then(|version| domains.get(&version));
        let said = params.active_domain.0;
        if said.zip(ours).is_some_and(|(said, ours)| said != *ours) {
            return Err(Distrust::Domain.into());
        }
        if domains.is_empty() {
            return Err(Distrust::NoVersion.into());
        }
        Ok(Self {
            chain,
            core,
            claims_domain: domain_separator(&params.eip712_name, &params.eip712_version, chain),
            domains,
            key: params.public_key,
            registries: params.trusted_registries.clone(),
            // A service that does not say it goes by the network's rule, and so does one that says something unheard of.
            req_ids: params
                .req_ids
                .as_deref()
                .and_then(ReqIds::from_name)
                .unwrap_or_default(),
        })
    }

    /// Whether such claims can become a certificate that the contract pays on.
    pub(super) fn check_claims(&self, claims: &Claims) -> Result<(), ClaimsFault> {
        if claims.amount.is_zero() {
            return Err(ClaimsFault::Amount);
        }
        let version = claims.version();
        if !self.domains.contains_key(&version) {
            return Err(ClaimsFault::Version(version));
        }
        let Some(policy) = &claims.validation else {
            return Ok(());
        };
        binding::check(claims)?;
        if policy.chain_id != self.chain.get() {
            return Err(ClaimsFault::ValidationChain(self.chain));
        }
        if !self.registries.is_empty() && !self.registries.contains(&policy.registry) {
            return Err(ClaimsFault::Registry);
        }
        Ok(())
    }

    /// What a certificate says, if the contract would pay on it.
    pub(super) fn verify(&self, certificate: &Certificate) -> Result<Guarantee, CertificateFault> {
        let guarantee = certificate.verify(&self.key)?;
        self.is_ours(&guarantee)?;
        Ok(guarantee)
    }

    /// Whether it is for this contract.
    fn is_ours(&self, guarantee: &Guarantee) -> Result<(), CertificateFault> {
        let version = guarantee.version();
        match self.domains.get(&version) {
            None => Err(CertificateFault::Version(version)),
            Some(domain) if *domain != guarantee.domain => Err(CertificateFault::Domain),
            Some(_) => Ok(()),
        }
    }

    /// What a certificate says whose signature was checked, if the contract would pay on it and it says what was signed.
    pub(super) fn said_of(
        &self,
        claims: &Claims,
        certificate: &Certificate,
    ) -> Result<Guarantee, CertificateFault> {
        let (guarantee, _) = Guarantee::decode(&certificate.claims)?;
        self.is_ours(&guarantee)?;
        let expected = Guarantee::of(claims, guarantee.domain, guarantee.total_amount);
        let says_so = expected.is_ok_and(|expected| expected == guarantee);
        if says_so && guarantee.total_amount >= claims.amount {
            Ok(guarantee)
        } else {
            Err(CertificateFault::Claims)
        }
    }

    pub(super) const fn domains(&self) -> &BTreeMap<GuaranteeVersion, B256> {
        &self.domains
    }
}
