//! The blocks the chain remembers, and how to find them and their transactions.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use alloy_consensus::{Header, ReceiptEnvelope};
use alloy_primitives::{Address, B256};

use super::{limits, tx::SignedTx};

/// A block with everything that happened in it.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) hash: B256,
    pub(crate) header: Header,
    pub(crate) txs: Vec<MinedTx>,
    /// Length of the block in bytes as RLP.
    pub(crate) size: usize,
}

/// A transaction in a block.
#[derive(Debug)]
pub(crate) struct MinedTx {
    pub(crate) signed: Arc<SignedTx>,
    pub(crate) receipt: ReceiptEnvelope,
    pub(crate) gas_used: u64,
    /// What a unit of gas cost, in wei.
    pub(crate) gas_price: u128,
    /// The contract it made.
    pub(crate) created: Option<Address>,
    /// Number of logs in the block before the first one of this transaction.
    pub(crate) logs_before: u64,
}

/// The newest blocks in a row without gaps.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    blocks: VecDeque<Arc<Block>>,
    /// Number of the oldest block kept.
    oldest: u64,
    by_hash: HashMap<B256, u64>,
    /// Block number and index of each transaction kept.
    by_tx: HashMap<B256, (u64, usize)>,
}

impl Blocks {
    /// Adds the next block; forgets the oldest ones when there are too many.
    pub(crate) fn push(&mut self, block: Block) {
        let number = block.header.number;
        if self.blocks.is_empty() {
            self.oldest = number;
        }
        self.by_hash.insert(block.hash, number);
        for (index, tx) in block.txs.iter().enumerate() {
            self.by_tx.insert(tx.signed.hash, (number, index));
        }
        self.blocks.push_back(Arc::new(block));
        while self.blocks.len() > limits::BLOCKS_KEPT_MAX
            || (self.by_tx.len() > limits::TXS_KEPT_MAX && self.blocks.len() > 1)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(block) = self.blocks.pop_front() {
            self.forget(&block);
            self.oldest = self.oldest.saturating_add(1);
        }
    }

    fn forget(&mut self, block: &Block) {
        self.by_hash.remove(&block.hash);
        for tx in &block.txs {
            self.by_tx.remove(&tx.signed.hash);
        }
    }

    /// Takes the newest block away.
    pub(crate) fn pop(&mut self) -> Option<Arc<Block>> {
        let block = self.blocks.pop_back()?;
        self.forget(&block);
        Some(block)
    }

    /// The newest block.
    pub(crate) fn head(&self) -> Option<&Arc<Block>> {
        self.blocks.back()
    }

    /// Number of the oldest block kept.
    pub(crate) const fn oldest(&self) -> u64 {
        self.oldest
    }

    /// A block by number.
    pub(crate) fn by_number(&self, number: u64) -> Option<&Arc<Block>> {
        let index = usize::try_from(number.checked_sub(self.oldest)?).ok()?;
        self.blocks.get(index)
    }

    /// A block by hash.
    pub(crate) fn by_hash(&self, hash: &B256) -> Option<&Arc<Block>> {
        self.by_number(*self.by_hash.get(hash)?)
    }

    /// A mined transaction: its block and its index there.
    pub(crate) fn tx(&self, hash: &B256) -> Option<(&Arc<Block>, usize)> {
        let (number, index) = self.by_tx.get(hash)?;
        Some((self.by_number(*number)?, *index))
    }
}
