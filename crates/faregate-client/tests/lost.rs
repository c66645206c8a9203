//! Lost answers: the same payment again, never a second one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use common::{
    HASH, NOW, Seller, ask_v2, builder, client, encode, is_paid, memory, offer_v2, raw_ask,
    raw_seller, raw_served, seller, served,
};
use faregate_client::{
    Client, ClientBuilder, Doubt, HttpFault, Kind, PayError, Resume, SpendState, Undecided,
    WalletStore, limits,
};
use faregate_types::{Code, Retry, Timestamp};
use serde_json::json;

/// A seller that loses the connection of the first `lost` paid requests.
fn forgetful(lost: usize) -> Seller {
    let seen = AtomicUsize::new(0);
    raw_seller(move |head| {
        if !is_paid(head) {
            return Some(raw_ask());
        }
        (seen.fetch_add(1, Ordering::SeqCst) >= lost).then(raw_served)
    })
}

fn undecided(error: PayError) -> Undecided {
    assert_eq!(
        (error.kind(), error.code()),
        (Kind::Undecided, Code::PaymentUnknown)
    );
    assert!(matches!(error.retry(), Retry::AfterSecs(_)));
    match error {
        PayError::Undecided(undecided) => *undecided,
        other => panic!("{other}"),
    }
}

/// A client that sends again once, and does not wait for an end.
fn hasty(store: &Arc<dyn WalletStore>) -> Client {
    impatient(store).build().unwrap()
}

fn impatient(store: &Arc<dyn WalletStore>) -> ClientBuilder {
    builder()
        .store(store.clone())
        .resends(1)
        .wait(Duration::from_millis(500))
}

fn all_the_same(payments: &[String]) -> bool {
    payments.iter().all(|payment| *payment == payments[0])
}

