//! The facilitator: one transfer, and success is heard once.

use std::path::Path;

use alloy_primitives::U256;
use faregate::stack::Stack;
use faregate_core::crash::{FACILITATOR, Point};
use faregate_ledger::PaymentState;
use faregate_types::x402::header;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{http, payment, received, stack};
use crate::{SOON, free_port, let_it_expire, start, state};

/// Writes the configuration of a facilitator and returns where it will listen.
fn configure(folder: &Path, stack: &Stack) -> String {
    let bind = format!("127.0.0.1:{}", free_port());
    let text = format!(
        "[facilitator]\nbind = \"{bind}\"\nstore = \"{}\"\nsigner_key = \"env:GAS_KEY\"\n\n\
         [[facilitator.network]]\nnetwork = \"{}\"\nrpc_url = \"{}\"\n",
        folder.join("facilitator.db").display(),
        stack.chain,
        stack.rpc_url(),
    );
    std::fs::write(folder.join("facilitator.toml"), text).unwrap();
    format!("http://{bind}")
}

/// The body of `POST /settle`.
async fn request(stack: &Stack) -> Value {
    let payment = header::decode_base64(payment(stack, "/joke").await.as_bytes()).unwrap();
    let payment: Value = serde_json::from_slice(&payment).unwrap();
    json!({"x402Version": 2, "paymentRequirements": payment["accepted"], "paymentPayload": payment})
}

/// The answer to `POST /settle`; `None` when the facilitator went away instead.
async fn settle(url: &str, request: &Value) -> Option<Value> {
    let call = http()
        .post(format!("{url}/settle"))
        .header("content-type", "application/json")
        .body(request.to_string());
    let answer = call.send().await.ok()?;
    serde_json::from_str(&answer.text().await.ok()?).ok()
}

async fn settled(url: &str, request: &Value, case: &str) {
    let first = settle(url, request).await.expect(case);
    assert_eq!(first["success"], true, "{case}: {first}");
    // Nobody had heard of it before the process ended; now somebody has.
    let copy = settle(url, request).await.expect(case);
    assert_eq!(copy["errorReason"], "duplicate_settlement", "{case}");
    assert_eq!(copy["transaction"], first["transaction"], "{case}");
}

/// Recorded and never sent: nobody can know before the authorization expires, and then it is given up.
async fn given_up(stack: &Stack, url: &str, request: &Value, case: &str) {
    let first = settle(url, request).await.expect(case);
    assert_eq!(
        first["errorReason"], "settlement_pending",
        "{case}: {first}"
    );
    let_it_expire(stack).await;
    let second = settle(url, request).await.expect(case);
    assert_eq!(second["success"], false, "{case}: {second}");
    assert_ne!(second["errorReason"], "settlement_pending", "{case}");
}

async fn killed_at(point: Point) {
    let case = point.name();
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    let url = configure(folder.path(), &stack);
    let before = received(&stack).await;
    let request = request(&stack).await;

    let mut facilitator = start("facilitator", folder.path(), &url, Some(point)).await;
    let first = settle(&url, &request).await;
    assert!(first.is_none(), "{case}: {first:?}");
    let ended = timeout(SOON, facilitator.wait()).await.expect(case);
    assert!(!ended.unwrap().success(), "{case}");

    let mut facilitator = start("facilitator", folder.path(), &url, None).await;
    let ends = if point == Point::BroadcastRecorded {
        given_up(&stack, &url, &request, case).await;
        (U256::ZERO, PaymentState::Failed)
    } else {
        settled(&url, &request, case).await;
        (U256::from(1_000), PaymentState::Settled)
    };
    facilitator.kill().await.unwrap();
    let charged = received(&stack).await - before;
    let found = state(&folder.path().join("facilitator.db")).await;
    assert_eq!((charged, found), ends, "{case}");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_transfer_and_one_result() {
    for point in FACILITATOR {
        killed_at(point).await;
    }
}
