//! What a test may do to the chain that nobody can do to a real one.

use std::sync::Arc;

use alloy_consensus::{TxEip1559, TypedTransaction};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use revm::bytecode::Bytecode;

use super::{
    blocks::Block,
    build::Draft,
    engine::{BASE_FEE_WEI_MAX, Chain, Mining, Snapshot, offset},
    error::{ControlError, TxRejection},
    genesis, limits,
    tx::SignedTx,
};

/// What becomes of the transactions in blocks that a reorganisation takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// They never happened, as if nobody had relayed them again.
    Forget,
    /// They wait in the pool again. With automine they are mined again at once, in blocks after the new ones.
    ReturnToPool,
}

/// Time.
impl Chain {
    /// Moves the clock of the chain forward; answers how far it is from the real one now, in seconds.
    pub(crate) fn increase_time(&mut self, secs: u64) -> Result<i64, ControlError> {
        let after = self.now().saturating_add(secs);
        if after > limits::TIMESTAMP_MAX {
            return Err(ControlError::TimeRange(after));
        }
        let secs = i64::try_from(secs).unwrap_or(i64::MAX);
        self.time.offset = self.time.offset.saturating_add(secs);
        Ok(self.time.offset)
    }

    /// Gives the next block exactly this time.
    pub(crate) fn set_next_timestamp(&mut self, timestamp: u64) -> Result<(), ControlError> {
        if timestamp > limits::TIMESTAMP_MAX {
            return Err(ControlError::TimeRange(timestamp));
        }
        let parent = self.head().map_or(0, |head| head.header.timestamp);
        if timestamp < parent {
            return Err(ControlError::TimeBackwards {
                asked: timestamp,
                parent,
            });
        }
        self.time.next = Some(timestamp);
        Ok(())
    }

    /// Sets the clock of the chain; the next block gets at least this time.
    pub(crate) fn set_time(&mut self, timestamp: u64) -> Result<i64, ControlError> {
        if timestamp > limits::TIMESTAMP_MAX {
            return Err(ControlError::TimeRange(timestamp));
        }
        self.time.offset = offset(timestamp, self.clock_secs());
        Ok(self.time.offset)
    }
}

/// Mining.
impl Chain {
    /// Mines `count` blocks, `interval_secs` apart if given; the first one takes what waits in the pool and fits, the
    /// next ones what is left.
    pub(crate) fn mine(
        &mut self,
        count: u64,
        interval_secs: Option<u64>,
    ) -> Result<(), ControlError> {
        if count > limits::MINE_BLOCKS_MAX {
            return Err(ControlError::TooManyBlocks {
                asked: count,
                max: limits::MINE_BLOCKS_MAX,
            });
        }
        for index in 0..count {
            if let Some(interval) = interval_secs
                && index > 0
            {
                let parent = self.head().map_or(0, |head| head.header.timestamp);
                self.set_next_timestamp(parent.saturating_add(interval))?;
            }
            self.mine_one();
        }
        Ok(())
    }

    /// Changes when blocks are made. Turning automine on mines what can run.
    pub(crate) fn set_mining(&mut self, mining: Mining) {
        self.mining = mining;
        if mining == Mining::Auto {
            self.mine_ready();
        }
    }

    /// Sets the base fee of the next block, in wei per gas.
    pub(crate) fn set_next_base_fee(&mut self, fee: u64) {
        self.next_base_fee = Some(fee.min(BASE_FEE_WEI_MAX));
    }
}

/// Going back.
impl Chain {
    /// Remembers this moment.
    pub(crate) fn snapshot(&mut self) -> u64 {
        self.snapshots_taken = self.snapshots_taken.saturating_add(1);
        let snapshot = Snapshot {
            id: self.snapshots_taken,
            step: self.newest_step(),
            block: self.head_number(),
            pool: self.pool.clone(),
            time: self.time,
            next_base_fee: self.next_base_fee,
        };
        self.snapshots.push_back(snapshot);
        if self.snapshots.len() > limits::SNAPSHOTS_MAX {
            self.snapshots.pop_front();
        }
        self.snapshots_taken
    }

    /// Goes back to a remembered moment: blocks, state, pool and time. Uses it up, and all taken after it. `false` if
    /// there is no such snapshot, or a reorganisation since then took away the blocks it stood on.
    pub(crate) fn revert(&mut self, id: u64) -> bool {
        let Some(position) = self.snapshots.iter().position(|snapshot| snapshot.id == id) else {
            return false;
        };
        let mut gone = self.snapshots.split_off(position);
        let Some(snapshot) = gone.pop_front() else {
            return false;
        };
        while let Some(step) = self.undo.pop_back_if(|step| step.id > snapshot.step) {
            self.state.apply(step.changes);
        }
        while self.head_number() > snapshot.block {
            self.blocks.pop();
        }
        self.forks = self.forks.saturating_add(1);
        self.pool = snapshot.pool;
        self.time = snapshot.time;
        self.next_base_fee = snapshot.next_base_fee;
        self.filters.rewind(self.head_number());
        true
    }

