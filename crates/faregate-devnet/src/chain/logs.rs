//! Finding logs.

use alloy_eips::BlockNumberOrTag;
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};

use super::{
    blocks::{Block, MinedTx},
    engine::{BlockRef, Chain},
    error::LogError,
    limits,
};

impl Chain {
    /// All logs that a filter describes, oldest first.
    pub(crate) fn logs(&self, filter: &Filter) -> Result<Vec<Log>, LogError> {
        match filter.block_option {
            FilterBlockOption::AtBlockHash(hash) => {
                let block = self.blocks.by_hash(&hash).ok_or(LogError::NoBlock(hash))?;
                let mut found = Vec::new();
                collect(block, filter, &mut found)?;
                Ok(found)
            }
            FilterBlockOption::Range {
                from_block,
                to_block,
            } => {
                let from = self.number_of(from_block.unwrap_or_default());
                let to = self.number_of(to_block.unwrap_or_default());
                // A range that ends at a tag may begin after it: a client that polls from the block after the last one
                // it saw has simply seen everything.
                let named =
                    |block: Option<BlockNumberOrTag>| block.is_some_and(|block| block.is_number());
                if from > to && named(from_block) && named(to_block) {
                    return Err(LogError::Range);
                }
                self.logs_between(filter, from, to)
            }
        }
    }

    /// Logs of the blocks from `from` to `to`, as far as those blocks exist yet.
    pub(crate) fn logs_between(
        &self,
        filter: &Filter,
        from: u64,
        to: u64,
    ) -> Result<Vec<Log>, LogError> {
        let to = to.min(self.head_number());
        let mut found = Vec::new();
        if from > to {
            return Ok(found);
        }
        if to.saturating_sub(from) >= limits::LOG_BLOCKS_MAX {
            return Err(LogError::TooManyBlocks {
                max: limits::LOG_BLOCKS_MAX,
            });
        }
        let oldest = self.blocks.oldest();
        if from < oldest {
            return Err(LogError::Pruned { oldest });
        }
        for number in from..=to {
            if let Some(block) = self.blocks.by_number(number) {
                collect(block, filter, &mut found)?;
            }
        }
        Ok(found)
    }

    /// The number a tag stands for. There are no pending logs, so `pending` means the newest block.
    pub(crate) fn number_of(&self, tag: BlockNumberOrTag) -> u64 {
        match tag {
            BlockNumberOrTag::Latest | BlockNumberOrTag::Pending => self.head_number(),
            BlockNumberOrTag::Finalized | BlockNumberOrTag::Safe => self.finalized_number(),
            BlockNumberOrTag::Earliest => 0,
            BlockNumberOrTag::Number(number) => number,
        }
    }
}

impl From<BlockNumberOrTag> for BlockRef {
    fn from(tag: BlockNumberOrTag) -> Self {
        match tag {
            BlockNumberOrTag::Latest => Self::Latest,
            BlockNumberOrTag::Pending => Self::Pending,
            BlockNumberOrTag::Finalized | BlockNumberOrTag::Safe => Self::Finalized,
            BlockNumberOrTag::Earliest => Self::Earliest,
            BlockNumberOrTag::Number(number) => Self::Number(number),
        }
    }
}

fn collect(block: &Block, filter: &Filter, found: &mut Vec<Log>) -> Result<(), LogError> {
    if !filter.matches_bloom(block.header.logs_bloom) {
        return Ok(());
    }
    for (index, tx) in block.txs.iter().enumerate() {
        found.extend(tx_logs(block, index, tx).filter(|log| filter.matches(&log.inner)));
        if found.len() > limits::LOGS_MAX {
            return Err(LogError::TooManyLogs {
                max: limits::LOGS_MAX,
            });
        }
    }
    Ok(())
}

/// The logs of one transaction with their place in the chain.
pub(crate) fn tx_logs<'b>(
    block: &'b Block,
    index: usize,
    tx: &'b MinedTx,
) -> impl Iterator<Item = Log> + 'b {
    let first = tx.logs_before;
    (first..)
        .zip(tx.receipt.logs())
        .map(move |(log_index, log)| Log {
            inner: log.clone(),
            block_hash: Some(block.hash),
            block_number: Some(block.header.number),
            block_timestamp: Some(block.header.timestamp),
            transaction_hash: Some(tx.signed.hash),
            transaction_index: u64::try_from(index).ok(),
            log_index: Some(log_index),
            removed: false,
        })
}
