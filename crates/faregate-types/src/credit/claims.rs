//! What a payer signs to be given credit: the claims of a guarantee request, both versions (specs/4mica.md §2.1).

use std::fmt;

use alloy_primitives::{Address, B256, U256};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::binding::{SCORE_MAX, SCORE_MIN};
use super::field::{As, Field, message, text};
use crate::hex_text::{HexError, parse_bytes};
use crate::limits::VALIDATION_TAG_BYTES_MAX;
use crate::signature::{Signature65, SignatureError};
use crate::timestamp::Timestamp;

/// The versions of guarantees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "every edge has to decide about each"
)]
pub enum GuaranteeVersion {
    /// Valid as it is.
    V1,
    /// Valid once somebody has validated the work.
    V2,
}

impl GuaranteeVersion {
    /// Both, in order.
    pub const ALL: [Self; 2] = [Self::V1, Self::V2];

    /// 1 or 2.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// The version with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }

    /// `v1` or `v2`, as it stands in claims.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}

impl fmt::Display for GuaranteeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.number(), f)
    }
}

/// Written as in claims; read also as a number and as a text of one.
impl Field for GuaranteeVersion {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Said {
            Number(u64),
            Text(String),
        }
        let number = match Said::deserialize(deserializer) {
            Ok(Said::Number(number)) => Self::from_number(number),
            Ok(Said::Text(text)) => match text.as_str() {
                "v1" | "1" => Some(Self::V1),
                "v2" | "2" => Some(Self::V2),
                _ => None,
            },
            Err(_) => None,
        };
        number.ok_or_else(|| D::Error::custom("expected \"v1\" or \"v2\""))
    }
}

/// A payer's promise: so much more on this tab, owed to this recipient.
///
/// ```
/// use faregate_types::credit::Claims;
///
/// let json = r#"{"version":"v1","user_address":"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
///     "recipient_address":"0x70997970C51812dc3A010C7d01b50e0d17dc79C8","tab_id":"0x2a","req_id":"0","amount":1000,
///     "asset_address":"0x0000000000000000000000000000000000000000","timestamp":1716500000}"#;
/// let claims: Claims = serde_json::from_str(json).unwrap();
/// assert_eq!(claims.amount, faregate_types::U256::from(1000));
/// assert!(claims.validation.is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that the client builds by literal"
)]
pub struct Claims {
    /// Who signs and owes; `user` on the wire.
    pub payer: Address,
    /// Whom it is owed to.
    pub recipient: Address,
    /// On which tab.
    pub tab_id: U256,
    /// The number of this guarantee on the tab, from 0.
    pub req_id: U256,
    /// This much more, in atomic units: not the sum of the tab.
    pub amount: U256,
    /// The token, or the zero address for ETH.
    pub asset: Address,
    /// The payer's clock when it was signed.
    pub timestamp: Timestamp,
    /// On which condition: there in version 2 only.
    pub validation: Option<ValidationPolicy>,
}

/// The condition of a guarantee of version 2: a validator gives the work at least this score.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that the client builds by literal"
)]
pub struct ValidationPolicy {
    /// The contract in which the validation will stand.
    pub registry: Address,
    /// Its name there, which follows from everything else: see [`request_hash`](super::binding::request_hash).
    pub request_hash: B256,
    /// The registry's chain.
    pub chain_id: u64,
    /// Who validates.
    pub validator: Address,
    /// Whose work.
    pub agent_id: U256,
    /// From 1 to 100.
    pub min_score: u8,
    /// What is guaranteed: see [`subject_hash`](super::binding::subject_hash).
    pub subject_hash: B256,
    /// The tag that the validation has to have; empty for any.
    pub tag: String,
    /// Which work.
    pub job_hash: B256,
}

impl Claims {
    /// Which version they are.
    #[must_use]
    pub const fn version(&self) -> GuaranteeVersion {
        match self.validation {
            None => GuaranteeVersion::V1,
            Some(_) => GuaranteeVersion::V2,
        }
    }
}

message! {
    /// All members of both versions.
    struct Flat ("claims") {
        version: GuaranteeVersion = "version",
        payer: Address = "user_address",
        recipient: Address = "recipient_address",
        tab_id: U256 = "tab_id",
        req_id: U256 = "req_id",
        amount: U256 = "amount",
        asset: Address = "asset_address",
        timestamp: Timestamp = "timestamp",
        registry: Option<Address> = "validation_registry_address",
        request_hash: Option<B256> = "validation_request_hash",
        chain_id: Option<u64> = "validation_chain_id",
        validator: Option<Address> = "validator_address",
        agent_id: Option<U256> = "validator_agent_id",
        min_score: Option<Score> = "min_validation_score",
        subject_hash: Option<B256> = "validation_subject_hash",
        tag: Option<Tag> = "required_validation_tag",
        job_hash: Option<B256> = "job_hash",
    }
}

/// From 1 to 100.
struct Score(u8);

impl Field for Score {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let score = u8::deserialize(deserializer).unwrap_or(0);
        if (SCORE_MIN..=SCORE_MAX).contains(&score) {
            Ok(Self(score))
        } else {
            Err(D::Error::custom("expected a number from 1 to 100"))
        }
    }
}

/// Bounded, because it is signed, hashed and issued.
struct Tag(String);

impl Field for Tag {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tag = String::read(deserializer)?;
        if tag.len() > VALIDATION_TAG_BYTES_MAX {
            return Err(D::Error::custom("expected a shorter text"));
        }
        Ok(Self(tag))
    }
}

