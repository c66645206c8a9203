//! Transactions that wait: for their turn, for a missing nonce, or for somebody to mine.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, VecDeque},
    sync::Arc,
};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256};

use super::{error::TxRejection, limits, tx::SignedTx};

/// A waiting transaction.
#[derive(Clone, Debug)]
pub(crate) struct PoolTx {
    pub(crate) signed: Arc<SignedTx>,
    /// Counts up with every arrival: between equal tips the first come goes first.
    arrival: u64,
}

/// All waiting transactions, by sender and nonce.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    by_sender: BTreeMap<Address, BTreeMap<u64, PoolTx>>,
    by_hash: HashMap<B256, (Address, u64)>,
    arrivals: u64,
    recent: VecDeque<(u64, B256)>,
}

impl Pool {
    /// Puts a transaction in line, in the place of one with the same sender and nonce if it pays 10 % more.
    pub(crate) fn insert(&mut self, signed: SignedTx) -> Result<B256, TxRejection> {
        let hash = signed.hash;
        if self.by_hash.contains_key(&hash) {
            return Err(TxRejection::AlreadyKnown);
        }
        let nonce = signed.envelope.nonce();
        let sender = signed.sender;
        let replaced = self.by_sender.get(&sender).and_then(|txs| txs.get(&nonce));
        if let Some(old) = replaced {
            if !pays_more(&signed, &old.signed) {
                return Err(TxRejection::Underpriced);
            }
            self.by_hash.remove(&old.signed.hash);
        } else if self.by_hash.len() >= limits::POOL_TXS_MAX {
            return Err(TxRejection::PoolFull);
        }
        self.put(Arc::new(signed));
        self.recent.push_back((self.arrivals, hash));
        if self.recent.len() > limits::ARRIVALS_KEPT_MAX {
            self.recent.pop_front();
        }
        Ok(hash)
    }

    /// Puts back a transaction whose block is gone, unless its place is taken.
    pub(crate) fn put_back(&mut self, signed: Arc<SignedTx>) {
        let nonce = signed.envelope.nonce();
        let taken = self
            .by_sender
            .get(&signed.sender)
            .is_some_and(|txs| txs.contains_key(&nonce));
        if !taken && self.by_hash.len() < limits::POOL_TXS_MAX {
            self.put(signed);
        }
    }

    fn put(&mut self, signed: Arc<SignedTx>) {
        self.arrivals = self.arrivals.saturating_add(1);
        let place = (signed.sender, signed.envelope.nonce());
        self.by_hash.insert(signed.hash, place);
        let tx = PoolTx {
            signed,
            arrival: self.arrivals,
        };
        self.by_sender
            .entry(place.0)
            .or_default()
            .insert(place.1, tx);
    }

    /// Takes a transaction out.
    pub(crate) fn remove(&mut self, hash: &B256) -> Option<Arc<SignedTx>> {
        let (sender, nonce) = self.by_hash.remove(hash)?;
        let txs = self.by_sender.get_mut(&sender)?;
        let removed = txs.remove(&nonce);
        if txs.is_empty() {
            self.by_sender.remove(&sender);
        }
        removed.map(|tx| tx.signed)
    }

    /// Drops what can no longer run because its nonce was used.
    pub(crate) fn remove_used(&mut self, sender: Address, next_nonce: u64) {
        let Some(txs) = self.by_sender.get_mut(&sender) else {
            return;
        };
        let kept = txs.split_off(&next_nonce);
        for tx in std::mem::replace(txs, kept).into_values() {
            self.by_hash.remove(&tx.signed.hash);
        }
        if txs.is_empty() {
            self.by_sender.remove(&sender);
        }
    }

    /// Every sender that waits.
    pub(crate) fn senders(&self) -> Vec<Address> {
        self.by_sender.keys().copied().collect()
    }

    /// Empties the pool.
    pub(crate) fn clear(&mut self) {
        self.by_sender.clear();
        self.by_hash.clear();
    }

    /// A waiting transaction.
    pub(crate) fn get(&self, hash: &B256) -> Option<&Arc<SignedTx>> {
        let (sender, nonce) = self.by_hash.get(hash)?;
        Some(&self.by_sender.get(sender)?.get(nonce)?.signed)
    }

    /// The nonce after the last transaction in an unbroken row from `next_nonce` on.
    pub(crate) fn next_nonce(&self, sender: Address, next_nonce: u64) -> u64 {
        let mut next = next_nonce;
        if let Some(txs) = self.by_sender.get(&sender) {
            while txs.contains_key(&next) {
                next = next.saturating_add(1);
            }
        }
        next
    }

    /// What can run now, best tip first, each sender's in the order of nonces. A gap, or a fee below the base fee, holds
    /// back the rest of that sender.
    pub(crate) fn ready(
        &self,
        base_fee: u64,
        next_nonce: impl Fn(Address) -> u64,
    ) -> Vec<Arc<SignedTx>> {
        let mut heads = BinaryHeap::new();
        for (sender, txs) in &self.by_sender {
            push_head(&mut heads, *sender, txs, next_nonce(*sender), base_fee);
        }
        let mut ready = Vec::new();
        while let Some((_, _, sender, nonce)) = heads.pop() {
            let Some(txs) = self.by_sender.get(&sender) else {
                continue;
            };
            if let Some(tx) = txs.get(&nonce) {
                ready.push(Arc::clone(&tx.signed));
            }
            push_head(&mut heads, sender, txs, nonce.saturating_add(1), base_fee);
        }
        ready
    }

    /// All waiting transactions by sender and nonce.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<SignedTx>> {
        self.by_sender
            .values()
            .flat_map(|txs| txs.values().map(|tx| &tx.signed))
    }

    /// The number of the newest arrival.
    pub(crate) const fn last_arrival(&self) -> u64 {
        self.arrivals
    }

    /// Hashes of what arrived after `arrival`, oldest first, as far as they are remembered.
    pub(crate) fn arrived_after(&self, arrival: u64) -> Vec<B256> {
        self.recent
            .iter()
            .filter(|(number, _)| *number > arrival)
            .map(|(_, hash)| *hash)
            .collect()
    }
}

/// Tip first; then the earlier arrival.
type Head = (u128, Reverse<u64>, Address, u64);

fn push_head(
    heads: &mut BinaryHeap<Head>,
    sender: Address,
    txs: &BTreeMap<u64, PoolTx>,
    nonce: u64,
    base_fee: u64,
) {
    if let Some(tx) = txs.get(&nonce)
        && let Some(tip) = tx.signed.envelope.effective_tip_per_gas(base_fee)
    {
        heads.push((tip, Reverse(tx.arrival), sender, nonce));
    }
}

/// Whether both the fee and the tip are at least 10 % higher.
fn pays_more(new: &SignedTx, old: &SignedTx) -> bool {
    let bumped = |old: u128| {
        old.saturating_add(old.div_ceil(10))
            .max(old.saturating_add(1))
    };
    new.envelope.max_fee_per_gas() >= bumped(old.envelope.max_fee_per_gas())
        && new.envelope.priority_fee_or_price() >= bumped(old.envelope.priority_fee_or_price())
}
