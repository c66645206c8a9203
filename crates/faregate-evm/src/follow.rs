//! Verification without questions: what the chain's events say about payers that were asked for before.
//!
//! For each network one loop asks for new blocks and their token events (`chase`), and keeps what is known current
//! (`facts`): balances, used and cancelled authorizations (`spent`), and which payers and payees were able to move money
//! a moment ago. A payment is accepted from that alone; a refusal is always confirmed by asking the chain.
//!
//! What this cannot see, and what answers it:
//!
//! - Code that appears at a payer's address (EIP-7702), a pause, a block list: they leave no event of the kinds
//!   that are read. A payer and a payee count as able for [`FollowConfig::code_fresh`] after a simulated transfer
//!   succeeded.
//! - An authorization that its payer cancelled before it became valid *and* before following began.
//! - What happened since the last look, up to [`FollowConfig::lag_max`].
//!
//! Each of these is a payment that verifies and then does not settle, as when a payer moves the money right after
//! verification. Before anything is sent, the transfer is simulated.

mod chase;
mod event;
mod facts;
mod holds;
mod recent;
mod shared;
mod spent;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, U256};
use faregate_core::port::SettleOutcome;
use metrics::{Unit, describe_counter, describe_gauge};
use tokio::task::AbortHandle;

use crate::config::NetworkConfig;
use crate::matter::Share;
use crate::rpc::Rpc;

use self::chase::Chase;
use self::shared::Shared;

pub(crate) use self::facts::{Block, Doubt, Gaps, Known, Question, Read};

/// How a network is followed so that payments can be verified from what is known already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FollowConfig {
    /// Time between two looks for new blocks.
    pub poll: Duration,
    /// Without a look that succeeded for so long, the node is asked about each payment instead.
    pub lag_max: Duration,
    /// How long it is believed that a payer has no code, and that payer and payee may move money.
    pub code_fresh: Duration,
}

impl FollowConfig {
    /// A look per second, three seconds of patience, a minute for code.
    pub const DEFAULT: Self = Self::every(Duration::from_secs(1));

    /// A look each `poll`, with a patience of three looks.
    #[must_use]
    pub const fn every(poll: Duration) -> Self {
        Self {
            poll,
            lag_max: poll.saturating_mul(3),
            code_fresh: Duration::from_secs(60),
        }
    }
}

impl Default for FollowConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Follows one network. Stops when dropped.
pub(crate) struct Follower {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Follower {
    /// Begins to follow the events of `tokens`.
    pub(crate) fn start(
        config: &NetworkConfig,
        follow: FollowConfig,
        rpc: Arc<Rpc>,
        tokens: Vec<Address>,
    ) -> Self {
        let network = config.chain.to_string().into();
        let shared = Arc::new(Shared::new(network, follow.lag_max, follow.code_fresh));
        let page_max = config.search_page_blocks.max(1);
        let chase = Chase::new(rpc, Arc::clone(&shared), tokens, follow.poll, page_max);
        let task = tokio::spawn(chase.run()).abort_handle();
        Self { shared, task }
    }

    /// What is known about a payment whose signature, parties and time are right, and as of which block; `None` while
    /// the chain is not followed closely enough.
    pub(crate) fn judge(&self, question: &Question) -> Option<(Known, Block)> {
        self.shared.judge(question)
    }

    /// Takes in what was read from the chain.
    pub(crate) fn learn(&self, question: &Question, read: &Read) {
        self.shared.learn(question, read);
    }

    /// Time since the chain was last read to its end; `None` before the first time.
    pub(crate) fn lag(&self) -> Option<Duration> {
        self.shared.lag()
    }

    /// What this process is moving for a payer right now.
    pub(crate) fn held(&self, question: &Question) -> U256 {
        self.shared.held(question.account())
    }

    /// Counts a payment's money as gone, because it is about to be.
    pub(crate) fn hold(&self, share: &Share) {
        self.shared.hold(share.account, share.nonce, share.value);
    }

    /// The end of a settlement. One that is unknown, or of which nobody hears, leaves the money held.
    pub(crate) fn settled(&self, share: &Share, outcome: &SettleOutcome) {
        let (account, nonce) = (share.account, share.nonce);
        match outcome {
            SettleOutcome::Settled(_) => self.shared.moved(account, nonce),
            SettleOutcome::Failed(_) => self.shared.release(account, nonce),
            SettleOutcome::Unknown(unknown) if unknown.transaction.is_none() => {
                self.shared.release(account, nonce);
            }
            SettleOutcome::Unknown(_) => {}
        }
    }
}

/// Says what the metrics of verification mean.
pub(crate) fn describe_metrics() {
    describe_counter!(
        "faregate_verify_total",
        "Verified payments by `network`, `source` (local: no question to the node, rpc) and `reason` (known, refused; off, lag, unknown, wallet, asset, spent, funds, held)"
    );
    describe_counter!(
        "faregate_follower_resets_total",
        "What was known of a chain was forgotten, in part or whole, by `network` and `reason` (reorg, gap, size)"
    );
    describe_gauge!(
        "faregate_follower_lag_seconds",
        Unit::Seconds,
        "Age of the newest knowledge of a chain, by `network`; above the limit the node is asked about each payment"
    );
    describe_gauge!(
        "faregate_follower_entries",
        "What is remembered of a chain, by `network` and `kind` (accounts, unspent, spent)"
    );
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower")
            .field("lag", &self.lag())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
