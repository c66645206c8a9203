//! Copies of one settlement: one transaction, the same answer for everybody, whoever hangs up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use faregate_core::Facilitator;
use faregate_ledger::LedgerStore;
use faregate_server::facilitator::FacilitatorServer;
use faregate_store::memory::MemoryLedger;
use faregate_store::sqlite::SqliteLedger;
use faregate_types::x402::{FacilitatorRequest, Version};
use faregate_types::{ChainId, Code};
use futures_util::future::join_all;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::kit::{Answer, Desk, Fake, HASH, Settles, clock};
use super::payment::Payer;

const SOON: Duration = Duration::from_secs(10);

fn body(nonce: u64) -> String {
    Payer::new(ChainId::BASE_SEPOLIA)
        .body(Version::V2, nonce)
        .to_string()
}

fn is_pending(json: &Value) -> bool {
    json["success"] == false && json["errorReason"] == "settlement_pending"
}

fn is_duplicate(json: &Value) -> bool {
    json["success"] == false
        && json["errorReason"] == "duplicate_settlement"
        && json["transaction"] == HASH
}

/// The key of a gate that keeps books of its own.
fn own_key(nonce: u64) -> String {
    let request = FacilitatorRequest::decode(body(nonce).as_bytes()).unwrap();
    request.exact().unwrap().id().to_string()
}

/// Sends the same settlement a hundred times at once and lets it happen.
async fn hundred_at_once(desk: &Desk, send: impl AsyncFn() -> Answer) -> Vec<Value> {
    let copies = join_all((0..100).map(|_| send()));
    let release = async {
        desk.fake.begins().await;
        desk.fake.go.add_permits(1);
    };
    let (answers, ()) = timeout(SOON, async { tokio::join!(copies, release) })
        .await
        .unwrap();
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(desk.fake.settlements(), 1);
    answers.iter().map(Answer::json).collect()
}

fn count(answers: &[Value], what: impl Fn(&Value) -> bool) -> usize {
    answers.iter().filter(|answer| what(answer)).count()
}

/// Problem: one payment, many answers. A seller without books of its own verifies a hundred copies, works for each, and
/// asks for a hundred settlements: one of them succeeds.
#[tokio::test]
async fn a_hundred_copies_at_once_make_one_settlement_and_one_success() {
    let desk = Desk::new(Fake::held());
    let answers = hundred_at_once(&desk, async || desk.post("/settle", body(1)).await).await;
    assert_eq!(count(&answers, |answer| answer["success"] == true), 1);
    assert_eq!(count(&answers, is_duplicate), 99);
    assert!(is_duplicate(&desk.post("/settle", body(1)).await.json()));
    assert_eq!(desk.fake.settlements(), 1);
}

#[tokio::test]
async fn a_gate_with_books_hears_the_recorded_result_every_time() {
    let desk = Desk::new(Fake::held());
    let key = own_key(1);
    let answers = hundred_at_once(&desk, async || desk.settle_as(&key, body(1)).await).await;
    assert_eq!(count(&answers, |answer| answer["success"] == true), 100);
    // Who heard first does not matter for it, and it does for everybody else.
    assert!(is_duplicate(&desk.post("/settle", body(1)).await.json()));
    assert_eq!(
        desk.settle_as(&key, body(1)).await.json()["transaction"],
        HASH
    );
    // The key of one payment opens no other.
    desk.fake.go.add_permits(1);
    assert_eq!(desk.post("/settle", body(2)).await.json()["success"], true);
    assert!(is_duplicate(&desk.settle_as(&key, body(2)).await.json()));
}

#[tokio::test]
async fn the_same_idempotency_key_is_the_same_call() {
    let desk = Desk::new(Fake::default());
    let first = desk.settle_as("order-7", body(1)).await.json();
    assert_eq!(first["success"], true);
    assert_eq!(desk.settle_as("order-7", body(1)).await.json(), first);
    assert!(is_duplicate(
        &desk.settle_as("order-8", body(1)).await.json()
    ));
    assert!(is_duplicate(&desk.post("/settle", body(1)).await.json()));
}

#[tokio::test]
async fn whoever_heard_that_it_is_pending_may_hear_that_it_is_settled() {
    let desk = Desk::new(Fake::default());
    desk.fake.will(Settles::Unknown(Some(HASH)));
    assert!(is_pending(&desk.post("/settle", body(1)).await.json()));
    desk.fake.will(Settles::Well);
    assert_eq!(desk.post("/settle", body(1)).await.json()["success"], true);
    assert!(is_duplicate(&desk.post("/settle", body(1)).await.json()));
}

#[tokio::test]
async fn a_copy_gets_the_recorded_result_also_when_it_no_longer_verifies() {
    let desk = Desk::new(Fake::default());
    let first = desk.settle_as(&own_key(1), body(1)).await;
    *desk.fake.verify.lock().unwrap() = Ok(Err(Code::InvalidExactEvmNonceAlreadyUsed));
    let second = desk.settle_as(&own_key(1), body(1)).await;
    assert_eq!(first.json(), second.json());
    assert_eq!(first.json()["success"], true);
    // A stranger's view of a spent authorization with no record of it stays a refusal.
    let other = desk.post("/settle", body(2)).await.json();
    assert_eq!(other["errorReason"], "invalid_exact_evm_nonce_already_used");
    assert_eq!(desk.fake.settlements(), 1);
}

