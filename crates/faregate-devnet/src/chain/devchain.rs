//! A running dev chain: the server, the clockwork, and direct controls for tests in the same process.

use std::{net::SocketAddr, sync::Arc};

use alloy_primitives::{Address, B256, U256};
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
    task::{JoinHandle, spawn_blocking},
    time::{sleep, timeout},
};

use super::{
    accounts::{ACCOUNTS, DevAccount},
    config::ChainConfig,
    control::Dropped,
    engine::{Chain, Mining},
    error::DevchainError,
    limits,
    rpc::Node,
    server,
};

/// A dev chain that answers JSON-RPC over HTTP until it is shut down or dropped.
///
/// It is for tests and demonstrations. Do not use it where money has worth: whoever reaches its port can do anything.
#[derive(Debug)]
pub struct Devchain {
    node: Arc<Node>,
    addr: SocketAddr,
    chain_id: u64,
    usdc: Address,
    /// Dropping it tells the server to stop.
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
    clockwork: JoinHandle<()>,
}

impl Devchain {
    /// Starts a chain and its server. It answers when this returns.
    ///
    /// # Errors
    ///
    /// When the address cannot be bound, the chain id has no known USDC and none is configured, or the block time is too
    /// short.
    pub async fn start(config: ChainConfig) -> Result<Self, DevchainError> {
        let bind = config.bind;
        let failed = move |source| DevchainError::Bind { addr: bind, source };
        let listener = TcpListener::bind(bind).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let chain = spawn_blocking(move || Chain::new(&config))
            .await
            .map_err(|_| DevchainError::Stopped)??;
        let (chain_id, usdc) = (chain.chain_id, chain.usdc);
        let node = Arc::new(Node::new(chain));
        let clockwork = tokio::spawn(mine_at_intervals(Arc::clone(&node), node.mining()));
        let (stop, stopped) = oneshot::channel::<()>();
        let router = server::router(Arc::clone(&node));
        let server = tokio::spawn(async move {
            let until = async move {
                // An error means the sender was dropped, which is the other way to say stop.
                stopped.await.unwrap_or_default();
            };
            if let Err(error) = axum::serve(listener, router)
                .with_graceful_shutdown(until)
                .await
            {
                tracing::error!(%error, "the dev chain's server broke off");
            }
        });
        Ok(Self {
            node,
            addr,
            chain_id,
            usdc,
            stop: Some(stop),
            server,
            clockwork,
        })
    }

    /// Where JSON-RPC is answered, e.g. `http://127.0.0.1:8545`.
    #[must_use]
    pub fn rpc_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The address listened on.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The chain id.
    #[must_use]
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Address of the test USDC.
    #[must_use]
    pub const fn usdc(&self) -> Address {
        self.usdc
    }

