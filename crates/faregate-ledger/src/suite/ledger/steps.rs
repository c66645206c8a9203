//! Steps: the rules of [`PaymentState::after`](crate::PaymentState::after) and nothing else, however often.

use alloy_primitives::U256;
use faregate_types::Code;
use futures_util::future::BoxFuture;

use super::{answer, assert_books, broadcast, fail, sell, serve, settle, steps, ways, won};
use crate::suite::kit::{Bench, at, claim, id, on_credit};
use crate::{Answer, Claimed, Effect, LedgerStore, PaymentState, Step, StepError, StoreError};

/// Every state with every step: the engine does what [`PaymentState::after`] and [`Payment::apply`] say, and a refused
/// step leaves no trace.
pub async fn every_state_and_step_agrees_with_the_rules<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let mut number = 0;
    let served = (PaymentState::Reserved, vec![serve()]);
    let finished = (PaymentState::Settled, vec![settle(), Step::Finalize]);
    let reopened = (PaymentState::Broadcast, vec![settle(), Step::Reopen]);
    for (state, way) in ways().into_iter().chain([served, finished, reopened]) {
        for step in steps().into_iter().chain(steps()) {
            number += 1;
            let first = match number % 16 {
                // Who does not owe is not served first.
                1..=8 if !way.contains(&serve()) => claim(number),
                _ => on_credit(claim(number), u64::MAX),
            };
            let mut payment = won(store, first).await;
            for step in way.clone() {
                payment.apply(step.clone(), at(1)).unwrap();
                assert_eq!(
                    store.advance(id(number), step, at(1)).await,
                    Ok(payment.clone())
                );
            }
            assert_eq!(payment.state, state);
            let expected = match payment.after(&step) {
                Ok(next) => {
                    let effect = payment.apply(step.clone(), at(2)).unwrap();
                    assert_eq!(payment.state, next);
                    Ok((payment.clone(), effect))
                }
                Err(StepError { from }) => {
                    assert_eq!(from, state);
                    Err(StoreError::Step(StepError { from }))
                }
            };
            assert_eq!(
                store.take_step(id(number), step.clone(), at(2)).await,
                expected,
                "{state:?} {step:?}"
            );
            assert_eq!(
                store.payment(id(number)).await,
                Ok(Some(payment)),
                "{state:?} {step:?}"
            );
        }
    }
}

/// Of many who take the same step at once, one is told that it did something.
pub async fn one_of_many_takes_a_step<S: LedgerStore>(bench: &Bench<S>) {
    for (number, step) in (0..).zip([settle(), fail(), sell(), Step::Release]) {
        won(&*bench.store, claim(number)).await;
        let taken = bench
            .crowd(
                (0..20).map(move |turn| (step.clone(), turn)),
                move |store, (step, turn)| -> BoxFuture<'_, Result<Effect, StoreError>> {
                    let taken = store.take_step(id(number), step, at(turn));
                    Box::pin(async move { taken.await.map(|(_, effect)| effect) })
                },
            )
            .await;
        let first = |taken: &&Result<Effect, StoreError>| **taken != Ok(Effect::Repeated);
        assert_eq!(taken.iter().filter(first).count(), 1, "{taken:?}");
        assert!(taken.iter().all(Result::is_ok));
    }
}

/// A step that is repeated, because its answer was lost, changes nothing: no money, no time, no word.
pub async fn a_second_step_changes_nothing<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for (number, (_, way)) in (0..).zip(ways()) {
        won(store, claim(number)).await;
        let mut way = way;
        if way.contains(&settle()) {
            way.push(sell());
            way.push(Step::Keep { answer: answer() });
            way.push(Step::Finalize);
        }
        for step in way {
            let first = store.advance(id(number), step.clone(), at(1)).await;
            let totals = store.totals().await;
            assert!(first.is_ok());
            let again = store.take_step(id(number), step, at(9)).await;
            assert_eq!(again, first.map(|first| (first, Effect::Repeated)));
            assert_eq!(store.totals().await, totals);
        }
    }
    // What an end says stays, even if somebody says it differently later.
    let settled = store.payment(id(2)).await.unwrap().unwrap();
    for step in [
        Step::Settle {
            transaction: Some("0xother".into()),
        },
        Step::Settle { transaction: None },
        Step::Keep {
            answer: Answer {
                status: 500,
                headers: vec![],
                body: None,
            },
        },
    ] {
        assert_eq!(store.advance(id(2), step, at(9)).await, Ok(settled.clone()));
    }
    let failed = store.payment(id(3)).await.unwrap().unwrap();
    assert_eq!(
        store
            .advance(
                id(3),
                Step::Fail {
                    code: Code::Internal
                },
                at(9)
            )
            .await,
        Ok(failed)
    );
}

