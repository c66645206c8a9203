//! Blocks, transactions and receipts as JSON.

use alloy_consensus::{Transaction as _, transaction::Recovered};
use alloy_primitives::U256;
use alloy_rpc_types_eth::{
    Block as RpcBlock, BlockTransactions, Header, Transaction, TransactionReceipt, Withdrawals,
};

use crate::chain::{
    blocks::{Block, MinedTx},
    logs::tx_logs,
    tx::SignedTx,
};

/// How much of its transactions a block shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    Hashes,
    Full,
}

impl From<Option<bool>> for Detail {
    fn from(full: Option<bool>) -> Self {
        if full == Some(true) {
            Self::Full
        } else {
            Self::Hashes
        }
    }
}

pub(crate) fn block(block: &Block, detail: Detail) -> RpcBlock {
    let header = Header {
        hash: block.hash,
        inner: block.header.clone(),
        total_difficulty: Some(U256::ZERO),
        size: Some(U256::from(block.size)),
    };
    let transactions = match detail {
        Detail::Hashes => {
            BlockTransactions::Hashes(block.txs.iter().map(|tx| tx.signed.hash).collect())
        }
        Detail::Full => BlockTransactions::Full(
            (0..block.txs.len())
                .filter_map(|index| mined(block, index))
                .collect(),
        ),
    };
    RpcBlock {
        header,
        uncles: Vec::new(),
        transactions,
        withdrawals: Some(Withdrawals::default()),
    }
}

/// A transaction of a block.
pub(crate) fn mined(block: &Block, index: usize) -> Option<Transaction> {
    let tx = block.txs.get(index)?;
    Some(Transaction {
        inner: Recovered::new_unchecked(tx.signed.envelope.clone(), tx.signed.sender),
        block_hash: Some(block.hash),
        block_number: Some(block.header.number),
        transaction_index: u64::try_from(index).ok(),
        effective_gas_price: Some(tx.gas_price),
        block_timestamp: Some(block.header.timestamp),
    })
}

/// A transaction that waits.
pub(crate) fn pending(signed: &SignedTx) -> Transaction {
    Transaction {
        inner: Recovered::new_unchecked(signed.envelope.clone(), signed.sender),
        block_hash: None,
        block_number: None,
        transaction_index: None,
        effective_gas_price: Some(signed.envelope.max_fee_per_gas()),
        block_timestamp: None,
    }
}

pub(crate) fn receipt(block: &Block, index: usize) -> Option<TransactionReceipt> {
    let tx = block.txs.get(index)?;
    Some(of(block, index, tx))
}

/// Receipts of all transactions of a block.
pub(crate) fn receipts(block: &Block) -> Vec<TransactionReceipt> {
    block
        .txs
        .iter()
        .enumerate()
        .map(|(index, tx)| of(block, index, tx))
        .collect()
}

fn of(block: &Block, index: usize, tx: &MinedTx) -> TransactionReceipt {
    let mut logs = tx_logs(block, index, tx);
    // The consensus receipt has the same logs in the same order.
    let inner = tx.receipt.clone().map_logs(|log| {
        logs.next().unwrap_or_else(|| alloy_rpc_types_eth::Log {
            inner: log,
            ..alloy_rpc_types_eth::Log::default()
        })
    });
    TransactionReceipt {
        inner,
        transaction_hash: tx.signed.hash,
        transaction_index: u64::try_from(index).ok(),
        block_hash: Some(block.hash),
        block_number: Some(block.header.number),
        gas_used: tx.gas_used,
        effective_gas_price: tx.gas_price,
        blob_gas_used: None,
        blob_gas_price: None,
        from: tx.signed.sender,
        to: tx.signed.envelope.to(),
        contract_address: tx.created,
    }
}
