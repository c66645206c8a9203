//! EIP-712 hashing for token domains: our own few lines, because the type hashes never change.

use alloy_primitives::{Address, B256, Keccak256, U256, b256, keccak256};

use crate::asset::TokenDomain;
use crate::chain_id::ChainId;

/// The hash of `EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)`.
pub const DOMAIN_TYPE_HASH: B256 =
    b256!("0x8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f");

/// The domain separator of a token contract.
///
/// It depends on configuration only; compute it once per asset and keep it.
#[must_use]
pub fn domain_separator(domain: &TokenDomain, chain: ChainId, contract: Address) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(DOMAIN_TYPE_HASH);
    hasher.update(keccak256(domain.name.as_bytes()));
    hasher.update(keccak256(domain.version.as_bytes()));
    hasher.update(U256::from(chain.get()).to_be_bytes::<32>());
    hasher.update(contract.into_word());
    hasher.finalize()
}

/// The digest that is signed: the domain and the hash of the message, tied together as EIP-712 says.
#[must_use]
pub fn digest(domain_separator: B256, struct_hash: B256) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update([0x19, 0x01]);
    hasher.update(domain_separator);
    hasher.update(struct_hash);
    hasher.finalize()
}
