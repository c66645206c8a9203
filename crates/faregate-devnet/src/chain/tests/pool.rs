use alloy_consensus::{
    Signed, TxEip2930, TxEip7702, TxEnvelope, TxLegacy, TypedTransaction,
    transaction::SignableTransaction,
};
use alloy_eips::{Encodable2718, eip7702::Authorization};
use alloy_primitives::{Address, Signature, TxKind, U256};

use super::{GWEI, account, chain, deploy, send, sign, transfer};
use crate::chain::{
    accounts::ACCOUNTS,
    engine::{Chain, Mining},
    error::TxRejection,
    limits,
    tx::SignedTx,
};

/// One gwei and 10 % of it.
const BUMPED: u128 = 1_100_000_000;

fn encode(tx: impl Into<TypedTransaction>) -> Vec<u8> {
    let tx: TypedTransaction = tx.into();
    let signature = ACCOUNTS[0].sign(tx.signature_hash()).unwrap();
    let signed: Signed<TypedTransaction> = tx.into_signed(signature);
    TxEnvelope::from(signed).encoded_2718()
}

fn legacy(chain_id: Option<u64>) -> TxLegacy {
    TxLegacy {
        chain_id,
        nonce: 0,
        gas_price: 10 * GWEI,
        gas_limit: 21_000,
        to: TxKind::Call(account(1)),
        value: U256::from(1),
        ..TxLegacy::default()
    }
}

#[test]
fn every_kind_of_transaction_is_mined() {
    let (mut chain, _) = chain();
    let authorization = Authorization {
        chain_id: U256::from(84532),
        address: account(5),
        nonce: 0,
    };
    let signature = ACCOUNTS[3].sign(authorization.signature_hash()).unwrap();
    let kinds = [
        encode(legacy(Some(84532))),
        encode(TxLegacy {
            nonce: 1,
            ..legacy(None)
        }),
        encode(TxEip2930 {
            chain_id: 84532,
            nonce: 2,
            gas_price: 10 * GWEI,
            gas_limit: 21_000,
            to: TxKind::Call(account(1)),
            ..TxEip2930::default()
        }),
        encode(transfer(3, 10 * GWEI)),
        encode(TxEip7702 {
            chain_id: 84532,
            nonce: 4,
            gas_limit: 100_000,
            max_fee_per_gas: 10 * GWEI,
            max_priority_fee_per_gas: GWEI,
            to: account(1),
            authorization_list: vec![authorization.into_signed(signature)],
            ..TxEip7702::default()
        }),
    ];
    for (number, raw) in (1_u64..).zip(&kinds) {
        let hash = chain.submit(SignedTx::decode(raw, 84532).unwrap()).unwrap();
        let (block, index) = chain.blocks.tx(&hash).unwrap();
        assert_eq!(block.header.number, number);
        assert!(block.txs[index].receipt.is_success());
        assert_eq!(&block.txs[index].signed.encoded(), raw);
    }
    let delegated = chain.latest().code(account(3));
    assert_eq!(delegated[..3], [0xef, 0x01, 0x00]);
    assert_eq!(delegated[3..], account(5)[..]);
    assert_eq!(chain.latest().nonce(account(3)), 1);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let blob = [&[0x03], &[0xc0][..]].concat();
    let mut cut = encode(legacy(Some(84532)));
    cut.pop();
    let mut longer = encode(legacy(Some(84532)));
    longer.push(0);
    let huge = vec![0; limits::TX_BYTES_MAX + 1];
    for (raw, expected) in [
        (vec![], TxRejection::Undecodable),
        (vec![0x02], TxRejection::Undecodable),
        (vec![0xff; 40], TxRejection::Undecodable),
        (cut, TxRejection::Undecodable),
        (longer, TxRejection::Undecodable),
        (blob, TxRejection::TypeNotSupported),
        (
            huge,
            TxRejection::Oversized {
                size: limits::TX_BYTES_MAX + 1,
                max: limits::TX_BYTES_MAX,
            },
        ),
        (
            encode(legacy(Some(1))),
            TxRejection::ChainId {
                have: 1,
                want: 84532,
            },
        ),
    ] {
        assert_eq!(
            SignedTx::decode(&raw, 84532).err(),
            Some(expected),
            "{} bytes",
            raw.len()
        );
    }
    let unsigned: Signed<TypedTransaction> = TypedTransaction::from(legacy(Some(84532)))
        .into_signed(Signature::new(U256::ZERO, U256::ZERO, false));
    let raw = TxEnvelope::from(unsigned).encoded_2718();
    assert_eq!(
        SignedTx::decode(&raw, 84532).err(),
        Some(TxRejection::Signature)
    );
}

