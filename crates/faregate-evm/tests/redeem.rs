//! A seller's certificates become money on a chain with the credit contract: overdue, in time, once, whatever else happens.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use alloy_primitives::{Address, B256, U64, U256};
use alloy_sol_types::SolCall as _;
use common::World;
use faregate_core::port::{
    CertificateStore as _, HeldCertificate, HeldTab, HeldTabKey, HeldTabStore, Redemption, Turn,
};
use faregate_devnet::chain::{CREDIT_CORE, CreditConfig, CreditTiming, VALIDATION_REGISTRY};
use faregate_evm::credit::{
    Call, CreditCore, CreditRedeemer, ETH, RedeemError, RedeemMode, RedeemRound, RedeemerConfig,
    Redeeming, abi::ValidationRegistry,
};
use faregate_evm::{LocalSigner, NetworkConfig};
use faregate_store::memory::MemoryLedger;
use faregate_types::credit::certificate::domain_separator;
use faregate_types::credit::{
    BlsSecretKey, Certificate, Claims, Guarantee, ValidationPolicy, binding,
};
use faregate_types::{Amount, ChainId, Erc20, PaymentId, Timestamp};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

const GRACE: u64 = 1_000;
const EXPIRATION: u64 = 5_000;
/// From the end of the grace on.
const LAST_QUARTER: u64 = 3_000;

/// A chain with the contract, a payer with collateral, a seller with books, and whoever sends for the seller.
struct Town {
    world: World,
    key: BlsSecretKey,
    core: CreditCore,
    operator: Address,
    payer: Address,
    recipient: Address,
    validator: Address,
    sender: LocalSigner,
    store: Arc<MemoryLedger>,
}

/// One certificate to be held.
#[derive(Clone, Copy)]
struct Deal {
    tab: u64,
    req: u64,
    amount: u64,
    total: u64,
    asset: Address,
    conditional: bool,
}

impl Town {
    async fn new() -> Self {
        Self::on(ChainId::BASE_SEPOLIA).await
    }

    async fn on(chain: ChainId) -> Self {
        let accounts = faregate_devnet::Devchain::accounts();
        let key = BlsSecretKey::from_bytes(&[7; 32]).unwrap();
        let credit = CreditConfig {
            verification_key: key.public_key().words(),
            operator: accounts[1].address,
            admin: accounts[2].address,
            timing: CreditTiming {
                remuneration_grace: GRACE,
                tab_expiration: EXPIRATION,
                synchronization_delay: 1,
                withdrawal_grace: EXPIRATION + 10,
            },
        };
        let world = World::with_credit(chain, credit).await;
        let town = Self {
            sender: world.gas_payer().await,
            world,
            key,
            core: CreditCore::at(CREDIT_CORE),
            operator: accounts[1].address,
            payer: accounts[3].address,
            recipient: Address::repeat_byte(0x5e),
            validator: accounts[4].address,
            store: Arc::new(MemoryLedger::new()),
        };
        town.world.mint(town.payer, 1_000_000_000).await;
        let token = town.token();
        town.send(town.payer, &town.core.approve(token, U256::MAX))
            .await;
        town
    }

    fn token(&self) -> Address {
        self.world.asset.id.token()
    }

    async fn send(&self, from: Address, call: &Call) {
        let sent = json!({
            "from": from, "to": call.to, "value": call.value, "data": call.data, "gas": U64::from(call.gas.max(100_000)),
        });
        let hash = self.world.submit(sent).await;
        let receipt = self.world.receipt(hash).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
    }

    async fn deposit(&self, asset: Address, amount: u64) {
        let call = self.core.deposit(asset, U256::from(amount));
        self.send(self.payer, &call).await;
    }

    /// The operator tells the contract what the payer paid.
    async fn pay(&self, tab: u64, asset: Address, amount: u64) {
        let payment = faregate_evm::credit::Payment {
            id: B256::left_padding_from(&[tab, amount].map(u64::to_be_bytes).concat()),
            tab: U256::from(tab),
            asset,
            amount: U256::from(amount),
        };
        self.send(self.operator, &self.core.record_payment(&payment))
            .await;
    }

    const fn deal(&self, tab: u64, req: u64, amount: u64, total: u64, asset: Address) -> Deal {
        Deal {
            tab,
            req,
            amount,
            total,
            asset,
            conditional: false,
        }
    }

