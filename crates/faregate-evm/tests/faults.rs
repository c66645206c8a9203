//! Settlement on a node that loses, refuses and delays: what is not known stays unknown, nothing is paid twice, and the
//! next payment gets through.

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

use alloy_primitives::U256;
use alloy_sol_types::SolCall;
use common::proxy::{Mood, Proxy};
use common::{Notes, PAYEE, PRICE, World, failed, settle, settled, transaction, unknown};
use faregate_core::port::{Facilitator, SettleOutcome};
use faregate_evm::{ExactFacilitator, LocalSigner};
use faregate_types::Code;

/// A facilitator behind a proxy, impatient so that the tests are quick.
async fn behind(world: &World, proxy: &Proxy, signer: &LocalSigner) -> ExactFacilitator {
    let mut config = world.config_at(&proxy.url);
    config.rpc_timeout = Duration::from_millis(1500);
    config.receipt_wait = Duration::from_millis(1500);
    // Nobody makes blocks here but the transactions, so what is reverted is believed at once.
    config.confirmations_final = 0;
    world.connect(config, signer.clone()).await
}

/// A world, the way to its node, and one signer's facilitator on that way.
async fn impatient() -> (World, Proxy, LocalSigner, ExactFacilitator) {
    let world = World::start().await;
    let proxy = Proxy::start(&world.url).await;
    let signer = world.gas_payer().await;
    let facilitator = behind(&world, &proxy, &signer).await;
    (world, proxy, signer, facilitator)
}

#[tokio::test]
async fn a_lost_answer_is_made_good_by_the_receipt() {
    let (world, proxy, _, facilitator) = impatient().await;
    let payer = world.payer().await;
    proxy.set("eth_sendRawTransaction", Mood::LoseAnswer);
    let outcome = settle(&facilitator, &world.payment(&payer)).await;
    settled(&outcome);
    proxy.calm();
    let next = settle(&facilitator, &world.payment(&payer)).await;
    assert_eq!(world.transaction_nonce(&transaction(&next)).await, 1);
}

#[tokio::test]
async fn a_lost_answer_and_no_receipt_is_unknown_and_resolved_later() {
    let (world, proxy, signer, facilitator) = impatient().await;
    let payment = world.payment(&world.payer().await);
    for method in ["eth_sendRawTransaction", "eth_getTransactionReceipt"] {
        proxy.set(method, Mood::LoseAnswer);
    }
    let notes = Notes::default();
    let outcome = facilitator.settle(&payment.v2(), &notes).await;
    let (code, hash) = unknown(&outcome);
    assert_eq!(code, Code::SettlementPending);
    assert_eq!(notes.take(), [hash.clone().unwrap()]);

    // A second settlement waits for the first transaction instead of signing another one.
    let again = facilitator.settle(&payment.v2(), &notes).await;
    assert_eq!(unknown(&again), (Code::SettlementPending, hash.clone()));
    assert!(notes.take().is_empty());
    let away = facilitator.resolve(&payment.v2(), hash.as_deref()).await;
    assert_eq!(unknown(&away), (Code::ChainUnavailable, hash.clone()));

    proxy.calm();
    let resolved = facilitator.resolve(&payment.v2(), hash.as_deref()).await;
    assert_eq!(Some(transaction(&resolved)), hash);
    assert_eq!(settle(&facilitator, &payment).await, resolved);
    assert_eq!(world.sent_by(signer.address()).await, 1);
}

