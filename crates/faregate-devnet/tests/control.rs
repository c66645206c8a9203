//! The controls of test tools, over JSON-RPC and directly.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may"
)]

mod support;

use std::time::Duration;

use alloy_primitives::{Address, U256};
use faregate_devnet::{ChainConfig, Devchain, DevchainError, chain::limits};
use serde_json::{Value, json};

use support::{NOW, World, account, raw, transfer};

#[tokio::test]
async fn snapshot_and_revert() {
    let world = World::start().await;
    let id = world.ok("evm_snapshot", json!([])).await;
    let hash = world.send(account(0), transfer(0)).await;
    world
        .ok("anvil_setBalance", json!([account(7).address, "0x5"]))
        .await;
    assert_eq!(world.ok("evm_revert", json!([id])).await, true);
    assert_eq!(world.ok("eth_blockNumber", json!([])).await, "0x0");
    assert_eq!(
        world.ok("eth_getTransactionReceipt", json!([hash])).await,
        Value::Null
    );
    assert_ne!(
        world.chain.eth_balance(account(7).address).await.unwrap(),
        U256::from(5)
    );
    assert_eq!(world.ok("evm_revert", json!([id])).await, false);

    let id = world.chain.snapshot().await.unwrap();
    world.chain.mine(3).await.unwrap();
    assert!(world.chain.revert(id).await.unwrap());
    assert_eq!(world.chain.block_number().await.unwrap(), 0);
}

#[tokio::test]
async fn time_can_be_set() {
    let world = World::start().await;
    let newest = async || {
        let block = world
            .ok("eth_getBlockByNumber", json!(["latest", false]))
            .await;
        let text = block["timestamp"].as_str().unwrap().to_owned();
        u64::from_str_radix(&text[2..], 16).unwrap()
    };
    assert_eq!(newest().await, NOW);
    assert_eq!(world.ok("evm_increaseTime", json!([60])).await, 60);
    assert_eq!(world.ok("evm_increaseTime", json!(["0x3c"])).await, 120);
    world.ok("evm_mine", json!([])).await;
    assert_eq!(newest().await, NOW + 120);
    world
        .ok("evm_setNextBlockTimestamp", json!([NOW + 500]))
        .await;
    world.send(account(0), transfer(0)).await;
    assert_eq!(newest().await, NOW + 500);
    world.ok("evm_mine", json!([NOW + 900])).await;
    assert_eq!(newest().await, NOW + 900);
    world
        .ok("evm_mine", json!([{"timestamp": NOW + 1000, "blocks": 2}]))
        .await;
    assert_eq!(world.ok("eth_blockNumber", json!([])).await, "0x5");
    let (code, message) = world.err("evm_setNextBlockTimestamp", json!([NOW])).await;
    assert_eq!(code, -32602);
    assert!(
        message.contains("lower than the previous block's timestamp"),
        "{message}"
    );
    world.chain.set_next_timestamp(NOW + 2_000).await.unwrap();
    world.chain.mine(1).await.unwrap();
    assert_eq!(newest().await, NOW + 2_000);
}

#[tokio::test]
async fn mining_by_hand_and_the_pool() {
    let world = World::start().await;
    world.chain.set_automine(false).await.unwrap();
    assert_eq!(world.ok("anvil_getAutomine", json!([])).await, false);
    let first = world.send(account(0), transfer(0)).await;
    let gap = world.send(account(0), transfer(2)).await;
    assert_eq!(
        world.ok("txpool_status", json!([])).await,
        json!({"pending": "0x1", "queued": "0x1"})
    );
    assert_eq!(
        world
            .ok(
                "eth_getTransactionCount",
                json!([account(0).address, "pending"])
            )
            .await,
        "0x1"
    );
    assert_eq!(
        world
            .ok(
                "eth_getTransactionCount",
                json!([account(0).address, "latest"])
            )
            .await,
        "0x0"
    );
    let pending = world
        .ok("eth_getBlockByNumber", json!(["pending", false]))
        .await;
    assert_eq!(pending["transactions"], json!([first]));
    let waiting = world.ok("eth_getTransactionByHash", json!([first])).await;
    assert_eq!(waiting["blockHash"], Value::Null);
    let balance = |tag: &'static str| world.ok("eth_getBalance", json!([account(1).address, tag]));
    assert_ne!(balance("pending").await, balance("latest").await);
    world.ok("evm_mine", json!([])).await;
    assert_eq!(
        world.ok("eth_getTransactionReceipt", json!([first])).await["status"],
        "0x1"
    );
    assert_eq!(
        world.ok("anvil_dropTransaction", json!([gap])).await,
        json!(gap)
    );
    assert_eq!(
        world.ok("anvil_dropTransaction", json!([gap])).await,
        Value::Null
    );
    world.send(account(0), transfer(1)).await;
    // Turning automine on mines what waits.
    world.ok("evm_setAutomine", json!([true])).await;
    assert_eq!(world.ok("eth_blockNumber", json!([])).await, "0x2");
}

