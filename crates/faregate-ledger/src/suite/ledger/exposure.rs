//! Served before the money moves: never more than the seller allows, however the events fall.

use std::collections::BTreeMap;

use alloy_primitives::U256;
use faregate_types::{Amount, PaymentId};
use futures_util::future::BoxFuture;

use super::{CROWD, after, answer, broadcast, fail, serve, settle};
use crate::suite::kit::{Bench, Chance, asset, at, claim, id, on_credit, payer};
use crate::{Claim, Claimed, LedgerStore, Payment, PaymentState, Step, StoreError};

async fn exposed<S: LedgerStore>(store: &S) -> U256 {
    store.exposure(payer(1), asset(1)).await.unwrap()
}

/// Up to the maximum and not a unit more; a refused claim leaves nothing behind.
pub async fn an_exposure_is_refused_above_its_max<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    assert_eq!(exposed(store).await, U256::ZERO);
    after(store, on_credit(claim(1), 2_000), []).await;
    after(store, on_credit(claim(2), 2_000), []).await;
    assert_eq!(
        store.claim(on_credit(claim(3), 2_000)).await,
        Ok(Claimed::Exposed)
    );
    assert_eq!(
        store.claim(on_credit(claim(3), 2_999)).await,
        Ok(Claimed::Exposed)
    );
    assert_eq!(store.payment(id(3)).await, Ok(None));
    assert_eq!(exposed(store).await, U256::from(2_000));
    // Paid first it owes nothing.
    after(store, claim(3), []).await;
    assert_eq!(exposed(store).await, U256::from(2_000));
    after(store, on_credit(claim(4), 3_000), []).await;
    let huge = on_credit(
        Claim {
            id: id(5),
            ..crate::suite::kit::claim_of(5, U256::MAX)
        },
        u64::MAX,
    );
    assert_eq!(
        store.claim(huge).await,
        Ok(Claimed::Exposed),
        "sums never wrap"
    );
    // A copy is told about the payment, whatever the exposure.
    assert!(matches!(
        store.claim(on_credit(claim(1), 1)).await,
        Ok(Claimed::InFlight(_))
    ));
}

/// Everything that is open is held against what the payer has, whoever serves it and when; a refused claim leaves nothing.
pub async fn a_payer_reserves_no_more_than_its_funds<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let holding = |number: u64, funds: u64| Claim {
        funds: Some(U256::from(funds)),
        ..claim(number)
    };
    let overdrawn = |reserved: u64| {
        Ok(Claimed::Overdrawn {
            reserved: U256::from(reserved),
        })
    };
    assert_eq!(store.claim(holding(1, 999)).await, overdrawn(0));
    assert_eq!(store.payment(id(1)).await, Ok(None));
    after(store, holding(1, 1_000), []).await;
    assert_eq!(store.claim(holding(2, 1_999)).await, overdrawn(1_000));
    // Of another kind, and without a word about funds: reserved all the same.
    after(store, claim(3), [broadcast()]).await;
    assert_eq!(store.claim(holding(2, 2_999)).await, overdrawn(2_000));
    // Credit does not make money.
    let credit = on_credit(holding(2, 2_999), u64::MAX);
    assert_eq!(store.claim(credit).await, overdrawn(2_000));
    after(store, holding(2, 3_000), [fail()]).await;
    store.advance(id(3), settle(), at(2)).await.unwrap();
    after(store, holding(4, 2_000), []).await;
    // A copy is told about the payment, whatever is reserved.
    assert!(matches!(
        store.claim(holding(1, 0)).await,
        Ok(Claimed::InFlight(_))
    ));
    let claimed = bench
        .crowd(10..42, move |store, number| {
            let funds = Some(U256::from(5_000));
            Box::pin(store.claim(Claim {
                funds,
                ..claim(number)
            }))
        })
        .await;
    let won = claimed.iter().filter(|one| **one == Ok(Claimed::Won));
    assert_eq!(won.count(), 3, "2,000 of 5,000 were reserved");
}

/// Settled, failed before it was served, or released: nothing is owed. Reopened: it may be again.
pub async fn an_exposure_ends_with_the_payment<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let ways = [
        vec![serve(), broadcast(), settle()],
        vec![broadcast(), settle()],
        vec![fail()],
        vec![Step::Release],
    ];
    for (number, way) in (1..).zip(ways) {
        after(store, on_credit(claim(number), 1_000), way).await;
        assert_eq!(exposed(store).await, U256::ZERO);
    }
    store.advance(id(1), Step::Reopen, at(2)).await.unwrap();
    assert_eq!(exposed(store).await, U256::from(1_000));
    assert_eq!(
        store.claim(on_credit(claim(9), 1_000)).await,
        Ok(Claimed::Exposed)
    );
    store.advance(id(1), settle(), at(3)).await.unwrap();
    assert_eq!(exposed(store).await, U256::ZERO);
}

