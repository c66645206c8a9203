//! The pure chain, without HTTP.

mod credit;
mod genesis;
mod history;
mod model;
mod pool;
mod run;

use std::sync::Arc;

use alloy_consensus::{TxEip1559, TypedTransaction};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_rpc_types_eth::{TransactionInput, TransactionRequest};

use super::{
    accounts::ACCOUNTS, call::Call, clock::FixedClock, config::ChainConfig, engine::Chain,
    error::TxRejection, tx::SignedTx,
};

const NOW: u64 = 1_800_000_000;
const GWEI: u128 = 1_000_000_000;

/// A chain whose clock stands still at [`NOW`], and the clock.
fn chain() -> (Chain, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::at(NOW));
    let config = ChainConfig {
        clock: clock.clone(),
        ..ChainConfig::default()
    };
    (Chain::new(&config).unwrap(), clock)
}

fn account(index: usize) -> Address {
    ACCOUNTS[index].address
}

/// A transfer of one wei from account 0 to account 1 with this nonce and fee.
fn transfer(nonce: u64, fee: u128) -> TxEip1559 {
    TxEip1559 {
        chain_id: 84532,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: fee,
        max_priority_fee_per_gas: fee.min(GWEI),
        to: TxKind::Call(account(1)),
        value: U256::from(1),
        ..TxEip1559::default()
    }
}

fn sign(tx: TxEip1559, from: usize) -> SignedTx {
    SignedTx::sign(TypedTransaction::Eip1559(tx), account(from), 84532).unwrap()
}

/// Sends a transaction from account 0.
fn send(chain: &mut Chain, tx: TxEip1559) -> Result<B256, TxRejection> {
    chain.submit(sign(tx, 0))
}

/// Deploys `runtime` from account 0 and answers its address.
fn deploy(chain: &mut Chain, runtime: &[u8]) -> Address {
    let length = u8::try_from(runtime.len()).unwrap();
    // PUSH1 length, DUP1, PUSH1 11, PUSH0, CODECOPY, PUSH0, RETURN
    let mut input = vec![0x60, length, 0x80, 0x60, 10, 0x5f, 0x39, 0x5f, 0xf3, 0x00];
    input.extend_from_slice(runtime);
    let hash = send(
        chain,
        TxEip1559 {
            nonce: chain.pending_nonce(account(0)),
            gas_limit: 1_000_000,
            to: TxKind::Create,
            value: U256::ZERO,
            input: input.into(),
            ..transfer(0, 10 * GWEI)
        },
    )
    .unwrap();
    let (block, index) = chain.blocks.tx(&hash).unwrap();
    assert!(block.txs[index].receipt.is_success());
    block.txs[index].created.unwrap()
}

fn call_to(to: Address, input: impl Into<Bytes>) -> Call {
    Call {
        request: TransactionRequest::default()
            .from(account(0))
            .to(to)
            .input(TransactionInput::new(input.into())),
        ..Call::default()
    }
}
