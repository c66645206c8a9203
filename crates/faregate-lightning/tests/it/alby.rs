//! Alby, both APIs.

use faregate_core::port::lightning::{InvoiceState, PayOutcome};
use faregate_lightning::{Alby, AlbyConfig, AlbyKind, Endpoint};
use faregate_types::lightning::Msat;
use faregate_types::{Code, Secret};
use serde_json::{Value, json};

use crate::contract;
use crate::kit::{
    Say, Script, create, hash, invoice, look_up, pay, receiver, sender, track, words,
};

fn new(kind: AlbyKind) -> impl Fn(Endpoint) -> Alby {
    move |endpoint| {
        let token = Secret::new(b"token".to_vec());
        Alby::new(AlbyConfig::new(kind, endpoint, token)).unwrap()
    }
}

fn hub(endpoint: Endpoint) -> Alby {
    new(AlbyKind::Hub)(endpoint)
}

fn legacy(endpoint: Endpoint) -> Alby {
    new(AlbyKind::Legacy)(endpoint)
}

fn transaction(kind: &str, state: &str, preimage: Option<&str>) -> Value {
    json!({
        "type": kind, "state": state, "invoice": invoice(), "paymentHash": hash().to_string(), "preimage": preimage,
        "amount": 10000, "feesPaid": 300,
    })
}

fn legacy_paid(preimage: &str) -> Value {
    json!({ "amount": 10, "fee": 1, "payment_hash": hash().to_string(), "payment_preimage": preimage })
}

#[tokio::test]
async fn makes_invoices_and_reports_nothing_that_it_was_not_told() {
    contract::receives(
        hub,
        &[],
        |text| json!({ "type": "incoming", "invoice": text }),
    )
    .await;
    contract::receives(
        legacy,
        &[],
        |text| json!({ "payment_hash": "x", "payment_request": text }),
    )
    .await;
}

#[tokio::test]
async fn pays_and_reports_nothing_that_it_was_not_told() {
    contract::pays(hub, &[], |preimage| {
        transaction("outgoing", "settled", Some(preimage))
    })
    .await;
    contract::pays(legacy, &[], legacy_paid).await;
}

#[tokio::test]
async fn asks_as_each_api_wants_to_be_asked() {
    let right = "05".repeat(32);
    let says = [
        Say::Json(200, json!({ "invoice": invoice() })),
        Say::Json(200, transaction("outgoing", "settled", Some(&right))),
    ];
    let script = Script::start(says).await;
    create(&receiver(hub(script.endpoint()))).await.unwrap();
    let PayOutcome::Paid(paid) = pay(&sender(hub(script.endpoint()))).await else {
        panic!("not paid");
    };
    assert_eq!(paid.fee, Some(Msat::new(300)));
    let calls = script.calls();
    assert_eq!(calls[0].line, "POST /api/invoices");
    assert_eq!(calls[0].header("authorization"), "Bearer token");
    assert_eq!(
        calls[0].json(),
        json!({ "amount": 10_000, "description": "a joke" })
    );
    assert_eq!(calls[1].line, format!("POST /api/payments/{}", invoice()));

    let says = [
        Say::Json(201, json!({ "payment_request": invoice() })),
        Say::Json(200, legacy_paid(&right)),
    ];
    let script = Script::start(says).await;
    create(&receiver(legacy(script.endpoint()))).await.unwrap();
    let PayOutcome::Paid(paid) = pay(&sender(legacy(script.endpoint()))).await else {
        panic!("not paid");
    };
    assert_eq!(paid.fee, Some(Msat::new(1_000)));
    let calls = script.calls();
    assert_eq!(calls[0].line, "POST /invoices");
    assert_eq!(
        calls[0].json(),
        json!({ "amount": 10, "description": "a joke" })
    );
    assert_eq!(calls[1].line, "POST /payments/bolt11");
    assert_eq!(calls[1].json(), json!({ "invoice": invoice() }));
}

