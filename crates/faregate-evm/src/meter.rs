//! What the sender tells the operator in numbers.

use alloy_primitives::U256;
use faregate_types::ChainId;
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

use crate::rpc::Receipt;

const QUEUE: &str = "faregate_sender_queue_length";
const POOR: &str = "faregate_sender_signers_under_floor";
const ITEMS: &str = "faregate_sender_batch_items";
const TRANSACTIONS: &str = "faregate_sender_transactions_total";
const GAS: &str = "faregate_sender_gas_total";
pub(crate) const DEPLOYMENTS: &str = "faregate_sender_deployments_total";
const FEES: &str = "faregate_sender_fees_gwei_total";

/// Registers what the metrics of this crate mean.
pub(crate) fn describe_metrics() {
    describe_gauge!(
        QUEUE,
        "Settlements that wait for a signer or are being sent, by `network`"
    );
    describe_gauge!(
        POOR,
        "Signers with less gas money than the configured floor, by `network`"
    );
    describe_histogram!(ITEMS, "Payments per transaction, by `network`");
    describe_counter!(
        TRANSACTIONS,
        "Transactions by `network` and `outcome` (sent, replaced, mined, reverted)"
    );
    describe_counter!(
        DEPLOYMENTS,
        "Deployments of payers' wallets by `network` and `outcome` (mined, reverted, lost, not_sent)"
    );
    describe_counter!(GAS, "Gas used by mined transactions, by `network`");
    describe_counter!(FEES, "What mined transactions cost, in gwei, by `network`");
}

/// The metrics of one network.
#[derive(Clone)]
pub(crate) struct Meter {
    /// Settlements that wait for a signer or are being sent.
    pub(crate) queue: Gauge,
    /// Signers with less than the configured floor.
    pub(crate) poor: Gauge,
    /// Payments per transaction.
    pub(crate) items: Histogram,
    /// Transactions that were handed to the network.
    pub(crate) sent: Counter,
    /// The same, with a higher fee.
    pub(crate) replaced: Counter,
    mined: Counter,
    reverted: Counter,
    gas: Counter,
    fees_gwei: Counter,
}

impl Meter {
    pub(crate) fn new(chain: ChainId) -> Self {
        let network = chain.to_string();
        let transactions = |outcome: &'static str| counter!(TRANSACTIONS, "network" => network.clone(), "outcome" => outcome);
        Self {
            queue: gauge!(QUEUE, "network" => network.clone()),
            poor: gauge!(POOR, "network" => network.clone()),
            items: histogram!(ITEMS, "network" => network.clone()),
            sent: transactions("sent"),
            replaced: transactions("replaced"),
            mined: transactions("mined"),
            reverted: transactions("reverted"),
            gas: counter!(GAS, "network" => network.clone()),
            fees_gwei: counter!(FEES, "network" => network.clone()),
        }
    }

    /// A transaction was mined: what it cost.
    pub(crate) fn mined(&self, receipt: &Receipt) {
        if receipt.status.is_some_and(|status| status.is_zero()) {
            self.reverted.increment(1);
        } else {
            self.mined.increment(1);
        }
        let gas = receipt.gas_used.unwrap_or_default();
        self.gas.increment(gas.to());
        let price = receipt.effective_gas_price.unwrap_or_default();
        let gwei = price
            .saturating_mul(U256::from(gas))
            .div_ceil(U256::from(1_000_000_000));
        self.fees_gwei.increment(u64::try_from(gwei).unwrap_or(0));
    }
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}
