//! Listeners to a gate: what they hear, and that no request feels them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "tests may"
)]

mod common;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use common::{World, ask, credential_v2, paying};
use faregate_core::{Kind, Observer, SettlePolicy, What};
use faregate_tower::limits::{EVENTS_MAX, HANDLER_TIMEOUT};
use faregate_tower::{Events, Heard, Subscription};
use faregate_types::Code;
use futures_util::{FutureExt, StreamExt};
use http::HeaderValue;
use tokio::time::sleep;

/// A joke behind a paywall, and whoever listens to it.
fn shop(world: &World, policy: SettlePolicy) -> (Router, Events) {
    let events = Events::default();
    let till = world.till.clone().observed_by(Arc::new(events.clone()));
    let layer = faregate_tower::PaywallLayer::new(till, common::offer(policy)).unwrap();
    let joke = get(|| async { "knock, knock" }).layer(layer);
    (Router::new().route("/joke", joke), events)
}

async fn buy(shop: &Router, nonce: u64) {
    let unpaid = ask(shop.clone(), common::get()).await;
    let credential = credential_v2(&unpaid, nonce);
    let sold = ask(shop.clone(), paying(&credential)).await;
    assert_eq!(sold.status(), 200);
}

/// What was heard so far.
fn heard(events: &mut Subscription) -> Vec<What> {
    let mut all = Vec::new();
    while let Some(Some(heard)) = tokio::task::unconstrained(events.next()).now_or_never() {
        match heard {
            Heard::Event(event) => all.push(event.what.clone()),
            Heard::Lost(count) => panic!("{count} events are lost"),
        }
    }
    all
}

fn asked() -> What {
    let code = Code::PaymentRequired;
    What::Challenged { code }
}

#[tokio::test]
async fn a_subscription_hears_what_happens_from_then_on() {
    let (shop, events) = shop(&World::new(), SettlePolicy::After);
    buy(&shop, 1).await;
    let mut all = events.subscribe(Kind::ALL);
    let mut some = events.subscribe([Kind::Settled]);
    buy(&shop, 2).await;
    let settled = What::Settled {
        transaction: Some(common::TRANSACTION.into()),
    };
    let expected = [asked(), What::Verified, What::Authorised, settled.clone()];
    assert_eq!(heard(&mut all), expected);
    assert_eq!(heard(&mut some), [settled]);
    // Prepared or made, with a header that cannot be read or without one: told once.
    let malformed = paying(&HeaderValue::from_static("?"));
    ask(shop.clone(), malformed).await;
    let told = heard(&mut all);
    assert!(
        matches!(told[..], [What::Challenged { code }] if code != Code::PaymentRequired),
        "{told:?}"
    );
    let stream = events.subscribe(Kind::ALL).into_stream();
    ask(shop.clone(), common::get()).await;
    let first = stream.boxed().next().await;
    assert!(matches!(first, Some(Heard::Event(event)) if event.what == asked()));
}

#[tokio::test]
async fn while_nobody_listens_nothing_is_wanted() {
    let events = Events::default();
    let wanted = |events: &Events| {
        let kinds = Kind::ALL.into_iter();
        kinds.filter(|kind| events.wants(*kind)).collect::<Vec<_>>()
    };
    assert_eq!(wanted(&events), []);
    let one = events.subscribe([Kind::Failed]);
    let two = events.subscribe([Kind::Settled, Kind::Failed]);
    assert_eq!(wanted(&events), [Kind::Settled, Kind::Failed]);
    drop(two);
    assert_eq!(wanted(&events), [Kind::Failed]);
    drop(one);
    assert_eq!(wanted(&events), []);
}

#[tokio::test]
async fn a_slow_subscriber_loses_the_oldest_and_is_told_how_many() {
    let (shop, events) = shop(&World::new(), SettlePolicy::After);
    let mut slow = events.subscribe(Kind::ALL);
    for _ in 0..EVENTS_MAX + 10 {
        assert_eq!(ask(shop.clone(), common::get()).await.status(), 402);
    }
    buy(&shop, 1).await;
    assert_eq!(slow.next().await, Some(Heard::Lost(14)));
    let rest = heard(&mut slow);
    assert_eq!(rest.len(), EVENTS_MAX);
    assert!(matches!(rest.last(), Some(What::Settled { .. })));
}

#[tokio::test]
async fn a_subscription_ends_with_the_gate() {
    let events = Events::default();
    let mut listening = events.subscribe(Kind::ALL);
    drop(events);
    assert_eq!(listening.next().await, None);
}

/// One that hangs, one that panics at once, one that panics later, and a slow one: requests and the others go on.
#[tokio::test(start_paused = true)]
async fn no_handler_holds_up_a_request_or_another_handler() {
    let (shop, events) = shop(&World::new(), SettlePolicy::After);
    let hung = Arc::new(AtomicU32::new(0));
    let calls = Arc::clone(&hung);
    events.on(Kind::ALL, move |_| {
        calls.fetch_add(1, Ordering::SeqCst);
        std::future::pending()
    });
    let panicked = Arc::new(AtomicU32::new(0));
    let calls = Arc::clone(&panicked);
    events.on(Kind::ALL, move |event| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        assert!(call != 0, "on purpose, before the future is there");
        async move {
            tokio::task::yield_now().await;
            assert!(call.is_multiple_of(2), "on purpose: {:?}", event.what);
        }
    });
    let slow = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&slow);
    events.on(Kind::ALL, move |event| {
        let list = Arc::clone(&list);
        async move {
            sleep(HANDLER_TIMEOUT / 2).await;
            list.lock().unwrap().push(event.what.kind());
        }
    });

    let started = tokio::time::Instant::now();
    buy(&shop, 1).await;
    buy(&shop, 2).await;
    assert_eq!(started.elapsed(), Duration::ZERO, "somebody waited");

    sleep(Duration::from_millis(1)).await;
    assert_eq!(panicked.load(Ordering::SeqCst), 8);
    assert_eq!(hung.load(Ordering::SeqCst), 1);
    // Each call that hangs is dropped when its time is over, and the next event comes.
    for called in 2..=8 {
        sleep(HANDLER_TIMEOUT).await;
        assert_eq!(hung.load(Ordering::SeqCst), called);
    }
    let purchase = [
        Kind::Challenged,
        Kind::Verified,
        Kind::Authorised,
        Kind::Settled,
    ];
    assert_eq!(*slow.lock().unwrap(), [purchase, purchase].concat());
}

#[tokio::test(start_paused = true)]
async fn a_handler_whose_queue_is_full_loses_events_and_nobody_waits_for_it() {
    let (shop, events) = shop(&World::new(), SettlePolicy::After);
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&kinds);
    events.on([Kind::Challenged, Kind::Settled], move |event| {
        let list = Arc::clone(&list);
        async move {
            sleep(Duration::from_secs(1)).await;
            list.lock().unwrap().push(event.what.kind());
        }
    });
    let started = tokio::time::Instant::now();
    for _ in 0..2 * EVENTS_MAX {
        ask(shop.clone(), common::get()).await;
    }
    buy(&shop, 1).await;
    assert_eq!(started.elapsed(), Duration::ZERO, "somebody waited");
    sleep(Duration::from_secs(3 * 1_024)).await;
    let kinds = kinds.lock().unwrap();
    // One may have been taken out of the queue before it was full.
    assert!(
        (EVENTS_MAX..=EVENTS_MAX + 1).contains(&kinds.len()),
        "{}",
        kinds.len()
    );
    assert_eq!(kinds.last(), Some(&Kind::Settled));
}