#[tokio::test]
async fn a_failed_settlement_stays_failed() {
    let desk = Desk::new(Fake::default());
    desk.fake.will(Settles::Badly(Code::TransactionFailed));
    let first = desk.post("/settle", body(1)).await;
    desk.fake.will(Settles::Well);
    assert_eq!(desk.post("/settle", body(1)).await.json(), first.json());
    assert_eq!(desk.fake.settlements(), 1);
}

#[tokio::test]
async fn an_unknown_end_is_asked_for_and_not_sent_again() {
    let desk = Desk::new(Fake::default());
    desk.fake.will(Settles::Unknown(Some(HASH)));
    for _ in 0..2 {
        let json = desk.post("/settle", body(1)).await.json();
        assert!(is_pending(&json), "{json}");
        assert_eq!(json["transaction"], HASH);
    }
    desk.fake.will(Settles::Well);
    let json = desk.post("/settle", body(1)).await.json();
    assert_eq!(json["success"], true);
    assert_eq!(desk.fake.settlements(), 1);
    assert_eq!(desk.fake.resolved.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn the_same_authorization_for_other_requirements_is_a_conflict() {
    let desk = Desk::new(Fake::default());
    assert_eq!(desk.post("/settle", body(1)).await.json()["success"], true);
    let mut other = Payer::new(ChainId::BASE_SEPOLIA).body(Version::V2, 1);
    for part in ["/paymentRequirements", "/paymentPayload/accepted"] {
        other.pointer_mut(part).unwrap()["maxTimeoutSeconds"] = 61.into();
    }
    let json = desk.post("/settle", other.to_string()).await.json();
    assert_eq!(json["success"], false);
    assert_eq!(json["errorReason"], "payment_conflict");
    assert_eq!(desk.fake.settlements(), 1);
}

#[tokio::test]
async fn a_restart_remembers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let open = || -> Arc<dyn LedgerStore> { Arc::new(SqliteLedger::open(&path).unwrap()) };
    let before = Desk::on(Fake::default(), open());
    let first = before.post("/settle", body(1)).await.json();
    drop(before);
    let after = Desk::on(Fake::default(), open());
    assert_eq!(after.post("/settle", body(1)).await.json(), first);
    assert_eq!(after.fake.settlements(), 0);
    assert_eq!(after.store.recent_payments(10).await.unwrap().len(), 1);
}

async fn server(fake: &Arc<Fake>) -> faregate_server::http::Running {
    let facilitator: Arc<dyn Facilitator> = fake.clone();
    let store = Arc::new(MemoryLedger::new());
    let bind = SocketAddr::from(([127, 0, 0, 1], 0));
    FacilitatorServer::start(bind, facilitator, store, Arc::new(clock))
        .await
        .unwrap()
}

async fn call(addr: SocketAddr, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let head = format!(
        "POST /settle HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    stream
}

async fn heard(mut stream: TcpStream) -> String {
    let mut text = String::new();
    timeout(SOON, stream.read_to_string(&mut text))
        .await
        .unwrap()
        .unwrap();
    text
}

#[tokio::test]
async fn a_caller_who_hangs_up_stops_nothing() {
    let fake = Arc::new(Fake::held());
    let running = server(&fake).await;
    let caller = call(running.addr(), &body(1)).await;
    timeout(SOON, fake.begins()).await.unwrap();
    drop(caller);
    // Stopping waits for the settlement that nobody waits for any more.
    let addr = running.addr();
    let stopping = tokio::spawn(running.shutdown());
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!stopping.is_finished());
    fake.go.add_permits(1);
    timeout(SOON, stopping).await.unwrap().unwrap();
    assert_eq!(fake.settlements(), 1);
}

/// Nobody heard of it, so the next one who asks hears it.
#[tokio::test]
async fn a_success_that_nobody_heard_is_kept_for_the_next() {
    let fake = Arc::new(Fake::held());
    let running = server(&fake).await;
    let caller = call(running.addr(), &body(1)).await;
    timeout(SOON, fake.begins()).await.unwrap();
    drop(caller);
    // The second caller waits for the settlement of the first, which ends after that one is gone for sure.
    let second = call(running.addr(), &body(1)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    fake.go.add_permits(1);
    let answer = heard(second).await;
    assert!(answer.contains("\"success\":true"), "{answer}");
    let third = heard(call(running.addr(), &body(1)).await).await;
    assert!(third.contains("duplicate_settlement"), "{third}");
    assert_eq!(fake.settlements(), 1);
    running.shutdown().await;
}

#[tokio::test]
async fn bodies_are_bounded_on_a_port_too() {
    let fake = Arc::new(Fake::default());
    let running = server(&fake).await;
    assert!(
        heard(call(running.addr(), &body(1)).await)
            .await
            .contains("\"success\":true")
    );
    let mut stream = TcpStream::connect(running.addr()).await.unwrap();
    let head = "POST /verify HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = heard(stream).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(
        answer.contains("\"code\":\"body_too_large\"") && answer.contains("\"isValid\":false"),
        "{answer}"
    );
    running.shutdown().await;
}
