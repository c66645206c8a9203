//! A payment by signed authorization (EIP-3009), end to end over HTTP.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may"
)]

mod support;

use alloy_consensus::TxEip1559;
use alloy_primitives::{B256, Bytes, TxKind, U256};
use alloy_sol_types::{SolCall, sol};
use faregate_devnet::ChainConfig;
use faregate_types::{AssetRegistry, Authorization, ChainId, domain_separator};
use serde_json::{Value, json};

use support::{GWEI, NOW, World, account, sign};

sol! {
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes signature
    );
    function authorizationState(address authorizer, bytes32 nonce) returns (bool);
}

fn authorization(nonce: u8) -> Authorization {
    Authorization {
        from: account(1).address,
        to: account(9).address,
        value: U256::from(1_000),
        valid_after: U256::from(NOW - 600),
        valid_before: U256::from(NOW + 60),
        nonce: B256::repeat_byte(nonce),
    }
}

/// Calldata of the payment, signed for this chain's USDC.
fn calldata(chain_id: u64, paid: &Authorization) -> Vec<u8> {
    let registry = AssetRegistry::builtin();
    let chain = ChainId::new(chain_id).unwrap();
    let usdc = registry.default_for(chain).unwrap();
    let digest = paid.digest(domain_separator(&usdc.domain, chain, usdc.id.token()));
    transferWithAuthorizationCall {
        from: paid.from,
        to: paid.to,
        value: paid.value,
        validAfter: paid.valid_after,
        validBefore: paid.valid_before,
        nonce: paid.nonce,
        signature: sign(account(1), digest).as_bytes().into(),
    }
    .abi_encode()
}

/// The facilitator (account 0) sends it; the receipt.
async fn settle(world: &World, nonce: u64, input: Vec<u8>) -> Value {
    let hash = world
        .send(
            account(0),
            TxEip1559 {
                chain_id: world.chain.chain_id(),
                nonce,
                gas_limit: 120_000,
                max_fee_per_gas: 10 * GWEI,
                max_priority_fee_per_gas: GWEI,
                to: TxKind::Call(world.chain.usdc()),
                input: input.into(),
                ..TxEip1559::default()
            },
        )
        .await;
    world.ok("eth_getTransactionReceipt", json!([hash])).await
}

async fn simulate(world: &World, input: &[u8]) -> Value {
    let input = Bytes::copy_from_slice(input);
    let call = json!({"from": account(0).address, "to": world.chain.usdc(), "data": input});
    world.reply("eth_call", json!([call, "latest"])).await
}

#[tokio::test]
async fn a_payment_moves_money_once() {
    for chain_id in [84532, 8453] {
        let world = World::with(ChainConfig {
            chain_id,
            ..ChainConfig::default()
        })
        .await;
        let before = world.chain.usdc_balance(account(9).address).await.unwrap();
        let paid = authorization(1);
        let input = calldata(chain_id, &paid);
        assert_eq!(simulate(&world, &input).await["result"], "0x");

        let receipt = settle(&world, 0, input.clone()).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        let logs = receipt["logs"].as_array().unwrap();
        let names: Vec<&Value> = logs.iter().map(|log| &log["topics"][0]).collect();
        assert_eq!(
            names,
            [
                // AuthorizationUsed(address,bytes32), Transfer(address,address,uint256)
                "0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5",
                "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
            ]
        );
        let after = world.chain.usdc_balance(account(9).address).await.unwrap();
        assert_eq!(after - before, U256::from(1_000));

        let again = simulate(&world, &input).await;
        assert_eq!(
            again["error"]["message"],
            "execution reverted: FiatTokenV2: authorization is used or canceled"
        );
        assert_eq!(again["error"]["code"], 3);
        assert_eq!(
            settle(&world, 1, input).await["status"],
            "0x0",
            "a replay is mined as a failure"
        );
        assert_eq!(
            world.chain.usdc_balance(account(9).address).await.unwrap(),
            after
        );
    }
}

#[tokio::test]
async fn a_payment_is_valid_in_its_time_only_even_on_an_idle_chain() {
    let world = World::start().await;
    let paid = Authorization {
        valid_after: U256::from(NOW + 1_800),
        valid_before: U256::from(NOW + 3_600),
        ..authorization(2)
    };
    let input = calldata(84532, &paid);
    let early = simulate(&world, &input).await;
    assert_eq!(
        early["error"]["message"],
        "execution reverted: FiatTokenV2: authorization is not yet valid"
    );
    // Nothing is mined, but time goes by.
    world.clock.set(NOW + 2_000);
    assert_eq!(simulate(&world, &input).await["result"], "0x");
    world.chain.increase_time(1_600).await.unwrap();
    let late = simulate(&world, &input).await;
    assert_eq!(
        late["error"]["message"],
        "execution reverted: FiatTokenV2: authorization is expired"
    );
}

#[tokio::test]
async fn many_payments_in_one_second_do_not_push_the_time_forward() {
    let world = World::start().await;
    for nonce in 0..30 {
        let receipt = settle(
            &world,
            nonce,
            calldata(84532, &authorization(u8::try_from(nonce).unwrap())),
        )
        .await;
        assert_eq!(receipt["status"], "0x1");
    }
    assert_eq!(world.chain.block_number().await.unwrap(), 30);
    assert_eq!(world.chain.now().await.unwrap(), NOW);
}

#[tokio::test]
async fn a_reorganisation_undoes_a_payment() {
    let world = World::start().await;
    let before = world.chain.usdc_balance(account(9).address).await.unwrap();
    let paid = authorization(3);
    let receipt = settle(&world, 0, calldata(84532, &paid)).await;
    let hash = &receipt["transactionHash"];
    let used = authorizationStateCall {
        authorizer: paid.from,
        nonce: paid.nonce,
    }
    .abi_encode();
    let is_used = async || {
        let answer = simulate(&world, &used).await["result"]
            .as_str()
            .unwrap()
            .to_owned();
        answer.ends_with('1')
    };
    assert!(is_used().await);

    world.chain.reorg(1).await.unwrap();
    assert_eq!(
        world.ok("eth_getTransactionReceipt", json!([hash])).await,
        Value::Null
    );
    assert_eq!(
        world.ok("eth_getTransactionByHash", json!([hash])).await,
        Value::Null
    );
    assert!(!is_used().await);
    assert_eq!(
        world.chain.usdc_balance(account(9).address).await.unwrap(),
        before
    );

    settle(&world, 0, calldata(84532, &paid)).await;
    world.chain.reorg_keeping_transactions(1).await.unwrap();
    let moved = world.ok("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!(moved["status"], "0x1");
    assert_ne!(moved["blockHash"], receipt["blockHash"]);
    assert!(is_used().await);
}
