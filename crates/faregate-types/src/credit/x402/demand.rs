//! What a recipient asks for, and the claims that meet it.

use alloy_primitives::{Address, B256, U256};
use serde_json::Value;

use super::{TabTicket, chain, is_credit};
use crate::chain_id::ChainId;
use crate::credit::binding::{self, BindingError, SCORE_MAX, SCORE_MIN};
use crate::credit::claims::{Claims, GuaranteeVersion, ValidationPolicy};
use crate::credit::field::{Field, Malformed, message};
use crate::limits::VALIDATION_TAG_BYTES_MAX;
use crate::timestamp::Timestamp;
use crate::x402::Version;

/// An offer of scheme `4mica-credit`, whichever protocol version it was written in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that gates and tests build by literal"
)]
pub struct Demand {
    /// The protocol version, which is also the version of the guarantee.
    pub version: Version,
    /// As it was spelled.
    pub network: String,
    /// Exactly this much, in atomic units.
    pub amount: U256,
    /// The token, or the zero address for ETH.
    pub asset: Address,
    /// Whom it is owed to; `payTo` on the wire.
    pub recipient: Address,
    /// Where tabs are opened: an absolute URL of the recipient's.
    pub tab_endpoint: Option<String>,
    /// On which condition: there in version 2 only.
    pub condition: Option<Condition>,
}

/// What a guarantee of version 2 has to depend on: `extra` of the offer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that gates and tests build by literal"
)]
pub struct Condition {
    /// The contract in which the validation will stand.
    pub registry: Address,
    /// The registry's chain, where the offer says it. It has to be the network's.
    pub chain_id: Option<u64>,
    /// Who validates.
    pub validator: Address,
    /// Whose work.
    pub agent_id: U256,
    /// From 1 to 100.
    pub min_score: u8,
    /// The tag that the validation has to have; empty for any.
    pub tag: String,
    /// Which work.
    pub job_hash: B256,
}

