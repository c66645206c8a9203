//! Lists: in order, no longer than asked for; and what is not there.

use faregate_types::PaymentId;

use super::{broadcast, fail, settle, steps, won};
use crate::suite::kit::{Bench, asset, at, claim, id, payer};
use crate::{Balance, Claim, LedgerStore, Payment, Step, StoreError};

/// Recovery finds what is open, the longest forgotten first, and no more than it asked for.
pub async fn open_payments_are_oldest_first<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    assert_eq!(store.open_payments(10).await, Ok(vec![]));
    for number in 1..=6 {
        won(
            store,
            Claim {
                at: at(number),
                ..claim(number)
            },
        )
        .await;
    }
    store.advance(id(2), broadcast(), at(20)).await.unwrap();
    store.advance(id(3), settle(), at(21)).await.unwrap();
    store.advance(id(4), fail(), at(22)).await.unwrap();
    store.advance(id(5), Step::Release, at(23)).await.unwrap();
    let ids = async |limit| -> Vec<PaymentId> {
        let payments = store.open_payments(limit).await.unwrap();
        payments
            .into_iter()
            .map(|payment| payment.claim.id)
            .collect()
    };
    assert_eq!(ids(10).await, [id(1), id(6), id(2)]);
    assert_eq!(ids(u32::MAX).await, [id(1), id(6), id(2)]);
    assert_eq!(ids(2).await, [id(1), id(6)]);
    assert_eq!(ids(0).await, []);
    assert_eq!(
        store.open_payments(1).await.unwrap()[0],
        Payment::reserved(Claim {
            at: at(1),
            ..claim(1)
        })
    );
}

/// Newest first, whatever became of them; a second claim makes a payment new.
pub async fn recent_payments_are_newest_first<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    assert_eq!(store.recent_payments(10).await, Ok(vec![]));
    for number in [1, 2, 3, 4] {
        won(
            store,
            Claim {
                at: at(number),
                ..claim(number)
            },
        )
        .await;
    }
    store.advance(id(1), settle(), at(20)).await.unwrap();
    store.advance(id(2), Step::Release, at(21)).await.unwrap();
    won(
        store,
        Claim {
            at: at(30),
            ..claim(2)
        },
    )
    .await;
    let ids = async |limit| -> Vec<PaymentId> {
        let payments = store.recent_payments(limit).await.unwrap();
        payments
            .into_iter()
            .map(|payment| payment.claim.id)
            .collect()
    };
    assert_eq!(ids(10).await, [id(2), id(4), id(3), id(1)]);
    assert_eq!(ids(2).await, [id(2), id(4)]);
    assert_eq!(ids(0).await, []);
}

/// What was never claimed is not there, and asking does not make it.
pub async fn unknown_ids_are_not_found<S: LedgerStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    assert_eq!(store.payment(id(1)).await, Ok(None));
    for step in steps() {
        assert_eq!(
            store.advance(id(1), step, at(1)).await,
            Err(StoreError::NotFound)
        );
    }
    assert_eq!(store.payment(id(1)).await, Ok(None));
    assert_eq!(
        store.balance(payer(1), asset(1)).await,
        Ok(Balance::zero(asset(1)))
    );
    assert_eq!(store.totals().await, Ok(vec![]));
}
