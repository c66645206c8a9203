//! LNbits. Shapes as recorded from 1.6.2 with its FakeWallet.

use faregate_core::port::lightning::InvoiceState;
use faregate_lightning::{Endpoint, Lnbits, LnbitsConfig};
use faregate_types::lightning::Msat;
use faregate_types::{Code, Secret};
use serde_json::{Value, json};

use crate::contract;
use crate::kit::{
    Say, Script, create, hash, invoice, look_up, pay, receiver, sender, track, words,
};

fn new(endpoint: Endpoint) -> Lnbits {
    Lnbits::new(LnbitsConfig::new(endpoint, Secret::new(b"key".to_vec()))).unwrap()
}

fn paid(preimage: &str) -> Value {
    json!({
        "checking_id": "internal_a51d", "payment_hash": hash().to_string(), "amount": -10000, "fee": -500,
        "bolt11": invoice(), "status": "success", "preimage": preimage,
    })
}

fn looked(paid: bool, status: &str, amount: i64) -> Say {
    let preimage = paid.then(|| "05".repeat(32));
    Say::Json(
        200,
        json!({ "paid": paid, "preimage": preimage, "details": {
            "payment_hash": hash().to_string(), "amount": amount, "fee": -500, "status": status,
        }}),
    )
}

#[tokio::test]
async fn makes_invoices_and_reports_nothing_that_it_was_not_told() {
    contract::receives(
        new,
        &[],
        |text| json!({ "payment_hash": "x", "bolt11": text }),
    )
    .await;
    contract::receives(new, &[], |text| json!({ "payment_request": text })).await;
}

#[tokio::test]
async fn pays_and_reports_nothing_that_it_was_not_told() {
    contract::pays(new, &[], paid).await;
}

#[tokio::test]
async fn asks_as_lnbits_wants_to_be_asked() {
    let script = Script::start([
        Say::Json(201, json!({ "bolt11": invoice() })),
        Say::Json(201, paid(&"05".repeat(32))),
    ])
    .await;
    create(&receiver(new(script.endpoint()))).await.unwrap();
    assert_eq!(words(&pay(&sender(new(script.endpoint()))).await).0, "paid");
    let calls = script.calls();
    assert_eq!(calls[0].line, "POST /api/v1/payments");
    assert_eq!(calls[0].header("x-api-key"), "key");
    let asked =
        json!({ "out": false, "amount": 10, "unit": "sat", "memo": "a joke", "expiry": 600 });
    assert_eq!(calls[0].json(), asked);
    assert_eq!(calls[1].json(), json!({ "out": true, "bolt11": invoice() }));
}

#[tokio::test]
async fn every_end_of_a_payment_is_read() {
    let said =
        |status, detail: &str| Say::Json(status, json!({ "detail": detail, "status": "failed" }));
    let refused = "refused";
    for (say, kind, code) in [
        (
            said(520, "Insufficient balance."),
            refused,
            Code::InsufficientFunds,
        ),
        (
            said(400, "Bolt11 decoding failed"),
            refused,
            Code::InvoiceUnusable,
        ),
        (
            said(404, "Wallet not found."),
            refused,
            Code::LightningUnauthorized,
        ),
        (
            Say::Json(403, json!({ "detail": "Invoice (or Admin) key required." })),
            refused,
            Code::LightningUnauthorized,
        ),
        (
            said(520, "Payment failed: no route"),
            "failed",
            Code::LightningPaymentFailed,
        ),
        (
            Say::Json(520, json!({ "detail": "?", "status": "pending" })),
            "unknown",
            Code::LightningUnavailable,
        ),
        (
            Say::Json(201, json!({ "status": "pending" })),
            "unknown",
            Code::LightningPaymentPending,
        ),
        (
            Say::Json(201, json!({ "status": "failed" })),
            "failed",
            Code::LightningPaymentFailed,
        ),
        (
            Say::Json(
                201,
                json!({ "status": "success", "payment_hash": "07".repeat(32) }),
            ),
            "unknown",
            Code::LightningAnswerInvalid,
        ),
    ] {
        let script = Script::start([say.clone()]).await;
        let outcome = pay(&sender(new(script.endpoint()))).await;
        assert_eq!(words(&outcome), (kind, Some(code)), "{say:?}");
    }
}

#[tokio::test]
async fn a_payment_that_was_made_before_is_tracked() {
    for (second, kind) in [
        (looked(true, "success", -10_000), "paid"),
        (looked(false, "pending", -10_000), "unknown"),
        (looked(false, "failed", -10_000), "failed"),
        // Only the seller's side is there.
        (looked(true, "success", 10_000), "unknown"),
    ] {
        let already = Say::Json(
            520,
            json!({ "detail": "Internal invoice already paid.", "status": "failed" }),
        );
        let script = Script::start([already, second]).await;
        assert_eq!(words(&pay(&sender(new(script.endpoint()))).await).0, kind);
    }
    let missing = Say::Json(404, json!({ "detail": "Payment does not exist." }));
    let script = Script::start([missing]).await;
    let outcome = track(&sender(new(script.endpoint()))).await;
    assert_eq!(
        words(&outcome),
        ("unknown", Some(Code::LightningPaymentNotFound))
    );
}

#[tokio::test]
async fn every_state_of_an_invoice_is_read() {
    let missing = Say::Json(404, json!({ "detail": "Payment does not exist." }));
    let wrong = Say::Json(404, json!({ "detail": "Wallet not found." }));
    let amount = Some(Msat::new(10_000));
    let less = looked(true, "success", 9_000);
    for (say, expected) in [
        (
            looked(true, "success", 10_000),
            Ok(InvoiceState::Paid { amount }),
        ),
        (looked(false, "pending", 10_000), Ok(InvoiceState::Open)),
        (looked(false, "failed", 10_000), Ok(InvoiceState::Expired)),
        (
            Say::Json(200, json!({ "paid": false, "preimage": null })),
            Ok(InvoiceState::Open),
        ),
        (missing, Ok(InvoiceState::Unknown)),
        (wrong, Err(Code::LightningUnauthorized)),
        (less, Err(Code::LightningAnswerInvalid)),
        (
            Say::Json(200, json!({ "paid": "yes" })),
            Err(Code::LightningAnswerInvalid),
        ),
    ] {
        let script = Script::start([say.clone()]).await;
        let told = look_up(&receiver(new(script.endpoint())), None).await;
        assert_eq!(told, expected, "{say:?}");
    }
}
