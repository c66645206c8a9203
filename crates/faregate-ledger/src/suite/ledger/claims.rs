//! Claims: one winner, and everybody else is told the truth.

use alloy_primitives::U256;
use faregate_types::{Amount, RailName, Timestamp};
use futures_util::future::BoxFuture;

use super::{CROWD, answer, assert_books, balance, fail, settle, ways, won};
use crate::suite::kit::{Bench, asset, at, claim, claim_of, id, other_request, payer};
use crate::{Claim, Claimed, LedgerStore, Payment, PaymentState, Step, StoreError};

/// Nothing of a claim is lost, whatever is in it.
pub async fn a_payment_is_kept_whole<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for (number, rail) in (0..).zip(RailName::ALL) {
        let claim = Claim {
            rail,
            route: "GET /naïve/路/\"quoted\"'; --".into(),
            evidence: (0..=255).collect(),
            at: Timestamp::from_secs(u64::MAX - number),
            ..claim_of(number, U256::from(1) << 200)
        };
        let payment = won(store, claim).await;
        assert_eq!(store.payment(payment.claim.id).await, Ok(Some(payment)));
    }
    let empty = Claim {
        route: "".into(),
        evidence: vec![],
        at: Timestamp::from_secs(0),
        ..claim(9)
    };
    let payment = won(store, empty).await;
    assert_eq!(store.payment(payment.claim.id).await, Ok(Some(payment)));
}

/// The second claim of the same request is told that the first is being worked on.
pub async fn a_claim_is_won_once<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let payment = won(store, claim(1)).await;
    let later = Claim {
        at: at(5),
        evidence: vec![9],
        ..claim(1)
    };
    assert_eq!(
        store.claim(later).await,
        Ok(Claimed::InFlight(Box::new(payment.clone())))
    );
    assert_eq!(store.payment(id(1)).await, Ok(Some(payment)));
    assert_books(store, U256::from(1000), U256::ZERO).await;
}

/// However many claim at once, one wins, and the money is reserved once.
pub async fn one_of_many_claims_wins<S: LedgerStore>(bench: &Bench<S>) {
    let verdicts = bench
        .crowd(0..CROWD, |store, _| store.claim(claim(1)))
        .await;
    let payment = Payment::reserved(claim(1));
    let (won, others): (Vec<_>, Vec<_>) = verdicts
        .into_iter()
        .partition(|verdict| *verdict == Ok(Claimed::Won));
    assert_eq!(won.len(), 1);
    assert_eq!(others.len(), 63);
    for verdict in others {
        assert_eq!(verdict, Ok(Claimed::InFlight(Box::new(payment.clone()))));
    }
    assert_books(&*bench.store, U256::from(1000), U256::ZERO).await;
}

/// A credential that was used for one request is refused for another, in every state but `Released`.
pub async fn another_fingerprint_is_a_conflict<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for (number, (state, way)) in (0..).zip(ways()) {
        won(store, claim(number)).await;
        for step in way {
            store.advance(id(number), step, at(1)).await.unwrap();
        }
        let before = store.payment(id(number)).await;
        let verdict = store.claim(other_request(claim(number), 1)).await;
        if state == PaymentState::Released {
            assert_eq!(verdict, Ok(Claimed::Won));
        } else {
            assert_eq!(verdict, Ok(Claimed::Conflict), "{state:?}");
            assert_eq!(store.payment(id(number)).await, before);
        }
    }
}

/// Many requests with one credential: one of them gets it, the others are refused.
pub async fn one_of_many_fingerprints_wins<S: LedgerStore>(bench: &Bench<S>) {
    let verdicts = bench
        .crowd(0..CROWD, |store, request| {
            store.claim(other_request(claim(1), request))
        })
        .await;
    let count = |wanted: &Claimed| {
        verdicts
            .iter()
            .filter(|verdict| verdict.as_ref() == Ok(wanted))
            .count()
    };
    assert_eq!((count(&Claimed::Won), count(&Claimed::Conflict)), (1, 63));
    assert_books(&*bench.store, U256::from(1000), U256::ZERO).await;
}

