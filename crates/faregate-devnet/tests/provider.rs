//! The chain as alloy's provider sees it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may"
)]

mod support;

use std::time::Duration;

use alloy_consensus::BlockHeader as _;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_network::{Ethereum, TransactionResponse as _};
use alloy_primitives::{Address, TxKind, U256, b256};
use alloy_provider::{Provider, RootProvider};
use alloy_rpc_types_eth::{Filter, TransactionInput, TransactionRequest, state::StateOverride};
use alloy_sol_types::{SolCall, SolEvent, sol};

use support::{GWEI, World, account, raw, transfer};

sol! {
    function mint(address to, uint256 value);
    function transfer(address to, uint256 value) returns (bool);
    event Transfer(address indexed from, address indexed to, uint256 value);
}

fn provider(world: &World) -> RootProvider<Ethereum> {
    let provider = RootProvider::new_http(world.chain.rpc_url().parse().unwrap());
    provider
        .client()
        .set_poll_interval(Duration::from_millis(20));
    provider
}

/// Calldata for the test USDC from account 0.
fn usdc(world: &World, nonce: u64, input: Vec<u8>) -> alloy_consensus::TxEip1559 {
    alloy_consensus::TxEip1559 {
        gas_limit: 150_000,
        to: TxKind::Call(world.chain.usdc()),
        value: U256::ZERO,
        input: input.into(),
        ..transfer(nonce)
    }
}

#[tokio::test]
async fn reads_sends_and_waits() {
    let world = World::start().await;
    let provider = provider(&world);
    assert_eq!(provider.get_chain_id().await.unwrap(), 84532);
    assert_eq!(provider.get_net_version().await.unwrap(), 84532);
    assert_eq!(provider.get_accounts().await.unwrap().len(), 10);
    assert!(
        provider
            .get_client_version()
            .await
            .unwrap()
            .starts_with("faregate-devnet/")
    );

    let pending = provider
        .send_raw_transaction(&raw(account(0), transfer(0)))
        .await
        .unwrap();
    let receipt = pending.get_receipt().await.unwrap();
    assert!(receipt.status());
    assert_eq!(receipt.block_number, Some(1));
    let tx = provider
        .get_transaction_by_hash(receipt.transaction_hash)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(tx.from(), account(0).address);
    assert_eq!(
        provider
            .get_transaction_count(account(0).address)
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        provider
            .get_balance(account(1).address)
            .block_id(BlockId::number(0))
            .await
            .unwrap()
            + U256::from(1),
        provider.get_balance(account(1).address).await.unwrap()
    );
    for tag in [
        BlockNumberOrTag::Latest,
        BlockNumberOrTag::Pending,
        BlockNumberOrTag::Safe,
        BlockNumberOrTag::Finalized,
        BlockNumberOrTag::Earliest,
        BlockNumberOrTag::Number(1),
    ] {
        let hashes = provider.get_block_by_number(tag).await.unwrap().unwrap();
        let full = provider
            .get_block_by_number(tag)
            .full()
            .await
            .unwrap()
            .unwrap();
        assert_eq!(hashes.header, full.header, "{tag}");
        // The hash must be that of the header as the client reads it.
        assert_eq!(full.header.inner.hash_slow(), full.header.hash, "{tag}");
        let root = full.header.transactions_root();
        let envelopes = full.map_transactions(alloy_rpc_types_eth::Transaction::into_inner);
        assert_eq!(envelopes.calculate_transactions_root(), Some(root), "{tag}");
    }
    let receipts = provider
        .get_block_receipts(BlockId::latest())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(receipts, [receipt]);
}

#[tokio::test]
async fn fees_are_suggested_that_suffice() {
    let world = World::start().await;
    let provider = provider(&world);
    for nonce in 0..5 {
        let fees = provider.estimate_eip1559_fees().await.unwrap();
        let mut tx = transfer(nonce);
        tx.max_fee_per_gas = fees.max_fee_per_gas;
        tx.max_priority_fee_per_gas = fees.max_priority_fee_per_gas;
        let sent = provider.send_raw_transaction(&raw(account(0), tx)).await;
        assert!(sent.unwrap().get_receipt().await.unwrap().status());
    }
    assert_eq!(provider.get_block_number().await.unwrap(), 5);
    let history = provider
        .get_fee_history(3, BlockNumberOrTag::Latest, &[25.0, 75.5])
        .await
        .unwrap();
    assert_eq!(history.oldest_block, 3);
    assert_eq!(history.base_fee_per_gas.len(), 4);
    assert_eq!(history.gas_used_ratio, [0.0007; 3]);
    assert!(
        history.base_fee_per_gas.is_sorted_by(|a, b| a > b),
        "nearly empty blocks get cheaper"
    );
    let reward = history.reward.unwrap();
    assert!(
        reward
            .iter()
            .all(|row| row.len() == 2 && row.iter().all(|tip| *tip > 0))
    );
    assert!(provider.get_gas_price().await.unwrap() > GWEI);
}

