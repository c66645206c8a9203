//! The collector: whoever verifies permits and brings them to their chain (specs/permit.md §1.8, §4).

use alloy_primitives::{Address, U256};
use faregate_types::ChainId;
use faregate_types::permit::{Permit, Price, Refused};
use futures_util::future::BoxFuture;

use super::facilitator::{Away, Finality, SettleOutcome, Trail};

/// A permit, and what it is to pay by our own price list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that the rail builds by literal"
)]
pub struct PermitOrder {
    /// What the payer signed.
    pub permit: Permit,
    /// The asset, the price, and whom the permit may name, with the domain and decimals of our own table.
    pub price: Price,
    /// The account that everything ends up in.
    pub treasury: Address,
}

/// How sure one wants to be before a permit counts as good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there is nothing between")]
pub enum Care {
    /// Signature, time, nonce, allowance and balance.
    Read,
    /// All that, and the settlement was run at the newest block without being sent.
    Simulate,
}

/// What verification says. Nothing was changed by asking.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "it is good or it is not")]
pub enum PermitVerdict {
    /// It would settle now.
    Valid {
        /// What the payer holds of the asset, in atomic units. What our books reserve of it is not taken off.
        funds: U256,
    },
    /// It would not, and why, in the product's words.
    Refused(Refused),
}

/// Verifies permits and collects them. What is collected moves to the treasury as a whole, or not at all.
///
/// Settling, resolving and confirming keep the promises of [`Facilitator`](super::Facilitator): three values, a durable trail
/// before anything is sent, never twice.
pub trait Collector: Send + Sync + 'static {
    /// Whom payers have to sign for so that the treasury gets the money on this chain; `None` when nothing is collected
    /// there.
    fn payee(&self, chain: ChainId, treasury: Address) -> Option<Address>;

    /// Decides whether the permit would be collected. Changes nothing.
    fn verify<'a>(
        &'a self,
        order: &'a PermitOrder,
        care: Care,
    ) -> BoxFuture<'a, Result<PermitVerdict, Away>>;

    /// Moves the money. The caller holds the durable claim; `trail` makes the transaction durable before it is sent.
    fn settle<'a>(
        &'a self,
        order: &'a PermitOrder,
        trail: &'a dyn Trail,
    ) -> BoxFuture<'a, SettleOutcome>;

    /// Finds out what became of a payment whose end is unknown. Sends nothing.
    fn resolve<'a>(
        &'a self,
        order: &'a PermitOrder,
        transaction: Option<&'a str>,
    ) -> BoxFuture<'a, SettleOutcome>;

    /// Tells whether a settlement can still be undone by its chain. Sends nothing.
    fn confirm<'a>(
        &'a self,
        order: &'a PermitOrder,
        transaction: &'a str,
    ) -> BoxFuture<'a, Finality>;
}
