//! The sender of the operator: tells the contract what was paid for tabs, so that a certificate cannot take it again
//! (specs/4mica.md §5.5, `recordPaymentsById`).
//!
//! ```text
//! untold_payments ─► what does the contract know? ─► nothing: telling, durably ─► sent through a lane
//!                                                 ├► the same: the follower will find the record
//!                                                 └► another payment under this id: refused
//! ```
//!
//! - All that waits goes along in one transaction, and several may be in the air. The lane has the operator's nonces, raises
//!   fees and sends again; the hash is in the books before the bytes leave.
//! - The contract takes a record once per id, so telling twice does no harm. Still it is asked first: after a crash, or when
//!   a record was lost in a reorganisation, what is missing is told and nothing else.
//! - What the contract will never take is refused in the books; what it does not take now is tried again, much later.
//!
//! - Of several processes with the same books one has the turn ([`Turn`]). A record is taken once whoever sends it, but each
//!   that is sent costs gas.
//!
//! The operator's account is for this alone: two lanes for one account would fight over its nonces. Nothing is told to
//! whoever waits; that a payment is recorded is known when the follower has entered it.

mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use faregate_core::crash::{self, Point};
use faregate_core::credit::{PaymentStage, Place, TabPayment};
use faregate_core::port::credit::CreditStore;
use faregate_core::port::{Alone, Turn};
use faregate_types::ChainId;
use metrics::{counter, describe_counter, describe_gauge, gauge};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use self::tell::{Desk, End};
use super::follow::{FollowState, answers, check, unreachable};
use super::{CreditCore, Payment};
use crate::config::{ConnectError, NetworkConfig};
use crate::fees::Fees;
use crate::lane::Lane;
use crate::limits::{
    CREDIT_BOOKS_TIMEOUT, CREDIT_LATER, CREDIT_LOOKUPS_MAX, CREDIT_TELLING_MAX, CREDIT_UNTOLD_MAX,
};
use crate::node::{Node, NodeError};
use crate::pending::Pending;
use crate::rpc::Rpc;
use crate::signer::Signer;

const RECORDS: &str = "faregate_credit_records_total";
const WAITING: &str = "faregate_credit_records_waiting";

/// Registers what the metrics mean.
pub(crate) fn describe_metrics() {
    describe_counter!(
        RECORDS,
        "Payments the contract was to be told of, by `network` and `outcome` (mined, refused, put_off, reverted, not_sent, lost)"
    );
    describe_gauge!(
        WAITING,
        "Payments that the books do not know to be recorded, by `network`"
    );
}

/// How payments are recorded. Start from [`CreditOperatorConfig::new`] and change what differs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreditOperatorConfig {
    /// The chain, its node, and how transactions are sent. Assets, contracts and following are not looked at.
    pub network: NetworkConfig,
    /// The contract.
    pub contract: Address,
    /// How often the books are asked, beside when the follower rings.
    pub poll: Duration,
    /// Payments in one transaction, at most; the contract takes 200.
    pub batch_max: usize,
    /// How long the follower has to find a record before the contract is asked whether it is still there.
    pub again_after: Duration,
    /// Whose turn it is, where several processes have the same books.
    pub turn: Arc<dyn Turn>,
}

impl CreditOperatorConfig {
    /// A look every two seconds, a hundred payments in one transaction, a minute until the contract is asked again, always our
    /// turn.
    #[must_use]
    pub fn new(network: NetworkConfig, contract: Address) -> Self {
        Self {
            network,
            contract,
            poll: Duration::from_secs(2),
            batch_max: 100,
            again_after: Duration::from_secs(60),
            turn: Arc::new(Alone),
        }
    }
}

/// Records payments with one contract. Stops when dropped; what was told meanwhile is found by whoever comes next.
pub struct CreditOperator {
    address: Address,
    task: AbortHandle,
}

