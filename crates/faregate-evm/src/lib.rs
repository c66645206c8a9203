//! EVM payments: the embedded x402 facilitator, and the payer's signature.
//!
//! For sellers and operators: [`ExactFacilitator`] verifies and settles x402 payments of scheme `exact` (EIP-3009) on
//! any number of EVM chains, without a service in between. For payers: [`LocalSigner`] and [`sign_authorization`].
//!
//! ```no_run
//! use faregate_evm::{ExactFacilitator, LocalSigner, NetworkConfig};
//! use faregate_types::{AssetRegistry, ChainId, SecretKey};
//!
//! # async fn start(key: SecretKey) -> Result<ExactFacilitator, Box<dyn std::error::Error>> {
//! let chain = ChainId::BASE_SEPOLIA;
//! let usdc = AssetRegistry::builtin().default_for(chain).cloned().ok_or("no asset")?;
//! let network = NetworkConfig::new(chain, "http://127.0.0.1:8545".parse()?, vec![usdc]);
//! let facilitator = ExactFacilitator::builder().network(network).signer(LocalSigner::new(key)?).connect().await?;
//! # Ok(facilitator)
//! # }
//! ```
//!
//! | module | idea |
//! |---|---|
//! | `facilitator` | the port `faregate_core::port::Facilitator` |
//! | `verify`, `diagnose` | is it a payment? and if not, why |
//! | `follow` | what is known of the chain without asking |
//! | `wallet`, `probe`, `deploy` | payers with code, and those whose code is deployed when they pay |
//! | `errand` | transactions that are no payments |
//! | `collect` | the port `faregate_core::port::Collector`: permits, verified and brought to their chain |
//! | `matter` | what both have in common: one payment that a chain lets happen once |
//! | `settle`, `ride`, `judge`, `pending` | one payment, settled exactly once |
//! | `account`, `fate` | transactions of one account: for payers and payees that act on a chain themselves; what became of earlier ones |
//! | `lane`, `line`, `job`, `batch`, `purse`, `answer` | one signer: nonces, many payments in one transaction, gas money |
//! | `flight`, `meter` | a transaction until it is mined: sent again, replaced, counted |
//! | `receipt`, `trace`, `finality` | what happened, by events, and whether it stays |
//! | `network`, `config` | what is checked at start |
//! | `rpc`, `node`, `transport` | asking a node, in bounded time |
//! | `signer`, `recover`, `typed`, `transaction`, `fees` | keys, signatures, transactions |
//! | [`permit_settler`] | calls of the contract that collects what payers of the permit rail sign for |
//! | [`credit`] | calls, logs and errors of the contract that holds the collateral of the credit network |
//! | `owner` | whether a contract wallet signed something that is no payment |
//! | `standing` | whether an authorization was used, for payers |
//! | `bindings`, `limits` | contracts, and every bound by name |
//!
//! What an attacker may try is written down where it is answered: see `receipt` (bundled transfers), `pending` (copies
//! of one request), `lane` (nonces) and `verify` (the order of checks).

#![cfg_attr(
    not(test),
    warn(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

mod account;
mod answer;
mod batch;
mod bindings;
mod collect;
mod config;
pub mod credit;
mod deploy;
mod diagnose;
mod errand;
mod facilitator;
mod fate;
mod fees;
mod finality;
mod flight;
mod follow;
#[cfg(fuzzing)]
pub mod fuzzing;
mod job;
mod judge;
mod lane;
mod limits;
mod line;
mod matter;
mod meter;
mod network;
mod node;
mod owner;
mod pending;
pub mod permit_settler;
mod probe;
mod purse;
mod receipt;
mod recover;
mod ride;
mod rpc;
mod settle;
mod signer;
mod standing;
mod tip;
mod told;
mod trace;
mod transaction;
mod transport;
mod typed;
mod verify;
mod wallet;

pub use account::{Account, AskError, InFlight, Logbook, Mined, SendError, Unsent};
pub use collect::{CollectorBuilder, PermitCollector};
pub use config::{ConnectError, FeeStyle, NetworkConfig};
pub use facilitator::{Builder, ExactFacilitator};
pub use fate::Fate;
pub use follow::FollowConfig;
pub use owner::WalletReader;
pub use recover::recover;
pub use signer::{LocalSigner, SignError, Signer};
pub use standing::{AuthorizationReader, AuthorizationState};
pub use transaction::Signed as SignedTransaction;
pub use transport::{Endpoint, RpcRefusal, Transport, TransportError};
pub use typed::{Entropy, EntropyError, OsEntropy, random_nonce, sign_authorization};

/// Registers what the metrics of this crate mean.
pub fn describe_metrics() {
    credit::describe_metrics();
    follow::describe_metrics();
    meter::describe_metrics();
}
