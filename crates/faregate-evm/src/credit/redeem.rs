//! A seller's certificates become money: what payers left unpaid is taken out of their collateral, in time and once
//! (specs/4mica.md §4.2, `remunerate`).
//!
//! ```text
//! open_tabs ─► what does the contract say, deep enough? ─► paid or redeemed in full: ended
//!                                                       ├► too late: lost, and said so loudly
//!                                                       ├► not overdue, or something of it is out: later
//!                                                       └► overdue: tried out ─► redeeming, durably ─► sent through a lane
//! ```
//!
//! - Of a tab the certificate with the largest total is worth all others together, so it alone is redeemed. One with a
//!   condition may wait for its validation for ever; then a smaller one that is validated is redeemed before its own end.
//! - What the contract says counts, not what was sent: it pays what a certificate's total exceeds payments and earlier payouts
//!   by, so whoever sends twice, or beside somebody else, pays for gas and gets nothing twice. Still a transaction that may be
//!   out is looked up before another one leaves.
//! - Whether it is time says the chain, and what is final is read so many blocks below its end.
//! - Of several processes with the same books one has the turn ([`Turn`]). The account is for this alone: two lanes for one
//!   account would fight over its nonces.

mod choose;
mod find;
mod send;
mod view;
mod waiting;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use alloy_primitives::{Address, B256, U256};
use faregate_core::port::{Alone, HeldPage, HeldTab, HeldTabKey, HeldTabStore, Standing, Turn};
use faregate_types::{ChainId, Timestamp};
use futures_util::StreamExt as _;
use futures_util::stream;
use metrics::{counter, describe_counter, describe_gauge, gauge};
use tokio::time::timeout;

use self::send::{Cashier, End};
pub use self::view::{RedeemRound, Redeeming, TabView};
use self::waiting::Waiting;
use super::CreditCore;
use super::follow::{check, unreachable};
use crate::config::{ConnectError, NetworkConfig};
use crate::fees::Fees;
use crate::lane::Lane;
use crate::limits::{
    CREDIT_BOOKS_TIMEOUT, REDEEM_AT_ONCE, REDEEM_GAS_MAX, REDEEM_PAGE, REDEEM_SENT_MAX,
    REDEEM_TABS_MAX,
};
use crate::node::Node;
use crate::pending::Pending;
use crate::rpc::{Rpc, Simulation};
use crate::signer::Signer;

const REDEMPTIONS: &str = "faregate_credit_redemptions_total";
const ENDS: &str = "faregate_credit_held_tabs_ended_total";
const TABS: &str = "faregate_credit_held_tabs";
const NEAR: &str = "faregate_credit_held_deadlines_near";

/// Registers what the metrics mean.
pub(crate) fn describe_metrics() {
    describe_counter!(
        REDEMPTIONS,
        "Transactions that redeem certificates, by `network` and `outcome` (mined, reverted, not_sent, lost)"
    );
    describe_counter!(
        ENDS,
        "Tabs that certificates are held of and that have ended, by `network` and `end` (repaid, redeemed, lost)"
    );
    describe_gauge!(
        TABS,
        "Tabs that certificates are held of, as of the last look, by `network` and `standing` (not_due, waits, ready, validation, no_collateral, in_flight, paused, refused, ended)"
    );
    describe_gauge!(
        NEAR,
        "Tabs that are not redeemed and have less than a quarter of their time left, by `network`"
    );
}

/// How certificates are redeemed. Start from [`RedeemerConfig::new`] and change what differs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RedeemerConfig {
    /// The chain, its node, and how transactions are sent. What a tab came to counts so many `confirmations` below the newest
    /// block. Assets, contracts and following are not looked at.
    pub network: NetworkConfig,
    /// The contract.
    pub contract: Address,
    /// Begins so long before a certificate's last moment, so that late payers may pay; `None`: as soon as it is overdue.
    pub before_deadline: Option<Duration>,
    /// A transaction of an earlier process that the node has not known for so long is not waited for any more.
    pub give_up_after: Duration,
    /// Whose turn it is, where several processes have the same books.
    pub turn: Arc<dyn Turn>,
}