#[tokio::test]
async fn estimates_and_overrides() {
    let world = World::start().await;
    let provider = provider(&world);
    let call = transferCall {
        to: account(2).address,
        value: U256::from(5),
    }
    .abi_encode();
    let request = TransactionRequest::default()
        .from(account(0).address)
        .to(world.chain.usdc())
        .input(TransactionInput::new(call.into()));
    let gas = provider.estimate_gas(request.clone()).await.unwrap();
    provider.call(request.clone().gas_limit(gas)).await.unwrap();
    assert!(
        provider
            .call(request.clone().gas_limit(gas.div_ceil(2)))
            .await
            .is_err()
    );
    let nobody = request.from(Address::repeat_byte(9));
    let error = provider.call(nobody.clone()).await.unwrap_err();
    let response = error.as_error_resp().unwrap();
    assert_eq!(response.code, 3);
    assert!(response.message.contains("transfer amount exceeds balance"));
    assert!(response.as_revert_data().unwrap().len() > 4);
    // The same call with code that always answers.
    let overrides: StateOverride = [(
        world.chain.usdc(),
        alloy_rpc_types_eth::state::AccountOverride {
            code: Some(alloy_primitives::bytes!("60015f5260205ff3")),
            ..Default::default()
        },
    )]
    .into_iter()
    .collect();
    let output = provider.call(nobody).overrides(overrides).await.unwrap();
    assert_eq!(U256::from_be_slice(&output), U256::from(1));
}

/// A world in which alice, bob and alice again got test USDC, one block each.
async fn three_transfers(alice: Address, bob: Address) -> World {
    let world = World::start().await;
    for (nonce, to) in (0..).zip([alice, bob, alice]) {
        let value = U256::from(nonce + 1);
        let input = mintCall { to, value }.abi_encode();
        world.send(account(0), usdc(&world, nonce, input)).await;
    }
    world
}

#[tokio::test]
async fn logs_are_found_by_address_and_topics() {
    let (alice, bob) = (Address::repeat_byte(0xaa), Address::repeat_byte(0xbb));
    let world = three_transfers(alice, bob).await;
    let provider = provider(&world);
    let usdc = world.chain.usdc();
    let all = Filter::new().from_block(0);
    let signed = all.clone().event_signature(Transfer::SIGNATURE_HASH);
    let either = vec![alice.into_word(), bob.into_word()];
    for (filter, expected) in [
        (all.clone(), 3),
        (all.clone().address(usdc), 3),
        (all.clone().address(vec![alice, usdc]), 3),
        (all.clone().address(alice), 0),
        (signed.clone(), 3),
        (signed.topic2(alice.into_word()), 2),
        (all.clone().topic2(alice.into_word()), 2),
        (all.clone().topic2(either), 3),
        (all.topic1(alice.into_word()), 0),
    ] {
        let found = provider.get_logs(&filter).await.unwrap();
        assert_eq!(found.len(), expected, "{filter:?}");
    }
}

#[tokio::test]
async fn logs_are_found_by_block() {
    let (alice, bob) = (Address::repeat_byte(0xaa), Address::repeat_byte(0xbb));
    let world = three_transfers(alice, bob).await;
    let provider = provider(&world);
    for (filter, expected) in [
        (Filter::new(), 1),
        (Filter::new().from_block(1).to_block(2), 2),
        (Filter::new().from_block(2), 2),
        (Filter::new().from_block(0).to_block(99), 3),
        (Filter::new().from_block(99), 0),
    ] {
        let found = provider.get_logs(&filter).await.unwrap();
        assert_eq!(found.len(), expected, "{filter:?}");
    }
    let second = provider
        .get_block_by_number(2.into())
        .await
        .unwrap()
        .unwrap();
    let filter = Filter::new().at_block_hash(second.header.hash);
    let found = provider.get_logs(&filter).await.unwrap();
    assert_eq!(found[0].block_number, Some(2));
    assert_eq!(
        found[0].log_decode::<Transfer>().unwrap().inner.value,
        U256::from(2)
    );
    let unknown = b256!("0x1111111111111111111111111111111111111111111111111111111111111111");
    for wrong in [
        Filter::new().from_block(2).to_block(1),
        Filter::new().at_block_hash(unknown),
    ] {
        assert!(provider.get_logs(&wrong).await.is_err(), "{wrong:?}");
    }
}

#[tokio::test]
async fn filters_tell_what_is_new() {
    let world = World::start().await;
    let provider = provider(&world);
    let alice = Address::repeat_byte(0xaa);
    let logs = provider
        .new_filter(&Filter::new().topic2(alice.into_word()))
        .await
        .unwrap();
    let blocks = provider.new_block_filter().await.unwrap();
    let arrivals = provider
        .new_pending_transactions_filter(false)
        .await
        .unwrap();
    let mint = async |nonce: u64| {
        let input = mintCall {
            to: alice,
            value: U256::from(1),
        }
        .abi_encode();
        let tx = raw(account(0), usdc(&world, nonce, input));
        *provider.send_raw_transaction(&tx).await.unwrap().tx_hash()
    };
    let hashes = [mint(0).await, mint(1).await];
    let changes = async |id| provider.get_filter_changes_dyn(id).await.unwrap();
    assert_eq!(changes(logs).await.as_logs().unwrap().len(), 2);
    assert_eq!(changes(logs).await.as_logs().map_or(0, <[_]>::len), 0);
    assert_eq!(changes(blocks).await.as_hashes().unwrap().len(), 2);
    assert_eq!(changes(arrivals).await.as_hashes().unwrap(), hashes);
    mint(2).await;
    assert_eq!(changes(logs).await.as_logs().unwrap().len(), 1);
    // After a reorganisation the blocks that replaced others are new.
    changes(blocks).await;
    world.chain.reorg(2).await.unwrap();
    assert_eq!(changes(blocks).await.as_hashes().unwrap().len(), 2);
    assert!(provider.uninstall_filter(logs).await.unwrap());
    assert!(!provider.uninstall_filter(logs).await.unwrap());
    assert!(provider.get_filter_changes_dyn(logs).await.is_err());
}