/// A payer who takes and does not pay gets no more credit; and what was served is not given back.
pub async fn who_was_served_and_never_paid_stays_exposed<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let served = after(store, on_credit(claim(1), 1_000), [serve()]).await;
    assert_eq!(
        (served.state, served.answer),
        (PaymentState::Reserved, Some(answer()))
    );
    let refused = store.advance(id(1), Step::Release, at(2)).await;
    assert!(matches!(refused, Err(StoreError::Step(_))), "{refused:?}");
    store.advance(id(1), fail(), at(3)).await.unwrap();
    assert_eq!(exposed(store).await, U256::from(1_000));
    assert_eq!(
        store.claim(on_credit(claim(2), 1_999)).await,
        Ok(Claimed::Exposed)
    );
    // Who pays first may go on.
    after(store, claim(2), [settle()]).await;
}

/// One payer's debt is nobody else's, and one asset's is not another's.
pub async fn exposures_of_payers_and_assets_are_apart<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    after(store, on_credit(claim(1), 1_000), [serve()]).await;
    let mut other = on_credit(claim(2), 1_000);
    other.transfer.debit = payer(2);
    after(store, other, [serve()]).await;
    let mut token = on_credit(claim(3), 1_000);
    token.transfer.amount = Amount::new(U256::from(7), asset(2));
    after(store, token, [serve()]).await;
    assert_eq!(
        store.claim(on_credit(claim(4), 1_000)).await,
        Ok(Claimed::Exposed)
    );
    assert_eq!(exposed(store).await, U256::from(1_000));
    assert_eq!(
        store.exposure(payer(2), asset(1)).await,
        Ok(U256::from(1_000))
    );
    assert_eq!(store.exposure(payer(1), asset(2)).await, Ok(U256::from(7)));
}

/// However many claim at once, no more get credit than there is.
pub async fn an_exposure_holds_in_a_crowd<S: LedgerStore>(bench: &Bench<S>) {
    let verdicts = bench
        .crowd(0..CROWD, |store, number| {
            store.claim(on_credit(claim(number), 5_500))
        })
        .await;
    let count = |wanted: Claimed| {
        verdicts
            .iter()
            .filter(|one| **one == Ok(wanted.clone()))
            .count()
    };
    assert_eq!((count(Claimed::Won), count(Claimed::Exposed)), (5, 59));
    assert_eq!(exposed(&*bench.store).await, U256::from(5_000));
}

/// Crowds of random events: after each, what was served and is not paid is within the maximum, what the store says is what
/// the payments add up to, and one more claim gets credit just when there is room for it. Those claims stay unpaid for four
/// waves, more than there is room for, so that the maximum is met however a crowd went.
pub async fn served_and_unpaid_never_exceeds_the_max<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let (mut chance, max) = (Chance::new(1559), 3_500);
    let (mut refused, mut known) = (0, BTreeMap::<PaymentId, Payment>::new());
    for wave in 0..30_u64 {
        let events: Vec<(u64, u64)> = (0..16)
            .map(|_| (wave / 3 * 4 + chance.below(8), chance.below(16)))
            .collect();
        bench
            .crowd(events, move |store, (number, what)| -> BoxFuture<'_, ()> {
                Box::pin(async move {
                    let step = match what {
                        0..=5 => {
                            drop(store.claim(on_credit(claim(number), max)).await);
                            return;
                        }
                        6..=10 => serve(),
                        11 | 12 => broadcast(),
                        13 => settle(),
                        14 => fail(),
                        _ => Step::Release,
                    };
                    drop(store.advance(id(number), step, at(wave)).await);
                })
            })
            .await;
        for payment in store.recent_payments(1_000).await.unwrap() {
            known.insert(payment.claim.id, payment);
        }
        let sum = |counts: fn(&Payment) -> bool| {
            known
                .values()
                .filter(|payment| counts(payment))
                .fold(U256::ZERO, |sum, one| {
                    sum + one.claim.transfer.amount.value()
                })
        };
        let unpaid = sum(|one| one.answer.is_some() && one.state != PaymentState::Settled);
        assert!(unpaid <= U256::from(max), "wave {wave}: {unpaid}");
        let open = sum(Payment::is_exposed);
        assert_eq!(exposed(store).await, open, "wave {wave}");

        let verdict = store.claim(on_credit(claim(1_000 + wave), max)).await;
        if open + U256::from(1_000) <= U256::from(max) {
            assert_eq!(verdict, Ok(Claimed::Won), "wave {wave}");
            store
                .advance(id(1_000 + wave), serve(), at(wave))
                .await
                .unwrap();
        } else {
            assert_eq!(verdict, Ok(Claimed::Exposed), "wave {wave}");
            refused += 1;
        }
        if let Some(earlier) = wave.checked_sub(4) {
            // Refused claims cannot be settled.
            drop(store.advance(id(1_000 + earlier), settle(), at(wave)).await);
        }
    }
    assert!(refused > 0, "there is never room for four of them");
}
