//! The chain itself: a state machine without threads, sockets or waiting.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use alloy_consensus::Transaction as _;
use alloy_eips::{
    calc_next_block_base_fee,
    eip1559::{BaseFeeParams, INITIAL_BASE_FEE},
};
use alloy_primitives::{Address, B256, U256, keccak256};
use faregate_types::{Asset, ChainId};

use super::{
    blocks::{Block, Blocks},
    build::{Draft, build},
    clock::Clock,
    config::ChainConfig,
    credit::CreditConfig,
    error::{CallError, DevchainError, TxRejection},
    evm::BlockContext,
    filters::Filters,
    genesis, limits,
    pool::Pool,
    state::{Changes, State, View},
    tx::SignedTx,
};

/// An EVM chain in memory. Every method is done when it returns.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) chain_id: u64,
    /// The test USDC.
    pub(crate) usdc: Address,
    pub(crate) blocks: Blocks,
    pub(crate) pool: Pool,
    pub(crate) filters: Filters,
    pub(crate) impersonated: HashSet<Address>,
    pub(crate) mining: Mining,
    pub(super) state: State,
    pub(super) undo: VecDeque<Undo>,
    pub(super) snapshots: VecDeque<Snapshot>,
    pub(super) snapshots_taken: u64,
    pub(super) time: Time,
    pub(super) next_base_fee: Option<u64>,
    /// Counts reorganisations, so that a block made again differs from the one it replaces.
    pub(super) forks: u64,
    /// Number of the newest step.
    steps: u64,
    /// Number of the newest step that can no longer be undone.
    steps_forgotten: u64,
    /// The oldest block whose state can be seen.
    undo_floor: u64,
    finality_depth: u64,
    clock: Arc<dyn Clock>,
}

/// When blocks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mining {
    /// As soon as a transaction can run, one block for each.
    Auto,
    /// At this interval.
    Interval(Duration),
    /// Only on request.
    Manual,
}

/// One step that can be taken back: a block or a direct edit.
#[derive(Debug)]
pub(super) struct Undo {
    /// Tells steps apart for ever.
    pub(super) id: u64,
    /// The newest block after the step.
    pub(super) block: u64,
    pub(super) changes: Changes,
}

/// How chain time differs from the clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Time {
    /// Seconds added to the clock (may be negative).
    pub(super) offset: i64,
    /// Exactly this time for the next block.
    pub(super) next: Option<u64>,
}

/// A place to come back to.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) id: u64,
    /// The newest step at that time.
    pub(super) step: u64,
    /// The newest block at that time.
    pub(super) block: u64,
    pub(super) pool: Pool,
    pub(super) time: Time,
    pub(super) next_base_fee: Option<u64>,
}

/// A block that a client names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockRef {
    Latest,
    Pending,
    Earliest,
    /// `finalized` and `safe`.
    Finalized,
    Number(u64),
    Hash(B256),
}

impl Chain {
    /// Makes the first block.
    pub(crate) fn new(config: &ChainConfig) -> Result<Self, DevchainError> {
        let chain_id = ChainId::new(config.chain_id).ok_or(DevchainError::ZeroChain)?;
        let assets = genesis::assets(chain_id, config.asset.as_ref())?;
        let mining = match config.block_time {
            Some(interval) if interval < limits::BLOCK_TIME_MIN => {
                return Err(DevchainError::BlockTime(interval));
            }
            Some(interval) => Mining::Interval(interval),
            None => Mining::Auto,
        };
        let mut chain = Self {
            chain_id: config.chain_id,
            usdc: assets
                .first()
                .map_or(Address::ZERO, |asset| asset.id.token()),
            blocks: Blocks::default(),
            pool: Pool::default(),
            filters: Filters::default(),
            impersonated: HashSet::new(),
            mining,
            state: State::default(),
            undo: VecDeque::new(),
            snapshots: VecDeque::new(),
            snapshots_taken: 0,
            time: Time::default(),
            next_base_fee: None,
            forks: 0,
            steps: 0,
            steps_forgotten: 0,
            undo_floor: 0,
            finality_depth: config.finality_depth,
            clock: Arc::clone(&config.clock),
        };
        chain.start(&assets, config.credit.as_ref())?;
        Ok(chain)
    }

    fn start(
        &mut self,
        assets: &[Asset],
        credit: Option<&CreditConfig>,
    ) -> Result<(), DevchainError> {
        let context = BlockContext {
            number: 0,
            timestamp: self.clock.now_secs(),
            base_fee: INITIAL_BASE_FEE,
            ..self.context_after(None)
        };
        let mut view = View::new(&self.state, &self.blocks);
        genesis::fill(&mut view, &context, assets, credit)?;
        let changes = view.into_changes();
        self.state.apply(changes);
        let draft = build(
            View::new(&self.state, &self.blocks),
            &context,
            B256::ZERO,
            Vec::new(),
        );
        self.blocks.push(draft.block);
        Ok(())
    }