/// The call never arrived. The lane sends the same bytes again before it signs anything else, so no gap blocks the
/// payments behind it.
#[tokio::test]
async fn a_lost_call_is_repeated_with_the_same_bytes() {
    let (world, proxy, signer, facilitator) = impatient().await;
    let payer = world.payer().await;
    let (lost, next) = (world.payment(&payer), world.payment(&payer));
    proxy.set("eth_sendRawTransaction", Mood::LoseCall);
    let (code, hash) = unknown(&settle(&facilitator, &lost).await);
    assert_eq!(code, Code::SettlementPending);
    assert_eq!(world.sent_by(signer.address()).await, 0);

    // While the node is away nothing else is signed.
    let outcome = settle(&facilitator, &next).await;
    assert_eq!(unknown(&outcome), (Code::ChainUnavailable, None));

    proxy.calm();
    let second = transaction(&settle(&facilitator, &next).await);
    assert_eq!(world.transaction_nonce(&second).await, 1);
    let resolved = facilitator.resolve(&lost.v2(), hash.as_deref()).await;
    assert_eq!(Some(transaction(&resolved)), hash);
    let sent = proxy.params("eth_sendRawTransaction");
    assert_eq!(sent[0], sent[1], "the same bytes");
}

#[tokio::test]
async fn a_chain_that_is_away_is_unknown_and_never_failed() {
    let (world, proxy, _, facilitator) = impatient().await;
    let payer = world.payer().await;
    let payment = world.payment(&payer);
    let questions = [
        "eth_getCode",
        "eth_estimateGas",
        "eth_getTransactionCount",
        "eth_feeHistory",
    ];
    for method in questions {
        proxy.set(method, Mood::BadGateway);
        let outcome = settle(&facilitator, &payment).await;
        assert_eq!(
            unknown(&outcome),
            (Code::ChainUnavailable, None),
            "{method}"
        );
        proxy.calm();
    }
    for mood in [Mood::BadGateway, Mood::Refuse("daily request limit")] {
        let facilitator = behind(&world, &proxy, &world.gas_payer().await).await;
        proxy.set("eth_sendRawTransaction", mood.clone());
        proxy.set("eth_getTransactionReceipt", mood);
        let fresh = world.payment(&payer);
        let (code, hash) = unknown(&settle(&facilitator, &fresh).await);
        assert!(code == Code::SettlementPending && hash.is_some());
        proxy.calm();
    }
    settled(&settle(&facilitator, &payment).await);
    drop(proxy);
    let gone = world.payment(&payer);
    assert_eq!(
        unknown(&settle(&facilitator, &gone).await),
        (Code::ChainUnavailable, None)
    );
    let hash = Some("0x11".repeat(16));
    let resolved = facilitator.resolve(&gone.v2(), hash.as_deref()).await;
    assert_eq!(unknown(&resolved).0, Code::ChainUnavailable);
}

/// Something happens between our simulation and our transaction: the transaction is reverted on the chain.
async fn reverted(
    world: &Arc<World>,
    payment: &common::Payment,
    what: impl Fn(Arc<World>) -> futures_util::future::BoxFuture<'static, ()> + Send + Sync + 'static,
) -> SettleOutcome {
    let proxy = Proxy::start(&world.url).await;
    let signer = world.gas_payer().await;
    let facilitator = behind(world, &proxy, &signer).await;
    let shared = Arc::clone(world);
    proxy.set(
        "eth_sendRawTransaction",
        Mood::First(Arc::new(move || what(Arc::clone(&shared)))),
    );
    let outcome = settle(&facilitator, payment).await;
    assert_eq!(
        world.sent_by(signer.address()).await,
        1,
        "the transaction was mined"
    );
    outcome
}

#[tokio::test]
async fn run_ahead_between_simulation_and_transaction_still_settles() {
    let world = Arc::new(World::start().await);
    let payment = world.payment(&world.payer().await);
    let ahead = payment.clone();
    let outcome = reverted(&world, &payment, move |world| {
        let ahead = ahead.clone();
        Box::pin(async move {
            world.run_ahead(&ahead).await;
        })
    })
    .await;
    let receipt = world.receipt(transaction(&outcome).parse().unwrap()).await;
    assert_eq!(receipt["status"], "0x1", "the other transaction is named");
}