impl RedeemerConfig {
    /// As soon as a tab is overdue, ten minutes for a transaction that nobody knows, always our turn.
    #[must_use]
    pub fn new(network: NetworkConfig, contract: Address) -> Self {
        Self {
            network,
            contract,
            before_deadline: None,
            give_up_after: Duration::from_secs(600),
            turn: Arc::new(Alone),
        }
    }
}

/// What a round may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "either it acts or it does not")]
pub enum RedeemMode {
    /// Says what it would do, and changes nothing anywhere.
    Look,
    /// Notes what became of tabs, and redeems what is due.
    Redeem,
}

/// Why there was no round. What was done before it is in the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedeemError {
    /// The node did not answer, or refused to.
    #[error("the node gave no answer")]
    Away,
    /// What answers there is no such contract.
    #[error("the contract gave no answer")]
    Contract,
    /// The books did not answer.
    #[error("the books of held certificates cannot be used")]
    Books,
    /// Another process redeems.
    #[error("another process redeems these certificates")]
    NotOurTurn,
}

/// Redeems with one contract. Share one with an `Arc`: a round while another one goes on waits for nobody, and sends nothing
/// twice.
pub struct CreditRedeemer {
    chain: ChainId,
    rpc: Arc<Rpc>,
    store: Arc<dyn HeldTabStore>,
    core: CreditCore,
    cashier: Option<Arc<Cashier>>,
    config: RedeemerConfig,
    waiting: Waiting,
}

/// Where the chain stands during a round.
#[derive(Clone, Copy, Debug)]
struct Moment {
    /// Of the newest block.
    now: Timestamp,
    /// A block that is deep enough; `None` is the newest one.
    deep: Option<u64>,
    /// Its time.
    deep_at: Timestamp,
    grace: u64,
    expiration: u64,
}

impl fmt::Debug for CreditRedeemer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreditRedeemer")
            .field("chain", &self.chain)
            .field("contract", &self.core.address())
            .field("sender", &self.sender())
            .finish_non_exhaustive()
    }
}

impl CreditRedeemer {
    /// Checks chain and contract. Without a signer it can [look](RedeemMode::Look), and note what became of tabs. Must be
    /// called inside a Tokio runtime.
    ///
    /// # Errors
    /// [`ConnectError`], the first thing that is not as it should be.
    pub async fn connect(
        config: RedeemerConfig,
        signer: Option<Arc<dyn Signer>>,
        store: Arc<dyn HeldTabStore>,
    ) -> Result<Self, ConnectError> {
        let network = NetworkConfig {
            gas_limit_max: config.network.gas_limit_max.max(REDEEM_GAS_MAX),
            ..config.network.clone()
        };
        let chain = network.chain;
        let node = Node::new(&network.endpoint, network.rpc_timeout);
        let rpc = Arc::new(Rpc::new(node.map_err(|_| ConnectError::HttpClient)?));
        check(&rpc, chain, config.contract).await?;
        let core = CreditCore::at(config.contract);
        let cashier = match signer {
            None => None,
            Some(signer) => {
                let sender = signer.address();
                let balance = rpc.balance(sender).await;
                let balance = balance.map_err(|error| unreachable(chain, &error))?;
                let fees = Arc::new(Fees::new(network.fee_style, network.fee_per_gas_max));
                let pending = Pending::default();
                let lane = Lane::start(&network, Arc::clone(&rpc), fees, signer, balance, pending);
                let (rpc, store) = (Arc::clone(&rpc), Arc::clone(&store));
                Some(Arc::new(Cashier {
                    rpc,
                    lane,
                    sender,
                    store,
                }))
            }
        };
        Ok(Self {
            chain,
            rpc,
            store,
            core,
            cashier,
            config: RedeemerConfig { network, ..config },
            waiting: Waiting::default(),
        })
    }

    /// The chain.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// Who sends, if anybody. Anyone may: the contract pays the recipient whoever sends.
    #[must_use]
    pub fn sender(&self) -> Option<Address> {
        self.cashier.as_ref().map(|cashier| cashier.sender)
    }

