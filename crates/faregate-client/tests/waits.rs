//! A server that does not know the end yet is waited for, with the same payment, within bounds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use common::{HASH, Seen, ask_v2, builder, encode, memory, offer_v2, seller, served};
use faregate_client::{Client, Doubt, Kind, PayError, SpendState};
use faregate_types::Code;
use serde_json::json;

type Answer = fn() -> Response;

/// Asks for payment, then gives `answers` in turn, the last one for ever.
fn in_turn(
    answers: &'static [Answer],
) -> impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static {
    let tries = Arc::new(AtomicUsize::new(0));
    move |request| {
        if request.payment().is_none() {
            return ask_v2(&[offer_v2()]);
        }
        let turn = tries.fetch_add(1, Ordering::SeqCst);
        answers[turn.min(answers.len() - 1)]()
    }
}

fn problem(status: StatusCode, code: &str) -> Response {
    let headers = [
        ("content-type", "application/problem+json"),
        ("retry-after", "0"),
    ];
    let body = json!({"type": "about:blank", "status": status.as_u16(), "code": code});
    (status, headers, body.to_string()).into_response()
}

fn receipt(status: StatusCode, reason: &str) -> Response {
    let receipt = json!({"success": false, "errorReason": reason, "transaction": HASH});
    let headers = [
        ("payment-response", encode(&receipt)),
        ("retry-after", "0".to_owned()),
    ];
    (status, headers, "{}").into_response()
}

fn in_flight() -> Response {
    problem(StatusCode::CONFLICT, "payment_in_flight")
}

fn pending_402() -> Response {
    receipt(StatusCode::PAYMENT_REQUIRED, "settlement_pending")
}

fn unnamed_402() -> Response {
    receipt(StatusCode::PAYMENT_REQUIRED, "weather")
}

fn pending_202() -> Response {
    receipt(StatusCode::ACCEPTED, "settlement_pending")
}

fn pending_503() -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "settlement_pending")
}

fn unknown_503() -> Response {
    problem(StatusCode::SERVICE_UNAVAILABLE, "payment_unknown")
}

fn slow_409() -> Response {
    let headers = [
        ("content-type", "application/problem+json"),
        ("retry-after", "9"),
    ];
    let body = r#"{"code":"payment_in_flight"}"#;
    (StatusCode::CONFLICT, headers, body).into_response()
}

/// A client that waits for two seconds.
fn patient(store: &Arc<dyn faregate_client::WalletStore>) -> Client {
    let builder = builder().store(store.clone()).wait(Duration::from_secs(2));
    builder.build().unwrap()
}

#[tokio::test]
async fn every_way_of_not_knowing_yet_is_waited_for() {
    let table: [(&str, &'static [Answer]); 7] = [
        ("in flight", &[in_flight, in_flight, served]),
        ("402", &[pending_402, served]),
        ("402, unnamed", &[unnamed_402, served]),
        ("202", &[pending_202, served]),
        ("503", &[pending_503, served]),
        ("503, unknown", &[unknown_503, served]),
        (
            "all",
            &[in_flight, pending_402, pending_202, pending_503, served],
        ),
    ];
    for (case, answers) in table {
        let seller = seller(in_turn(answers)).await;
        let store = memory();
        let client = patient(&store);
        // Also what is not idempotent: the server says that it knows the payment.
        let paid = client.post(seller.url("/")).body("x").send().await;
        let payment = paid.expect(case).payment.unwrap();
        assert_eq!(payment.state, SpendState::Paid, "{case}");
        let payments = seller.payments();
        assert_eq!(payments.len(), answers.len(), "{case}");
        assert!(
            payments.iter().all(|payment| *payment == payments[0]),
            "{case}"
        );
        assert_eq!(store.recent_spends(9).await.unwrap().len(), 1, "{case}");
    }
}

#[tokio::test]
async fn patience_ends_and_the_error_names_the_payment() {
    let seller = seller(in_turn(&[pending_402])).await;
    let store = memory();
    let client = builder()
        .store(store.clone())
        .wait(Duration::from_millis(350));
    let error = client.build().unwrap().get(seller.url("/")).send().await;
    let error = error.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (Kind::Undecided, Code::PaymentUnknown)
    );
    let text = error.to_string();
    let PayError::Undecided(lost) = error else {
        panic!("{text}")
    };
    assert_eq!(lost.why, Doubt::Server(Code::SettlementPending));
    assert_eq!(lost.transaction.as_deref(), Some(HASH));
    assert!(text.contains(&lost.id.to_string()), "{text}");
    let payments = seller.payments();
    assert!(
        payments.len() > 1 && payments.len() < 9,
        "{}",
        payments.len()
    );
    let open = store.open_spends(9).await.unwrap();
    assert_eq!((open.len(), open[0].spend.id), (1, lost.id));
}

/// A pause that would end after patience, or after the payment, is not begun.
#[tokio::test]
async fn pauses_longer_than_there_is_time_are_not_begun() {
    let seller = seller(in_turn(&[slow_409])).await;
    let before = tokio::time::Instant::now();
    let error = patient(&memory()).get(seller.url("/")).send().await;
    assert_eq!(error.unwrap_err().kind(), Kind::Undecided);
    let mut offer = offer_v2();
    offer["maxTimeoutSeconds"] = json!(3);
    let brief = common::seller(move |request| match request.payment() {
        Some(_) => slow_409(),
        None => ask_v2(&[offer.clone()]),
    });
    let client = builder().store(memory()).build().unwrap();
    let error = client.get(brief.await.url("/")).send().await;
    assert_eq!(error.unwrap_err().kind(), Kind::Undecided);
    assert!(before.elapsed() < Duration::from_secs(9));
}

/// Answers of what is sold look like these and are the caller's, body included.
#[tokio::test]
async fn answers_of_what_is_sold_are_the_callers() {
    let table: [(&str, Answer, &str, SpendState); 4] = [
        (
            "202 of a job",
            || (StatusCode::ACCEPTED, axum::Json(json!({"job": 1}))).into_response(),
            r#"{"job":1}"#,
            SpendState::Paid,
        ),
        (
            "409 of what is sold",
            || (StatusCode::CONFLICT, axum::Json(json!({"error": "taken"}))).into_response(),
            r#"{"error":"taken"}"#,
            SpendState::Open,
        ),
        (
            "503 as text",
            || (StatusCode::SERVICE_UNAVAILABLE, "payment_in_flight").into_response(),
            "payment_in_flight",
            SpendState::Open,
        ),
        (
            "202 with a receipt",
            || {
                let headers = [
                    ("payment-response", encode(&common::receipt())),
                    ("content-type", "application/json".into()),
                ];
                let body = r#"{"code":"settlement_pending"}"#;
                (StatusCode::ACCEPTED, headers, body).into_response()
            },
            r#"{"code":"settlement_pending"}"#,
            SpendState::Paid,
        ),
    ];
    for (case, answer, body, state) in table {
        let seller = seller(move |request| match request.payment() {
            Some(_) => answer(),
            None => ask_v2(&[offer_v2()]),
        })
        .await;
        let url = seller.url("/thing");
        let paid = patient(&memory()).get(&url).send().await.expect(case);
        assert_eq!(paid.answer.url().as_str(), url, "{case}");
        assert_eq!(paid.payment.unwrap().state, state, "{case}");
        assert_eq!(paid.answer.text().await.unwrap(), body, "{case}");
        assert_eq!(seller.payments().len(), 1, "{case}");
    }
}
