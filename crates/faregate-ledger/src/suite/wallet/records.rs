//! Records: what was signed, for whom, and what became of it.

use alloy_primitives::U256;
use faregate_types::Timestamp;

use super::{PAID, records, refused, reserve, signed, usage};
use crate::suite::kit::{Bench, asset, at, id, no_caps, payee, spend, worth};
use crate::{
    KnownTerms, Spend, SpendEnd, SpendRecord, SpendState, StoreError, Terms, Usage, WalletStore,
    Worth,
};

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
            payer: "".into(),
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
            reserve(store, other, no_caps()).await,
            Err(StoreError::Conflict)
        );
    }
    assert_eq!(
        usage(store, at(0)).await,
        Usage {
            host: worth(10),
            period: worth(10),
            total: worth(10),
        }
    );
    assert_eq!(records(store).await[0].spend, first);
}

/// The newest terms of a path are the known ones; at a new path of a known origin, its payees are, the first before others.
pub async fn terms_are_known_by_place<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let host = "https://seller.example";
    let known = async |origin: &str, path: &str, number, asked| {
        let asked = payee(asked).as_str().into();
        store
            .known_terms(origin.into(), path.into(), asset(number), asked)
            .await
            .unwrap()
    };
    let expects = |number| Some(Box::<str>::from(payee(number).as_str()));
    assert_eq!(known(host, "/joke", 1, 1).await, KnownTerms::default());
    signed(store, spend(1, 1, 50)).await;
    store.finish_spend(id(1), refused(), at(51)).await.unwrap();
    // Signed later, though by its clock earlier.
    let second = Spend {
        payee: payee(2).as_str().into(),
        ..spend(2, 7, 10)
    };
    signed(store, second.clone()).await;
    let at_path = known(host, "/joke", 1, 3).await;
    assert_eq!(at_path.payee, expects(2));
    let last = Terms {
        payee: second.payee,
        amount: second.amount,
        worth: second.worth,
    };
    assert_eq!(at_path.last, Some(last.clone()));
    // At another path: anybody the origin was paid through, else the first.
    for (asked, expected) in [(1, 1), (2, 2), (3, 1)] {
        let new = known(host, "/other", 1, asked).await;
        assert_eq!((new.payee, new.last), (expects(expected), None), "{asked}");
    }
    // In another asset nobody is known yet, but the price is.
    let other = known(host, "/joke", 2, 3).await;
    assert_eq!((other.payee, other.last), (None, Some(last)));
    assert_eq!(
        known("https://host1.example:8443", "/joke", 1, 1).await,
        KnownTerms::default()
    );
}

/// A request is kept for as long as the end is unknown, and no longer; lists go without it.
pub async fn requests_are_kept_while_the_end_is_unknown<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let with = |number| Spend {
        request: b"GET /joke?key=secret".to_vec(),
        ..spend(number, 1, number)
    };
    for (number, end) in (0..).zip([PAID, refused(), SpendEnd::Unused]) {
        let spend = with(number);
        signed(store, spend.clone()).await;
        let kept = store.spend(spend.id).await.unwrap().unwrap();
        assert_eq!((&kept.spend, kept.state), (&spend, SpendState::Open));
        let listed = store.open_spends(9).await.unwrap();
        assert_eq!(listed.len(), 1);
        assert!(listed[0].spend.is_same(&spend) && listed[0].spend.request.is_empty());
        assert!(records(store).await[0].spend.request.is_empty());
        store.finish_spend(spend.id, end, at(100)).await.unwrap();
        let ended = store.spend(spend.id).await.unwrap().unwrap();
        assert!(ended.spend.is_same(&spend) && ended.spend.request.is_empty());
        assert_eq!(store.open_spends(9).await, Ok(vec![]));
        // Repeating it brings nothing back.
        signed(store, spend.clone()).await;
        assert_eq!(store.spend(spend.id).await, Ok(Some(ended)));
    }
    assert_eq!(store.spend(id(9)).await, Ok(None));
}

/// Open spends come oldest first, and no more than was asked for.
pub async fn open_spends_are_oldest_first<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for number in 1..=4 {
        signed(store, spend(number, 1, 100 - number)).await;
    }
    store.finish_spend(id(2), PAID, at(200)).await.unwrap();
    let ids = async |limit| -> Vec<_> {
        let open = store.open_spends(limit).await.unwrap();
        open.into_iter().map(|record| record.spend.id).collect()
    };
    assert_eq!(ids(9).await, [id(1), id(3), id(4)]);
    assert_eq!(ids(2).await, [id(1), id(3)]);
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
        (vec![SpendEnd::Unused], SpendState::Unused, None),
        (vec![refused(), SpendEnd::Unused], SpendState::Unused, None),
        (vec![SpendEnd::Unused, refused()], SpendState::Unused, None),
        (vec![PAID, SpendEnd::Unused], SpendState::Paid, None),
        (
            vec![SpendEnd::Unused, receipt("0x4")],
            SpendState::Paid,
            Some("0x4"),
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
