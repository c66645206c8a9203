//! What the service says about its work in metrics.

use std::sync::Arc;
use std::time::Duration;

use faregate_core::port::SettleOutcome;
use http::StatusCode;
use metrics::{SharedString, Unit, counter, describe_counter, describe_histogram, histogram};

use super::answer::Endpoint;

const REQUESTS: &str = "faregate_facilitator_requests_total";
const SECONDS: &str = "faregate_facilitator_request_seconds";

/// Registers what the metrics of the facilitator service mean.
pub fn describe_metrics() {
    describe_counter!(
        REQUESTS,
        "Answered requests by `call` (verify, settle, tabs) and `outcome` (valid, invalid, settled, failed, pending, duplicate, bad_request, unauthorized, forbidden, limited, away), and `caller` (a configured name, or open)"
    );
    describe_histogram!(
        SECONDS,
        Unit::Seconds,
        "Time from the head of a request to its answer, by `call` (verify, settle, tabs)"
    );
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Valid,
    Invalid,
    Settled,
    Failed,
    /// The end of the settlement is not known.
    Pending,
    /// Settled, and somebody else heard it before.
    Duplicate,
    /// Without a key that is known here.
    Unauthorized,
    /// For somebody the caller may not settle for.
    Forbidden,
    /// More often than allowed.
    Limited,
    /// Not a request of the protocol.
    BadRequest,
    /// A part this service needs did not answer, or there is too much to do.
    Away,
}

impl Outcome {
    /// What an answer's status says by itself.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status {
            status if status.is_success() => Self::Valid,
            StatusCode::FORBIDDEN => Self::Forbidden,
            status if status.is_server_error() => Self::Away,
            _ => Self::Invalid,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Settled => "settled",
            Self::Failed => "failed",
            Self::Pending => "pending",
            Self::Duplicate => "duplicate",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Limited => "limited",
            Self::BadRequest => "bad_request",
            Self::Away => "away",
        }
    }
}

impl From<&SettleOutcome> for Outcome {
    fn from(outcome: &SettleOutcome) -> Self {
        match outcome {
            SettleOutcome::Settled(_) => Self::Settled,
            SettleOutcome::Failed(_) => Self::Failed,
            SettleOutcome::Unknown(_) => Self::Pending,
        }
    }
}

/// Counts one answered request.
pub(super) fn answered(endpoint: Endpoint, outcome: Outcome, caller: Arc<str>, took: Duration) {
    let call = endpoint.label();
    let caller = SharedString::from_shared(caller);
    counter!(REQUESTS, "call" => call, "outcome" => outcome.label(), "caller" => caller)
        .increment(1);
    histogram!(SECONDS, "call" => call).record(took);
}