#[tokio::test]
async fn lost_answers_are_asked_for_again_with_the_same_payment() {
    let seller = forgetful(2);
    let store = memory();
    let paid = client(&store).get(seller.url("/")).send().await.unwrap();
    let payment = paid.payment.unwrap();
    assert_eq!(payment.x402().unwrap().receipt.transaction(), Some(HASH));
    let payments = seller.payments();
    assert_eq!((payments.len(), all_the_same(&payments)), (3, true));
    assert_eq!(store.recent_spends(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn problem_05_two_lost_answers_leave_it_open_and_the_next_request_goes_on() {
    let seller = forgetful(2);
    let store = memory();
    let client = hasty(&store);
    let error = client.get(seller.url("/")).send().await.unwrap_err();
    let lost = undecided(error);
    assert_eq!(lost.why, Doubt::Http(HttpFault::Lost));
    assert_eq!(lost.valid_until.as_secs(), NOW + 60);
    assert_eq!(
        store.recent_spends(9).await.unwrap()[0].state,
        SpendState::Open
    );
    // another resource is another purchase
    let other = client.get(seller.url("/other")).send().await.unwrap();
    assert!(!other.payment.unwrap().resumed);
    let paid = client.get(seller.url("/")).send().await.unwrap();
    let payment = paid.payment.unwrap();
    assert_eq!((payment.id, payment.resumed), (lost.id, true));
    let payments = seller.payments();
    assert_eq!(payments.len(), 4);
    assert!(payments[0] == payments[1] && payments[1] == payments[3]);
    assert!(payments[0] != payments[2]);
    let spends = store.recent_spends(9).await.unwrap();
    assert!(spends.iter().all(|record| record.state == SpendState::Paid));
    assert_eq!(spends.len(), 2);
    // and now it is decided
    let next = client.get(seller.url("/")).send().await.unwrap();
    assert!(!next.payment.unwrap().resumed);
}

#[tokio::test]
async fn what_is_not_idempotent_is_sent_once() {
    let seller = forgetful(1);
    let client = client(&memory());
    let post = || client.post(seller.url("/")).body("x").send();
    let lost = undecided(post().await.unwrap_err());
    assert_eq!(seller.payments().len(), 1);
    let paid = post().await.unwrap();
    assert_eq!(paid.payment.unwrap().id, lost.id);
    assert!(all_the_same(&seller.payments()));
}

#[tokio::test]
async fn a_restart_finds_it_in_the_books() {
    let seller = forgetful(2);
    let store = memory();
    let url = seller.url("/");
    let lost = undecided(hasty(&store).get(&url).send().await.unwrap_err());
    let paid = client(&store).get(&url).send().await.unwrap();
    assert_eq!(paid.payment.unwrap().id, lost.id);
    assert!(all_the_same(&seller.payments()));
    assert_eq!(store.recent_spends(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_wants_only_its_own_signs_anew() {
    let seller = forgetful(2);
    let store = memory();
    let url = seller.url("/");
    let lost = undecided(hasty(&store).get(&url).send().await.unwrap_err());
    let own = builder().store(store).resume(Resume::Own).build().unwrap();
    let payment = own.get(&url).send().await.unwrap().payment.unwrap();
    assert!(!payment.resumed && payment.id != lost.id);
}

/// A seller that loses the first two paid answers, and refuses what has expired for `code`.
fn expired_for(code: &'static str) -> (Seller, Arc<AtomicU64>) {
    let now = Arc::new(AtomicU64::new(NOW));
    let clock = now.clone();
    let seen = AtomicUsize::new(0);
    let seller = raw_seller(move |head| {
        if !is_paid(head) {
            return Some(raw_ask());
        }
        let line = head.lines().find(|line| line.starts_with("payment-sig"));
        let paid = common::decode(&line.unwrap()["payment-signature: ".len()..]);
        let until = paid["payload"]["authorization"]["validBefore"].as_str();
        let until: u64 = until.unwrap().parse().unwrap();
        if seen.fetch_add(1, Ordering::SeqCst) < 2 {
            return None;
        }
        if until > clock.load(Ordering::SeqCst) {
            return Some(raw_served());
        }
        let receipt = json!({"success": false, "errorReason": code, "transaction": ""});
        Some(common::raw(
            402,
            &[("payment-response", encode(&receipt))],
            "{}",
        ))
    });
    (seller, now)
}

/// The server may still have the answer of an expired payment; only its "no" frees the way for another.
#[tokio::test]
async fn an_expired_payment_is_asked_about_before_another_is_signed() {
    let expired = "invalid_exact_evm_payload_authorization_valid_before";
    let used = "invalid_exact_evm_nonce_already_used";
    for (code, signed) in [(expired, 2), (used, 1)] {
        let (seller, now) = expired_for(code);
        let store = memory();
        let clock = now.clone();
        let client = impatient(&store)
            .clock(move || Timestamp::from_secs(clock.load(Ordering::SeqCst)))
            .build()
            .unwrap();
        let lost = undecided(client.get(seller.url("/")).send().await.unwrap_err());
        now.fetch_add(61, Ordering::SeqCst);
        let result = client.get(seller.url("/")).send().await;
        let payments = seller.payments();
        assert!(all_the_same(&payments[..3]), "{code}");
        let spends = store.recent_spends(9).await.unwrap();
        assert_eq!(spends.len(), signed, "{code}");
        match result {
            Ok(paid) => assert_ne!((paid.payment.unwrap().id, signed), (lost.id, 1)),
            // It moved the money, so it was bought: the caller decides about buying again.
            Err(error) => {
                assert_eq!((error.payment(), signed), (Some(lost.id), 1), "{error}");
                assert_eq!(spends[0].state, SpendState::Paid);
            }
        }
    }
}

#[tokio::test]
async fn what_expired_long_ago_is_not_in_the_way() {
    let seller = forgetful(2);
    let now = Arc::new(AtomicU64::new(NOW));
    let clock = now.clone();
    let client = impatient(&memory())
        .clock(move || Timestamp::from_secs(clock.load(Ordering::SeqCst)))
        .build()
        .unwrap();
    let lost = undecided(client.get(seller.url("/")).send().await.unwrap_err());
    now.fetch_add(60 + limits::STALE_SECS, Ordering::SeqCst);
    let payment = client.get(seller.url("/")).send().await.unwrap().payment;
    assert_ne!(payment.unwrap().id, lost.id);
}

/// However the terms change: until the first payment is decided, nothing else is signed for the same request.
#[tokio::test]
async fn a_new_price_waits_for_the_end_of_the_old_payment() {
    let asked = Arc::new(AtomicUsize::new(0));
    let tries = Arc::new(AtomicUsize::new(0));
    let seller = seller(move |request| {
        let mut offer = offer_v2();
        if asked.fetch_add(1, Ordering::SeqCst) > 0 {
            offer["amount"] = json!("20000");
        }
        let Some(payment) = request.payment() else {
            return ask_v2(&[offer]);
        };
        match common::decode(&payment)["payload"]["authorization"]["value"].as_str() {
            Some("10000") if tries.fetch_add(1, Ordering::SeqCst) < 2 => {
                StatusCode::BAD_GATEWAY.into_response()
            }
            Some("10000") => ask_v2(&[offer]),
            _ => served(),
        }
    })
    .await;
    let store = memory();
    let client = client(&store);
    let open = client.get(seller.url("/")).send().await.unwrap();
    assert_eq!(open.payment.unwrap().state, SpendState::Open);
    let again = client.get(seller.url("/")).send().await.unwrap();
    let again = again.payment.unwrap();
    assert!(again.resumed && again.state == SpendState::Open);
    assert_eq!(store.recent_spends(9).await.unwrap().len(), 1);
    // Its "no" is an end.
    let error = client.get(seller.url("/")).send().await.unwrap_err();
    assert_eq!(error.code(), Code::TermsChanged);
    assert!(all_the_same(&seller.payments()));
    let paid = client.get(seller.url("/")).send().await.unwrap();
    assert!(!paid.payment.unwrap().resumed);
    assert_eq!(store.recent_spends(9).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_reverted_transaction_is_a_refusal() {
    let receipt = encode(
        &json!({"success": false, "errorReason": "transaction_failed", "transaction": HASH}),
    );
    let seller = seller(move |request| match request.payment() {
        Some(_) => {
            let header = [("payment-response", receipt.clone())];
            (StatusCode::PAYMENT_REQUIRED, header).into_response()
        }
        None => ask_v2(&[offer_v2()]),
    })
    .await;
    let error = client(&memory())
        .get(seller.url("/"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (Kind::Refused, Code::TransactionFailed)
    );
}

#[tokio::test]
async fn an_error_of_the_server_is_an_answer_and_leaves_the_payment_open() {
    let tries = Arc::new(AtomicUsize::new(0));
    let seller = seller(move |request| match request.payment() {
        None => ask_v2(&[offer_v2()]),
        Some(_) if tries.fetch_add(1, Ordering::SeqCst) > 0 => served(),
        Some(_) => (StatusCode::INTERNAL_SERVER_ERROR, "oops").into_response(),
    })
    .await;
    let client = client(&memory());
    let failed = client.get(seller.url("/")).send().await.unwrap();
    assert_eq!(
        (
            failed.answer.status().as_u16(),
            failed.answer.text().await.unwrap().as_str()
        ),
        (500, "oops")
    );
    let first = failed.payment.unwrap();
    assert_eq!(first.state, SpendState::Open);
    let second = client
        .get(seller.url("/"))
        .send()
        .await
        .unwrap()
        .payment
        .unwrap();
    assert_eq!(
        (second.id, second.resumed, second.state),
        (first.id, true, SpendState::Paid)
    );
    assert!(all_the_same(&seller.payments()));
}

/// Two at once do not share the payment that was left open: one goes on with it, the other buys anew.
#[tokio::test]
async fn an_open_payment_is_taken_up_once() {
    let tries = Arc::new(AtomicUsize::new(0));
    let seller = seller(move |request| match request.payment() {
        None => ask_v2(&[offer_v2()]),
        Some(_) if tries.fetch_add(1, Ordering::SeqCst) > 0 => served(),
        Some(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    })
    .await;
    let client = client(&memory());
    let open = client.get(seller.url("/")).send().await.unwrap();
    assert_eq!(open.payment.unwrap().state, SpendState::Open);
    let (a, b) = tokio::join!(
        client.get(seller.url("/")).send(),
        client.get(seller.url("/")).send()
    );
    let (a, b) = (a.unwrap().payment.unwrap(), b.unwrap().payment.unwrap());
    assert!(a.resumed != b.resumed && a.id != b.id);
}

#[tokio::test]
async fn a_caller_who_stops_waiting_leaves_it_open() {
    let (release, hold) = mpsc::channel::<()>();
    let (arrived, mut arrival) = tokio::sync::mpsc::unbounded_channel();
    let tries = AtomicUsize::new(0);
    let seller = raw_seller(move |head| {
        if !is_paid(head) {
            return Some(raw_ask());
        }
        if tries.fetch_add(1, Ordering::SeqCst) > 0 {
            return Some(raw_served());
        }
        arrived.send(()).unwrap();
        hold.recv().unwrap();
        None
    });
    let store = memory();
    let client = client(&store);
    let url = seller.url("/");
    tokio::select! {
        _ = client.get(&url).send() => panic!("the seller does not answer"),
        _ = arrival.recv() => {}
    }
    release.send(()).unwrap();
    let paid = client.get(&url).send().await.unwrap();
    assert!(paid.payment.unwrap().resumed);
    assert!(all_the_same(&seller.payments()));
    assert_eq!(store.recent_spends(9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_gone_got_nothing() {
    // Answers one request and is gone.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let once = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        let mut head = [0; 4096];
        let _read = std::io::Read::read(&mut stream, &mut head).unwrap();
        std::io::Write::write_all(&mut stream, &raw_ask()).unwrap();
    });
    let store = memory();
    let error = client(&store).get(&url).send().await.unwrap_err();
    once.join().unwrap();
    assert!(
        matches!(error, PayError::Http(HttpFault::NoConnection)),
        "{error}"
    );
    let spends = store.recent_spends(9).await.unwrap();
    assert_eq!((spends.len(), spends[0].state), (1, SpendState::Open));
}
