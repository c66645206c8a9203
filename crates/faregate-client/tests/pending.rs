//! Payments whose end is unknown: listed, sent again by whoever has the books, or proven unused.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode};
use axum::response::IntoResponse;
use common::{
    HASH, NOW, PAYEE, PAYER, Seller, ask_v2, builder, cents, memory, nobody, offer_v2, seller,
    served,
};
use faregate_client::{
    Client, Ends, Kind, Pending, Proof, SpendState, Standing, WalletStore, limits,
};
use faregate_evm::AuthorizationReader;
use faregate_types::{Code, Timestamp};
use serde_json::{Value, json};

/// A seller that fails the first `count` paid requests with its own error.
async fn failing(count: usize) -> Seller {
    let tries = Arc::new(AtomicUsize::new(0));
    seller(move |request| match request.payment() {
        None => ask_v2(&[offer_v2()]),
        Some(_) if tries.fetch_add(1, Ordering::SeqCst) < count => {
            StatusCode::BAD_GATEWAY.into_response()
        }
        Some(_) => served(),
    })
    .await
}

fn client(store: &Arc<dyn WalletStore>) -> Client {
    common::client(store)
}

async fn only(client: &Client) -> Pending {
    let pending = client.pending().await.unwrap();
    assert_eq!(pending.len(), 1);
    pending.into_iter().next().unwrap()
}

#[tokio::test]
async fn a_pending_payment_is_listed_and_sent_again_as_it_was() {
    let seller = failing(1).await;
    let store = memory();
    let url = seller.url("/joke?key=secret");
    let request = client(&store).post(&url).body("tell me");
    let request = request.header(
        "accept".parse().unwrap(),
        HeaderValue::from_static("text/plain"),
    );
    let open = request.send().await.unwrap();
    assert_eq!(open.payment.unwrap().state, SpendState::Open);

    let other = nobody(&store);
    let pending = only(&other).await;
    assert_eq!(&*pending.resource, "POST /joke");
    assert_eq!(
        (&*pending.origin, &*pending.path),
        (seller.url("").as_str(), "/joke")
    );
    assert_eq!((&*pending.payee, pending.worth), (PAYEE, cents(1)));
    assert_eq!(
        (pending.since.as_secs(), pending.valid_until.as_secs()),
        (NOW, NOW + 60)
    );
    assert_eq!(pending.standing, Standing::Valid);
    assert!(!format!("{pending:?}").contains("secret"));

    let paid = other.resume(pending.id).await.unwrap();
    let payment = paid.payment.unwrap();
    assert_eq!(
        (payment.id, payment.state, payment.resumed),
        (pending.id, SpendState::Paid, true)
    );
    assert_eq!(
        (
            payment.x402().unwrap().payer.to_string().as_str(),
            payment.x402().unwrap().receipt.transaction()
        ),
        (PAYER, Some(HASH))
    );
    assert_eq!(paid.answer.text().await.unwrap(), "served");
    let seen = seller.seen();
    let [_, first, second] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!(first.payment(), second.payment());
    assert_eq!(
        (&first.method, &first.path, &first.body),
        (&second.method, &second.path, &second.body)
    );
    assert_eq!(second.header("accept").as_deref(), Some("text/plain"));
    assert_eq!(other.pending().await.unwrap(), []);
    let error = other.resume(pending.id).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (Kind::Request, Code::NotFound)
    );
}

#[tokio::test]
async fn a_resumed_payment_is_not_sent_again_by_the_next_request() {
    let seller = failing(2).await;
    let client = client(&memory());
    let url = seller.url("/");
    assert!(client.get(&url).send().await.is_ok());
    let id = only(&client).await.id;
    // Still failing: it stays.
    assert_eq!(
        client.resume(id).await.unwrap().payment.unwrap().state,
        SpendState::Open
    );
    assert_eq!(only(&client).await.id, id);
    assert_eq!(
        client.resume(id).await.unwrap().payment.unwrap().state,
        SpendState::Paid
    );
    let next = client.get(&url).send().await.unwrap().payment.unwrap();
    assert!(!next.resumed && next.id != id);
}

#[tokio::test]
async fn what_the_books_do_not_have_in_full_is_not_sent() {
    let seller = failing(1).await;
    let store = memory();
    let request = client(&store).get(seller.url("/"));
    let secret = HeaderValue::from_static("Bearer hunter2");
    let request = request.header("authorization".parse().unwrap(), secret.clone());
    assert!(request.send().await.is_ok());
    let other = nobody(&store);
    let id = only(&other).await.id;
    let error = other.resume(id).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (Kind::Request, Code::BodyNotReplayable)
    );
    assert_eq!(seller.payments().len(), 1);
    // The request itself goes on with it.
    let request = client(&store).get(seller.url("/"));
    let request = request.header("authorization".parse().unwrap(), secret);
    assert_eq!(request.send().await.unwrap().payment.unwrap().id, id);
}

