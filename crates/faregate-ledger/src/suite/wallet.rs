//! Cases for [`WalletStore`]. Each says in its name what an engine promises.

use alloy_primitives::U256;
use faregate_types::{Code, Timestamp};

use super::kit::{Bench, Chance, asset, at, id, no_caps, payee, spend, worth};
use crate::{
    CapRefusal, Caps, Period, Spend, SpendEnd, SpendRecord, SpendState, StoreError, Usage,
    WalletStore, Worth,
};

/// How many callers a crowd has.
const CROWD: u64 = 64;

const PAID: SpendEnd = SpendEnd::Paid { transaction: None };

fn refused() -> SpendEnd {
    SpendEnd::Refused {
        code: Code::TransactionFailed,
    }
}

fn per_host(cap: u64) -> Caps {
    Caps {
        per_host: Some(worth(cap)),
        ..no_caps()
    }
}

fn per_period(secs: u64, cap: u64) -> Caps {
    Caps {
        per_period: Some(Period {
            secs,
            cap: worth(cap),
        }),
        ..no_caps()
    }
}

fn at_host(host: u64, spend: Spend) -> Spend {
    Spend {
        origin: format!("https://host{host}.example:8443").into(),
        ..spend
    }
}

/// Signs without a cap.
async fn signed<S: WalletStore>(store: &S, spend: Spend) {
    assert_eq!(store.reserve_spend(spend, no_caps()).await, Ok(Ok(())));
}

async fn usage<S: WalletStore>(store: &S, since: Timestamp) -> Usage {
    store
        .usage("https://seller.example".into(), since)
        .await
        .unwrap()
}

async fn records<S: WalletStore>(store: &S) -> Vec<SpendRecord> {
    store.recent_spends(1000).await.unwrap()
}

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

/// The cap for one payment is checked, to the unit.
pub async fn one_payment_has_a_cap<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let caps = Caps {
        per_payment: worth(10),
        ..no_caps()
    };
    assert_eq!(
        store.reserve_spend(spend(1, 11, 0), caps).await,
        Ok(Err(CapRefusal::Payment))
    );
    assert_eq!(store.reserve_spend(spend(2, 10, 0), caps).await, Ok(Ok(())));
    assert_eq!(
        store.reserve_spend(spend(3, 10, 0), caps).await,
        Ok(Ok(())),
        "each payment has the cap for itself"
    );
}

/// However many sign at once for one host, the sum stays within its cap, and the cap is used as far as it goes.
pub async fn a_host_cap_holds_in_a_crowd<S: WalletStore>(bench: &Bench<S>) {
    let verdicts = bench
        .crowd(0..CROWD, |store, number| {
            store.reserve_spend(spend(number, 3, number), per_host(100))
        })
        .await;
    let count = |wanted| {
        verdicts
            .iter()
            .filter(|verdict| **verdict == Ok(wanted))
            .count()
    };
    assert_eq!((count(Ok(())), count(Err(CapRefusal::Host))), (33, 31));
    assert_eq!(
        usage(&*bench.store, at(0)).await,
        Usage {
            host: worth(99),
            period: worth(99)
        }
    );
    assert_eq!(records(&*bench.store).await.len(), 33);
}

/// The cap for a period is one for all hosts.
pub async fn a_period_cap_holds_in_a_crowd<S: WalletStore>(bench: &Bench<S>) {
    let verdicts = bench
        .crowd(0..CROWD, |store, number| {
            store.reserve_spend(
                at_host(number, spend(number, 7, number)),
                per_period(1000, 100),
            )
        })
        .await;
    let count = |wanted| {
        verdicts
            .iter()
            .filter(|verdict| **verdict == Ok(wanted))
            .count()
    };
    assert_eq!((count(Ok(())), count(Err(CapRefusal::Period))), (14, 50));
    assert_eq!(
        usage(&*bench.store, at(0)).await,
        Usage {
            host: worth(0),
            period: worth(98)
        }
    );
}

/// What one host got does not count against another, and a port or a scheme makes another host.
pub async fn hosts_are_counted_apart<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for (number, origin) in (0..).zip([
        "https://a.example",
        "http://a.example",
        "https://a.example:8443",
        "https://b.example",
    ]) {
        let spend = Spend {
            origin: origin.into(),
            ..spend(number, 10, 0)
        };
        assert_eq!(
            store.reserve_spend(spend, per_host(10)).await,
            Ok(Ok(())),
            "{origin}"
        );
        let usage = store.usage(origin.into(), at(0)).await.unwrap();
        assert_eq!(
            usage,
            Usage {
                host: worth(10),
                period: worth(10 * (number + 1))
            }
        );
    }
    let unknown = store
        .usage("https://c.example".into(), at(0))
        .await
        .unwrap();
    assert_eq!(
        unknown,
        Usage {
            host: worth(0),
            period: worth(40)
        }
    );
}