#[tokio::test]
async fn every_end_of_a_payment_is_read() {
    let said = |status, message: &str| Say::Json(status, json!({ "message": message }));
    for (say, kind, code) in [
        (
            said(500, "Insufficient balance remaining"),
            "refused",
            Code::InsufficientFunds,
        ),
        (
            said(500, "this invoice has expired"),
            "refused",
            Code::InvoiceExpired,
        ),
        (
            said(400, "Failed to decode bolt11 invoice"),
            "refused",
            Code::InvoiceUnusable,
        ),
        (
            said(500, "failed to send payment: timeout"),
            "unknown",
            Code::LightningUnavailable,
        ),
        (
            Say::Json(200, transaction("outgoing", "pending", None)),
            "unknown",
            Code::LightningPaymentPending,
        ),
        (
            Say::Json(200, transaction("outgoing", "failed", None)),
            "failed",
            Code::LightningPaymentFailed,
        ),
        (
            Say::Json(200, transaction("outgoing", "settled", None)),
            "unknown",
            Code::LightningAnswerInvalid,
        ),
        (
            Say::Json(
                200,
                json!({ "paymentHash": "07".repeat(32), "preimage": "05".repeat(32) }),
            ),
            "unknown",
            Code::LightningAnswerInvalid,
        ),
    ] {
        let script = Script::start([say.clone()]).await;
        let outcome = pay(&sender(hub(script.endpoint()))).await;
        assert_eq!(words(&outcome), (kind, Some(code)), "{say:?}");
    }
}

#[tokio::test]
async fn a_hub_tracks_what_went_out_and_the_older_api_tracks_nothing() {
    let right = "05".repeat(32);
    let missing = Say::Json(404, json!({ "message": "Transaction not found" }));
    for (say, kind, code) in [
        (
            Say::Json(200, transaction("outgoing", "settled", Some(&right))),
            "paid",
            None,
        ),
        (
            Say::Json(200, transaction("outgoing", "pending", None)),
            "unknown",
            Some(Code::LightningPaymentPending),
        ),
        (
            Say::Json(200, transaction("outgoing", "failed", None)),
            "failed",
            Some(Code::LightningPaymentFailed),
        ),
        (
            Say::Json(200, transaction("incoming", "settled", Some(&right))),
            "unknown",
            Some(Code::LightningPaymentNotFound),
        ),
        (missing, "unknown", Some(Code::LightningPaymentNotFound)),
        (
            Say::Text(404, "nginx"),
            "unknown",
            Some(Code::LightningAnswerInvalid),
        ),
    ] {
        let script = Script::start([say.clone()]).await;
        assert_eq!(
            words(&track(&sender(hub(script.endpoint()))).await),
            (kind, code),
            "{say:?}"
        );
        let again = Say::Json(
            500,
            json!({ "message": "this invoice has already been paid" }),
        );
        let script = Script::start([again, say.clone()]).await;
        assert_eq!(
            words(&pay(&sender(hub(script.endpoint()))).await),
            (kind, code),
            "{say:?}"
        );
    }
    let script = Script::start([]).await;
    let outcome = track(&sender(legacy(script.endpoint()))).await;
    assert_eq!(
        words(&outcome),
        ("unknown", Some(Code::LightningUnsupported))
    );
    assert!(script.calls().is_empty());
}

#[tokio::test]
async fn every_state_of_an_invoice_is_read() {
    let amount = Some(Msat::new(10_000));
    let paid = Ok(InvoiceState::Paid { amount });
    let of_hub = |state: &str| Say::Json(200, transaction("incoming", state, None));
    let of_legacy = |state: &str| {
        Say::Json(
            200,
            json!({ "payment_hash": hash().to_string(), "state": state, "amount": 10 }),
        )
    };
    let other = json!({ "state": "settled", "paymentHash": "07".repeat(32) });
    for (kind, say, expected) in [
        (AlbyKind::Hub, of_hub("settled"), paid),
        (AlbyKind::Hub, of_hub("pending"), Ok(InvoiceState::Open)),
        (AlbyKind::Hub, of_hub("failed"), Ok(InvoiceState::Expired)),
        (
            AlbyKind::Hub,
            of_hub("?"),
            Err(Code::LightningAnswerInvalid),
        ),
        (
            AlbyKind::Hub,
            Say::Json(200, other),
            Err(Code::LightningAnswerInvalid),
        ),
        (
            AlbyKind::Hub,
            Say::Json(404, json!({ "message": "not found" })),
            Ok(InvoiceState::Unknown),
        ),
        (AlbyKind::Legacy, of_legacy("SETTLED"), paid),
        (
            AlbyKind::Legacy,
            of_legacy("CREATED"),
            Ok(InvoiceState::Open),
        ),
        (
            AlbyKind::Legacy,
            Say::Json(200, json!({ "settled": false })),
            Ok(InvoiceState::Open),
        ),
        (
            AlbyKind::Legacy,
            Say::Json(200, json!({ "settled": true, "amount": 9 })),
            Err(Code::LightningAnswerInvalid),
        ),
    ] {
        let script = Script::start([say.clone()]).await;
        let told = look_up(&receiver(new(kind)(script.endpoint())), None).await;
        assert_eq!(told, expected, "{say:?}");
    }
}
