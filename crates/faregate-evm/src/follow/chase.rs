//! The loop that follows a chain: which blocks are new, what happened in them, and where the chain turned off.
//!
//! A few new blocks are read one by one, each by its hash, so that a node that does not have a block says so instead of
//! leaving something out. Many are read by their numbers, as when blocks come faster than we ask, and only count when
//! the chain still has the same blocks at both ends afterwards.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use tokio::time::{Instant, sleep};

use super::event::{self, KINDS, SPENDING, Seen, Unreadable};
use super::facts::Block;
use super::shared::Shared;
use crate::limits::{BACKFILL_PAGES_MAX, BACKFILL_SECS, BLOCKS_BY_HASH_MAX, FOLLOW_GAP_BLOCKS_MAX};
use crate::node::{NodeError, Silence};
use crate::rpc::{Blocks, Header, Rpc};

/// Who follows one chain.
pub(crate) struct Chase {
    pub(crate) rpc: Arc<Rpc>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) tokens: Vec<Address>,
    pub(crate) poll: Duration,
    /// Blocks per `eth_getLogs`, as configured.
    pub(crate) page_max: u64,
    /// The same, less after a page that was too large.
    page: u64,
    /// Pages of the past that may still be read.
    pages_left: u32,
}

/// Why a look at the chain brought nothing.
#[derive(Debug)]
pub(super) enum Setback {
    Node(NodeError),
    Unreadable,
    /// The chain changed while it was read.
    Moved,
}

impl From<NodeError> for Setback {
    fn from(error: NodeError) -> Self {
        Self::Node(error)
    }
}

impl From<Unreadable> for Setback {
    fn from(_: Unreadable) -> Self {
        Self::Unreadable
    }
}

impl From<&Header> for Block {
    fn from(header: &Header) -> Self {
        Self {
            number: header.number.to(),
            hash: header.hash,
            timestamp: header.timestamp.to(),
        }
    }
}

/// How a newer block hangs together with the tip.
enum Link {
    /// These blocks follow the tip, one after the other.
    Blocks(Vec<Block>),
    /// The tip is still on the chain; too many blocks came after it to name them.
    Many,
    /// The chain left the way before the tip.
    Fork,
}

impl Chase {
    pub(crate) const fn new(
        rpc: Arc<Rpc>,
        shared: Arc<Shared>,
        tokens: Vec<Address>,
        poll: Duration,
        page_max: u64,
    ) -> Self {
        Self {
            rpc,
            shared,
            tokens,
            poll,
            page_max,
            page: page_max,
            pages_left: BACKFILL_PAGES_MAX,
        }
    }

    /// Never ends.
    pub(crate) async fn run(mut self) {
        loop {
            self.shared.until_asked().await;
            let began = Instant::now();
            match self.look().await {
                Ok(()) => self.shared.current(began),
                Err(setback) => tracing::debug!(?setback, "a chain could not be followed"),
            }
            if let Err(setback) = self.look_back().await {
                tracing::debug!(?setback, "the past of a chain could not be read");
            }
            self.shared.measure();
            sleep(self.poll).await;
        }
    }

    /// Brings what is known to the newest block.
    pub(super) async fn look(&mut self) -> Result<(), Setback> {
        let head = self.rpc.newest().await?;
        let Some(mut tip) = self.shared.tip() else {
            self.begin(&head, "start");
            return Ok(());
        };
        let mut link = self.link(tip, &head).await?;
        if matches!(link, Link::Fork) {
            self.go_back(&head).await?;
            tip = self.shared.tip().unwrap_or(tip);
            link = self.link(tip, &head).await?;
        }
        match link {
            Link::Blocks(blocks) => {
                for block in blocks {
                    let range = (block.number, block.number);
                    let asked = Blocks::Hash(block.hash);
                    let seen = self.events(&KINDS, asked, range).await;
                    match self.sized(seen, 1)? {
                        Some(seen) => self.shared.advance(block, &seen),
                        None => {
                            self.begin(&head, "size");
                            return Ok(());
                        }
                    }
                }
                Ok(())
            }
            Link::Many => self.pages(tip, &head).await,
            Link::Fork => Err(Setback::Moved),
        }
    }

    /// Forgets what is known and begins at the newest block.
    fn begin(&mut self, head: &Header, why: &'static str) {
        self.pages_left = BACKFILL_PAGES_MAX;
        self.shared.begin(head.into(), why);
    }

    async fn link(&self, tip: Block, head: &Header) -> Result<Link, Setback> {
        let new = Block::from(head);
        if new.hash == tip.hash {
            return Ok(Link::Blocks(Vec::new()));
        }
        let Some(gap) = new.number.checked_sub(tip.number).filter(|gap| *gap > 0) else {
            return Ok(Link::Fork);
        };
        if gap > BLOCKS_BY_HASH_MAX {
            let same = self.is_on_chain(tip).await?;
            return Ok(if same { Link::Many } else { Link::Fork });
        }
        let (mut blocks, mut parent) = (vec![new], head.parent_hash);
        for _ in 1..gap {
            let header = self.rpc.block_by_hash(parent).await?;
            let header = header.ok_or(Setback::Moved)?;
            blocks.push(Block::from(&header));
            parent = header.parent_hash;
        }
        blocks.reverse();
        Ok(if parent == tip.hash {
            Link::Blocks(blocks)
        } else {
            Link::Fork
        })
    }

