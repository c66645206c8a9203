//! What the loop that follows a chain and those who ask about payments share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use metrics::{counter, gauge};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::event::Seen;
use super::facts::{Block, Facts, Known, Question, Read};
use super::spent::{Nonce, Since};
use crate::limits::FOLLOW_IDLE;

/// Everything known of one chain, and how current it is.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The label of metrics.
    network: Arc<str>,
    lag_max: Duration,
    code_fresh: Duration,
    state: Mutex<State>,
    asked: Notify,
}

#[derive(Debug)]
struct State {
    /// `None` until the first block was read.
    facts: Option<Facts>,
    /// When the newest block was asked for that everything known is as of.
    current: Option<Instant>,
    /// When somebody asked about a payment last.
    asked: Instant,
}

impl Shared {
    pub(crate) fn new(network: Arc<str>, lag_max: Duration, code_fresh: Duration) -> Self {
        Self {
            network,
            lag_max,
            code_fresh,
            state: Mutex::new(State {
                facts: None,
                current: None,
                asked: Instant::now(),
            }),
            asked: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<R>(&self, work: impl FnOnce(&mut Facts) -> R) -> Option<R> {
        self.lock().facts.as_mut().map(work)
    }

    /// What is known about a payment, and the tip as of which; `None` while the chain is not followed closely enough.
    pub(crate) fn judge(&self, question: &Question) -> Option<(Known, Block)> {
        let now = Instant::now();
        let mut state = self.lock();
        state.asked = now;
        let fresh = state
            .current
            .is_some_and(|at| now.saturating_duration_since(at) <= self.lag_max);
        let facts = state.facts.as_mut().filter(|_| fresh);
        let known = facts.map(|facts| {
            let known = facts.judge(question, now, self.code_fresh);
            (known, facts.tip())
        });
        drop(state);
        if known.is_none() {
            self.asked.notify_one();
        }
        known
    }

    /// Waits while nobody has asked for long.
    pub(crate) async fn until_asked(&self) {
        while self.lock().asked.elapsed() > FOLLOW_IDLE {
            self.asked.notified().await;
        }
    }

    /// Time since the chain was last read to its end; `None` before the first time.
    pub(crate) fn lag(&self) -> Option<Duration> {
        self.lock().current.map(|at| at.elapsed())
    }

    pub(crate) fn learn(&self, question: &Question, read: &Read) {
        self.with(|facts| facts.learn(question, read));
    }

    /// The money of this payment is being moved by this process.
    pub(crate) fn hold(&self, account: (Address, Address), nonce: B256, value: U256) {
        let now = Instant::now();
        self.with(|facts| facts.holds.add(account, nonce, value, now));
    }

    /// The money of this payment has moved.
    pub(crate) fn moved(&self, account: (Address, Address), nonce: B256) {
        let now = Instant::now();
        self.with(|facts| facts.holds.moved(account, nonce, now));
    }

    /// The money of this payment does not move.
    pub(crate) fn release(&self, account: (Address, Address), nonce: B256) {
        self.with(|facts| facts.holds.release(account, nonce));
    }

    /// What is being moved for a payer.
    pub(crate) fn held(&self, account: (Address, Address)) -> U256 {
        self.with(|facts| facts.holds.sum(account))
            .unwrap_or_default()
    }

    pub(crate) fn tip(&self) -> Option<Block> {
        self.with(|facts| facts.tip())
    }

    /// Blocks on the way to the tip, newest first.
    pub(crate) fn trail(&self) -> Vec<Block> {
        self.with(|facts| facts.trail().collect())
            .unwrap_or_default()
    }

    /// Begins anew at this block; `why` is a word of a small set.
    pub(crate) fn begin(&self, tip: Block, why: &'static str) {
        let mut state = self.lock();
        match &mut state.facts {
            Some(facts) => {
                facts.reset(tip);
                self.count_reset(why);
            }
            None => state.facts = Some(Facts::new(tip)),
        }
    }

    pub(crate) fn advance(&self, tip: Block, seen: &[Seen]) {
        self.with(|facts| facts.advance(tip, seen));
    }

    pub(crate) fn rewind(&self, fork: Block) -> bool {
        let back = self.with(|facts| facts.rewind(fork)).unwrap_or(false);
        if back {
            self.count_reset("reorg");
        }
        back
    }

    /// Everything up to the newest block, asked for at `read`, is known.
    pub(crate) fn current(&self, read: Instant) {
        let mut state = self.lock();
        state.current = Some(read);
        if let Some(facts) = &mut state.facts {
            facts.holds.expire(read);
        }
    }

    /// The end of what is known of the past, the oldest block of the way, and the block where following began.
    pub(crate) fn past(&self) -> Option<(Since, Block, Block)> {
        self.with(|facts| (facts.since(), facts.oldest(), facts.start()))
    }

    /// Takes in the past between `since` and `known`, unless something else happened meanwhile.
    pub(crate) fn extend_back(&self, known: Since, since: Block, uses: &[(u64, Nonce)]) -> bool {
        self.with(|facts| facts.since() == known && facts.extend_back(since, uses))
            .unwrap_or(false)
    }

    fn count_reset(&self, why: &'static str) {
        let network = Arc::clone(&self.network);
        counter!("faregate_follower_resets_total", "network" => network, "reason" => why)
            .increment(1);
    }

    /// Shows how it is doing.
    pub(crate) fn measure(&self) {
        let entries = self.with(|facts| facts.entries()).unwrap_or_default();
        let network = || Arc::clone(&self.network);
        if let Some(lag) = self.lag() {
            gauge!("faregate_follower_lag_seconds", "network" => network()).set(lag.as_secs_f64());
        }
        for (kind, entries) in [
            ("accounts", entries.0),
            ("unspent", entries.1),
            ("spent", entries.2),
        ] {
            // 32 bits hold every bound.
            let entries = u32::try_from(entries).unwrap_or(u32::MAX);
            gauge!("faregate_follower_entries", "network" => network(), "kind" => kind)
                .set(f64::from(entries));
        }
    }
}
