//! Money: exact, apart, never wrapping.

use std::collections::BTreeSet;

use alloy_primitives::U256;
use faregate_types::{Amount, AssetId};

use super::{assert_books, broadcast, fail, settle, won};
use crate::suite::kit::{Bench, asset, at, claim, claim_of, id, payee, payer};
use crate::{LedgerStore, Step, StoreError};

/// Settling posts, failing and releasing void, to the unit.
pub async fn money_moves_exactly<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let large = (U256::from(1) << 255) - U256::from(1);
    let steps = [
        (claim_of(1, large), vec![broadcast()], large, U256::ZERO),
        (
            claim_of(2, U256::from(7)),
            vec![],
            large + U256::from(7),
            U256::ZERO,
        ),
        (claim_of(1, large), vec![settle()], U256::from(7), large),
        (claim_of(2, U256::from(7)), vec![fail()], U256::ZERO, large),
        (
            claim_of(3, U256::from(1)),
            vec![Step::Release],
            U256::ZERO,
            large,
        ),
        (
            claim_of(4, U256::from(1)),
            vec![broadcast(), settle()],
            U256::ZERO,
            large + U256::from(1),
        ),
    ];
    for (claim, steps, pending, posted) in steps {
        let claim_id = claim.id;
        store.claim(claim).await.unwrap();
        for step in steps {
            store.advance(claim_id, step, at(1)).await.unwrap();
        }
        assert_books(store, pending, posted).await;
    }
}

/// A sum is about one asset and one account.
pub async fn assets_are_kept_apart<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for number in 1..=3 {
        let mut claim = claim(number);
        claim.transfer.amount = Amount::new(U256::from(number), asset(number));
        claim.transfer.credit = payee(number);
        won(store, claim).await;
        store.advance(id(number), settle(), at(1)).await.unwrap();
    }
    for number in 1..=3 {
        for account in 1..=3 {
            let received = store
                .balance(payee(account), asset(number))
                .await
                .unwrap()
                .credits_posted;
            let expected = if account == number {
                U256::from(number)
            } else {
                U256::ZERO
            };
            assert_eq!(received, expected);
        }
        let given = store
            .balance(payer(1), asset(number))
            .await
            .unwrap()
            .debits_posted;
        assert_eq!(given, U256::from(number));
    }
    let totals = store.totals().await.unwrap();
    let assets: BTreeSet<AssetId> = totals.iter().map(|total| total.asset).collect();
    assert_eq!((totals.len(), assets), (3, (1..=3).map(asset).collect()));
}

/// A sum beyond 256 bits is an error that changes nothing.
pub async fn sums_never_wrap<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    won(store, claim_of(1, U256::MAX)).await;
    assert_eq!(
        store.claim(claim_of(2, U256::from(1))).await,
        Err(StoreError::Damaged)
    );
    assert_eq!(store.payment(id(2)).await, Ok(None));
    assert_books(store, U256::MAX, U256::ZERO).await;
    store.advance(id(1), Step::Release, at(1)).await.unwrap();
    won(store, claim_of(2, U256::from(1))).await;
}