    /// The newest block. There always is one: the first is made by `new` and cannot be taken away.
    pub(crate) fn head(&self) -> Option<&Arc<Block>> {
        self.blocks.head()
    }

    /// Number of the newest block.
    pub(crate) fn head_number(&self) -> u64 {
        self.head().map_or(0, |block| block.header.number)
    }

    /// The state as it stands.
    pub(crate) fn latest(&self) -> View<'_> {
        View::new(&self.state, &self.blocks)
    }

    /// The clock of the chain: what `block.timestamp` would be now, unless the next block was given a time.
    pub(crate) fn now(&self) -> u64 {
        let now = self
            .clock
            .now_secs()
            .saturating_add_signed(self.time.offset);
        let parent = self.head().map_or(0, |head| head.header.timestamp);
        // Never less than the parent. Equal is allowed: many blocks may share a second, so that chain time does not run
        // ahead of the clock under load, which would make signatures with a short validity expire.
        now.max(parent)
    }

    /// The clock outside.
    pub(super) fn clock_secs(&self) -> u64 {
        self.clock.now_secs()
    }

    /// What the next block will look like to contracts.
    pub(crate) fn next_context(&self) -> BlockContext {
        let mut context = self.context_after(self.head().map(AsRef::as_ref));
        if let Some(next) = self.time.next {
            let parent = self.head().map_or(0, |head| head.header.timestamp);
            context.timestamp = next.max(parent);
        }
        context
    }

    fn context_after(&self, parent: Option<&Block>) -> BlockContext {
        let number = parent.map_or(0, |block| block.header.number.saturating_add(1));
        let parent_hash = parent.map_or(B256::ZERO, |block| block.hash);
        BlockContext {
            chain_id: self.chain_id,
            number,
            timestamp: self.now(),
            base_fee: self.base_fee_after(parent),
            gas_limit: limits::BLOCK_GAS_MAX,
            coinbase: Address::ZERO,
            prevrandao: keccak256([parent_hash.as_slice(), &self.forks.to_be_bytes()].concat()),
        }
    }

    /// The base fee of the next block, in wei per gas.
    pub(crate) fn base_fee_after(&self, parent: Option<&Block>) -> u64 {
        if let Some(fee) = self.next_base_fee {
            return fee;
        }
        parent.map_or(INITIAL_BASE_FEE, |block| next_base_fee(&block.header))
    }

    /// Takes a transaction, and mines it at once if the chain does that.
    pub(crate) fn submit(&mut self, signed: SignedTx) -> Result<B256, TxRejection> {
        self.check(&signed)?;
        let hash = self.pool.insert(signed)?;
        if self.mining == Mining::Auto {
            let refused = self.mine_ready();
            if let Some((_, rejection)) = refused.into_iter().find(|(refused, _)| *refused == hash)
            {
                return Err(rejection);
            }
        }
        Ok(hash)
    }

    /// Mines one block for each transaction that can run, until none is left.
    pub(crate) fn mine_ready(&mut self) -> Vec<(B256, TxRejection)> {
        let mut refused = Vec::new();
        while let Some(first) = self.ready().into_iter().next() {
            let draft = self.draft(vec![first]);
            refused.extend(draft.refused.iter().cloned());
            if draft.block.txs.is_empty() {
                if draft.refused.is_empty() {
                    break;
                }
                self.drop_refused(&draft.refused);
                continue;
            }
            self.adopt(draft);
        }
        refused
    }

    /// Mines one block with everything that can run and fits.
    pub(crate) fn mine_one(&mut self) {
        let ready = self.ready();
        let draft = self.draft(ready);
        self.adopt(draft);
    }

    fn ready(&self) -> Vec<Arc<SignedTx>> {
        let latest = self.latest();
        let base_fee = self.base_fee_after(self.head().map(AsRef::as_ref));
        self.pool.ready(base_fee, |sender| latest.nonce(sender))
    }

    /// The block that would be mined now, with what waits in the pool.
    pub(crate) fn pending(&self) -> Draft {
        self.draft(self.ready())
    }

    /// Makes a block of these transactions without adopting it.
    pub(super) fn draft(&self, txs: Vec<Arc<SignedTx>>) -> Draft {
        let parent = self.head().map_or(B256::ZERO, |head| head.hash);
        build(self.latest(), &self.next_context(), parent, txs)
    }

    /// Makes a draft the newest block.
    pub(super) fn adopt(&mut self, draft: Draft) {
        let Draft {
            block,
            changes,
            refused,
        } = draft;
        let undo = self.state.apply(changes);
        // A given time holds for one block, and from then on the chain's clock goes on from there.
        if self.time.next.take().is_some() {
            self.time.offset = offset(block.header.timestamp, self.clock.now_secs());
        }
        self.next_base_fee = None;
        for tx in &block.txs {
            self.pool.remove_used(
                tx.signed.sender,
                tx.signed.envelope.nonce().saturating_add(1),
            );
        }
        self.drop_refused(&refused);
        let number = block.header.number;
        self.blocks.push(block);
        self.remember(number, undo);
    }

    fn drop_refused(&mut self, refused: &[(B256, TxRejection)]) {
        for (hash, rejection) in refused {
            tracing::debug!(tx = %hash, %rejection, "transaction dropped");
            self.pool.remove(hash);
        }
    }

    pub(super) fn remember(&mut self, block: u64, changes: Changes) {
        self.steps = self.steps.saturating_add(1);
        self.undo.push_back(Undo {
            id: self.steps,
            block,
            changes,
        });
        if self.undo.len() > limits::UNDO_KEPT_MAX
            && let Some(forgotten) = self.undo.pop_front()
        {
            self.undo_floor = forgotten.block;
            self.steps_forgotten = forgotten.id;
            // Nobody can come back to a place before the oldest step that is kept.
            self.snapshots
                .retain(|snapshot| snapshot.step >= forgotten.id);
        }
    }

    /// Number of the newest step that still counts.
    pub(super) fn newest_step(&self) -> u64 {
        self.undo
            .back()
            .map_or(self.steps_forgotten, |step| step.id)
    }

    /// Changes state directly, outside of any transaction. The change belongs to the newest block.
    pub(crate) fn edit(&mut self, edit: impl FnOnce(&mut View<'_>)) {
        let mut view = self.latest();
        edit(&mut view);
        let changes = view.into_changes();
        if changes.is_empty() {
            return;
        }
        let undo = self.state.apply(changes);
        self.remember(self.head_number(), undo);
    }

    /// The block a client means; `None` if there is no such block, and for `Pending`, which is not a block yet.
    pub(crate) fn block(&self, block: BlockRef) -> Option<&Arc<Block>> {
        match block {
            BlockRef::Latest => self.head(),
            BlockRef::Pending => None,
            BlockRef::Earliest => self.blocks.by_number(0),
            BlockRef::Finalized => self.blocks.by_number(self.finalized_number()),
            BlockRef::Number(number) => self.blocks.by_number(number),
            BlockRef::Hash(hash) => self.blocks.by_hash(&hash),
        }
    }

    /// Number of the newest finalized block.
    pub(crate) fn finalized_number(&self) -> u64 {
        self.head_number().saturating_sub(self.finality_depth)
    }

    /// The state after a block. For `Pending`: with everything applied that would be mined now.
    pub(crate) fn view_at(&self, block: BlockRef) -> Result<View<'_>, CallError> {
        if block == BlockRef::Pending {
            let mut view = self.latest();
            if self.pool.iter().next().is_some() {
                view.see_through(&self.pending().changes);
            }
            return Ok(view);
        }
        let number = self.block(block).ok_or(CallError::NoBlock)?.header.number;
        let mut view = self.latest();
        if number == self.head_number() {
            return Ok(view);
        }
        let oldest = self.oldest_state();
        if number < oldest {
            return Err(CallError::StatePruned {
                block: number,
                oldest,
            });
        }
        for step in self
            .undo
            .iter()
            .rev()
            .take_while(|step| step.block > number)
        {
            view.see_through(&step.changes);
        }
        Ok(view)
    }

    /// The oldest block whose state can be seen.
    pub(crate) fn oldest_state(&self) -> u64 {
        self.undo_floor.max(self.blocks.oldest())
    }

    /// The next nonce of an account, counting what waits in the pool.
    pub(crate) fn pending_nonce(&self, account: Address) -> u64 {
        self.pool.next_nonce(account, self.latest().nonce(account))
    }

    /// A tip a client may offer, in wei per gas.
    pub(crate) const fn suggested_tip(&self) -> u128 {
        SUGGESTED_TIP_WEI
    }

    /// Balance of test USDC in its smallest unit.
    pub(crate) fn usdc_balance(&self, account: Address) -> Result<U256, CallError> {
        let output = self.call_contract(self.usdc, genesis::balance_input(account))?;
        U256::try_from_be_slice(&output).ok_or(CallError::Argument(
            "the test USDC did not answer with a number",
        ))
    }
}

/// Base fee after a block by the rule of EIP-1559, in wei per gas.
pub(crate) fn next_base_fee(header: &alloy_consensus::Header) -> u64 {
    let parent = header.base_fee_per_gas.unwrap_or(INITIAL_BASE_FEE);
    calc_next_block_base_fee(
        header.gas_used,
        header.gas_limit,
        parent.min(BASE_FEE_WEI_MAX),
        BaseFeeParams::ethereum(),
    )
}

/// How far `to` is from `from`, in seconds.
pub(super) fn offset(to: u64, from: u64) -> i64 {
    let distance = i64::try_from(to.abs_diff(from)).unwrap_or(i64::MAX);
    if to >= from { distance } else { -distance }
}

/// What `eth_maxPriorityFeePerGas` answers on an idle chain: 1 gwei.
const SUGGESTED_TIP_WEI: u128 = 1_000_000_000;
/// Far above every real base fee; keeps the arithmetic of the next one away from overflow.
pub(super) const BASE_FEE_WEI_MAX: u64 = 1_000_000_000_000_000_000;
