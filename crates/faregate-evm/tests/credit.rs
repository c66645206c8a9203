//! A credit contract, followed into books, and an operator who records: what happens on the chain is what the books say,
//! through restarts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;
#[path = "credit/rewound.rs"]
mod rewound;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_sol_types::{SolCall, SolValue};
use common::{World, artifact};
use faregate_core::credit::{
    Collateral, Identity, Issue, OpenTab, PaymentStage, Settlement, Tab, TabId, TabPayment, Terms,
};
use faregate_core::port::credit::{CreditStore, Page};
use faregate_core::port::{Alone, Turn};
use faregate_evm::credit::{
    Call, Confirmation, CreditCore, CreditFollowConfig, CreditFollower, CreditOperator,
    CreditOperatorConfig, ETH, FollowState, Payment, RewindError, Rewound, abi::Core, g1_point,
    rewind,
};
use faregate_evm::{ConnectError, Endpoint, LocalSigner, NetworkConfig};
use faregate_store::memory::MemoryCredit;
use faregate_types::Timestamp;
use faregate_types::credit::{BlsSecretKey, Certificate, Guarantee};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

const POLL: Duration = Duration::from_millis(50);
const ALL: Page = Page {
    skip: 0,
    limit: 1_000,
};

/// A chain with the contract, an operator who may do everything with it, and books.
struct Town {
    world: World,
    core: CreditCore,
    operator: LocalSigner,
    key: BlsSecretKey,
    store: Arc<MemoryCredit>,
    payer: Address,
    recipient: Address,
}

impl Town {
    async fn new() -> Self {
        let world = World::start().await;
        let operator = world.gas_payer().await;
        let key = BlsSecretKey::from_bytes(&[7; 32]).unwrap();
        let manager = deploy(
            &world,
            "CreditManager",
            (operator.address(),).abi_encode_params(),
        );
        let manager = manager.await;
        let point = g1_point(&key.public_key().words());
        let tokens = vec![world.asset.id.token()];
        let core = deploy(
            &world,
            "CreditCore",
            (manager, point, tokens).abi_encode_params(),
        );
        let core = CreditCore::at(core.await);
        let accounts = faregate_devnet::Devchain::accounts();
        let town = Self {
            store: Arc::new(MemoryCredit::new(world.chain)),
            world,
            core,
            operator,
            key,
            payer: accounts[1].address,
            recipient: accounts[2].address,
        };
        town.set_timing(1_000_000).await;
        // On the dev chain it has some; on another node it need not.
        town.world.mint(town.payer, 1_000_000_000).await;
        town
    }

    /// Everything short but the life of certificates.
    async fn set_timing(&self, expiration: u64) {
        let call = Core::setTimingParametersCall {
            remunerationGracePeriod: U256::from(1),
            tabExpirationTime: U256::from(expiration),
            synchronizationDelay: U256::from(1),
            withdrawalGracePeriod: U256::from(expiration + 10),
        };
        self.administer(call.abi_encode()).await;
    }

    /// Something only the operator may do, who is the administrator here.
    async fn administer(&self, data: Vec<u8>) {
        let from = self.operator.address();
        let node = &self.world;
        node.rpc::<Value>("anvil_impersonateAccount", json!([from]))
            .await;
        let receipt = node
            .transact(from, self.core.address(), data.into(), 1_000_000)
            .await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        node.rpc::<Value>("anvil_stopImpersonatingAccount", json!([from]))
            .await;
    }

    fn follow_config(&self) -> CreditFollowConfig {
        let endpoint = Endpoint::Http(self.world.url.parse().unwrap());
        let mut config = CreditFollowConfig::new(self.world.chain, endpoint, self.core.address());
        config.confirmation = Confirmation::Depth(0);
        config.poll = POLL;
        config.reconcile_every = None;
        config
    }

    async fn follow(&self) -> CreditFollower {
        let store = Arc::clone(&self.store) as _;
        CreditFollower::connect(self.follow_config(), store)
            .await
            .unwrap()
    }

    async fn operate(&self, bell: Arc<Notify>) -> CreditOperator {
        self.operate_in_turn(bell, Arc::new(Alone)).await
    }