impl CreditOperator {
    /// Checks chain and contract, and begins. `bell` and `state` are the follower's
    /// ([`CreditFollower::bell`](super::CreditFollower::bell), [`state`](super::CreditFollower::state)): while the chain has left the
    /// books behind, nobody knows what was paid, and nothing is told. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// [`ConnectError`], the first thing that is not as it should be.
    pub async fn connect(
        config: CreditOperatorConfig,
        signer: impl Signer,
        store: Arc<dyn CreditStore>,
        bell: Arc<Notify>,
        state: watch::Receiver<FollowState>,
    ) -> Result<Self, ConnectError> {
        let network = &config.network;
        let chain = network.chain;
        let node = Node::new(&network.endpoint, network.rpc_timeout);
        let rpc = Arc::new(Rpc::new(node.map_err(|_| ConnectError::HttpClient)?));
        check(&rpc, chain, config.contract).await?;
        let signer: Arc<dyn Signer> = Arc::new(signer);
        let address = signer.address();
        let balance = rpc.balance(address).await;
        let balance = balance.map_err(|error| unreachable(chain, &error))?;
        let fees = Arc::new(Fees::new(network.fee_style, network.fee_per_gas_max));
        let lane = Lane::start(
            network,
            Arc::clone(&rpc),
            fees,
            signer,
            balance,
            Pending::default(),
        );
        let core = CreditCore::at(config.contract);
        let desk = Arc::new(Desk {
            rpc,
            lane,
            core,
            operator: address,
            store,
        });
        let clerk = Clerk {
            desk,
            chain,
            config,
            state,
            waiting: BTreeMap::new(),
            telling: JoinSet::new(),
            had_turn: false,
            mined: BTreeSet::new(),
        };
        let task = tokio::spawn(clerk.run(bell)).abort_handle();
        Ok(Self { address, task })
    }

    /// The account that records. It needs the operator's role in the contract, and money for gas.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }
}

impl Drop for CreditOperator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for CreditOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreditOperator")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Decides what is told when.
struct Clerk {
    desk: Arc<Desk>,
    chain: ChainId,
    config: CreditOperatorConfig,
    state: watch::Receiver<FollowState>,
    /// Payments that are told, or put off, and until when nothing is done about them.
    waiting: BTreeMap<Place, Instant>,
    telling: JoinSet<Vec<(Place, End)>>,
    had_turn: bool,
    /// Transactions of an earlier process that were found to be mined.
    mined: BTreeSet<B256>,
}

/// What the contract knows of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Nothing,
    Recorded,
    /// Another payment stands under the id.
    Conflict,
    /// It gave no answer.
    Unknown,
}

impl Clerk {
    /// Never ends.
    async fn run(mut self, bell: Arc<Notify>) {
        loop {
            let forked = self.state.borrow().fork.is_some();
            if !forked
                && self.has_turn().await
                && let Err(error) = self.round().await
            {
                tracing::debug!(%error, "payments could not be told to the contract");
                // Perhaps another process reaches a node.
                if self.telling.is_empty() {
                    self.had_turn = false;
                    self.config.turn.leave().await;
                }
            }
            tokio::select! {
                () = bell.notified() => {}
                () = sleep(self.config.poll) => {}
                Some(told) = self.telling.join_next() => self.told(told.unwrap_or_default()),
            }
        }
    }

    /// Of several processes with the same books one tells: another one's account, or the same, would pay for gas once more.
    async fn has_turn(&mut self) -> bool {
        let asked = timeout(CREDIT_BOOKS_TIMEOUT, self.config.turn.is_ours());
        let ours = asked.await.unwrap_or(false);
        if ours && !self.had_turn {
            // Whoever had it may have used the same account.
            self.desk.lane.doubt();
        }
        if ours != self.had_turn {
            tracing::debug!(ours, "whose turn it is to tell the contract of payments");
        }
        self.had_turn = ours;
        ours
    }