/// A refused spend was not signed: it is not in the books and its id is free.
pub async fn a_refusal_records_nothing<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    for caps in [
        Caps {
            per_payment: worth(4),
            ..no_caps()
        },
        per_host(4),
        per_period(60, 4),
    ] {
        assert!(matches!(
            store.reserve_spend(spend(1, 5, 0), caps).await,
            Ok(Err(_))
        ));
        assert_eq!(
            usage(store, at(0)).await,
            Usage {
                host: worth(0),
                period: worth(0)
            }
        );
        assert_eq!(records(store).await, []);
        assert_eq!(
            store
                .known_payee("https://seller.example".into(), asset(1))
                .await,
            Ok(None)
        );
        assert_eq!(
            store.finish_spend(id(1), PAID, at(1)).await,
            Err(StoreError::NotFound)
        );
    }
    assert_eq!(
        store.reserve_spend(spend(1, 4, 0), per_host(4)).await,
        Ok(Ok(()))
    );
}

/// A seller that says no keeps the signature, so it counts.
pub async fn refused_spends_still_count<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    signed(store, spend(1, 6, 0)).await;
    store.finish_spend(id(1), refused(), at(1)).await.unwrap();
    assert_eq!(
        usage(store, at(0)).await,
        Usage {
            host: worth(6),
            period: worth(6)
        }
    );
    assert_eq!(
        store.reserve_spend(spend(2, 5, 1), per_host(10)).await,
        Ok(Err(CapRefusal::Host))
    );
    assert_eq!(
        store
            .reserve_spend(spend(2, 5, 1), per_period(60, 10))
            .await,
        Ok(Err(CapRefusal::Period))
    );
}

/// A spend leaves the window when it is older than the window is long, not a second earlier; one with a later time (another
/// clock) counts.
pub async fn the_window_rolls<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let caps = per_period(60, 10);
    signed(store, spend(1, 10, 100)).await;
    assert_eq!(
        store.reserve_spend(spend(2, 1, 160), caps).await,
        Ok(Err(CapRefusal::Period))
    );
    assert_eq!(
        store.reserve_spend(spend(2, 1, 50), caps).await,
        Ok(Err(CapRefusal::Period))
    );
    assert_eq!(
        store.reserve_spend(spend(2, 1, 161), caps).await,
        Ok(Ok(()))
    );
    assert_eq!(
        store.reserve_spend(spend(3, 9, 161), caps).await,
        Ok(Ok(()))
    );
    assert_eq!(
        store.reserve_spend(spend(4, 1, 161), caps).await,
        Ok(Err(CapRefusal::Period))
    );
    // Longer than there has been time: everything counts.
    assert_eq!(
        store
            .reserve_spend(spend(5, 1, 161), per_period(u64::MAX, 20))
            .await,
        Ok(Err(CapRefusal::Period))
    );
    assert_eq!(
        store
            .reserve_spend(spend(5, 1, 161), per_period(u64::MAX, 21))
            .await,
        Ok(Ok(()))
    );
}

/// Spends in any order over months, windows from a second to all of it: the sum is exact.
pub async fn a_window_of_any_length_is_exact<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let mut chance = Chance::new(3600);
    let mut spends = Vec::new();
    for number in 0..80 {
        let span = [100, 5000, 300_000, 20_000_000][usize::try_from(number % 4).unwrap()];
        let spend = spend(number, 1 + chance.below(1000), chance.below(span));
        signed(store, spend.clone()).await;
        spends.push(spend);
    }
    let edges = [64, 4096, 262_144].map(|span| at(10_000_000).as_secs() / span * span);
    let times = spends.iter().map(|spend| spend.at.as_secs()).chain(edges);
    for since in times
        .flat_map(|secs| [secs - 1, secs, secs + 1])
        .map(Timestamp::from_secs)
    {
        let expected = spends
            .iter()
            .filter(|spend| spend.at >= since)
            .map(|spend| spend.worth.units())
            .sum();
        assert_eq!(
            usage(store, since).await.period,
            Worth::new(expected),
            "since {since}"
        );
    }
}

/// A reservation whose answer was lost is repeated: it is allowed, even if there would be no room for it any more, and
/// counts once.
pub async fn a_spend_counts_once<S: WalletStore>(bench: &Bench<S>) {
    let verdicts = bench
        .crowd(0..CROWD, |store, _| {
            store.reserve_spend(spend(1, 10, 0), per_host(10))
        })
        .await;
    assert_eq!(verdicts.len(), 64);
    assert!(verdicts.iter().all(|verdict| *verdict == Ok(Ok(()))));
    let store = &*bench.store;
    assert_eq!(
        usage(store, at(0)).await,
        Usage {
            host: worth(10),
            period: worth(10)
        }
    );
    store.finish_spend(id(1), PAID, at(1)).await.unwrap();
    assert_eq!(
        store.reserve_spend(spend(1, 10, 0), per_host(1)).await,
        Ok(Ok(()))
    );
    assert_eq!(records(store).await.len(), 1);
    assert_eq!(records(store).await[0].state, SpendState::Paid);
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
