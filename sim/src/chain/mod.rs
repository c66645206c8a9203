//! A model of an EVM chain with one token: accounts and their nonces, a pool, blocks, reorganisations.
//!
//! The token follows EIP-3009: an authorization is good once, within its window, while the payer has the money. What is
//! not modelled: gas is free, and blocks have room for everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use faregate_types::Authorization;

use crate::chance::Chance;
use crate::world::EPOCH_SECS;

pub mod decode;

/// A transaction.
#[derive(Clone, Debug)]
pub struct Tx {
    /// Its hash.
    pub hash: B256,
    /// Who sent it.
    pub from: Address,
    /// The sender's nonce; `None` for somebody whose nonces do not matter here.
    pub nonce: Option<u64>,
    /// The most it pays per gas.
    pub fee_max: u128,
    /// Whom it calls.
    pub to: Address,
    /// What it calls.
    pub input: Bytes,
    /// What that is.
    pub call: Call,
}

/// A transfer by authorization.
#[derive(Clone, Debug)]
pub struct Order {
    /// The authorization.
    pub authorization: Authorization,
    /// Whether its signature is the payer's.
    pub signed: bool,
}

/// What a transaction does.
#[derive(Clone, Debug)]
pub enum Call {
    /// Moves money by an authorization.
    Transfer(Order),
    /// Moves money by several, each for itself: one that fails does not stop the others.
    Batch(Vec<Order>),
    /// Moves money of the sender.
    Spend {
        /// To whom.
        to: Address,
        /// How much.
        value: U256,
    },
    /// Nothing of interest.
    Nothing,
}

impl Call {
    /// The transfers in it.
    #[must_use]
    pub fn orders(&self) -> &[Order] {
        match self {
            Self::Transfer(order) => std::slice::from_ref(order),
            Self::Batch(orders) => orders,
            Self::Spend { .. } | Self::Nothing => &[],
        }
    }
}

/// A mined transaction.
#[derive(Clone, Debug)]
pub struct Mined {
    /// The transaction.
    pub tx: Arc<Tx>,
    /// False when it was reverted.
    pub ok: bool,
    /// Which of its transfers moved money.
    pub moved: Vec<bool>,
}

/// A block.
#[derive(Clone, Debug)]
pub struct Block {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Its time, in seconds since 1970.
    pub time: u64,
    /// What is in it.
    pub mined: Vec<Mined>,
    /// What is true after it.
    pub state: Arc<State>,
}

/// What is true after a block.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// The next nonce of each sender.
    pub nonces: BTreeMap<Address, u64>,
    /// Money.
    pub balances: BTreeMap<Address, U256>,
    /// Used authorizations, with the block and the transaction that used them.
    pub used: BTreeMap<(Address, B256), (u64, B256)>,
}

/// Why the pool did not take a transaction, in the words of nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The nonce is used up.
    NonceTooLow,
    /// Another transaction has this nonce and offers as much.
    Underpriced,
    /// It has this one.
    Known,
}

/// The chain and its pool.
#[derive(Debug)]
pub struct Chain {
    blocks: Vec<Block>,
    pool: Vec<Arc<Tx>>,
    mined: BTreeMap<B256, u64>,
    blocks_made: u64,
    /// How often each authorization was ever mined with success, also in blocks that were taken back.
    pub ever_moved: BTreeMap<(Address, B256), u64>,
    /// Transactions that ever moved the money of more than one payment.
    pub shared: BTreeSet<B256>,
    /// How many blocks must follow one before it can no longer be taken back.
    pub finality: u64,
}

impl Chain {
    /// A chain with one block and some money on it, on which so many blocks make one final.
    #[must_use]
    pub fn new(balances: BTreeMap<Address, U256>, finality: u64) -> Self {
        let state = State {
            balances,
            ..State::default()
        };
        let genesis = Block {
            number: 0,
            hash: keccak256(b"genesis"),
            time: EPOCH_SECS - 1,
            mined: Vec::new(),
            state: Arc::new(state),
        };
        Self {
            blocks: vec![genesis],
            pool: Vec::new(),
            mined: BTreeMap::new(),
            blocks_made: 0,
            ever_moved: BTreeMap::new(),
            shared: BTreeSet::new(),
            finality,
        }
    }

    /// The block that is `lag` blocks below the newest.
    #[must_use]
    pub fn block(&self, lag: u64) -> &Block {
        let last = self.blocks.len().saturating_sub(1);
        let at = last.saturating_sub(usize::try_from(lag).unwrap_or(usize::MAX));
        &self.blocks[at]
    }

