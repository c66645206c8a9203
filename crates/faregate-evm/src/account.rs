//! One account on one chain, for programs that act there themselves: it asks contracts, sends transactions through a lane,
//! and tells how they ended.
//!
//! Everything of one account has to go through one [`Account`], because its lane alone decides over the nonces. Calls may
//! be sent concurrently. The hash of a transaction is recorded before the transaction leaves, and so is that of every one
//! that replaces it as long as somebody waits.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use faregate_core::port::{Away, Trail};
use faregate_types::{ChainId, Timestamp};
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::config::{ConnectError, NetworkConfig};
use crate::credit::{Call, Question, Revert};
use crate::flight::{Ask, Landing, News, Track};
use crate::job::{Job, NotSent, Work, with_margin};
use crate::network::Network;
use crate::node::NodeError;
use crate::pending::Pending;
use crate::receipt::{self, Look};
use crate::rpc::{Called, Receipt, Simulation};
use crate::signer::Signer;
use crate::transaction::Signed;

/// An account with its node. Copies are the same account.
#[derive(Clone, Debug)]
pub struct Account {
    pub(crate) network: Arc<Network>,
}

/// A transaction that was mined and did what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mined {
    /// Its hash, perhaps that of one that replaced the first.
    pub transaction: B256,
    /// In which block.
    pub block: u64,
    /// How much gas it took, if the node said so.
    pub gas_used: Option<u64>,
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The node did not answer, or refused to.
    #[error("the node gave no answer")]
    Away,
    /// The contract refused.
    #[error("the contract refused: {0}")]
    Reverted(Revert),
    /// What came back is no answer to this question: no contract, or another one.
    #[error("the contract gave no answer to this question")]
    Unreadable,
}

/// Why a transaction did not do what it should.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The contract would refuse. Nothing was sent.
    #[error("the contract refused: {0}")]
    Reverted(Revert),
    /// Nothing was sent.
    #[error("nothing was sent: {0}")]
    NotSent(Unsent),
    /// It was mined and refused, because something changed on the way. It cost gas and changed nothing.
    #[error("transaction {} was mined and reverted", .0.transaction)]
    Failed(Mined),
    /// It was sent, or may have been, and nobody knows its end yet. Ask again before anything like it is sent.
    #[error("the end of the transaction is not known yet")]
    Unknown(InFlight),
}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsent {
    /// The node did not answer, or refused to.
    #[error("the node gave no answer")]
    Away,
    /// Too many others are waiting.
    #[error("too many transactions are waiting")]
    Busy,
    /// The account cannot pay the amount and the gas.
    #[error("the account cannot pay the amount and the gas")]
    NoMoney,
    /// Gas costs more than is allowed.
    #[error("gas costs more than is allowed")]
    FeesAboveCap,
    /// The key did not sign.
    #[error("the signer is away")]
    SignerAway,
    /// Its hash could not be recorded.
    #[error("the transaction could not be recorded")]
    NotRecorded,
}

/// Where transactions are written down before they leave, with all that it takes to find out later what became of them.
pub trait Logbook: Send + Sync {
    /// Returns once the transaction is durable. On an error it does not leave.
    fn about_to_send<'a>(&'a self, transaction: &'a Signed) -> BoxFuture<'a, Result<(), Away>>;

    /// The last one that was written down is with the node, or may be.
    fn handed_over(&self) {}
}

/// A trail has the hashes only.
struct Hashes<'a>(&'a dyn Trail);

impl Logbook for Hashes<'_> {
    fn about_to_send<'a>(&'a self, transaction: &'a Signed) -> BoxFuture<'a, Result<(), Away>> {
        Box::pin(async move { self.0.broadcast(&transaction.hash.to_string()).await })
    }
}

/// A transaction whose end is not known.
#[derive(Clone, Debug)]
pub struct InFlight {
    hashes: Vec<B256>,
    track: Option<Track>,
    network: Arc<Network>,
}

impl InFlight {
    /// Its hash and those of the transactions that replaced it, the newest last. At most one of them is mined.
    #[must_use]
    pub fn hashes(&self) -> &[B256] {
        &self.hashes
    }

    /// Waits for its end, at most for so long.
    ///
    /// # Errors
    /// [`SendError::Failed`], or [`SendError::Unknown`] again.
    pub async fn wait(self, patience: Duration) -> Result<Mined, SendError> {
        if let Some(track) = &self.track
            && let Ok(Some(Landing::Mined(receipt))) =
                tokio::time::timeout(patience, track.wait()).await
            && let Some(end) = end_of(&receipt)
        {
            return end;
        }
        for hash in self.hashes.iter().rev() {
            let account = Account {
                network: Arc::clone(&self.network),
            };
            if let Ok(Some(end)) = account.look(*hash).await {
                return end;
            }
        }
        Err(SendError::Unknown(self))
    }
}