#[tokio::test]
async fn cancelled_between_simulation_and_transaction_is_failed() {
    let world = Arc::new(World::start().await);
    let payment = world.payment(&world.payer().await);
    let cancelled = payment.clone();
    let outcome = reverted(&world, &payment, move |world| {
        let cancelled = cancelled.clone();
        Box::pin(async move { world.cancel(&cancelled).await })
    })
    .await;
    assert_eq!(failed(&outcome), Code::InvalidExactEvmNonceAlreadyUsed);
}

#[tokio::test]
async fn problem_07_money_gone_between_simulation_and_transaction_is_failed() {
    let world = Arc::new(World::start().await);
    let payer = world.payer().await;
    let payment = world.payment(&payer);
    // The payer empties the account by another authorization.
    let drain = world
        .payment(&payer)
        .with(|p| p.authorization.value = U256::from(common::FUNDS));
    let outcome = reverted(&world, &payment, move |world| {
        let drain = drain.clone();
        Box::pin(async move {
            world.run_ahead(&drain).await;
        })
    })
    .await;
    assert_eq!(failed(&outcome), Code::TransactionFailed);
}

/// The receipt of a reverted transaction is read only later, from the hash in the books.
#[tokio::test]
async fn a_reverted_transaction_is_resolved_from_the_books() {
    let world = Arc::new(World::start().await);
    let proxy = Proxy::start(&world.url).await;
    let facilitator = behind(&world, &proxy, &world.gas_payer().await).await;
    let payer = world.payer().await;
    let payment = world.payment(&payer);
    let drain = world
        .payment(&payer)
        .with(|p| p.authorization.value = U256::from(common::FUNDS));
    let shared = Arc::clone(&world);
    let first = Mood::First(Arc::new(move || {
        let (world, drain) = (Arc::clone(&shared), drain.clone());
        Box::pin(async move {
            world.run_ahead(&drain).await;
        })
    }));
    proxy.set("eth_sendRawTransaction", first);
    proxy.set("eth_getTransactionReceipt", Mood::LoseCall);
    let (code, hash) = unknown(&settle(&facilitator, &payment).await);
    assert_eq!(code, Code::SettlementPending);
    proxy.calm();
    // Another process, with another signer: what counts is that the transaction carried this payment. Taken back by the chain
    // it could be mined again and succeed, so it fails for good only when that cannot happen any more.
    let mut config = world.config();
    config.confirmations_final = 3;
    let stranger = world.connect(config, world.gas_payer().await).await;
    if world.is_own() {
        let (code, still) = unknown(&stranger.resolve(&payment.v2(), hash.as_deref()).await);
        assert_eq!((code, still), (Code::SettlementReverted, hash.clone()));
    }
    world.mine(3).await;
    let outcome = stranger.resolve(&payment.v2(), hash.as_deref()).await;
    assert_eq!(failed(&outcome), Code::TransactionFailed);
}

/// A caller who goes away while the transaction is being sent: the next one waits for it and signs nothing.
#[tokio::test]
async fn a_caller_who_goes_away_while_sending_is_not_paid_twice() {
    let (world, proxy, signer, facilitator) = impatient().await;
    let payment = world.payment(&world.payer().await);
    proxy.set("eth_sendRawTransaction", Mood::LoseAnswer);
    let (request, notes) = (payment.v2(), Notes::default());
    let settling = facilitator.settle(&request, &notes);
    let gone = tokio::time::timeout(Duration::from_millis(400), settling).await;
    assert!(gone.is_err(), "the answer is lost for longer: {gone:?}");
    let outcome = facilitator.settle(&request, &notes).await;
    let recorded = notes.take();
    assert_eq!(
        (recorded.len(), recorded.first()),
        (1, Some(&transaction(&outcome)))
    );
    assert_eq!(world.sent_by(signer.address()).await, 1);
}

