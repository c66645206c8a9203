//! Permit2 `PermitTransferFrom`: an order to Uniswap's contract that has the holder's allowance.

use alloy_primitives::{Address, B256, Keccak256, U256, address, b256};

use crate::chain_id::ChainId;
use crate::eip712;

/// Where the contract is, on every chain that has it. Another address is another contract, whatever it promises.
pub const CONTRACT: Address = address!("0x000000000022D473030F116dDEE9F6B43aC78BA3");

/// The hash of `EIP712Domain(string name,uint256 chainId,address verifyingContract)`: the contract's domain has no version.
pub const DOMAIN_TYPE_HASH: B256 =
    b256!("0x8cad95687ba82c2ce50e74f7b754645e5117c3a5bec8151c0726d5857980a866");

/// The hash of the name `Permit2`.
const NAME_HASH: B256 = b256!("0x9ac997416e8ff9d2ff6bebeb7149f65cdae5e32e2b90440b566bb3044041d36a");

/// The hash of `TokenPermissions(address token,uint256 amount)`.
pub const PERMISSIONS_TYPE_HASH: B256 =
    b256!("0x618358ac3db8dc274f0cd8829da7e234bd48cd73c4a740aede1adec9846d06a1");

/// The hash of `PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256
/// deadline)TokenPermissions(address token,uint256 amount)`.
pub const TYPE_HASH: B256 =
    b256!("0x939c21a48a8dbe3a9a2404a1d46691e4d39f6583d6ec6b35714604c986d80106");

/// A holder's order to the contract: let `spender` move up to `amount` of `token`, once. Its owner is who signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_structs,
    reason = "its fields are fixed by the contract"
)]
pub struct PermitTransferFrom {
    /// The token.
    pub token: Address,
    /// At most so many of its atomic units.
    pub amount: U256,
    /// Who may move them.
    pub spender: Address,
    /// Chosen by the payer; the contract accepts each of an owner once, whatever the token.
    pub nonce: U256,
    /// The last second in which the contract takes it, since the epoch.
    pub deadline: U256,
}

/// The domain separator of the contract at this address of this chain.
#[must_use]
pub fn domain_separator(chain: ChainId, contract: Address) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(DOMAIN_TYPE_HASH);
    hasher.update(NAME_HASH);
    hasher.update(U256::from(chain.get()).to_be_bytes::<32>());
    hasher.update(contract.into_word());
    hasher.finalize()
}

impl PermitTransferFrom {
    /// The EIP-712 hash of this message.
    #[must_use]
    pub fn struct_hash(&self) -> B256 {
        let mut permissions = Keccak256::new();
        permissions.update(PERMISSIONS_TYPE_HASH);
        permissions.update(self.token.into_word());
        permissions.update(self.amount.to_be_bytes::<32>());
        let mut hasher = Keccak256::new();
        hasher.update(TYPE_HASH);
        hasher.update(permissions.finalize());
        hasher.update(self.spender.into_word());
        hasher.update(self.nonce.to_be_bytes::<32>());
        hasher.update(self.deadline.to_be_bytes::<32>());
        hasher.finalize()
    }

    /// The digest to sign, see [`domain_separator`].
    #[must_use]
    pub fn digest(&self, domain_separator: B256) -> B256 {
        eip712::digest(domain_separator, self.struct_hash())
    }
}
