//! What is known of the chain, and what follows from it for a payment. Asks nobody.
//!
//! Everything here is as of one block, the *tip*. Facts enter in two ways only: read at the tip (by its hash), or by the
//! events of the block that becomes the next tip. When the chain turns out to have left the way it was followed on,
//! whatever was read or changed after the fork is forgotten.

use std::collections::VecDeque;
use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use tokio::time::Instant;

use super::event::{Event, Seen};
use super::holds::Holds;
use super::recent::Recent;
use super::spent::{Nonce, Since, Spent};
use crate::limits::{ACCOUNTS_MAX, PAYEES_MAX, SPENT_MAX, TRAIL_BLOCKS_MAX, UNSPENT_MAX};

/// A block we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    /// Seconds since the epoch.
    pub(crate) timestamp: u64,
}

/// A payment whose signature, parties and time are right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) token: Address,
    pub(crate) payer: Address,
    pub(crate) payee: Address,
    pub(crate) nonce: B256,
    pub(crate) value: U256,
    pub(crate) valid_after: U256,
}

impl Question {
    pub(crate) const fn account(&self) -> (Address, Address) {
        (self.token, self.payer)
    }

    const fn receiver(&self) -> (Address, Address) {
        (self.token, self.payee)
    }

    pub(crate) const fn authorization(&self) -> Nonce {
        (self.token, self.payer, self.nonce)
    }
}

/// What is known about a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It can be made, as of the tip.
    Payable,
    /// This much has to be read first.
    Missing(Gaps),
    /// Something speaks against it.
    Doubtful(Doubt),
}

/// What has to be read to know a payment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gaps {
    /// The payer's balance, and whether the payer has code and may move money at all.
    pub(crate) account: bool,
    /// Whether the payee may receive it.
    pub(crate) payee: bool,
    /// Whether the authorization is unused.
    pub(crate) nonce: bool,
}

/// What speaks against a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// The payer has code, which is asked each time.
    Code,
    /// The authorization is used, cancelled, or being settled here.
    Spent,
    /// The balance is too small.
    Funds,
    /// The balance is enough, but not beside what is being settled here.
    Held,
}

/// What was read from the chain about a payment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    /// The tip when it was read.
    pub(crate) tip: Block,
    /// When the reading began.
    pub(crate) at: Instant,
    /// The transfer was run without sending it, and succeeded.
    pub(crate) moves: bool,
    pub(crate) has_code: bool,
    /// As of the tip.
    pub(crate) balance: Option<U256>,
    /// As of the tip.
    pub(crate) unspent: bool,
}

/// Everything known.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Blocks on the way to the tip, oldest first. Never empty.
    trail: VecDeque<Block>,
    tip: Block,
    /// Where following began.
    start: Block,
    spent: Spent,
    accounts: Recent<(Address, Address), Account>,
    payees: Recent<(Address, Address), Instant>,
    unspent: Recent<Nonce, u64>,
    pub(crate) holds: Holds,
}

#[derive(Clone, Copy, Debug)]
struct Account {
    /// `None`: the payer has code.
    balance: Option<U256>,
    /// The block of the last reading or change.
    block: u64,
    read: Instant,
}

impl Facts {
    /// Knows nothing but where it begins.
    pub(crate) fn new(tip: Block) -> Self {
        Self {
            trail: VecDeque::from([tip]),
            tip,
            start: tip,
            spent: Spent::new(tip, SPENT_MAX),
            accounts: Recent::new(ACCOUNTS_MAX),
            payees: Recent::new(PAYEES_MAX),
            unspent: Recent::new(UNSPENT_MAX),
            holds: Holds::default(),
        }
    }

    /// Forgets everything, except what this process itself is doing, and begins anew.
    pub(crate) fn reset(&mut self, tip: Block) {
        let holds = std::mem::take(&mut self.holds);
        *self = Self::new(tip);
        self.holds = holds;
    }

    pub(crate) const fn tip(&self) -> Block {
        self.tip
    }

    /// Where following began.
    pub(crate) const fn start(&self) -> Block {
        self.start
    }

    /// Blocks on the way to the tip, newest first.
    pub(crate) fn trail(&self) -> impl Iterator<Item = Block> {
        self.trail.iter().rev().copied()
    }

    pub(crate) const fn since(&self) -> Since {
        self.spent.since()
    }

    /// The first block that is remembered.
    pub(crate) fn oldest(&self) -> Block {
        self.trail.front().copied().unwrap_or(self.tip)
    }