/// After a release anybody may claim again, for any request and amount; still only one gets it.
pub async fn a_released_payment_is_claimed_again_by_one<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    won(store, claim(1)).await;
    store.advance(id(1), Step::Release, at(1)).await.unwrap();
    assert_books(store, U256::ZERO, U256::ZERO).await;

    let again = |request: u64| Claim {
        at: at(2),
        ..other_request(claim_of(1, U256::from(request + 1)), request)
    };
    let verdicts = bench
        .crowd(0..CROWD, move |store, request| {
            Box::pin(async move { (request, store.claim(again(request)).await) })
        })
        .await;
    let winners: Vec<u64> = verdicts
        .iter()
        .filter(|(_, verdict)| *verdict == Ok(Claimed::Won))
        .map(|(request, _)| *request)
        .collect();
    let conflicts = verdicts
        .iter()
        .filter(|(_, verdict)| *verdict == Ok(Claimed::Conflict))
        .count();
    assert_eq!((winners.len(), conflicts), (1, 63));
    let payment = Payment::reserved(again(winners[0]));
    assert_books(store, payment.claim.transfer.amount.value(), U256::ZERO).await;
    assert_eq!(store.payment(id(1)).await, Ok(Some(payment)));
}

/// The same request after the end gets the end, again and again.
pub async fn copies_are_told_the_end<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for (number, step) in [(1, settle()), (2, fail())] {
        let mut payment = won(store, claim(number)).await;
        payment.apply(step.clone(), at(1)).unwrap();
        assert_eq!(
            store.advance(id(number), step, at(1)).await,
            Ok(payment.clone())
        );
        for _ in 0..2 {
            assert_eq!(
                store.claim(claim(number)).await,
                Ok(Claimed::Same(Box::new(payment.clone())))
            );
        }
    }
    let kept = store
        .advance(id(1), Step::Keep { answer: answer() }, at(2))
        .await
        .unwrap();
    assert_eq!(kept.answer, Some(answer()));
    assert_eq!(
        store.claim(claim(1)).await,
        Ok(Claimed::Same(Box::new(kept)))
    );
}

/// Engines write many jobs at once; one that is refused must not take the others with it.
pub async fn a_failing_job_does_not_spoil_the_others<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let mut huge = claim_of(1000, U256::MAX);
    huge.transfer.amount = Amount::new(U256::MAX, asset(2));
    won(store, huge.clone()).await;
    let results = bench
        .crowd(
            0..90,
            move |store, number| -> BoxFuture<'_, Result<Option<Claimed>, StoreError>> {
                let overflow = Claim {
                    id: id(2000 + number),
                    ..claim_of(0, U256::MAX)
                };
                Box::pin(async move {
                    match number % 3 {
                        0 => store.claim(claim(number)).await.map(Some),
                        1 => store
                            .advance(id(3000 + number), settle(), at(1))
                            .await
                            .map(|_| None),
                        _ => {
                            let mut claim = overflow;
                            claim.transfer.amount = Amount::new(U256::MAX, asset(2));
                            store.claim(claim).await.map(Some)
                        }
                    }
                })
            },
        )
        .await;
    let count = |wanted: Result<Option<Claimed>, StoreError>| {
        results.iter().filter(|one| **one == wanted).count()
    };
    assert_eq!(count(Ok(Some(Claimed::Won))), 30);
    assert_eq!(count(Err(StoreError::NotFound)), 30);
    assert_eq!(count(Err(StoreError::Damaged)), 30);
    let pending = balance(store, payer(1)).await[0];
    assert_eq!(pending, U256::from(30_000));
    assert_eq!(
        store
            .balance(payer(1), asset(2))
            .await
            .unwrap()
            .debits_pending,
        U256::MAX
    );
    for number in (0..90).step_by(3) {
        assert_eq!(
            store.payment(id(number)).await,
            Ok(Some(Payment::reserved(claim(number))))
        );
    }
}
