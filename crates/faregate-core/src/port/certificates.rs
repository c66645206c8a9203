//! Certificates that recipients hold: what is owed to them, and can be had out of collateral until it is too late
//! (specs/4mica.md §4, §5).

use alloy_primitives::{Address, U256};
use faregate_ledger::StoreError;
use faregate_types::credit::{Certificate, GuaranteeVersion};
use faregate_types::{Amount, ChainId, Erc20, PaymentId, Timestamp};
use futures_util::future::BoxFuture;

/// A certificate, and what it was issued for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by every engine")]
pub struct HeldCertificate {
    /// The payment that bought something with it.
    pub payment: PaymentId,
    /// The route that sold it.
    pub route: Box<str>,
    /// The chain of the contract that redeems it.
    pub chain: ChainId,
    /// The tab.
    pub tab: U256,
    /// Its number on the tab.
    pub req: U256,
    /// With a condition or without.
    pub version: GuaranteeVersion,
    /// Who owes.
    pub payer: Address,
    /// Whom.
    pub recipient: Address,
    /// What this guarantee added, in atomic units of the asset; the zero address stands for ETH.
    pub amount: Amount,
    /// What the tab comes to with it: what redeeming it is worth, less what was paid.
    pub total: U256,
    /// When it was promised, which decides from when and until when it can be redeemed.
    pub promised_at: Timestamp,
    /// It is money: whoever loses it loses that.
    pub certificate: Certificate,
    /// When it came.
    pub at: Timestamp,
}

/// The certificates that are held. Every method is one atomic, durable transaction and may be repeated.
pub trait CertificateStore: Send + Sync + 'static {
    /// Keeps one. Done when it is durable; the same one again changes nothing.
    fn keep(&self, held: HeldCertificate) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The certificate of a payment, if there is one.
    fn certificate(
        &self,
        payment: PaymentId,
    ) -> BoxFuture<'_, Result<Option<HeldCertificate>, StoreError>>;

    /// What a payer owes for what a route sold, in atomic units: the amounts of all certificates of tabs that have not ended.
    fn owed<'a>(
        &'a self,
        payer: Address,
        route: &'a str,
        asset: Erc20,
    ) -> BoxFuture<'a, Result<U256, StoreError>>;
}