    async fn operate_in_turn(&self, bell: Arc<Notify>, turn: Arc<dyn Turn>) -> CreditOperator {
        let state = watch::channel(FollowState::default()).1;
        self.operate_on(bell, state, turn).await
    }

    async fn operate_on(
        &self,
        bell: Arc<Notify>,
        state: watch::Receiver<FollowState>,
        turn: Arc<dyn Turn>,
    ) -> CreditOperator {
        let network = NetworkConfig::new(self.world.chain, self.world.url.parse().unwrap(), vec![]);
        let mut config = CreditOperatorConfig::new(network, self.core.address());
        config.poll = POLL;
        config.again_after = Duration::from_secs(1);
        config.turn = turn;
        let store = Arc::clone(&self.store) as _;
        CreditOperator::connect(config, self.operator.clone(), store, bell, state)
            .await
            .unwrap()
    }

    /// Sends a call; its receipt, which says that it ran.
    async fn send(&self, from: Address, call: &Call) -> Value {
        let sent = json!({
            "from": from, "to": call.to, "value": call.value, "data": call.data, "gas": U64::from(call.gas.max(100_000)),
        });
        let hash = self.world.submit(sent).await;
        let receipt = self.world.receipt(hash).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt
    }

    async fn ask<T>(&self, question: faregate_evm::credit::Question<T>) -> T {
        let call = json!({ "to": question.to, "data": question.data });
        let answer: Bytes = self.world.rpc("eth_call", json!([call, "latest"])).await;
        question.read(&answer).unwrap()
    }

    /// Waits until the books are where the chain is now.
    async fn caught_up(&self, follower: &CreditFollower) {
        let number: U64 = self.world.rpc("eth_blockNumber", json!([])).await;
        let until = follower.until(number.to());
        assert!(
            tokio::time::timeout(Duration::from_secs(30), until)
                .await
                .unwrap()
        );
    }

    async fn collateral(&self, asset: Address) -> Collateral {
        let known = self.store.collateral(self.payer, asset).await.unwrap();
        known.unwrap_or_default()
    }

    async fn open(&self, id: u64, asset: Address, terms: Terms) -> TabId {
        let command = OpenTab {
            id: TabId(U256::from(id)),
            identity: self.identity(asset),
            ttl_secs: None,
            at: Timestamp::from_secs(self.world.chain_time().await),
        };
        self.store.open_tab(command, terms).await.unwrap().tab.id
    }

    const fn identity(&self, asset: Address) -> Identity {
        Identity {
            payer: self.payer,
            recipient: self.recipient,
            asset,
            version: 1,
        }
    }

    /// A guarantee in the books, with its certificate.
    async fn issue(&self, tab: TabId, asset: Address, amount: u64, terms: Terms) -> Certificate {
        let now = Timestamp::from_secs(self.world.chain_time().await);
        let command = Issue {
            tab,
            req: U256::ZERO,
            identity: self.identity(asset),
            amount: U256::from(amount),
            timestamp: now,
            request: Box::new([]),
            at: now,
        };
        let issued = self.store.issue(command, terms).await.unwrap();
        let guarantee = Guarantee {
            domain: self.ask(self.core.version_config(1)).await.domain,
            tab_id: tab.0,
            req_id: U256::ZERO,
            payer: self.payer,
            recipient: self.recipient,
            amount: issued.amount,
            total_amount: issued.total,
            asset,
            timestamp: now,
            validation: None,
        };
        Certificate::issue(&guarantee, &self.key)
    }

    async fn tab(&self, tab: TabId) -> Tab {
        self.store.tab(tab).await.unwrap().unwrap()
    }

    /// Waits until all payments are recorded or refused, and in the books.
    async fn settled(&self, payments: usize) -> Vec<TabPayment> {
        for _ in 0..600 {
            let found = self.store.payments_to(self.recipient, ALL).await.unwrap();
            let over = |payment: &TabPayment| {
                matches!(
                    payment.stage,
                    PaymentStage::Recorded(_) | PaymentStage::Refused
                )
            };
            if found.len() == payments && found.iter().all(over) {
                return found;
            }
            tokio::time::sleep(POLL).await;
        }
        panic!(
            "{:?}",
            self.store.payments_to(self.recipient, ALL).await.unwrap()
        );
    }

