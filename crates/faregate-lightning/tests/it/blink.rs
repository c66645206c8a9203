//! Blink.

use faregate_core::port::lightning::{InvoiceState, PayOutcome};
use faregate_lightning::{Blink, BlinkConfig, Endpoint};
use faregate_types::lightning::Msat;
use faregate_types::{Code, Secret};
use serde_json::{Value, json};

use crate::contract;
use crate::kit::{
    Say, Script, create, hash, invoice, look_up, pay, receiver, sender, track, words,
};

fn new(endpoint: Endpoint) -> Blink {
    let key = Secret::new(b"blink_key".to_vec());
    Blink::new(BlinkConfig::new(endpoint, key, "w".into())).unwrap()
}

fn probed(sat: u64) -> Say {
    Say::Json(
        200,
        json!({ "data": { "lnInvoiceFeeProbe": { "amount": sat, "errors": [] } } }),
    )
}

fn sent(status: &str, preimage: Option<&str>, errors: &Value) -> Value {
    json!({ "data": { "lnInvoicePaymentSend": { "status": status, "errors": errors, "transaction": {
        "settlementFee": 1, "settlementVia": { "preImage": preimage },
    }}}})
}

fn paid(preimage: &str) -> Value {
    sent("SUCCESS", Some(preimage), &json!([]))
}

fn found(list: &Value) -> Say {
    Say::Json(
        200,
        json!({ "data": { "me": { "defaultAccount": { "walletById": { "transactionsByPaymentHash": list } } } } }),
    )
}

fn one(direction: &str, status: &str, preimage: Option<&str>) -> Value {
    json!({ "settlementFee": 1, "status": status, "direction": direction, "settlementVia": { "preImage": preimage } })
}

#[tokio::test]
async fn makes_invoices_and_reports_nothing_that_it_was_not_told() {
    contract::receives(new, &[], |text| {
        json!({ "data": { "lnInvoiceCreate": { "invoice": { "paymentRequest": text }, "errors": [] } } })
    })
    .await;
}

#[tokio::test]
async fn pays_and_reports_nothing_that_it_was_not_told() {
    contract::pays(new, &[probed(1)], paid).await;
}

#[tokio::test]
async fn asks_as_blink_wants_to_be_asked() {
    let made =
        json!({ "data": { "lnInvoiceCreate": { "invoice": { "paymentRequest": invoice() } } } });
    let script = Script::start([
        Say::Json(200, made),
        probed(1),
        Say::Json(200, paid(&"05".repeat(32))),
    ])
    .await;
    create(&receiver(new(script.endpoint()))).await.unwrap();
    let PayOutcome::Paid(done) = pay(&sender(new(script.endpoint()))).await else {
        panic!("not paid");
    };
    assert_eq!(done.fee, Some(Msat::new(1_000)));
    let calls = script.calls();
    assert_eq!(calls[0].line, "POST /graphql");
    assert_eq!(calls[0].header("x-api-key"), "blink_key");
    let input = json!({ "walletId": "w", "amount": 10, "memo": "a joke", "expiresIn": 10 });
    assert_eq!(calls[0].json()["variables"]["input"], input);
    let input = json!({ "walletId": "w", "paymentRequest": invoice() });
    assert_eq!(calls[1].json()["variables"]["input"], input);
    assert_eq!(calls[2].json()["variables"]["input"], input);
}

#[tokio::test]
async fn a_fee_above_the_limit_is_not_paid() {
    let failed = json!({ "data": { "lnInvoiceFeeProbe": { "amount": null, "errors": [{ "code": "ROUTE_FINDING_ERROR" }] } } });
    let denied = json!({ "errors": [{ "message": "Not authorized", "extensions": { "code": "UNAUTHENTICATED" } }] });
    for (say, code) in [
        (probed(2), Code::LightningNoRoute),
        (Say::Json(200, failed), Code::LightningNoRoute),
        (Say::Json(200, denied), Code::LightningUnauthorized),
        (Say::Text(500, "oops"), Code::LightningUnavailable),
        (Say::Nothing, Code::LightningUnavailable),
    ] {
        let script = Script::start([say.clone()]).await;
        let outcome = pay(&sender(new(script.endpoint()))).await;
        assert_eq!(words(&outcome), ("refused", Some(code)), "{say:?}");
        assert_eq!(script.calls().len(), 1);
    }
}

