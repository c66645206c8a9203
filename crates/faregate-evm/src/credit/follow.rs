//! The follower: what happens at the contract, and ETH sent for tabs, in the books of the credit core (specs/4mica.md §5.5).
//!
//! ```text
//! node ─► scan: blocks that hang together, all logs of the contract, every transaction ─► happenings
//!                  └─ the next part is read while the last one is entered ─► CreditStore::enter, one transaction each
//! ```
//!
//! - Only what stays is entered ([`Confirmation`]), from the block on in which the contract was deployed, and the books move
//!   with their cursor: nothing is entered twice, whatever is repeated or killed.
//! - What cannot be read is put aside and counted, and the rest goes on.
//! - Each block has to be the child of the one before, and all logs have to be in these very blocks. A node that answers with
//!   parts of two chains is asked again.
//! - A chain on which the books' own block is not any more was reorganised below the configured depth. Then nothing is
//!   entered, and nothing told to the contract, until the block is back or a person has decided
//!   ([`rewind`](super::rewind())): [`FollowState::fork`], `faregate_credit_follow_forked`.
//! - Payments of smart wallets: see `ether`.
//!
//! | module | idea |
//! |---|---|
//! | `ask` | questions to the node |
//! | `scan` | a part of the chain, checked |
//! | `story`, `ether`, `marker` | what logs and transactions mean |
//! | `facts` | what the contract says of itself |
//! | `run` | the loop |
//! | `reconcile` | do the books say what the contract says? |

mod ask;
mod ether;
mod facts;
mod marker;
mod meter;
mod reconcile;
mod run;
mod scan;
mod story;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use faregate_core::credit::{Cursor, Terms};
use faregate_core::port::credit::CreditStore;
use faregate_types::ChainId;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use self::run::Runner;
use self::scan::{Scanner, Setback};
use super::CreditCore;
use crate::config::ConnectError;
use crate::limits::{CREDIT_BOOKS_TIMEOUT, CREDIT_REPORTS_WAITING_MAX};
use crate::node::{Node, NodeError};
use crate::rpc::Rpc;
use crate::transport::Endpoint;

pub(super) use self::ask::answers;
pub use self::facts::{ContractFacts, CreditAsset, TermsPolicy};
pub(super) use self::meter::describe_metrics;
pub use self::reconcile::{Difference, Reconciliation};

/// Which blocks stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there is no third way to know")]
pub enum Confirmation {
    /// Those the chain itself calls finalized.
    Finalized,
    /// Those with so many blocks after them; 0 is for chains that are never reorganised.
    Depth(u64),
}

/// How a contract is followed. Start from [`CreditFollowConfig::new`] and change what differs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreditFollowConfig {
    /// The chain. At start the node is asked whether it agrees.
    pub chain: ChainId,
    /// Where its node is.
    pub endpoint: Endpoint,
    /// The contract.
    pub contract: Address,
    /// The block it was deployed in, or one before. `None`: looked for when the books are empty, which takes a node that
    /// knows the past.
    pub deployed_at: Option<u64>,
    /// Which blocks stay.
    pub confirmation: Confirmation,
    /// Time between two looks at a chain that stands still.
    pub poll: Duration,
    /// Time for one call of the node.
    pub rpc_timeout: Duration,
    /// Blocks that are read and entered together, at most.
    pub page_blocks: u64,
    /// Without a look to the end of the chain for so long, the follower is not ready.
    pub lag_max: Duration,
    /// How often the contract's rules are read anew, beside what its events say.
    pub facts_every: Duration,
    /// How often the books are compared with the contract. `None`: only when asked.
    pub reconcile_every: Option<Duration>,
    /// Tabs that are released at once when their certificates have expired, at most.
    pub release_max: u32,
    /// What the operator decides of the terms.
    pub policy: TermsPolicy,
}

impl CreditFollowConfig {
    /// Finalized blocks, a look per second, the rules every minute, the books every hour.
    #[must_use]
    pub fn new(chain: ChainId, endpoint: Endpoint, contract: Address) -> Self {
        Self {
            chain,
            endpoint,
            contract,
            deployed_at: None,
            confirmation: Confirmation::Finalized,
            poll: Duration::from_secs(1),
            rpc_timeout: Duration::from_secs(10),
            page_blocks: 128,
            lag_max: Duration::from_secs(60),
            facts_every: Duration::from_secs(60),
            reconcile_every: Some(Duration::from_secs(3_600)),
            release_max: 1_000,
            policy: TermsPolicy::default(),
        }
    }
}

/// Where the follower is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FollowState {
    /// Up to where the books are.
    pub cursor: Option<Cursor>,
    /// The newest block that stays, as of the last look.
    pub head: Option<u64>,
    /// The chain has left the books behind. Nothing is entered while this is said.
    pub fork: Option<Fork>,
    /// When the books were last at the end of the chain.
    current: Option<Instant>,
}

/// A reorganisation below the configured depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fork {
    /// The number of the block at which the books stand.
    pub number: u64,
    /// Its hash, in the books.
    pub entered: B256,
    /// The hash of the block with this number on the chain.
    pub found: B256,
}

impl FollowState {
    /// Time since the books were last at the end of the chain; `None` before the first time.
    #[must_use]
    pub fn lag(&self) -> Option<Duration> {
        Some(self.current?.elapsed())
    }
}

/// Follows one contract into the books. Stops when dropped.
pub struct CreditFollower {
    lag_max: Duration,
    policy: TermsPolicy,
    state: watch::Receiver<FollowState>,
    facts: watch::Receiver<Arc<ContractFacts>>,
    bell: Arc<Notify>,
    asks: mpsc::Sender<oneshot::Sender<Reconciliation>>,
    task: AbortHandle,
}

