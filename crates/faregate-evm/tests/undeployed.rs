//! Payers whose wallet does not exist yet: deployed by its factory when the first payment is settled (ERC-6492).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, SolValue, sol};
use common::proxy::{Mood, Proxy};
use common::{
    FUNDS, Notes, PRICE, Payment, World, artifact, failed, new_key, settle, settled, transaction,
    unknown,
};
use faregate_core::port::{Facilitator, Verdict};
use faregate_evm::{ExactFacilitator, LocalSigner, NetworkConfig};
use faregate_types::Code;
use serde_json::{Value, json};

sol! {
    function createAccount(address owner, uint256 salt) returns (address wallet);
    function getAddress(address owner, uint256 salt) returns (address wallet);
}

/// revert(0, 0)
const REVERTS: &str = "0x60006000fd";
const SALT: u64 = 7;
const UNDEPLOYED: Code = Code::InvalidExactEvmPayloadUndeployedSmartWallet;

/// A wallet that has money and does not exist, its owner, and the factory that can make it.
struct Future {
    world: Arc<World>,
    factory: Address,
    owner: LocalSigner,
    wallet: Address,
}

impl Future {
    async fn start() -> Self {
        let world = Arc::new(World::start().await);
        // Of its own, because a test node may be shared.
        let (factory, owner) = (new_key().address(), new_key());
        let code = artifact("TestWalletFactory", "deployedBytecode");
        world.place(factory, code).await;
        let call = getAddressCall {
            owner: owner.address(),
            salt: U256::from(SALT),
        };
        let data = Bytes::from(call.abi_encode());
        let answer: Bytes = world
            .rpc(
                "eth_call",
                json!([{ "to": factory, "data": data }, "latest"]),
            )
            .await;
        let wallet = getAddressCall::abi_decode_returns(&answer).unwrap();
        world.mint(wallet, FUNDS).await;
        let future = Self {
            world,
            factory,
            owner,
            wallet,
        };
        assert!(!future.exists().await);
        future
    }

    fn config_at(&self, url: &str) -> NetworkConfig {
        let mut config = self.world.config_at(url);
        config.wallet_factories = vec![self.factory];
        config
    }

    /// A facilitator that allows the factory, and its signer.
    async fn facilitator(&self) -> (ExactFacilitator, Address) {
        self.connect(self.config_at(&self.world.url)).await
    }

    async fn connect(&self, config: NetworkConfig) -> (ExactFacilitator, Address) {
        let signer = self.world.gas_payer().await;
        let address = signer.address();
        (self.world.connect(config, signer).await, address)
    }

    fn create(&self, salt: u64) -> Bytes {
        let call = createAccountCall {
            owner: self.owner.address(),
            salt: U256::from(salt),
        };
        call.abi_encode().into()
    }

    /// A payment that is right in every respect.
    fn payment(&self) -> Payment {
        self.wrapped(&self.owner, self.factory, self.create(SALT))
    }

    fn wrapped(&self, signer: &LocalSigner, factory: Address, data: Bytes) -> Payment {
        self.bent(signer, factory, data, |_| {})
    }

    /// Signed after it was bent.
    fn bent(
        &self,
        signer: &LocalSigner,
        factory: Address,
        data: Bytes,
        bend: impl FnOnce(&mut Payment),
    ) -> Payment {
        let payment = self.world.payment(signer).with(|p| {
            p.authorization.from = self.wallet;
            bend(p);
        });
        let parts = (factory, data, payment.signature()).abi_encode_params();
        let wrapper = [parts, [0x64, 0x92].repeat(16)].concat();
        payment.with(|p| p.signature = Some(wrapper.into()))
    }

    async fn exists(&self) -> bool {
        let code: Bytes = self
            .world
            .rpc("eth_getCode", json!([self.wallet, "latest"]))
            .await;
        !code.is_empty()
    }

    /// Somebody else deploys it.
    async fn deploy(&self) {
        let call = json!({
            "from": self.world.bank(), "to": self.factory, "data": self.create(SALT), "gas": "0x7a120",
        });
        let hash = self.world.submit(call).await;
        assert_eq!(self.world.receipt(hash).await["status"], "0x1");
    }

    async fn spent(&self) -> u64 {
        let left: u64 = self.world.balance(self.wallet).await.to();
        FUNDS - left
    }

