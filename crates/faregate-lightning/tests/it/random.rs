//! Answers made of the words that backends know, put together at random: nothing panics or hangs, nothing is paid without
//! its preimage, and no invoice is handed out that was not made as it was asked for.

use std::time::Duration;

use faregate_core::port::lightning::{PayOutcome, Receiver, Sender};
use faregate_types::Timestamp;
use faregate_types::lightning::BitcoinNetwork;
use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::backend::{NAMES, config};
use crate::kit::{NOW, Say, Script, create, hash, invoice_over, look_up, pay, track};

const KEYS: &[&str] = &[
    "result",
    "error",
    "data",
    "items",
    "invoices",
    "pays",
    "errors",
    "details",
    "status",
    "state",
    "paid",
    "isPaid",
    "settled",
    "settled_at",
    "payment_hash",
    "paymentHash",
    "r_hash",
    "preimage",
    "payment_preimage",
    "paymentPreimage",
    "payment_request",
    "bolt11",
    "invoice",
    "serialized",
    "pr",
    "lightning_invoice",
    "payreq",
    "id",
    "code",
    "message",
    "detail",
    "reason",
    "fee",
    "fee_msat",
    "amount",
    "amount_msat",
    "amount_sent_msat",
    "failure_reason",
    "type",
    "lnInvoicePaymentSend",
    "lnInvoiceFeeProbe",
    "lnInvoiceCreate",
    "me",
    "defaultAccount",
    "walletById",
    "transactionsByPaymentHash",
    "invoiceByPaymentHash",
    "direction",
    "transaction",
    "settlementVia",
    "preImage",
    "paymentQuoteId",
    "lightningNetworkFee",
    "currency",
    "paymentId",
    "lightning",
    "receiveRequestId",
    "tag",
    "callback",
    "minSendable",
    "maxSendable",
    "metadata",
    "verify",
    "paymentRequest",
];

fn word() -> impl Strategy<Value = Value> {
    let words: Vec<Value> = [
        "SUCCEEDED",
        "FAILED",
        "IN_FLIGHT",
        "SETTLED",
        "OPEN",
        "complete",
        "pending",
        "failed",
        "success",
        "settled",
        "PAID",
        "SUCCESS",
        "COMPLETED",
        "SEND",
        "outgoing",
        "payRequest",
        "invoice is already paid",
        "BTC",
        "0.00000001",
        "10000",
        "-1",
        "",
        "quote-1",
        "a/b",
        "../..",
        "FAILURE_REASON_NO_ROUTE",
        "[[\"text/plain\",\"x\"]]",
    ]
    .into_iter()
    .map(Value::from)
    .chain([
        hash().to_string().into(),
        "06".repeat(32).into(),
        "07".repeat(32).into(),
        invoice_over(9_000).into(),
        invoice_over(10_000).get(..60).unwrap().into(),
        Value::Null,
        true.into(),
        false.into(),
        0.into(),
        1.into(),
        10_000.into(),
        u64::MAX.into(),
        (-1).into(),
        1.5.into(),
    ])
    .collect();
    prop::sample::select(words)
}

fn answer() -> impl Strategy<Value = Value> {
    let key = || prop::sample::select(KEYS);
    word().prop_recursive(4, 48, 12, move |inner| {
        let object = prop::collection::vec((key(), inner.clone()), 0..12).prop_map(|fields| {
            let fields = fields
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value));
            Value::Object(fields.collect::<Map<_, _>>())
        });
        prop_oneof![
            4 => object,
            1 => prop::collection::vec(inner, 0..3).prop_map(Value::Array),
        ]
    })
}

fn status() -> impl Strategy<Value = u16> {
    prop_oneof![6 => Just(200), 1 => Just(201), 3 => prop::sample::select(&[400_u16, 401, 404, 409, 422, 500, 520][..])]
}

async fn all(answers: &[(u16, Value)]) {
    let says = || {
        answers
            .iter()
            .map(|(status, value)| Say::Json(*status, value.clone()))
    };
    let clock = || std::sync::Arc::new(|| Timestamp::from_secs(NOW));
    let regtest = BitcoinNetwork::Regtest;
    for name in NAMES {
        for handle in [None, Some("charge-1")] {
            let script = Script::start(says()).await;
            let url = format!("http://{}", script.address);
            let backend = config(name, &url, "c0ffee").receiver().unwrap();
            let receiver = Receiver::new(backend, regtest, clock());
            look_up(&receiver, handle).await.ok();
            assert!(create(&receiver).await.is_err(), "{name}: {answers:?}");
        }
        let script = Script::start(says()).await;
        let url = format!("http://{}", script.address);
        let Ok(backend) = config(name, &url, "c0ffee").sender() else {
            continue;
        };
        let sender = Sender::new(backend, regtest, clock()).unwrap();
        for outcome in [pay(&sender).await, track(&sender).await] {
            assert!(
                !matches!(outcome, PayOutcome::Paid(_)),
                "{name}: {answers:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]

    #[test]
    fn nothing_random_is_a_payment_or_an_invoice(
        answers in prop::collection::vec((status(), answer()), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let whole = async { tokio::time::timeout(Duration::from_secs(60), all(&answers)).await };
        runtime.block_on(whole).unwrap();
    }
}
