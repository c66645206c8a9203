//! Payments whose end was unknown when the gate stopped.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use faregate_ledger::{LedgerStore, PaymentState};
use faregate_server::gateway::{Deps, Gateway};
use faregate_server::limits::RECOVERY_AGE_SECS;
use http::StatusCode;
use tokio::time::{sleep, timeout};

use crate::common::{End, NOW};
use crate::kit::{House, code, config, deps};

const ROUTE: &str = "[[route]]\nmatch = \"GET /joke\"\nprice = \"$0.001\"\nsettle = \"before\"\n";

/// Stops the gate and starts it again on the same ledger, `secs` later.
async fn start_again(house: &mut House, secs: u64) {
    let later = NOW.checked_add_secs(secs).unwrap();
    let again = Deps {
        clock: Arc::new(move || later),
        ..deps(&house.world)
    };
    let upstream = format!("upstream = \"http://{}\"", house.upstream_addr);
    let next = Gateway::start(config(&upstream, ROUTE), again).await;
    std::mem::replace(&mut house.gate, next.unwrap())
        .shutdown()
        .await;
}

async fn state(house: &House) -> PaymentState {
    house.world.store.recent_payments(1).await.unwrap()[0].state
}

async fn settled(house: &House) {
    let settled = async {
        while state(house).await != PaymentState::Settled {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), settled).await.unwrap();
}

#[tokio::test]
async fn a_gate_that_starts_again_finds_out_and_serves_who_paid() {
    let mut house = House::with("", ROUTE).await;
    let credential = house.credential("/joke", 1).await;
    house.world.ends(End::Unknown);
    let answer = house.pay("/joke", &credential).await;
    assert_eq!(code(answer).await, "settlement_pending");
    assert_eq!(house.upstream.runs(), 0);

    *house.world.facilitator.resolved.lock().unwrap() = End::Settled;
    start_again(&mut house, RECOVERY_AGE_SECS).await;
    settled(&house).await;
    assert_eq!(house.upstream.runs(), 0, "nobody asked for the joke yet");

    let answer = house.pay("/joke", &credential).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(house.upstream.runs(), 1);
    assert_eq!(house.world.settles(), 1);
    assert_eq!(house.world.facilitator.resolves.load(Ordering::SeqCst), 1);
    assert!(house.world.store.audit().unwrap().is_clean());
}

#[tokio::test]
async fn what_may_not_have_been_sent_is_asked_about_once_it_cannot_be_sent_any_more() {
    let mut house = House::with("", ROUTE).await;
    let credential = house.credential("/joke", 1).await;
    house.world.ends(End::Away);
    house.pay("/joke", &credential).await;
    assert_eq!(state(&house).await, PaymentState::Reserved);

    // The credential is good for 60 seconds, and clocks differ by up to 60 more.
    *house.world.facilitator.resolved.lock().unwrap() = End::Settled;
    start_again(&mut house, 119).await;
    sleep(Duration::from_millis(100)).await;
    assert_eq!(house.world.facilitator.resolves.load(Ordering::SeqCst), 0);
    start_again(&mut house, 120).await;
    settled(&house).await;
    assert_eq!(house.world.settles(), 1);
}