#[tokio::test]
async fn every_end_of_a_payment_is_read() {
    let poor = json!([{ "message": "balance is too low", "code": "INSUFFICIENT_BALANCE" }]);
    let denied = json!({ "data": null, "errors": [{ "message": "Not authorized" }] });
    let garbled = json!({ "data": null, "errors": [{ "message": "Unknown argument" }] });
    for (say, kind, code) in [
        (
            sent("FAILURE", None, &poor),
            "failed",
            Code::InsufficientFunds,
        ),
        (
            sent("FAILURE", None, &json!([])),
            "failed",
            Code::LightningPaymentFailed,
        ),
        (
            sent("PENDING", None, &json!([])),
            "unknown",
            Code::LightningPaymentPending,
        ),
        (
            sent("?", None, &json!([])),
            "unknown",
            Code::LightningAnswerInvalid,
        ),
        (denied, "refused", Code::LightningUnauthorized),
        (garbled, "unknown", Code::LightningAnswerInvalid),
    ] {
        let script = Script::start([probed(0), Say::Json(200, say.clone())]).await;
        let outcome = pay(&sender(new(script.endpoint()))).await;
        assert_eq!(words(&outcome), (kind, Some(code)), "{say}");
    }
}

#[tokio::test]
async fn a_preimage_that_is_late_is_waited_for() {
    let none = Say::Json(200, sent("SUCCESS", None, &json!([])));
    let right = "05".repeat(32);
    let late = found(&json!([one("SEND", "SUCCESS", Some(&right))]));
    let not_yet = found(&json!([one("SEND", "SUCCESS", None)]));
    let script = Script::start([probed(0), none.clone(), not_yet.clone(), late]).await;
    assert_eq!(words(&pay(&sender(new(script.endpoint()))).await).0, "paid");
    let never = [probed(0), none, not_yet.clone(), not_yet.clone(), not_yet];
    let script = Script::start(never).await;
    let outcome = pay(&sender(new(script.endpoint()))).await;
    assert_eq!(
        words(&outcome),
        ("unknown", Some(Code::LightningPreimageMissing))
    );
}

#[tokio::test]
async fn a_payment_is_tracked_by_what_was_sent() {
    let right = "05".repeat(32);
    let preimage = || Some(right.as_str());
    for (list, kind, code) in [
        (
            json!([
                one("RECEIVE", "SUCCESS", preimage()),
                one("SEND", "SUCCESS", preimage())
            ]),
            "paid",
            None,
        ),
        (
            json!([one("RECEIVE", "SUCCESS", preimage())]),
            "unknown",
            Some(Code::LightningPaymentNotFound),
        ),
        (
            json!([one("SEND", "PENDING", None)]),
            "unknown",
            Some(Code::LightningPaymentPending),
        ),
        (
            json!([one("SEND", "FAILURE", None)]),
            "failed",
            Some(Code::LightningPaymentFailed),
        ),
        (
            json!([one("SEND", "FAILURE", None), one("SEND", "PENDING", None)]),
            "unknown",
            Some(Code::LightningPaymentPending),
        ),
        (
            json!([one("SEND", "?", None)]),
            "unknown",
            Some(Code::LightningAnswerInvalid),
        ),
        (json!(null), "unknown", Some(Code::LightningAnswerInvalid)),
    ] {
        let script = Script::start([found(&list)]).await;
        assert_eq!(
            words(&track(&sender(new(script.endpoint()))).await),
            (kind, code),
            "{list}"
        );
        let again = Say::Json(200, sent("ALREADY_PAID", None, &json!([])));
        let script = Script::start([probed(0), again, found(&list)]).await;
        assert_eq!(
            words(&pay(&sender(new(script.endpoint()))).await),
            (kind, code),
            "{list}"
        );
    }
}

#[tokio::test]
async fn every_state_of_an_invoice_is_read() {
    let state = |invoice: &Value| {
        let found = json!({ "walletById": { "invoiceByPaymentHash": invoice } });
        Say::Json(
            200,
            json!({ "data": { "me": { "defaultAccount": found } } }),
        )
    };
    let status = |status: &str| {
        state(&json!({ "paymentHash": hash().to_string(), "paymentStatus": status }))
    };
    let other = state(&json!({ "paymentHash": "07".repeat(32), "paymentStatus": "PAID" }));
    for (say, expected) in [
        (status("PAID"), Ok(InvoiceState::Paid { amount: None })),
        (status("PENDING"), Ok(InvoiceState::Open)),
        (status("EXPIRED"), Ok(InvoiceState::Expired)),
        (status("?"), Err(Code::LightningAnswerInvalid)),
        (other, Err(Code::LightningAnswerInvalid)),
        (state(&Value::Null), Ok(InvoiceState::Unknown)),
        (
            Say::Json(200, json!({ "errors": [{ "message": "x" }] })),
            Err(Code::LightningAnswerInvalid),
        ),
        (
            Say::Json(200, json!({ "errors": [{ "message": "Not authorized" }] })),
            Err(Code::LightningUnauthorized),
        ),
    ] {
        let script = Script::start([say.clone()]).await;
        let told = look_up(&receiver(new(script.endpoint())), None).await;
        assert_eq!(told, expected, "{say:?}");
    }
}