#[tokio::test]
async fn an_answer_that_is_not_safe_yet_is_asked_for_again() {
    let seller = failing(0).await;
    let store = memory();
    let waiting = builder()
        .store(Arc::clone(&store))
        .ends(Ends::WhenAcknowledged);
    let waiting = waiting.build().unwrap();
    let url = seller.url("/");
    let first = waiting.get(&url).send().await.unwrap().payment.unwrap();
    assert_eq!(first.state, SpendState::Paid);
    // Another process, too.
    for client in [&waiting, &client(&store)] {
        assert_eq!(only(client).await.id, first.id);
    }
    let second = waiting.get(&url).send().await.unwrap().payment.unwrap();
    assert_eq!((second.id, second.resumed), (first.id, true));
    waiting.acknowledge(&second).await;
    let record = store.spend(first.id).await.unwrap().unwrap();
    assert_eq!(
        (record.state, record.transaction.as_deref()),
        (SpendState::Paid, Some(HASH))
    );
    let third = waiting.get(&url).send().await.unwrap().payment.unwrap();
    assert_ne!(third.id, first.id);
}

/// A node on Base Sepolia at a time, which says whether authorizations are used.
async fn node(time: Arc<AtomicU64>, used: &'static str) -> AuthorizationReader {
    let node = seller(move |request| {
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        let result = match asked["method"].as_str().unwrap() {
            "eth_chainId" => json!("0x14a34"),
            "eth_getBlockByNumber" => {
                let time = time.load(Ordering::SeqCst);
                json!({"number": "0x10", "timestamp": format!("{time:#x}")})
            }
            "eth_call" => {
                assert_eq!(asked["params"][1], "0x10", "one block for both questions");
                json!(used)
            }
            other => panic!("{other}"),
        };
        let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
        axum::Json(answer).into_response()
    })
    .await;
    let url = node.url("/").parse().unwrap();
    AuthorizationReader::connect(url, Duration::from_secs(5))
        .await
        .unwrap()
}

const NO: &str = "0x0000000000000000000000000000000000000000000000000000000000000000";
const YES: &str = "0x0000000000000000000000000000000000000000000000000000000000000001";

#[tokio::test]
async fn only_the_chain_closes_what_has_expired() {
    let late = NOW + 60 + limits::PROOF_MARGIN_SECS;
    let table = [
        (NOW, NO, Some(Proof::Undecided)),
        (late - 1, NO, Some(Proof::Undecided)),
        (late, YES, Some(Proof::Used)),
        (late, "0x", None),
        (late, "0x01", None),
        (late, NO, Some(Proof::Unused)),
    ];
    let seller = failing(1).await;
    let store = memory();
    let now = Arc::new(AtomicU64::new(NOW));
    let clock = Arc::clone(&now);
    let client = builder()
        .store(Arc::clone(&store))
        .clock(move || Timestamp::from_secs(clock.load(Ordering::SeqCst)))
        .build()
        .unwrap();
    assert!(client.get(seller.url("/")).send().await.is_ok());
    let id = only(&client).await.id;
    // The clock of this machine proves nothing.
    now.store(late + 1_000_000, Ordering::SeqCst);
    assert_eq!(only(&client).await.standing, Standing::Expired);
    for (time, used, expected) in table {
        assert_eq!(only(&client).await.id, id, "{time} {used}");
        let reader = node(Arc::new(AtomicU64::new(time)), used).await;
        let proof = client.prove(id, &reader).await;
        assert_eq!(
            proof.as_ref().ok(),
            expected.as_ref(),
            "{time} {used}: {proof:?}"
        );
    }
    assert_eq!(client.pending().await.unwrap(), []);
    let record = store.spend(id).await.unwrap().unwrap();
    assert_eq!(record.state, SpendState::Unused);
    let usage = store
        .usage(
            record.spend.origin,
            faregate_ledger::Unit::Dollar,
            record.spend.at,
        )
        .await
        .unwrap();
    assert_eq!(usage.host, cents(1), "it still counts");
}

#[tokio::test]
async fn a_node_of_another_chain_proves_nothing() {
    let client = client(&memory());
    let mut offer = offer_v2();
    let sepolia = faregate_types::AssetRegistry::builtin();
    let sepolia = sepolia.default_for("eip155:11155111".parse().unwrap());
    let sepolia = sepolia.unwrap().clone();
    offer["network"] = json!("eip155:11155111");
    offer["asset"] = json!(sepolia.id.token().to_string());
    offer["extra"] = json!({"name": sepolia.domain.name, "version": sepolia.domain.version});
    let seller = seller(move |request| match request.payment() {
        Some(_) => StatusCode::BAD_GATEWAY.into_response(),
        None => ask_v2(&[offer.clone()]),
    });
    assert!(client.get(seller.await.url("/")).send().await.is_ok());
    let id = only(&client).await.id;
    let reader = node(Arc::new(AtomicU64::new(u64::MAX >> 1)), NO).await;
    let error = client.prove(id, &reader).await.unwrap_err();
    assert_eq!(error.code(), Code::NetworkMismatch);
    assert_eq!(only(&client).await.id, id);
}