impl Account {
    /// Asks the node for its chain, and starts the account's lane. Of the configuration, assets and batches are not used.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(
        config: NetworkConfig,
        signer: Arc<dyn Signer>,
    ) -> Result<Self, ConnectError> {
        let config = NetworkConfig {
            assets: Vec::new(),
            follow: None,
            batch_settler: None,
            ..config
        };
        let network = Network::connect(config, &[signer], &Pending::default()).await?;
        Ok(Self {
            network: Arc::new(network),
        })
    }

    /// Who sends.
    #[must_use]
    pub fn address(&self) -> Address {
        self.network.sender
    }

    /// Where.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        self.network.config.chain
    }

    /// What the account has of the chain's coin, in wei, as of the newest block.
    ///
    /// # Errors
    /// [`AskError::Away`].
    pub async fn balance(&self) -> Result<U256, AskError> {
        let balance = self.network.rpc.balance(self.address()).await;
        balance.map_err(|error| away(&error))
    }

    /// Whether there is a contract, as of the newest block.
    ///
    /// # Errors
    /// [`AskError::Away`].
    pub async fn has_code(&self, address: Address) -> Result<bool, AskError> {
        let found = self.network.rpc.has_code(address).await;
        found.map_err(|error| away(&error))
    }

    /// The time of the newest block.
    ///
    /// # Errors
    /// [`AskError::Away`].
    pub async fn time(&self) -> Result<Timestamp, AskError> {
        let head = self
            .network
            .rpc
            .head()
            .await
            .map_err(|error| away(&error))?;
        Ok(Timestamp::from_secs(head.timestamp.to()))
    }

    /// Asks a contract, as of the newest block.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn ask<T>(&self, question: &Question<T>) -> Result<T, AskError> {
        let answer = self
            .network
            .rpc
            .ask(question.to, question.data.clone(), None);
        match answer.await.map_err(|error| away(&error))? {
            Called::Returned(answer) => question.read(&answer).ok_or(AskError::Unreadable),
            Called::Reverted(_) => Err(AskError::Unreadable),
        }
    }

    /// Runs a call without sending it, as if this account sent it.
    ///
    /// # Errors
    /// [`AskError::Reverted`] says why it would be refused.
    pub async fn try_out(&self, call: &Call) -> Result<(), AskError> {
        let answer = self.network.rpc.try_out(&self.simulation(call)).await;
        match answer.map_err(|error| away(&error))? {
            Ok(_) => Ok(()),
            Err(data) => Err(AskError::Reverted(Revert::decode(&data))),
        }
    }

    /// What became of a transaction, by its hash: `None` when it is not mined as far as the node knows, which it may still be.
    ///
    /// # Errors
    /// [`AskError::Away`].
    pub async fn look(&self, hash: B256) -> Result<Option<Result<Mined, SendError>>, AskError> {
        let confirmations = self.network.config.confirmations;
        let found = receipt::look(&self.network.rpc, hash, confirmations).await;
        Ok(match found.map_err(|error| away(&error))? {
            Look::Deep(receipt) if receipt.transaction_hash == hash => end_of(&receipt),
            Look::Deep(_) | Look::Shallow | Look::Absent => None,
        })
    }

    /// Sends a call, once, and waits for its end. `trail` hears the hash before anything leaves.
    ///
    /// # Errors
    /// [`SendError`]. After [`SendError::Unknown`] the transaction may still happen.
    pub async fn send(&self, call: &Call, trail: &dyn Trail) -> Result<Mined, SendError> {
        self.send_logged(call, &Hashes(trail)).await
    }

    /// The same, with all of the transaction written down before it leaves.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send_logged(
        &self,
        call: &Call,
        logbook: &dyn Logbook,
    ) -> Result<Mined, SendError> {
        let simulation = self.simulation(call);
        let gas = self.network.rpc.try_gas(&simulation).await;
        let gas = gas
            .map_err(|error| SendError::NotSent(unsent(&error)))?
            .map_err(|data| SendError::Reverted(Revert::decode(&data)))?;
        let gas_limit = with_margin(gas).min(self.network.config.gas_limit_max);
        let work = Work::Alone {
            call: simulation,
            gas_limit,
            simulated_at: Instant::now(),
        };
        let (job, hears) = Job::new(None, work);
        if self.network.offer(job).is_none() {
            return Err(SendError::NotSent(Unsent::Busy));
        }
        let escort = Escort {
            network: &self.network,
            logbook,
            hashes: Vec::new(),
        };
        escort.go(hears).await
    }

    fn simulation(&self, call: &Call) -> Simulation {
        Simulation {
            from: self.address(),
            to: call.to,
            value: call.value,
            data: call.data.clone(),
            gas_max: call.gas,
        }
    }
}

