//! Old answers go; what was paid, and that it was answered, stays.

use super::{after, answer, fail, serve, settle};
use crate::suite::kit::{Bench, at, claim, id, on_credit};
use crate::{Answer, Claimed, LedgerStore, PaymentState, Step};

const NO_MAX: u64 = u64::MAX;

/// The bytes of [`answer`]: two lengths, a name, a value and a body.
const BYTES: u64 = 8 + 12 + 10 + 11;

fn dropped() -> Answer {
    Answer {
        headers: vec![],
        body: None,
        ..answer()
    }
}

async fn sold<S: LedgerStore>(store: &S, number: u64, secs: u64) {
    after(store, claim(number), [settle()]).await;
    let keep = Step::Keep { answer: answer() };
    store.advance(id(number), keep, at(secs)).await.unwrap();
}

async fn answers<S: LedgerStore>(store: &S, numbers: std::ops::RangeInclusive<u64>) -> String {
    let mut found = String::new();
    for number in numbers {
        let payment = store.payment(id(number)).await.unwrap().unwrap();
        found.push(match payment.answer {
            Some(kept) if kept == answer() => 'k',
            Some(kept) if kept == dropped() => '-',
            Some(_) => '?',
            None => 'n',
        });
    }
    found
}

/// Headers and body go, oldest first and no more than asked for; state, status and the credential's use stay.
pub async fn old_answers_are_dropped_and_payments_stay<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for number in 1..=4 {
        sold(store, number, 10 * number).await;
    }
    assert_eq!(
        store.prune(at(10), NO_MAX, 10).await,
        Ok(0),
        "not before the first"
    );
    assert_eq!(store.prune(at(31), NO_MAX, 2).await, Ok(2));
    assert_eq!(answers(store, 1..=4).await, "--kk");
    assert_eq!(store.prune(at(31), NO_MAX, 10).await, Ok(1));
    assert_eq!(store.prune(at(31), NO_MAX, 10).await, Ok(0));
    assert_eq!(answers(store, 1..=4).await, "---k");
    match store.claim(claim(1)).await.unwrap() {
        Claimed::Same(payment) => assert_eq!(
            (payment.state, payment.answer, payment.changed_at),
            (PaymentState::Settled, Some(dropped()), at(10))
        ),
        other => panic!("{other:?}"),
    }
    // It was answered once; nothing is kept a second time.
    let keep = Step::Keep { answer: answer() };
    store.advance(id(1), keep, at(99)).await.unwrap();
    assert_eq!(answers(store, 1..=4).await, "---k");
}

/// The newest answers that fit stay.
pub async fn answers_are_dropped_oldest_first_until_they_fit<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for number in 1..=4 {
        sold(store, number, 50 - number).await;
    }
    assert_eq!(store.prune(at(0), 4 * BYTES, 10).await, Ok(0));
    assert_eq!(store.prune(at(0), 3 * BYTES, 10).await, Ok(1));
    assert_eq!(answers(store, 1..=4).await, "kkk-");
    assert_eq!(store.prune(at(0), 2 * BYTES - 1, 10).await, Ok(2));
    assert_eq!(answers(store, 1..=4).await, "k---");
}

/// What is not ended keeps its answer, however old.
pub async fn answers_of_open_payments_stay<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    after(store, on_credit(claim(1), 9_000), [serve()]).await;
    after(store, on_credit(claim(2), 9_000), [serve(), fail()]).await;
    sold(store, 3, 1).await;
    store.advance(id(3), Step::Reopen, at(2)).await.unwrap();
    assert_eq!(store.prune(at(100), 0, 10).await, Ok(1));
    assert_eq!(answers(store, 1..=3).await, "k-k");
}