/// A transfer of account 0 with nonce 1 that something is wrong with.
fn wrong(change: impl FnOnce(&mut alloy_consensus::TxEip1559)) -> alloy_consensus::TxEip1559 {
    let mut tx = transfer(1, 10 * GWEI);
    change(&mut tx);
    tx
}

#[test]
fn what_could_never_run_is_refused() {
    let (mut chain, _) = chain();
    let from = account(0);
    let (fee, tip) = (GWEI, 2 * GWEI);
    let (gas, max) = (limits::BLOCK_GAS_MAX + 1, limits::BLOCK_GAS_MAX);
    for (tx, expected) in [
        (
            wrong(|tx| (tx.max_fee_per_gas, tx.max_priority_fee_per_gas) = (fee, tip)),
            TxRejection::TipAboveFee { from, tip, fee },
        ),
        (
            wrong(|tx| tx.gas_limit = 20_999),
            TxRejection::IntrinsicGas {
                have: 20_999,
                want: 21_000,
            },
        ),
        (
            wrong(|tx| tx.gas_limit = gas),
            TxRejection::GasLimit { gas, max },
        ),
        (
            wrong(|tx| {
                tx.gas_limit = 10_000_000;
                tx.to = TxKind::Create;
                tx.input = vec![0; 49_153].into();
            }),
            TxRejection::InitCode {
                size: 49_153,
                max: 49_152,
            },
        ),
    ] {
        assert_eq!(send(&mut chain, tx), Err(expected));
    }
    assert_eq!(chain.pool.iter().count(), 0);
}

#[test]
fn what_the_account_cannot_send_is_refused() {
    let (mut chain, _) = chain();
    let from = account(0);
    send(&mut chain, transfer(0, 10 * GWEI)).unwrap();
    let base_fee = chain.next_context().base_fee;
    let have = chain.latest().balance(from);
    let value = U256::from(10).pow(U256::from(30));
    let want = value + U256::from(210_000) * U256::from(GWEI);
    for (tx, expected) in [
        (
            transfer(0, 10 * GWEI),
            TxRejection::NonceTooLow {
                from,
                have: 0,
                want: 1,
            },
        ),
        (
            transfer(1, 1),
            TxRejection::FeeBelowBase {
                from,
                fee: 1,
                base_fee,
            },
        ),
        (
            wrong(|tx| tx.value = value),
            TxRejection::Funds { from, have, want },
        ),
    ] {
        assert_eq!(send(&mut chain, tx), Err(expected));
    }
    assert_eq!(chain.head_number(), 1);
    assert_eq!(chain.pool.iter().count(), 0);
}

#[test]
fn a_gap_in_the_nonces_holds_back_what_comes_after() {
    let (mut chain, _) = chain();
    let second = send(&mut chain, transfer(1, 10 * GWEI)).unwrap();
    let third = send(&mut chain, transfer(2, 10 * GWEI)).unwrap();
    assert_eq!(chain.head_number(), 0);
    assert_eq!(chain.pending_nonce(account(0)), 0);
    assert_eq!(
        send(&mut chain, transfer(1, 10 * GWEI)),
        Err(TxRejection::AlreadyKnown)
    );
    let first = send(&mut chain, transfer(0, 10 * GWEI)).unwrap();
    let numbers: Vec<_> = [first, second, third]
        .iter()
        .map(|hash| chain.blocks.tx(hash).unwrap().0.header.number)
        .collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(chain.pool.iter().count(), 0);
}

#[test]
fn a_waiting_transaction_is_replaced_by_one_that_pays_more() {
    let (mut chain, _) = chain();
    chain.set_mining(Mining::Manual);
    let with_fees = |fee: u128, tip: u128| {
        let mut tx = transfer(0, fee);
        tx.max_priority_fee_per_gas = tip;
        tx
    };
    let first = send(&mut chain, with_fees(10 * GWEI, GWEI)).unwrap();
    for (fee, tip) in [
        (11 * GWEI, GWEI),
        (10 * GWEI, 2 * GWEI),
        (11 * GWEI, BUMPED - 1),
    ] {
        assert_eq!(
            send(&mut chain, with_fees(fee, tip)),
            Err(TxRejection::Underpriced)
        );
    }
    let second = send(&mut chain, with_fees(11 * GWEI, BUMPED)).unwrap();
    assert!(chain.pool.get(&first).is_none());
    assert_eq!(chain.pending_nonce(account(0)), 1);
    chain.mine_one();
    assert!(chain.blocks.tx(&second).is_some());
    assert!(chain.blocks.tx(&first).is_none());
}

