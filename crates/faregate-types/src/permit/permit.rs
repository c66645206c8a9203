//! A signed permit of any of the three kinds, whoever encoded it and however.

use std::fmt;

use alloy_primitives::{Address, B256, U256};

use super::kind::PermitKind;
use crate::asset::Erc20;
use crate::chain_id::ChainId;
use crate::id::PaymentId;
use crate::signature::Signature65;
use crate::{eip2612, eip3009, permit2};

/// What a payer signed, and the signature. Whether it is the payer's is for [`check`](super::verify::check()) to say.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that the client builds by literal"
)]
pub struct Permit {
    /// The chain it is for.
    pub chain: ChainId,
    /// What is signed.
    pub terms: Terms,
    /// By whom, see [`Permit::digest`].
    pub signature: Signature65,
}

/// The message that is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "every edge has to decide about each"
)]
pub enum Terms {
    /// An allowance for the payee.
    Eip2612 {
        /// The token.
        token: Address,
        /// The message.
        permit: eip2612::Permit,
    },
    /// A transfer to the payee.
    Erc3009 {
        /// The token.
        token: Address,
        /// The message.
        authorization: eip3009::Authorization,
    },
    /// A transfer through Permit2.
    Permit2 {
        /// Who signs: not a part of the message.
        owner: Address,
        /// The contract that the payer believes to be Permit2.
        contract: Address,
        /// The message.
        transfer: permit2::PermitTransferFrom,
    },
}

impl Terms {
    /// Which of the three.
    #[must_use]
    pub const fn kind(&self) -> PermitKind {
        match self {
            Self::Eip2612 { .. } => PermitKind::Eip2612,
            Self::Erc3009 { .. } => PermitKind::Erc3009,
            Self::Permit2 { .. } => PermitKind::Permit2,
        }
    }

    /// The token that pays.
    #[must_use]
    pub const fn token(&self) -> Address {
        match self {
            Self::Eip2612 { token, .. } | Self::Erc3009 { token, .. } => *token,
            Self::Permit2 { transfer, .. } => transfer.token,
        }
    }

    /// Who pays.
    #[must_use]
    pub const fn payer(&self) -> Address {
        match self {
            Self::Eip2612 { permit, .. } => permit.owner,
            Self::Erc3009 { authorization, .. } => authorization.from,
            Self::Permit2 { owner, .. } => *owner,
        }
    }

    /// Who may take the money, or gets it.
    #[must_use]
    pub const fn payee(&self) -> Address {
        match self {
            Self::Eip2612 { permit, .. } => permit.spender,
            Self::Erc3009 { authorization, .. } => authorization.to,
            Self::Permit2 { transfer, .. } => transfer.spender,
        }
    }

    /// Atomic units that may move.
    #[must_use]
    pub const fn value(&self) -> U256 {
        match self {
            Self::Eip2612 { permit, .. } => permit.value,
            Self::Erc3009 { authorization, .. } => authorization.value,
            Self::Permit2 { transfer, .. } => transfer.amount,
        }
    }

    /// The last second in which it can be collected, or the first in which it cannot (EIP-3009).
    #[must_use]
    pub const fn good_until(&self) -> U256 {
        match self {
            Self::Eip2612 { permit, .. } => permit.deadline,
            Self::Erc3009 { authorization, .. } => authorization.valid_before,
            Self::Permit2 { transfer, .. } => transfer.deadline,
        }
    }

    /// The digest that is signed. The separator is that of the token's domain by our own table; Permit2 has its own domain.
    #[must_use]
    pub fn digest(&self, chain: ChainId, token_separator: B256) -> B256 {
        match self {
            Self::Eip2612 { permit, .. } => permit.digest(token_separator),
            Self::Erc3009 { authorization, .. } => authorization.digest(token_separator),
            Self::Permit2 {
                contract, transfer, ..
            } => transfer.digest(permit2::domain_separator(chain, *contract)),
        }
    }
}

impl Permit {
    /// The asset that pays.
    #[must_use]
    pub const fn asset(&self) -> Erc20 {
        Erc20::new(self.chain, self.terms.token())
    }

    /// The digest that is signed, see [`Terms::digest`].
    #[must_use]
    pub fn digest(&self, token_separator: B256) -> B256 {
        self.terms.digest(self.chain, token_separator)
    }

    /// The natural key of the payment: what the chain lets happen once. An EIP-3009 authorization has the same id when it
    /// comes over x402.
    #[must_use]
    pub fn payment_id(&self) -> PaymentId {
        let payer = self.terms.payer();
        match &self.terms {
            Terms::Eip2612 { token, permit } => {
                PaymentId::eip2612(self.chain, *token, payer, permit.nonce)
            }
            Terms::Erc3009 {
                token,
                authorization,
            } => PaymentId::eip3009(self.chain, *token, payer, authorization.nonce),
            Terms::Permit2 { transfer, .. } => {
                PaymentId::permit2(self.chain, payer, transfer.nonce)
            }
        }
    }
}

/// Without the signature.
impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("chain", &self.chain)
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}
