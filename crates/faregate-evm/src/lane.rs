//! One task per signer and chain, which alone decides over the signer's transaction nonces.
//!
//! A settlement waits in the lane's queue. When its turn comes the lane picks the nonce, signs, and shows the hash; the
//! settlement records the hash durably and says "go"; the lane sends. Until then nothing is out, and a settlement that
//! goes away gives its nonce back by doing nothing. One at a time, so transactions leave in nonce order and without
//! gaps.
//!
//! When the network's answer to a sent transaction is lost, the nonce may or may not be used up. The lane then sends
//! *the same bytes* again before it does anything else: that cannot pay twice, and the answer tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alloy_primitives::{B256, Bytes, U256};
use faregate_types::{ChainId, PaymentId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::config::NetworkConfig;
use crate::fees::{FeeError, Fees};
use crate::limits::{NONCE_FRESH, PURSE_FRESH, SIMULATION_FRESH};
use crate::node::NodeError;
use crate::pending::Pending;
use crate::rpc::{Called, Rpc, Simulation};
use crate::signer::Signer;
use crate::transaction::{Draft, Signed};

/// The way to a lane's task. The task ends when the last of these is dropped.
#[derive(Debug)]
pub(crate) struct Lane {
    jobs: mpsc::Sender<Box<Job>>,
}

/// A settlement waiting for its turn.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: PaymentId,
    /// The transfer, simulated at `simulated_at`.
    pub(crate) call: Simulation,
    pub(crate) simulated_at: Instant,
    pub(crate) gas_limit: u64,
    pub(crate) turn: oneshot::Sender<Result<Turn, NotSent>>,
}

/// A signed transaction, not sent yet.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) hash: B256,
    pub(crate) raw: Bytes,
    /// Sent once the hash is durable; dropped when it is not going to be.
    pub(crate) go: oneshot::Sender<()>,
    /// What became of it.
    pub(crate) sent: oneshot::Receiver<Sent>,
    /// Raised when the transaction does not show up: the lane then asks the node for its nonce.
    pub(crate) doubt: Arc<AtomicBool>,
}

/// Why there is no transaction. Nothing was sent.
#[derive(Debug)]
pub(crate) enum NotSent {
    Node(NodeError),
    /// The transfer would be reverted by now.
    Reverted(Option<Box<str>>),
    FeesAboveCap,
    NoGasMoney,
    SignerAway,
}

/// What the network said to a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It has it.
    Accepted,
    /// Nobody can say.
    Unclear,
    /// It was refused because of its nonce or fee and is not out there; another one may be signed.
    Again,
    /// It was refused because the signer cannot pay for gas, and is not out there.
    NoGasMoney,
}

impl Lane {
    pub(crate) fn start(
        config: &NetworkConfig,
        rpc: Arc<Rpc>,
        fees: Arc<Fees>,
        signer: Arc<dyn Signer>,
        pending: Pending,
    ) -> Self {
        let (jobs, queue) = mpsc::channel(config.queue_len_max.max(1));
        let worker = Worker {
            chain: config.chain,
            trail_timeout: config.trail_timeout,
            sign_timeout: config.rpc_timeout,
            rpc,
            fees,
            signer,
            pending,
            next: None,
            last_use: Instant::now(),
            tail: None,
            purse: None,
            doubt: Arc::default(),
        };
        tokio::spawn(worker.run(queue));
        Self { jobs }
    }

    /// Puts a job into the queue; gives it back when there is no room.
    pub(crate) fn offer(&self, job: Box<Job>) -> Result<(), Box<Job>> {
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(job) | mpsc::error::TrySendError::Closed(job) => job,
        })
    }
}

struct Worker {
    chain: ChainId,
    trail_timeout: Duration,
    sign_timeout: Duration,
    rpc: Arc<Rpc>,
    fees: Arc<Fees>,
    signer: Arc<dyn Signer>,
    pending: Pending,
    /// The next nonce; unknown at the start and whenever somebody else may have used it.
    next: Option<u64>,
    last_use: Instant,
    /// The last transaction, when its answer was lost.
    tail: Option<Signed>,
    /// The signer's balance, and when it was asked.
    purse: Option<(Instant, U256)>,
    doubt: Arc<AtomicBool>,
}