/// Why an offer cannot be met. Never carries a part of the offer but names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DemandError {
    /// Another scheme.
    #[error("expected scheme 4mica-credit")]
    Scheme,
    /// A member is missing or of the wrong type.
    #[error("{0}")]
    Shape(#[from] Malformed),
    /// Nothing is asked for.
    #[error("expected an amount above zero")]
    Zero,
    /// Version 2 names its network by CAIP-2 only: the condition is bound to the chain.
    #[error("expected a CAIP-2 network such as eip155:8453")]
    Network,
    /// Version 2 without a condition.
    #[error("extra: expected {0}")]
    NoCondition(&'static str),
    /// The condition is on another chain than the offer.
    #[error("validationChainId: expected the chain of the network")]
    ConditionChain,
    /// The condition cannot be met, whatever is signed.
    #[error(transparent)]
    Condition(#[from] BindingError),
    /// Nobody says where tabs are opened.
    #[error("extra: expected tabEndpoint, an absolute http or https URL")]
    TabEndpoint,
    /// The tab that was given is somebody else's, or for something else.
    #[error("the tab is not the one that was asked for: {0}")]
    Tab(&'static str),
}

message! {
    /// `extra`, of which only this concerns anybody.
    struct Extra ("an object with what the scheme needs") {
        tab_endpoint: Option<String> = "tabEndpoint" | "tab_endpoint",
        registry: Option<Address> = "validationRegistryAddress" | "validation_registry_address",
        chain_id: Option<u64> = "validationChainId" | "validation_chain_id",
        validator: Option<Address> = "validatorAddress" | "validator_address",
        agent_id: Option<U256> = "validatorAgentId" | "validator_agent_id",
        min_score: Option<U256> = "minValidationScore" | "min_validation_score",
        tag: Option<String> = "requiredValidationTag" | "required_validation_tag",
        job_hash: Option<B256> = "jobHash" | "job_hash",
    }
}

message! {
    /// The offer, in both versions. What it says besides is for people.
    struct Offer ("payment requirements") {
        scheme: String = "scheme",
        network: String = "network",
        amount_v1: Option<U256> = "maxAmountRequired",
        amount_v2: Option<U256> = "amount",
        pay_to: Address = "payTo",
        asset: Address = "asset",
        extra: Option<Extra> = "extra",
    }
}

impl Demand {
    /// Reads payment requirements. Amounts are decimal or hexadecimal digits.
    ///
    /// # Errors
    /// [`DemandError`]; an offer without `tabEndpoint` is one that can be checked and not met.
    pub fn read(version: Version, requirements: &Value) -> Result<Self, DemandError> {
        let offer = Offer::read(requirements).map_err(Malformed::from)?;
        if !is_credit(&offer.scheme) {
            return Err(DemandError::Scheme);
        }
        let (amount, name) = match version {
            Version::V1 => (offer.amount_v1, "maxAmountRequired: expected to be there"),
            Version::V2 => (offer.amount_v2, "amount: expected to be there"),
        };
        let amount = amount.ok_or_else(|| Malformed::new(name))?;
        if amount.is_zero() {
            return Err(DemandError::Zero);
        }
        let extra = offer.extra;
        let tab_endpoint = extra.as_ref().and_then(|extra| extra.tab_endpoint.clone());
        let condition = match version {
            // Members of the other version are members nobody knows.
            Version::V1 => None,
            Version::V2 => Some(Condition::of(extra)?),
        };
        let demand = Self {
            version,
            network: offer.network,
            amount,
            asset: offer.asset,
            recipient: offer.pay_to,
            tab_endpoint,
            condition,
        };
        demand.policy()?;
        Ok(demand)
    }

    /// The version of the guarantee.
    #[must_use]
    pub const fn guarantee_version(&self) -> GuaranteeVersion {
        match self.version {
            Version::V1 => GuaranteeVersion::V1,
            Version::V2 => GuaranteeVersion::V2,
        }
    }

    /// The chain, when the network's name stands for one we know.
    #[must_use]
    pub fn chain(&self) -> Option<ChainId> {
        chain(&self.network)
    }

    /// Where tabs are opened.
    ///
    /// # Errors
    /// [`DemandError::TabEndpoint`] when it is not said, or is no absolute URL of the web.
    pub fn tab_endpoint(&self) -> Result<&str, DemandError> {
        let endpoint = self.tab_endpoint.as_deref().unwrap_or_default();
        let host = endpoint
            .strip_prefix("https://")
            .or(endpoint.strip_prefix("http://"));
        match host {
            Some(host) if !host.is_empty() && !host.starts_with(['/', '?', '#', ':']) => {
                Ok(endpoint)
            }
            _ => Err(DemandError::TabEndpoint),
        }
    }

    /// The claims that meet this on a tab: what the payer signs, both hashes filled in.
    ///
    /// # Errors
    /// [`DemandError::Tab`] when the tab is another payer's, recipient's or asset's.
    pub fn claims(
        &self,
        payer: Address,
        ticket: &TabTicket,
        now: Timestamp,
    ) -> Result<Claims, DemandError> {
        if ticket.payer != payer {
            return Err(DemandError::Tab("userAddress"));
        }
        if ticket
            .recipient
            .is_some_and(|found| found != self.recipient)
        {
            return Err(DemandError::Tab("recipientAddress"));
        }
        if ticket.asset.is_some_and(|found| found != self.asset) {
            return Err(DemandError::Tab("assetAddress"));
        }
        Ok(binding::bind(Claims {
            payer,
            recipient: self.recipient,
            tab_id: ticket.tab_id,
            req_id: ticket.next_req_id.unwrap_or_default(),
            amount: self.amount,
            asset: self.asset,
            timestamp: now,
            validation: self.policy()?,
        }))
    }

    /// The condition as it stands in claims, without its hashes.
    pub(super) fn policy(&self) -> Result<Option<ValidationPolicy>, DemandError> {
        let Some(condition) = &self.condition else {
            return Ok(None);
        };
        let chain: ChainId = self.network.parse().map_err(|_| DemandError::Network)?;
        if condition.chain_id.is_some_and(|said| said != chain.get()) {
            return Err(DemandError::ConditionChain);
        }
        let policy = ValidationPolicy {
            registry: condition.registry,
            request_hash: B256::ZERO,
            chain_id: chain.get(),
            validator: condition.validator,
            agent_id: condition.agent_id,
            min_score: condition.min_score,
            subject_hash: B256::ZERO,
            tag: condition.tag.clone(),
            job_hash: condition.job_hash,
        };
        binding::can_be_issued(&policy)?;
        Ok(Some(policy))
    }
}

impl Condition {
    fn of(extra: Option<Extra>) -> Result<Self, DemandError> {
        fn there<T>(member: Option<T>, name: &'static str) -> Result<T, DemandError> {
            member.ok_or(DemandError::NoCondition(name))
        }
        let extra = there(extra, "validationRegistryAddress")?;
        let score = there(extra.min_score, "minValidationScore")?;
        let score = u8::try_from(score).ok();
        let score = score.filter(|score| (SCORE_MIN..=SCORE_MAX).contains(score));
        let tag = extra.tag.unwrap_or_default();
        if tag.len() > VALIDATION_TAG_BYTES_MAX {
            return Err(DemandError::NoCondition("a shorter requiredValidationTag"));
        }
        Ok(Self {
            registry: there(extra.registry, "validationRegistryAddress")?,
            chain_id: extra.chain_id,
            validator: there(extra.validator, "validatorAddress")?,
            agent_id: there(extra.agent_id, "validatorAgentId")?,
            min_score: score.ok_or(BindingError::Score)?,
            tag,
            job_hash: there(extra.job_hash, "jobHash")?,
        })
    }
}
