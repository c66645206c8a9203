//! Several engines, one answer: whatever is done to a ledger, a wallet or credit books, in any order, SQLite, memory and
//! PostgreSQL (where there is one) say the same about it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]
#![allow(clippy::arithmetic_side_effects, reason = "small numbers in tests")]

mod common;
#[path = "engines/credits.rs"]
mod credits;
#[cfg(feature = "postgres")]
#[path = "postgres/kit.rs"]
mod kit;
#[path = "engines/ledgers.rs"]
mod ledgers;
#[path = "engines/wallets.rs"]
mod wallets;

use faregate_types::lightning::BitcoinNetwork;
use faregate_types::{Address, AssetId, ChainId, U256};
use proptest::prelude::*;

/// A token, and another kind of money.
fn asset(number: u8) -> AssetId {
    match number {
        0 => AssetId::erc20(ChainId::evm(84_532), Address::ZERO),
        _ => AssetId::Msat(BitcoinNetwork::Regtest),
    }
}

/// Mostly small, so that sums are met; sometimes so large that they overflow.
fn sum() -> impl Strategy<Value = U256> {
    prop_oneof![
        12 => (1_u64..4).prop_map(U256::from),
        1 => Just(U256::MAX),
        1 => Just(U256::MAX >> 1),
    ]
}

/// How many rows are asked for.
fn limit() -> impl Strategy<Value = u32> {
    prop_oneof![0_u32..4, Just(u32::MAX)]
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}
