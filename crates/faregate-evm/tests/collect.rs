//! Permits of all three kinds reach the treasury, or are refused with proof, through the lanes of a facilitator.

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
use common::permit::{KINDS, Shop, trails};
use common::proxy::{Mood, Proxy};
use common::{FUNDS, Notes, PRICE, World, failed, new_key, transaction, unknown};
use faregate_core::port::{Away, Care, Collector, Facilitator, Finality};
use faregate_evm::{ConnectError, PermitCollector};
use faregate_types::Code;
use faregate_types::permit::{PermitKind, Price};
use serde_json::{Value, json};

async fn called(world: &World, hash: &str) -> String {
    let transaction: Value = world.rpc("eth_getTransactionByHash", json!([hash])).await;
    transaction["to"].as_str().unwrap().to_lowercase()
}

#[tokio::test]
async fn each_kind_is_verified_and_paid_to_the_treasury_once() {
    let world = World::start().await;
    let shop = Shop::open(&world).await;
    let payer = world.payer().await;
    world.approve_permit2(payer.address()).await;
    let mut paid = 0;
    for (kind, value) in KINDS.into_iter().zip([1, 20, 300]) {
        let order = shop.take(&world, &payer, kind, 0, value);
        for care in [Care::Read, Care::Simulate] {
            let funds = shop.funds(&order, care).await;
            assert_eq!(funds, U256::from(FUNDS - paid), "{kind:?}");
        }
        let notes = Notes::default();
        let outcome = shop.collector.settle(&order, &notes).await;
        let hash = transaction(&outcome);
        assert_eq!(notes.take(), std::slice::from_ref(&hash), "{kind:?}");
        let settler = format!("{:?}", shop.settler.address()).to_lowercase();
        assert_eq!(called(&world, &hash).await, settler);
        paid += value;
        assert_eq!(world.balance(shop.treasury()).await, U256::from(paid));
        assert_eq!(
            shop.refused(&order, Care::Read).await,
            Code::PermitNonceUsed
        );
        // Whoever asks again is told the same, with the hash and without, and nothing is sent.
        assert_eq!(shop.settle(&order).await, outcome, "{kind:?}");
        let resolved = shop.collector.resolve(&order, Some(&hash)).await;
        assert_eq!(resolved, outcome);
        assert_eq!(shop.collector.resolve(&order, None).await, outcome);
        let finality = shop.collector.confirm(&order, &hash).await;
        assert_eq!(finality, Finality::Waiting);
        assert_eq!(world.balance(shop.treasury()).await, U256::from(paid));
    }
    assert_eq!(world.balance(shop.settler.address()).await, U256::ZERO);
}

#[tokio::test]
async fn the_contract_is_deployed_once_or_its_absence_is_told() {
    let world = World::start().await;
    let signer = world.gas_payer().await;
    let facilitator = world.connect(world.config(), signer.clone()).await;
    let treasury = new_key().address();
    let connect = |deploys| {
        PermitCollector::builder(&facilitator)
            .treasury(world.chain, treasury)
            .deploys(deploys)
            .connect()
    };
    let missing = connect(false).await.unwrap_err();
    let address = faregate_evm::permit_settler::PermitSettler::of(treasury)
        .unwrap()
        .address();
    let chain = world.chain;
    assert_eq!(missing, ConnectError::NoPermitSettler { chain, address });
    let collector = connect(true).await.unwrap();
    assert_eq!(collector.payee(chain, treasury), Some(address));
    assert_eq!(collector.payee(chain, new_key().address()), None);
    assert!(!world.code(address).await.is_empty());
    connect(true).await.unwrap();
    connect(false).await.unwrap();
    assert_eq!(world.sent_by(signer.address()).await, 1);
    let zero = PermitCollector::builder(&facilitator)
        .treasury(chain, alloy_primitives::Address::ZERO)
        .connect();
    assert_eq!(
        zero.await.unwrap_err(),
        ConnectError::ZeroTreasury { chain }
    );
}

