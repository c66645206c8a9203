//! An EVM chain in process, for tests and demonstrations.
//!
//! The chain itself ([`engine`]) is a state machine without threads or waiting; [`rpc`] speaks JSON-RPC, [`server`] HTTP,
//! and [`devchain`] ties them together. Bounds are in [`limits`].

mod accounts;
mod admit;
mod blocks;
mod build;
mod call;
mod clock;
mod config;
mod control;
mod devchain;
mod engine;
mod error;
mod evm;
mod fees;
mod filters;
mod genesis;
pub mod limits;
mod logs;
mod pool;
mod rpc;
mod server;
mod state;
mod tx;

#[cfg(test)]
mod tests;

pub use self::{
    accounts::{DevAccount, MNEMONIC},
    clock::{Clock, FixedClock, SystemClock},
    config::ChainConfig,
    devchain::Devchain,
    error::{CallError, ControlError, DevchainError, LogError, TxRejection},
    genesis::{CREATE2_DEPLOYER, DEV_BALANCE_WEI, DEV_USDC, MULTICALL3},
};
