//! Who hangs up, who takes too long, and who is away.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use faregate_core::port::Finality;
use faregate_ledger::PaymentState;
use faregate_tower::limits::{TOKEN_BODY_WAIT, TOKEN_WAIT};
use faregate_types::{Code, Timestamp};
use futures_util::poll;
use futures_util::stream::{self, StreamExt};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::time::Instant;

use super::collector::*;
use super::world::*;

/// `/song` is sold when its money has moved.
fn song() -> faregate_types::permit::Permit {
    worth(0, 2 * PRICE)
}

#[tokio::test]
async fn who_hangs_up_half_way_has_paid_and_has_a_token_all_the_same() {
    let world = World::new().await;
    world.script.hold();
    let endpoint = world.endpoint("/song").await;
    let mut asking = Box::pin(world.post(&endpoint, written(&song())));
    while world.script.settles() == 0 {
        assert!(poll!(asking.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    drop(asking);
    world.script.go();
    world.purchases.ended().await;
    let state = world.memory.state(song().payment_id());
    assert_eq!(state, Some(PaymentState::Settled));
    let token = world.buy("/song", &song()).await.token();
    assert_eq!(world.open("/song", &token).await.status, 200);
    assert_eq!(world.script.settles(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_takes_longer_than_clients_wait_gives_its_token_later() {
    let world = Arc::new(World::new().await);
    world.script.hold();
    let started = Instant::now();
    let copy = Arc::clone(&world);
    let copy = tokio::spawn(async move { copy.buy("/song", &song()).await });
    let answer = world.buy("/song", &song()).await;
    assert!(started.elapsed() >= TOKEN_WAIT && started.elapsed() < Duration::from_secs(5));
    for answer in [answer, copy.await.unwrap()] {
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
        assert!(answer.error().ends_with("; send the same permit again"));
    }
    world.script.go();
    world.purchases.ended().await;
    let token = world.buy("/song", &song()).await.token();
    assert_eq!(world.open("/song", &token).await.status, 200);
    assert_eq!(world.script.settles(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = World::new().await;
    let started = Instant::now();
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from("{\"version\":"))]);
    let body = Body::from_stream(body.chain(stream::pending()));
    let answer = world.post("/token", body).await;
    assert_eq!(answer.status, 400);
    assert_eq!(started.elapsed(), TOKEN_BODY_WAIT);
}

#[tokio::test]
async fn while_the_ledger_or_the_chain_is_away_the_same_permit_may_be_sent_again() {
    let world = World::new().await;
    let endpoint = world.endpoint("/joke").await;
    let body = written(&permit(0));
    *world.memory.away.lock().unwrap() = true;
    let answer = world.post(&endpoint, body.clone()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    *world.memory.away.lock().unwrap() = false;
    world.script.is_away.store(true, Ordering::SeqCst);
    let answer = world.post(&endpoint, body.clone()).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    let words = "Verification failed: Blockchain interaction error: ";
    assert!(answer.error().starts_with(words), "{}", answer.text);
    world.script.is_away.store(false, Ordering::SeqCst);
    let token = world.post(&endpoint, body).await.token();
    *world.memory.away.lock().unwrap() = true;
    // Nobody has asked about it yet, so nobody knows.
    assert_eq!(world.open("/joke", &token).await.status, 503);
    *world.memory.away.lock().unwrap() = false;
    assert_eq!(world.open("/joke", &token).await.status, 200);
}

#[tokio::test]
async fn a_breakdown_is_an_answer_and_costs_nothing() {
    let world = World::new().await;
    world.script.panics.store(true, Ordering::SeqCst);
    let answer = world.buy("/joke", &permit(0)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    world.script.panics.store(false, Ordering::SeqCst);
    world.buy("/joke", &permit(0)).await.token();
    world.purchases.ended().await;
    // Also while the money moves, before the token and behind it: what was sent is found out later.
    world.script.then(End::Panic);
    let answer = world.buy("/song", &worth(1, 2 * PRICE)).await;
    assert_eq!(answer.status, 503);
    world.script.then(End::Panic);
    let token = world.buy("/joke", &permit(2)).await.token();
    world.purchases.ended().await;
    assert_eq!(world.open("/joke", &token).await.status, 200);
    let ends = [End::Settled, End::Settled];
    world.script.resolve.lock().unwrap().extend(ends);
    let recovery = world.till.recovery();
    let report = recovery.sweep(Timestamp::from_secs(NOW), 10).await.unwrap();
    assert_eq!(report.settled, 2);
    world.buy("/song", &worth(1, 2 * PRICE)).await.token();
    assert_eq!(world.script.settles(), 3);
}

#[tokio::test]
async fn who_empties_the_account_behind_the_token_is_refused_at_the_next_request() {
    let world = World::new().await;
    world.script.hold();
    let token = world.buy("/joke", &permit(0)).await.token();
    for _ in 0..3 {
        assert_eq!(world.open("/joke", &token).await.status, 200);
    }
    world.script.then(End::Failed(Code::TransactionFailed));
    world.script.go();
    world.purchases.ended().await;
    let answer = world.open("/joke", &token).await;
    assert_eq!(answer.status, 402);
    assert_eq!(answer.json()["reason"], "Token has been revoked");
    assert_eq!(world.buy("/joke", &permit(0)).await.status, 400);
}

#[tokio::test]
async fn a_final_settlement_says_so() {
    let world = World::new().await;
    world.buy("/song", &song()).await.token();
    world
        .script
        .confirm
        .lock()
        .unwrap()
        .push_back(Finality::Final);
    let recovery = world.till.recovery();
    recovery.sweep(Timestamp::from_secs(NOW), 10).await.unwrap();
    let receipt = world
        .get(&format!("/token/receipts/{}", song().payment_id()))
        .await;
    assert_eq!(receipt.json()["is_final"], true);
}

#[test]
fn tokens_and_what_they_lost_are_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let run = async {
        let world = World::new().await;
        world.buy("/joke", &permit(0)).await.token();
        world.purchases.ended().await;
        world.buy("/joke", &permit(0)).await.token();
        world.script.then(End::Failed(Code::TransactionFailed));
        world.buy("/joke", &permit(1)).await.token();
        world.purchases.ended().await;
        world.post("/token", "{").await;
    };
    metrics::with_local_recorder(&recorder, || runtime.block_on(run));
    let text = handle.render();
    for line in [
        "faregate_gate_unpaid_total{rail=\"permit\"} 1",
        "faregate_gate_token_requests_total{outcome=\"owed\"} 2",
        "faregate_gate_token_requests_total{outcome=\"replay\"} 1",
        "faregate_gate_token_requests_total{outcome=\"malformed\"} 1",
    ] {
        assert!(text.lines().any(|own| own == line), "{line} in\n{text}");
    }
}
