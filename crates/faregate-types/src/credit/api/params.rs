//! What everybody may ask: parameters, health, and the body of every error.

use alloy_primitives::{Address, B256};
use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serializer};
use serde_json::value::RawValue;

use crate::credit::binding::CANONICALIZATION;
use crate::credit::bls::BlsPublicKey;
use crate::credit::claims::GuaranteeVersion;
use crate::credit::field::{Field, message, text};
use crate::hex_text::{parse_b256, parse_digits};

use super::status::Condition;

message! {
    /// `GET /core/public-params` (specs/4mica.md §1.3).
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PublicParams ("the parameters of a credit service") {
        /// The key of its certificates. Written as 48 numbers, read as a text too.
        pub public_key: BlsPublicKey = "public_key" | "publicKey",
        /// The contract that holds the collateral.
        pub contract: Address = "contract_address" | "contractAddress",
        /// A node of its chain for clients; empty when they have to bring their own. The SDKs insist on the member.
        pub node_url: String = "ethereum_http_rpc_url" | "ethereumHttpRpcUrl",
        /// The name of the domain in which claims are signed.
        pub eip712_name: String = "eip712_name" | "eip712Name",
        /// The version of the domain.
        pub eip712_version: String = "eip712_version" | "eip712Version",
        /// The chain.
        pub chain_id: u64 = "chain_id" | "chainId",
        /// The newest version of guarantees that is issued.
        pub max_version: u64 = "max_accepted_guarantee_version" | "maxAcceptedGuaranteeVersion" or 1,
        /// Every version that is issued; empty for all up to the newest.
        pub versions: Vec<u64> = "accepted_guarantee_versions" | "acceptedGuaranteeVersions" or Vec::new(),
        /// The separator of certificates of the newest version.
        pub active_domain: ActiveDomain = "active_guarantee_domain_separator" | "activeGuaranteeDomainSeparator" or ActiveDomain(None),
        /// The registries whose validations count.
        pub trusted_registries: Vec<Address> = "trusted_validation_registries" | "trustedValidationRegistries" or Vec::new(),
        /// How requests of validations are hashed: [`CANONICALIZATION`].
        pub canonicalization: String = "validation_hash_canonicalization_version" | "validationHashCanonicalizationVersion"
            or CANONICALIZATION.to_owned(),
        /// How the guarantees of a tab are numbered: `strict` or `reserved`. Ours only.
        pub req_ids: Option<String> = "req_ids" | "reqIds",
    }
}

impl PublicParams {
    /// The versions that are issued and that we know, in order.
    #[must_use]
    pub fn accepted(&self) -> Vec<GuaranteeVersion> {
        let is_accepted = |version: &GuaranteeVersion| {
            let number = version.number();
            if self.versions.is_empty() {
                number <= self.max_version
            } else {
                self.versions.contains(&number)
            }
        };
        GuaranteeVersion::ALL
            .into_iter()
            .filter(is_accepted)
            .collect()
    }
}

/// A separator, or an empty text for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a name for an option")]
pub struct ActiveDomain(pub Option<B256>);

impl Field for ActiveDomain {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(domain) => domain.write(serializer),
            None => serializer.serialize_str(""),
        }
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "expected \"0x\" and 64 hexadecimal digits, or an empty text";
        let text = text(deserializer, EXPECTED)?;
        if text.is_empty() {
            return Ok(Self(None));
        }
        let domain = parse_b256(&text).map_err(|_| D::Error::custom(EXPECTED))?;
        Ok(Self(Some(domain)))
    }
}

impl Field for BlsPublicKey {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.to_bytes())
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "expected 48 numbers, or as many bytes in hexadecimal digits";
        let raw = <Box<RawValue>>::deserialize(deserializer)?;
        let bytes = if raw.get().starts_with('[') {
            serde_json::from_str::<Vec<u8>>(raw.get()).ok()
        } else {
            let text = serde_json::from_str::<String>(raw.get()).ok();
            text.and_then(|text| parse_digits(text.strip_prefix("0x").unwrap_or(&text)).ok())
        };
        let bytes = bytes.ok_or_else(|| D::Error::custom(EXPECTED))?;
        Self::from_bytes(&bytes).map_err(D::Error::custom)
    }
}

message! {
    /// `GET /core/health`, with the members of both eras of the network's service.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Health ("a state of health") {
        /// All of it.
        pub status: Condition = "status",
        /// The books.
        pub db: Option<Condition> = "db",
        /// The node.
        pub chain_rpc: Option<Condition> = "chain_rpc" | "chainRpc",
        /// Whether the chain is followed.
        pub listener_ready: Option<bool> = "listener_ready" | "listenerReady",
        /// The block at which the books stand, while the chain does not have it: nothing is promised.
        pub forked_at: Option<u64> = "forked_at" | "forkedAt",
    }
}

message! {
    /// The body of every answer that is not a success.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ErrorBody ("an error") {
        /// What is wrong, for people: the network's text where it has one.
        pub error: String = "error" | "message",
        /// The same for programs. Ours only.
        pub code: Option<String> = "code",
    }
}
