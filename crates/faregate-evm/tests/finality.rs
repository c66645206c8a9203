//! Settlements under reorganisations: final, waiting, or gone with proof, and paid exactly once in the end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::time::Duration;

use alloy_primitives::U256;
use common::proxy::{Mood, Proxy};
use common::{PRICE, World, new_key, settle, transaction};
use faregate_core::port::{Facilitator, Finality};
use faregate_evm::ExactFacilitator;
use faregate_types::x402::FacilitatorRequest;
use serde_json::{Value, json};
use tokio::time::sleep;

/// Asks after a moment, because how far the chain is serves for a moment.
async fn confirm(
    facilitator: &ExactFacilitator,
    request: &FacilitatorRequest,
    hash: &str,
) -> Finality {
    sleep(Duration::from_millis(250)).await;
    facilitator.confirm(request, hash).await
}

#[tokio::test]
async fn a_settlement_is_final_once_it_is_deep_enough() {
    let world = World::start().await;
    let mut config = world.config();
    config.confirmations_final = 3;
    let facilitator = world.connect(config, world.gas_payer().await).await;
    let payment = world.payment(&world.payer().await);
    let hash = transaction(&settle(&facilitator, &payment).await);
    if world.is_own() {
        let finality = confirm(&facilitator, &payment.v2(), &hash).await;
        assert_eq!(finality, Finality::Waiting);
        world.mine(2).await;
        let finality = confirm(&facilitator, &payment.v2(), &hash).await;
        assert_eq!(finality, Finality::Waiting);
    }
    world.mine(3).await;
    let finality = confirm(&facilitator, &payment.v2(), &hash).await;
    assert_eq!(finality, Finality::Final);
    let finality = confirm(&facilitator, &payment.v2(), "no hash").await;
    assert_eq!(finality, Finality::Unknown);
}

/// A block that the chain calls final is, however few follow it.
#[tokio::test]
async fn what_the_chain_calls_final_is_final() {
    let world = World::start().await;
    if !world.is_own() {
        return;
    }
    let mut config = world.config();
    config.confirmations_final = 1_000_000;
    let facilitator = world.connect(config, world.gas_payer().await).await;
    let payment = world.payment(&world.payer().await);
    let hash = transaction(&settle(&facilitator, &payment).await);
    let finality = confirm(&facilitator, &payment.v2(), &hash).await;
    assert_eq!(finality, Finality::Waiting);
    world.mine(200).await;
    let finality = confirm(&facilitator, &payment.v2(), &hash).await;
    assert_eq!(finality, Finality::Final);
}

/// The block with the settlement is replaced by one without it: the money is back, and settling again pays once.
#[tokio::test]
async fn a_settlement_that_was_reorganised_away_is_gone_and_is_settled_again() {
    for batched in [false, true] {
        let world = World::start().await;
        if !world.is_own() {
            return;
        }
        let mut config = world.batching_at(&world.url);
        config.confirmations_final = 12;
        if !batched {
            config.batch_settler = None;
        }
        let signer = world.gas_payer().await;
        let facilitator = world.connect(config, signer.clone()).await;
        let (payer, payee) = (world.payer().await, new_key().address());
        let payments: Vec<_> = (0..3)
            .map(|_| {
                world.payment(&payer).with(|p| {
                    p.authorization.to = payee;
                    p.pay_to = payee;
                })
            })
            .collect();
        let before: Value = world.rpc("evm_snapshot", json!([])).await;
        let settling = payments.iter().map(|payment| settle(&facilitator, payment));
        let first = futures_util::future::join_all(settling).await;
        assert_eq!(world.balance(payee).await, U256::from(3 * PRICE));
        world.rpc::<Value>("evm_revert", json!([before])).await;
        world.mine(5).await;
        assert_eq!(world.balance(payee).await, U256::ZERO);
        for (payment, outcome) in payments.iter().zip(&first) {
            let hash = transaction(outcome);
            let finality = confirm(&facilitator, &payment.v2(), &hash).await;
            assert_eq!(finality, Finality::Gone, "{batched}");
        }
        let settling = payments.iter().map(|payment| settle(&facilitator, payment));
        for outcome in futures_util::future::join_all(settling).await {
            transaction(&outcome);
        }
        assert_eq!(world.balance(payee).await, U256::from(3 * PRICE));
        let sent = if batched { 1 } else { 3 };
        assert_eq!(world.sent_by(signer.address()).await, sent, "no gap");
        for (payment, outcome) in payments.iter().zip(&first) {
            let again = settle(&facilitator, payment).await;
            let finality = confirm(&facilitator, &payment.v2(), &transaction(&again)).await;
            assert_eq!(finality, Finality::Waiting);
            // By the old hash it is found as well.
            let hash = transaction(outcome);
            let finality = confirm(&facilitator, &payment.v2(), &hash).await;
            assert_eq!(finality, Finality::Waiting);
        }
        assert_eq!(world.balance(payee).await, U256::from(3 * PRICE));
    }
}