impl Worker {
    async fn run(mut self, mut queue: mpsc::Receiver<Box<Job>>) {
        while let Some(job) = queue.recv().await {
            // Whoever gave up waiting is not served.
            if !job.turn.is_closed() {
                self.serve(*job).await;
            }
        }
    }

    async fn serve(&mut self, job: Job) {
        let (tx, cost) = match self.prepare(&job).await {
            Ok(prepared) => prepared,
            Err(not_sent) => {
                // An error nobody waits for needs no ear.
                drop(job.turn.send(Err(not_sent)));
                return;
            }
        };
        let ((go, may_go), (tell, sent)) = (oneshot::channel(), oneshot::channel());
        let turn = Turn {
            hash: tx.hash,
            raw: tx.raw.clone(),
            go,
            sent,
            doubt: Arc::clone(&self.doubt),
        };
        if job.turn.send(Ok(turn)).is_err() {
            return;
        }
        // Without a "go" nothing is sent, and the nonce is free for the next one.
        if let Ok(Ok(())) = timeout(self.trail_timeout, may_go).await {
            // What this one can cost is counted as spent until the node is asked again.
            self.purse = self
                .purse
                .map(|(at, balance)| (at, balance.saturating_sub(cost)));
            let result = self.send(tx).await;
            let nothing_is_out = matches!(result, Sent::Again | Sent::NoGasMoney);
            if tell.send(result).is_err() && nothing_is_out {
                // Whoever asked has gone; the next one may start afresh.
                self.pending.decided(job.id);
            }
        }
    }

    /// Everything up to the signature; with the most it can cost, in wei.
    async fn prepare(&mut self, job: &Job) -> Result<(Signed, U256), NotSent> {
        self.clear_tail().await.map_err(NotSent::Node)?;
        if job.simulated_at.elapsed() > SIMULATION_FRESH
            && let Called::Reverted(reason) =
                self.rpc.simulate(&job.call).await.map_err(NotSent::Node)?
        {
            return Err(NotSent::Reverted(reason));
        }
        let draft = Draft {
            chain: self.chain,
            nonce: self.nonce().await.map_err(NotSent::Node)?,
            quote: self
                .fees
                .quote(&self.rpc)
                .await
                .map_err(|error| match error {
                    FeeError::Node(error) => NotSent::Node(error),
                    FeeError::AboveCap => NotSent::FeesAboveCap,
                })?,
            gas_limit: job.gas_limit,
            to: job.call.to,
            data: job.call.data.clone(),
        };
        let cost = draft.cost_max();
        if !self.can_pay(cost).await.map_err(NotSent::Node)? {
            return Err(NotSent::NoGasMoney);
        }
        let signed = timeout(self.sign_timeout, draft.sign(self.signer.as_ref())).await;
        let signed = signed
            .ok()
            .and_then(Result::ok)
            .ok_or(NotSent::SignerAway)?;
        Ok((signed, cost))
    }

    async fn nonce(&mut self) -> Result<u64, NodeError> {
        let doubted = self.doubt.swap(false, Ordering::Relaxed);
        let stale = self.last_use.elapsed() > NONCE_FRESH;
        self.last_use = Instant::now();
        match self.next {
            Some(nonce) if !doubted && !stale => Ok(nonce),
            Some(_) | None => {
                self.next = None;
                let nonce = self.rpc.pending_nonce(self.signer.address()).await?;
                self.next = Some(nonce);
                Ok(nonce)
            }
        }
    }

    /// Looks at the signer's balance every few seconds, and whenever it does not seem enough.
    async fn can_pay(&mut self, cost: U256) -> Result<bool, NodeError> {
        if let Some((at, balance)) = self.purse
            && at.elapsed() < PURSE_FRESH
            && balance >= cost
        {
            return Ok(true);
        }
        let balance = self.rpc.balance(self.signer.address()).await?;
        self.purse = Some((Instant::now(), balance));
        Ok(balance >= cost)
    }

