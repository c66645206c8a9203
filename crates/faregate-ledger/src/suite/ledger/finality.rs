//! Settlements that are not final: reopened, settled again, and at last certain.

use alloy_primitives::U256;
use faregate_types::PaymentId;

use super::{after, answer, assert_books, broadcast, fail, settle, won};
use crate::suite::kit::{Bench, at, claim, id};
use crate::{Claimed, LedgerStore, PaymentState, Step, StepError, StoreError};

/// What was posted is reserved again, to the unit, and the transaction that is gone is no longer named.
pub async fn a_reopened_payment_is_reserved_again<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    after(store, claim(1), [broadcast(), settle()]).await;
    after(store, claim(2), [settle()]).await;
    assert_books(store, U256::ZERO, U256::from(2_000)).await;
    let reopened = store.advance(id(1), Step::Reopen, at(2)).await.unwrap();
    assert_eq!(
        (
            reopened.state,
            reopened.transaction.clone(),
            reopened.changed_at
        ),
        (PaymentState::Broadcast, None, at(2))
    );
    assert_books(store, U256::from(1_000), U256::from(1_000)).await;
    // ... and once more changes nothing
    assert_eq!(
        store.advance(id(1), Step::Reopen, at(3)).await,
        Ok(reopened.clone())
    );
    assert_eq!(
        store.claim(claim(1)).await,
        Ok(Claimed::InFlight(Box::new(reopened)))
    );
    assert_books(store, U256::from(1_000), U256::from(1_000)).await;
    // It ends like any other.
    store.advance(id(1), fail(), at(4)).await.unwrap();
    assert_books(store, U256::ZERO, U256::from(1_000)).await;
}

/// Every time with the same result in the books.
pub async fn a_payment_may_be_reopened_more_than_once<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    after(store, claim(1), [settle()]).await;
    for _ in 0..3 {
        store.advance(id(1), Step::Reopen, at(2)).await.unwrap();
        assert_books(store, U256::from(1_000), U256::ZERO).await;
        store.advance(id(1), broadcast(), at(3)).await.unwrap();
        let again = store.advance(id(1), settle(), at(4)).await.unwrap();
        assert_eq!(again.transaction.as_deref(), Some("0x5e"));
        assert_books(store, U256::ZERO, U256::from(1_000)).await;
    }
}

/// Nobody reopens what is final; that it is final is written down once.
pub async fn what_is_final_stays<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let payment = after(store, claim(1), [settle(), Step::Finalize]).await;
    assert_eq!(payment.final_at, Some(at(1)));
    assert_eq!(
        store.advance(id(1), Step::Finalize, at(2)).await,
        Ok(payment.clone())
    );
    let refused = StoreError::Step(StepError {
        from: PaymentState::Settled,
    });
    assert_eq!(
        store.advance(id(1), Step::Reopen, at(2)).await,
        Err(refused)
    );
    assert_eq!(store.payment(id(1)).await, Ok(Some(payment)));
    assert_books(store, U256::ZERO, U256::from(1_000)).await;
}

/// The worker finds what is settled and not final, and nothing else.
pub async fn payments_that_are_not_final_are_oldest_first<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for number in 1..=6 {
        won(store, claim(number)).await;
    }
    for (number, step) in [
        (4, settle()),
        (1, settle()),
        (2, settle()),
        (3, fail()),
        (5, settle()),
        (6, settle()),
    ] {
        store
            .advance(id(number), step, at(10 - number))
            .await
            .unwrap();
    }
    store.advance(id(5), Step::Finalize, at(20)).await.unwrap();
    store.advance(id(2), Step::Reopen, at(21)).await.unwrap();
    let ids = async |limit| -> Vec<PaymentId> {
        let payments = store.unfinal_payments(limit).await.unwrap();
        payments
            .into_iter()
            .map(|payment| payment.claim.id)
            .collect()
    };
    assert_eq!(ids(10).await, [id(6), id(4), id(1)]);
    assert_eq!(ids(2).await, [id(6), id(4)]);
    assert_eq!(ids(0).await, []);
}

/// What was sold is not unsold: copies get the same answer while the payment is settled again.
pub async fn a_reopened_payment_keeps_its_answer<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let keep = Step::Keep { answer: answer() };
    after(store, claim(1), [settle(), keep.clone(), Step::Reopen]).await;
    let reopened = store.payment(id(1)).await.unwrap().unwrap();
    assert_eq!(
        (reopened.state, reopened.answer),
        (PaymentState::Broadcast, Some(answer()))
    );
    let listed = store.open_payments(10).await.unwrap();
    assert!(listed[0].answer.is_some(), "a list says that there is one");
    let settled = store.advance(id(1), settle(), at(2)).await.unwrap();
    assert_eq!(store.advance(id(1), keep, at(3)).await, Ok(settled));
}