    /// Refused when verified and when settled, nothing is sent, and the wallet still does not exist.
    async fn assert_refused(
        &self,
        (facilitator, signer): &(ExactFacilitator, Address),
        payment: &Payment,
        code: Code,
        name: &str,
    ) {
        assert_eq!(verdict(facilitator, payment).await, Some(code), "{name}");
        let notes = Notes::default();
        let outcome = facilitator.settle(&payment.v2(), &notes).await;
        assert_eq!(failed(&outcome), code, "{name}");
        assert!(notes.take().is_empty(), "{name}");
        assert_eq!(self.world.sent_by(*signer).await, 0, "{name}");
        assert!(!self.exists().await, "{name}");
    }
}

async fn verdict(facilitator: &ExactFacilitator, payment: &Payment) -> Option<Code> {
    match facilitator.verify(&payment.v2()).await.unwrap() {
        Verdict::Valid { payer } => {
            assert_eq!(payer, payment.authorization.from);
            None
        }
        Verdict::Invalid(refusal) => Some(refusal.code),
    }
}

#[tokio::test]
async fn the_first_payment_deploys_the_wallet_and_the_second_finds_it() {
    let future = Future::start().await;
    let world = &future.world;
    let (facilitator, signer) = future.facilitator().await;
    let payment = future.payment();
    assert_eq!(verdict(&facilitator, &payment).await, None);
    assert!(!future.exists().await, "verification changes nothing");
    assert_eq!(future.spent().await, 0);

    let notes = Notes::default();
    let first = facilitator.settle(&payment.v2(), &notes).await;
    assert_eq!(settled(&first).payer, Some(future.wallet));
    assert!(future.exists().await);
    assert_eq!(future.spent().await, PRICE);
    assert_eq!(world.sent_by(signer).await, 2);
    // The books hear of the payment alone.
    assert_eq!(notes.take(), [transaction(&first)]);
    let tx: Value = world
        .rpc("eth_getTransactionByHash", json!([transaction(&first)]))
        .await;
    assert!(tx["input"].as_str().unwrap().starts_with("0xcf092995"));

    // The same again, and another one.
    assert_eq!(settle(&facilitator, &payment).await, first);
    let stranger = future.facilitator().await.0;
    assert_eq!(settle(&stranger, &payment).await, first);
    let second = future.payment();
    assert_eq!(verdict(&facilitator, &second).await, None);
    settled(&settle(&facilitator, &second).await);
    assert_eq!(world.sent_by(signer).await, 3);
    assert_eq!(future.spent().await, 2 * PRICE);
}

#[tokio::test]
async fn payments_at_once_share_one_deployment() {
    for batching in [false, true] {
        let future = Future::start().await;
        let mut config = future.config_at(&future.world.url);
        if batching {
            let batch = future.world.batching_at(&future.world.url);
            config.batch_settler = batch.batch_settler;
            config.batch_wait = batch.batch_wait;
        }
        let (facilitator, signer) = future.connect(config).await;
        let (one, two) = (future.payment(), future.payment());
        let outcomes = tokio::join!(
            settle(&facilitator, &one),
            settle(&facilitator, &two),
            settle(&facilitator, &one),
        );
        assert_eq!(outcomes.0, outcomes.2);
        let hashes = [transaction(&outcomes.0), transaction(&outcomes.1)];
        assert_eq!(future.spent().await, 2 * PRICE);
        let payments = if hashes[0] == hashes[1] { 1 } else { 2 };
        assert!(batching || payments == 2);
        assert_eq!(future.world.sent_by(signer).await, 1 + payments);
    }
}

#[tokio::test]
async fn factories_that_are_not_allowed_are_not_tried() {
    let future = Future::start().await;
    let proxy = Proxy::start(&future.world.url).await;
    let other = new_key().address();
    let mut config = future.config_at(&proxy.url);
    config.wallet_factories = vec![other];
    config.follow = None;
    let facilitator = future.connect(config).await;
    let calls = proxy.calls("eth_call");
    let not_allowed = Code::Eip6492FactoryNotAllowed;
    let payment = future.payment();
    future
        .assert_refused(&facilitator, &payment, not_allowed, "another one is")
        .await;
    assert_eq!(proxy.calls("eth_call"), calls);
    assert_eq!(proxy.calls("eth_estimateGas"), 0);
    // Once it is there, nobody has to deploy it.
    future.deploy().await;
    settled(&settle(&facilitator.0, &payment).await);
}

