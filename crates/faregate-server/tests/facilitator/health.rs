//! Alive and ready.

use std::sync::atomic::Ordering;

use faregate_types::Code;
use futures_util::future::join_all;
use http::StatusCode;

use super::kit::{Desk, Fake};

#[tokio::test]
async fn alive_is_not_ready() {
    for (supported, code) in [
        (Ok(1), None),
        (Ok(0), Some("not_ready")),
        (
            Err(Code::FacilitatorUnavailable),
            Some("facilitator_unavailable"),
        ),
        (
            Err(Code::FacilitatorAnswerInvalid),
            Some("facilitator_answer_invalid"),
        ),
    ] {
        let desk = Desk::new(Fake::default());
        *desk.fake.supported.lock().unwrap() = supported;
        for path in ["/livez", "/health"] {
            let answer = desk.get(path).await;
            assert_eq!(
                (answer.status, answer.text.as_str()),
                (StatusCode::OK, r#"{"status":"ok"}"#)
            );
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
        let answer = desk.get("/readyz").await;
        match code {
            None => assert_eq!(answer.json()["status"], "ok"),
            Some(code) => {
                assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
                assert_eq!(answer.json()["code"], code);
                assert!(answer.header("retry-after").is_some());
            }
        }
    }
}

#[tokio::test]
async fn the_parts_are_not_asked_for_every_caller() {
    let desk = Desk::new(Fake::default());
    for answer in join_all((0..100).map(|_| desk.get("/readyz"))).await {
        assert_eq!(answer.status, StatusCode::OK);
    }
    // Once, or once a second on a machine that needs seconds for this.
    let asked = desk.fake.asked.load(Ordering::SeqCst);
    assert!((1..=10).contains(&asked), "{asked}");
}