#[tokio::test]
async fn what_cannot_be_collected_is_refused_before_anything_is_sent() {
    let world = World::start().await;
    let shop = Shop::open(&world).await;
    let payer = world.payer().await;
    let stranger = new_key().address();
    for kind in KINDS {
        // For somebody else, although the price list says that it may be.
        let permit = world.permit(&payer, stranger, kind, 0, PRICE);
        let mut order = shop.order(&world, permit);
        order.price = Price::new(world.asset.clone(), U256::from(PRICE), stranger, stranger);
        let code = Code::PermitSpenderMismatch;
        assert_eq!(shop.refused(&order, Care::Read).await, code, "{kind:?}");
        assert_eq!(failed(&shop.settle(&order).await), code, "{kind:?}");

        // Forged.
        let mut order = shop.take(&world, &payer, kind, 0, PRICE);
        order.permit.signature = shop
            .take(&world, &new_key(), kind, 0, PRICE)
            .permit
            .signature;
        let code = Code::PermitSignatureInvalid;
        assert_eq!(shop.refused(&order, Care::Read).await, code, "{kind:?}");
        assert_eq!(failed(&shop.settle(&order).await), code, "{kind:?}");

        // All of what is signed has to be there, not only the price.
        let mut order = shop.take(&world, &payer, kind, 0, FUNDS + 1);
        let wallet = shop.settler.address();
        order.price = Price::new(world.asset.clone(), U256::from(PRICE), wallet, wallet);
        let code = Code::PermitBalanceTooLow;
        assert_eq!(shop.refused(&order, Care::Read).await, code, "{kind:?}");

        // Nor is less than the price enough, or a permit that ends too soon.
        let mut order = shop.take(&world, &payer, kind, 0, PRICE - 1);
        order.price = Price::new(world.asset.clone(), U256::from(PRICE), wallet, wallet);
        let code = Code::PermitValueTooLow;
        assert_eq!(shop.refused(&order, Care::Read).await, code, "{kind:?}");
        let until = common::permit::soon(4);
        let permit = world.permit_until(&payer, wallet, kind, 0, PRICE, until);
        let order = shop.order(&world, permit);
        let code = Code::PermitExpired;
        assert_eq!(shop.refused(&order, Care::Read).await, code, "{kind:?}");
    }
    let order = shop.take(&world, &payer, PermitKind::Permit2, 0, PRICE);
    let code = Code::PermitAllowanceTooLow;
    assert_eq!(shop.refused(&order, Care::Read).await, code);
    assert_eq!(failed(&shop.settle(&order).await), code);
    let order = shop.take(&world, &payer, PermitKind::Eip2612, 1, PRICE);
    assert_eq!(
        shop.refused(&order, Care::Read).await,
        Code::PermitNonceUsed
    );
    // Its turn may come, so this is no failure.
    let (code, sent) = unknown(&shop.settle(&order).await);
    assert_eq!((code, sent), (Code::PaymentUnknown, None));
    assert_eq!(world.balance(shop.treasury()).await, U256::ZERO);
    assert_eq!(world.balance(payer.address()).await, U256::from(FUNDS));
}

#[tokio::test]
async fn a_node_that_is_away_is_nobodys_fault() {
    let world = World::start().await;
    let proxy = Proxy::start(&world.url).await;
    let signer = world.gas_payer().await;
    let shop = Shop::open_with(&world, world.config_at(&proxy.url), signer).await;
    let payer = world.payer().await;
    let order = shop.take(&world, &payer, PermitKind::Eip2612, 0, PRICE);
    let methods = [
        "eth_call",
        "eth_estimateGas",
        "eth_getBlockByNumber",
        "eth_getTransactionReceipt",
    ];
    for method in methods {
        proxy.set(method, Mood::BadGateway);
    }
    let away = Err(Away {
        code: Code::ChainUnavailable,
    });
    assert_eq!(shop.collector.verify(&order, Care::Read).await, away);
    let nothing = (Code::ChainUnavailable, None);
    assert_eq!(unknown(&shop.settle(&order).await), nothing);
    assert_eq!(
        unknown(&shop.collector.resolve(&order, None).await),
        nothing
    );
    let hash = format!("0x{}", "11".repeat(32));
    let finality = shop.collector.confirm(&order, &hash).await;
    assert_eq!(finality, Finality::Unknown);
    proxy.calm();
    shop.funds(&order, Care::Simulate).await;
    transaction(&shop.settle(&order).await);
    assert_eq!(world.balance(shop.treasury()).await, U256::from(PRICE));
}