#[tokio::test]
async fn factories_that_do_not_deploy_the_payer() {
    let future = Future::start().await;
    let facilitator = future.facilitator().await;
    let cases = [
        ("another wallet", future.create(SALT + 1)),
        ("no such function", Bytes::from_static(&[1, 2, 3, 4])),
        ("no data", Bytes::new()),
    ];
    for (name, data) in cases {
        let payment = future.wrapped(&future.owner, future.factory, data);
        future
            .assert_refused(&facilitator, &payment, UNDEPLOYED, name)
            .await;
    }
    for (name, code) in [
        ("no code", "0x"),
        ("reverts", REVERTS),
        ("never ends", "0x5b600056"),
        ("reverts with a megabyte", "0x620fffff6000fd"),
        ("returns a megabyte", "0x620fffff6000f3"),
        // create2 with nothing.
        ("makes something else", "0x60006000600060006000f5"),
    ] {
        future
            .world
            .place(future.factory, code.parse().unwrap())
            .await;
        future
            .assert_refused(&facilitator, &future.payment(), UNDEPLOYED, name)
            .await;
    }
}

#[tokio::test]
async fn what_the_wallet_would_not_sign_or_the_token_not_move_deploys_nothing() {
    let future = Future::start().await;
    let facilitator = future.facilitator().await;
    let create = || future.create(SALT);
    let wrong = Code::InvalidExactEvmPayloadSignature;
    let forged = future.wrapped(&new_key(), future.factory, create());
    future
        .assert_refused(&facilitator, &forged, wrong, "another owner")
        .await;
    let bent = future
        .payment()
        .with(|p| p.authorization.value = U256::from(PRICE + 1));
    let bent = bent.with(|p| p.amount = PRICE + 1);
    future
        .assert_refused(&facilitator, &bent, wrong, "another amount")
        .await;
    let foreign = future
        .payment()
        .with(|p| p.domain = Some(faregate_types::TokenDomain::new("Other", "2")));
    future
        .assert_refused(&facilitator, &foreign, wrong, "another domain")
        .await;
    let payment = future.bent(&future.owner, future.factory, create(), |p| {
        p.authorization.value = U256::from(FUNDS + 1);
        p.amount = FUNDS + 1;
    });
    let funds = Code::InvalidExactEvmInsufficientBalance;
    future
        .assert_refused(&facilitator, &payment, funds, "not enough money")
        .await;
}

#[tokio::test]
async fn a_deployment_that_needs_more_gas_than_allowed_is_refused() {
    let future = Future::start().await;
    let mut config = future.config_at(&future.world.url);
    // Enough for a payment, not for a contract.
    config.gas_limit_max = 120_000;
    let facilitator = future.connect(config).await;
    future
        .assert_refused(&facilitator, &future.payment(), UNDEPLOYED, "capped")
        .await;
}

#[tokio::test]
async fn a_deployment_that_is_reverted_moves_nothing() {
    let future = Future::start().await;
    let proxy = Proxy::start(&future.world.url).await;
    let (facilitator, signer) = future.connect(future.config_at(&proxy.url)).await;
    let (world, factory) = (Arc::clone(&future.world), future.factory);
    proxy.set(
        "eth_sendRawTransaction",
        Mood::First(Arc::new(move || {
            let world = Arc::clone(&world);
            Box::pin(async move { world.place(factory, REVERTS.parse().unwrap()).await })
        })),
    );
    let (payment, notes) = (future.payment(), Notes::default());
    let outcome = facilitator.settle(&payment.v2(), &notes).await;
    assert_eq!(failed(&outcome), Code::SmartWalletDeploymentFailed);
    assert!(notes.take().is_empty());
    assert_eq!(future.world.sent_by(signer).await, 1);
    assert_eq!(future.spent().await, 0);
    // It was not the payment that failed: with the factory in order, it is settled.
    let code = artifact("TestWalletFactory", "deployedBytecode");
    future.world.place(factory, code).await;
    settled(&settle(&facilitator, &payment).await);
    assert_eq!(future.spent().await, PRICE);
}

#[tokio::test]
async fn somebody_else_may_deploy_the_wallet_meanwhile() {
    for (method, sent) in [("eth_estimateGas", 1), ("eth_sendRawTransaction", 2)] {
        let future = Arc::new(Future::start().await);
        let proxy = Proxy::start(&future.world.url).await;
        let (facilitator, signer) = future.connect(future.config_at(&proxy.url)).await;
        let shared = Arc::clone(&future);
        proxy.set(
            method,
            Mood::First(Arc::new(move || {
                let future = Arc::clone(&shared);
                Box::pin(async move {
                    future.deploy().await;
                    // From now on the factory is of no use.
                    let code = REVERTS.parse().unwrap();
                    future.world.place(future.factory, code).await;
                })
            })),
        );
        settled(&settle(&facilitator, &future.payment()).await);
        assert_eq!(future.spent().await, PRICE, "{method}");
        assert_eq!(future.world.sent_by(signer).await, sent, "{method}");
    }
}