    async fn send(&mut self, tx: Signed) -> Sent {
        let after = tx.nonce.checked_add(1);
        match said(self.rpc.send(&tx.raw).await) {
            Said::Accepted => {
                self.next = after;
                Sent::Accepted
            }
            // Refused because of the nonce: taken by somebody else, unless these very bytes got there twice.
            Said::Nonce => match self.rpc.transaction(tx.hash).await {
                Ok(Some(_)) => {
                    self.next = after;
                    Sent::Accepted
                }
                Ok(None) => {
                    self.next = None;
                    Sent::Again
                }
                Err(_) => self.unclear(tx),
            },
            Said::Fee => {
                self.fees.refresh();
                Sent::Again
            }
            Said::NoGasMoney => {
                self.purse = None;
                Sent::NoGasMoney
            }
            Said::Other | Said::Nothing => self.unclear(tx),
        }
    }

    fn unclear(&mut self, tx: Signed) -> Sent {
        tracing::warn!(chain = %self.chain, transaction = %tx.hash, "nobody can say whether a transaction was taken");
        self.tail = Some(tx);
        Sent::Unclear
    }

    /// Sends a transaction whose answer was lost once more: the same bytes, so at most one of them can be mined.
    async fn clear_tail(&mut self) -> Result<(), NodeError> {
        let Some(tail) = &self.tail else {
            return Ok(());
        };
        let answer = self.rpc.send(&tail.raw).await;
        self.next = match said(answer.clone()) {
            Said::Accepted => tail.nonce.checked_add(1),
            Said::Nothing => return answer,
            // Refused for good, or mined already: the node knows the next nonce.
            Said::Nonce | Said::Fee | Said::NoGasMoney | Said::Other => None,
        };
        self.tail = None;
        Ok(())
    }
}

/// A node's words about a transaction, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Accepted,
    Nonce,
    Fee,
    NoGasMoney,
    /// It refused in words we do not know.
    Other,
    /// It did not answer.
    Nothing,
}

/// Nodes have no codes for this, only words; these are the ones of geth and its forks, erigon, nethermind, besu, reth,
/// anvil and our own dev chain.
fn said(answer: Result<(), NodeError>) -> Said {
    let refusal = match answer {
        Ok(()) => return Said::Accepted,
        Err(NodeError::Away(_)) => return Said::Nothing,
        Err(NodeError::Refused(refusal)) => refusal,
    };
    let words = refusal.message.to_ascii_lowercase();
    let has = |texts: &[&str]| texts.iter().any(|text| words.contains(text));
    if has(&[
        "already known",
        "alreadyknown",
        "known transaction",
        "already imported",
        "already exists",
    ]) {
        Said::Accepted
    } else if has(&["nonce", "replacement"]) {
        Said::Nonce
    } else if has(&[
        "insufficient funds",
        "insufficient balance",
        "insufficientfunds",
    ]) {
        Said::NoGasMoney
    } else if has(&[
        "underpriced",
        "fee too low",
        "feetoolow",
        "base fee",
        "basefee",
        "gas price too low",
    ]) {
        Said::Fee
    } else {
        Said::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{Answered, Silence};

    #[test]
    fn the_words_of_nodes() {
        let cases = [
            ("already known", Said::Accepted),
            ("AlreadyKnown", Said::Accepted),
            ("transaction already imported", Said::Accepted),
            ("nonce too low: next nonce 5, tx nonce 4", Said::Nonce),
            ("OldNonce", Said::Nonce),
            ("replacement transaction underpriced", Said::Nonce),
            (
                "insufficient funds for gas * price + value: balance 0",
                Said::NoGasMoney,
            ),
            ("transaction underpriced", Said::Fee),
            ("max fee per gas less than block base fee", Said::Fee),
            ("exceeds block gas limit", Said::Other),
        ];
        for (words, expected) in cases {
            let refusal = Answered {
                code: -32000,
                message: words.into(),
                data: None,
            };
            assert_eq!(said(Err(NodeError::Refused(refusal))), expected, "{words}");
        }
        assert_eq!(said(Err(NodeError::Away(Silence::Timeout))), Said::Nothing);
        assert_eq!(said(Ok(())), Said::Accepted);
    }
}