    /// Accounts, unused and used authorizations that are remembered.
    pub(crate) fn entries(&self) -> (usize, usize, usize) {
        (self.accounts.len(), self.unspent.len(), self.spent.len())
    }

    /// What is known about a payment. Code, and whether money may be moved, are believed for `fresh`.
    pub(crate) fn judge(&mut self, question: &Question, now: Instant, fresh: Duration) -> Known {
        let is_fresh = |at: Instant| now.saturating_duration_since(at) <= fresh;
        let (account, nonce) = (question.account(), question.authorization());
        let found = self.accounts.get(&account).copied();
        let found = found.filter(|account| is_fresh(account.read));
        if found.is_some_and(|account| account.balance.is_none()) {
            return Known::Doubtful(Doubt::Code);
        }
        if self.spent.contains(&nonce) || self.holds.contains(account, question.nonce) {
            return Known::Doubtful(Doubt::Spent);
        }
        let unspent = self.spent.covers(question.valid_after) || self.unspent.get(&nonce).is_some();
        let payee = self.payees.get(&question.receiver());
        let gaps = Gaps {
            account: found.is_none(),
            payee: !payee.is_some_and(|at| is_fresh(*at)),
            nonce: !unspent,
        };
        let Some(balance) = found.and_then(|account| account.balance) else {
            return Known::Missing(gaps);
        };
        if balance < question.value {
            Known::Doubtful(Doubt::Funds)
        } else if balance.saturating_sub(self.holds.sum(account)) < question.value {
            Known::Doubtful(Doubt::Held)
        } else if gaps == Gaps::default() {
            Known::Payable
        } else {
            Known::Missing(gaps)
        }
    }

    /// Takes in what was read. What was read at another block than the tip is not taken.
    pub(crate) fn learn(&mut self, question: &Question, read: &Read) {
        if read.tip != self.tip {
            return;
        }
        let block = read.tip.number;
        let account = |balance| Account {
            balance,
            block,
            read: read.at,
        };
        if read.has_code {
            self.accounts.insert(question.account(), account(None));
            return;
        }
        if !read.moves {
            return;
        }
        self.payees.insert(question.receiver(), read.at);
        if read.balance.is_some() {
            self.accounts
                .insert(question.account(), account(read.balance));
        }
        if read.unspent && !self.spent.contains(&question.authorization()) {
            self.unspent.insert(question.authorization(), block);
        }
    }

    /// Goes on to a block that follows the tip, with all events between.
    pub(crate) fn advance(&mut self, tip: Block, seen: &[Seen]) {
        for Seen {
            block,
            token,
            event,
        } in seen
        {
            match *event {
                Event::Moved { from, to, value } => {
                    self.change((*token, from), *block, |balance| balance.checked_sub(value));
                    self.change((*token, to), *block, |balance| balance.checked_add(value));
                }
                Event::Spent { payer, nonce } => {
                    let authorization = (*token, payer, nonce);
                    self.spent.push(*block, authorization);
                    self.unspent.remove(&authorization);
                    self.holds.release((*token, payer), nonce);
                }
            }
        }
        self.tip = tip;
        self.trail.push_back(tip);
        if self.trail.len() > TRAIL_BLOCKS_MAX {
            self.trail.pop_front();
        }
        self.spent.shrink(&self.trail);
    }

    /// A balance that does not add up is forgotten, and so is one of a token that moves money otherwise.
    fn change(
        &mut self,
        account: (Address, Address),
        block: u64,
        change: impl FnOnce(U256) -> Option<U256>,
    ) {
        let Some(found) = self.accounts.peek_mut(&account) else {
            return;
        };
        let Some(balance) = found.balance else {
            return;
        };
        match change(balance) {
            Some(balance) => {
                found.balance = Some(balance);
                found.block = block;
            }
            None => self.accounts.remove(&account),
        }
    }

    /// Goes back to a block of the trail that is still on the chain. False when there is no such block.
    pub(crate) fn rewind(&mut self, fork: Block) -> bool {
        if !self.trail.contains(&fork) {
            return false;
        }
        while self.trail.pop_back_if(|block| *block != fork).is_some() {}
        self.tip = fork;
        self.spent.rewind(fork.number);
        self.accounts.retain(|account| account.block <= fork.number);
        self.unspent.retain(|block| *block <= fork.number);
        true
    }

    /// Takes in the uses between `since` and the block from which on they were known, oldest first. False when there is
    /// no room.
    pub(crate) fn extend_back(&mut self, since: Block, uses: &[(u64, Nonce)]) -> bool {
        for (_, nonce) in uses {
            self.unspent.remove(nonce);
        }
        self.spent.extend_back(since, uses)
    }
}