    fn claims(&self, deal: &Deal, at: Timestamp) -> Claims {
        let claims = Claims {
            payer: self.payer,
            recipient: self.recipient,
            tab_id: U256::from(deal.tab),
            req_id: U256::from(deal.req),
            amount: U256::from(deal.amount),
            asset: deal.asset,
            timestamp: at,
            validation: deal.conditional.then(|| ValidationPolicy {
                registry: VALIDATION_REGISTRY,
                request_hash: B256::ZERO,
                chain_id: self.world.chain.get(),
                validator: self.validator,
                agent_id: U256::from(9),
                min_score: 80,
                subject_hash: B256::ZERO,
                tag: String::new(),
                job_hash: B256::repeat_byte(3),
            }),
        };
        if deal.conditional {
            binding::bind(claims)
        } else {
            claims
        }
    }

    /// The seller gets a certificate, promised now. Its claims, for validators.
    async fn hold(&self, deal: Deal) -> Claims {
        let at = Timestamp::from_secs(self.world.chain_time().await);
        let claims = self.claims(&deal, at);
        let version = claims.version();
        let domain = domain_separator(version, self.world.chain, CREDIT_CORE);
        let guarantee = Guarantee::of(&claims, domain, U256::from(deal.total)).unwrap();
        let natural = [self.world.chain.get(), deal.tab, deal.req];
        let natural = natural.map(u64::to_be_bytes).concat();
        let held = HeldCertificate {
            payment: PaymentId::from_bytes(alloy_primitives::keccak256(natural).0),
            route: "/joke".into(),
            chain: self.world.chain,
            tab: claims.tab_id,
            req: claims.req_id,
            version,
            payer: self.payer,
            recipient: self.recipient,
            amount: Amount::new(claims.amount, Erc20::new(self.world.chain, deal.asset)),
            total: guarantee.total_amount,
            promised_at: at,
            certificate: Certificate::issue(&guarantee, &self.key),
            at,
        };
        self.store.keep(held).await.unwrap();
        claims
    }

    /// The validator says what the work is worth.
    async fn validate(&self, claims: &Claims, score: u8) {
        let policy = claims.validation.as_ref().unwrap();
        let asked = ValidationRegistry::validationRequestCall {
            validatorAddress: policy.validator,
            agentId: policy.agent_id,
            requestURI: String::new(),
            requestHash: policy.request_hash,
        };
        let said = ValidationRegistry::validationResponseCall {
            requestHash: policy.request_hash,
            response: score,
            responseURI: String::new(),
            responseHash: B256::ZERO,
            tag: String::new(),
        };
        for data in [asked.abi_encode(), said.abi_encode()] {
            let receipt = self
                .world
                .transact(self.validator, policy.registry, data.into(), 500_000)
                .await;
            assert_eq!(receipt["status"], "0x1", "{receipt}");
        }
    }

    fn config(&self) -> RedeemerConfig {
        let url = self.world.url.parse().unwrap();
        let mut network = NetworkConfig::new(self.world.chain, url, vec![]);
        network.receipt_wait = Duration::from_secs(20);
        RedeemerConfig::new(network, CREDIT_CORE)
    }

    async fn redeemer(&self, config: RedeemerConfig) -> CreditRedeemer {
        let signer = Arc::new(self.sender.clone());
        CreditRedeemer::connect(config, Some(signer), Arc::clone(&self.store) as _)
            .await
            .unwrap()
    }

    /// A round of a new process.
    async fn round(&self) -> RedeemRound {
        let redeemer = self.redeemer(self.config()).await;
        redeemer.round(RedeemMode::Redeem).await.unwrap()
    }

    async fn look(&self) -> RedeemRound {
        let redeemer = self.redeemer(self.config()).await;
        redeemer.round(RedeemMode::Look).await.unwrap()
    }

    async fn pass_time(&self, secs: u64) {
        self.world
            .rpc::<Value>("evm_increaseTime", json!([secs]))
            .await;
        self.world.mine(1).await;
    }

    async fn ether(&self, of: Address) -> U256 {
        self.world
            .rpc("eth_getBalance", json!([of, "latest"]))
            .await
    }

    /// What the seller has: tokens and ether.
    async fn till(&self) -> (u64, u64) {
        let tokens = self.world.balance(self.recipient).await;
        (tokens.to(), self.ether(self.recipient).await.to())
    }

    async fn sent(&self) -> u64 {
        self.world.sent_by(self.sender.address()).await
    }

    fn key_of(&self, tab: u64) -> HeldTabKey {
        HeldTabKey {
            chain: self.world.chain,
            payer: self.payer,
            recipient: self.recipient,
            tab: U256::from(tab),
        }
    }