/// Goes with a transaction as long as somebody waits for it.
struct Escort<'a> {
    network: &'a Arc<Network>,
    logbook: &'a dyn Logbook,
    /// What was recorded.
    hashes: Vec<B256>,
}

impl Escort<'_> {
    async fn go(mut self, mut hears: mpsc::Receiver<News>) -> Result<Mined, SendError> {
        match self.leave(&mut hears).await? {
            Some(track) => self.land(track, hears).await,
            // What was recorded may be out there.
            None => self.in_flight(None).wait(Duration::ZERO).await,
        }
    }

    /// Until it has left; `None` when nobody can say whether it has.
    async fn leave(
        &mut self,
        hears: &mut mpsc::Receiver<News>,
    ) -> Result<Option<Track>, SendError> {
        let deadline = until(self.network.config.queue_wait);
        loop {
            match timeout_at(deadline, hears.recv()).await {
                Ok(Some(News::Record(ask))) => {
                    // Whoever does not answer says no; then nothing leaves.
                    if !self.record(ask).await {
                        return Err(SendError::NotSent(Unsent::NotRecorded));
                    }
                }
                Ok(Some(News::Left(departure))) => {
                    self.logbook.handed_over();
                    return Ok(Some(departure.track));
                }
                Ok(Some(News::NotSent(why))) => return Err(refused(why)),
                // The lane could not wait for the record, works no longer, or has too much to do.
                Ok(None) | Err(_) if self.hashes.is_empty() => {
                    return Err(SendError::NotSent(Unsent::Busy));
                }
                Ok(None) | Err(_) => return Ok(None),
            }
        }
    }

    /// Until it is mined, or has been waited for long enough.
    async fn land(
        mut self,
        track: Track,
        mut hears: mpsc::Receiver<News>,
    ) -> Result<Mined, SendError> {
        let deadline = until(self.network.config.receipt_wait);
        loop {
            let news = tokio::select! {
                _ = track.wait() => None,
                () = sleep_until(deadline) => None,
                news = hears.recv() => news,
            };
            match news {
                // One that replaces it.
                Some(News::Record(ask)) => {
                    self.record(ask).await;
                }
                Some(News::Left(_) | News::NotSent(_)) => {}
                None => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    return self.in_flight(Some(track)).wait(left).await;
                }
            }
        }
    }

    /// Records a hash, and says so to the lane while it waits for that.
    async fn record(&mut self, ask: Ask) -> bool {
        let recorded = self.logbook.about_to_send(&ask.signed).await.is_ok();
        let hash = ask.signed.hash;
        if recorded && ask.recorded.send(()).is_ok() {
            self.hashes.push(hash);
        }
        recorded
    }

    fn in_flight(self, track: Option<Track>) -> InFlight {
        InFlight {
            hashes: self.hashes,
            track,
            network: Arc::clone(self.network),
        }
    }
}

fn until(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or(now)
}

/// What a receipt says; `None` when it does not say how the transaction ended.
pub(crate) fn end_of(receipt: &Receipt) -> Option<Result<Mined, SendError>> {
    let mined = Mined {
        transaction: receipt.transaction_hash,
        block: receipt.block_number.to(),
        gas_used: receipt.gas_used.map(|gas| gas.to()),
    };
    match receipt.status.map(|status| status.to::<u64>()) {
        Some(1) => Some(Ok(mined)),
        Some(0) => Some(Err(SendError::Failed(mined))),
        _ => None,
    }
}

pub(crate) fn away(error: &NodeError) -> AskError {
    tracing::debug!(%error, "a node did not answer");
    AskError::Away
}

/// Nodes refuse to estimate what the account cannot pay.
fn unsent(error: &NodeError) -> Unsent {
    match error {
        NodeError::Refused(answer)
            if answer.message.to_ascii_lowercase().contains("insufficient") =>
        {
            Unsent::NoMoney
        }
        NodeError::Refused(_) | NodeError::Away(_) => Unsent::Away,
    }
}

fn refused(why: NotSent) -> SendError {
    SendError::NotSent(match why {
        NotSent::Node(error) => unsent(&error),
        NotSent::Reverted(words) => {
            let words = words.map_or(Revert::Silent, |words| Revert::said(&words));
            return SendError::Reverted(words);
        }
        NotSent::Unshared => Unsent::Busy,
        NotSent::FeesAboveCap => Unsent::FeesAboveCap,
        NotSent::NoGasMoney => Unsent::NoMoney,
        NotSent::SignerAway => Unsent::SignerAway,
    })
}
