//! The gate, under both policies.

use std::sync::atomic::Ordering;
use std::time::Duration;

use alloy_primitives::U256;
use faregate::stack::Stack;
use faregate_core::crash::{GATE, Point};
use faregate_ledger::PaymentState;
use faregate_types::x402::header;
use tokio::time::timeout;

use crate::support::{http, payment_at, received, stack};
use crate::{SOON, configure, let_it_expire, seller, start, state};

/// The answer to `GET /joke` with the payment; `None` when the gate went away instead.
async fn buy(url: &str, credential: &str) -> Option<(u16, String)> {
    let request = http()
        .get(format!("{url}/joke"))
        .header(header::PAYMENT_SIGNATURE, credential);
    let answer = request.send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.text().await.ok()?))
}

/// Recorded and never sent: nobody can know before the authorization expires, and then it is given up.
async fn given_up(stack: &Stack, url: &str, credential: &str, case: &str) {
    let pending = "\"code\":\"settlement_pending\"";
    let (status, body) = buy(url, credential).await.expect(case);
    assert!(status == 402 && body.contains(pending), "{case}: {body}");
    let_it_expire(stack).await;
    let (status, body) = buy(url, credential).await.expect(case);
    assert!(status == 402 && !body.contains(pending), "{case}: {body}");
}

/// The same payment buys the joke, and a copy gets the same answer.
async fn served(url: &str, credential: &str, case: &str) {
    for _ in 0..2 {
        let answer = buy(url, credential).await.expect(case);
        assert_eq!(answer, (200, "a joke".to_owned()), "{case}");
    }
}

/// How often the service runs altogether: again when it ran and its answer was lost with the process.
fn runs_of(point: Point, settle: &str) -> u32 {
    match (point, settle) {
        (Point::BroadcastRecorded, "before") => 0,
        (Point::Served, _)
        | (
            Point::BeforeBroadcastRecorded
            | Point::Broadcast
            | Point::ReceiptSeen
            | Point::OutcomeRecorded,
            "after",
        ) => 2,
        _ => 1,
    }
}

async fn killed_at(point: Point, settle: &str) {
    let case = format!("{}, settle {settle}", point.name());
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    let (upstream, runs) = seller(Duration::ZERO).await;
    let url = configure(folder.path(), &stack, &upstream, settle);
    let before = received(&stack).await;

    let mut gate = start("gate", folder.path(), &url, Some(point)).await;
    let credential = payment_at(&stack, &url, "/joke").await;
    // At the last place the answer may be out already.
    let first = buy(&url, &credential).await;
    assert!(first.is_none() || point == Point::Kept, "{case}: {first:?}");
    let ended = timeout(SOON, gate.wait()).await.expect(&case).unwrap();
    assert!(!ended.success(), "{case}");

    let mut gate = start("gate", folder.path(), &url, None).await;
    let ends = if point == Point::BroadcastRecorded {
        given_up(&stack, &url, &credential, &case).await;
        (U256::ZERO, PaymentState::Failed)
    } else {
        served(&url, &credential, &case).await;
        (U256::from(1_000), PaymentState::Settled)
    };
    gate.kill().await.unwrap();
    let charged = received(&stack).await - before;
    assert_eq!(
        (charged, state(&folder.path().join("gate.db")).await),
        ends,
        "{case}"
    );
    assert_eq!(
        runs.load(Ordering::SeqCst),
        runs_of(point, settle),
        "{case}"
    );
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settled_first() {
    for point in GATE {
        killed_at(point, "before").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settled_afterwards() {
    for point in GATE {
        killed_at(point, "after").await;
    }
}
