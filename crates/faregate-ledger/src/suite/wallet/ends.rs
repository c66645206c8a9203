//! Ends that are written later: nothing that is asked afterwards misses them.

use super::{CROWD, PAID, records, refused, signed};
use crate::suite::kit::{Bench, at, id, spend};
use crate::{SpendState, StoreError, WalletStore};

/// Ends a spend later if the engine can, else now. Both promise the same to whoever asks afterwards.
async fn ended<S: WalletStore>(store: &S, number: u64) {
    if !store.finish_spend_later(id(number), PAID, at(9)) {
        store.finish_spend(id(number), PAID, at(9)).await.unwrap();
    }
}

/// Every kind of question sees an end that was queued before it.
pub async fn a_queued_end_is_seen_by_what_comes_after<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for number in 0..20 {
        signed(store, spend(number, 1, number)).await;
        ended(store, number).await;
        match number % 4 {
            0 => assert_eq!(store.open_spends(99).await, Ok(vec![])),
            1 => assert_eq!(records(store).await[0].state, SpendState::Paid),
            2 => {
                let found = store.spend(id(number)).await.unwrap().unwrap();
                assert_eq!(found.state, SpendState::Paid);
            }
            // An end that comes after it is judged after it: a receipt is never taken back.
            _ => {
                let refusal = store.finish_spend(id(number), refused(), at(10));
                assert_eq!(refusal.await, Ok(()));
                assert_eq!(records(store).await[0].state, SpendState::Paid);
            }
        }
    }
}

/// Many at once, and one that does not exist among them: nothing is lost and nothing else is harmed.
pub async fn queued_ends_are_all_written<S: WalletStore>(bench: &Bench<S>) {
    bench
        .crowd(0..CROWD, |store, number| {
            Box::pin(async move {
                signed(store, spend(number, 1, number)).await;
                if !store.finish_spend_later(id(number + 1000), PAID, at(9)) {
                    let end = store.finish_spend(id(number + 1000), PAID, at(9));
                    assert_eq!(end.await, Err(StoreError::NotFound));
                }
                ended(store, number).await;
            })
        })
        .await;
    let store = &*bench.store;
    assert_eq!(store.flush().await, Ok(()));
    let all = records(store).await;
    assert_eq!(all.len(), 64);
    assert!(all.iter().all(|record| record.state == SpendState::Paid));
}
