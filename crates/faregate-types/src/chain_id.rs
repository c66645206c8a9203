//! Networks by CAIP-2 text, and EVM chains by number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::network::{network, networks};

/// An EVM chain. On the wire it is the CAIP-2 text `eip155:<number>`.
///
/// ```
/// use faregate_types::ChainId;
///
/// let chain: ChainId = "eip155:84532".parse().unwrap();
/// assert_eq!(chain.get(), 84532);
/// assert_eq!(chain.v1_name(), Some("base-sepolia"));
/// assert_eq!(chain.to_string(), "eip155:84532");
/// assert!("eip155:084532".parse::<ChainId>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId(u64);

/// Why a text is not the CAIP-2 name of an EVM chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainIdError {
    /// The namespace is not `eip155`.
    #[error("expected a network of the form \"eip155:<chain number>\"")]
    NotEvm,
    /// The reference is not a canonical decimal number between 1 and 2^64 - 1.
    #[error("expected a chain number without sign, leading zero or other characters")]
    Number,
}

impl ChainId {
    /// Base mainnet, 8453.
    pub const BASE: Self = Self(8453);
    /// Base Sepolia, 84532: the test network the x402 SDKs use by default.
    pub const BASE_SEPOLIA: Self = Self(84532);
    /// The usual chain id of local development nodes, 31337.
    pub const LOCAL: Self = Self(31337);

    /// A chain by its number; 0 is no chain.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number == 0 {
            None
        } else {
            Some(Self(number))
        }
    }

    /// A chain by a number known at compile time.
    ///
    /// Number 0 stands for no chain; use [`ChainId::new`] for numbers that come from outside.
    #[must_use]
    pub const fn evm(number: u64) -> Self {
        debug_assert!(number != 0);
        Self(number)
    }

    /// The chain number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The short name protocol v1 uses for this chain, if it has one (specs/x402.md §4).
    #[must_use]
    pub fn v1_name(self) -> Option<&'static str> {
        network(self).and_then(|network| network.v1_name)
    }

    /// The chain behind a protocol v1 short name. Names that are not listed are refused.
    #[must_use]
    pub fn from_v1_name(name: &str) -> Option<Self> {
        networks()
            .iter()
            .find(|network| network.v1_name == Some(name))
            .map(|network| network.chain)
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "eip155:{}", self.0)
    }
}

impl FromStr for ChainId {
    type Err = ChainIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_prefix("eip155:").ok_or(ChainIdError::NotEvm)?;
        let canonical = !number.is_empty()
            && !number.starts_with('0')
            && number.bytes().all(|b| b.is_ascii_digit());
        if !canonical {
            return Err(ChainIdError::Number);
        }
        number
            .parse()
            .ok()
            .and_then(Self::new)
            .ok_or(ChainIdError::Number)
    }
}

impl Serialize for ChainId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChainId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::x402::wire::from_text(deserializer)
    }
}

/// Any CAIP-2 network name, for example `solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp`: shape and lengths are checked,
/// meaning is not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caip2(Box<str>);

/// The text does not have the shape `namespace:reference` of CAIP-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a CAIP-2 network: 3 to 8 of a-z, 0-9 and \"-\", a colon, 1 to 32 of a-z, A-Z, 0-9, \"-\" and \"_\""
)]
#[non_exhaustive]
pub struct Caip2Error;

impl Caip2 {
    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the colon, for example `eip155`.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.0
            .split_once(':')
            .map_or("", |(namespace, _)| namespace)
    }
}

impl FromStr for Caip2 {
    type Err = Caip2Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, reference) = text.split_once(':').ok_or(Caip2Error)?;
        let namespace_fits = (3..=8).contains(&namespace.len())
            && namespace
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let reference_fits = (1..=32).contains(&reference.len())
            && reference
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if namespace_fits && reference_fits {
            Ok(Self(text.into()))
        } else {
            Err(Caip2Error)
        }
    }
}

impl fmt::Display for Caip2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ChainId> for Caip2 {
    fn from(chain: ChainId) -> Self {
        Self(chain.to_string().into())
    }
}

impl TryFrom<&Caip2> for ChainId {
    type Error = ChainIdError;

    fn try_from(network: &Caip2) -> Result<Self, Self::Error> {
        network.as_str().parse()
    }
}

impl Serialize for Caip2 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Caip2 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::x402::wire::from_text(deserializer)
    }
}
