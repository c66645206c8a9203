//! What the backends tell the operator in numbers.

use std::time::Duration;

use faregate_http::CallError;
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use reqwest::StatusCode;

const CALLS: &str = "faregate_lightning_calls_total";
const SECONDS: &str = "faregate_lightning_call_seconds";

/// Registers what the metrics of this crate mean.
pub fn describe_metrics() {
    describe_counter!(
        CALLS,
        "Calls to Lightning wallets and nodes by `backend` and `outcome` (answered, client_error, server_error, no_connection, lost, timeout, too_large)"
    );
    describe_histogram!(
        SECONDS,
        Unit::Seconds,
        "Time until a Lightning wallet or node has answered, by `backend`; a payment until it is over, or its first word where it comes in lines"
    );
}

/// One call was answered, or was not.
pub(crate) fn called(backend: &'static str, heard: Result<StatusCode, CallError>, took: Duration) {
    let outcome = match heard {
        Ok(status) if status.is_server_error() => "server_error",
        Ok(status) if status.is_client_error() => "client_error",
        Ok(_) => "answered",
        Err(CallError::NotSent) => "no_connection",
        Err(CallError::Lost) => "lost",
        Err(CallError::TimedOut) => "timeout",
        Err(CallError::TooLarge) => "too_large",
    };
    counter!(CALLS, "backend" => backend, "outcome" => outcome).increment(1);
    histogram!(SECONDS, "backend" => backend).record(took);
}
