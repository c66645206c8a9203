//! An EVM chain in process, for tests and demonstrations.
//!
//! `engine` is the chain as a state machine without threads or waiting (with `admit`, `build`, `call`, `control`, `logs`,
//! `filters` and `fees` beside it, each one idea), `rpc` speaks JSON-RPC, `server` HTTP, and `devchain` ties them together.
//! Bounds are in [`limits`].
//!
//! With [`ChainConfig::credit`], the contracts of the credit network are there from the first block on.
//!
//! # Over JSON-RPC
//!
//! Everything that alloy, viem, ethers and web3.py need to read, send and wait, under the names and with the error texts
//! of geth and anvil. Beside that:
//!
//! | method | does |
//! |---|---|
//! | `evm_mine`, `anvil_mine`, `evm_setAutomine`, `evm_setIntervalMining` | make blocks, or say when they are made |
//! | `evm_increaseTime`, `evm_setNextBlockTimestamp`, `evm_setTime` | move time |
//! | `evm_snapshot`, `evm_revert` | go back: blocks, state, pool and time |
//! | `anvil_setCode`, `anvil_setBalance`, `anvil_setNonce`, `anvil_setStorageAt`, `anvil_setNextBlockBaseFeePerGas` | edit |
//! | `anvil_impersonateAccount`, `anvil_stopImpersonatingAccount` | send without a key |
//! | `anvil_dropTransaction`, `anvil_dropAllTransactions`, `txpool_status`, `txpool_content`, `anvil_nodeInfo` | the pool |
//! | `anvil_reorg(depth, [[transaction, block], …])` | replace the newest blocks by others with these transactions |
//! | `faregate_reorg(depth, keep)` | replace the newest blocks by empty ones; with `keep = true` what was in them waits in the pool again, and with automine is mined at once in blocks after them |
//! | `faregate_mint(address, amount)` | mint test USDC, amount in its smallest unit |
//!
//! The `hardhat_` names work too where hardhat has them.
//!
//! # Where it differs from a real node
//!
//! - Blocks may share a second, so that chain time does not run ahead of the clock under load.
//! - A call on `latest` sees the present time, not that of the newest block: see `Chain::context_at`.
//! - `stateRoot` is zero, and there is no `eth_getProof`. All other roots and hashes are true.
//! - With automine, a transaction whose fee is below the base fee is refused; otherwise it waits.
//! - Blob transactions are refused; the contracts of EIP-2935 and EIP-4788 are not there.
//! - No WebSocket, no subscriptions, no traces. Filters do not report logs as removed after a reorganisation.
//! - The states of the newest 4,096 steps and the newest 16,384 blocks (or 50,000 transactions) are kept.

mod accounts;
mod admit;
mod blocks;
mod build;
mod call;
mod clock;
mod config;
mod control;
mod credit;
mod devchain;
mod engine;
mod error;
mod evm;
mod fees;
mod filters;
#[cfg(fuzzing)]
pub mod fuzzing;
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
    credit::{
        CREDIT_CORE, CREDIT_MANAGER, CreditConfig, CreditTiming, VALIDATION_DECODER,
        VALIDATION_REGISTRY, validation_registry,
    },
    devchain::Devchain,
    error::{CallError, ControlError, DevchainError, LogError, TxRejection},
    genesis::{BATCH_SETTLER, CREATE2_DEPLOYER, DEV_BALANCE_WEI, DEV_USDC, MULTICALL3, PERMIT2},
};