    async fn tab(&self, tab: u64) -> HeldTab {
        let found = self.store.held_tab(self.key_of(tab)).await.unwrap();
        found.unwrap()
    }

    /// Lost, redeemed, repaid and owed of a tab.
    async fn shares(&self, tab: u64) -> [u64; 4] {
        let shares = self.tab(tab).await.shares();
        [shares.redeemed, shares.repaid, shares.lost, shares.owed].map(|sum| sum.to())
    }

    /// The certificate of a tab with the largest total, as a call.
    async fn call_of(&self, tab: u64) -> Call {
        let held = self.store.certificates_of(self.key_of(tab), 1).await;
        let certificate = held.unwrap().remove(0).certificate;
        let words = certificate.signature.words().unwrap();
        self.core.remunerate(&certificate.claims, &words).unwrap()
    }
}

fn doing(round: &RedeemRound) -> Vec<(u64, Redeeming)> {
    let views = round.views.iter();
    let mut doing: Vec<_> = views
        .map(|view| {
            let doing = match &view.doing {
                Redeeming::Redeemed { amount, .. } => Redeeming::Redeemed {
                    transaction: B256::ZERO,
                    amount: *amount,
                },
                Redeeming::InFlight(_) => Redeeming::InFlight(B256::ZERO),
                other => other.clone(),
            };
            (view.tab.key.tab.to(), doing)
        })
        .collect();
    doing.sort_by_key(|(tab, _)| *tab);
    doing
}