    /// Replaces the newest `depth` blocks by `depth` others, which are empty except for `txs`: pairs of a transaction
    /// and the index of the new block that holds it, from 0.
    pub(crate) fn reorg(
        &mut self,
        depth: u64,
        txs: Vec<(u64, SignedTx)>,
        dropped: Dropped,
    ) -> Result<(), ControlError> {
        if let Some((asked, _)) = txs.iter().find(|(index, _)| *index >= depth) {
            return Err(ControlError::BlockOutside {
                asked: *asked,
                depth,
            });
        }
        let old = self.roll_back(depth)?;
        let mut txs: Vec<(u64, Arc<SignedTx>)> = txs
            .into_iter()
            .map(|(index, tx)| (index, Arc::new(tx)))
            .collect();
        for index in 0..depth {
            let (now, later) = txs.into_iter().partition(|(block, _)| *block == index);
            txs = later;
            let draft: Draft = self.draft(now.into_iter().map(|(_, tx): (u64, _)| tx).collect());
            self.adopt(draft);
        }
        self.filters
            .rewind(self.head_number().saturating_sub(depth));
        if dropped == Dropped::ReturnToPool {
            self.return_to_pool(&old);
        }
        for sender in self.pool.senders() {
            let next = self.latest().nonce(sender);
            self.pool.remove_used(sender, next);
        }
        if self.mining == Mining::Auto {
            self.mine_ready();
        }
        Ok(())
    }

    /// Takes blocks away without putting others in their place.
    fn roll_back(&mut self, depth: u64) -> Result<Vec<Arc<Block>>, ControlError> {
        let max = self.head_number().saturating_sub(self.oldest_state());
        if depth > max {
            return Err(ControlError::Depth { asked: depth, max });
        }
        let target = self.head_number().saturating_sub(depth);
        while let Some(step) = self.undo.pop_back_if(|step| step.block > target) {
            self.state.apply(step.changes);
        }
        let newest = self.newest_step();
        self.snapshots.retain(|snapshot| snapshot.step <= newest);
        let mut old = Vec::new();
        while self.head_number() > target {
            old.extend(self.blocks.pop());
        }
        old.reverse();
        self.forks = self.forks.saturating_add(1);
        Ok(old)
    }

    fn return_to_pool(&mut self, old: &[Arc<Block>]) {
        for tx in old.iter().flat_map(|block| &block.txs) {
            if self.blocks.tx(&tx.signed.hash).is_none() {
                self.pool.put_back(Arc::clone(&tx.signed));
            }
        }
    }
}

/// Direct edits of accounts.
impl Chain {
    /// Sets the code of an account; its storage stays.
    pub(crate) fn set_code(&mut self, account: Address, code: Bytes) -> Result<(), ControlError> {
        let code = Bytecode::new_raw_checked(code).map_err(|_| ControlError::Bytecode)?;
        self.edit(|view| {
            view.edit(account, |info| {
                info.set_code(code);
            });
        });
        Ok(())
    }

    /// Sets the balance of an account, in wei.
    pub(crate) fn set_balance(&mut self, account: Address, wei: U256) {
        self.edit(|view| {
            view.edit(account, |info| {
                info.balance = wei;
            });
        });
    }

    /// Sets the nonce of an account, not to less than it is.
    pub(crate) fn set_nonce(&mut self, account: Address, nonce: u64) -> Result<(), ControlError> {
        let current = self.latest().nonce(account);
        if nonce < current {
            return Err(ControlError::NonceLower { current });
        }
        self.edit(|view| {
            view.edit(account, |info| {
                info.nonce = nonce;
            });
        });
        self.pool.remove_used(account, nonce);
        Ok(())
    }

    /// Sets one storage slot of an account.
    pub(crate) fn set_storage(&mut self, account: Address, slot: U256, value: U256) {
        self.edit(|view| view.set_slot(account, slot, value));
    }

    /// Mints test USDC with a transaction of the chain's own faucet. With automine it is mined when this returns.
    pub(crate) fn mint(&mut self, to: Address, value: U256) -> Result<B256, TxRejection> {
        let base_fee = u128::from(self.base_fee_after(self.head().map(AsRef::as_ref)));
        let tx = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.pending_nonce(genesis::FAUCET),
            gas_limit: MINT_GAS,
            // Enough for a few full blocks in a row before it.
            max_fee_per_gas: base_fee.saturating_mul(4),
            max_priority_fee_per_gas: 0,
            to: TxKind::Call(self.usdc),
            value: U256::ZERO,
            access_list: alloy_eips::eip2930::AccessList::default(),
            input: genesis::mint_input(to, value),
        };
        let signed = SignedTx::sign(
            TypedTransaction::Eip1559(tx),
            genesis::FAUCET,
            self.chain_id,
        )?;
        self.submit(signed)
    }
}

/// Minting takes about 70,000 the first time.
const MINT_GAS: u64 = 150_000;
