//! What is counted, and the one place where an [`Outcome`] gets its label.
//!
//! The handles are made once per route, so that the unpaid answer costs one addition. Whoever collects metrics has to be
//! installed before the first [`Priced`](crate::Priced) is made.

use std::time::Instant;

use faregate_core::Outcome;
use faregate_types::RailName;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

const REQUESTS: &str = "faregate_gate_requests_total";
const PURCHASE_SECONDS: &str = "faregate_gate_purchase_seconds";
const SERVICE_SECONDS: &str = "faregate_gate_service_seconds";
const PURCHASES: &str = "faregate_gate_purchases";
const UNPAID: &str = "faregate_gate_unpaid_total";
const REVERTED: &str = "faregate_gate_reverted_total";
const TOKEN_REQUESTS: &str = "faregate_gate_token_requests_total";
const TAB_REQUESTS: &str = "faregate_gate_tab_requests_total";
const ANSWER_BYTES: &str = "faregate_gate_answer_bytes_total";

/// Registers what the metrics of this crate mean.
pub fn describe_metrics() {
    let labels: Vec<&str> = Ended::ALL.iter().map(|ended| ended.label()).collect();
    let text = format!(
        "Requests to priced routes by `route` (as configured) and `outcome` ({})",
        labels.join(", ")
    );
    describe_counter!(REQUESTS, text);
    describe_histogram!(
        PURCHASE_SECONDS,
        Unit::Seconds,
        "Time from a whole request with a credential until the head of its answer, by `route`"
    );
    describe_histogram!(
        SERVICE_SECONDS,
        Unit::Seconds,
        "Time that the service took for its answer (for all of it when it is held back), by `route`"
    );
    describe_gauge!(
        PURCHASES,
        "Purchases in progress, also those whose payer hung up"
    );
    describe_counter!(
        UNPAID,
        "Answers and tokens that were given out before the money moved and will never be paid, by `rail`; found later, recovery counts them"
    );
    describe_counter!(
        REVERTED,
        "Answers and tokens that were given out before the money moved and whose settlement the chain reverted, by `rail`; once that is final, recovery counts them as unpaid"
    );
    describe_counter!(
        TOKEN_REQUESTS,
        "Requests to the token endpoint of the permit rail by `outcome`, as for priced routes"
    );
    let labels: Vec<&str> = TabEnded::ALL.iter().map(|ended| ended.label()).collect();
    let text = format!(
        "Requests to the tab endpoint of the credit rail by `outcome` ({})",
        labels.join(", ")
    );
    describe_counter!(TAB_REQUESTS, text);
    describe_counter!(
        ANSWER_BYTES,
        Unit::Bytes,
        "Bytes of sold answers, without kept copies, by `route`"
    );
}

/// What was served and will never be paid, by the rail it was to be paid over.
pub(crate) fn count_unpaid(rail: RailName) {
    counter!(UNPAID, "rail" => rail.as_str()).increment(1);
}

/// What was served, and whose settlement the chain reverted.
pub(crate) fn count_reverted(rail: RailName) {
    counter!(REVERTED, "rail" => rail.as_str()).increment(1);
}

/// The counters of a token endpoint.
#[derive(Debug)]
pub(crate) struct DeskMeter([Counter; Ended::ALL.len()]);

impl DeskMeter {
    pub(crate) fn new() -> Self {
        Self(Ended::ALL.map(|ended| counter!(TOKEN_REQUESTS, "outcome" => ended.label())))
    }

    pub(crate) fn ended(&self, ended: Ended) {
        // The order of `ALL` is the order of the variants.
        if let Some(counter) = self.0.get(ended as usize) {
            counter.increment(1);
        }
    }
}

/// How a request for a tab ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TabEnded {
    /// There is a tab.
    Given,
    /// Its body cannot be read.
    Malformed,
    /// Nothing like it is sold here on credit.
    NotOffered,
    /// The core refuses this payer.
    Refused,
    /// Too many lately.
    Limited,
    /// The core is away.
    Away,
}

impl TabEnded {
    const ALL: [Self; 6] = [
        Self::Given,
        Self::Malformed,
        Self::NotOffered,
        Self::Refused,
        Self::Limited,
        Self::Away,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Malformed => "malformed",
            Self::NotOffered => "not_offered",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Away => "away",
        }
    }
}

/// The counters of a tab endpoint.
#[derive(Debug)]
pub(crate) struct TabMeter([Counter; TabEnded::ALL.len()]);

impl TabMeter {
    pub(crate) fn new() -> Self {
        Self(TabEnded::ALL.map(|ended| counter!(TAB_REQUESTS, "outcome" => ended.label())))
    }

