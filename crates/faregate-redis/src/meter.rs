//! What the store tells the operator in numbers.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

const CALLS: &str = "faregate_replay_calls_total";
const SECONDS: &str = "faregate_replay_call_seconds";

/// Registers what the metrics of this crate mean.
pub fn describe_metrics() {
    describe_counter!(
        CALLS,
        "Calls to the store of used tokens that several gates share, by `outcome` (first, own, elsewhere, given_back, unavailable)"
    );
    describe_histogram!(
        SECONDS,
        Unit::Seconds,
        "Time until the store of used tokens has answered"
    );
}

/// One call ended.
pub(crate) fn called(outcome: &'static str, took: Duration) {
    counter!(CALLS, "outcome" => outcome).increment(1);
    histogram!(SECONDS).record(took);
}
