//! The credit network's contract, `CreditCore` (`contracts/src/CreditCore.sol`): payers leave collateral with it, operators
//! record what was paid, and certificates signed by the operator's BLS key take what was not.
//!
//! Calldata and gas limits go out of [`CreditCore`], answers, logs and reverts are read; who follows the contract and who
//! records payments with it asks and sends. Facts of the wire are in the interface
//! `contracts/src/interfaces/ICreditCore.sol`, design and reasons in `contracts/README.md`.
//!
//! | module | idea |
//! |---|---|
//! | [`abi`] | the interface as Solidity text |
//! | `call` | [`CreditCore`]: transactions and questions, and the answers to those |
//! | `deploy` | [`Deployment`]: putting the contracts onto a chain |
//! | `put` | the same where parts of it stand already |
//! | `event` | [`Event`]: what the contract logs, typed |
//! | `revert` | [`Revert`]: why a call was refused |
//! | `follow` | [`CreditFollower`]: what happens on the chain, in the books |
//! | `rewind` | [`rewind()`]: on after a reorganisation below the configured depth |
//! | `record` | [`CreditOperator`]: what was paid, told to the contract |
//! | `redeem` | [`CreditRedeemer`]: a seller's certificates, turned into money |
//! | `validation` | the question to a validator, and the answer |
//!
//! The zero address stands for ETH wherever an asset is named ([`ETH`]). Amounts are in atomic units of their asset.

pub mod abi;
mod call;
mod deploy;
mod event;
mod follow;
mod put;
mod record;
mod redeem;
mod revert;
mod rewind;
mod validation;

use alloy_primitives::Address;

pub use call::{
    AssetBalance, Call, CreditCore, Payment, Question, TabStatus, Timing, VersionConfig,
    eth_tab_calldata, g1_point,
};
pub use deploy::{Creation, Deployment};
pub use event::Event;
pub use follow::{
    Confirmation, ContractFacts, CreditAsset, CreditFollowConfig, CreditFollower, Difference,
    FollowState, Fork, Reconciliation, TermsPolicy,
};
pub use put::PutError;
pub use record::{CreditOperator, CreditOperatorConfig};
pub use redeem::{
    CreditRedeemer, RedeemError, RedeemMode, RedeemRound, RedeemerConfig, Redeeming, TabView,
};
pub use revert::Revert;
pub use rewind::{RewindError, Rewound, rewind};
pub use validation::{answer_as_validator, ask_validator};

/// Registers what the metrics mean.
pub(crate) fn describe_metrics() {
    follow::describe_metrics();
    record::describe_metrics();
    redeem::describe_metrics();
}

/// The asset that is the chain's own coin.
pub const ETH: Address = Address::ZERO;

#[cfg(test)]
mod tests;