impl Field for Claims {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", self.version().as_str())?;
        map.serialize_entry("user_address", &As(&self.payer))?;
        map.serialize_entry("recipient_address", &As(&self.recipient))?;
        map.serialize_entry("tab_id", &As(&self.tab_id))?;
        map.serialize_entry("req_id", &As(&self.req_id))?;
        map.serialize_entry("amount", &As(&self.amount))?;
        map.serialize_entry("asset_address", &As(&self.asset))?;
        map.serialize_entry("timestamp", &As(&self.timestamp))?;
        if let Some(policy) = &self.validation {
            map.serialize_entry("validation_registry_address", &As(&policy.registry))?;
            map.serialize_entry("validation_request_hash", &As(&policy.request_hash))?;
            map.serialize_entry("validation_chain_id", &As(&policy.chain_id))?;
            map.serialize_entry("validator_address", &As(&policy.validator))?;
            map.serialize_entry("validator_agent_id", &As(&policy.agent_id))?;
            map.serialize_entry("min_validation_score", &As(&policy.min_score))?;
            map.serialize_entry("validation_subject_hash", &As(&policy.subject_hash))?;
            map.serialize_entry("required_validation_tag", &policy.tag)?;
            map.serialize_entry("job_hash", &As(&policy.job_hash))?;
        }
        map.end()
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fn there<T, E: serde::de::Error>(value: Option<T>, name: &str) -> Result<T, E> {
            value.ok_or_else(|| E::custom(format_args!("{name}: expected in version 2")))
        }
        let flat = Flat::read(deserializer)?;
        let validation = match flat.version {
            // Members of the other version are members nobody knows.
            GuaranteeVersion::V1 => None,
            GuaranteeVersion::V2 => Some(ValidationPolicy {
                registry: there(flat.registry, "validation_registry_address")?,
                request_hash: there(flat.request_hash, "validation_request_hash")?,
                chain_id: there(flat.chain_id, "validation_chain_id")?,
                validator: there(flat.validator, "validator_address")?,
                agent_id: there(flat.agent_id, "validator_agent_id")?,
                min_score: there(flat.min_score, "min_validation_score")?.0,
                subject_hash: there(flat.subject_hash, "validation_subject_hash")?,
                tag: flat.tag.map(|Tag(tag)| tag).unwrap_or_default(),
                job_hash: there(flat.job_hash, "job_hash")?,
            }),
        };
        Ok(Self {
            payer: flat.payer,
            recipient: flat.recipient,
            tab_id: flat.tab_id,
            req_id: flat.req_id,
            amount: flat.amount,
            asset: flat.asset,
            timestamp: flat.timestamp,
            validation,
        })
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.write(serializer)
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(deserializer)
    }
}

/// How claims are turned into what is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "every edge has to decide about each"
)]
pub enum SigningScheme {
    /// Typed data, bound to a chain by its domain.
    #[default]
    Eip712,
    /// `personal_sign` over the encoded claims: bound to nothing but the tab.
    Eip191,
}

impl SigningScheme {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eip712 => "eip712",
            Self::Eip191 => "eip191",
        }
    }
}

impl Field for SigningScheme {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "expected \"eip712\" or \"eip191\"";
        match &*text(deserializer, EXPECTED)? {
            "eip712" => Ok(Self::Eip712),
            "eip191" => Ok(Self::Eip191),
            _ => Err(D::Error::custom(EXPECTED)),
        }
    }
}

message! {
    /// Claims with their payer's signature: the body of `POST /core/guarantees`, and what a payer shows over x402.
    #[derive(Clone, PartialEq, Eq)]
    pub struct GuaranteeRequest ("a guarantee request") {
        /// What is signed.
        pub claims: Claims = "claims",
        /// By whom: see [`GuaranteeRequest::signed_as`](GuaranteeRequest::signed_as).
        pub signature: Signature65 = "signature",
        /// How.
        pub scheme: SigningScheme = "scheme",
    }
}

impl fmt::Debug for GuaranteeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuaranteeRequest")
            .field("claims", &self.claims)
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// 65 bytes whose last one may also be 0 or 1, as some wallets write it.
///
/// # Errors
/// [`SignatureError`], also for an `s` in the upper half: one signature has one form here.
pub fn parse_signature(bytes: &[u8]) -> Result<Signature65, SignatureError> {
    let mut bytes: [u8; 65] = bytes.try_into().map_err(|_| SignatureError::Length)?;
    let [_, .., v] = &mut bytes;
    if *v < 2 {
        *v = v.wrapping_add(27);
    }
    Signature65::parse(&bytes)
}

impl Field for Signature65 {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = crate::hex_text::to_digits(&self.to_bytes());
        serializer.collect_str(&format_args!("0x{digits}"))
    }

    /// The words of the errors are those of the network where it has any (specs/4mica.md §1.7).
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text(deserializer, "invalid hex signature")?;
        let bytes = match parse_bytes(&text) {
            Ok(bytes) => bytes,
            Err(HexError::Length) => return Err(D::Error::custom("invalid signature length")),
            Err(_) => return Err(D::Error::custom("invalid hex signature")),
        };
        parse_signature(&bytes).map_err(|error| match error {
            SignatureError::Length => D::Error::custom("invalid signature length"),
            other => D::Error::custom(format_args!("Invalid signature: {other}")),
        })
    }
}
