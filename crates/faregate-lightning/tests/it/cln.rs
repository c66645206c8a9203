//! Core Lightning.

use faregate_core::port::lightning::{InvoiceState, PayOutcome};
use faregate_lightning::{Cln, ClnConfig, Endpoint};
use faregate_types::lightning::Msat;
use faregate_types::{Code, Secret};
use serde_json::{Value, json};

use crate::contract;
use crate::kit::{
    Say, Script, create, hash, invoice, look_up, pay, receiver, sender, track, words,
};

fn new(endpoint: Endpoint) -> Cln {
    Cln::new(ClnConfig::new(endpoint, Secret::new(b"rune==".to_vec()))).unwrap()
}

fn paid(preimage: &str) -> Value {
    json!({
        "destination": "02aa", "payment_hash": hash().to_string(), "created_at": 1.5, "parts": 1,
        "amount_msat": 10000, "amount_sent_msat": 10300, "payment_preimage": preimage, "status": "complete",
    })
}

#[tokio::test]
async fn makes_invoices_and_reports_nothing_that_it_was_not_told() {
    contract::receives(
        new,
        &[],
        |text| json!({ "payment_hash": "x", "expires_at": 1, "bolt11": text }),
    )
    .await;
}

#[tokio::test]
async fn pays_and_reports_nothing_that_it_was_not_told() {
    contract::pays(new, &[], paid).await;
}

#[tokio::test]
async fn asks_as_cln_wants_to_be_asked() {
    let script = Script::start([
        Say::Json(201, json!({ "bolt11": invoice() })),
        Say::Json(201, json!({ "bolt11": invoice() })),
        Say::Json(201, paid(&"05".repeat(32))),
    ])
    .await;
    let receiver = receiver(new(script.endpoint()));
    create(&receiver).await.unwrap();
    create(&receiver).await.unwrap();
    let PayOutcome::Paid(done) = pay(&sender(new(script.endpoint()))).await else {
        panic!("not paid");
    };
    assert_eq!(done.fee, Some(Msat::new(300)));
    let calls = script.calls();
    assert_eq!(calls[0].line, "POST /v1/invoice");
    assert_eq!(calls[0].header("rune"), "rune==");
    assert_eq!(calls[0].json()["amount_msat"], 10_000);
    assert_eq!(calls[0].json()["expiry"], 600);
    assert_ne!(calls[0].json()["label"], calls[1].json()["label"]);
    let asked = json!({ "bolt11": invoice(), "maxfee": 1000, "retry_for": 1 });
    assert_eq!(
        (calls[2].line.as_str(), calls[2].json()),
        ("POST /v1/pay", asked)
    );
}

#[tokio::test]
async fn every_error_of_pay_is_read() {
    for (number, kind, code) in [
        (-32602, "refused", Code::InvoiceUnusable),
        (203, "failed", Code::LightningPaymentFailed),
        (205, "failed", Code::LightningNoRoute),
        (206, "failed", Code::LightningNoRoute),
        (207, "refused", Code::InvoiceExpired),
        (210, "failed", Code::LightningPaymentFailed),
        (-1, "unknown", Code::LightningUnavailable),
        (209, "unknown", Code::LightningUnavailable),
    ] {
        let error = json!({ "code": number, "message": "words" });
        for body in [error.clone(), json!({ "error": error })] {
            let script = Script::start([Say::Json(500, body)]).await;
            let outcome = pay(&sender(new(script.endpoint()))).await;
            assert_eq!(words(&outcome), (kind, Some(code)), "{number}");
        }
    }
    for (status, code) in [
        ("pending", Code::LightningPaymentPending),
        ("?", Code::LightningAnswerInvalid),
    ] {
        let script = Script::start([Say::Json(201, json!({ "status": status }))]).await;
        let outcome = pay(&sender(new(script.endpoint()))).await;
        assert_eq!(words(&outcome), ("unknown", Some(code)));
    }
}

#[tokio::test]
async fn a_payment_is_tracked_over_all_its_tries() {
    let one = |status: &str| {
        json!({ "payment_hash": hash().to_string(), "status": status, "preimage": "05".repeat(32), "amount_msat": "10000msat",
            "amount_sent_msat": "10300msat" })
    };
    let mut other = one("complete");
    other["payment_hash"] = "07".repeat(32).into();
    for (pays, kind, code) in [
        (json!([one("failed"), one("complete")]), "paid", None),
        (
            json!([one("failed"), one("pending")]),
            "unknown",
            Some(Code::LightningPaymentPending),
        ),
        (
            json!([one("failed"), one("failed")]),
            "failed",
            Some(Code::LightningPaymentFailed),
        ),
        (
            json!([one("failed"), one("new")]),
            "unknown",
            Some(Code::LightningAnswerInvalid),
        ),
        (
            json!([other]),
            "unknown",
            Some(Code::LightningAnswerInvalid),
        ),
        (json!([]), "unknown", Some(Code::LightningPaymentNotFound)),
        (json!({}), "unknown", Some(Code::LightningAnswerInvalid)),
    ] {
        let list = Say::Json(201, json!({ "pays": pays }));
        let script = Script::start([list.clone()]).await;
        assert_eq!(
            words(&track(&sender(new(script.endpoint()))).await),
            (kind, code),
            "{pays}"
        );
        // The same when it is found out by paying again.
        let again = Say::Json(
            500,
            json!({ "code": 200, "message": "already in progress" }),
        );
        let script = Script::start([again, list]).await;
        assert_eq!(
            words(&pay(&sender(new(script.endpoint()))).await),
            (kind, code),
            "{pays}"
        );
    }
}

#[tokio::test]
async fn every_state_of_an_invoice_is_read() {
    let state = |status: &str, hash: &str| {
        Say::Json(
            201,
            json!({ "invoices": [{ "payment_hash": hash, "status": status, "amount_received_msat": 10000 }] }),
        )
    };
    let ours = hash().to_string();
    let amount = Some(Msat::new(10_000));
    for (say, expected) in [
        (state("unpaid", &ours), Ok(InvoiceState::Open)),
        (state("paid", &ours), Ok(InvoiceState::Paid { amount })),
        (state("expired", &ours), Ok(InvoiceState::Expired)),
        (
            state("paid", &"07".repeat(32)),
            Err(Code::LightningAnswerInvalid),
        ),
        (state("?", &ours), Err(Code::LightningAnswerInvalid)),
        (
            Say::Json(201, json!({ "invoices": [] })),
            Ok(InvoiceState::Unknown),
        ),
        (Say::Json(201, json!({})), Err(Code::LightningAnswerInvalid)),
    ] {
        let script = Script::start([say.clone()]).await;
        let told = look_up(&receiver(new(script.endpoint())), None).await;
        assert_eq!(told, expected, "{say:?}");
    }
}