    /// Looks at every open tab once, in the order of their deadlines, and does what is due.
    ///
    /// # Errors
    /// [`RedeemError`]: then nothing more was done.
    pub async fn round(&self, mode: RedeemMode) -> Result<RedeemRound, RedeemError> {
        if mode == RedeemMode::Redeem && !self.has_turn().await {
            return Err(RedeemError::NotOurTurn);
        }
        if let Some(cashier) = &self.cashier
            && self.waiting.is_quiet()
        {
            // Whoever had the turn meanwhile may have sent from the same account.
            cashier.lane.doubt();
        }
        let moment = self.moment().await?;
        let out = self.in_flight(mode).await?;
        let mut views = self.look_at_all(&moment, &out, mode).await?;
        self.do_all(&moment, &mut views, mode).await;
        if mode == RedeemMode::Redeem {
            self.waiting.forget(&views);
            self.tell(&views);
        }
        Ok(RedeemRound {
            chain: self.chain,
            contract: self.core.address(),
            now: moment.now,
            views,
        })
    }

    async fn has_turn(&self) -> bool {
        let asked = timeout(CREDIT_BOOKS_TIMEOUT, self.config.turn.is_ours());
        asked.await.unwrap_or(false)
    }

    /// Every tab that has not ended, and those that end now.
    async fn look_at_all(
        &self,
        moment: &Moment,
        out: &BTreeMap<HeldTabKey, B256>,
        mode: RedeemMode,
    ) -> Result<Vec<TabView>, RedeemError> {
        let mut views = Vec::new();
        let mut page = HeldPage::first(REDEEM_PAGE);
        loop {
            let tabs = self.books(self.store.open_tabs(self.chain, page)).await?;
            let Some(last) = tabs.last() else { break };
            page = HeldPage::after(last, REDEEM_PAGE);
            let standings = self.standings(&tabs, moment).await?;
            for (tab, standing) in tabs.into_iter().zip(standings) {
                // Nobody knows: the next round asks again.
                let Some(standing) = standing else { continue };
                let tab = self.note(tab, &standing, mode).await?;
                views.push(self.view(tab, moment, out.get(&tab.key).copied()));
            }
            if views.len() >= REDEEM_TABS_MAX {
                tracing::warn!(
                    chain = %self.chain,
                    "more tabs are open than one round looks at: those with the nearest deadlines come first"
                );
                break;
            }
        }
        Ok(views)
    }

    /// What the contract says now, in the books where that is more than they knew.
    async fn note(
        &self,
        tab: HeldTab,
        standing: &Standing,
        mode: RedeemMode,
    ) -> Result<HeldTab, RedeemError> {
        let at = Timestamp::from(SystemTime::now());
        let after = tab.standing(standing, at);
        if after == tab || mode == RedeemMode::Look {
            return Ok(after);
        }
        let after = self.books(self.store.stand(tab.key, *standing, at)).await?;
        self.ended(&tab, &after);
        Ok(after)
    }

    /// Says how a tab ended, once.
    fn ended(&self, before: &HeldTab, after: &HeldTab) {
        if before.has_ended() || !after.has_ended() {
            return;
        }
        let shares = after.shares();
        let key = &after.key;
        let end = if shares.lost > U256::ZERO {
            tracing::error!(
                chain = %key.chain, tab = %format_args!("{:#x}", key.tab), payer = %key.payer, asset = %after.asset,
                lost = %shares.lost, redeemed = %shares.redeemed, repaid = %shares.repaid,
                "a tab was not paid, and its certificates pay nothing any more: what is left of it is lost"
            );
            "lost"
        } else {
            tracing::info!(
                chain = %key.chain, tab = %format_args!("{:#x}", key.tab), payer = %key.payer, asset = %after.asset,
                redeemed = %shares.redeemed, repaid = %shares.repaid, "a tab is covered"
            );
            if shares.redeemed > U256::ZERO {
                "redeemed"
            } else {
                "repaid"
            }
        };
        counter!(ENDS, "network" => self.chain.to_string(), "end" => end).increment(1);
    }

