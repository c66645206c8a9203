//! EIP-2612 `Permit`: a holder's signed allowance for somebody else.

use alloy_primitives::{Address, B256, Keccak256, U256, b256};

use crate::eip712;

/// The hash of `Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)`.
pub const TYPE_HASH: B256 =
    b256!("0x6e71edae12b1b97f4d1f60370fef10105fa2faae0126114a169c64845d6126c9");

/// A holder's order to a token contract: let `spender` take up to `value`. Nothing moves before the spender does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_structs,
    reason = "its fields are fixed by EIP-2612"
)]
pub struct Permit {
    /// Who pays.
    pub owner: Address,
    /// Who may take.
    pub spender: Address,
    /// Atomic units of the token; replaces the allowance there was.
    pub value: U256,
    /// The contract counts the permits of each owner and takes only the next one.
    pub nonce: U256,
    /// The last second in which the contract takes it, since the epoch.
    pub deadline: U256,
}

impl Permit {
    /// The EIP-712 hash of this message.
    #[must_use]
    pub fn struct_hash(&self) -> B256 {
        let mut hasher = Keccak256::new();
        hasher.update(TYPE_HASH);
        hasher.update(self.owner.into_word());
        hasher.update(self.spender.into_word());
        hasher.update(self.value.to_be_bytes::<32>());
        hasher.update(self.nonce.to_be_bytes::<32>());
        hasher.update(self.deadline.to_be_bytes::<32>());
        hasher.finalize()
    }

    /// The digest to sign for the token with this domain separator
    /// (see [`domain_separator`](crate::eip712::domain_separator)).
    #[must_use]
    pub fn digest(&self, domain_separator: B256) -> B256 {
        eip712::digest(domain_separator, self.struct_hash())
    }
}
