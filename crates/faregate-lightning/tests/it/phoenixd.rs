//! phoenixd.

use faregate_core::port::lightning::{InvoiceState, PayOutcome};
use faregate_lightning::{Endpoint, Phoenixd, PhoenixdConfig};
use faregate_types::lightning::Msat;
use faregate_types::{Code, Secret};
use serde_json::{Value, json};

use crate::contract;
use crate::kit::{
    Say, Script, create, hash, invoice, look_up, pay, receiver, sender, track, words,
};

fn new(endpoint: Endpoint) -> Phoenixd {
    Phoenixd::new(PhoenixdConfig::new(endpoint, Secret::new(b"pass".to_vec()))).unwrap()
}

fn paid(preimage: &str) -> Value {
    json!({
        "recipientAmountSat": 10, "routingFeeSat": 4, "paymentId": "cd1c", "paymentHash": hash().to_string(),
        "paymentPreimage": preimage,
    })
}

#[tokio::test]
async fn makes_invoices_and_reports_nothing_that_it_was_not_told() {
    contract::receives(
        new,
        &[],
        |text| json!({ "amountSat": 10, "paymentHash": "x", "serialized": text }),
    )
    .await;
}

#[tokio::test]
async fn pays_and_reports_nothing_that_it_was_not_told() {
    contract::pays(new, &[], paid).await;
}

#[tokio::test]
async fn asks_as_phoenixd_wants_to_be_asked() {
    let script = Script::start([
        Say::Json(200, json!({ "serialized": invoice() })),
        Say::Json(200, paid(&"05".repeat(32))),
    ])
    .await;
    create(&receiver(new(script.endpoint()))).await.unwrap();
    let PayOutcome::Paid(done) = pay(&sender(new(script.endpoint()))).await else {
        panic!("not paid");
    };
    assert_eq!(done.fee, Some(Msat::new(4_000)));
    let calls = script.calls();
    assert_eq!(calls[0].line, "POST /createinvoice");
    // ":pass" in base64.
    assert_eq!(calls[0].header("authorization"), "Basic OnBhc3M=");
    assert_eq!(
        calls[0].body,
        "amountSat=10&description=a+joke&expirySeconds=600"
    );
    assert_eq!(calls[1].line, "POST /payinvoice");
    assert_eq!(calls[1].body, format!("invoice={}", invoice()));
}

#[tokio::test]
async fn every_end_of_a_payment_is_read() {
    let failed = |reason: &str| {
        Say::Json(
            200,
            json!({ "paymentHash": hash().to_string(), "reason": reason }),
        )
    };
    for (say, kind, code) in [
        (
            failed("not enough funds in wallet"),
            "failed",
            Code::InsufficientFunds,
        ),
        (failed("no route found"), "failed", Code::LightningNoRoute),
        (
            failed("recipient node rejected the payment"),
            "failed",
            Code::LightningPaymentFailed,
        ),
        (
            Say::Text(400, "invalid parameter"),
            "refused",
            Code::InvoiceUnusable,
        ),
    ] {
        let script = Script::start([say.clone()]).await;
        let outcome = pay(&sender(new(script.endpoint()))).await;
        assert_eq!(words(&outcome), (kind, Some(code)), "{say:?}");
    }
}

#[tokio::test]
async fn a_payment_is_tracked_by_its_hash() {
    let found = |paid: bool, preimage: Option<String>| {
        Say::Json(
            200,
            json!({ "paymentHash": hash().to_string(), "isPaid": paid, "preimage": preimage, "fees": 4000 }),
        )
    };
    for (say, kind) in [
        (found(true, Some("05".repeat(32))), "paid"),
        (found(true, Some("06".repeat(32))), "unknown"),
        (found(true, None), "unknown"),
        (found(false, None), "unknown"),
        (Say::Text(404, "Not found"), "unknown"),
    ] {
        let script = Script::start([say.clone()]).await;
        assert_eq!(
            words(&track(&sender(new(script.endpoint()))).await).0,
            kind,
            "{say:?}"
        );
        assert_eq!(
            script.calls()[0].line,
            format!("GET /payments/outgoingbyhash/{}", hash())
        );
    }
    // One that was paid before is looked at.
    let already = Say::Json(
        200,
        json!({ "reason": "this invoice has already been paid" }),
    );
    let script = Script::start([already, found(true, Some("05".repeat(32)))]).await;
    assert_eq!(words(&pay(&sender(new(script.endpoint()))).await).0, "paid");
}

#[tokio::test]
async fn every_state_of_an_invoice_is_read() {
    let state = |paid: bool, expired: bool, hash: &str| {
        Say::Json(
            200,
            json!({ "paymentHash": hash, "isPaid": paid, "isExpired": expired, "receivedSat": 6 }),
        )
    };
    let ours = hash().to_string();
    for (say, expected) in [
        (
            state(true, false, &ours),
            Ok(InvoiceState::Paid { amount: None }),
        ),
        (state(false, false, &ours), Ok(InvoiceState::Open)),
        (state(false, true, &ours), Ok(InvoiceState::Expired)),
        (
            state(true, false, &"07".repeat(32)),
            Err(Code::LightningAnswerInvalid),
        ),
        (Say::Text(404, "Not found"), Ok(InvoiceState::Unknown)),
    ] {
        let script = Script::start([say.clone()]).await;
        let told = look_up(&receiver(new(script.endpoint())), None).await;
        assert_eq!(told, expected, "{say:?}");
    }
}