/// Between the question whether the wallet exists and the simulation.
#[tokio::test]
async fn somebody_else_may_settle_the_payment_meanwhile() {
    for forged in [false, true] {
        let future = Arc::new(Future::start().await);
        let proxy = Proxy::start(&future.world.url).await;
        let mut config = future.config_at(&proxy.url);
        config.follow = None;
        let (facilitator, signer) = future.connect(config).await;
        let (payment, elsewhere) = (future.payment(), future.facilitator().await.0);
        let (shared, right) = (elsewhere.clone(), payment.clone());
        proxy.set(
            "eth_call",
            Mood::First(Arc::new(move || {
                let (facilitator, payment) = (shared.clone(), right.clone());
                Box::pin(async move { drop(transaction(&settle(&facilitator, &payment).await)) })
            })),
        );
        let asked = if forged {
            let parts = (future.factory, future.create(SALT), Bytes::from([7; 65]));
            let wrapper = [parts.abi_encode_params(), [0x64, 0x92].repeat(16)].concat();
            payment.clone().with(|p| p.signature = Some(wrapper.into()))
        } else {
            payment.clone()
        };
        let outcome = settle(&facilitator, &asked).await;
        let first = settle(&elsewhere, &payment).await;
        if forged {
            // Whoever makes up a signature is not told what became of the payment.
            assert_eq!(failed(&outcome), Code::InvalidExactEvmNonceAlreadyUsed);
        } else {
            assert_eq!(outcome, first);
        }
        assert_eq!(future.spent().await, PRICE);
        assert_eq!(future.world.sent_by(signer).await, 0);
    }
}

#[tokio::test]
async fn whoever_is_interrupted_after_the_deployment_goes_on_with_the_payment() {
    let future = Future::start().await;
    let (facilitator, signer) = future.facilitator().await;
    let payment = future.payment();
    let outcome = facilitator.settle(&payment.v2(), &Notes::failing()).await;
    assert_eq!(unknown(&outcome), (Code::StoreUnavailable, None));
    assert!(future.exists().await);
    assert_eq!(future.spent().await, 0);
    assert_eq!(future.world.sent_by(signer).await, 1);
    let (stranger, signer) = future.facilitator().await;
    assert_eq!(verdict(&stranger, &payment).await, None);
    settled(&settle(&stranger, &payment).await);
    assert_eq!(future.world.sent_by(signer).await, 1);
    assert_eq!(future.spent().await, PRICE);
}

#[tokio::test]
async fn a_deployment_that_is_not_mined_is_waited_for_and_not_sent_twice() {
    let future = Future::start().await;
    let proxy = Proxy::start(&future.world.url).await;
    let mut config = future.config_at(&proxy.url);
    config.queue_wait = Duration::from_millis(200);
    config.receipt_wait = Duration::from_millis(500);
    config.bump_after = Duration::from_millis(1500);
    let (facilitator, signer) = future.connect(config).await;
    proxy.set("eth_sendRawTransaction", Mood::Pretend);
    let (payment, notes) = (future.payment(), Notes::default());
    // Who ordered it goes away.
    let request = payment.v2();
    let sent = async {
        while proxy.calls("eth_sendRawTransaction") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = facilitator.settle(&request, &notes) => panic!("expected to wait"),
        () = sent => {}
    }
    for _ in 0..2 {
        let outcome = facilitator.settle(&payment.v2(), &notes).await;
        assert_eq!(unknown(&outcome), (Code::SettlementPending, None));
    }
    assert!(notes.take().is_empty(), "the payment was not sent");
    assert_eq!(proxy.calls("eth_estimateGas"), 1, "one deployment");
    // The replacement gets there.
    proxy.calm();
    let mut outcome = facilitator.settle(&payment.v2(), &notes).await;
    for _ in 0..20 {
        if matches!(outcome, faregate_core::port::SettleOutcome::Settled(_)) {
            break;
        }
        outcome = facilitator.settle(&payment.v2(), &notes).await;
    }
    let hash = transaction(&outcome);
    assert!(notes.take().contains(&hash));
    assert_eq!(future.spent().await, PRICE);
    assert_eq!(future.world.sent_by(signer).await, 2);
}

#[tokio::test]
async fn a_signer_without_gas_money_deploys_nothing() {
    let future = Future::start().await;
    let config = future.config_at(&future.world.url);
    let facilitator = future.world.connect(config, new_key()).await;
    let (payment, notes) = (future.payment(), Notes::default());
    let outcome = facilitator.settle(&payment.v2(), &notes).await;
    assert_eq!(unknown(&outcome), (Code::InsufficientGas, None));
    assert!(notes.take().is_empty() && !future.exists().await);
}
