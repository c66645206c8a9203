//! Transactions that are not mined: sent again with a higher fee, recorded first, and paid once whichever is mined.

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
use common::{Notes, PRICE, World, new_key, settle, settled, transaction, unknown};
use faregate_core::port::{Facilitator, SettleOutcome};
use faregate_evm::NetworkConfig;
use faregate_types::Code;
use serde_json::{Value, json};

/// A chain that mines only when it is told, which a node that other tests use must not become.
async fn lazy() -> Option<World> {
    let world = World::start().await;
    if !world.is_own() {
        return None;
    }
    world.rpc::<Value>("evm_setAutomine", json!([false])).await;
    Some(world)
}

fn impatient(mut config: NetworkConfig) -> NetworkConfig {
    config.bump_after = Duration::from_millis(300);
    config.receipt_wait = Duration::from_secs(20);
    config
}

/// Money, on a chain that has to be told to mine.
async fn payer(world: &World) -> faregate_evm::LocalSigner {
    world.rpc::<Value>("evm_setAutomine", json!([true])).await;
    let payer = world.payer().await;
    world.rpc::<Value>("evm_setAutomine", json!([false])).await;
    payer
}

/// Waits until so many hashes were recorded.
async fn recorded(notes: &Notes, count: usize) -> Vec<String> {
    for _ in 0..1000 {
        let hashes = notes.hashes.lock().unwrap().clone();
        if hashes.len() >= count {
            return hashes;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("expected {count} hashes");
}

async fn fee(world: &World, hash: &str, field: &str) -> u128 {
    let found: Value = world.rpc("eth_getTransactionByHash", json!([hash])).await;
    let fee: U256 = serde_json::from_value(found[field].clone()).unwrap();
    fee.to()
}

#[tokio::test]
async fn a_transaction_that_is_not_mined_is_replaced_and_the_new_one_settles() {
    let Some(world) = lazy().await else { return };
    let signer = world.gas_payer().await;
    let facilitator = world
        .connect(impatient(world.config()), signer.clone())
        .await;
    let (payer, notes) = (payer(&world).await, Notes::default());
    let request = world.payment(&payer).v2();
    let miner = async {
        let first = recorded(&notes, 1).await;
        while fee_of(&world, &first[0]).await.is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let old = fee(&world, &first[0], "maxFeePerGas").await;
        let hashes = recorded(&notes, 2).await;
        while fee_of(&world, &hashes[1]).await.is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let new = fee(&world, &hashes[1], "maxFeePerGas").await;
        assert!(new * 8 >= old * 9, "{old} {new}");
        world.mine(1).await;
    };
    let (outcome, ()) = tokio::join!(facilitator.settle(&request, &notes), miner);
    let hashes = notes.take();
    assert!(hashes.len() >= 2);
    assert!(hashes.contains(&transaction(&outcome)) && hashes[0] != transaction(&outcome));
    assert_eq!(world.transaction_nonce(&transaction(&outcome)).await, 0);
    assert_eq!(world.sent_by(signer.address()).await, 1);
    // After a restart only the last hash is known, and it is enough.
    let stranger = world.facilitator().await;
    for hash in &hashes {
        let resolved = stranger.resolve(&request, Some(hash)).await;
        assert_eq!(resolved, outcome);
    }
}

async fn fee_of(world: &World, hash: &str) -> Option<Value> {
    let found: Value = world.rpc("eth_getTransactionByHash", json!([hash])).await;
    (!found.is_null()).then_some(found)
}

/// The replacement is recorded and does not get anywhere; the old one is mined.
#[tokio::test]
async fn the_old_transaction_is_mined_after_all() {
    let Some(world) = lazy().await else { return };
    let proxy = Proxy::start(&world.url).await;
    let signer = world.gas_payer().await;
    let config = impatient(world.batching_at(&proxy.url));
    let facilitator = world.connect(config, signer.clone()).await;
    let payer = payer(&world).await;
    let payee = new_key().address();
    let payments: Vec<_> = (0..3)
        .map(|_| {
            world.payment(&payer).with(|p| {
                p.authorization.to = payee;
                p.pay_to = payee;
            })
        })
        .collect();
    let requests: Vec<_> = payments.iter().map(common::Payment::v2).collect();
    let notes: Vec<_> = (0..3).map(|_| Notes::default()).collect();
    let settling = requests
        .iter()
        .zip(&notes)
        .map(|(request, notes)| facilitator.settle(request, notes));
    let miner = async {
        let first = recorded(&notes[0], 1).await;
        while fee_of(&world, &first[0]).await.is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        proxy.set("eth_sendRawTransaction", Mood::Pretend);
        for notes in &notes {
            recorded(notes, 2).await;
        }
        world.mine(1).await;
    };
    let (outcomes, ()) = tokio::join!(futures_util::future::join_all(settling), miner);
    for ((outcome, notes), request) in outcomes.iter().zip(&notes).zip(&requests) {
        let hashes = notes.take();
        assert_eq!(transaction(outcome), hashes[0], "the one that was mined");
        // The books hold the last one, which never was.
        let last = hashes.last().unwrap();
        assert_ne!(*last, hashes[0]);
        let resolved = facilitator.resolve(request, Some(last)).await;
        assert_eq!(resolved, *outcome);
    }
    assert_eq!(world.balance(payee).await, U256::from(3 * PRICE));
    assert_eq!(world.sent_by(signer.address()).await, 1);
}

/// No hash is sent that was not recorded.
#[tokio::test]
async fn what_cannot_be_recorded_is_not_replaced() {
    let Some(world) = lazy().await else { return };
    let proxy = Proxy::start(&world.url).await;
    let signer = world.gas_payer().await;
    let mut config = impatient(world.config_at(&proxy.url));
    config.receipt_wait = Duration::from_millis(2500);
    let facilitator = world.connect(config, signer.clone()).await;
    let payment = world.payment(&payer(&world).await);
    let notes = Notes::good_for(1);
    let outcome = facilitator.settle(&payment.v2(), &notes).await;
    let hashes = notes.take();
    assert!(hashes.len() > 1, "it was asked");
    let expected = (Code::SettlementPending, Some(hashes[0].clone()));
    assert_eq!(unknown(&outcome), expected);
    assert_eq!(proxy.calls("eth_sendRawTransaction"), 1);
    world.mine(1).await;
    let outcome = settle(&facilitator, &payment).await;
    assert_eq!(transaction(&outcome), hashes[0]);
}

/// Nobody waits any more: the hash in the books is an old one, and the payment is found all the same.
#[tokio::test]
async fn a_transaction_whose_payers_have_gone_is_still_replaced() {
    let Some(world) = lazy().await else { return };
    let signer = world.gas_payer().await;
    let mut config = impatient(world.config());
    config.receipt_wait = Duration::from_millis(100);
    let facilitator = world.connect(config, signer.clone()).await;
    let (payment, notes) = (world.payment(&payer(&world).await), Notes::default());
    let outcome = facilitator.settle(&payment.v2(), &notes).await;
    let (code, hash) = unknown(&outcome);
    assert_eq!(
        (code, vec![hash.clone().unwrap()]),
        (Code::SettlementPending, notes.take())
    );
    for _ in 0..500 {
        if fee_of(&world, hash.as_deref().unwrap()).await.is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.mine(1).await;
    let resolved = facilitator.resolve(&payment.v2(), hash.as_deref()).await;
    assert_ne!(Some(transaction(&resolved)), hash);
    // Whoever asks again hears it as soon as the one who watches looks again.
    let mut again = settle(&facilitator, &payment).await;
    for _ in 0..30 {
        if matches!(again, SettleOutcome::Settled(_)) {
            break;
        }
        again = settle(&facilitator, &payment).await;
    }
    assert_eq!(again, resolved);
    assert_eq!(world.sent_by(signer.address()).await, 1);
}

#[tokio::test]
async fn the_fee_never_goes_above_what_the_operator_allows() {
    let Some(world) = lazy().await else { return };
    let proxy = Proxy::start(&world.url).await;
    let signer = world.gas_payer().await;
    let mut config = impatient(world.config_at(&proxy.url));
    config.receipt_wait = Duration::from_millis(1500);
    let (payment, notes) = (world.payment(&payer(&world).await), Notes::default());
    // Room for what the chain asks, and for nothing above what is offered first.
    let history: Value = world
        .rpc("eth_feeHistory", json!(["0x5", "latest", [50]]))
        .await;
    let wei = |value: &Value| serde_json::from_value::<U256>(value.clone()).unwrap();
    let base = wei(history["baseFeePerGas"].as_array().unwrap().last().unwrap());
    let tips = history["reward"].as_array().unwrap().iter();
    let tip = tips.map(|tips| wei(&tips[0])).max().unwrap();
    config.fee_per_gas_max = (base + tip.max(U256::ONE)).to();
    let facilitator = world.connect(config, signer.clone()).await;
    let outcome = facilitator.settle(&payment.v2(), &notes).await;
    assert!(matches!(outcome, SettleOutcome::Unknown(_)), "{outcome:?}");
    assert_eq!(notes.take().len(), 1);
    assert_eq!(proxy.calls("eth_sendRawTransaction"), 1);
    world.mine(1).await;
    settled(&settle(&facilitator, &payment).await);
}
