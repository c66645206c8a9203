//! Signed bytes and calls, read as the chain reads them.

use std::collections::BTreeMap;

use alloy_consensus::{Transaction as _, TxEnvelope};
use alloy_eips::eip2718::Decodable2718 as _;
use alloy_primitives::{Address, B256, address, keccak256};
use alloy_sol_types::{SolCall as _, sol};
use faregate_types::{Authorization, Signature65};

use super::{Call, Order, Tx};

/// Where the contract stands that settles many payments in one transaction.
pub const BATCH_SETTLER: Address = address!("0x00000000000000000000000000000000BA7C45E7");

sol! {
    /// That contract: `contracts/src/BatchSettler.sol`.
    #[derive(Debug)]
    interface Settler {
        struct Item {
            address token; address from; address to; uint256 value; uint256 validAfter; uint256 validBefore;
            bytes32 nonce; bytes signature;
        }
        event ItemFailed(uint256 indexed index, address indexed from, bytes32 indexed nonce, bytes reason);
        function settle(Item[] calldata items, uint256 gasPerItem) external returns (bool[] memory settled);
    }

    /// The token, as far as it is modelled.
    #[derive(Debug)]
    interface Token {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
        function transferWithAuthorization(
            address from, address to, uint256 value, uint256 validAfter, uint256 validBefore,
            bytes32 nonce, uint8 v, bytes32 r, bytes32 s
        ) external;
        function authorizationState(address authorizer, bytes32 nonce) external view returns (bool used);
        function balanceOf(address account) external view returns (uint256 balance);
        function name() external view returns (string memory name);
        function version() external view returns (string memory version);
        function DOMAIN_SEPARATOR() external view returns (bytes32 separator);
    }
}

/// Reads transactions and calls for one token; remembers signatures, which are asked about again and again.
#[derive(Debug)]
pub struct Reader {
    token: Address,
    separator: B256,
    signers: BTreeMap<B256, Option<Address>>,
}

impl Reader {
    /// A reader of calls of `token`, whose EIP-712 domain has this hash.
    #[must_use]
    pub const fn new(token: Address, separator: B256) -> Self {
        Self {
            token,
            separator,
            signers: BTreeMap::new(),
        }
    }

    /// The hash of the token's domain.
    #[must_use]
    pub const fn separator(&self) -> B256 {
        self.separator
    }

    /// The token.
    #[must_use]
    pub const fn token(&self) -> Address {
        self.token
    }

    /// Who signed a digest.
    pub fn signer(&mut self, digest: B256, signature: &[u8]) -> Option<Address> {
        let key = keccak256([digest.as_slice(), signature].concat());
        *self
            .signers
            .entry(key)
            .or_insert_with(|| faregate_evm::recover(digest, &Signature65::parse(signature).ok()?))
    }

    /// What a call of a contract does.
    pub fn call(&mut self, to: Address, input: &[u8]) -> Call {
        if to == BATCH_SETTLER {
            return self.batch(input);
        }
        let Ok(call) = Token::transferWithAuthorizationCall::abi_decode(input) else {
            return Call::Nothing;
        };
        if to != self.token {
            return Call::Nothing;
        }
        let authorization = Authorization {
            from: call.from,
            to: call.to,
            value: call.value,
            valid_after: call.validAfter,
            valid_before: call.validBefore,
            nonce: call.nonce,
        };
        let signature = [call.r.as_slice(), call.s.as_slice(), &[call.v]].concat();
        Call::Transfer(self.order(authorization, &signature))
    }

    fn batch(&mut self, input: &[u8]) -> Call {
        let Ok(call) = Settler::settleCall::abi_decode(input) else {
            return Call::Nothing;
        };
        let orders = call.items.iter().map(|item| {
            let authorization = Authorization {
                from: item.from,
                to: item.to,
                value: item.value,
                valid_after: item.validAfter,
                valid_before: item.validBefore,
                nonce: item.nonce,
            };
            let mut order = self.order(authorization, &item.signature);
            order.signed &= item.token == self.token;
            order
        });
        Call::Batch(orders.collect())
    }

    fn order(&mut self, authorization: Authorization, signature: &[u8]) -> Order {
        let digest = authorization.digest(self.separator);
        let signed = self.signer(digest, signature) == Some(authorization.from);
        Order {
            authorization,
            signed,
        }
    }

    /// Reads signed bytes; `None` when they are no transaction.
    pub fn transaction(&mut self, raw: &[u8]) -> Option<Tx> {
        let envelope = TxEnvelope::decode_2718_exact(raw).ok()?;
        let signature = envelope.signature();
        let mut bytes = [27; 65];
        bytes[..32].copy_from_slice(&signature.r().to_be_bytes::<32>());
        bytes[32..64].copy_from_slice(&signature.s().to_be_bytes::<32>());
        bytes[64] += u8::from(signature.v());
        let from = self.signer(envelope.signature_hash(), &bytes)?;
        let to = envelope.to()?;
        Some(Tx {
            hash: keccak256(raw),
            from,
            nonce: Some(envelope.nonce()),
            fee_max: envelope.max_fee_per_gas(),
            to,
            input: envelope.input().clone(),
            call: self.call(to, envelope.input()),
        })
    }
}
