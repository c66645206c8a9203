//! What gas has cost.

use alloy_consensus::Transaction as _;
use alloy_rpc_types_eth::FeeHistory;

use super::{
    blocks::Block,
    engine::{BlockRef, Chain, next_base_fee},
    error::CallError,
    limits,
};

impl Chain {
    /// What a legacy transaction should offer per unit of gas, in wei.
    pub(crate) fn gas_price(&self) -> u128 {
        u128::from(self.base_fee_after(self.head().map(AsRef::as_ref)))
            .saturating_add(self.suggested_tip())
    }

    /// Base fees, fullness and tips of `count` blocks up to `newest`. `percentiles` are in ten-thousandths of a percent.
    pub(crate) fn fee_history(
        &self,
        count: u64,
        newest: BlockRef,
        percentiles: Option<&[u64]>,
    ) -> Result<FeeHistory, CallError> {
        // What is not mined yet has no history.
        let newest = if newest == BlockRef::Pending {
            BlockRef::Latest
        } else {
            newest
        };
        let last = self.block(newest).ok_or(CallError::NoBlock)?.header.number;
        let count = count
            .min(limits::FEE_HISTORY_BLOCKS_MAX)
            .min(last.saturating_add(1));
        let first = last
            .saturating_add(1)
            .saturating_sub(count)
            .max(self.blocks.oldest());
        let blocks: Vec<&Block> = (first..=last)
            .filter(|_| count > 0)
            .filter_map(|number| self.blocks.by_number(number))
            .map(AsRef::as_ref)
            .collect();
        let Some(last_block) = blocks.last() else {
            return Ok(FeeHistory {
                oldest_block: first,
                ..FeeHistory::default()
            });
        };
        let after = if last == self.head_number() {
            self.base_fee_after(Some(last_block))
        } else {
            next_base_fee(&last_block.header)
        };
        let base_fees = blocks
            .iter()
            .map(|block| block.header.base_fee_per_gas.unwrap_or_default());
        Ok(FeeHistory {
            base_fee_per_gas: base_fees.chain([after]).map(u128::from).collect(),
            gas_used_ratio: blocks
                .iter()
                .map(|block| ratio(block.header.gas_used, block.header.gas_limit))
                .collect(),
            base_fee_per_blob_gas: vec![1; blocks.len().saturating_add(1)],
            blob_gas_used_ratio: vec![0.0; blocks.len()],
            oldest_block: first,
            reward: percentiles
                .map(|wanted| blocks.iter().map(|block| tips(block, wanted)).collect()),
        })
    }
}

/// The tips at these percentiles of the block's gas.
fn tips(block: &Block, percentiles: &[u64]) -> Vec<u128> {
    let base_fee = block.header.base_fee_per_gas.unwrap_or_default();
    let mut paid: Vec<(u128, u64)> = block
        .txs
        .iter()
        .map(|tx| {
            let tip = tx
                .signed
                .envelope
                .effective_tip_per_gas(base_fee)
                .unwrap_or_default();
            (tip, tx.gas_used)
        })
        .collect();
    paid.sort_unstable();
    percentiles
        .iter()
        .map(|percentile| {
            let threshold =
                u128::from(block.header.gas_used).saturating_mul(u128::from(*percentile));
            let mut gas = 0_u128;
            paid.iter()
                .find(|(_, gas_used)| {
                    gas = gas.saturating_add(u128::from(*gas_used));
                    gas.saturating_mul(PERCENTILE_SCALE) >= threshold
                })
                .or(paid.last())
                .map_or(0, |(tip, _)| *tip)
        })
        .collect()
}

/// `part / whole` as a float, made from text because floats are not calculated with here.
fn ratio(part: u64, whole: u64) -> f64 {
    let millionths = u128::from(part)
        .saturating_mul(1_000_000)
        .checked_div(u128::from(whole))
        .unwrap_or_default();
    format!("{millionths}e-6").parse().unwrap_or(0.0)
}

/// 100 % in ten-thousandths of a percent.
const PERCENTILE_SCALE: u128 = 1_000_000;
