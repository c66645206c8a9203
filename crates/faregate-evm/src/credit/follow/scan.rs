//! From a place in the chain to the next: blocks that hang together, their logs, and what was sent in them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy_primitives::{Address, B256};
use faregate_core::credit::{Cursor, Happening};
use faregate_types::Timestamp;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::Confirmation;
use super::ask::{self, Block, PlacedLog, Sent};
use super::ether::{self, Suspect};
use super::story;
use crate::limits::{CREDIT_CALLS_AT_ONCE, CREDIT_EVENTS_MAX};
use crate::node::{NodeError, Silence};
use crate::rpc::{Header, Rpc};

/// Why nothing could be read.
#[derive(Clone, Debug)]
pub(super) enum Setback {
    Node(NodeError),
    /// The chain, or what the node says of it, changed while it was read.
    Moved,
    /// The block up to which the books are is not on the chain: that one is.
    Forked(u64, B256),
    /// The contract does not answer as it should.
    Contract,
    /// The books did not do it, or nobody knows.
    Books,
    /// The books do not stand where they did: another process moved them.
    Overtaken,
}

impl From<NodeError> for Setback {
    fn from(error: NodeError) -> Self {
        Self::Node(error)
    }
}

impl Setback {
    /// For metrics.
    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Node(NodeError::Away(_)) => "node_away",
            Self::Node(NodeError::Refused(_)) => "node_refused",
            Self::Moved => "moved",
            Self::Forked(..) => "forked",
            Self::Contract => "contract",
            Self::Books => "books",
            Self::Overtaken => "overtaken",
        }
    }
}

/// A part of the chain.
#[derive(Clone, Debug)]
pub(super) struct Scanned {
    /// Its last block.
    pub(super) to: Cursor,
    /// What happened, in the order of the chain.
    pub(super) happenings: Vec<Happening>,
    /// The contract's rules changed in it.
    pub(super) rules: bool,
    /// Records that the contract did not take.
    pub(super) refused: u64,
}

/// Reads parts of one chain.
pub(super) struct Scanner {
    pub(super) rpc: Arc<Rpc>,
    pub(super) contract: Address,
    /// The first block that is read.
    first: AtomicU64,
    page_max: u64,
    /// Blocks in one part; fewer after one that was too much for the node.
    page: AtomicU64,
}

/// A block, as far as it is still needed.
struct Read {
    block: Block<()>,
    suspects: Vec<Suspect>,
}

impl Scanner {
    pub(super) const fn new(rpc: Arc<Rpc>, contract: Address, first: u64, page_max: u64) -> Self {
        Self {
            rpc,
            contract,
            first: AtomicU64::new(first),
            page_max,
            page: AtomicU64::new(page_max),
        }
    }

    /// The newest block that stays; `None` when there is none yet.
    pub(super) async fn confirmed(&self, how: Confirmation) -> Result<Option<Header>, Setback> {
        Ok(match how {
            Confirmation::Finalized => ask::finalized(&self.rpc).await?,
            Confirmation::Depth(depth) => {
                let newest = self.rpc.newest().await?;
                match (depth, newest.number.to::<u64>().checked_sub(depth)) {
                    (0, _) => Some(newest),
                    (_, Some(number)) => self.rpc.block(number).await?,
                    (_, None) => None,
                }
            }
        })
    }

    /// What comes after `from` and not after `head`, as much of it as fits into one part; `None` when there is nothing.
    pub(super) async fn scan(
        &self,
        from: Option<Cursor>,
        head: &Header,
    ) -> Result<Option<Scanned>, Setback> {
        let top: u64 = head.number.to();
        let first = match from {
            Some(cursor) => cursor.number.saturating_add(1),
            None => self.first.load(Ordering::Relaxed),
        };
        if let Some(cursor) = from
            && cursor.number >= top
        {
            self.stands(cursor).await?;
            return Ok(None);
        }
        if first > top {
            return Ok(None);
        }
        loop {
            let page = self.page.load(Ordering::Relaxed).max(1);
            let last = first.saturating_add(page.saturating_sub(1)).min(top);
            let part = tokio::try_join!(self.blocks(first, last), self.logs(first, last));
            let (blocks, logs) = match part {
                Ok(part) => part,
                Err(Setback::Node(error)) if last > first && is_too_much(&error) => {
                    let fewer = last.saturating_sub(first).div_ceil(2);
                    self.page.store(fewer.max(1), Ordering::Relaxed);
                    continue;
                }
                Err(setback) => return Err(setback),
            };
            self.page
                .store(page.saturating_mul(2).min(self.page_max), Ordering::Relaxed);
            self.hang_together(from, &blocks, head).await?;
            let logs = self.placed(&blocks, logs).await?;
            return self.tell(blocks, logs).await.map(Some);
        }
    }

    /// Whether the books stand on the chain. A node that does not know the block lags.
    async fn stands(&self, cursor: Cursor) -> Result<(), Setback> {
        match self.rpc.block(cursor.number).await? {
            Some(found) if found.hash == cursor.hash => Ok(()),
            Some(found) => Err(Setback::Forked(cursor.number, found.hash)),
            None => Err(Setback::Node(NodeError::Away(Silence::Behind))),
        }
    }

    async fn blocks(&self, first: u64, last: u64) -> Result<Vec<Read>, Setback> {
        let asked = (first..=last).map(async |number| {
            let block = ask::whole_block(&self.rpc, number).await?;
            let block = block.ok_or(Setback::Node(NodeError::Away(Silence::Behind)))?;
            if block.number.to::<u64>() != number {
                return Err(Setback::Node(NodeError::Away(Silence::Unreadable)));
            }
            Ok(Read::of(block))
        });
        let blocks = stream::iter(asked).buffered(CREDIT_CALLS_AT_ONCE);
        blocks.try_collect().await
    }

