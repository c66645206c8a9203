//! Names of payments, of what they were used for, and of rails.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::{Address, B256, Keccak256, U256};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::chain_id::ChainId;
use crate::hex_text;

/// The natural key of one payment: whatever the rail, the same payment has the same id and no other payment has it.
///
/// ```
/// use faregate_types::{Address, B256, ChainId, PaymentId};
///
/// let id = PaymentId::eip3009(ChainId::BASE, Address::ZERO, Address::ZERO, B256::ZERO);
/// assert_eq!(id.to_string().parse::<PaymentId>().unwrap(), id);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentId([u8; 32]);

/// What a credential was used for: a hash over the parts of a request that must not change between retries.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

/// The text is not `0x` and 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected \"0x\" and 64 hexadecimal digits")]
#[non_exhaustive]
pub struct IdError;

impl PaymentId {
    /// The id of an EIP-3009 authorization: a contract accepts a nonce of a payer once, so these four are the key.
    #[must_use]
    pub fn eip3009(chain: ChainId, token: Address, from: Address, nonce: B256) -> Self {
        // Tag and fields have fixed widths, so no two different keys have the same encoding.
        let mut hasher = Keccak256::new();
        hasher.update(b"faregate/payment-id/eip3009/1");
        hasher.update(chain.get().to_be_bytes());
        hasher.update(token);
        hasher.update(from);
        hasher.update(nonce);
        Self(hasher.finalize().0)
    }

    /// The id of an EIP-2612 permit: a contract takes a nonce of an owner once.
    #[must_use]
    pub fn eip2612(chain: ChainId, token: Address, owner: Address, nonce: U256) -> Self {
        let mut hasher = Keccak256::new();
        hasher.update(b"faregate/payment-id/eip2612/1");
        hasher.update(chain.get().to_be_bytes());
        hasher.update(token);
        hasher.update(owner);
        hasher.update(nonce.to_be_bytes::<32>());
        Self(hasher.finalize().0)
    }

    /// The id of a Permit2 order: its contract accepts a nonce of an owner once, whatever the token.
    #[must_use]
    pub fn permit2(chain: ChainId, owner: Address, nonce: U256) -> Self {
        let mut hasher = Keccak256::new();
        hasher.update(b"faregate/payment-id/permit2/1");
        hasher.update(chain.get().to_be_bytes());
        hasher.update(owner);
        hasher.update(nonce.to_be_bytes::<32>());
        Self(hasher.finalize().0)
    }

    /// The id of a guarantee on credit: a tab gives out each number once. Tabs are counted by their core, and payer and
    /// recipient are in it so that tabs of two cores on one chain are not taken for each other.
    #[must_use]
    pub fn credit(
        chain: ChainId,
        payer: Address,
        recipient: Address,
        tab: U256,
        req: U256,
    ) -> Self {
        let mut hasher = Keccak256::new();
        hasher.update(b"faregate/payment-id/credit/1");
        hasher.update(chain.get().to_be_bytes());
        hasher.update(payer);
        hasher.update(recipient);
        hasher.update(tab.to_be_bytes::<32>());
        hasher.update(req.to_be_bytes::<32>());
        Self(hasher.finalize().0)
    }
}

impl PaymentId {
    /// The id of the `n`th use of a payment that may be used several times, counted from zero. The first has the id of
    /// the payment itself, so that one that may be used once is found by it.
    #[must_use]
    pub fn nth(self, n: u32) -> Self {
        if n == 0 {
            return self;
        }
        let mut hasher = Keccak256::new();
        hasher.update(b"faregate/payment-id/use/1");
        hasher.update(self.0);
        hasher.update(n.to_be_bytes());
        Self(hasher.finalize().0)
    }
}

impl Fingerprint {
    /// Hashes the parts with their lengths, so that moving a byte from one part to the next gives another fingerprint.
    ///
    /// ```
    /// use faregate_types::Fingerprint;
    ///
    /// assert_ne!(Fingerprint::of(&[b"ab", b"c"]), Fingerprint::of(&[b"a", b"bc"]));
    /// ```
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = Keccak256::new();
        hasher.update(b"faregate/fingerprint/1");
        for part in parts {
            // A part is in memory, so its length fits 64 bits on every platform.
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            hasher.update(length.to_be_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().0)
    }
}

macro_rules! id_basics {
    ($name:ident) => {
        impl $name {
            /// The 32 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The id with these bytes, for reading it back from a store.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", B256::from(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                hex_text::parse_array(text).map(Self).map_err(|_| IdError)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::x402::wire::from_text(deserializer)
            }
        }
    };
}

id_basics!(PaymentId);
id_basics!(Fingerprint);

/// The name of a rail, as it stands in configuration, stores, logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RailName(&'static str);

impl RailName {
    /// x402, scheme `exact`.
    pub const X402: Self = Self("x402");
    /// EIP-2612 permit and access token.
    pub const PERMIT: Self = Self("permit");
    /// Credit: collateral, tabs and guarantees.
    pub const CREDIT: Self = Self("credit");
    /// Lightning invoice and macaroon.
    pub const L402: Self = Self("l402");
    /// Lightning received for others, and paid out to them.
    pub const MANAGED: Self = Self("managed");
    /// Every rail there is.
    pub const ALL: [Self; 5] = [
        Self::X402,
        Self::PERMIT,
        Self::CREDIT,
        Self::L402,
        Self::MANAGED,
    ];

    /// The text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The rail with this name, if there is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rail| rail.0 == text)
    }
}

impl fmt::Display for RailName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
