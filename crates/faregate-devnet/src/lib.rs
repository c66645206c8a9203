//! One small world in process: an EVM chain with the assets and accounts payments need, and a Lightning network of two
//! wallets.
//!
//! The chain starts in milliseconds, listens on a free port, has ten funded accounts whose keys everybody knows, and has
//! test USDC where the real network of that chain id has USDC. Unmodified clients work with it. It is for tests and
//! demonstrations only: whoever reaches its port can do anything.
//!
//! ```
//! use faregate_devnet::{ChainConfig, Devchain};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), faregate_devnet::DevchainError> {
//! let chain = Devchain::start(ChainConfig::default()).await?;
//! assert_eq!(chain.chain_id(), 84532);
//! let payer = Devchain::accounts()[1].address;
//! assert_eq!(chain.usdc_balance(payer).await?.to_string(), "1000000000000");
//! // Point any client at `chain.rpc_url()`.
//! chain.shutdown().await;
//! # Ok(())
//! # }
//! ```

pub mod chain;
pub mod lightning;

pub use chain::{ChainConfig, CreditConfig, CreditTiming, DevAccount, Devchain, DevchainError};
pub use lightning::{DevLightning, LightningConfig, LightningError, WalletName};