    /// Lets the contract take tokens, and leaves some as collateral.
    async fn deposit_tokens(&self, amount: u64) -> Address {
        let token = self.world.asset.id.token();
        self.send(self.payer, &self.core.approve(token, U256::MAX))
            .await;
        self.send(self.payer, &self.core.deposit(token, U256::from(amount)))
            .await;
        token
    }

    async fn number(&self) -> u64 {
        let number: U64 = self.world.rpc("eth_blockNumber", json!([])).await;
        number.to()
    }

    async fn rewind(&self, block: u64) -> Result<Rewound, RewindError> {
        let store = Arc::clone(&self.store) as _;
        let now = Timestamp::from_secs(1_800_000_000);
        rewind(self.follow_config(), store, block, now).await
    }

    async fn pass_time(&self, secs: u64) {
        self.world
            .rpc::<Value>("evm_increaseTime", json!([secs]))
            .await;
        self.world.mine(1).await;
    }
}

async fn deploy(world: &World, contract: &str, arguments: Vec<u8>) -> Address {
    let code = [artifact(contract, "bytecode").as_ref(), &arguments].concat();
    let call = json!({ "from": world.bank(), "data": Bytes::from(code), "gas": "0x989680" });
    let hash = world.submit(call).await;
    let receipt = world.receipt(hash).await;
    assert_eq!(receipt["status"], "0x1", "{contract}");
    serde_json::from_value(receipt["contractAddress"].clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deposits_and_withdrawals_are_in_the_books() {
    let town = Town::new().await;
    let (payer, core) = (town.payer, town.core);
    let follower = town.follow().await;
    town.send(payer, &core.deposit(ETH, U256::from(500))).await;
    let token = town.deposit_tokens(900).await;
    town.send(payer, &core.request_withdrawal(ETH, U256::from(100)))
        .await;
    town.send(payer, &core.request_withdrawal(token, U256::from(300)))
        .await;
    town.send(payer, &core.cancel_withdrawal(token)).await;
    town.caught_up(&follower).await;
    let (ether, tokens) = (town.collateral(ETH).await, town.collateral(token).await);
    assert_eq!(
        (ether.total, ether.withdrawing, ether.free()),
        (U256::from(500), U256::from(100), U256::from(400))
    );
    assert_eq!(
        (tokens.total, tokens.withdrawing),
        (U256::from(900), U256::ZERO)
    );
    town.pass_time(1_000_020).await;
    town.send(payer, &core.finalize_withdrawal(ETH)).await;
    town.caught_up(&follower).await;
    let ether = town.collateral(ETH).await;
    assert_eq!(
        (ether.total, ether.withdrawing),
        (U256::from(400), U256::ZERO)
    );
    let report = follower.reconcile().await.unwrap();
    assert_eq!(
        (report.compared, report.different, report.unknown),
        (2, 0, 0)
    );
    assert!(follower.is_ready());
    let facts = follower.facts();
    let symbols: Vec<_> = facts
        .borrow()
        .assets
        .iter()
        .map(|asset| (asset.symbol.to_string(), asset.decimals))
        .collect();
    let usdc = town.world.asset.symbol.to_string();
    assert_eq!(symbols, [("ETH".to_owned(), Some(18)), (usdc, Some(6))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payments_are_found_recorded_and_free_what_was_locked() {
    let town = Town::new().await;
    let (payer, recipient, core) = (town.payer, town.recipient, town.core);
    let follower = town.follow().await;
    town.send(payer, &core.deposit(ETH, U256::from(1_000)))
        .await;
    let token = town.deposit_tokens(1_000).await;
    town.caught_up(&follower).await;
    let eth_tab = town.open(0xe7, ETH, follower.terms()).await;
    let token_tab = town.open(0x70, token, follower.terms()).await;
    drop(town.issue(eth_tab, ETH, 60, follower.terms()).await);
    drop(town.issue(token_tab, token, 50, follower.terms()).await);
    assert_eq!(town.collateral(token).await.locked, U256::from(50));
    // One with the marker, one with a marker nobody can read, one for a tab that nobody knows, and one that fails.
    town.send(
        payer,
        &core.pay_tab_in_eth(eth_tab.0, U256::ZERO, U256::from(60), recipient),
    )
    .await;
    let mut garbled = core.pay_tab_in_eth(eth_tab.0, U256::ZERO, U256::from(1), recipient);
    garbled.data = Bytes::from_static(b"tab_id:0x;req_id:0x0");
    town.send(payer, &garbled).await;
    town.send(
        payer,
        &core.pay_tab_in_eth(U256::from(9), U256::ZERO, U256::from(1), recipient),
    )
    .await;
    town.send(
        payer,
        &core.pay_tab(token_tab.0, token, U256::from(20), recipient),
    )
    .await;
    let operator = town.operate(follower.bell()).await;
    let paid = town.settled(2).await;
    assert_eq!(operator.address(), town.operator.address());
    assert!(
        paid.iter()
            .all(|payment| matches!(payment.stage, PaymentStage::Recorded(_))),
        "{paid:?}"
    );
    let ether = town.tab(eth_tab).await;
    assert_eq!(
        (ether.paid, ether.settlement()),
        (U256::from(60), Settlement::Settled)
    );
    assert_eq!(town.tab(token_tab).await.locked(), U256::from(30));
    assert_eq!(
        town.ask(core.payment_status(eth_tab.0)).await.paid,
        U256::from(60)
    );
    assert_eq!(
        town.ask(core.payment_status(token_tab.0)).await.paid,
        U256::from(20)
    );
    assert_eq!(town.collateral(ETH).await.locked, U256::ZERO);
    let aside = town.store.put_aside(ALL).await.unwrap();
    let mut why: Vec<_> = aside.iter().map(|aside| aside.why.to_string()).collect();
    why.sort();
    assert_eq!(why, ["unknown_tab", "unreadable"]);
    let report = follower.reconcile().await.unwrap();
    assert_eq!((report.compared, report.different), (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_payments_are_told_in_few_transactions_and_once() {
    let town = Town::new().await;
    let (payer, recipient, core) = (town.payer, town.recipient, town.core);
    let follower = town.follow().await;
    let token = town.deposit_tokens(1_000).await;
    town.caught_up(&follower).await;
    let tab = town.open(0x70, token, follower.terms()).await;
    drop(town.issue(tab, token, 900, follower.terms()).await);
    for _ in 0..30 {
        town.send(payer, &core.pay_tab(tab.0, token, U256::from(7), recipient))
            .await;
    }
    town.caught_up(&follower).await;
    assert_eq!(town.store.untold_payments(100).await.unwrap().len(), 30);
    let before = town.world.sent_by(town.operator.address()).await;
    // One of them was told by an operator who died before the books heard of it.
    let first = town.store.untold_payments(1).await.unwrap().remove(0);
    let call = core.record_payment(&Payment {
        id: first.record(),
        tab: tab.0,
        asset: token,
        amount: first.amount,
    });
    town.administer(call.data.to_vec()).await;
    town.store
        .telling(vec![first.place], B256::repeat_byte(1))
        .await
        .unwrap();
    let operator = town.operate(follower.bell()).await;
    town.settled(30).await;
    let sent = town.world.sent_by(town.operator.address()).await - before;
    assert!(sent <= 1 + 4, "{sent} transactions");
    assert_eq!(
        town.ask(core.payment_status(tab.0)).await.paid,
        U256::from(210)
    );
    assert_eq!(town.tab(tab).await.paid, U256::from(210));
    drop(operator);
}

/// The turn of a process of this number: what all share says whose it is.
#[derive(Debug)]
struct TurnOf(usize, Arc<AtomicUsize>);

impl Turn for TurnOf {
    fn is_ours(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { self.1.load(Ordering::Acquire) == self.0 })
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// Two processes with one account: each record is sent once, and the second goes on where the first stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_operators_the_one_whose_turn_it_is_tells() {
    let town = Town::new().await;
    let (payer, recipient, core) = (town.payer, town.recipient, town.core);
    let follower = town.follow().await;
    let token = town.deposit_tokens(1_000).await;
    town.caught_up(&follower).await;
    let tab = town.open(0x70, token, follower.terms()).await;
    let before = town.world.sent_by(town.operator.address()).await;
    let whose = Arc::new(AtomicUsize::new(2));
    let mut operators = Vec::new();
    for number in 0..2 {
        let turn = TurnOf(number, Arc::clone(&whose));
        operators.push(town.operate_in_turn(follower.bell(), Arc::new(turn)).await);
    }
    let pay = async || {
        let paying = core.pay_tab(tab.0, token, U256::from(7), recipient);
        town.send(payer, &paying).await;
        town.caught_up(&follower).await;
    };
    pay().await;
    // Several looks of both.
    tokio::time::sleep(POLL.saturating_mul(10)).await;
    let untold = town.store.untold_payments(10).await.unwrap();
    assert_eq!(untold[0].stage, PaymentStage::Found, "nobody's turn");
    for (paid, number) in [(1_usize, 0), (2, 1), (3, 0)] {
        whose.store(number, Ordering::Release);
        town.settled(paid).await;
        let sent = town.world.sent_by(town.operator.address()).await - before;
        assert_eq!(usize::try_from(sent).unwrap(), paid);
        if paid < 3 {
            pay().await;
        }
    }
    drop(operators);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_sent_before_it_died_is_waited_for_and_not_told_again() {
    let town = Town::new().await;
    // Holds blocks back, which others on a shared node would not like.
    if !town.world.is_own() {
        return;
    }
    let (payer, recipient, core) = (town.payer, town.recipient, town.core);
    let follower = town.follow().await;
    let token = town.deposit_tokens(1_000).await;
    town.caught_up(&follower).await;
    let tab = town.open(0x70, token, follower.terms()).await;
    town.send(payer, &core.pay_tab(tab.0, token, U256::from(7), recipient))
        .await;
    town.caught_up(&follower).await;
    let before = town.world.sent_by(town.operator.address()).await;
    let automine = |on: bool| town.world.rpc::<Value>("evm_setAutomine", json!([on]));
    automine(false).await;
    let first = town.operate(follower.bell()).await;
    let mut told = None;
    for _ in 0..600 {
        let untold = town.store.untold_payments(10).await.unwrap();
        if let PaymentStage::Telling(hash) = untold[0].stage {
            let sent: Value = town
                .world
                .rpc("eth_getTransactionByHash", json!([hash]))
                .await;
            if !sent.is_null() {
                told = Some(hash);
                break;
            }
        }
        tokio::time::sleep(POLL).await;
    }
    let hash = told.unwrap();
    drop(first);
    let second = town.operate(follower.bell()).await;
    // Several looks, each of which would have told it again.
    tokio::time::sleep(POLL.saturating_mul(20)).await;
    let untold = town.store.untold_payments(10).await.unwrap();
    assert_eq!(untold[0].stage, PaymentStage::Telling(hash));
    automine(true).await;
    town.world.mine(1).await;
    let paid = town.settled(1).await;
    assert_eq!(paid[0].stage, PaymentStage::Recorded(hash));
    let after = town.world.sent_by(town.operator.address()).await;
    assert_eq!(after, before + 1);
    drop(second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_contract_will_never_take_is_refused_and_the_rest_is_recorded() {
    let town = Town::new().await;
    let (payer, recipient, core) = (town.payer, town.recipient, town.core);
    let follower = town.follow().await;
    let token = town.deposit_tokens(1_000).await;
    town.send(payer, &core.deposit(ETH, U256::from(100))).await;
    town.caught_up(&follower).await;
    let tab = town.open(0x70, token, follower.terms()).await;
    let pinned = town.open(0xe7, ETH, follower.terms()).await;
    for amount in [3, 4] {
        town.send(
            payer,
            &core.pay_tab(tab.0, token, U256::from(amount), recipient),
        )
        .await;
    }
    town.send(
        payer,
        &core.pay_tab_in_eth(pinned.0, U256::ZERO, U256::from(5), recipient),
    )
    .await;
    town.caught_up(&follower).await;
    let untold = town.store.untold_payments(10).await.unwrap();
    // Nobody follows while somebody records another payment under the id of the first, and the ETH tab in tokens.
    drop(follower);
    let wrong = Payment {
        id: untold[0].record(),
        tab: tab.0,
        asset: token,
        amount: U256::from(99),
    };
    town.administer(core.record_payment(&wrong).data.to_vec())
        .await;
    let pins = Payment {
        id: B256::repeat_byte(9),
        tab: pinned.0,
        asset: token,
        amount: U256::ONE,
    };
    town.administer(core.record_payment(&pins).data.to_vec())
        .await;
    let _operator = town.operate(Arc::default()).await;
    let mut amounts = Vec::new();
    for _ in 0..600 {
        let payments = town.store.payments_to(recipient, ALL).await.unwrap();
        let refused = payments
            .iter()
            .filter(|payment| payment.stage == PaymentStage::Refused);
        amounts = refused.map(|payment| payment.amount).collect();
        let paid = town.ask(core.payment_status(tab.0)).await.paid;
        if amounts.len() == 2 && paid == U256::from(99 + 4) {
            break;
        }
        tokio::time::sleep(POLL).await;
    }
    amounts.sort_unstable();
    assert_eq!(amounts, [U256::from(3), U256::from(5)]);
    let paid = town.ask(core.payment_status(tab.0)).await.paid;
    assert_eq!(paid, U256::from(99 + 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remuneration_is_in_the_books_with_the_request_to_withdraw_it_shrank() {
    let town = Town::new().await;
    let (payer, core) = (town.payer, town.core);
    let follower = town.follow().await;
    let token = town.deposit_tokens(100).await;
    town.caught_up(&follower).await;
    let tab = town.open(0x70, token, follower.terms()).await;
    let certificate = town.issue(tab, token, 60, follower.terms()).await;
    town.send(payer, &core.request_withdrawal(token, U256::from(100)))
        .await;
    town.pass_time(5).await;
    let words = certificate.signature.words().unwrap();
    let call = core.remunerate(&certificate.claims, &words).unwrap();
    town.send(town.world.bank(), &call).await;
    town.caught_up(&follower).await;
    let known = town.collateral(token).await;
    assert_eq!(
        (known.total, known.locked, known.withdrawing),
        (U256::from(40), U256::ZERO, U256::from(40))
    );
    let tab = town.tab(tab).await;
    assert_eq!(
        (tab.remunerated, tab.settlement()),
        (U256::from(60), Settlement::Remunerated)
    );
    let report = follower.reconcile().await.unwrap();
    assert_eq!((report.compared, report.different), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_starts_again_goes_on_and_nothing_counts_twice() {
    let town = Town::new().await;
    let (payer, core) = (town.payer, town.core);
    let mut deposited = 0;
    for round in 0..5_u64 {
        let follower = town.follow().await;
        for _ in 0..4 {
            deposited += round + 1;
            town.send(payer, &core.deposit(ETH, U256::from(round + 1)))
                .await;
        }
        // Stopped wherever it is.
        drop(follower);
        tokio::task::yield_now().await;
    }
    let (one, two) = (town.follow().await, town.follow().await);
    for _ in 0..10 {
        deposited += 1;
        town.send(payer, &core.deposit(ETH, U256::from(1))).await;
    }
    town.caught_up(&one).await;
    town.caught_up(&two).await;
    assert_eq!(town.collateral(ETH).await.total, U256::from(deposited));
    let report = one.reconcile().await.unwrap();
    assert_eq!((report.compared, report.different), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_administrators_change_are_known_at_once() {
    let town = Town::new().await;
    let follower = town.follow().await;
    assert_eq!(follower.terms().expiration_secs, 1_000_000);
    let mut facts = follower.facts();
    facts.mark_unchanged();
    town.set_timing(2_000_000).await;
    let changed = tokio::time::timeout(Duration::from_secs(30), facts.changed());
    changed.await.unwrap().unwrap();
    assert_eq!(follower.terms().expiration_secs, 2_000_000);
    assert!(follower.terms().versions.contains(&1));
    town.administer(Core::pauseCall {}.abi_encode()).await;
    let paused = facts.wait_for(|facts| facts.paused);
    tokio::time::timeout(Duration::from_secs(30), paused)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contract_that_is_not_there_is_not_followed() {
    let town = Town::new().await;
    let mut config = town.follow_config();
    config.contract = common::NO_CONTRACT;
    let store = Arc::clone(&town.store);
    let refused = CreditFollower::connect(config, store as _).await;
    assert!(matches!(refused, Err(ConnectError::NoCreditCore { .. })));
    // The token has code, and is none.
    let mut config = town.follow_config();
    config.contract = town.world.asset.id.token();
    let store = Arc::clone(&town.store);
    let refused = CreditFollower::connect(config, store as _).await;
    assert!(matches!(refused, Err(ConnectError::NoCreditCore { .. })));
}
