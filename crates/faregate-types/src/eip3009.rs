//! EIP-3009 `TransferWithAuthorization`: what the payer signs in scheme `exact`.

use alloy_primitives::{Address, B256, Keccak256, U256, b256};

use crate::eip712;

/// The hash of `TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256
/// validBefore,bytes32 nonce)`.
pub const TYPE_HASH: B256 =
    b256!("0x7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267");

/// A payer's order to a token contract: move `value` from `from` to `to`, once, inside a time window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_structs,
    reason = "its fields are fixed by EIP-3009"
)]
pub struct Authorization {
    /// The payer.
    pub from: Address,
    /// The payee.
    pub to: Address,
    /// Atomic units of the token.
    pub value: U256,
    /// Valid strictly after this time, seconds since the epoch.
    pub valid_after: U256,
    /// Valid strictly before this time, seconds since the epoch.
    pub valid_before: U256,
    /// Chosen by the payer; the contract accepts it once.
    pub nonce: B256,
}

impl Authorization {
    /// See [`TYPE_HASH`].
    pub const TYPE_HASH: B256 = TYPE_HASH;

    /// The EIP-712 hash of this message.
    #[must_use]
    pub fn struct_hash(&self) -> B256 {
        let mut hasher = Keccak256::new();
        hasher.update(TYPE_HASH);
        hasher.update(self.from.into_word());
        hasher.update(self.to.into_word());
        hasher.update(self.value.to_be_bytes::<32>());
        hasher.update(self.valid_after.to_be_bytes::<32>());
        hasher.update(self.valid_before.to_be_bytes::<32>());
        hasher.update(self.nonce);
        hasher.finalize()
    }

    /// The digest to sign for the token with this domain separator
    /// (see [`domain_separator`](crate::eip712::domain_separator)).
    #[must_use]
    pub fn digest(&self, domain_separator: B256) -> B256 {
        eip712::digest(domain_separator, self.struct_hash())
    }
}