    /// The block of this number.
    #[must_use]
    pub fn numbered(&self, number: u64) -> Option<&Block> {
        let at = usize::try_from(number).ok()?;
        self.blocks.get(at)
    }

    /// The newest state.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.block(0).state
    }

    /// The transactions that wait.
    #[must_use]
    pub fn pool(&self) -> &[Arc<Tx>] {
        &self.pool
    }

    /// The waiting transaction with this hash.
    #[must_use]
    pub fn waiting(&self, hash: B256) -> Option<&Arc<Tx>> {
        self.pool.iter().find(|tx| tx.hash == hash)
    }

    /// Where a transaction was mined.
    #[must_use]
    pub fn find(&self, hash: B256) -> Option<(&Block, &Mined)> {
        let block = self.numbered(*self.mined.get(&hash)?)?;
        block
            .mined
            .iter()
            .find(|mined| mined.tx.hash == hash)
            .map(|mined| (block, mined))
    }

    /// The next nonce of an account, with what waits without a gap.
    #[must_use]
    pub fn pending_nonce(&self, account: Address) -> u64 {
        let mut next = self.state().nonces.get(&account).copied().unwrap_or(0);
        while self
            .pool
            .iter()
            .any(|tx| tx.from == account && tx.nonce == Some(next))
        {
            next += 1;
        }
        next
    }

    /// Takes a transaction into the pool.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn submit(&mut self, tx: Tx) -> Result<(), Refused> {
        if self.waiting(tx.hash).is_some() {
            return Err(Refused::Known);
        }
        if let Some(nonce) = tx.nonce {
            let next = self.state().nonces.get(&tx.from).copied().unwrap_or(0);
            if nonce < next {
                return Err(Refused::NonceTooLow);
            }
            let same = |other: &Arc<Tx>| other.from == tx.from && other.nonce == tx.nonce;
            if let Some(rival) = self.pool.iter().find(|other| same(other)) {
                // Nodes want a tenth more.
                if tx.fee_max < rival.fee_max + rival.fee_max.div_ceil(10) {
                    return Err(Refused::Underpriced);
                }
                self.pool.retain(|other| !same(other));
            }
        } else if self.mined.contains_key(&tx.hash) {
            return Err(Refused::Known);
        }
        self.pool.push(Arc::new(tx));
        Ok(())
    }

    /// The pool forgets each transaction with this chance, in thousandths.
    pub fn forget(&mut self, chance: &mut Chance, per_mille: u64) -> Vec<B256> {
        let mut gone = Vec::new();
        self.pool.retain(|tx| {
            let stays = !chance.roll(per_mille);
            if !stays {
                gone.push(tx.hash);
            }
            stays
        });
        gone
    }

    /// Makes the next block of what waits. Those without a nonce come first: they paid more.
    pub fn mine(&mut self, now: u64) -> &Block {
        self.blocks_made += 1;
        let parent = self.block(0);
        let (number, time) = (parent.number + 1, now.max(parent.time + 1));
        let seed = [parent.hash.as_slice(), &self.blocks_made.to_be_bytes()].concat();
        let mut state = Arc::clone(&parent.state);
        let mut mined = Vec::new();
        self.pool.sort_by_key(|tx| tx.nonce);
        loop {
            let ready = self.pool.iter().position(|tx| {
                tx.nonce
                    .is_none_or(|nonce| state.nonces.get(&tx.from).copied().unwrap_or(0) == nonce)
            });
            let Some(ready) = ready else { break };
            let tx = self.pool.remove(ready);
            let (ok, moved) = Arc::make_mut(&mut state).run(&tx, number, time);
            let orders = tx.call.orders().iter().zip(&moved);
            for (order, _) in orders.filter(|(_, moved)| **moved) {
                let key = (order.authorization.from, order.authorization.nonce);
                *self.ever_moved.entry(key).or_default() += 1;
            }
            if moved.iter().filter(|moved| **moved).count() > 1 {
                self.shared.insert(tx.hash);
            }
            self.mined.insert(tx.hash, number);
            mined.push(Mined { tx, ok, moved });
        }
        // What can never be mined any more is thrown out.
        self.pool.retain(|tx| {
            tx.nonce
                .is_none_or(|nonce| nonce >= state.nonces.get(&tx.from).copied().unwrap_or(0))
        });
        self.blocks.push(Block {
            number,
            hash: keccak256(seed),
            time,
            mined,
            state,
        });
        self.block(0)
    }

    /// Takes the newest blocks back, `depth` at most; what was in them waits again. Then as many new ones are made, and one
    /// more, each with some of what waits.
    pub fn reorganise(&mut self, depth: u64, now: u64, chance: &mut Chance, vanish: u64) {
        let mut back = Vec::new();
        let mut taken = 0;
        while taken < depth && self.blocks.len() > 1 {
            let Some(block) = self.blocks.pop() else {
                break;
            };
            for mined in block.mined.into_iter().rev() {
                self.mined.remove(&mined.tx.hash);
                back.push(mined.tx);
            }
            taken += 1;
        }
        back.reverse();
        back.retain(|_| !chance.roll(vanish));
        back.extend(std::mem::take(&mut self.pool));
        let start = self.block(0).time;
        let passed = now.saturating_sub(start);
        for step in 0..taken {
            // Some come now, some later, in another order.
            let (now_ready, later): (Vec<_>, Vec<_>) =
                back.into_iter().partition(|_| chance.roll(500));
            self.pool = now_ready;
            if chance.roll(500) {
                self.pool.reverse();
            }
            // These blocks were made while the others were.
            self.mine(start + passed * (step + 1) / (taken + 1));
            back = std::mem::take(&mut self.pool);
            back.extend(later);
        }
        self.pool = back;
        self.mine(now);
    }

    /// How an authorization was used, by the chain as it is now.
    #[must_use]
    pub fn used(&self, from: Address, nonce: B256) -> Option<(u64, B256)> {
        self.state().used.get(&(from, nonce)).copied()
    }
}