/// What was handed to the network is not forgotten; a replacement replaces it.
pub async fn a_broadcast_keeps_its_transaction<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    won(store, claim(1)).await;
    for (secs, transaction) in [(1, "0x01"), (2, "0x02")] {
        let step = Step::Broadcast {
            transaction: transaction.into(),
        };
        let payment = store.advance(id(1), step, at(secs)).await.unwrap();
        assert_eq!(payment.transaction.as_deref(), Some(transaction));
        assert_eq!(
            (payment.state, payment.changed_at),
            (PaymentState::Broadcast, at(secs))
        );
    }
    let settled = store
        .advance(id(1), Step::Settle { transaction: None }, at(3))
        .await
        .unwrap();
    assert_eq!(settled.transaction.as_deref(), Some("0x02"));

    won(store, claim(2)).await;
    store.advance(id(2), broadcast(), at(1)).await.unwrap();
    let failed = store.advance(id(2), fail(), at(2)).await.unwrap();
    assert_eq!(
        failed.transaction.as_deref(),
        Some("0xb0"),
        "also when it failed"
    );

    won(store, claim(3)).await;
    store
        .advance(id(3), Step::Settle { transaction: None }, at(1))
        .await
        .unwrap();
    let told = store.advance(id(3), settle(), at(2)).await.unwrap();
    assert_eq!(
        told.transaction.as_deref(),
        Some("0x5e"),
        "a reference that becomes known later is noted"
    );
    assert_books(store, U256::ZERO, U256::from(2000)).await;
}

/// A kept answer is given back as it was: every byte, every header, in order.
pub async fn answers_come_back_byte_for_byte<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let every_byte: Vec<u8> = (0..=255).collect();
    let headers: Vec<(Box<str>, Vec<u8>)> = vec![
        ("set-cookie".into(), b"b=2".to_vec()),
        ("x-bytes".into(), every_byte.clone()),
        ("set-cookie".into(), b"a=1".to_vec()),
        ("x-empty".into(), vec![]),
    ];
    let answers = [
        Answer {
            status: 200,
            headers,
            body: Some(every_byte),
        },
        Answer {
            status: 100,
            headers: vec![],
            body: Some(vec![]),
        },
        Answer {
            status: 599,
            headers: vec![],
            body: None,
        },
        Answer {
            status: 204,
            headers: vec![],
            body: Some(vec![0; 300_000]),
        },
    ];
    for (number, answer) in (0..).zip(answers) {
        won(store, claim(number)).await;
        store.advance(id(number), settle(), at(1)).await.unwrap();
        let kept = store
            .advance(
                id(number),
                Step::Keep {
                    answer: answer.clone(),
                },
                at(2),
            )
            .await
            .unwrap();
        assert_eq!(
            (kept.answer.as_ref(), kept.changed_at),
            (Some(&answer), at(2))
        );
        assert_eq!(store.payment(id(number)).await, Ok(Some(kept.clone())));
        assert_eq!(
            store.claim(claim(number)).await,
            Ok(Claimed::Same(Box::new(kept)))
        );
    }
}

/// There is nothing to sell again before the money moved.
pub async fn only_settled_payments_keep_an_answer<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for (number, (state, way)) in (0..).zip(ways()) {
        won(store, claim(number)).await;
        for step in way {
            store.advance(id(number), step, at(1)).await.unwrap();
        }
        let kept = store
            .advance(id(number), Step::Keep { answer: answer() }, at(2))
            .await;
        assert_eq!(kept.is_ok(), state == PaymentState::Settled, "{state:?}");
        let stored = store.payment(id(number)).await.unwrap().unwrap();
        assert_eq!(
            stored.answer.is_some(),
            state == PaymentState::Settled,
            "{state:?}"
        );
    }
}