    pub(crate) fn ended(&self, ended: TabEnded) {
        // The order of `ALL` is the order of the variants.
        if let Some(counter) = self.0.get(ended as usize) {
            counter.increment(1);
        }
    }
}

/// How a request to a priced route ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// No credential.
    Challenged,
    /// A credential that cannot be read, or a request that cannot be sold.
    Malformed,
    /// A credential that does not pay for this.
    Unpaid,
    /// The settlement failed.
    Refused,
    /// Paid and served.
    Sold,
    /// Not charged, because the service gave an error.
    NotSold,
    /// Served, and settled beside it.
    Owed,
    /// Nobody knows whether the money moved.
    Pending,
    /// A copy, with the kept answer.
    Replay,
    /// A copy while the first is in progress.
    InFlight,
    /// A credential that was used for something else.
    Conflict,
    /// A name of a purchase that was used for something else.
    KeyConflict,
    /// Ledger, chain or facilitator away.
    Away,
    /// A bug.
    Panicked,
}

impl Ended {
    const ALL: [Self; 14] = [
        Self::Challenged,
        Self::Malformed,
        Self::Unpaid,
        Self::Refused,
        Self::Sold,
        Self::NotSold,
        Self::Owed,
        Self::Pending,
        Self::Replay,
        Self::InFlight,
        Self::Conflict,
        Self::KeyConflict,
        Self::Away,
        Self::Panicked,
    ];

    const fn label(self) -> &'static str {
        match self {
            Self::Challenged => "challenged",
            Self::Malformed => "malformed",
            Self::Unpaid => "unpaid",
            Self::Refused => "refused",
            Self::Sold => "sold",
            Self::NotSold => "not_sold",
            Self::Owed => "owed",
            Self::Pending => "pending",
            Self::Replay => "replay",
            Self::InFlight => "in_flight",
            Self::Conflict => "conflict",
            Self::KeyConflict => "key_conflict",
            Self::Away => "away",
            Self::Panicked => "panicked",
        }
    }

    /// Every outcome has one.
    pub(crate) const fn of<R>(outcome: &Outcome<R>) -> Self {
        match outcome {
            Outcome::Unpaid { .. } => Self::Unpaid,
            Outcome::Refused { .. } => Self::Refused,
            Outcome::Sold { .. } | Outcome::Passed { .. } => Self::Sold,
            Outcome::NotSold(_) => Self::NotSold,
            Outcome::Owed { .. } => Self::Owed,
            Outcome::Pending { .. } => Self::Pending,
            Outcome::Replay(_) => Self::Replay,
            Outcome::InFlight => Self::InFlight,
            Outcome::Conflict => Self::Conflict,
            Outcome::KeyConflict => Self::KeyConflict,
            Outcome::Unavailable(_) => Self::Away,
        }
    }
}

/// The counters of one route.
#[derive(Debug)]
pub(crate) struct Meter {
    requests: [Counter; Ended::ALL.len()],
    purchase: Histogram,
    service: Histogram,
    purchases: Gauge,
    bytes: Counter,
}

impl Meter {
    /// `route` has to be a name of the configuration.
    pub(crate) fn new(route: &str) -> Self {
        let route = || route.to_owned();
        Self {
            requests: Ended::ALL
                .map(|ended| counter!(REQUESTS, "route" => route(), "outcome" => ended.label())),
            purchase: histogram!(PURCHASE_SECONDS, "route" => route()),
            service: histogram!(SERVICE_SECONDS, "route" => route()),
            purchases: gauge!(PURCHASES),
            bytes: counter!(ANSWER_BYTES, "route" => route()),
        }
    }

    pub(crate) fn ended(&self, ended: Ended) {
        // The order of `ALL` is the order of the variants.
        if let Some(counter) = self.requests.get(ended as usize) {
            counter.increment(1);
        }
    }

    /// A purchase in progress for as long as what this returns lives.
    pub(crate) fn purchase(&self) -> InProgress {
        self.purchases.increment(1);
        InProgress(self.purchases.clone())
    }

    pub(crate) fn purchase_took(&self, since: Instant) {
        self.purchase.record(since.elapsed());
    }

    pub(crate) fn service_took(&self, since: Instant) {
        self.service.record(since.elapsed());
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.bytes
            .increment(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

/// Counted until it is dropped.
pub(crate) struct InProgress(Gauge);

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_own_counter() {
        for (index, ended) in Ended::ALL.into_iter().enumerate() {
            assert_eq!(ended as usize, index);
        }
        for (index, ended) in TabEnded::ALL.into_iter().enumerate() {
            assert_eq!(ended as usize, index);
        }
        let mut labels = Ended::ALL.map(Ended::label);
        labels.sort_unstable();
        assert!(labels.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