#[test]
fn a_low_fee_waits_when_blocks_are_made_by_hand() {
    let (mut chain, _) = chain();
    chain.set_mining(Mining::Manual);
    let hash = send(&mut chain, transfer(0, 500_000_000)).unwrap();
    chain.mine_one();
    assert!(chain.blocks.tx(&hash).is_none());
    // Empty blocks lower the base fee by an eighth each.
    chain.mine(8, None).unwrap();
    assert!(chain.blocks.tx(&hash).is_some());
}

#[test]
fn better_tips_go_first_and_equal_ones_in_order() {
    let (mut chain, _) = chain();
    chain.set_mining(Mining::Manual);
    let tip = |nonce: u64, tip: u128| {
        let mut tx = transfer(nonce, 20 * GWEI);
        tx.max_priority_fee_per_gas = tip;
        tx
    };
    let slow = chain.submit(sign(tip(0, GWEI), 2)).unwrap();
    let early = chain.submit(sign(tip(0, 2 * GWEI), 3)).unwrap();
    let late = chain.submit(sign(tip(0, 2 * GWEI), 1)).unwrap();
    let fast = chain.submit(sign(tip(0, 3 * GWEI), 4)).unwrap();
    let after_slow = chain.submit(sign(tip(1, 9 * GWEI), 2)).unwrap();
    chain.mine_one();
    let order: Vec<_> = chain
        .head()
        .unwrap()
        .txs
        .iter()
        .map(|tx| tx.signed.hash)
        .collect();
    assert_eq!(order, [fast, early, late, slow, after_slow]);
}

#[test]
fn a_block_takes_what_fits_and_leaves_the_rest() {
    let (mut chain, _) = chain();
    // JUMPDEST PUSH0 JUMP: uses up whatever gas it gets.
    let burner = deploy(&mut chain, &[0x5b, 0x5f, 0x56]);
    chain.set_mining(Mining::Manual);
    for sender in 1..=2 {
        let mut tx = transfer(0, 10 * GWEI);
        tx.gas_limit = 20_000_000;
        tx.to = TxKind::Call(burner);
        tx.value = U256::ZERO;
        chain.submit(sign(tx, sender)).unwrap();
    }
    let base_fee = chain.next_context().base_fee;
    chain.mine_one();
    assert_eq!(chain.head().unwrap().txs.len(), 1);
    assert_eq!(chain.head().unwrap().header.gas_used, 20_000_000);
    assert!(!chain.head().unwrap().txs[0].receipt.is_success());
    assert!(
        chain.next_context().base_fee > base_fee,
        "a block over half full raises the base fee"
    );
    chain.mine_one();
    assert_eq!(chain.head().unwrap().txs.len(), 1);
}

#[test]
fn a_transaction_that_became_impossible_leaves_the_pool() {
    let (mut chain, _) = chain();
    chain.set_mining(Mining::Manual);
    let hash = send(&mut chain, transfer(0, 10 * GWEI)).unwrap();
    chain.set_balance(account(0), U256::from(5));
    chain.mine_one();
    assert!(chain.pool.get(&hash).is_none());
    assert_eq!(chain.head().unwrap().txs.len(), 0);
}

#[test]
fn the_pool_is_bounded() {
    let (mut chain, _) = chain();
    chain.set_mining(Mining::Manual);
    let max = u64::try_from(limits::POOL_TXS_MAX).unwrap();
    // Signing thousands of transactions takes long: an impersonated sender needs no signature.
    let sender = Address::repeat_byte(0x77);
    chain.set_balance(sender, U256::from(10).pow(U256::from(24)));
    let submit = |chain: &mut Chain, nonce: u64| {
        let tx = TypedTransaction::Eip1559(transfer(nonce, 10 * GWEI));
        chain.submit(SignedTx::sign(tx, sender, 84532).unwrap())
    };
    for nonce in 0..max {
        submit(&mut chain, nonce).unwrap();
    }
    assert_eq!(submit(&mut chain, max), Err(TxRejection::PoolFull));
    chain.mine_one();
    submit(&mut chain, max).unwrap();
}
