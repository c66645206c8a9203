//! Payments verified from what is known of the chain: without questions, and right.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{Bytes, U256};
use alloy_sol_types::SolCall;
use common::local::{Local, Mood};
use common::{FUNDS, Notes, PAYEE, PRICE, Payment, World, transferCall};
use faregate_core::port::{Away, Facilitator, Verdict};
use faregate_evm::{ExactFacilitator, FollowConfig, LocalSigner};
use faregate_types::Code;
use serde_json::{Value, json};

const POLL: Duration = Duration::from_millis(40);

/// A facilitator that follows its chain closely, and what it asks.
struct Desk {
    world: World,
    node: Arc<Local>,
    facilitator: ExactFacilitator,
}

impl Desk {
    async fn start() -> Self {
        Self::with(FollowConfig::every(POLL)).await
    }

    async fn with(mut follow: FollowConfig) -> Self {
        // Patience for a slow machine.
        follow.lag_max = follow.lag_max.max(Duration::from_secs(2));
        let world = World::start().await;
        let node = Local::new(&world.url);
        let mut config = world.config().with_transport(Arc::clone(&node) as _);
        config.follow = Some(follow);
        config.rpc_timeout = Duration::from_millis(500);
        let facilitator = world.connect(config, world.gas_payer().await).await;
        let desk = Self {
            world,
            node,
            facilitator,
        };
        desk.caught_up().await;
        desk
    }