    async fn logs(&self, first: u64, last: u64) -> Result<Vec<PlacedLog>, Setback> {
        match ask::logs(&self.rpc, self.contract, (first, last)).await {
            // Asked again by its hash, which some nodes can when they cannot this.
            Err(NodeError::Away(Silence::TooLarge) | NodeError::Refused(_)) if first == last => {
                let block = self.rpc.block(first).await?.ok_or(Setback::Moved)?;
                Ok(ask::logs_of_block(&self.rpc, self.contract, block.hash).await?)
            }
            answer => Ok(answer?),
        }
    }

    /// Each block is the parent of the next, and the first is the child of where the books stand.
    async fn hang_together(
        &self,
        from: Option<Cursor>,
        blocks: &[Read],
        head: &Header,
    ) -> Result<(), Setback> {
        let mut parent = from.map(|cursor| cursor.hash);
        for Read { block, .. } in blocks {
            if let (Some(parent), Some(from)) = (parent, from)
                && block.parent_hash != parent
            {
                // Either it moved while it was read, or the books are not on it.
                self.stands(from).await?;
                return Err(Setback::Moved);
            }
            if parent.is_some_and(|parent| parent != block.parent_hash) {
                return Err(Setback::Moved);
            }
            if block.number == head.number && block.hash != head.hash {
                return Err(Setback::Moved);
            }
            parent = Some(block.hash);
        }
        Ok(())
    }

    /// The logs, each of which has to be in one of the blocks. Where a block's bloom filter says that there should be some
    /// and the node told none, it is asked for that block alone: some nodes tell of blocks before they can tell their logs.
    async fn placed(
        &self,
        blocks: &[Read],
        logs: Vec<PlacedLog>,
    ) -> Result<Vec<PlacedLog>, Setback> {
        let mut by_block: BTreeMap<B256, Vec<PlacedLog>> = BTreeMap::new();
        for log in logs {
            by_block.entry(log.block_hash).or_default().push(log);
        }
        let mut placed = Vec::new();
        for Read { block, .. } in blocks {
            let mut logs = match by_block.remove(&block.hash) {
                Some(logs) => logs,
                None if block.may_log(self.contract) => {
                    ask::logs_of_block(&self.rpc, self.contract, block.hash).await?
                }
                None => Vec::new(),
            };
            let fits = |log: &PlacedLog| {
                log.address == self.contract
                    && log.block_number == block.number
                    && log.block_hash == block.hash
            };
            if !logs.iter().all(fits) {
                return Err(Setback::Node(NodeError::Away(Silence::Unreadable)));
            }
            logs.sort_by_key(|log| log.log_index);
            logs.dedup_by_key(|log| log.log_index);
            placed.extend(logs);
        }
        if by_block.is_empty() {
            Ok(placed)
        } else {
            Err(Setback::Moved)
        }
    }

    /// As many of the blocks as may be entered at once, and what happened in them.
    async fn tell(
        &self,
        mut blocks: Vec<Read>,
        mut logs: Vec<PlacedLog>,
    ) -> Result<Scanned, Setback> {
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        for log in &logs {
            let count = counts.entry(log.block_number.to()).or_default();
            *count = count.saturating_add(1);
        }
        let mut sum = 0_usize;
        let fitting = blocks.iter().take_while(|read| {
            let number: u64 = read.block.number.to();
            let count = counts.get(&number).copied().unwrap_or_default();
            sum = sum
                .saturating_add(count)
                .saturating_add(read.suspects.len());
            sum <= CREDIT_EVENTS_MAX
        });
        // One block is entered whole, whatever is in it.
        let fitting = fitting.count().max(1);
        blocks.truncate(fitting);
        let last = blocks.last().ok_or(Setback::Moved)?;
        let to = last.cursor();
        logs.retain(|log| log.block_number.to::<u64>() <= to.number);
        let times: BTreeMap<u64, Timestamp> = blocks
            .iter()
            .map(|read| (read.block.number.to(), read.cursor().time))
            .collect();
        let suspects = blocks.into_iter().flat_map(|read| read.suspects);
        let sent = ether::find(&self.rpc, suspects.collect()).await?;
        let mut story = story::read(&logs);
        story.events.extend(sent);
        story.events.sort_by_key(|(order, ..)| *order);
        let events = story.events.into_iter();
        let happenings = events.map(|(_, place, event)| Happening {
            place,
            at: times.get(&place.block).copied().unwrap_or(to.time),
            event,
        });
        Ok(Scanned {
            to,
            happenings: happenings.collect(),
            rules: story.rules,
            refused: story.refused,
        })
    }
}

impl Read {
    fn of(mut block: Block<Sent>) -> Self {
        let at = (block.number.to(), block.hash);
        let sent = std::mem::take(&mut block.transactions);
        let suspects = sent.into_iter().zip(0..);
        let suspects = suspects
            .filter_map(|(sent, index)| ether::suspect(at, index, sent))
            .collect();
        Self {
            block: block.with(Vec::new()),
            suspects,
        }
    }

    fn cursor(&self) -> Cursor {
        Cursor {
            number: self.block.number.to(),
            hash: self.block.hash,
            time: Timestamp::from_secs(self.block.timestamp.to()),
        }
    }
}

/// Whether fewer blocks may help. Nodes refuse large ranges each in their own words.
const fn is_too_much(error: &NodeError) -> bool {
    matches!(
        error,
        NodeError::Refused(_) | NodeError::Away(Silence::TooLarge | Silence::Timeout)
    )
}