#[tokio::test]
async fn accounts_can_be_edited() {
    let world = World::start().await;
    let somebody = Address::repeat_byte(0x5b);
    world
        .ok("anvil_setCode", json!([somebody, "0x60015f5260205ff3"]))
        .await;
    world
        .ok("hardhat_setBalance", json!([somebody, "0xde0b6b3a7640000"]))
        .await;
    world.ok("anvil_setNonce", json!([somebody, "0x7"])).await;
    let word = format!("0x{:064x}", 9);
    assert_eq!(
        world
            .ok("anvil_setStorageAt", json!([somebody, "0x1", word]))
            .await,
        true
    );
    assert_eq!(
        world.ok("eth_getCode", json!([somebody])).await,
        "0x60015f5260205ff3"
    );
    assert_eq!(
        world.ok("eth_getBalance", json!([somebody])).await,
        "0xde0b6b3a7640000"
    );
    assert_eq!(
        world.ok("eth_getTransactionCount", json!([somebody])).await,
        "0x7"
    );
    assert_eq!(
        world.ok("eth_getStorageAt", json!([somebody, "0x1"])).await,
        json!(word)
    );
    let (code, _) = world.err("anvil_setNonce", json!([somebody, "0x1"])).await;
    assert_eq!(code, -32602);

    let send = json!([{"from": somebody, "to": account(0).address, "value": "0x1"}]);
    let (_, message) = world.err("eth_sendTransaction", send.clone()).await;
    assert!(message.starts_with("unknown account"), "{message}");
    world
        .ok("anvil_impersonateAccount", json!([somebody]))
        .await;
    let hash = world.ok("eth_sendTransaction", send.clone()).await;
    let receipt = world.ok("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!(receipt["from"], json!(somebody));
    assert_eq!(receipt["status"], "0x1");
    world
        .ok("anvil_stopImpersonatingAccount", json!([somebody]))
        .await;
    world.err("eth_sendTransaction", send).await;

    world
        .ok("anvil_setNextBlockBaseFeePerGas", json!(["0x2a"]))
        .await;
    world.ok("evm_mine", json!([])).await;
    let block = world
        .ok("eth_getBlockByNumber", json!(["latest", false]))
        .await;
    assert_eq!(block["baseFeePerGas"], "0x2a");
}

#[tokio::test]
async fn reorganisations_over_rpc() {
    let world = World::start().await;
    let gone = world.send(account(0), transfer(0)).await;
    let old = world
        .ok("eth_getBlockByNumber", json!(["latest", false]))
        .await;
    let head = world.ok("faregate_reorg", json!([1])).await;
    assert_eq!(head["number"], "0x1");
    assert_ne!(head["hash"], old["hash"]);
    assert_eq!(
        world
            .ok("eth_getBlockByHash", json!([old["hash"], false]))
            .await,
        Value::Null
    );
    assert_eq!(
        world.ok("eth_getTransactionReceipt", json!([gone])).await,
        Value::Null
    );

    let kept = world.send(account(0), transfer(0)).await;
    assert_eq!(kept, gone);
    world.ok("faregate_reorg", json!([2, true])).await;
    assert_eq!(
        world.ok("eth_getTransactionReceipt", json!([kept])).await["blockNumber"],
        "0x3"
    );

    let chosen = raw(account(2), transfer(0));
    world.ok("anvil_reorg", json!([3, [[chosen, 1]]])).await;
    let block = world.ok("eth_getBlockByNumber", json!(["0x2", true])).await;
    assert_eq!(block["transactions"][0]["from"], json!(account(2).address));
    assert_eq!(world.ok("eth_blockNumber", json!([])).await, "0x3");
    let (code, message) = world.err("anvil_reorg", json!([4])).await;
    assert_eq!(code, -32602);
    assert!(message.contains("at most 3"), "{message}");
}

#[tokio::test]
async fn minting_test_usdc() {
    let world = World::start().await;
    let to = Address::repeat_byte(0x31);
    let hash = world.ok("faregate_mint", json!([to, "1500000"])).await;
    assert_eq!(
        world.chain.usdc_balance(to).await.unwrap(),
        U256::from(1_500_000)
    );
    let receipt = world.ok("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!(receipt["logs"].as_array().unwrap().len(), 1);
    world.chain.mint_usdc(to, U256::from(1)).await.unwrap();
    assert_eq!(
        world.chain.usdc_balance(to).await.unwrap(),
        U256::from(1_500_001)
    );
    // Dev accounts are untouched by that.
    assert_eq!(
        world
            .ok("eth_getTransactionCount", json!([account(0).address]))
            .await,
        "0x0"
    );
}

/// Waits for something that another task does, without guessing how long it takes.
async fn until(mut done: impl AsyncFnMut() -> bool) {
    let patience = tokio::time::timeout(Duration::from_secs(20), async {
        while !done().await {
            tokio::task::yield_now().await;
        }
    });
    patience.await.unwrap();
}

#[tokio::test]
async fn blocks_at_an_interval() {
    let world = World::with(ChainConfig {
        block_time: Some(limits::BLOCK_TIME_MIN),
        ..ChainConfig::default()
    })
    .await;
    let hash = world.send(account(0), transfer(0)).await;
    until(async || world.ok("eth_getTransactionReceipt", json!([hash])).await != Value::Null).await;
    until(async || world.chain.block_number().await.unwrap() > 3).await;
    world.ok("evm_setIntervalMining", json!([0])).await;
    // A block may have been under way.
    world.chain.mine(1).await.unwrap();
    let stopped = world.chain.block_number().await.unwrap();
    let another = until(async || world.chain.block_number().await.unwrap() > stopped);
    let waited = tokio::time::timeout(limits::BLOCK_TIME_MIN * 5, another).await;
    assert!(
        waited.is_err(),
        "a block was mined after mining had been stopped"
    );
}

#[tokio::test]
async fn what_cannot_start_says_so() {
    let world = World::start().await;
    let taken = Devchain::start(ChainConfig {
        bind: world.chain.addr(),
        ..ChainConfig::default()
    });
    assert!(matches!(taken.await, Err(DevchainError::Bind { .. })));
    let unknown = Devchain::start(ChainConfig {
        chain_id: 424_242,
        ..ChainConfig::default()
    });
    assert!(matches!(
        unknown.await,
        Err(DevchainError::UnknownChain(424_242))
    ));
    let hasty = Devchain::start(ChainConfig {
        block_time: Some(Duration::from_millis(1)),
        ..ChainConfig::default()
    });
    assert!(matches!(hasty.await, Err(DevchainError::BlockTime(_))));
}

#[tokio::test]
async fn it_stops_when_told_and_when_dropped() {
    for told in [true, false] {
        let world = World::start().await;
        world.ok("eth_chainId", json!([])).await;
        let url = world.chain.rpc_url();
        if told {
            world.chain.shutdown().await;
        } else {
            drop(world.chain);
        }
        let http = world.http;
        until(async || http.post(&url).body("{}").send().await.is_err()).await;
    }
}

#[tokio::test]
async fn many_senders_at_once() {
    let world = World::start().await;
    let sends = (0..10).flat_map(|sender| (0..5).map(move |nonce| (sender, nonce)));
    let tasks: Vec<_> = sends
        .map(|(sender, nonce)| {
            let (http, url) = (world.http.clone(), world.chain.rpc_url());
            let tx = raw(account(sender), transfer(nonce));
            let call = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": [tx]});
            tokio::spawn(async move {
                let reply = http.post(url).body(call.to_string()).send().await.unwrap();
                let reply: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
                assert!(reply.get("error").is_none(), "{reply}");
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    // Whatever the order of arrival, gaps are held until they close.
    assert_eq!(world.chain.block_number().await.unwrap(), 50);
    assert_eq!(
        world.ok("txpool_status", json!([])).await,
        json!({"pending": "0x0", "queued": "0x0"})
    );
}
