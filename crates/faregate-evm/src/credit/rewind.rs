//! Back to where books and chain agreed, after a reorganisation below the configured depth.
//!
//! Books are not rewritten. They are set back to a block of the chain there is, and everything after it is read again: what
//! happened there once more is known by its place, which does not depend on its block, and what is new is entered. What the
//! chain does not have any more cannot be taken back, because guarantees may rest on it: its payments are not recorded, and its
//! payers are suspended until a person has looked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy_primitives::{Address, B256};
use faregate_core::credit::{Cursor, TabId};
use faregate_core::port::credit::{Batch, CreditStore, Page};
use faregate_ledger::StoreError;
use faregate_types::Timestamp;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::timeout;

use super::follow::{CreditFollowConfig, CreditFollower, Reconciliation, check};
use crate::config::ConnectError;
use crate::limits::{
    CREDIT_CALLS_AT_ONCE, CREDIT_RECONCILE_PAGE, CREDIT_REWIND_PATIENCE, CREDIT_UNTOLD_MAX,
};
use crate::node::{Node, NodeError};
use crate::rpc::Rpc;

/// Why books were not set back, or not to the end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RewindError {
    /// The node, or what it should have.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The node did not answer, or not in time. What was done stays, and it may be done again.
    #[error("the node did not answer in time; set the books back again")]
    Away,
    /// The chain has no such block.
    #[error("the chain has no block {0}")]
    NoBlock(u64),
    /// The books are not after it.
    #[error("the books are at block {at}, not after block {asked}")]
    NotAfter {
        /// Where they are.
        at: u64,
        /// Where they should be set back to.
        asked: u64,
    },
    /// Nothing was ever read.
    #[error("the books have read nothing of this chain")]
    Empty,
    /// The books did not do it.
    #[error("the books: {0}")]
    Books(#[from] StoreError),
}

impl From<NodeError> for RewindError {
    fn from(error: NodeError) -> Self {
        tracing::warn!(%error, "the node did not answer while books were set back");
        Self::Away
    }
}

/// What became of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rewound {
    /// Where the books were.
    pub from: Cursor,
    /// Where they are: at the end of the chain.
    pub to: Cursor,
    /// Transactions that are in the journals of tabs and not on the chain.
    pub lost: BTreeSet<B256>,
    /// Payments that are not on the chain and will not be recorded.
    pub refused: u64,
    /// Whose tabs rest on a lost transaction, or whose collateral is more in the books than in the contract.
    pub suspended: BTreeSet<Address>,
    /// The books compared with the contract afterwards.
    pub report: Reconciliation,
}

/// Sets the books back to a block and brings them to the end of the chain again. Nobody else may follow, issue or record
/// meanwhile. May be repeated.
///
/// `block` has to be on both chains, the one that was left and the one there is. An earlier one only takes longer.
///
/// # Errors
/// [`RewindError`].
pub async fn rewind(
    mut config: CreditFollowConfig,
    store: Arc<dyn CreditStore>,
    block: u64,
    now: Timestamp,
) -> Result<Rewound, RewindError> {
    let node = Node::new(&config.endpoint, config.rpc_timeout);
    let rpc = Rpc::new(node.map_err(|_| ConnectError::HttpClient)?);
    check(&rpc, config.chain, config.contract).await?;
    let from = store.cursor().await?.ok_or(RewindError::Empty)?;
    if block >= from.number {
        let at = from.number;
        return Err(RewindError::NotAfter { at, asked: block });
    }
    let found = rpc.block(block).await?;
    let found = found.ok_or(RewindError::NoBlock(block))?;
    config.reconcile_every = None;
    // Suspended before anything moves: whoever is killed here has promised nothing on what is gone.
    let desk = Desk { rpc, store };
    let refused = desk.refuse_lost_payments(block).await?;
    let lost = desk.lost(block).await?;
    let mut suspended: BTreeSet<Address> = lost.values().copied().collect();
    desk.suspend(&suspended, now).await?;
    let back = Batch {
        from: Some(from),
        to: Cursor {
            number: block,
            hash: found.hash,
            time: Timestamp::from_secs(found.timestamp.to()),
        },
        happenings: Vec::new(),
    };
    let follower = {
        // Nothing expires in the past.
        let (store, policy) = (Arc::clone(&desk.store), &config.policy);
        let facts = CreditFollower::facts_of(&desk.rpc, &config).await?;
        store.enter(back, facts.terms(policy), 0).await?;
        CreditFollower::connect(config, store).await?
    };
    let (to, report) = read_again(&follower).await?;
    let more = report.differences.iter();
    let more = more.filter(|difference| difference.books > difference.contract);
    let more: BTreeSet<Address> = more.map(|difference| difference.payer).collect();
    desk.suspend(&more, now).await?;
    suspended.extend(more);
    Ok(Rewound {
        from,
        to,
        lost: lost.into_keys().collect(),
        refused,
        suspended,
        report,
    })
}

