//! Money that this process is moving right now: the chain does not show it yet, and it must not be promised twice.

use std::collections::HashMap;
use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use tokio::time::Instant;

use crate::limits::{HOLD_AGE_MAX, HOLDS_MAX};

/// What is being moved, by token and payer.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    by_payer: HashMap<(Address, Address), Vec<Hold>>,
    len: usize,
}

#[derive(Debug)]
struct Hold {
    nonce: B256,
    value: U256,
    end: End,
}

/// How long it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A settlement is on it, since then.
    Open(Instant),
    /// The money has moved: as soon as the chain was read that far, it is in the balance.
    Moved(Instant),
}

impl Holds {
    pub(crate) fn add(
        &mut self,
        payer: (Address, Address),
        nonce: B256,
        value: U256,
        now: Instant,
    ) {
        if self.len >= HOLDS_MAX {
            return;
        }
        let holds = self.by_payer.entry(payer).or_default();
        match holds.iter_mut().find(|hold| hold.nonce == nonce) {
            Some(hold) => hold.end = End::Open(now),
            None => {
                let end = End::Open(now);
                holds.push(Hold { nonce, value, end });
                self.len = self.len.saturating_add(1);
            }
        }
    }

    /// The payment has moved the money.
    pub(crate) fn moved(&mut self, payer: (Address, Address), nonce: B256, now: Instant) {
        let holds = self.by_payer.get_mut(&payer);
        if let Some(hold) =
            holds.and_then(|holds| holds.iter_mut().find(|hold| hold.nonce == nonce))
        {
            hold.end = End::Moved(now);
        }
    }

    /// The payment moves no money, or the chain shows that it did.
    pub(crate) fn release(&mut self, payer: (Address, Address), nonce: B256) {
        if let Some(holds) = self.by_payer.get_mut(&payer) {
            let before = holds.len();
            holds.retain(|hold| hold.nonce != nonce);
            let gone = before.saturating_sub(holds.len());
            self.len = self.len.saturating_sub(gone);
            if holds.is_empty() {
                self.by_payer.remove(&payer);
            }
        }
    }

    /// The chain was read up to its newest block, which was asked for at `read`.
    pub(crate) fn expire(&mut self, read: Instant) {
        let old = |at: Instant, age: Duration| read.saturating_duration_since(at) > age;
        let mut len = 0_usize;
        self.by_payer.retain(|_, holds| {
            holds.retain(|hold| match hold.end {
                End::Open(since) => !old(since, HOLD_AGE_MAX),
                End::Moved(at) => at >= read,
            });
            len = len.saturating_add(holds.len());
            !holds.is_empty()
        });
        self.len = len;
    }

    pub(crate) fn contains(&self, payer: (Address, Address), nonce: B256) -> bool {
        let holds = self.by_payer.get(&payer);
        holds.is_some_and(|holds| holds.iter().any(|hold| hold.nonce == nonce))
    }

    /// All that is being moved for a payer.
    pub(crate) fn sum(&self, payer: (Address, Address)) -> U256 {
        let holds = self.by_payer.get(&payer).into_iter().flatten();
        holds.fold(U256::ZERO, |sum, hold| sum.saturating_add(hold.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYER: (Address, Address) = (Address::ZERO, Address::ZERO);

    #[tokio::test(start_paused = true)]
    async fn money_is_held_until_the_chain_shows_it_or_nothing_will_move() {
        let mut holds = Holds::default();
        let nonce = B256::repeat_byte;
        for byte in 1..=3 {
            holds.add(PAYER, nonce(byte), U256::from(10), Instant::now());
        }
        holds.add(PAYER, nonce(1), U256::from(10), Instant::now());
        assert_eq!(holds.sum(PAYER), U256::from(30), "a copy is held once");
        holds.release(PAYER, nonce(2));
        assert_eq!(holds.sum(PAYER), U256::from(20));
        let before = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        holds.moved(PAYER, nonce(1), Instant::now());
        holds.expire(before);
        assert!(holds.contains(PAYER, nonce(1)), "the chain was read before");
        tokio::time::advance(Duration::from_secs(1)).await;
        holds.expire(Instant::now());
        assert!(!holds.contains(PAYER, nonce(1)) && holds.contains(PAYER, nonce(3)));
        tokio::time::advance(HOLD_AGE_MAX).await;
        holds.expire(Instant::now());
        assert_eq!((holds.sum(PAYER), holds.len), (U256::ZERO, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_is_bounded() {
        let mut holds = Holds::default();
        for number in 0..HOLDS_MAX + 10 {
            let payer = Address::from_word(B256::from(U256::from(number)));
            let payer = (Address::ZERO, payer);
            holds.add(payer, B256::ZERO, U256::ZERO, Instant::now());
        }
        assert_eq!(holds.len, HOLDS_MAX);
    }
}