/// Back in the pool it is neither final nor gone; and a transfer that somebody else got into the new blocks counts.
#[tokio::test]
async fn a_settlement_that_moved_elsewhere_is_not_gone() {
    let world = World::start().await;
    if !world.is_own() {
        return;
    }
    let facilitator = world.facilitator().await;
    let payment = world.payment(&world.payer().await);
    let before: Value = world.rpc("evm_snapshot", json!([])).await;
    let hash = transaction(&settle(&facilitator, &payment).await);
    world.rpc::<Value>("evm_revert", json!([before])).await;
    let ahead = world.run_ahead(&payment).await.to_string();
    assert_ne!(ahead, hash);
    let finality = confirm(&facilitator, &payment.v2(), &hash).await;
    assert_eq!(finality, Finality::Waiting);
    let resolved = facilitator.resolve(&payment.v2(), Some(&hash)).await;
    assert_eq!(transaction(&resolved), ahead);
    world.mine(12).await;
    let finality = confirm(&facilitator, &payment.v2(), &hash).await;
    assert_eq!(finality, Finality::Final);

    world.rpc::<Value>("evm_setAutomine", json!([true])).await;
    let other = world.payment(&world.payer().await);
    let hash = transaction(&settle(&facilitator, &other).await);
    world.rpc::<Value>("evm_setAutomine", json!([false])).await;
    world.rpc::<Value>("faregate_reorg", json!([1, true])).await;
    let finality = confirm(&facilitator, &other.v2(), &hash).await;
    assert_eq!(finality, Finality::Waiting, "in the pool");
}

#[tokio::test]
async fn a_node_that_does_not_say_proves_nothing() {
    let world = World::start().await;
    let proxy = Proxy::start(&world.url).await;
    let config = world.config_at(&proxy.url);
    let facilitator = world.connect(config, world.gas_payer().await).await;
    let open = world.payment(&world.payer().await);
    let nowhere = format!("0x{}", "09".repeat(32));
    for method in [
        "eth_getTransactionReceipt",
        "eth_getBlockByNumber",
        "eth_call",
        "eth_getTransactionByHash",
    ] {
        proxy.set(method, Mood::BadGateway);
        let finality = confirm(&facilitator, &open.v2(), &nowhere).await;
        assert_eq!(finality, Finality::Unknown, "{method}");
        proxy.calm();
    }
    let finality = confirm(&facilitator, &open.v2(), &nowhere).await;
    assert_eq!(finality, Finality::Gone);
}

/// A sweep asks about hundreds of settlements; each costs its receipt, and all of them together one look at the tip.
#[tokio::test]
async fn how_far_the_chain_is_is_asked_once_for_many() {
    let world = World::start().await;
    if !world.is_own() {
        return;
    }
    let proxy = Proxy::start(&world.url).await;
    let mut config = world.config_at(&proxy.url);
    config.follow = None;
    let facilitator = world.connect(config, world.gas_payer().await).await;
    let payment = world.payment(&world.payer().await);
    let hash = transaction(&settle(&facilitator, &payment).await);
    sleep(Duration::from_millis(250)).await;
    let (heads, receipts) = ("eth_getBlockByNumber", "eth_getTransactionReceipt");
    let before = (proxy.calls(heads), proxy.calls(receipts));
    for _ in 0..5 {
        facilitator.confirm(&payment.v2(), &hash).await;
    }
    // The newest block and the newest final one; twice, should the machine be slow.
    assert!(proxy.calls(heads) - before.0 <= 4);
    assert_eq!(proxy.calls(receipts) - before.1, 5);
}
