use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, hex};
use alloy_rpc_types_eth::{
    BlockOverrides,
    state::{AccountOverride, StateOverride},
};
use alloy_sol_types::{SolCall, sol};

use super::{GWEI, NOW, account, call_to, chain, deploy, send, transfer};
use crate::chain::{
    CREATE2_DEPLOYER, CallError, MULTICALL3,
    call::Call,
    engine::{BlockRef, Chain},
    limits,
};

sol! {
    function getBlockHash(uint256 blockNumber) returns (bytes32);
    function getCurrentBlockTimestamp() returns (uint256);
    function getBlockNumber() returns (uint256);
    function balanceOf(address) returns (uint256);
    function transfer(address to, uint256 value) returns (bool);
}

fn ask<C: SolCall>(chain: &Chain, to: Address, question: &C, at: BlockRef) -> C::Return {
    let output = chain.call(&call_to(to, question.abi_encode()), at).unwrap();
    C::abi_decode_returns(&output).unwrap()
}

/// Padded to 64 bytes each, as EIP-2537 wants the coordinates.
const BLS_GENERATOR: [u8; 128] = hex!(
    "0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
    "0000000000000000000000000000000008b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1"
);
/// The generator mirrored: same x, other y.
const BLS_GENERATOR_NEGATED: [u8; 128] = hex!(
    "0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
    "00000000000000000000000000000000114d1d6855d545a8aa7d76c8cf2e21f267816aef1db507c96655b9d5caac42364e6f38ba0ecb751bad54dcd6b939c2ca"
);
const G1ADD: Address = address!("0x000000000000000000000000000000000000000b");

#[test]
fn the_bls_precompiles_work() {
    let (chain, _) = chain();
    let add = |a: &[u8], b: &[u8]| chain.call(&call_to(G1ADD, [a, b].concat()), BlockRef::Latest);
    let nothing = [0; 128];
    assert_eq!(add(&BLS_GENERATOR, &nothing).unwrap(), BLS_GENERATOR[..]);
    assert_eq!(
        add(&BLS_GENERATOR, &BLS_GENERATOR_NEGATED).unwrap(),
        nothing[..]
    );
    let twice = add(&BLS_GENERATOR, &BLS_GENERATOR).unwrap();
    assert_eq!(
        add(&twice, &BLS_GENERATOR_NEGATED).unwrap(),
        BLS_GENERATOR[..]
    );
    let mut off_curve = BLS_GENERATOR;
    off_curve[127] ^= 1;
    assert!(matches!(
        add(&off_curve, &nothing),
        Err(CallError::Halted(_))
    ));
}

#[test]
fn contracts_can_see_block_hashes() {
    let (mut chain, _) = chain();
    chain.mine(5, None).unwrap();
    for number in 0..5 {
        let hash = ask(
            &chain,
            MULTICALL3,
            &getBlockHashCall {
                blockNumber: U256::from(number),
            },
            BlockRef::Latest,
        );
        assert_eq!(hash, chain.blocks.by_number(number).unwrap().hash);
    }
}

#[test]
fn calls_see_the_present_on_latest_and_the_past_on_old_blocks() {
    let (mut chain, clock) = chain();
    chain.mine(2, None).unwrap();
    clock.set(NOW + 3_600);
    let time = |at| ask(&chain, MULTICALL3, &getCurrentBlockTimestampCall {}, at);
    let number = |at| ask(&chain, MULTICALL3, &getBlockNumberCall {}, at);
    assert_eq!(time(BlockRef::Latest), U256::from(NOW + 3_600));
    assert_eq!(time(BlockRef::Pending), U256::from(NOW + 3_600));
    assert_eq!(time(BlockRef::Number(1)), U256::from(NOW));
    assert_eq!(number(BlockRef::Latest), U256::from(2));
    assert_eq!(number(BlockRef::Pending), U256::from(3));
    assert_eq!(number(BlockRef::Number(1)), U256::from(1));
}

