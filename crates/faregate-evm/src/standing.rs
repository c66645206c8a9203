//! For payers: whether an authorization was used, asked from a node.

use std::fmt;
use std::time::Duration;

use faregate_core::port::Away;
use faregate_types::{Authorization, ChainId, Code, Erc20};
use url::Url;

use crate::bindings::Token;
use crate::node::Node;
use crate::rpc::{CHAIN_AWAY, Called, Rpc};
use crate::transport::Endpoint;

/// What a chain says about an authorization, at one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthorizationState {
    /// Used, or cancelled by the payer.
    Used,
    /// Not used, and it may still be.
    Unused,
    /// Not used, and the block is later than its end by the margin that was asked for.
    Expired,
}

/// A node of one chain that is asked about authorizations.
pub struct AuthorizationReader {
    chain: ChainId,
    rpc: Rpc,
}

impl fmt::Debug for AuthorizationReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationReader")
            .field("chain", &self.chain)
            .finish_non_exhaustive()
    }
}

impl AuthorizationReader {
    /// Asks the node for its chain; each call of it takes at most `timeout`.
    ///
    /// # Errors
    /// [`Code::ChainUnavailable`] when it does not answer.
    pub async fn connect(url: Url, timeout: Duration) -> Result<Self, Away> {
        let node = Node::new(&Endpoint::Http(url), timeout).map_err(|_| CHAIN_AWAY)?;
        let rpc = Rpc::new(node);
        let chain = rpc.chain_id().await.map_err(|_| CHAIN_AWAY)?;
        Ok(Self {
            chain: ChainId::evm(chain),
            rpc,
        })
    }

    /// The chain the node is on.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// Where an authorization stands. Everything is read at one block, so that "unused" and "expired" are true at the same
    /// time.
    ///
    /// # Errors
    /// [`Code::NetworkMismatch`] when the asset is on another chain: its node knows nothing about it.
    /// [`Code::ChainUnavailable`] when the node does not answer, or there is no token with authorizations at the address.
    pub async fn state(
        &self,
        asset: Erc20,
        authorization: &Authorization,
        margin_secs: u64,
    ) -> Result<AuthorizationState, Away> {
        if asset.chain() != self.chain {
            return Err(Away {
                code: Code::NetworkMismatch,
            });
        }
        let head = self.rpc.head().await.map_err(|_| CHAIN_AWAY)?;
        let question = Token::authorizationStateCall {
            authorizer: authorization.from,
            nonce: authorization.nonce,
        };
        let answer = self
            .rpc
            .read(asset.token(), &question, Some(head.number.to()));
        let end = authorization
            .valid_before
            .saturating_add(alloy_primitives::U256::from(margin_secs));
        match answer.await.map_err(|_| CHAIN_AWAY)? {
            Called::Returned(true) => Ok(AuthorizationState::Used),
            Called::Returned(false) if end <= alloy_primitives::U256::from(head.timestamp) => {
                Ok(AuthorizationState::Expired)
            }
            Called::Returned(false) => Ok(AuthorizationState::Unused),
            Called::Reverted(_) => Err(CHAIN_AWAY),
        }
    }
}
