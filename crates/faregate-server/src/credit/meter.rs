//! What the credit service says about its calls in metrics.

use std::time::Duration;

use http::StatusCode;
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

const CALLS: &str = "faregate_credit_calls_total";
const SECONDS: &str = "faregate_credit_call_seconds";
const REUSED: &str = "faregate_credit_refresh_reused_total";

/// Registers what the metrics of the credit service mean.
pub fn describe_metrics() {
    describe_counter!(
        CALLS,
        "Answered calls by `call` (the operation's name in the OpenAPI document) and `outcome` (ok, bad_request, unauthorized, forbidden, not_found, conflict, limited, away, error)"
    );
    describe_histogram!(
        SECONDS,
        Unit::Seconds,
        "Time from the head of a request to its answer, by `call`"
    );
    describe_counter!(
        REUSED,
        "Refresh tokens that were shown after they had been used up; each ended a session"
    );
}

/// Counts one answered call.
pub(super) fn answered(call: &'static str, status: StatusCode, took: Duration) {
    counter!(CALLS, "call" => call, "outcome" => outcome(status)).increment(1);
    histogram!(SECONDS, "call" => call).record(took);
}

/// Counts a refresh token that two have.
pub(super) fn reused() {
    counter!(REUSED).increment(1);
}

const fn outcome(status: StatusCode) -> &'static str {
    match status.as_u16() {
        0..=399 => "ok",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "not_found",
        409 => "conflict",
        429 => "limited",
        400..=499 => "bad_request",
        503 => "away",
        _ => "error",
    }
}
