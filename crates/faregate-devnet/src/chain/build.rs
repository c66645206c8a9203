//! Making a block out of waiting transactions.

use std::sync::Arc;

use alloy_consensus::{
    Header, Receipt, ReceiptEnvelope, Transaction as _, TxEnvelope,
    constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_WITHDRAWALS},
    proofs::{calculate_receipt_root, calculate_transaction_root},
};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{B256, Bloom, Bytes};
use alloy_rlp::Encodable as _;
use revm::context_interface::result::ExecutionResult;

use super::{
    blocks::{Block, MinedTx},
    error::TxRejection,
    evm::{BlockContext, Runner},
    state::{Changes, View},
    tx::SignedTx,
};

/// A block that is made but not yet part of the chain.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) block: Block,
    pub(crate) changes: Changes,
    /// Transactions that turned out not to be valid.
    pub(crate) refused: Vec<(B256, TxRejection)>,
}

/// Runs `candidates` in order, as many as the block has gas for.
pub(crate) fn build(
    mut view: View<'_>,
    context: &BlockContext,
    parent: B256,
    candidates: Vec<Arc<SignedTx>>,
) -> Draft {
    let mut runner = Runner::mining(&mut view, context);
    let mut txs = Vec::new();
    let mut refused = Vec::new();
    let mut totals = Totals::default();
    let mut held_back = Vec::new();
    for signed in candidates {
        // When one transaction does not fit, later ones of the same sender cannot run either.
        if held_back.contains(&signed.sender) {
            continue;
        }
        if signed.envelope.gas_limit() > context.gas_limit.saturating_sub(totals.gas_used) {
            held_back.push(signed.sender);
            continue;
        }
        match runner.commit(signed.to_env()) {
            Ok(result) => txs.push(mined(signed, result, context, &mut totals)),
            Err(rejection) => {
                held_back.push(signed.sender);
                refused.push((signed.hash, rejection));
            }
        }
    }
    drop(runner);
    let changes = view.into_changes();
    let block = seal(txs, context, parent, &totals);
    Draft {
        block,
        changes,
        refused,
    }
}

/// Sums over the transactions of a block so far.
#[derive(Debug, Default)]
struct Totals {
    gas_used: u64,
    logs: u64,
    bloom: Bloom,
}

fn mined(
    signed: Arc<SignedTx>,
    result: ExecutionResult,
    context: &BlockContext,
    totals: &mut Totals,
) -> MinedTx {
    let gas_used = result.tx_gas_used();
    totals.gas_used = totals.gas_used.saturating_add(gas_used);
    let created = result.created_address();
    let success = result.is_success();
    // Only what succeeds has logs; those of a reverted run never happened.
    let logs = if success {
        result.into_logs()
    } else {
        Vec::new()
    };
    let logs_before = totals.logs;
    totals.logs = totals
        .logs
        .saturating_add(logs.len().try_into().unwrap_or(u64::MAX));
    let receipt = Receipt {
        status: success.into(),
        cumulative_gas_used: totals.gas_used,
        logs,
    }
    .with_bloom();
    totals.bloom.accrue_bloom(&receipt.logs_bloom);
    let created = created.or_else(|| {
        // A creation that failed still has the address it would have had, as receipts of nodes show it.
        signed
            .envelope
            .is_create()
            .then(|| signed.sender.create(signed.envelope.nonce()))
    });
    MinedTx {
        gas_used,
        gas_price: signed.envelope.effective_gas_price(Some(context.base_fee)),
        created,
        logs_before,
        receipt: ReceiptEnvelope::from_typed(signed.envelope.tx_type(), receipt),
        signed,
    }
}

/// The header over everything in the block.
///
/// `state_root` stays zero: a Merkle root over all accounts for each block would cost more than everything else here,
/// and no client can use it without `eth_getProof`, which this chain does not answer. All other fields are true, and the
/// hash is that of the header as it stands.
fn seal(txs: Vec<MinedTx>, context: &BlockContext, parent: B256, totals: &Totals) -> Block {
    let envelopes: Vec<&TxEnvelope> = txs.iter().map(|tx| &tx.signed.envelope).collect();
    let receipts: Vec<&ReceiptEnvelope> = txs.iter().map(|tx| &tx.receipt).collect();
    let header = Header {
        parent_hash: parent,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: context.coinbase,
        state_root: B256::ZERO,
        transactions_root: calculate_transaction_root(&envelopes),
        receipts_root: calculate_receipt_root(&receipts),
        logs_bloom: totals.bloom,
        number: context.number,
        gas_limit: context.gas_limit,
        gas_used: totals.gas_used,
        timestamp: context.timestamp,
        extra_data: Bytes::from_static(b"faregate"),
        mix_hash: context.prevrandao,
        base_fee_per_gas: Some(context.base_fee),
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    };
    let hash = header.hash_slow();
    let body: usize = txs
        .iter()
        .map(|tx| tx.signed.envelope.eip2718_encoded_length())
        .sum();
    Block {
        hash,
        size: header.length().saturating_add(body),
        header,
        txs,
    }
}
