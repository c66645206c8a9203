//! Transactions of one account: sent once, recorded first, told by their receipts, unknown when nobody can say.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy_primitives::{Address, Bytes, U256};
use common::{Notes, World, new_key};
use faregate_core::port::{Away, NoTrail};
use faregate_evm::credit::{CreditCore, Revert};
use faregate_evm::{
    Account, AskError, Fate, LocalSigner, Logbook, NetworkConfig, SendError, SignedTransaction,
    Unsent,
};
use faregate_types::Code;
use futures_util::future::BoxFuture;
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

/// Writes down, and lets leave or not.
#[derive(Default)]
struct Log {
    lets: bool,
    written: Mutex<Vec<SignedTransaction>>,
}

impl Log {
    fn letting() -> Self {
        Self {
            lets: true,
            ..Self::default()
        }
    }

    fn written(&self) -> Vec<SignedTransaction> {
        self.written.lock().unwrap().clone()
    }
}

impl Logbook for Log {
    fn about_to_send<'a>(
        &'a self,
        transaction: &'a SignedTransaction,
    ) -> BoxFuture<'a, Result<(), Away>> {
        self.written.lock().unwrap().push(transaction.clone());
        let away = Away {
            code: Code::StoreUnavailable,
        };
        Box::pin(async move { if self.lets { Ok(()) } else { Err(away) } })
    }
}

/// A process ended between writing down and sending: its bytes are sent again, and happen once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_down_and_not_sent_can_be_sent_later_once() {
    let world = World::start().await;
    let (account, signer) = account(&world, world.config()).await;
    let recipient = new_key().address();
    let call = CORE.pay_tab_in_eth(U256::ONE, U256::ZERO, U256::from(9), recipient);
    let log = Log::default();
    account.send_logged(&call, &log).await.unwrap_err();
    let written = log.written();
    assert_eq!(account.fate(&written).await, Ok(Fate::Open));
    assert_eq!(account.fate(&[]).await, Ok(Fate::Open));
    assert_eq!(wei(&world, recipient).await, U256::ZERO);
    let before = world.sent_by(signer.address()).await;
    assert!(account.send_again(&written[0]).await);
    world.receipt(written[0].hash).await;
    account.send_again(&written[0]).await;
    let Fate::Mined(mined) = account.fate(&written).await.unwrap() else {
        panic!("it is mined");
    };
    assert_eq!(mined.transaction, written[0].hash);
    assert_eq!(world.sent_by(signer.address()).await, before + 1);
    assert_eq!(wei(&world, recipient).await, U256::from(9));
}

/// Another transaction took its nonce. That is certain when it is final, and not before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_overtaken_for_good_will_never_happen() {
    let world = World::start().await;
    if !world.is_own() {
        return;
    }
    let (account, _) = account(&world, world.config()).await;
    let (late, other) = (new_key().address(), new_key().address());
    let pay = |to, wei| CORE.pay_tab_in_eth(U256::ONE, U256::ZERO, U256::from(wei), to);
    let log = Log::default();
    account.send_logged(&pay(late, 9), &log).await.unwrap_err();
    let written = log.written();
    account.send(&pay(other, 5), &NoTrail).await.unwrap();
    assert_eq!(account.fate(&written).await, Ok(Fate::Open));
    world.mine(20).await;
    assert_eq!(account.fate(&written).await, Ok(Fate::Overtaken));
    assert!(!account.send_again(&written[0]).await);
    assert_eq!(wei(&world, late).await, U256::ZERO);
}

/// A reorganisation could let it happen after all, until it is final.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revert_is_the_end_when_it_is_final() {
    let world = World::start().await;
    if !world.is_own() {
        return;
    }
    let mut config = world.config();
    config.receipt_wait = Duration::from_millis(50);
    let (account, _) = account(&world, config).await;
    let contract = Address::repeat_byte(0xdd);
    world.place(contract, Bytes::from_static(&[0])).await;
    world.rpc::<Value>("evm_setAutomine", json!([false])).await;
    let (log, call) = (
        Log::letting(),
        CORE.pay_tab_in_eth(U256::ONE, U256::ZERO, U256::from(9), contract),
    );
    account.send_logged(&call, &log).await.unwrap_err();
    // It begins to refuse, between the look and the block: PUSH0 PUSH0 REVERT.
    world
        .place(contract, Bytes::from_static(&[0x5f, 0x5f, 0xfd]))
        .await;
    world.mine(1).await;
    let written = log.written();
    let fate = async || match account.fate(&written).await.unwrap() {
        Fate::Reverted { is_final, .. } => is_final,
        other => panic!("{other:?}"),
    };
    assert!(!fate().await);
    world.mine(20).await;
    assert!(fate().await);
}
