//! The networks of Bitcoin, by CAIP-2 name and by the prefix of their invoices.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A Bitcoin network. In text it is CAIP-2: `bip122:` and the first 32 digits of its genesis block's hash.
///
/// ```
/// use faregate_types::lightning::BitcoinNetwork;
///
/// let mainnet: BitcoinNetwork = "bip122:000000000019d6689c085ae165831e93".parse().unwrap();
/// assert_eq!((mainnet, mainnet.is_testnet()), (BitcoinNetwork::Mainnet, false));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "these are the networks that invoices can name"
)]
pub enum BitcoinNetwork {
    /// Real money. Invoices start with `lnbc`.
    Mainnet,
    /// The public test network. Invoices start with `lntb`.
    Testnet,
    /// The public test network with signed blocks. Invoices start with `lntbs`.
    Signet,
    /// A network of one's own. Invoices start with `lnbcrt`.
    Regtest,
}

/// The text is not the CAIP-2 name of a Bitcoin network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected \"bip122:\" and the start of the genesis hash of a Bitcoin network")]
#[non_exhaustive]
pub struct BitcoinNetworkError;

impl BitcoinNetwork {
    /// Every network there is.
    pub const ALL: [Self; 4] = [Self::Mainnet, Self::Testnet, Self::Signet, Self::Regtest];

    /// The CAIP-2 name.
    #[must_use]
    pub const fn caip2(self) -> &'static str {
        match self {
            Self::Mainnet => "bip122:000000000019d6689c085ae165831e93",
            Self::Testnet => "bip122:000000000933ea01ad0ee984209779ba",
            Self::Signet => "bip122:00000008819873e925422c1ff0f99f7c",
            Self::Regtest => "bip122:0f9188f13cb7b2c71f2a335e3a4fc328",
        }
    }

    /// The lower-case word of configuration files and command lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mainnet => "mainnet",
            Self::Testnet => "testnet",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        }
    }

    /// The network behind the word of [`as_str`](Self::as_str).
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|network| network.as_str() == word)
    }

    /// What the invoices of this network start with (BOLT 11).
    #[must_use]
    pub const fn invoice_prefix(self) -> &'static str {
        match self {
            Self::Mainnet => "lnbc",
            Self::Testnet => "lntb",
            Self::Signet => "lntbs",
            Self::Regtest => "lnbcrt",
        }
    }

    /// Whether its money is play money.
    #[must_use]
    pub const fn is_testnet(self) -> bool {
        !matches!(self, Self::Mainnet)
    }
}

impl fmt::Display for BitcoinNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.caip2())
    }
}

impl FromStr for BitcoinNetwork {
    type Err = BitcoinNetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|network| network.caip2() == text)
            .ok_or(BitcoinNetworkError)
    }
}

impl Serialize for BitcoinNetwork {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.caip2())
    }
}

impl<'de> Deserialize<'de> for BitcoinNetwork {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::x402::wire::from_text(deserializer)
    }
}
