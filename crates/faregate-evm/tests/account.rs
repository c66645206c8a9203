//! Transactions of one account: sent once, recorded first, told by their receipts, unknown when nobody can say.

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

use alloy_primitives::{Address, U256};
use common::{Notes, World, new_key};
use faregate_core::port::NoTrail;
use faregate_evm::credit::{CreditCore, Revert};
use faregate_evm::{Account, AskError, LocalSigner, NetworkConfig, SendError, Unsent};
use futures_util::future::join_all;
use serde_json::{Value, json};

const CORE: CreditCore = CreditCore::at(Address::repeat_byte(0xcc));

async fn account(world: &World, config: NetworkConfig) -> (Account, LocalSigner) {
    let signer = world.gas_payer().await;
    let account = Account::connect(config, Arc::new(signer.clone())).await;
    (account.unwrap(), signer)
}

async fn wei(world: &World, of: Address) -> U256 {
    world.rpc("eth_getBalance", json!([of, "latest"])).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_take_a_nonce_each_and_all_arrive() {
    let world = World::start().await;
    let (account, signer) = account(&world, world.config()).await;
    let recipient = new_key().address();
    let before = world.sent_by(signer.address()).await;
    let calls: Vec<_> = (1..=5_u64)
        .map(|req| CORE.pay_tab_in_eth(U256::from(7), U256::from(req), U256::from(req), recipient))
        .collect();
    let trails: Vec<_> = calls.iter().map(|_| Notes::default()).collect();
    let sent = join_all(
        calls
            .iter()
            .zip(&trails)
            .map(|(call, trail)| account.send(call, trail)),
    );
    let mut hashes = Vec::new();
    for (mined, trail) in sent.await.into_iter().zip(&trails) {
        let mined = mined.unwrap();
        assert!(trail.take().contains(&mined.transaction.to_string()));
        hashes.push(mined.transaction);
    }
    assert_eq!(wei(&world, recipient).await, U256::from(15));
    assert_eq!(world.sent_by(signer.address()).await, before + 5);
    let sent: Value = world
        .rpc("eth_getTransactionByHash", json!([hashes[4]]))
        .await;
    assert_eq!(sent["type"], "0x2");
    let marker = alloy_primitives::hex::encode_prefixed("tab_id:0x7;req_id:0x5");
    assert_eq!(sent["input"], marker.as_str());
    let again = account.look(hashes[4]).await.unwrap().unwrap().unwrap();
    assert_eq!(again.transaction, hashes[4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_be_refused_is_not_sent() {
    let world = World::start().await;
    let (account, signer) = account(&world, world.config()).await;
    let before = world.sent_by(signer.address()).await;
    // The token's own refusal: this account has none of it.
    let token = world.config().assets[0].id.token();
    let transfer = CreditCore::at(token).finalize_withdrawal(token);
    let refused = account.try_out(&transfer).await.unwrap_err();
    assert!(matches!(refused, AskError::Reverted(_)), "{refused:?}");
    let trail = Notes::default();
    let refused = account.send(&transfer, &trail).await.unwrap_err();
    assert!(
        matches!(
            refused,
            SendError::Reverted(Revert::Silent | Revert::Said(_) | Revert::Other(_))
        ),
        "{refused:?}"
    );
    // More than it has.
    let all = account.balance().await.unwrap();
    let call = CORE.pay_tab_in_eth(U256::ONE, U256::ZERO, all, signer.address());
    let refused = account.send(&call, &trail).await.unwrap_err();
    assert!(
        matches!(refused, SendError::NotSent(Unsent::NoMoney)),
        "{refused:?}"
    );
    // What cannot be recorded.
    let call = CORE.pay_tab_in_eth(U256::ONE, U256::ZERO, U256::ONE, signer.address());
    let refused = account.send(&call, &Notes::failing()).await.unwrap_err();
    assert!(
        matches!(refused, SendError::NotSent(Unsent::NotRecorded)),
        "{refused:?}"
    );
    assert!(trail.take().is_empty());
    assert_eq!(world.sent_by(signer.address()).await, before);
    // And the lane goes on.
    account.send(&call, &NoTrail).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_mined_in_time_is_unknown_and_can_be_asked_about() {
    let world = World::start().await;
    if !world.is_own() {
        return;
    }
    let mut config = world.config();
    config.receipt_wait = Duration::from_millis(50);
    let (account, _) = account(&world, config).await;
    world.rpc::<Value>("evm_setAutomine", json!([false])).await;
    let recipient = new_key().address();
    let call = CORE.pay_tab_in_eth(U256::ONE, U256::ZERO, U256::from(9), recipient);
    let SendError::Unknown(flight) = account.send(&call, &NoTrail).await.unwrap_err() else {
        panic!("expected an unknown end");
    };
    let hash = flight.hashes()[0];
    assert!(account.look(hash).await.unwrap().is_none());
    let SendError::Unknown(flight) = flight.wait(Duration::from_millis(20)).await.unwrap_err()
    else {
        panic!("expected an unknown end");
    };
    world.mine(1).await;
    let mined = flight.wait(Duration::from_secs(20)).await.unwrap();
    assert_eq!(mined.transaction, hash);
    assert_eq!(wei(&world, recipient).await, U256::from(9));
}
