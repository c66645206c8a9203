//! Wallets that are contracts, asked whether they signed a digest (ERC-1271): how they sign in where nothing is paid.

use std::fmt;
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes};
use faregate_core::port::Away;
use faregate_core::port::access::ContractWallets;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::ConnectError;
use crate::limits::{WALLET_ASKED_AT_ONCE, WALLET_GAS_MAX};
use crate::node::{Node, NodeError};
use crate::rpc::{CHAIN_AWAY, Rpc};
use crate::transport::Endpoint;
use crate::wallet::{self, Asked};

/// [`ContractWallets`] by the node of one chain.
///
/// Strangers choose the contract and what it computes, so a question has a time limit and a gas limit, and only so many are
/// asked at once; whoever comes beyond them hears that nobody could say. A wallet that does not exist yet (ERC-6492) never signed:
/// nothing is deployed to find out.
pub struct WalletReader {
    rpc: Rpc,
    patience: Duration,
    free: Semaphore,
}

impl fmt::Debug for WalletReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalletReader")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

impl WalletReader {
    /// Asks this node, whose chain has been checked. An answer takes at most `patience`.
    ///
    /// # Errors
    /// [`ConnectError::HttpClient`].
    pub fn new(endpoint: &Endpoint, patience: Duration) -> Result<Self, ConnectError> {
        let node = Node::new(endpoint, patience).map_err(|_| ConnectError::HttpClient)?;
        Ok(Self {
            rpc: Rpc::new(node),
            patience,
            free: Semaphore::new(WALLET_ASKED_AT_ONCE),
        })
    }

    async fn ask(
        &self,
        wallet: Address,
        digest: B256,
        signature: Bytes,
    ) -> Result<bool, NodeError> {
        // What an address without code answers is no answer of a wallet.
        if !self.rpc.has_code(wallet).await? {
            return Ok(false);
        }
        let asked = Asked {
            by: Address::ZERO,
            wallet,
            digest,
            signature: wallet::shown(&signature),
            gas_max: WALLET_GAS_MAX,
        };
        wallet::confirms(&self.rpc, asked).await
    }
}

impl ContractWallets for WalletReader {
    fn signed<'a>(
        &'a self,
        wallet: Address,
        digest: B256,
        signature: &'a [u8],
    ) -> BoxFuture<'a, Result<bool, Away>> {
        async move {
            let _place = self.free.try_acquire().map_err(|_| CHAIN_AWAY)?;
            let signature = Bytes::copy_from_slice(signature);
            let asked = timeout(self.patience, self.ask(wallet, digest, signature)).await;
            asked.map_err(|_| CHAIN_AWAY)?.map_err(|error| {
                tracing::debug!(%error, "a contract wallet could not be asked");
                CHAIN_AWAY
            })
        }
        .boxed()
    }
}