#[test]
fn the_create2_deployer_deploys() {
    let (mut chain, _) = chain();
    // Returns one byte of code: STOP.
    let creation = hex!("60015ff3");
    let salt = [7; 32];
    let hash = send(
        &mut chain,
        alloy_consensus::TxEip1559 {
            gas_limit: 200_000,
            to: TxKind::Call(CREATE2_DEPLOYER),
            value: U256::ZERO,
            input: [&salt[..], &creation].concat().into(),
            ..transfer(0, 10 * GWEI)
        },
    )
    .unwrap();
    let (block, index) = chain.blocks.tx(&hash).unwrap();
    assert!(block.txs[index].receipt.is_success());
    let made = CREATE2_DEPLOYER.create2_from_code(salt, creation);
    assert_eq!(chain.latest().code(made), Bytes::from_static(&[0]));
}

#[test]
fn reverts_are_explained() {
    let (chain, _) = chain();
    let too_much = transferCall {
        to: account(1),
        value: U256::MAX,
    };
    let error = chain
        .call(
            &call_to(chain.usdc, too_much.abi_encode()),
            BlockRef::Latest,
        )
        .unwrap_err();
    let CallError::Reverted {
        reason: Some(reason),
        data,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(reason, "ERC20: transfer amount exceeds balance");
    assert_eq!(data[..4], hex!("08c379a0"));
    assert_eq!(
        error.to_string(),
        "execution reverted: ERC20: transfer amount exceeds balance"
    );
}

#[test]
fn a_call_changes_nothing() {
    let (chain, _) = chain();
    let move_it = transferCall {
        to: account(1),
        value: U256::from(1),
    };
    chain
        .call(&call_to(chain.usdc, move_it.abi_encode()), BlockRef::Latest)
        .unwrap();
    assert_eq!(
        chain.usdc_balance(account(1)).unwrap(),
        chain.usdc_balance(account(0)).unwrap()
    );
}

#[test]
fn an_estimate_is_enough_and_not_much_too_much() {
    let (mut chain, _) = chain();
    // Forwards to a contract that writes 20 slots; the 63/64 rule makes the forwarder need more than is spent.
    let writer = deploy(&mut chain, &hex!("5f5b6001018080556014811060015700"));
    // Five times zero (no input, no output, no value), the address, all gas; revert unless the call succeeded.
    let mut forward = hex!("5f5f5f5f5f73").to_vec();
    forward.extend_from_slice(writer.as_slice());
    let target = u8::try_from(forward.len() + 8).unwrap();
    forward.extend_from_slice(&[0x5a, 0xf1, 0x60, target, 0x57, 0x5f, 0x5f, 0xfd, 0x5b, 0x00]);
    let forwarder = deploy(&mut chain, &forward);
    for to in [account(1), chain.usdc, writer, forwarder] {
        let input = if to == chain.usdc {
            transferCall {
                to: account(2),
                value: U256::from(5),
            }
            .abi_encode()
        } else {
            Vec::new()
        };
        let call = call_to(to, input.clone());
        let estimate = chain.estimate(&call, BlockRef::Pending).unwrap();
        let with_gas = |gas: u64| {
            let mut call = call_to(to, input.clone());
            call.request.gas = Some(gas);
            chain.call(&call, BlockRef::Pending)
        };
        with_gas(estimate).unwrap();
        assert!(
            with_gas(estimate - estimate.div_ceil(50)).is_err(),
            "{to}: {estimate} is more than 2 % too much"
        );
    }
    assert_eq!(
        chain
            .estimate(&call_to(account(1), Bytes::new()), BlockRef::Pending)
            .unwrap(),
        21_000
    );
}

#[test]
fn an_estimate_of_what_cannot_succeed_is_an_error() {
    let (mut chain, _) = chain();
    let burner = deploy(&mut chain, &[0x5b, 0x5f, 0x56]);
    let reverter = deploy(&mut chain, &hex!("5f5ffd"));
    let invalid = deploy(&mut chain, &hex!("fe"));
    let estimate = |to| chain.estimate(&call_to(to, Bytes::new()), BlockRef::Pending);
    assert_eq!(
        estimate(burner),
        Err(CallError::GasAllowance(limits::BLOCK_GAS_MAX))
    );
    assert_eq!(
        estimate(reverter),
        Err(CallError::Reverted {
            reason: None,
            data: Bytes::new()
        })
    );
    assert_eq!(
        estimate(invalid),
        Err(CallError::Halted("invalid opcode: INVALID".to_owned()))
    );
    let mut poor = call_to(account(1), Bytes::new());
    poor.request.from = Some(Address::repeat_byte(9));
    poor.request.gas_price = Some(GWEI);
    assert!(matches!(
        chain.estimate(&poor, BlockRef::Pending),
        Err(CallError::Funds { .. })
    ));
}

#[test]
fn a_call_can_pretend_another_state() {
    let (chain, _) = chain();
    let rich = Address::repeat_byte(0x42);
    // balanceOf is in slot 0 of TestUsdc: keccak(address . 0).
    let mut key = [0; 64];
    key[12..32].copy_from_slice(rich.as_slice());
    let slot = alloy_primitives::keccak256(key);
    let ask = |state: AccountOverride| {
        let call = Call {
            state: Some(StateOverride::from_iter([(chain.usdc, state)])),
            ..call_to(chain.usdc, balanceOfCall(rich).abi_encode())
        };
        chain
            .call(&call, BlockRef::Latest)
            .map(|output| U256::from_be_slice(&output))
    };
    let slots = || [(slot, B256::from(U256::from(77)))].into_iter().collect();
    let diff = AccountOverride {
        state_diff: Some(slots()),
        ..AccountOverride::default()
    };
    assert_eq!(ask(diff), Ok(U256::from(77)));
    let all = AccountOverride {
        state: Some(slots()),
        ..AccountOverride::default()
    };
    assert_eq!(ask(all.clone()), Ok(U256::from(77)));
    // Returns 5.
    let code = AccountOverride {
        code: Some(hex!("60055f5260205ff3").into()),
        ..AccountOverride::default()
    };
    assert_eq!(ask(code), Ok(U256::from(5)));
    let both = AccountOverride {
        state_diff: Some(slots()),
        ..all
    };
    assert!(matches!(ask(both), Err(CallError::Argument(_))));
}

#[test]
fn a_call_can_pretend_another_block() {
    let (chain, _) = chain();
    let call = Call {
        block: Some(Box::new(BlockOverrides::default().with_time(5))),
        ..call_to(MULTICALL3, getCurrentBlockTimestampCall {}.abi_encode())
    };
    let output = chain.call(&call, BlockRef::Latest).unwrap();
    assert_eq!(U256::from_be_slice(&output), U256::from(5));
}

#[test]
fn minting_is_an_ordinary_transaction() {
    let (mut chain, _) = chain();
    let to = Address::repeat_byte(0x31);
    let hash = chain.mint(to, U256::from(123)).unwrap();
    assert_eq!(chain.usdc_balance(to).unwrap(), U256::from(123));
    let (block, index) = chain.blocks.tx(&hash).unwrap();
    assert_eq!(block.txs[index].receipt.logs().len(), 1);
}

#[test]
fn self_destructed_contracts_are_gone_and_come_back() {
    let (mut chain, _) = chain();
    let before = chain.snapshot();
    // The constructor writes a slot and destroys itself: since Cancun only then does the account go.
    let mut tx = transfer(0, 10 * GWEI);
    tx.to = TxKind::Create;
    tx.gas_limit = 200_000;
    tx.input = hex!("60015f5533ff").into();
    let hash = send(&mut chain, tx).unwrap();
    let (block, index) = chain.blocks.tx(&hash).unwrap();
    assert!(block.txs[index].receipt.is_success());
    let made = block.txs[index].created.unwrap();
    assert!(chain.latest().account(made).is_none());
    assert_eq!(chain.latest().slot(made, U256::ZERO), U256::ZERO);
    assert!(chain.revert(before));
    assert_eq!(chain.latest().nonce(account(0)), 0);
}
