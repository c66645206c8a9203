//! One small world in process: an EVM chain with the assets and accounts payments need.

pub mod chain;

pub use chain::{ChainConfig, DevAccount, Devchain, DevchainError};
