//! Permits that fail, are run ahead of, expire or are reorganised away: each is paid once or fails with proof, and none
//! harms the others of its batch.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::U256;
use common::permit::{KINDS, Shop, soon, trails};
use common::proxy::{Mood, Proxy};
use common::{FUNDS, Notes, PRICE, World, failed, transaction, unknown};
use faregate_core::port::{Collector, Finality, SettleOutcome};
use faregate_evm::ExactFacilitator;
use faregate_types::Code;
use faregate_types::permit::PermitKind::{Eip2612, Erc3009, Permit2};
use serde_json::{Value, json};
use tokio::time::sleep;

#[tokio::test]
async fn a_bad_permit_in_the_middle_costs_nobody_anything() {
    let world = World::start().await;
    let signer = world.gas_payer().await;
    let shop = Shop::open_with(&world, world.batching_at(&world.url), signer.clone()).await;
    let before = world.sent_by(signer.address()).await;
    let payer = world.payer().await;
    world.approve_permit2(payer.address()).await;
    let mut orders = Vec::new();
    for nonce in 0..10 {
        orders.extend(KINDS.map(|kind| shop.take(&world, &payer, kind, nonce, 10)));
    }
    let drained = world.payer().await;
    let bad = shop.take(&world, &drained, Eip2612, 0, PRICE);
    shop.funds(&bad, faregate_core::port::Care::Simulate).await;
    world.empty(&drained).await;
    orders.insert(15, bad);
    let notes = trails(orders.len());
    let outcomes = shop.settle_all(&orders, &notes).await;
    let hash = transaction(&outcomes[0]);
    for (index, (outcome, notes)) in outcomes.iter().zip(&notes).enumerate() {
        let recorded = notes.take();
        if index == 15 {
            assert_eq!(failed(outcome), Code::PermitBalanceTooLow);
            assert!(recorded.is_empty());
        } else {
            assert_eq!(transaction(outcome), hash, "{index}");
            assert_eq!(recorded, std::slice::from_ref(&hash), "{index}");
        }
    }
    assert_eq!(world.sent_by(signer.address()).await, before + 1);
    assert_eq!(world.balance(shop.treasury()).await, U256::from(300));
    assert_eq!(world.balance(shop.settler.address()).await, U256::ZERO);
}

/// Things happen between the simulation and the block.
#[tokio::test]
async fn what_happens_before_the_block_is_told_from_receipts_and_state() {
    let world = Arc::new(World::start().await);
    let proxy = Proxy::start(&world.url).await;
    let mut config = world.batching_at(&proxy.url);
    config.batch_wait = Duration::from_millis(300);
    let shop = Shop::open_with(&world, config, world.gas_payer().await).await;
    let mut payers = Vec::new();
    for _ in 0..6 {
        let payer = world.payer().await;
        world.approve_permit2(payer.address()).await;
        payers.push(payer);
    }
    let kinds = [Eip2612, Erc3009, Eip2612, Eip2612, Erc3009, Permit2];
    let orders: Vec<_> = payers
        .iter()
        .zip(kinds)
        .map(|(payer, kind)| shop.take(&world, payer, kind, 0, PRICE))
        .collect();
    let (shared, those, all) = (Arc::clone(&world), payers.clone(), orders.clone());
    let first = Mood::First(Arc::new(move || {
        let (world, payers, orders) = (Arc::clone(&shared), those.clone(), all.clone());
        Box::pin(async move {
            world.empty(&payers[2]).await;
            world.run_ahead_of(&orders[3].permit).await;
            world.run_ahead_of(&orders[4].permit).await;
            world.withdraw(payers[5].address(), 0).await;
        })
    }));
    proxy.set("eth_sendRawTransaction", first);
    let outcomes = shop.settle_all(&orders, &trails(6)).await;
    let hash = transaction(&outcomes[0]);
    assert_eq!(transaction(&outcomes[1]), hash);
    assert_eq!(failed(&outcomes[2]), Code::PermitBalanceTooLow, "no money");
    assert_eq!(transaction(&outcomes[3]), hash, "a permit still pays");
    assert_ne!(transaction(&outcomes[4]), hash, "executed by another");
    assert_eq!(failed(&outcomes[5]), Code::PermitNonceUsed, "withdrawn");
    assert_eq!(world.balance(shop.treasury()).await, U256::from(4 * PRICE));
    assert_eq!(world.balance(shop.settler.address()).await, U256::ZERO);
    // The same from the books, by a process that was not there.
    let config = world.batching_at(&world.url);
    let stranger = world.connect(config, world.gas_payer().await).await;
    let stranger = Shop::of(&world, stranger, shop.treasury()).await;
    for (index, (order, outcome)) in orders.iter().zip(&outcomes).enumerate() {
        for known in [Some(hash.as_str()), None] {
            let resolved = stranger.collector.resolve(order, known).await;
            match known {
                // Without the transaction nobody knows that it was tried: its payer may still get money and pay.
                None if index == 2 => {
                    assert_eq!(unknown(&resolved).0, Code::SettlementPending);
                }
                Some(_) | None => assert_eq!(resolved, *outcome, "{index}"),
            }
        }
    }
}

