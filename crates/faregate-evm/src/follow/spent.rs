//! Which authorizations were used or cancelled, since a block from which on nothing is missing.

use std::collections::{HashMap, VecDeque};

use alloy_primitives::{Address, B256, U256};

use super::facts::Block;

/// An authorization: token, payer, nonce.
pub(crate) type Nonce = (Address, Address, B256);

/// The memory.
#[derive(Debug)]
pub(crate) struct Spent {
    blocks: HashMap<Nonce, u64>,
    /// The same in the order of their blocks.
    order: VecDeque<(u64, Nonce)>,
    since: Since,
    entries_max: usize,
}

/// The block after which every use is in the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Since {
    pub(crate) number: u64,
    /// Of that block or of a later one, in seconds since the epoch.
    pub(crate) timestamp: u64,
}

impl From<Block> for Since {
    fn from(block: Block) -> Self {
        Self {
            number: block.number,
            timestamp: block.timestamp,
        }
    }
}

impl Spent {
    pub(crate) fn new(since: Block, entries_max: usize) -> Self {
        Self {
            blocks: HashMap::new(),
            order: VecDeque::new(),
            since: since.into(),
            entries_max,
        }
    }

    pub(crate) const fn since(&self) -> Since {
        self.since
    }

    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    pub(crate) fn contains(&self, nonce: &Nonce) -> bool {
        self.blocks.contains_key(nonce)
    }

    /// True when an authorization that is not in the memory cannot have been used at all: contracts accept one only in
    /// blocks later than `valid_after`, and all of those are in the memory.
    pub(crate) fn covers(&self, valid_after: U256) -> bool {
        self.since.number == 0 || valid_after >= U256::from(self.since.timestamp)
    }

    /// Remembers a use in a block that is not older than any in the memory.
    pub(crate) fn push(&mut self, block: u64, nonce: Nonce) {
        if self.blocks.insert(nonce, block).is_none() {
            self.order.push_back((block, nonce));
        }
    }

    /// Remembers the uses of the blocks between `since` and the old end, oldest first. False when there is no room.
    pub(crate) fn extend_back(&mut self, since: Block, uses: &[(u64, Nonce)]) -> bool {
        if self.len().saturating_add(uses.len()) > self.entries_max {
            return false;
        }
        for (block, nonce) in uses.iter().rev() {
            if self.blocks.insert(*nonce, *block).is_none() {
                self.order.push_front((*block, *nonce));
            }
        }
        self.since = since.into();
        true
    }

    /// Forgets the uses in blocks after `block`.
    pub(crate) fn rewind(&mut self, block: u64) {
        while let Some((_, nonce)) = self.order.pop_back_if(|(at, _)| *at > block) {
            self.blocks.remove(&nonce);
        }
    }

    /// Makes room by forgetting the oldest uses; `trail` are known blocks, oldest first. What is forgotten is no longer
    /// claimed to be known.
    pub(crate) fn shrink<'b>(&mut self, trail: impl IntoIterator<Item = &'b Block>) {
        if self.len() <= self.entries_max {
            return;
        }
        let surplus = self.len().saturating_sub(self.entries_max);
        // An eighth more, so that it does not happen with each block.
        let index = surplus.saturating_add(self.entries_max >> 3);
        let newest = self.order.get(index).or_else(|| self.order.back());
        let Some(&(newest, _)) = newest else {
            return;
        };
        let Some(end) = trail.into_iter().find(|block| block.number >= newest) else {
            return;
        };
        while let Some((_, nonce)) = self.order.pop_front_if(|(at, _)| *at <= end.number) {
            self.blocks.remove(&nonce);
        }
        self.since = Since::from(*end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: u64) -> Block {
        Block {
            number,
            hash: B256::ZERO,
            timestamp: number.saturating_mul(10),
        }
    }

    fn nonce(number: u64) -> Nonce {
        let word = B256::from(U256::from(number));
        (Address::ZERO, Address::ZERO, word)
    }

    #[test]
    fn what_was_not_seen_is_unused_only_when_it_became_valid_afterwards() {
        let mut spent = Spent::new(block(7), 100);
        assert!(!spent.covers(U256::from(69)));
        assert!(spent.covers(U256::from(70)));
        assert!(spent.extend_back(block(3), &[(5, nonce(1)), (6, nonce(2))]));
        assert!(spent.covers(U256::from(30)) && !spent.covers(U256::from(29)));
        assert!(spent.contains(&nonce(1)) && spent.contains(&nonce(2)));
        assert!(spent.extend_back(block(0), &[]));
        assert!(spent.covers(U256::ZERO), "since the first block");
    }

    #[test]
    fn going_back_forgets_the_newest_and_making_room_the_oldest() {
        let mut spent = Spent::new(block(0), 16);
        for number in 1..=16 {
            spent.push(number, nonce(number));
        }
        spent.rewind(14);
        assert!(spent.contains(&nonce(14)) && !spent.contains(&nonce(15)));
        for number in 15..=20 {
            spent.push(number, nonce(number));
        }
        let trail: Vec<Block> = [4, 8, 12, 20].map(block).to_vec();
        spent.shrink(&trail);
        assert_eq!(
            spent.since(),
            Since {
                number: 8,
                timestamp: 80
            }
        );
        assert_eq!(spent.len(), 12);
        assert!(spent.contains(&nonce(9)) && !spent.contains(&nonce(8)));
        assert!(!spent.covers(U256::from(79)) && spent.covers(U256::from(80)));
        assert!(!spent.extend_back(block(1), &[(2, nonce(2)); 5]), "no room");
        assert_eq!(spent.since().number, 8);
    }
}