#[tokio::test]
async fn a_nonce_used_by_another_program_is_noticed() {
    let world = World::start().await;
    // A signer whose key the node has too: one of the development accounts.
    let proxy = Proxy::start(&world.url).await;
    let signer = world.gas_payer().await;
    let facilitator = behind(&world, &proxy, &signer).await;
    let payer = world.payer().await;
    settled(&settle(&facilitator, &world.payment(&payer)).await);
    // Another facilitator with the same key takes the next nonce.
    let twin = world.connect(world.config(), signer.clone()).await;
    settled(&settle(&twin, &world.payment(&payer)).await);
    let notes = Notes::default();
    let payment = world.payment(&payer);
    let outcome = facilitator.settle(&payment.v2(), &notes).await;
    let hash = transaction(&outcome);
    assert_eq!(world.transaction_nonce(&hash).await, 2);
    let recorded = notes.take();
    assert_eq!(
        recorded.len(),
        2,
        "the refused transaction and the one that went"
    );
    assert_eq!(recorded[1], hash);
    assert_eq!(world.sent_by(signer.address()).await, 3);
}

/// A node that accepts a transaction and then loses it: it gets the same bytes again before anything else is signed.
#[tokio::test]
async fn a_dropped_transaction_blocks_nobody() {
    let (world, proxy, _, facilitator) = impatient().await;
    let payer = world.payer().await;
    let (lost, next) = (world.payment(&payer), world.payment(&payer));
    proxy.set("eth_sendRawTransaction", Mood::Pretend);
    let (code, hash) = unknown(&settle(&facilitator, &lost).await);
    assert_eq!(code, Code::SettlementPending);
    proxy.calm();
    let second = transaction(&settle(&facilitator, &next).await);
    assert_eq!(world.transaction_nonce(&second).await, 1, "no gap");
    let resolved = facilitator.resolve(&lost.v2(), hash.as_deref()).await;
    assert_eq!(Some(transaction(&resolved)), hash, "found its way");
    assert_eq!(settle(&facilitator, &lost).await, resolved);
}

/// A node that lost a transaction and does not take it any more: the nonce goes to the next one.
#[tokio::test]
async fn a_transaction_that_is_not_taken_any_more_leaves_no_gap() {
    let (world, proxy, _, facilitator) = impatient().await;
    let payer = world.payer().await;
    let (lost, next) = (world.payment(&payer), world.payment(&payer));
    proxy.set("eth_sendRawTransaction", Mood::Pretend);
    let (code, hash) = unknown(&settle(&facilitator, &lost).await);
    assert_eq!(code, Code::SettlementPending);
    let words = "exceeds block gas limit";
    proxy.set("eth_sendRawTransaction", Mood::RefuseOnce(words));
    let second = transaction(&settle(&facilitator, &next).await);
    assert_eq!(
        world.transaction_nonce(&second).await,
        0,
        "the gap is filled"
    );
    let resolved = facilitator.resolve(&lost.v2(), hash.as_deref()).await;
    let pending = (Code::SettlementPending, hash);
    assert_eq!(
        unknown(&resolved),
        pending,
        "not failed before it has expired"
    );
}

#[tokio::test]
async fn a_full_queue_turns_payments_away_unsent() {
    let world = World::start().await;
    let signer = world.gas_payer().await;
    let mut config = world.config();
    config.queue_len_max = 1;
    config.trail_timeout = Duration::from_millis(500);
    let facilitator = world.connect(config, signer.clone()).await;
    let payer = world.payer().await;
    let slow = Notes::hanging();
    let payments: Vec<_> = (0..6).map(|_| world.payment(&payer).v2()).collect();
    let settling = payments
        .iter()
        .map(|payment| facilitator.settle(payment, &slow));
    let outcomes = futures_util::future::join_all(settling).await;
    let overloaded = outcomes
        .iter()
        .filter(|outcome| unknown(outcome) == (Code::Overloaded, None))
        .count();
    assert!(
        overloaded >= 3,
        "one is being recorded, one waits: {outcomes:?}"
    );
    assert_eq!(world.sent_by(signer.address()).await, 0);
    settled(&settle(&facilitator, &world.payment(&payer)).await);
}