    /// Waits for a look at the chain that begins after this moment and succeeds, and for what belongs to it.
    async fn caught_up(&self) {
        for _ in 0..2 {
            let began = Instant::now();
            loop {
                let lag = self.facilitator.follow_lag(self.world.chain);
                if lag.is_some_and(|lag| lag < began.elapsed()) {
                    break;
                }
                assert!(began.elapsed() < Duration::from_secs(20), "never caught up");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    async fn code(&self, payment: &Payment) -> Option<Code> {
        match self.facilitator.verify(&payment.v2()).await.unwrap() {
            Verdict::Valid { .. } => None,
            Verdict::Invalid(refusal) => Some(refusal.code),
        }
    }

    /// Questions about payments, not those for new blocks.
    fn questions(&self) -> usize {
        self.node.calls("eth_call") + self.node.calls("eth_getCode")
    }

    /// A payer who was seen before.
    async fn known_payer(&self) -> LocalSigner {
        let payer = self.world.payer().await;
        self.caught_up().await;
        assert_eq!(self.code(&self.world.payment(&payer)).await, None);
        payer
    }

    /// Verifies without a question, or the test fails.
    async fn valid_at_once(&self, payment: &Payment) {
        let before = self.questions();
        assert_eq!(self.code(payment).await, None);
        assert_eq!(self.questions(), before);
    }

    async fn spend(&self, payer: &LocalSigner, value: u64) {
        let chain = &self.world;
        chain
            .give_ether(payer.address(), U256::from(10).pow(U256::from(18)))
            .await;
        let account = payer.address();
        chain
            .rpc::<Value>("anvil_impersonateAccount", json!([account]))
            .await;
        let value = U256::from(value);
        let data = transferCall { to: PAYEE, value }.abi_encode();
        assert!(chain.send_from(account, data).await.1);
    }
}

#[tokio::test]
async fn a_known_payer_costs_no_question_whatever_the_nonce() {
    let desk = Desk::start().await;
    let payer = desk.known_payer().await;
    for _ in 0..20 {
        desk.valid_at_once(&desk.world.payment(&payer)).await;
    }
    let wrong = desk
        .world
        .payment(&payer)
        .with(|p| p.key = common::new_key());
    let expected = Some(Code::InvalidExactEvmPayloadSignature);
    assert_eq!(desk.code(&wrong).await, expected);
}

#[tokio::test]
async fn what_others_do_is_noticed_with_the_next_look() {
    let desk = Desk::start().await;
    let payer = desk.known_payer().await;
    let (used, cancelled, left) = (
        desk.world.payment(&payer),
        desk.world.payment(&payer),
        desk.world.payment(&payer),
    );
    for payment in [&used, &cancelled, &left] {
        desk.valid_at_once(payment).await;
    }
    desk.world.run_ahead(&used).await;
    desk.world.cancel(&cancelled).await;
    desk.caught_up().await;
    let spent = Some(Code::InvalidExactEvmNonceAlreadyUsed);
    assert_eq!(desk.code(&used).await, spent);
    assert_eq!(desk.code(&cancelled).await, spent);
    desk.valid_at_once(&left).await;
    desk.spend(&payer, FUNDS - PRICE - 1).await;
    desk.caught_up().await;
    let poor = Some(Code::InvalidExactEvmInsufficientBalance);
    assert_eq!(desk.code(&left).await, poor);
    desk.world.mint(payer.address(), PRICE).await;
    desk.caught_up().await;
    desk.valid_at_once(&left).await;
}

#[tokio::test]
async fn settled_here_is_spent_at_once() {
    let mut follow = FollowConfig::every(Duration::from_secs(3_600));
    follow.lag_max = Duration::from_secs(3_600);
    let desk = Desk::with_slow(follow).await;
    let payer = desk.world.payer().await;
    let payment = desk.world.payment(&payer);
    assert_eq!(desk.code(&payment).await, None);
    common::settled(
        &desk
            .facilitator
            .settle(&payment.v2(), &Notes::default())
            .await,
    );
    let expected = Some(Code::InvalidExactEvmNonceAlreadyUsed);
    assert_eq!(desk.code(&payment).await, expected);
}

impl Desk {
    /// One that looks once and then not for long.
    async fn with_slow(follow: FollowConfig) -> Self {
        let world = World::start().await;
        let node = Local::new(&world.url);
        let mut config = world.config().with_transport(Arc::clone(&node) as _);
        config.follow = Some(follow);
        let facilitator = world.connect(config, world.gas_payer().await).await;
        while facilitator.follow_lag(world.chain).is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Self {
            world,
            node,
            facilitator,
        }
    }
}

#[tokio::test]
async fn money_that_is_being_settled_is_not_accepted_twice() {
    let desk = Desk::start().await;
    let payer = desk.known_payer().await;
    let all = |p: &mut Payment| {
        p.authorization.value = U256::from(FUNDS);
        p.amount = FUNDS;
    };
    let first = desk.world.payment(&payer).with(all);
    let second = desk.world.payment(&payer).with(all);
    desk.valid_at_once(&second).await;
    desk.world
        .rpc::<Value>("evm_setAutomine", json!([false]))
        .await;
    let facilitator = desk.facilitator.clone();
    let request = first.v2();
    let settling =
        tokio::spawn(async move { facilitator.settle(&request, &Notes::default()).await });
    let poor = Some(Code::InvalidExactEvmInsufficientBalance);
    for _ in 0..400 {
        if desk.code(&second).await == poor {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(
        desk.node.calls("eth_sendRawTransaction"),
        1,
        "not mined yet"
    );
    assert_eq!(desk.code(&second).await, poor);
    desk.world
        .rpc::<Value>("evm_setAutomine", json!([true]))
        .await;
    desk.world.mine(1).await;
    common::settled(&settling.await.unwrap());
    desk.world.mint(payer.address(), FUNDS).await;
    desk.caught_up().await;
    desk.valid_at_once(&second).await;
}

#[tokio::test]
async fn without_news_the_node_is_asked() {
    let mut follow = FollowConfig::every(POLL);
    follow.lag_max = Duration::from_secs(2);
    let desk = Desk::with(follow).await;
    let payer = desk.known_payer().await;
    let payment = desk.world.payment(&payer);
    desk.node.set(Mood::NoAnswer);
    assert_eq!(desk.code(&payment).await, None, "known a moment ago");
    let lag = || desk.facilitator.follow_lag(desk.world.chain).unwrap();
    while lag() <= Duration::from_secs(2) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let away = Err(Away {
        code: Code::ChainUnavailable,
    });
    assert_eq!(desk.facilitator.verify(&payment.v2()).await, away);
    desk.node.set(Mood::Normal);
    desk.caught_up().await;
    desk.valid_at_once(&payment).await;
}

#[tokio::test]
async fn code_at_a_payer_is_noticed_when_the_belief_is_old() {
    let mut follow = FollowConfig::every(POLL);
    follow.code_fresh = Duration::from_millis(300);
    let desk = Desk::with(follow).await;
    let payer = desk.known_payer().await;
    // It confirms nothing.
    desk.world.place(payer.address(), Bytes::from([0])).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let expected = Some(Code::InvalidExactEvmPayloadSignature);
    assert_eq!(desk.code(&desk.world.payment(&payer)).await, expected);
}

/// Whatever happens to the chain, what is accepted without a question is what the node would accept.
#[tokio::test]
async fn reorganisations_are_followed() {
    let desk = Desk::start().await;
    if !desk.world.is_own() {
        return;
    }
    let mut config = desk.world.config();
    config.follow = None;
    let asking = desk
        .world
        .connect(config, desk.world.gas_payer().await)
        .await;
    let payer = desk.known_payer().await;
    let payments: Vec<Payment> = (0..6).map(|_| desk.world.payment(&payer)).collect();
    let check = async |what: &str| {
        desk.caught_up().await;
        for payment in &payments {
            let request = payment.v2();
            let asked = asking.verify(&request).await.unwrap();
            assert_eq!(
                desk.facilitator.verify(&request).await.unwrap(),
                asked,
                "{what}"
            );
        }
    };
    let snapshot: Value = desk.world.rpc("evm_snapshot", json!([])).await;
    desk.world.run_ahead(&payments[0]).await;
    desk.world.cancel(&payments[1]).await;
    check("used and cancelled").await;
    desk.spend(&payer, FUNDS - 2 * PRICE).await;
    check("spent").await;
    desk.world.mine(30).await;
    check("many blocks at once").await;
    desk.world.run_ahead(&payments[2]).await;
    check("one left").await;
    desk.world
        .rpc::<Value>("evm_revert", json!([snapshot]))
        .await;
    check("reverted").await;
    desk.world.run_ahead(&payments[3]).await;
    desk.world.run_ahead(&payments[4]).await;
    check("used again").await;
    desk.world.rpc::<Value>("anvil_reorg", json!([1, []])).await;
    desk.world.mine(1).await;
    check("the last one is gone").await;
    assert_eq!(desk.code(&payments[4]).await, None);
    desk.valid_at_once(&payments[4]).await;
}