/// What the trail cannot record does not leave.
#[tokio::test]
async fn what_is_sent_is_recorded_first() {
    let world = World::start().await;
    let signer = world.gas_payer().await;
    let shop = Shop::open_with(&world, world.config(), signer.clone()).await;
    let before = world.sent_by(signer.address()).await;
    let payer = world.payer().await;
    let order = shop.take(&world, &payer, PermitKind::Eip2612, 0, PRICE);
    let notes = Notes::failing();
    let outcome = shop.collector.settle(&order, &notes).await;
    assert_eq!(unknown(&outcome), (Code::StoreUnavailable, None));
    assert_eq!(notes.take().len(), 1);
    assert_eq!(world.sent_by(signer.address()).await, before);
    transaction(&shop.settle(&order).await);
    assert_eq!(world.sent_by(signer.address()).await, before + 1);
}

/// Both rails send through the same lanes, and each batch goes to its own contract.
#[tokio::test]
async fn both_rails_share_the_signer() {
    let world = World::start().await;
    let signer = world.gas_payer().await;
    let config = world.batching_at(&world.url);
    let shop = Shop::open_with(&world, config, signer.clone()).await;
    let before = world.sent_by(signer.address()).await;
    let (payer, payee) = (world.payer().await, new_key().address());
    let orders: Vec<_> = (1..=6)
        .map(|nonce| shop.take(&world, &payer, PermitKind::Erc3009, nonce, 10))
        .collect();
    let payments: Vec<_> = (0..6)
        .map(|_| {
            world.payment(&payer).with(|p| {
                p.authorization.to = payee;
                p.pay_to = payee;
            })
        })
        .collect();
    let requests: Vec<_> = payments.iter().map(common::Payment::v2).collect();
    let (notes, others) = (trails(6), trails(6));
    let settling = requests
        .iter()
        .zip(&others)
        .map(|(request, trail)| shop.facilitator.settle(request, trail));
    let settling = futures_util::future::join_all(settling);
    let (permits, exact) = tokio::join!(shop.settle_all(&orders, &notes), settling);
    let (permit, exact) = (
        permits.iter().map(transaction).collect::<Vec<_>>(),
        exact.iter().map(transaction).collect::<Vec<_>>(),
    );
    assert!(permit.iter().all(|hash| *hash == permit[0]), "{permit:?}");
    assert!(exact.iter().all(|hash| *hash == exact[0]), "{exact:?}");
    assert_eq!(world.sent_by(signer.address()).await, before + 2);
    assert_eq!(world.balance(shop.treasury()).await, U256::from(60));
    assert_eq!(world.balance(payee).await, U256::from(6 * PRICE));
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_resolved_by_another_process() {
    let world = World::start().await;
    let proxy = Proxy::start(&world.url).await;
    let mut config = world.config_at(&proxy.url);
    config.receipt_wait = Duration::from_millis(600);
    config.rpc_timeout = Duration::from_millis(400);
    let shop = Shop::open_with(&world, config, world.gas_payer().await).await;
    let payer = world.payer().await;
    world.approve_permit2(payer.address()).await;
    let mut paid = 0;
    for (nonce, kind) in KINDS.into_iter().enumerate() {
        let order = shop.take(&world, &payer, kind, 0, PRICE);
        proxy.set("eth_sendRawTransaction", Mood::LoseAnswer);
        proxy.set("eth_getTransactionReceipt", Mood::LoseAnswer);
        let notes = Notes::default();
        let outcome = shop.collector.settle(&order, &notes).await;
        let recorded = notes.take();
        let (code, sent) = unknown(&outcome);
        assert_eq!(code, Code::SettlementPending, "{nonce}");
        assert_eq!(sent, recorded.last().cloned());
        proxy.calm();
        paid += PRICE;
        // A process that knows nothing but what was recorded, and one that does not even know that.
        let stranger = world.facilitator().await;
        let stranger = Shop::of(&world, stranger, shop.treasury()).await;
        for hash in [recorded.last().map(String::as_str), None] {
            let resolved = stranger.collector.resolve(&order, hash).await;
            assert_eq!(transaction(&resolved), recorded[0], "{kind:?}");
        }
        assert_eq!(transaction(&shop.settle(&order).await), recorded[0]);
        assert_eq!(world.balance(shop.treasury()).await, U256::from(paid));
    }
}