impl CreditFollower {
    /// Checks chain and contract, reads what the contract says of itself, and begins to follow it from where the books are.
    /// Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// [`ConnectError`], the first thing that is not as it should be.
    pub async fn connect(
        config: CreditFollowConfig,
        store: Arc<dyn CreditStore>,
    ) -> Result<Self, ConnectError> {
        let (chain, address) = (config.chain, config.contract);
        let node = Node::new(&config.endpoint, config.rpc_timeout);
        let rpc = Arc::new(Rpc::new(node.map_err(|_| ConnectError::HttpClient)?));
        check(&rpc, chain, address).await?;
        let facts = Self::facts_of(&rpc, &config).await?;
        let books = timeout(CREDIT_BOOKS_TIMEOUT, store.cursor()).await;
        let cursor = books.ok().and_then(Result::ok);
        let cursor = cursor.ok_or(ConnectError::CreditBooks { chain })?;
        let first = match (cursor, config.deployed_at) {
            (None, Some(block)) => block,
            (None, None) => deployed_at(&rpc, address)
                .await
                .ok_or(ConnectError::CreditDeployment { chain, address })?,
            (Some(_), _) => 0,
        };
        let scanner = Scanner::new(rpc, address, first, config.page_blocks.max(1));
        let (facts, known) = watch::channel(Arc::new(facts));
        let (told, state) = watch::channel(FollowState {
            cursor,
            ..FollowState::default()
        });
        let (asks, asked) = mpsc::channel(CREDIT_REPORTS_WAITING_MAX);
        let (lag_max, policy) = (config.lag_max, config.policy.clone());
        let bell = Arc::new(Notify::new());
        let runner = Runner::new(
            config,
            scanner,
            store,
            (facts, told),
            Arc::clone(&bell),
            asked,
        );
        Ok(Self {
            lag_max,
            policy,
            state,
            facts: known,
            bell,
            asks,
            task: tokio::spawn(runner.run()).abort_handle(),
        })
    }

    /// What the contract says of itself.
    pub(super) async fn facts_of(
        rpc: &Rpc,
        config: &CreditFollowConfig,
    ) -> Result<ContractFacts, ConnectError> {
        let (chain, address) = (config.chain, config.contract);
        let core = CreditCore::at(address);
        let facts = ContractFacts::read(rpc, &core, &config.policy.versions).await;
        facts.map_err(|setback| match setback {
            Setback::Node(error) => unreachable(chain, &error),
            _ => ConnectError::NoCreditCore { chain, address },
        })
    }

    /// What the contract says of itself, now and whenever it changes.
    #[must_use]
    pub fn facts(&self) -> watch::Receiver<Arc<ContractFacts>> {
        self.facts.clone()
    }

    /// What tabs and guarantees have to keep to now.
    #[must_use]
    pub fn terms(&self) -> Terms {
        self.facts.borrow().terms(&self.policy)
    }

    /// Where it is, now and whenever that changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<FollowState> {
        self.state.clone()
    }

    /// Whether the books are what the chain says: at its end lately, and on it.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let state = self.state.borrow();
        state.fork.is_none() && state.lag().is_some_and(|lag| lag <= self.lag_max)
    }

    /// Waits until the books are at a block, or after it. `false`: the follower has stopped.
    pub async fn until(&self, block: u64) -> bool {
        let there = |state: &FollowState| state.cursor.is_some_and(|cursor| cursor.number >= block);
        self.state.clone().wait_for(there).await.is_ok()
    }

    /// Rung when payments were found or recorded: what the sender of the operator waits for.
    #[must_use]
    pub fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }

    /// Compares the collateral of everybody with the contract's, or waits for a comparison that is on its way; `None` when
    /// too many wait already, or the follower has stopped. Following goes on meanwhile: it takes as long as the books are
    /// large, and while the chain cannot be followed it waits.
    pub async fn reconcile(&self) -> Option<Reconciliation> {
        let (tell, told) = oneshot::channel();
        self.asks.try_send(tell).ok()?;
        told.await.ok()
    }
}

impl Drop for CreditFollower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for CreditFollower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreditFollower")
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}

/// Whether the node is of this chain and has the contract.
pub(super) async fn check(rpc: &Rpc, chain: ChainId, address: Address) -> Result<(), ConnectError> {
    let found = rpc.chain_id().await;
    let found = found.map_err(|error| unreachable(chain, &error))?;
    if found != chain.get() {
        return Err(ConnectError::WrongChain {
            expected: chain,
            found,
        });
    }
    let code = rpc.has_code(address).await;
    match code.map_err(|error| unreachable(chain, &error))? {
        true => Ok(()),
        false => Err(ConnectError::NoCreditCore { chain, address }),
    }
}

pub(super) fn unreachable(chain: ChainId, error: &NodeError) -> ConnectError {
    tracing::warn!(%chain, %error, "a node did not answer at start");
    ConnectError::Unreachable { chain }
}

/// The first block with the contract's code. `None`: the node does not know so much of the past.
async fn deployed_at(rpc: &Rpc, contract: Address) -> Option<u64> {
    let mut with: u64 = rpc.newest().await.ok()?.number.to();
    let mut first = 0_u64;
    while first < with {
        let middle = first.midpoint(with);
        match rpc.has_code_at(contract, middle).await.ok()? {
            true => with = middle,
            false => first = middle.saturating_add(1),
        }
    }
    Some(first)
}

#[cfg(test)]
mod tests;