    /// Does what is due, the nearest deadline first, a few at a time.
    async fn do_all(&self, moment: &Moment, views: &mut [TabView], mode: RedeemMode) {
        let due = views
            .iter_mut()
            .filter(|view| view.doing == Redeeming::Ready);
        let sent = &AtomicUsize::new(0);
        stream::iter(due.collect::<Vec<_>>())
            .for_each_concurrent(REDEEM_AT_ONCE, |view| async move {
                view.doing = match self.choose(&view.tab, moment).await {
                    Err(no) => no,
                    Ok(_) if mode == RedeemMode::Look => Redeeming::Ready,
                    // The others are next.
                    Ok(_) if sent.fetch_add(1, Ordering::Relaxed) >= REDEEM_SENT_MAX => {
                        Redeeming::Ready
                    }
                    Ok(call) => self.redeem(view, call).await,
                };
            })
            .await;
    }

    async fn redeem(&self, view: &mut TabView, call: Simulation) -> Redeeming {
        let tab = view.tab;
        let Some(cashier) = &self.cashier else {
            return Redeeming::Ready;
        };
        if !self.waiting.may_try(&tab.key, view.is_near) {
            return Redeeming::Paused;
        }
        if !self.has_turn().await {
            return Redeeming::Paused;
        }
        let Some(landing) = self.waiting.fly(tab.key) else {
            return Redeeming::Paused;
        };
        let cashier = Arc::clone(cashier);
        // Goes on when nobody waits any more: every replacement is in the books before it leaves.
        let sent = tokio::spawn(async move {
            let end = cashier.redeem(landing.key, call).await;
            drop(landing);
            end
        });
        let patience = self.config.network.receipt_wait;
        let end = match timeout(patience, sent).await {
            Ok(Ok(end)) => end,
            Ok(Err(_)) | Err(_) => End::Lost,
        };
        if end != End::NotSent {
            self.waiting.tried(&tab.key);
        }
        counter!(REDEMPTIONS, "network" => self.chain.to_string(), "outcome" => end.label())
            .increment(1);
        match end {
            End::Mined(transaction) => self.paid(view, transaction).await,
            End::Reverted => Redeeming::Refused("the transaction was reverted".into()),
            End::NotSent => Redeeming::NotSent,
            End::Lost => Redeeming::Unknown,
        }
    }

    /// What a mined transaction brought, as the contract says.
    async fn paid(&self, view: &mut TabView, transaction: B256) -> Redeeming {
        let before = view.tab;
        let noted = async {
            let moment = self.moment().await?;
            let standings = self.standings(&[before], &moment).await?;
            let standing = standings.first().copied().flatten();
            let standing = standing.ok_or(RedeemError::Contract)?;
            self.note(before, &standing, RedeemMode::Redeem).await
        };
        if let Ok(after) = noted.await {
            view.tab = after;
        }
        Redeeming::Redeemed {
            transaction,
            amount: view.tab.redeemed.saturating_sub(before.redeemed),
        }
    }

    fn tell(&self, views: &[TabView]) {
        let mut standings = BTreeMap::from(Redeeming::LABELS.map(|label| (label, 0_u32)));
        let mut near: Option<&TabView> = None;
        let mut count = 0_u32;
        for view in views {
            let standing = standings.entry(view.doing.label()).or_default();
            *standing = standing.saturating_add(1);
            if view.is_near && !view.tab.has_ended() {
                count = count.saturating_add(1);
                near = near.or(Some(view));
            }
        }
        for (standing, tabs) in standings {
            gauge!(TABS, "network" => self.chain.to_string(), "standing" => standing)
                .set(f64::from(tabs));
        }
        gauge!(NEAR, "network" => self.chain.to_string()).set(f64::from(count));
        if let Some(view) = near {
            tracing::warn!(
                chain = %self.chain, tabs = count, tab = %format_args!("{:#x}", view.tab.key.tab),
                until = view.until.as_secs(), why = view.doing.label(),
                "certificates are not redeemed and pay nothing before long: this tab is the next"
            );
        }
    }

    async fn books<T>(
        &self,
        asked: impl Future<Output = Result<T, faregate_ledger::StoreError>>,
    ) -> Result<T, RedeemError> {
        match timeout(CREDIT_BOOKS_TIMEOUT, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the books of held certificates did not answer");
                Err(RedeemError::Books)
            }
            Err(_) => Err(RedeemError::Books),
        }
    }
}
