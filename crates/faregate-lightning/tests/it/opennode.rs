//! OpenNode.

use faregate_core::port::lightning::InvoiceState;
use faregate_lightning::{Endpoint, OpenNode, OpenNodeConfig};
use faregate_types::{Code, Secret};
use serde_json::{Value, json};

use crate::contract;
use crate::kit::{Say, Script, create, hash, invoice, look_up, receiver};

fn new(endpoint: Endpoint) -> OpenNode {
    OpenNode::new(OpenNodeConfig::new(endpoint, Secret::new(b"key".to_vec()))).unwrap()
}

fn made(text: &str) -> Value {
    json!({ "data": { "id": "charge-1", "status": "unpaid", "lightning_invoice": { "payreq": text } } })
}

#[tokio::test]
async fn makes_invoices_and_reports_nothing_that_it_was_not_told() {
    contract::receives(new, &[], made).await;
}

#[tokio::test]
async fn the_id_of_a_charge_is_kept_and_is_not_the_hash() {
    let paid = json!({ "data": { "id": "charge-1", "status": "paid" } });
    let script = Script::start([Say::Json(201, made(&invoice())), Say::Json(200, paid)]).await;
    let receiver = receiver(new(script.endpoint()));
    let wanted = create(&receiver).await.unwrap().wanted();
    assert_eq!(wanted.payment_hash, hash());
    assert_eq!(wanted.handle.as_deref(), Some("charge-1"));
    assert_eq!(
        receiver.look_up(&wanted).await,
        Ok(InvoiceState::Paid { amount: None })
    );
    let calls = script.calls();
    assert_eq!(calls[0].header("authorization"), "key");
    let asked = json!({ "amount": 10, "currency": "SATS", "description": "a joke", "auto_settle": false, "ttl": 10 });
    assert_eq!(
        (calls[0].line.as_str(), calls[0].json()),
        ("POST /v1/charges", asked)
    );
    assert_eq!(calls[1].line, "GET /v1/charge/charge-1");
}

#[tokio::test]
async fn every_state_of_a_charge_is_read() {
    let state =
        |status: &str, id: &str| Say::Json(200, json!({ "data": { "id": id, "status": status } }));
    for (say, expected) in [
        (state("unpaid", "c"), Ok(InvoiceState::Open)),
        (state("processing", "c"), Ok(InvoiceState::Open)),
        (state("underpaid", "c"), Ok(InvoiceState::Open)),
        (state("paid", "c"), Ok(InvoiceState::Paid { amount: None })),
        (state("expired", "c"), Ok(InvoiceState::Expired)),
        (state("refunded", "c"), Ok(InvoiceState::Cancelled)),
        (state("paid", "d"), Err(Code::LightningAnswerInvalid)),
        (state("?", "c"), Err(Code::LightningAnswerInvalid)),
        (Say::Json(404, json!({})), Ok(InvoiceState::Unknown)),
    ] {
        let script = Script::start([say.clone()]).await;
        let told = look_up(&receiver(new(script.endpoint())), Some("c")).await;
        assert_eq!(told, expected, "{say:?}");
    }
    // Without an id, or with one that leads elsewhere, nothing is asked.
    for handle in [None, Some("../withdrawals")] {
        let script = Script::start([]).await;
        let told = look_up(&receiver(new(script.endpoint())), handle).await;
        assert_eq!(told, Err(Code::LightningUnsupported));
        assert!(script.calls().is_empty());
    }
}