#[tokio::test]
async fn run_ahead_before_it_is_settled() {
    let world = World::start().await;
    let signer = world.gas_payer().await;
    let shop = Shop::open_with(&world, world.config(), signer.clone()).await;
    let payer = world.payer().await;
    // A permit that the token has seen pays as before.
    let order = shop.take(&world, &payer, Eip2612, 0, PRICE);
    world.run_ahead_of(&order.permit).await;
    shop.funds(&order, faregate_core::port::Care::Simulate)
        .await;
    transaction(&shop.settle(&order).await);
    // The money of an authorization is at the contract, and is handed on.
    let order = shop.take(&world, &payer, Erc3009, 0, PRICE);
    world.run_ahead_of(&order.permit).await;
    assert_eq!(
        world.balance(shop.settler.address()).await,
        U256::from(PRICE)
    );
    let before = world.sent_by(signer.address()).await;
    let notes = Notes::default();
    transaction(&shop.collector.settle(&order, &notes).await);
    assert!(notes.take().is_empty(), "nothing of the payment was sent");
    for _ in 0..500 {
        if world.balance(shop.settler.address()).await.is_zero() {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.balance(shop.treasury()).await, U256::from(2 * PRICE));
    assert_eq!(world.sent_by(signer.address()).await, before + 1);
    // A later permit replaced the allowance of this one: it pays nothing any more.
    let order = shop.take(&world, &payer, Eip2612, 1, PRICE);
    world.run_ahead_of(&order.permit).await;
    let next = world.permit(&payer, shop.settler.address(), Eip2612, 2, 7);
    world.run_ahead_of(&next).await;
    assert_eq!(failed(&shop.settle(&order).await), Code::PermitNonceUsed);
    assert_eq!(
        failed(&shop.collector.resolve(&order, None).await),
        Code::PermitNonceUsed
    );
    transaction(&shop.settle(&shop.order(&world, next)).await);
}

/// The contract's logs of both are alike: one of them must not be shown for the other.
#[tokio::test]
async fn one_log_is_not_two_payments() {
    let world = World::start().await;
    let shop = Shop::open(&world).await;
    for first in [Eip2612, Permit2] {
        let payer = world.payer().await;
        world.approve_permit2(payer.address()).await;
        let permit = shop.take(&world, &payer, Eip2612, 0, PRICE);
        let order = shop.take(&world, &payer, Permit2, 0, PRICE);
        if first == Eip2612 {
            transaction(&shop.settle(&permit).await);
            assert_eq!(
                unknown(&shop.collector.resolve(&order, None).await).0,
                Code::SettlementPending
            );
            world.withdraw(payer.address(), 0).await;
            assert_eq!(failed(&shop.settle(&order).await), Code::PermitNonceUsed);
            assert_eq!(
                failed(&shop.collector.resolve(&order, None).await),
                Code::PermitNonceUsed
            );
        } else {
            let hash = transaction(&shop.settle(&order).await);
            let resolved = shop.collector.resolve(&permit, Some(&hash)).await;
            assert_eq!(unknown(&resolved).0, Code::SettlementPending);
            assert_eq!(
                shop.collector.confirm(&permit, &hash).await,
                Finality::Waiting
            );
            // Both are paid, each in its own transaction.
            let other = transaction(&shop.settle(&permit).await);
            assert_ne!(hash, other);
            for (order, hash) in [(&order, &hash), (&permit, &other)] {
                let resolved = shop.collector.resolve(order, None).await;
                assert_eq!(transaction(&resolved), *hash);
            }
        }
    }
}

/// They expire while they wait for their turn: nothing leaves, and they fail.
#[tokio::test]
async fn what_expires_in_the_queue_fails() {
    let world = Arc::new(World::start().await);
    let proxy = Proxy::start(&world.url).await;
    let signer = world.gas_payer().await;
    let shop = Shop::open_with(&world, world.batching_at(&proxy.url), signer.clone()).await;
    let before = world.sent_by(signer.address()).await;
    let payer = world.payer().await;
    world.approve_permit2(payer.address()).await;
    let until = soon(2);
    let wallet = shop.settler.address();
    let orders = KINDS.map(|kind| {
        let permit = world.permit_until(&payer, wallet, kind, 0, PRICE, until);
        shop.order(&world, permit)
    });
    let shared = Arc::clone(&world);
    let first = Mood::First(Arc::new(move || {
        let world = Arc::clone(&shared);
        Box::pin(async move {
            while common::now() <= until + 1 {
                sleep(Duration::from_millis(100)).await;
            }
            world.mine(1).await;
        })
    }));
    proxy.set("eth_call", first);
    for (outcome, kind) in shop.settle_all(&orders, &trails(3)).await.iter().zip(KINDS) {
        assert_eq!(failed(outcome), Code::PermitExpired, "{kind:?}");
    }
    assert_eq!(world.sent_by(signer.address()).await, before);
    assert_eq!(world.balance(payer.address()).await, U256::from(FUNDS));
}

/// The block with the settlement is replaced by one without it.
#[tokio::test]
async fn what_was_reorganised_away_is_gone_and_is_settled_again() {
    let world = World::start().await;
    if !world.is_own() {
        return;
    }
    let mut config = world.batching_at(&world.url);
    config.confirmations_final = 12;
    let shop = Shop::open_with(&world, config, world.gas_payer().await).await;
    let payer = world.payer().await;
    world.approve_permit2(payer.address()).await;
    let orders = KINDS.map(|kind| shop.take(&world, &payer, kind, 0, PRICE));
    let before: Value = world.rpc("evm_snapshot", json!([])).await;
    let first = shop.settle_all(&orders, &trails(3)).await;
    assert_eq!(world.balance(shop.treasury()).await, U256::from(3 * PRICE));
    world.rpc::<Value>("evm_revert", json!([before])).await;
    world.mine(5).await;
    assert_eq!(world.balance(shop.treasury()).await, U256::ZERO);
    for (order, outcome) in orders.iter().zip(&first) {
        sleep(Duration::from_millis(250)).await;
        let hash = transaction(outcome);
        let finality = shop.collector.confirm(order, &hash).await;
        assert_eq!(finality, Finality::Gone);
    }
    let again = shop.settle_all(&orders, &trails(3)).await;
    world.mine(12).await;
    sleep(Duration::from_millis(250)).await;
    for (order, outcome) in orders.iter().zip(&again) {
        let finality = shop.collector.confirm(order, &transaction(outcome)).await;
        assert_eq!(finality, Finality::Final);
    }
    assert_eq!(world.balance(shop.treasury()).await, U256::from(3 * PRICE));
}

#[tokio::test]
async fn two_signers_share_the_work_and_nothing_is_paid_twice() {
    let world = World::start().await;
    let signers = [world.gas_payer().await, world.gas_payer().await];
    let mut config = world.batching_at(&world.url);
    config.batch_items_max = 5;
    let facilitator = ExactFacilitator::builder()
        .network(config)
        .signer(signers[0].clone())
        .signer(signers[1].clone())
        .connect()
        .await
        .unwrap();
    let shop = Shop::over(&world, facilitator).await;
    let payer = world.payer().await;
    world.approve_permit2(payer.address()).await;
    let mut orders = Vec::new();
    for nonce in 0..20 {
        orders.push(shop.take(&world, &payer, Erc3009, nonce, 10));
        orders.push(shop.take(&world, &payer, Permit2, nonce, 10));
    }
    // Every one twice, as when a request is repeated.
    let twice: Vec<_> = orders.iter().chain(&orders).cloned().collect();
    let outcomes = shop.settle_all(&twice, &trails(80)).await;
    let (one, other) = outcomes.split_at(40);
    assert_eq!(one, other);
    let hashes: BTreeSet<_> = outcomes.iter().map(transaction).collect();
    assert!((8..40).contains(&hashes.len()), "{}", hashes.len());
    for signer in &signers {
        assert!(world.sent_by(signer.address()).await > 1);
    }
    assert_eq!(world.balance(shop.treasury()).await, U256::from(400));
    assert!(
        outcomes
            .iter()
            .all(|it| matches!(it, SettleOutcome::Settled(_)))
    );
}