    /// Finds a block of the way that is still on the chain and goes back to it. Looks back twice as far each time:
    /// going back too far costs nothing but questions.
    async fn go_back(&mut self, head: &Header) -> Result<(), Setback> {
        let top: u64 = head.number.to();
        let trail = self.shared.trail();
        let below: Vec<&Block> = trail.iter().filter(|block| block.number <= top).collect();
        let steps =
            std::iter::successors(Some(0_usize), |index| index.checked_mul(2)?.checked_add(1));
        let nearer = steps.map_while(|index| below.get(index));
        for block in nearer.chain(below.last()) {
            if self.is_on_chain(**block).await? && self.shared.rewind(**block) {
                return Ok(());
            }
        }
        self.begin(head, "reorg");
        Ok(())
    }

    /// Reads many blocks, page by page.
    async fn pages(&mut self, tip: Block, head: &Header) -> Result<(), Setback> {
        let mut tip = tip;
        let top: u64 = head.number.to();
        if top.saturating_sub(tip.number) > FOLLOW_GAP_BLOCKS_MAX {
            self.begin(head, "gap");
            return Ok(());
        }
        while tip.number < top {
            let last = tip.number.saturating_add(self.page.max(1)).min(top);
            let end = if last == top {
                Block::from(head)
            } else {
                let header = self.rpc.block(last).await?.ok_or(Setback::Moved)?;
                Block::from(&header)
            };
            let first = tip.number.saturating_add(1);
            let asked = Blocks::Range(first, last);
            let seen = self.events(&KINDS, asked, (first, last)).await;
            let Some(seen) = self.sized(seen, last.saturating_sub(tip.number))? else {
                self.begin(head, "size");
                return Ok(());
            };
            // The same at both ends: the same between.
            if !self.is_on_chain(end).await? || !self.is_on_chain(tip).await? {
                return Err(Setback::Moved);
            }
            self.shared.advance(end, &seen);
            tip = end;
        }
        Ok(())
    }

    async fn is_on_chain(&self, block: Block) -> Result<bool, Setback> {
        let found = self.rpc.block(block.number).await?;
        Ok(found.is_some_and(|header| header.hash == block.hash))
    }

    async fn events(
        &self,
        kinds: &[B256],
        blocks: Blocks,
        range: (u64, u64),
    ) -> Result<Vec<Seen>, Setback> {
        let logs = self.rpc.all_logs(&self.tokens, kinds, blocks).await?;
        Ok(event::read(&logs, &self.tokens, range)?)
    }

    /// Adapts the size of pages to what the node can answer. `None` when not even one block can be read.
    fn sized(
        &mut self,
        seen: Result<Vec<Seen>, Setback>,
        blocks: u64,
    ) -> Result<Option<Vec<Seen>>, Setback> {
        match seen {
            Ok(seen) => {
                self.page = self.page.saturating_mul(2).min(self.page_max);
                Ok(Some(seen))
            }
            Err(Setback::Node(NodeError::Away(Silence::TooLarge))) if blocks <= 1 => Ok(None),
            // "Too many results" has no code of its own.
            Err(Setback::Node(
                error @ (NodeError::Refused(_) | NodeError::Away(Silence::TooLarge)),
            )) => {
                self.page = (blocks >> 1).max(1);
                Err(error.into())
            }
            Err(setback) => Err(setback),
        }
    }

    /// Reads one page of the past, so that authorizations that became valid before following began need no question.
    pub(super) async fn look_back(&mut self) -> Result<(), Setback> {
        let Some((since, oldest, start)) = self.shared.past() else {
            return Ok(());
        };
        let enough = start.timestamp.saturating_sub(since.timestamp) >= BACKFILL_SECS;
        if since.number == 0 || enough || self.pages_left == 0 {
            return Ok(());
        }
        self.pages_left = self.pages_left.saturating_sub(1);
        let first = since.number.saturating_sub(self.page.max(1));
        let end = self.rpc.block(first).await?.ok_or(Setback::Moved)?;
        let range = (first.saturating_add(1), since.number);
        let asked = Blocks::Range(range.0, range.1);
        let seen = self.events(&SPENDING, asked, range).await;
        let blocks = since.number.saturating_sub(first);
        let Some(seen) = self.sized(seen, blocks)? else {
            self.pages_left = 0;
            return Ok(());
        };
        let same = self.is_on_chain(Block::from(&end)).await? && self.is_on_chain(oldest).await?;
        if !same {
            return Err(Setback::Moved);
        }
        if !self
            .shared
            .extend_back(since, Block::from(&end), &event::spent(&seen))
        {
            self.pages_left = 0;
        }
        Ok(())
    }
}
