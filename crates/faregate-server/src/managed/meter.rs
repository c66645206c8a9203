//! What managed mode says about its work in metrics.

use faregate_core::custody::CustodyReport;
use metrics::{counter, describe_counter};

const REQUESTS: &str = "faregate_managed_requests_total";
const PAYOUTS: &str = "faregate_managed_payouts_total";

/// Registers what the metrics of managed mode mean.
pub fn describe_metrics() {
    describe_counter!(
        REQUESTS,
        "Answered requests of managed mode by `call` (invoice, verify, register, list) and `outcome` (ok, bad_request, forbidden, limited, away)"
    );
    describe_counter!(
        PAYOUTS,
        "Payouts to owners by `outcome` (paid, failed: owed as before, unknown: asked about again, refused: the owner's wallet made no invoice)"
    );
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Invoice,
    Verify,
    Register,
    List,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    BadRequest,
    Forbidden,
    Limited,
    Away,
}

pub(super) fn answered(call: Call, outcome: Outcome) {
    let call = match call {
        Call::Invoice => "invoice",
        Call::Verify => "verify",
        Call::Register => "register",
        Call::List => "list",
    };
    let outcome = match outcome {
        Outcome::Ok => "ok",
        Outcome::BadRequest => "bad_request",
        Outcome::Forbidden => "forbidden",
        Outcome::Limited => "limited",
        Outcome::Away => "away",
    };
    counter!(REQUESTS, "call" => call, "outcome" => outcome).increment(1);
}

pub(super) fn swept(report: &CustodyReport) {
    for (outcome, count) in [
        ("paid", report.paid_out),
        ("failed", report.failed),
        ("unknown", report.unknown),
        ("refused", report.refused),
    ] {
        counter!(PAYOUTS, "outcome" => outcome).increment(count.into());
    }
    if *report != CustodyReport::default() {
        tracing::info!(
            collected = report.collected,
            ended = report.ended,
            paid_out = report.paid_out,
            failed = report.failed,
            unknown = report.unknown,
            refused = report.refused,
            "invoices and payouts were looked at"
        );
    }
}
