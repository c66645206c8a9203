//! The outbox of all engines: an event for each payment whose money arrived, with it or not at all, until it was told.
#![allow(clippy::unwrap_used, reason = "these are tests")]

#[cfg(feature = "postgres")]
#[path = "postgres/kit.rs"]
mod kit;

use std::sync::Arc;

use faregate_ledger::{
    AccountId, Answer, Claim, Event, EventKind, EventStore, LedgerStore, Step, Transfer,
};
use faregate_store::memory::MemoryLedger;
use faregate_store::sqlite::SqliteLedger;
use faregate_types::lightning::{BitcoinNetwork, Msat};
use faregate_types::{Code, Fingerprint, PaymentId, RailName, Timestamp, U256};

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn id(number: u8) -> PaymentId {
    PaymentId::from_bytes([number; 32])
}

fn new_claim(number: u8) -> Claim {
    Claim {
        id: id(number),
        rail: RailName::L402,
        fingerprint: Fingerprint::of(&[&[number]]),
        transfer: Transfer {
            debit: AccountId::parse("payer/a").unwrap(),
            credit: AccountId::parse("payee/lightning").unwrap(),
            amount: Msat::new(10).on(BitcoinNetwork::Regtest),
        },
        route: "GET /joke".into(),
        evidence: vec![],
        at: at(50),
        exposure_max: None,
        funds: None,
        idempotency: None,
    }
}

async fn claim(store: &impl LedgerStore, number: u8) {
    store.claim(new_claim(number)).await.unwrap();
}

fn serve() -> Step {
    Step::Serve { answer: answer() }
}

fn fail() -> Step {
    Step::Fail {
        code: Code::Internal,
    }
}

fn settle() -> Step {
    Step::Settle { transaction: None }
}

fn sell() -> Step {
    Step::Sell {
        transaction: None,
        answer: answer(),
    }
}

fn answer() -> Answer {
    Answer {
        status: 200,
        headers: vec![],
        body: Some(b"ha".to_vec()),
    }
}

async fn is_off_until_somebody_wants_to_know(store: &(impl LedgerStore + EventStore)) {
    claim(store, 1).await;
    store.advance(id(1), settle(), at(60)).await.unwrap();
    assert!(store.due_events(at(999), 9).await.unwrap().is_empty());
}

async fn has_an_outbox<S: LedgerStore + EventStore>(store: Arc<S>) {
    is_off_until_somebody_wants_to_know(&*store).await;
    store.keep_events([EventKind::PaymentReceived].into_iter().collect());
    for number in [2, 3, 4, 5] {
        claim(&*store, number).await;
    }
    assert!(store.due_events(at(999), 9).await.unwrap().is_empty());
    store.advance(id(2), settle(), at(100)).await.unwrap();
    store.advance(id(2), settle(), at(101)).await.unwrap();
    store.advance(id(3), sell(), at(102)).await.unwrap();
    store.advance(id(4), fail(), at(103)).await.unwrap();
    store.advance(id(5), Step::Release, at(103)).await.unwrap();

    assert!(store.due_events(at(99), 9).await.unwrap().is_empty());
    let due = store.due_events(at(102), 9).await.unwrap();
    let about: Vec<_> = due
        .iter()
        .map(|event| (event.kind, event.payment.claim.id, event.at, event.tries))
        .collect();
    let kind = EventKind::PaymentReceived;
    assert_eq!(
        about,
        [(kind, id(2), at(100), 0), (kind, id(3), at(102), 0)]
    );
    assert!(due.iter().all(|event| {
        event
            .payment
            .answer
            .as_ref()
            .is_none_or(|answer| answer.body.is_none())
    }));
    assert_eq!(store.due_events(at(102), 1).await.unwrap().len(), 1);

    is_told_one_by_one(&*store, [due[0].seq, due[1].seq]).await;
}

/// The first refused, the second told.
async fn is_told_one_by_one(store: &impl EventStore, [first, second]: [u64; 2]) {
    store.postpone_event(first, at(200)).await.unwrap();
    let now = store.due_events(at(150), 9).await.unwrap();
    assert_eq!(now.len(), 1);
    assert_eq!(now[0].seq, second);
    store.drop_event(second).await.unwrap();
    store.drop_event(second).await.unwrap();
    let later = store.due_events(at(200), 9).await.unwrap();
    assert_eq!(later.len(), 1);
    assert_eq!((later[0].seq, later[0].tries), (first, 1));
}