/// Waits until the books are at the end of the chain; then what the contract says of them.
async fn read_again(follower: &CreditFollower) -> Result<(Cursor, Reconciliation), RewindError> {
    let mut state = follower.state();
    let read = async {
        let current = state.wait_for(|state| state.lag().is_some()).await;
        let cursor = current.ok().and_then(|state| state.cursor);
        Some((cursor?, follower.reconcile().await?))
    };
    let read = timeout(CREDIT_REWIND_PATIENCE, read).await;
    read.ok().flatten().ok_or(RewindError::Away)
}

/// Books and chain, side by side.
struct Desk {
    rpc: Rpc,
    store: Arc<dyn CreditStore>,
}

impl Desk {
    async fn suspend(&self, payers: &BTreeSet<Address>, now: Timestamp) -> Result<(), StoreError> {
        for payer in payers {
            tracing::error!(%payer, "suspended: the chain does not have what the books have of this payer");
            self.store.suspend(*payer, true, now).await?;
        }
        Ok(())
    }

    /// Those of these transactions that are not on the chain.
    async fn gone(&self, hashes: BTreeSet<B256>) -> Result<BTreeSet<B256>, RewindError> {
        let asked = hashes
            .into_iter()
            .map(async |hash| Ok::<_, NodeError>((hash, self.rpc.receipt(hash).await?.is_none())));
        let gone = stream::iter(asked)
            .buffered(CREDIT_CALLS_AT_ONCE)
            .try_filter_map(async |(hash, gone)| Ok(gone.then_some(hash)));
        Ok(gone.try_collect().await?)
    }

    /// The contract is not told of payments that never happened.
    async fn refuse_lost_payments(&self, block: u64) -> Result<u64, RewindError> {
        let mut untold = self.store.untold_payments(CREDIT_UNTOLD_MAX).await?;
        // What is older is on both chains, whether or not this node remembers it.
        untold.retain(|payment| payment.place.block > block);
        let hashes = untold.iter().map(|payment| payment.place.transaction);
        let gone = self.gone(hashes.collect()).await?;
        let mut refused = 0_u64;
        for payment in untold {
            if gone.contains(&payment.place.transaction) {
                tracing::error!(transaction = %payment.place.transaction, "a payment that is not on the chain will not be recorded");
                self.store.refuse_payment(payment.place).await?;
                refused = refused.saturating_add(1);
            }
        }
        Ok(refused)
    }

    /// What the journals of tabs have after a block and the chain has not, with whose tab it is.
    async fn lost(&self, block: u64) -> Result<BTreeMap<B256, Address>, RewindError> {
        let mut entered = BTreeMap::new();
        for payer in self.payers().await? {
            let mut skip = 0;
            loop {
                let page = page(skip);
                let tabs = self.store.tabs_of_payer(payer, Vec::new(), page).await?;
                for tab in &tabs {
                    self.note_entries(tab.id, block, payer, &mut entered)
                        .await?;
                }
                match following(skip, tabs.len()) {
                    Some(next) => skip = next,
                    None => break,
                }
            }
        }
        let gone = self.gone(entered.keys().copied().collect()).await?;
        entered.retain(|hash, _| gone.contains(hash));
        Ok(entered)
    }

    async fn note_entries(
        &self,
        tab: TabId,
        block: u64,
        payer: Address,
        entered: &mut BTreeMap<B256, Address>,
    ) -> Result<(), RewindError> {
        let mut skip = 0;
        loop {
            let entries = self.store.entries_of(tab, page(skip)).await?;
            let places = entries.iter().filter_map(|entry| entry.place);
            let after = places.filter(|place| place.block > block);
            entered.extend(after.map(|place| (place.transaction, payer)));
            match following(skip, entries.len()) {
                Some(next) => skip = next,
                None => return Ok(()),
            }
        }
    }

    /// Everybody with collateral.
    async fn payers(&self) -> Result<BTreeSet<Address>, RewindError> {
        let (mut payers, mut after) = (BTreeSet::new(), None);
        loop {
            let some = self.store.collaterals(after, CREDIT_RECONCILE_PAGE).await?;
            payers.extend(some.iter().map(|(payer, ..)| *payer));
            let count = u32::try_from(some.len()).unwrap_or(u32::MAX);
            match some.last() {
                Some((payer, asset, _)) if count >= CREDIT_RECONCILE_PAGE => {
                    after = Some((*payer, *asset));
                }
                _ => return Ok(payers),
            }
        }
    }
}

const fn page(skip: u32) -> Page {
    Page {
        skip,
        limit: CREDIT_RECONCILE_PAGE,
    }
}

/// Where a list goes on after a page of so many, if it may.
fn following(skip: u32, count: usize) -> Option<u32> {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    (count >= CREDIT_RECONCILE_PAGE).then(|| skip.saturating_add(count))
}