    /// The ten well-known accounts, each with 10,000 ETH and 1,000,000 test USDC at the start.
    #[must_use]
    pub fn accounts() -> &'static [DevAccount] {
        &ACCOUNTS
    }

    /// Stops: no new connections, then waits until open ones are done, for a few seconds at most.
    pub async fn shutdown(mut self) {
        self.clockwork.abort();
        drop(self.stop.take());
        if timeout(limits::SHUTDOWN_WAIT_MAX, &mut self.server)
            .await
            .is_err()
        {
            tracing::warn!("connections are still open; leaving them");
            self.server.abort();
        }
    }

    /// Mines `blocks` blocks; the first takes what waits in the pool.
    ///
    /// # Errors
    ///
    /// When that are more than [`limits::MINE_BLOCKS_MAX`].
    pub async fn mine(&self, blocks: u64) -> Result<(), DevchainError> {
        self.change(move |chain| Ok(chain.mine(blocks, None)?))
            .await
    }

    /// Moves the chain's clock forward. The time shows in the next block and in calls on `latest`.
    ///
    /// # Errors
    ///
    /// When the time would be beyond the year 9999.
    pub async fn increase_time(&self, secs: u64) -> Result<(), DevchainError> {
        self.change(move |chain| Ok(chain.increase_time(secs).map(drop)?))
            .await
    }

    /// Gives the next block exactly this time, in seconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// When that is before the newest block.
    pub async fn set_next_timestamp(&self, secs: u64) -> Result<(), DevchainError> {
        self.change(move |chain| Ok(chain.set_next_timestamp(secs)?))
            .await
    }

    /// Remembers this moment and names it.
    ///
    /// # Errors
    ///
    /// Only when the chain has stopped.
    pub async fn snapshot(&self) -> Result<u64, DevchainError> {
        self.change(|chain| Ok(chain.snapshot())).await
    }

    /// Goes back to a snapshot, which is used up by that. `false` if it no longer exists.
    ///
    /// # Errors
    ///
    /// Only when the chain has stopped.
    pub async fn revert(&self, snapshot: u64) -> Result<bool, DevchainError> {
        self.change(move |chain| Ok(chain.revert(snapshot))).await
    }

    /// Replaces the newest `depth` blocks by empty ones. The transactions in them are gone.
    ///
    /// # Errors
    ///
    /// When the chain is not that long, or does not remember that far back.
    pub async fn reorg(&self, depth: u64) -> Result<(), DevchainError> {
        self.change(move |chain| Ok(chain.reorg(depth, Vec::new(), Dropped::Forget)?))
            .await
    }

    /// Like [`Self::reorg`], but the transactions return to the pool; with automine they are mined again at once, in
    /// blocks after the new ones.
    ///
    /// # Errors
    ///
    /// When the chain is not that long, or does not remember that far back.
    pub async fn reorg_keeping_transactions(&self, depth: u64) -> Result<(), DevchainError> {
        self.change(move |chain| Ok(chain.reorg(depth, Vec::new(), Dropped::ReturnToPool)?))
            .await
    }

    /// Whether transactions are mined at once (`true`), or wait for [`Self::mine`].
    ///
    /// # Errors
    ///
    /// Only when the chain has stopped.
    pub async fn set_automine(&self, on: bool) -> Result<(), DevchainError> {
        let node = Arc::clone(&self.node);
        let mining = if on { Mining::Auto } else { Mining::Manual };
        spawn_blocking(move || node.set_mining(mining))
            .await
            .map_err(|_| DevchainError::Stopped)
    }

    /// Mints test USDC (in its smallest unit) and answers the transaction's hash. With automine it is there when this
    /// returns.
    ///
    /// # Errors
    ///
    /// When the pool is full.
    pub async fn mint_usdc(&self, to: Address, amount: U256) -> Result<B256, DevchainError> {
        self.change(move |chain| Ok(chain.mint(to, amount)?)).await
    }

    /// Sets an ether balance, in wei.
    ///
    /// # Errors
    ///
    /// Only when the chain has stopped.
    pub async fn set_eth_balance(&self, account: Address, wei: U256) -> Result<(), DevchainError> {
        self.change(move |chain| {
            chain.set_balance(account, wei);
            Ok(())
        })
        .await
    }

    /// Balance of test USDC in its smallest unit.
    ///
    /// # Errors
    ///
    /// When somebody replaced the token's code by something that does not answer.
    pub async fn usdc_balance(&self, account: Address) -> Result<U256, DevchainError> {
        self.look(move |chain| Ok(chain.usdc_balance(account)?))
            .await
    }

    /// Ether balance in wei.
    ///
    /// # Errors
    ///
    /// Only when the chain has stopped.
    pub async fn eth_balance(&self, account: Address) -> Result<U256, DevchainError> {
        self.look(move |chain| Ok(chain.latest().balance(account)))
            .await
    }

    /// Number of the newest block.
    ///
    /// # Errors
    ///
    /// Only when the chain has stopped.
    pub async fn block_number(&self) -> Result<u64, DevchainError> {
        self.look(|chain| Ok(chain.head_number())).await
    }

    /// The chain's own time in seconds since the Unix epoch.
    ///
    /// # Errors
    ///
    /// Only when the chain has stopped.
    pub async fn now(&self) -> Result<u64, DevchainError> {
        self.look(|chain| Ok(chain.now())).await
    }

    async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Chain) -> Result<T, DevchainError> + Send + 'static,
    ) -> Result<T, DevchainError> {
        let node = Arc::clone(&self.node);
        spawn_blocking(move || change(&mut node.write()))
            .await
            .map_err(|_| DevchainError::Stopped)?
    }

    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Chain) -> Result<T, DevchainError> + Send + 'static,
    ) -> Result<T, DevchainError> {
        let node = Arc::clone(&self.node);
        spawn_blocking(move || look(&node.read()))
            .await
            .map_err(|_| DevchainError::Stopped)?
    }
}

impl Drop for Devchain {
    fn drop(&mut self) {
        // The server sees that the sender is gone, closes idle connections and ends.
        drop(self.stop.take());
        self.clockwork.abort();
    }
}

/// Mines blocks while the chain is set to do so at an interval.
async fn mine_at_intervals(node: Arc<Node>, mut mining: watch::Receiver<Mining>) {
    loop {
        let now = *mining.borrow_and_update();
        let changed = match now {
            Mining::Auto | Mining::Manual => mining.changed().await,
            Mining::Interval(interval) => {
                tokio::select! {
                    changed = mining.changed() => changed,
                    () = sleep(interval) => {
                        let node = Arc::clone(&node);
                        if spawn_blocking(move || node.write().mine_one()).await.is_err() {
                            tracing::error!("mining broke off");
                        }
                        Ok(())
                    }
                }
            }
        };
        if changed.is_err() {
            return;
        }
    }
}
