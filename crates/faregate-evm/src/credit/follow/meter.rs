//! What the follower tells the operator in numbers.

use alloy_primitives::U256;
use faregate_core::credit::Happening;
use faregate_core::port::credit::Entered;
use faregate_types::ChainId;
use metrics::{Gauge, Unit, counter, describe_counter, describe_gauge, gauge};
use tokio::time::Instant;

use super::Reconciliation;

const BLOCK: &str = "faregate_credit_follow_block";
const LAG: &str = "faregate_credit_follow_lag_seconds";
const FORKED: &str = "faregate_credit_follow_forked";
const SETBACKS: &str = "faregate_credit_follow_setbacks_total";
const HAPPENINGS: &str = "faregate_credit_happenings_total";
const ODD: &str = "faregate_credit_odd_total";
const EXPIRED: &str = "faregate_credit_tabs_expired_total";
const RECONCILED: &str = "faregate_credit_reconciled_total";
const DIFFERENCES: &str = "faregate_credit_differences";

/// Registers what the metrics mean.
pub(crate) fn describe_metrics() {
    describe_gauge!(BLOCK, "The block the books are at, by `network`");
    describe_gauge!(
        LAG,
        Unit::Seconds,
        "Time since the books were at the end of the chain, by `network`"
    );
    describe_gauge!(
        FORKED,
        "1 while the block the books are at is not on the chain, by `network`: nothing is entered"
    );
    describe_counter!(
        SETBACKS,
        "Looks at the chain that failed, by `network` and `reason` (node_away, node_refused, moved, forked, contract, books, overtaken)"
    );
    describe_counter!(
        HAPPENINGS,
        "What happened on the chain, by `network` and `kind` (deposited, withdrawing, withdrawn, paid, recorded, remunerated, unreadable)"
    );
    describe_counter!(
        ODD,
        "What did not fit the books and was put aside, by `network` and `reason`"
    );
    describe_counter!(
        EXPIRED,
        "Tabs whose certificates expired, so that what they locked is free, by `network`"
    );
    describe_counter!(
        RECONCILED,
        "Balances compared with the contract, by `network` and `outcome` (equal, different, unknown)"
    );
    describe_gauge!(
        DIFFERENCES,
        "Balances that were not the contract's when they were last compared, by `network`"
    );
}

/// The metrics of one network.
pub(super) struct Meter {
    network: String,
    block: Gauge,
    lag: Gauge,
    forked: Gauge,
}

impl Meter {
    pub(super) fn new(chain: ChainId) -> Self {
        let network = chain.to_string();
        Self {
            block: gauge!(BLOCK, "network" => network.clone()),
            lag: gauge!(LAG, "network" => network.clone()),
            forked: gauge!(FORKED, "network" => network.clone()),
            network,
        }
    }

    pub(super) fn entered(&self, block: u64, happenings: &[Happening], entered: &Entered) {
        // Exact up to 2^53 blocks, as everything that becomes a float.
        self.block
            .set(f64::from(u32::try_from(block).unwrap_or(u32::MAX)));
        for happening in happenings {
            counter!(HAPPENINGS, "network" => self.network.clone(), "kind" => happening.event.name())
                .increment(1);
        }
        for (_, odd) in &entered.odd {
            counter!(ODD, "network" => self.network.clone(), "reason" => odd.name()).increment(1);
        }
        if entered.expired > 0 {
            counter!(EXPIRED, "network" => self.network.clone())
                .increment(u64::from(entered.expired));
        }
    }

    pub(super) fn setback(&self, reason: &'static str) {
        counter!(SETBACKS, "network" => self.network.clone(), "reason" => reason).increment(1);
    }

    pub(super) fn state(&self, current: Option<Instant>, forked: bool) {
        if let Some(current) = current {
            self.lag.set(current.elapsed().as_secs_f64());
        }
        self.forked.set(if forked { 1.0 } else { 0.0 });
    }

    pub(super) fn compared(&self, outcome: &'static str, count: u64) {
        if count > 0 {
            counter!(RECONCILED, "network" => self.network.clone(), "outcome" => outcome)
                .increment(count);
        }
    }

    pub(super) fn reconciled(&self, report: &Reconciliation) {
        let count = U256::from(report.different).saturating_to::<u32>();
        gauge!(DIFFERENCES, "network" => self.network.clone()).set(f64::from(count));
    }
}