impl State {
    /// Runs a transaction; false when it was reverted. Then which of its transfers moved money.
    fn run(&mut self, tx: &Tx, number: u64, time: u64) -> (bool, Vec<bool>) {
        if let Some(nonce) = tx.nonce {
            self.nonces.insert(tx.from, nonce + 1);
        }
        let moved: Vec<bool> = tx
            .call
            .orders()
            .iter()
            .map(|order| self.transfer(order, (number, tx.hash), time))
            .collect();
        let ok = match &tx.call {
            Call::Transfer(_) => moved == [true],
            Call::Spend { to, value } => {
                let enough = self.balance(tx.from) >= *value;
                if enough {
                    self.move_money(tx.from, *to, *value);
                }
                enough
            }
            Call::Batch(_) | Call::Nothing => true,
        };
        (ok, moved)
    }

    /// Which transfers of a batch would move money, one after the other.
    #[must_use]
    pub fn would_move(&self, orders: &[Order], time: u64) -> Vec<bool> {
        let mut after = self.clone();
        let at = (0, B256::ZERO);
        let mut moves = |order| after.transfer(order, at, time);
        orders.iter().map(&mut moves).collect()
    }

    fn transfer(&mut self, order: &Order, at: (u64, B256), time: u64) -> bool {
        if self.refuses(order, time).is_some() {
            return false;
        }
        let authorization = &order.authorization;
        self.move_money(authorization.from, authorization.to, authorization.value);
        let key = (authorization.from, authorization.nonce);
        self.used.insert(key, at);
        true
    }

    /// What the token says to an authorization; `None` when it would move the money.
    #[must_use]
    pub fn refuses(&self, order: &Order, time: u64) -> Option<&'static str> {
        let (authorization, signed) = (&order.authorization, order.signed);
        let time = U256::from(time);
        if time <= authorization.valid_after {
            Some("FiatTokenV2: authorization is not yet valid")
        } else if time >= authorization.valid_before {
            Some("FiatTokenV2: authorization is expired")
        } else if self
            .used
            .contains_key(&(authorization.from, authorization.nonce))
        {
            Some("FiatTokenV2: authorization is used or canceled")
        } else if !signed {
            Some("FiatTokenV2: invalid signature")
        } else if self.balance(authorization.from) < authorization.value {
            Some("ERC20: transfer amount exceeds balance")
        } else {
            None
        }
    }

    /// The money of an account.
    #[must_use]
    pub fn balance(&self, account: Address) -> U256 {
        self.balances.get(&account).copied().unwrap_or_default()
    }

    fn move_money(&mut self, from: Address, to: Address, value: U256) {
        let left = self.balance(from).saturating_sub(value);
        self.balances.insert(from, left);
        let more = self.balance(to).saturating_add(value);
        self.balances.insert(to, more);
    }
}
