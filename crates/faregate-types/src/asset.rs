//! What money is made of: token contracts on chains.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use alloy_primitives::Address;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::chain_id::ChainId;
use crate::hex_text;

/// The name of an asset. Two amounts are comparable only when their `AssetId` is equal.
///
/// The text form is CAIP-19:
///
/// ```
/// use faregate_types::AssetId;
///
/// let usdc: AssetId = "eip155:84532/erc20:0x036cbd53842c5426634e7929541ec2318f3dcf7e".parse().unwrap();
/// assert_eq!(usdc.to_string(), "eip155:84532/erc20:0x036CbD53842c5426634e7929541eC2318f3dCF7e");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AssetId {
    /// An ERC-20 token contract.
    Erc20 {
        /// The chain the contract is on.
        chain: ChainId,
        /// The contract's address.
        token: Address,
    },
}

/// The text is not the CAIP-19 name of an asset we know how to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an asset of the form \"eip155:<chain number>/erc20:0x<40 hexadecimal digits>\"")]
#[non_exhaustive]
pub struct AssetIdError;

impl AssetId {
    /// An ERC-20 token.
    #[must_use]
    pub const fn erc20(chain: ChainId, token: Address) -> Self {
        Self::Erc20 { chain, token }
    }

    /// The chain the asset lives on.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        match self {
            Self::Erc20 { chain, .. } => *chain,
        }
    }

    /// The token contract.
    #[must_use]
    pub const fn token(&self) -> Address {
        match self {
            Self::Erc20 { token, .. } => *token,
        }
    }
}

impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Erc20 { chain, token } => write!(f, "{chain}/erc20:{token}"),
        }
    }
}

impl FromStr for AssetId {
    type Err = AssetIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (chain, token) = text.split_once("/erc20:").ok_or(AssetIdError)?;
        let chain = chain.parse().map_err(|_| AssetIdError)?;
        let token = hex_text::parse_address(token).map_err(|_| AssetIdError)?;
        Ok(Self::Erc20 { chain, token })
    }
}

impl Serialize for AssetId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AssetId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::x402::wire::from_text(deserializer)
    }
}

/// An asset with everything needed to price in it and to pay with it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that configuration code builds by literal"
)]
pub struct Asset {
    /// Which asset.
    pub id: AssetId,
    /// Short name for people, for example `USDC`. Never used to find a contract on its own.
    pub symbol: Cow<'static, str>,
    /// Decimal places: 6 means that 1.00 is 1 000 000 atomic units.
    pub decimals: u8,
    /// The contract's EIP-712 name and version.
    pub domain: TokenDomain,
    /// How payers hand over this asset in scheme `exact`.
    pub transfer: TransferMethod,
}

/// The two parts of a token's EIP-712 domain that cannot be derived from its address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that configuration code builds by literal"
)]
pub struct TokenDomain {
    /// EIP-712 `name`. Base mainnet's USDC says `USD Coin`, Base Sepolia's says `USDC`.
    pub name: Cow<'static, str>,
    /// EIP-712 `version`, for example `2`.
    pub version: Cow<'static, str>,
}

impl TokenDomain {
    /// A domain from its two texts.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>, version: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
        }
    }

    /// The `extra` object of x402 payment requirements that carries this domain.
    #[must_use]
    pub fn to_extra(&self) -> Map<String, Value> {
        let mut extra = Map::new();
        extra.insert("name".into(), Value::from(self.name.as_ref()));
        extra.insert("version".into(), Value::from(self.version.as_ref()));
        extra
    }

    /// Reads the domain back from an `extra` object; `None` when a part is absent, empty or not a text.
    #[must_use]
    pub fn from_extra(extra: &Map<String, Value>) -> Option<Self> {
        let part = |key| {
            extra
                .get(key)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
        };
        Some(Self::new(
            part("name")?.to_owned(),
            part("version")?.to_owned(),
        ))
    }
}

/// How an ERC-20 token moves on the payer's signature alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TransferMethod {
    /// `transferWithAuthorization` of EIP-3009 (USDC and its relatives).
    Eip3009,
    /// Uniswap's Permit2 contract.
    Permit2,
}
