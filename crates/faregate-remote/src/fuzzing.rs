//! Doors for the fuzz targets; only in builds with `--cfg fuzzing`.

use faregate_core::port::{SettleOutcome, Verdict};
use faregate_types::x402::FacilitatorRequest;
use reqwest::StatusCode;

use crate::answer;
use faregate_http::Answer;

/// A request like those of our own gate.
const REQUEST: &[u8] = include_bytes!("fuzzing/request.json");

/// Every reading of an answer with this status.
pub fn answers(status: u16, body: &[u8]) {
    let Ok(status) = StatusCode::from_u16(status) else {
        return;
    };
    let answer = Answer {
        status,
        body: body.to_vec(),
    };
    let Ok(request) = FacilitatorRequest::decode(REQUEST) else {
        unreachable!("the request is a request");
    };
    let Ok(payment) = answer::precheck(&request) else {
        unreachable!("the request pays");
    };
    drop(answer::supported(&answer));
    let verdict = answer::verify(&payment, &answer);
    let outcome = answer::settle(&payment, &answer);
    if !status.is_success() {
        assert!(!matches!(verdict, Ok(Verdict::Valid { .. })));
        assert!(!matches!(outcome, SettleOutcome::Settled(_)));
    }
}