/// Claimed so that it may be served before it is paid.
async fn lend(store: &impl LedgerStore, number: u8, rail: RailName) {
    let claim = Claim {
        rail,
        exposure_max: Some(U256::from(1_000)),
        ..new_claim(number)
    };
    store.claim(claim).await.unwrap();
}

/// Whatever is due, by kind and payment, and whether it is a loss. Everything is taken.
async fn take(store: &impl EventStore) -> Vec<(&'static str, u8, bool)> {
    let due = store.due_events(at(9_999), 99).await.unwrap();
    for event in &due {
        store.drop_event(event.seq).await.unwrap();
    }
    let told = |event: &Event| {
        let number = event.payment.claim.id.as_bytes()[0];
        (event.kind.as_str(), number, event.payment.is_lost())
    };
    due.iter().map(told).collect()
}

/// Each kind, once, with the step that it is about.
async fn tells_each_kind<S: LedgerStore + EventStore>(store: Arc<S>) {
    store.keep_events(EventKind::ALL.into_iter().collect());
    for (number, rail) in [(10, RailName::PERMIT), (11, RailName::X402)] {
        lend(&*store, number, rail).await;
        for step in [serve(), serve(), fail(), fail()] {
            store.advance(id(number), step, at(100)).await.unwrap();
        }
    }
    let lost = [
        ("token.issued", 10, true),
        ("payment.failed", 10, true),
        ("payment.failed", 11, true),
    ];
    assert_eq!(take(&*store).await, lost);

    lend(&*store, 12, RailName::PERMIT).await;
    lend(&*store, 13, RailName::PERMIT).await;
    let keep = Step::Keep { answer: answer() };
    for step in [settle(), keep.clone(), keep] {
        store.advance(id(12), step, at(100)).await.unwrap();
    }
    store.advance(id(13), Step::Release, at(100)).await.unwrap();
    let bought = [("payment.received", 12, false), ("token.issued", 12, false)];
    assert_eq!(take(&*store).await, bought);

    // The chain took it back, and then it failed.
    store.advance(id(12), Step::Reopen, at(100)).await.unwrap();
    store.advance(id(12), fail(), at(100)).await.unwrap();
    assert_eq!(take(&*store).await, [("payment.failed", 12, true)]);

    store.keep_events([EventKind::PaymentFailed].into_iter().collect());
    claim(&*store, 14).await;
    store.advance(id(14), settle(), at(100)).await.unwrap();
    claim(&*store, 15).await;
    store.advance(id(15), fail(), at(100)).await.unwrap();
    assert_eq!(take(&*store).await, [("payment.failed", 15, false)]);
}

#[tokio::test]
async fn failures_and_tokens_are_kept_like_payments_when_somebody_wants_them() {
    tells_each_kind(Arc::new(MemoryLedger::new())).await;
    tells_each_kind(Arc::new(SqliteLedger::in_memory().unwrap())).await;
}

#[tokio::test]
async fn an_event_is_kept_with_its_payment_until_it_was_told() {
    has_an_outbox(Arc::new(MemoryLedger::new())).await;
    has_an_outbox(Arc::new(SqliteLedger::in_memory().unwrap())).await;
}

#[tokio::test]
async fn what_was_not_told_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    has_an_outbox(Arc::new(SqliteLedger::open(&path).unwrap())).await;
    let again = SqliteLedger::open(&path).unwrap();
    let due = again.due_events(at(200), 9).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].payment.claim.id, id(2));
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_what_was_not_told() {
    let Some(place) = kit::Place::new().await else {
        return;
    };
    has_an_outbox(Arc::new(place.open().await)).await;
    let again = place.open().await;
    let due = again.due_events(at(200), 9).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].payment.claim.id, id(2));
    again.drop_event(due[0].seq).await.unwrap();
    tells_each_kind(Arc::new(again)).await;
}