/// The queue is longer than a simulation is worth believing: the lane looks again before it signs.
#[tokio::test]
async fn a_transfer_that_went_stale_in_the_queue_is_not_sent() {
    let world = Arc::new(World::start().await);
    let signer = world.gas_payer().await;
    let facilitator = world.connect(world.config(), signer.clone()).await;
    let payer = world.payer().await;
    let (first, second) = (world.payment(&payer), world.payment(&payer));
    let hanging = Notes::hanging();
    let request = first.v2();
    let blocker = async {
        let settling = facilitator.settle(&request, &hanging);
        drop(tokio::time::timeout(Duration::from_millis(1800), settling).await);
    };
    let stale = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        settle(&facilitator, &second).await
    };
    let thief = async {
        tokio::time::sleep(Duration::from_millis(900)).await;
        world.cancel(&second).await;
    };
    let ((), outcome, ()) = tokio::join!(blocker, stale, thief);
    assert_eq!(failed(&outcome), Code::InvalidExactEvmNonceAlreadyUsed);
    assert_eq!(world.sent_by(signer.address()).await, 0);
}

/// A caller with the wrong hash in its books does not lose the payment by it.
#[tokio::test]
async fn problem_09_a_foreign_transaction_says_nothing_about_the_payment() {
    let world = World::start().await;
    let facilitator = world.facilitator().await;
    let payer = world.payer().await;
    let payment = world.payment(&payer);
    let bank = world.bank();
    world.mint(bank, PRICE).await;
    let transfer = common::transferCall {
        to: PAYEE,
        value: U256::from(PRICE),
    };
    let (plain, succeeded) = world.send_from(bank, transfer.abi_encode()).await;
    assert!(succeeded);
    let ours = transaction(&settle(&facilitator, &world.payment(&payer)).await);
    let too_much = common::transferCall {
        to: PAYEE,
        value: U256::MAX,
    };
    let (reverted, succeeded) = world.send_from(bank, too_much.abi_encode()).await;
    assert!(!succeeded);
    for hash in [plain.to_string(), ours, reverted.to_string()] {
        let outcome = facilitator.resolve(&payment.v2(), Some(&hash)).await;
        assert_eq!(
            unknown(&outcome),
            (Code::SettlementPending, Some(hash.clone()))
        );
    }
    let hash = transaction(&settle(&facilitator, &payment).await);
    let outcome = facilitator
        .resolve(&payment.v2(), Some(&plain.to_string()))
        .await;
    assert_eq!(transaction(&outcome), hash, "and it finds the right one");
}

/// Blocks on top are waited for, and a transaction that a reorganisation took away does not count.
#[tokio::test]
async fn problem_19_confirmations_are_waited_for() {
    let world = World::start().await;
    let mut config = world.config();
    config.confirmations = 2;
    config.receipt_wait = Duration::from_secs(10);
    let facilitator = world.connect(config.clone(), world.gas_payer().await).await;
    config.receipt_wait = Duration::from_millis(300);
    let impatient = world.connect(config, world.gas_payer().await).await;
    let payer = world.payer().await;
    let (first, second) = (world.payment(&payer), world.payment(&payer));
    if world.is_own() {
        // On a shared node others make blocks.
        let (code, hash) = unknown(&settle(&impatient, &first).await);
        assert_eq!(code, Code::SettlementPending);
        let request = first.v2();
        let shallow = impatient.resolve(&request, hash.as_deref()).await;
        assert!(unknown(&shallow).1.is_some());
        assert!(matches!(
            impatient.settle(&request, &Notes::default()).await,
            SettleOutcome::Unknown(_)
        ));
        world.mine(2).await;
        assert_eq!(
            Some(transaction(
                &impatient.resolve(&request, hash.as_deref()).await
            )),
            hash
        );
    }
    let (outcome, ()) = tokio::join!(settle(&facilitator, &second), async {
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            world.mine(1).await;
        }
    });
    settled(&outcome);
}
