//! Records: what was signed, for whom, and what became of it.

use alloy_primitives::U256;
use faregate_types::Timestamp;

use super::{PAID, at_host, records, refused, signed, usage};
use crate::suite::kit::{Bench, asset, at, id, no_caps, payee, spend, worth};
use crate::{Spend, SpendEnd, SpendRecord, SpendState, StoreError, Usage, WalletStore, Worth};

/// Nothing of a spend is lost, whatever is in it.
pub async fn a_spend_is_kept_whole<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let odd = Spend {
        resource: "/naïve/路?q='; --\"".into(),
        worth: Worth::new(U256::from(1) << 200),
        valid_until: Timestamp::from_secs(u64::MAX),
        credential: (0..=255).collect(),
        ..spend(1, u64::MAX, 0)
    };
    let empty = Spend {
        resource: "".into(),
        credential: vec![],
        at: Timestamp::from_secs(0),
        ..spend(2, 0, 0)
    };
    for spend in [odd.clone(), empty.clone()] {
        signed(store, spend).await;
    }
    let expected = [odd, empty].map(|spend| SpendRecord {
        spend,
        state: SpendState::Open,
        transaction: None,
    });
    assert_eq!(records(store).await, expected);
}

/// An id in the books belongs to one spend; anything else under it is refused and changes nothing.
pub async fn one_id_is_one_spend<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let first = spend(1, 10, 0);
    signed(store, first.clone()).await;
    let others = [
        Spend {
            origin: "https://other.example".into(),
            ..first.clone()
        },
        Spend {
            payee: payee(2).as_str().into(),
            ..first.clone()
        },
        Spend {
            worth: worth(9),
            ..first.clone()
        },
        Spend {
            amount: spend(1, 11, 0).amount,
            ..first.clone()
        },
        Spend {
            credential: vec![],
            ..first.clone()
        },
        Spend {
            at: at(1),
            ..first.clone()
        },
    ];
    for other in others {
        assert_eq!(
            store.reserve_spend(other, no_caps()).await,
            Err(StoreError::Conflict)
        );
    }
    assert_eq!(
        usage(store, at(0)).await,
        Usage {
            host: worth(10),
            period: worth(10)
        }
    );
    assert_eq!(records(store).await[0].spend, first);
}

/// The first payee stays the known one, per origin and asset, however its spend ended.
pub async fn the_first_payee_is_known<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let known = async |origin: &str, number| {
        store
            .known_payee(origin.into(), asset(number))
            .await
            .unwrap()
    };
    assert_eq!(known("https://seller.example", 1).await, None);
    signed(store, spend(1, 1, 50)).await;
    store.finish_spend(id(1), refused(), at(51)).await.unwrap();
    // Signed later, though by its clock earlier.
    signed(
        store,
        Spend {
            payee: payee(2).as_str().into(),
            ..spend(2, 1, 10)
        },
    )
    .await;
    store.finish_spend(id(2), PAID, at(52)).await.unwrap();
    let elsewhere = Spend {
        payee: payee(3).as_str().into(),
        ..at_host(1, spend(3, 1, 60))
    };
    signed(store, elsewhere).await;
    assert_eq!(
        known("https://seller.example", 1).await.as_deref(),
        Some(payee(1).as_str())
    );
    assert_eq!(known("https://seller.example", 2).await, None);
    assert_eq!(
        known("https://host1.example:8443", 1).await.as_deref(),
        Some(payee(3).as_str())
    );
}

/// How a spend ended is recorded; a receipt is never taken back and its reference never lost.
pub async fn an_end_is_recorded<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let receipt = |transaction: &str| SpendEnd::Paid {
        transaction: Some(transaction.into()),
    };
    let table = [
        (vec![], SpendState::Open, None),
        (vec![PAID], SpendState::Paid, None),
        (
            vec![receipt("0x1"), receipt("0x1")],
            SpendState::Paid,
            Some("0x1"),
        ),
        (
            vec![receipt("0x1"), receipt("0x2")],
            SpendState::Paid,
            Some("0x1"),
        ),
        (vec![PAID, receipt("0x2")], SpendState::Paid, Some("0x2")),
        (vec![receipt("0x1"), PAID], SpendState::Paid, Some("0x1")),
        (vec![refused(), refused()], SpendState::Refused, None),
        (
            vec![refused(), receipt("0x3")],
            SpendState::Paid,
            Some("0x3"),
        ),
        (
            vec![receipt("0x3"), refused()],
            SpendState::Paid,
            Some("0x3"),
        ),
    ];
    for (number, (ends, state, transaction)) in (0..).zip(table) {
        let spend = spend(number, 1, number);
        signed(store, spend.clone()).await;
        for end in &ends {
            assert_eq!(
                store.finish_spend(spend.id, end.clone(), at(100)).await,
                Ok(())
            );
        }
        let expected = SpendRecord {
            spend,
            state,
            transaction: transaction.map(Into::into),
        };
        assert_eq!(store.recent_spends(1).await, Ok(vec![expected]), "{ends:?}");
    }
}

/// What was never signed cannot end.
pub async fn unknown_spends_are_not_found<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for end in [PAID, refused()] {
        assert_eq!(
            store.finish_spend(id(1), end, at(1)).await,
            Err(StoreError::NotFound)
        );
    }
    assert_eq!(records(store).await, []);
}

/// Newest first, and no more than was asked for.
pub async fn recent_spends_are_newest_first<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for (number, secs) in [(1, 10), (2, 30), (3, 20), (4, 30)] {
        signed(store, spend(number, 1, secs)).await;
    }
    let ids = async |limit| -> Vec<_> {
        store
            .recent_spends(limit)
            .await
            .unwrap()
            .into_iter()
            .map(|record| record.spend.id)
            .collect()
    };
    assert_eq!(ids(10).await, [id(4), id(2), id(3), id(1)]);
    assert_eq!(ids(u32::MAX).await.len(), 4);
    assert_eq!(ids(2).await, [id(4), id(2)]);
    assert_eq!(ids(0).await, []);
}
