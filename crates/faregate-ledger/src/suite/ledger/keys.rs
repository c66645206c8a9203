//! Names that payers give to purchases: one purchase each, whichever payment comes with them.

use alloy_primitives::U256;

use super::{CROWD, after, assert_books, broadcast, fail, settle};
use crate::suite::kit::{Bench, at, claim, id, named, other_request, payer};
use crate::{Answer, Claim, Claimed, LedgerStore, Payment, Step};

/// Another payment under the same key is told of the first, or that the key names something else. Nothing is reserved.
pub async fn a_key_stands_for_one_purchase<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let mut first = after(store, named(claim(1), "order", 1), []).await;
    for step in [None, Some(broadcast()), Some(settle())] {
        if let Some(step) = step {
            first = store.advance(id(1), step, at(1)).await.unwrap();
        }
        assert_eq!(
            store.claim(named(claim(2), "order", 1)).await,
            Ok(Claimed::Repeated(Box::new(first.clone())))
        );
        assert_eq!(
            store.claim(named(claim(2), "order", 2)).await,
            Ok(Claimed::KeyConflict)
        );
    }
    assert_eq!(store.payment(id(2)).await, Ok(None));
    assert_books(store, U256::ZERO, U256::from(1_000)).await;
    after(store, named(claim(2), "another", 2), []).await;
    after(store, claim(3), []).await;
}

/// Two payers may choose the same name.
pub async fn a_key_is_the_payers_own<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    after(store, named(claim(1), "order", 1), [settle()]).await;
    let mut theirs = named(claim(2), "order", 2);
    theirs.transfer.debit = payer(2);
    after(store, theirs, []).await;
}

/// A purchase that failed or was given back may be made again under its name, by any payment and for any request.
pub async fn a_key_is_free_again_when_nothing_was_bought<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    after(store, named(claim(1), "order", 1), [fail()]).await;
    after(store, named(claim(2), "order", 2), [Step::Release]).await;
    let third = after(store, named(claim(3), "order", 3), [settle()]).await;
    assert_eq!(
        store.claim(named(claim(4), "order", 3)).await,
        Ok(Claimed::Repeated(Box::new(third.clone())))
    );
    // The released one is claimed again without its name, and with it.
    assert_eq!(
        store.claim(named(claim(2), "order", 3)).await,
        Ok(Claimed::Repeated(Box::new(third)))
    );
    after(store, claim(2), [Step::Release]).await;
    after(store, named(claim(2), "other", 1), [Step::Release]).await;
    after(store, claim(2), []).await;
    after(store, named(claim(5), "other", 9), []).await;
}

/// A copy of the same payment hears about this payment, whatever name it comes with.
pub async fn the_payment_itself_comes_before_its_key<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let first = after(store, named(claim(1), "order", 1), [settle()]).await;
    after(store, named(claim(2), "other", 2), [settle()]).await;
    for again in [
        claim(1),
        named(claim(1), "order", 1),
        named(claim(1), "other", 2),
    ] {
        assert_eq!(
            store.claim(again).await,
            Ok(Claimed::Same(Box::new(first.clone())))
        );
    }
    assert_eq!(
        store
            .claim(named(other_request(claim(1), 7), "new", 1))
            .await,
        Ok(Claimed::Conflict)
    );
}

/// Whoever asks for a key without claiming hears of the same payment: as it is now, whatever became of it.
pub async fn a_key_is_looked_up_without_a_claim<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let (own, other) = (named(claim(1), "order", 1), named(claim(2), "other", 1));
    let key = |claim: &Claim| claim.idempotency.clone().expect("it has a name").key;
    let ask = |claim: &Claim| store.named_payment(claim.transfer.debit.clone(), key(claim));
    assert_eq!(ask(&own).await, Ok(None));
    let first = after(store, own.clone(), []).await;
    assert_eq!(ask(&own).await, Ok(Some(first)));
    let answer = Answer {
        status: 200,
        headers: vec![("x".into(), b"y".to_vec())],
        body: Some(b"joke".to_vec()),
    };
    let sold = Step::Sell {
        transaction: None,
        answer,
    };
    let first = store.advance(id(1), sold, at(1)).await.unwrap();
    assert_eq!(ask(&own).await, Ok(Some(first)));
    assert_eq!(ask(&other).await, Ok(None));
    assert_eq!(store.named_payment(payer(2), key(&own)).await, Ok(None));
    // Asking claims nothing, and what was given back goes on to be found until another has the key.
    assert_eq!(store.recent_payments(10).await.map(|all| all.len()), Ok(1));
    let given_back = after(store, other.clone(), [Step::Release]).await;
    assert_eq!(ask(&other).await, Ok(Some(given_back)));
    let second = after(store, named(claim(3), "other", 1), []).await;
    assert_eq!(ask(&other).await, Ok(Some(second)));
}

/// Many payments under one key: one is charged, the others hear of it.
pub async fn one_of_many_payments_gets_the_key<S: LedgerStore>(bench: &Bench<S>) {
    let verdicts = bench
        .crowd(0..CROWD, |store, number| {
            store.claim(named(claim(number), "order", 1))
        })
        .await;
    let winner = bench.store.recent_payments(10).await.unwrap();
    assert_eq!(winner, [Payment::reserved(winner[0].claim.clone())]);
    let told = Claimed::Repeated(Box::new(winner[0].clone()));
    let count = |wanted: &Claimed| {
        verdicts
            .iter()
            .filter(|one| one.as_ref() == Ok(wanted))
            .count()
    };
    assert_eq!((count(&Claimed::Won), count(&told)), (1, 63));
    assert_books(&*bench.store, U256::from(1_000), U256::ZERO).await;
}