    /// Everything that is due, as much as may be in the air.
    async fn round(&mut self) -> Result<(), NodeError> {
        let asked = self.desk.store.untold_payments(CREDIT_UNTOLD_MAX);
        let untold = match timeout(CREDIT_BOOKS_TIMEOUT, asked).await {
            Ok(Ok(untold)) => untold,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the books do not say which payments are to be recorded");
                return Ok(());
            }
            Err(_) => return Ok(()),
        };
        let count = u32::try_from(untold.len()).unwrap_or(u32::MAX);
        gauge!(WAITING, "network" => self.chain.to_string()).set(f64::from(count));
        self.forget(&untold);
        let now = Instant::now();
        let mut due: Vec<TabPayment> = untold
            .into_iter()
            .filter(|payment| {
                self.waiting
                    .get(&payment.place)
                    .is_none_or(|until| *until <= now)
            })
            .collect();
        let free = CREDIT_TELLING_MAX.saturating_sub(self.telling.len());
        let batch_max = self.config.batch_max.clamp(1, CreditCore::RECORDS_MAX);
        due.truncate(free.saturating_mul(batch_max));
        if due.is_empty() {
            return Ok(());
        }
        let until = now.checked_add(self.config.again_after).unwrap_or(now);
        let (mut news, mut out) = (Vec::new(), BTreeMap::new());
        for (payment, known) in self.look_up(due).await? {
            match known {
                Known::Nothing if self.is_out(&payment, &mut out).await? => {
                    self.waiting.insert(payment.place, until);
                }
                Known::Nothing => news.push((payment.place, record(&payment))),
                Known::Recorded | Known::Unknown => {
                    self.waiting.insert(payment.place, until);
                }
                Known::Conflict => self.refuse(payment.place, "conflict").await,
            }
        }
        for some in news.chunks(batch_max) {
            crash::point(Point::PaymentsChosen);
            // As long as it is told nobody tells it again: `told` says from when on.
            let far = now.checked_add(CREDIT_LATER).unwrap_or(until);
            self.waiting
                .extend(some.iter().map(|(place, _)| (*place, far)));
            let (desk, some) = (Arc::clone(&self.desk), some.to_vec());
            self.telling.spawn(async move { desk.tell(some).await });
        }
        Ok(())
    }

    /// What is recorded or refused need not be remembered.
    fn forget(&mut self, untold: &[TabPayment]) {
        let places: BTreeSet<_> = untold.iter().map(|payment| payment.place).collect();
        self.waiting.retain(|place, _| places.contains(place));
        let told = untold.iter().filter_map(|payment| match payment.stage {
            PaymentStage::Telling(hash) => Some(hash),
            _ => None,
        });
        let told: BTreeSet<_> = told.collect();
        self.mined.retain(|hash| told.contains(hash));
    }

    /// Asks the contract which of these it knows, as of the newest block.
    async fn look_up(&self, due: Vec<TabPayment>) -> Result<Vec<(TabPayment, Known)>, NodeError> {
        let mut found = Vec::with_capacity(due.len());
        for some in due.chunks(CREDIT_LOOKUPS_MAX) {
            let core = &self.desk.core;
            let questions: Vec<_> = some
                .iter()
                .map(|payment| core.record_digest(payment.record()))
                .collect();
            let calls: Vec<_> = questions
                .iter()
                .map(|question| (question.to, question.data.clone()))
                .collect();
            let said = answers(&self.desk.rpc, &calls, None).await?;
            let said = said.into_iter().zip(&questions);
            let digests = said.map(|(answer, question)| question.read(&answer?));
            for (payment, digest) in some.iter().zip(digests) {
                let known = match digest {
                    None => Known::Unknown,
                    Some(B256::ZERO) => Known::Nothing,
                    Some(digest) if digest == record(payment).digest() => Known::Recorded,
                    Some(_) => Known::Conflict,
                };
                found.push((payment.clone(), known));
            }
        }
        Ok(found)
    }

    /// Whether a transaction that tells of it may still be mined: one of an earlier process, or one given up here. `known`
    /// has what was asked before.
    async fn is_out(
        &mut self,
        payment: &TabPayment,
        known: &mut BTreeMap<B256, bool>,
    ) -> Result<bool, NodeError> {
        let PaymentStage::Telling(hash) = payment.stage else {
            return Ok(false);
        };
        if let Some(out) = known.get(&hash) {
            return Ok(*out);
        }
        let rpc = &self.desk.rpc;
        let is_there = rpc.transaction(hash).await?.is_some();
        let is_mined = is_there && rpc.receipt(hash).await?.is_some();
        // It may have been mined after the contract was asked. Mined before that and without a record, it did not tell of
        // this one, which may be told again.
        let out = is_there && (!is_mined || self.mined.insert(hash));
        known.insert(hash, out);
        Ok(out)
    }

    fn told(&mut self, told: Vec<(Place, End)>) {
        let now = Instant::now();
        for (place, end) in told {
            self.count(end.label());
            let pause = match end {
                End::Mined | End::Lost => self.config.again_after,
                End::NotSent => self.config.poll,
                End::PutOff | End::Reverted => self.config.again_after.saturating_mul(10),
                End::Refused => continue,
            };
            self.waiting
                .insert(place, now.checked_add(pause).unwrap_or(now));
        }
    }

    async fn refuse(&mut self, place: Place, why: &'static str) {
        if self.desk.refuse(place, why).await {
            self.count("refused");
        }
    }

    fn count(&self, outcome: &'static str) {
        counter!(RECORDS, "network" => self.chain.to_string(), "outcome" => outcome).increment(1);
    }
}

/// What the contract is told of a payment.
fn record(payment: &TabPayment) -> Payment {
    Payment {
        id: payment.record(),
        tab: payment.tab.0,
        asset: payment.asset,
        amount: payment.amount,
    }
}
