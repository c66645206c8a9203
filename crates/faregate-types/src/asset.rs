//! What money is made of: token contracts on chains, and Lightning's millisatoshis.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use alloy_primitives::Address;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::chain_id::ChainId;
use crate::hex_text;
use crate::lightning::BitcoinNetwork;

/// What stands after the network in the name of Lightning's money.
const MSAT: &str = "/msat:btc";

/// The name of an asset. Two amounts are comparable only when their `AssetId` is equal.
///
/// The text form is CAIP-19. Lightning has no name of its own there, because its unit is not a coin: `msat:btc` means
/// thousandths of a satoshi, of the Bitcoin network before it.
///
/// ```
/// use faregate_types::AssetId;
///
/// let usdc: AssetId = "eip155:84532/erc20:0x036cbd53842c5426634e7929541ec2318f3dcf7e".parse().unwrap();
/// assert_eq!(usdc.to_string(), "eip155:84532/erc20:0x036CbD53842c5426634e7929541eC2318f3dCF7e");
/// let msat: AssetId = "bip122:000000000019d6689c085ae165831e93/msat:btc".parse().unwrap();
/// assert_eq!(msat.as_erc20(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AssetId {
    /// An ERC-20 token.
    Erc20(Erc20),
    /// Millisatoshis, as Lightning moves them on this network. One bitcoin is 10^11 of them.
    Msat(BitcoinNetwork),
}

/// A token contract on an EVM chain: the assets that x402 pays in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Erc20 {
    chain: ChainId,
    token: Address,
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
        Self::Erc20(Erc20::new(chain, token))
    }

    /// The token contract, if it is one.
    #[must_use]
    pub const fn as_erc20(&self) -> Option<Erc20> {
        match self {
            Self::Erc20(token) => Some(*token),
            Self::Msat(_) => None,
        }
    }
}

impl Erc20 {
    /// The contract at this address of this chain.
    #[must_use]
    pub const fn new(chain: ChainId, token: Address) -> Self {
        Self { chain, token }
    }

    /// The chain the contract is on.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The contract's address.
    #[must_use]
    pub const fn token(&self) -> Address {
        self.token
    }
}

impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Erc20(token) => fmt::Display::fmt(token, f),
            Self::Msat(network) => write!(f, "{network}{MSAT}"),
        }
    }
}

impl FromStr for AssetId {
    type Err = AssetIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_suffix(MSAT) {
            Some(network) => network.parse().map(Self::Msat).map_err(|_| AssetIdError),
            None => text.parse().map(Self::Erc20),
        }
    }
}

impl PartialEq<Erc20> for AssetId {
    fn eq(&self, other: &Erc20) -> bool {
        self.as_erc20() == Some(*other)
    }
}

impl From<Erc20> for AssetId {
    fn from(token: Erc20) -> Self {
        Self::Erc20(token)
    }
}

impl From<BitcoinNetwork> for AssetId {
    fn from(network: BitcoinNetwork) -> Self {
        Self::Msat(network)
    }
}

impl fmt::Display for Erc20 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/erc20:{}", self.chain, self.token)
    }
}

impl FromStr for Erc20 {
    type Err = AssetIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (chain, token) = text.split_once("/erc20:").ok_or(AssetIdError)?;
        let chain = chain.parse().map_err(|_| AssetIdError)?;
        let token = hex_text::parse_address(token).map_err(|_| AssetIdError)?;
        Ok(Self { chain, token })
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

/// A token with everything needed to price in it and to pay with it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that configuration code builds by literal"
)]
pub struct Asset {
    /// Which asset.
    pub id: Erc20,
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
