//! Strike.

use faregate_core::port::lightning::{InvoiceState, PayOutcome};
use faregate_lightning::{Endpoint, Strike, StrikeConfig};
use faregate_types::lightning::Msat;
use faregate_types::{Code, Secret};
use serde_json::{Value, json};

use crate::contract;
use crate::kit::{
    Say, Script, create, hash, invoice, look_up, pay, receiver, sender, track, words,
};

fn new(endpoint: Endpoint) -> Strike {
    Strike::new(StrikeConfig::new(endpoint, Secret::new(b"key".to_vec()))).unwrap()
}

fn made(text: &str) -> Value {
    json!({ "receiveRequestId": "req-1", "bolt11": { "invoice": text, "paymentHash": "x" } })
}

fn quoted(fee: &str) -> Say {
    Say::Json(
        201,
        json!({ "paymentQuoteId": "quote-1", "lightningNetworkFee": { "amount": fee, "currency": "BTC" } }),
    )
}

fn executed(state: &str, preimage: Option<&str>) -> Value {
    json!({ "paymentId": "pay-1", "state": state, "lightning": {
        "preImage": preimage, "networkFee": { "amount": "0.00000001", "currency": "BTC" },
    }})
}

fn paid(preimage: &str) -> Value {
    executed("COMPLETED", Some(preimage))
}

#[tokio::test]
async fn makes_invoices_and_reports_nothing_that_it_was_not_told() {
    contract::receives(new, &[], made).await;
}

#[tokio::test]
async fn pays_and_reports_nothing_that_it_was_not_told() {
    contract::pays(new, &[quoted("0.00000001")], paid).await;
}

#[tokio::test]
async fn asks_as_strike_wants_to_be_asked() {
    let script = Script::start([
        Say::Json(201, made(&invoice())),
        quoted("0.00000001"),
        Say::Json(200, paid(&"05".repeat(32))),
    ])
    .await;
    let wanted = create(&receiver(new(script.endpoint())))
        .await
        .unwrap()
        .wanted();
    assert_eq!(
        (wanted.payment_hash, wanted.handle.as_deref()),
        (hash(), Some("req-1"))
    );
    let PayOutcome::Paid(done) = pay(&sender(new(script.endpoint()))).await else {
        panic!("not paid");
    };
    assert_eq!(done.fee, Some(Msat::new(1_000)));
    let calls = script.calls();
    assert_eq!(calls[0].header("authorization"), "Bearer key");
    let amount = json!({ "currency": "BTC", "amount": "0.00000010" });
    assert_eq!(
        (calls[0].line.as_str(), &calls[0].json()["bolt11"]["amount"]),
        ("POST /v1/receive-requests", &amount)
    );
    let asked = json!({ "lnInvoice": invoice(), "sourceCurrency": "BTC" });
    assert_eq!(
        (calls[1].line.as_str(), calls[1].json()),
        ("POST /v1/payment-quotes/lightning", asked)
    );
    assert_eq!(calls[2].line, "PATCH /v1/payment-quotes/quote-1/execute");
}

#[tokio::test]
async fn nothing_is_executed_whose_cost_is_not_known_or_too_high() {
    let total = |amount: &str| {
        let total = json!({ "amount": amount, "currency": "BTC" });
        let fee = json!({ "amount": "0", "currency": "BTC" });
        Say::Json(
            201,
            json!({ "paymentQuoteId": "quote-1", "totalAmount": total, "lightningNetworkFee": fee }),
        )
    };
    let dollars = json!({ "paymentQuoteId": "q", "lightningNetworkFee": { "amount": "0", "currency": "USD" } });
    let poor = json!({ "data": { "status": "422", "code": "BALANCE_TOO_LOW", "message": "Insufficient funds" } });
    for (say, code) in [
        (quoted("0.00000002"), Code::LightningNoRoute),
        (quoted("0.000000010001"), Code::LightningNoRoute),
        (total("0.00000012"), Code::LightningNoRoute),
        (total("0.00000009"), Code::LightningAnswerInvalid),
        (Say::Json(201, dollars), Code::LightningAnswerInvalid),
        (
            Say::Json(201, json!({ "paymentQuoteId": "a/b" })),
            Code::LightningAnswerInvalid,
        ),
        (Say::Json(422, poor), Code::InsufficientFunds),
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
async fn a_payment_on_its_way_is_looked_at_until_time_is_up() {
    let pending = || Say::Json(200, executed("PENDING", None));
    let end = |end| [quoted("0"), pending(), end];
    let right = "05".repeat(32);
    for (last, kind) in [
        (Say::Json(200, paid(&right)), "paid"),
        (Say::Json(200, executed("FAILED", None)), "failed"),
        (pending(), "unknown"),
        (Say::Text(500, ""), "unknown"),
    ] {
        let script = Script::start(end(last.clone())).await;
        assert_eq!(
            words(&pay(&sender(new(script.endpoint()))).await).0,
            kind,
            "{last:?}"
        );
        assert_eq!(script.calls()[2].line, "GET /v1/payments/pay-1");
    }
    // Done, and the preimage comes later.
    let bare = Say::Json(200, executed("COMPLETED", None));
    let script = Script::start([quoted("0"), bare, Say::Json(200, paid(&right))]).await;
    assert_eq!(words(&pay(&sender(new(script.endpoint()))).await).0, "paid");
}

#[tokio::test]
async fn what_was_lost_is_not_found_again() {
    let script = Script::start([]).await;
    let outcome = track(&sender(new(script.endpoint()))).await;
    assert_eq!(
        words(&outcome),
        ("unknown", Some(Code::LightningUnsupported))
    );
    let done = Say::Json(422, json!({ "data": { "code": "LN_INVOICE_PROCESSED" } }));
    let script = Script::start([quoted("0"), done]).await;
    assert_eq!(
        words(&pay(&sender(new(script.endpoint()))).await).0,
        "unknown"
    );
}

#[tokio::test]
async fn every_state_of_an_invoice_is_read() {
    let items = |items: Value| Say::Json(200, json!({ "items": items }));
    let received = |amount: &str| json!([{ "state": "PENDING" }, { "state": "COMPLETED", "amountReceived": { "amount": amount, "currency": "BTC" } }]);
    let amount = Some(Msat::new(10_000));
    for (say, expected) in [
        (items(json!([])), Ok(InvoiceState::Open)),
        (
            items(json!([{ "state": "PENDING" }])),
            Ok(InvoiceState::Open),
        ),
        (
            items(received("0.00000010")),
            Ok(InvoiceState::Paid { amount }),
        ),
        (
            items(received("0.00000009")),
            Err(Code::LightningAnswerInvalid),
        ),
        (Say::Json(200, json!({})), Err(Code::LightningAnswerInvalid)),
        (Say::Json(404, json!({})), Ok(InvoiceState::Unknown)),
    ] {
        let script = Script::start([say.clone()]).await;
        let told = look_up(&receiver(new(script.endpoint())), Some("req-1")).await;
        assert_eq!(told, expected, "{say:?}");
        assert_eq!(
            script.calls()[0].line,
            "GET /v1/receive-requests/req-1/receives"
        );
    }
}