fn redeemed(amount: u64) -> Redeeming {
    Redeeming::Redeemed {
        transaction: B256::ZERO,
        amount: U256::from(amount),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_overdue_is_redeemed_once_for_what_is_left_of_it() {
    let town = Town::new().await;
    let token = town.token();
    town.deposit(token, 1_000).await;
    town.deposit(ETH, 500).await;
    for deal in [
        town.deal(1, 0, 10, 10, token),
        town.deal(1, 1, 15, 25, token),
        town.deal(2, 0, 40, 40, token),
        town.deal(3, 0, 40, 40, token),
        town.deal(4, 0, 70, 70, ETH),
    ] {
        town.hold(deal).await;
    }
    town.pay(2, token, 40).await;
    town.pay(3, token, 30).await;
    let early = town.round().await;
    let expected = [
        (1, Redeeming::NotDue),
        (2, Redeeming::Covered),
        (3, Redeeming::NotDue),
        (4, Redeeming::NotDue),
    ];
    assert_eq!(doing(&early), expected);
    assert_eq!(town.shares(2).await, [0, 40, 0, 0]);
    let view = &early.views[0];
    assert_eq!(
        view.from.as_secs() + EXPIRATION,
        view.until.as_secs() + GRACE
    );
    town.pass_time(GRACE).await;
    let look = town.look().await;
    assert!(look.views.iter().all(|view| view.doing == Redeeming::Ready));
    assert_eq!((look.views.len(), town.sent().await), (3, 0));
    assert_eq!(
        town.store.redemptions(town.world.chain, 9).await,
        Ok(vec![])
    );
    let round = town.round().await;
    let expected = [(1, redeemed(25)), (3, redeemed(10)), (4, redeemed(70))];
    assert_eq!(doing(&round), expected);
    assert_eq!(town.till().await, (35, 70));
    assert_eq!(town.shares(1).await, [25, 0, 0, 0]);
    assert_eq!(town.shares(3).await, [10, 30, 0, 0]);
    let paid_by = town.store.paid_by(town.key_of(4)).await.unwrap();
    assert!(round.views.iter().any(|view| matches!(view.doing,
        Redeeming::Redeemed { transaction, .. } if Some(transaction) == paid_by)));
    let after = town.round().await;
    assert_eq!((after.views, town.sent().await), (vec![], 3));
    assert_eq!(
        town.store.redemptions(town.world.chain, 9).await,
        Ok(vec![])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_too_late_is_lost_and_nothing_is_sent_for_it() {
    let town = Town::new().await;
    let token = town.token();
    town.deposit(token, 1_000).await;
    town.hold(town.deal(1, 0, 40, 40, token)).await;
    town.pay(1, token, 15).await;
    town.pass_time(EXPIRATION - 100).await;
    let near = town.look().await;
    assert!(near.views[0].is_near && near.views[0].doing == Redeeming::Ready);
    town.pass_time(200).await;
    assert_eq!(doing(&town.look().await), [(1, Redeeming::Lost)]);
    assert_eq!(
        town.shares(1).await,
        [0, 0, 0, 40],
        "a look changes nothing"
    );
    assert_eq!(doing(&town.round().await), [(1, Redeeming::Lost)]);
    assert_eq!(town.shares(1).await, [0, 15, 25, 0]);
    assert_eq!((town.sent().await, town.till().await), (0, (0, 0)));
    assert_eq!(town.round().await.views, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payers_are_given_as_long_as_the_seller_says() {
    let town = Town::new().await;
    let token = town.token();
    town.deposit(token, 1_000).await;
    town.hold(town.deal(1, 0, 40, 40, token)).await;
    let mut config = town.config();
    config.before_deadline = Some(Duration::from_secs(1_500));
    let redeemer = town.redeemer(config).await;
    town.pass_time(GRACE + 500).await;
    let round = redeemer.round(RedeemMode::Redeem).await.unwrap();
    assert_eq!(doing(&round), [(1, Redeeming::Waits)]);
    town.pass_time(EXPIRATION - GRACE - 500 - 1_500).await;
    let round = redeemer.round(RedeemMode::Redeem).await.unwrap();
    assert_eq!(doing(&round), [(1, redeemed(40))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_condition_is_waited_for_and_the_best_that_is_good_is_redeemed_in_the_end() {
    let town = Town::new().await;
    let token = town.token();
    town.deposit(token, 1_000).await;
    let conditional = |tab, req, amount, total| Deal {
        conditional: true,
        ..town.deal(tab, req, amount, total, token)
    };
    let good = town.hold(conditional(1, 0, 10, 10)).await;
    town.hold(conditional(1, 1, 15, 25)).await;
    let later = town.hold(conditional(2, 0, 30, 30)).await;
    let poor = town.hold(conditional(3, 0, 5, 5)).await;
    town.validate(&good, 100).await;
    town.validate(&poor, 79).await;
    town.pass_time(GRACE).await;
    let waits = Redeeming::WaitsForValidation;
    let expected = [(1, waits.clone()), (2, waits.clone()), (3, waits.clone())];
    assert_eq!(doing(&town.round().await), expected);
    town.validate(&later, 80).await;
    let expected = [(1, waits.clone()), (2, redeemed(30)), (3, waits.clone())];
    assert_eq!(doing(&town.round().await), expected);
    // In the last quarter of its time the small one is better than nothing.
    town.pass_time(LAST_QUARTER + 1).await;
    let expected = [(1, redeemed(10)), (3, waits.clone())];
    assert_eq!(doing(&town.round().await), expected);
    assert_eq!(doing(&town.round().await), [(1, waits.clone()), (3, waits)]);
    town.pass_time(EXPIRATION).await;
    let expected = [(1, Redeeming::Lost), (3, Redeeming::Lost)];
    assert_eq!(doing(&town.round().await), expected);
    assert_eq!(town.shares(1).await, [10, 0, 15, 0]);
    assert_eq!((town.till().await, town.sent().await), ((40, 0), 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collateral_that_comes_later_pays_the_rest() {
    let town = Town::new().await;
    let token = town.token();
    town.hold(town.deal(1, 0, 40, 40, token)).await;
    town.pass_time(GRACE).await;
    assert_eq!(doing(&town.round().await), [(1, Redeeming::NoCollateral)]);
    town.deposit(token, 15).await;
    let redeemer = town.redeemer(town.config()).await;
    let round = redeemer.round(RedeemMode::Redeem).await.unwrap();
    assert_eq!(doing(&round), [(1, redeemed(15))]);
    assert_eq!(town.shares(1).await, [15, 0, 0, 25]);
    town.deposit(token, 5).await;
    // Not for every drop.
    let round = redeemer.round(RedeemMode::Redeem).await.unwrap();
    assert_eq!(doing(&round), [(1, Redeeming::Paused)]);
    town.deposit(token, 100).await;
    assert_eq!(doing(&town.round().await), [(1, redeemed(25))]);
    assert_eq!((town.till().await, town.sent().await), ((40, 0), 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_may_be_out_is_looked_up_and_not_sent_again() {
    let town = Town::new().await;
    let token = town.token();
    town.deposit(token, 1_000).await;
    town.hold(town.deal(1, 0, 40, 40, token)).await;
    town.hold(town.deal(2, 0, 30, 30, token)).await;
    town.pass_time(GRACE).await;
    let note = |tab, transaction| {
        town.store.redeeming(Redemption {
            key: town.key_of(tab),
            transaction,
            at: Timestamp::from(SystemTime::now()),
        })
    };
    // The first was sent by a process that died then; of the second nobody knows.
    let call = town.call_of(1).await;
    let sent = json!({ "from": town.operator, "to": call.to, "data": call.data, "gas": U64::from(call.gas) });
    let mined = town.world.submit(sent).await;
    town.world.receipt(mined).await;
    note(1, mined).await.unwrap();
    note(2, B256::repeat_byte(9)).await.unwrap();
    let round = town.round().await;
    let expected = [
        (1, Redeeming::Covered),
        (2, Redeeming::InFlight(B256::ZERO)),
    ];
    assert_eq!(doing(&round), expected);
    assert_eq!(town.store.paid_by(town.key_of(1)).await, Ok(Some(mined)));
    assert_eq!(
        (town.shares(1).await, town.sent().await),
        ([40, 0, 0, 0], 0)
    );
    let mut config = town.config();
    config.give_up_after = Duration::ZERO;
    let redeemer = town.redeemer(config).await;
    let round = redeemer.round(RedeemMode::Redeem).await.unwrap();
    assert_eq!(doing(&round), [(2, redeemed(30))]);
    assert_eq!((town.till().await, town.sent().await), ((70, 0), 1));
    let paid_by = town.store.paid_by(town.key_of(2)).await.unwrap().unwrap();
    assert_ne!(paid_by, B256::repeat_byte(9), "that was given up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_still_be_undone_is_no_end() {
    let town = Town::new().await;
    let token = town.token();
    town.deposit(token, 1_000).await;
    town.hold(town.deal(1, 0, 40, 40, token)).await;
    let mut config = town.config();
    config.network.confirmations = 3;
    let redeemer = town.redeemer(config).await;
    town.pay(1, token, 40).await;
    for _ in 0..3 {
        let round = redeemer.round(RedeemMode::Redeem).await.unwrap();
        assert_eq!(doing(&round), [(1, Redeeming::NotDue)]);
        assert_eq!(town.shares(1).await, [0, 0, 0, 40]);
        town.world.mine(1).await;
    }
    let round = redeemer.round(RedeemMode::Redeem).await.unwrap();
    assert_eq!(doing(&round), [(1, Redeeming::Covered)]);
}

#[derive(Debug)]
struct Theirs;

impl Turn for Theirs {
    fn is_ours(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { false })
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_not_the_turn_only_looks() {
    let town = Town::new().await;
    let token = town.token();
    town.deposit(token, 1_000).await;
    town.hold(town.deal(1, 0, 40, 40, token)).await;
    town.pass_time(GRACE).await;
    let mut config = town.config();
    config.turn = Arc::new(Theirs);
    let redeemer = town.redeemer(config).await;
    let refused = redeemer.round(RedeemMode::Redeem).await;
    assert_eq!(refused, Err(RedeemError::NotOurTurn));
    let look = redeemer.round(RedeemMode::Look).await.unwrap();
    assert_eq!(doing(&look), [(1, Redeeming::Ready)]);
    assert_eq!(town.sent().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_chains_and_two_processes_with_the_same_books_redeem_each_tab_once() {
    let here = Town::new().await;
    let mut there = Town::on(ChainId::BASE).await;
    there.store = Arc::clone(&here.store);
    for town in [&here, &there] {
        let token = town.token();
        town.deposit(token, 10_000).await;
        for tab in 1..=12 {
            town.hold(town.deal(tab, 0, tab, tab, token)).await;
        }
        town.pass_time(GRACE).await;
    }
    // Nobody has the turn here, so both send; but not from one account.
    let rounds = [&here, &there, &here, &there].into_iter().enumerate();
    let rounds = rounds.map(async |(number, town)| {
        let sender = match number {
            0 | 1 => town.sender.clone(),
            _ => town.world.gas_payer().await,
        };
        let store = Arc::clone(&town.store) as _;
        let redeemer = CreditRedeemer::connect(town.config(), Some(Arc::new(sender)), store);
        let redeemer = redeemer.await.unwrap();
        redeemer.round(RedeemMode::Redeem).await.unwrap();
    });
    futures_util::future::join_all(rounds).await;
    for town in [&here, &there] {
        town.round().await;
        assert_eq!(town.till().await, (78, 0));
        for tab in 1..=12 {
            assert_eq!(town.shares(tab).await, [tab, 0, 0, 0]);
        }
        assert_eq!(town.round().await.views, []);
    }
}
