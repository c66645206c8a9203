//! Caps: everything that was signed counts, once, for everybody who shares the books.

use alloy_primitives::U256;
use faregate_types::lightning::BitcoinNetwork;
use faregate_types::{Amount, AssetId, Timestamp};

use super::{CROWD, PAID, at_host, per_host, per_period, records, refused, reserve, signed, usage};
use crate::suite::kit::{Bench, Chance, asset, at, id, no_caps, payee, spend, worth};
use crate::{
    CapRefusal, Caps, KnownTerms, Signed, Spend, SpendState, StoreError, Unit, Usage, WalletStore,
    Worth,
};

/// The cap for one payment is checked, to the unit.
pub async fn one_payment_has_a_cap<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let caps = Caps {
        per_payment: worth(10),
        ..no_caps()
    };
    assert_eq!(
        reserve(store, spend(1, 11, 0), caps).await,
        Ok(Err(CapRefusal::Payment))
    );
    assert_eq!(reserve(store, spend(2, 10, 0), caps).await, Ok(Ok(())));
    assert_eq!(
        reserve(store, spend(3, 10, 0), caps).await,
        Ok(Ok(())),
        "each payment has the cap for itself"
    );
}

/// However many sign at once for one host, the sum stays within its cap, and the cap is used as far as it goes.
pub async fn a_host_cap_holds_in_a_crowd<S: WalletStore>(bench: &Bench<S>) {
    let verdicts = bench
        .crowd(0..CROWD, |store, number| {
            reserve(store, spend(number, 3, number), per_host(100))
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
            period: worth(99),
            total: worth(99),
        }
    );
    assert_eq!(records(&*bench.store).await.len(), 33);
}

/// The cap for a period is one for all hosts.
pub async fn a_period_cap_holds_in_a_crowd<S: WalletStore>(bench: &Bench<S>) {
    let verdicts = bench
        .crowd(0..CROWD, |store, number| {
            reserve(
                store,
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
            period: worth(98),
            total: worth(98),
        }
    );
}

/// The cap for everything is one for all hosts and all times.
pub async fn a_total_cap_holds_in_a_crowd<S: WalletStore>(bench: &Bench<S>) {
    let caps = Caps {
        total: Some(worth(100)),
        ..no_caps()
    };
    let verdicts = bench
        .crowd(0..CROWD, move |store, number| {
            // A month apart, from the beginning of time on.
            let at = Timestamp::from_secs(number * 2_592_000);
            let spend = Spend {
                at,
                ..at_host(number, spend(number, 7, 0))
            };
            reserve(store, spend, caps)
        })
        .await;
    let count = |wanted| {
        verdicts
            .iter()
            .filter(|verdict| **verdict == Ok(wanted))
            .count()
    };
    assert_eq!((count(Ok(())), count(Err(CapRefusal::Total))), (14, 50));
    let used = usage(&*bench.store, at(0)).await;
    assert_eq!((used.period, used.total), (worth(0), worth(98)));
    // Another unit has a total of its own.
    let sats = Spend {
        amount: Amount::new(U256::from(3), BitcoinNetwork::Regtest),
        ..spend(99, 100, 0)
    };
    assert_eq!(reserve(&*bench.store, sats, caps).await, Ok(Ok(())));
}

/// The sums that caps for hosts are checked against, for whoever wants a report.
pub async fn what_was_signed_is_told_by_origin<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    assert_eq!(store.signed(9).await, Ok(vec![]));
    let sats = |number: u64, host: u64| Spend {
        amount: Amount::new(U256::from(3), BitcoinNetwork::Regtest),
        ..at_host(host, spend(number, 3, 0))
    };
    for spend in [
        at_host(2, spend(1, 10, 0)),
        sats(2, 1),
        at_host(1, spend(3, 20, 1)),
        at_host(1, spend(4, 22, 2)),
    ] {
        signed(store, spend).await;
    }
    store.finish_spend(id(4), refused(), at(3)).await.unwrap();
    let signed = |host: u64, unit, units| Signed {
        origin: at_host(host, spend(0, 0, 0)).origin,
        unit,
        worth: worth(units),
    };
    let bitcoin = Unit::Msat(BitcoinNetwork::Regtest);
    let mut expected = vec![
        signed(1, bitcoin, 3),
        signed(1, Unit::Dollar, 42),
        signed(2, Unit::Dollar, 10),
    ];
    expected.sort_by_key(|signed| (signed.origin.clone(), signed.unit.to_string()));
    assert_eq!(store.signed(9).await, Ok(expected.clone()));
    assert_eq!(store.signed(2).await, Ok(expected[..2].to_vec()));
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
            reserve(store, spend, per_host(10)).await,
            Ok(Ok(())),
            "{origin}"
        );
        let usage = store
            .usage(origin.into(), Unit::Dollar, at(0))
            .await
            .unwrap();
        assert_eq!(
            usage,
            Usage {
                host: worth(10),
                period: worth(10 * (number + 1)),
                total: worth(10 * (number + 1)),
            }
        );
    }
    let unknown = store
        .usage("https://c.example".into(), Unit::Dollar, at(0))
        .await
        .unwrap();
    assert_eq!(
        unknown,
        Usage {
            host: worth(0),
            period: worth(40),
            total: worth(40),
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
            reserve(store, spend(1, 5, 0), caps).await,
            Ok(Err(_))
        ));
        assert_eq!(
            usage(store, at(0)).await,
            Usage {
                host: worth(0),
                period: worth(0),
                total: worth(0),
            }
        );
        assert_eq!(records(store).await, []);
        assert_eq!(
            store
                .known_terms(
                    "https://seller.example".into(),
                    "/joke".into(),
                    asset(1),
                    payee(1).as_str().into()
                )
                .await,
            Ok(KnownTerms::default())
        );
        assert_eq!(
            store.finish_spend(id(1), PAID, at(1)).await,
            Err(StoreError::NotFound)
        );
    }
    assert_eq!(
        reserve(store, spend(1, 4, 0), per_host(4)).await,
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
            period: worth(6),
            total: worth(6),
        }
    );
    assert_eq!(
        reserve(store, spend(2, 5, 1), per_host(10)).await,
        Ok(Err(CapRefusal::Host))
    );
    assert_eq!(
        reserve(store, spend(2, 5, 1), per_period(60, 10)).await,
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
        reserve(store, spend(2, 1, 160), caps).await,
        Ok(Err(CapRefusal::Period))
    );
    assert_eq!(
        reserve(store, spend(2, 1, 50), caps).await,
        Ok(Err(CapRefusal::Period))
    );
    assert_eq!(reserve(store, spend(2, 1, 161), caps).await, Ok(Ok(())));
    assert_eq!(reserve(store, spend(3, 9, 161), caps).await, Ok(Ok(())));
    assert_eq!(
        reserve(store, spend(4, 1, 161), caps).await,
        Ok(Err(CapRefusal::Period))
    );
    // Longer than there has been time: everything counts.
    assert_eq!(
        reserve(store, spend(5, 1, 161), per_period(u64::MAX, 20)).await,
        Ok(Err(CapRefusal::Period))
    );
    assert_eq!(
        reserve(store, spend(5, 1, 161), per_period(u64::MAX, 21)).await,
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
            reserve(store, spend(1, 10, 0), per_host(10))
        })
        .await;
    assert_eq!(verdicts.len(), 64);
    assert!(verdicts.iter().all(|verdict| *verdict == Ok(Ok(()))));
    let store = &*bench.store;
    assert_eq!(
        usage(store, at(0)).await,
        Usage {
            host: worth(10),
            period: worth(10),
            total: worth(10),
        }
    );
    store.finish_spend(id(1), PAID, at(1)).await.unwrap();
    assert_eq!(
        reserve(store, spend(1, 10, 0), per_host(1)).await,
        Ok(Ok(()))
    );
    assert_eq!(records(store).await.len(), 1);
    assert_eq!(records(store).await[0].state, SpendState::Paid);
}

/// What is spent over Lightning counts against no cap in dollars, nor on another network, nor the other way round.
pub async fn units_are_counted_apart<S: WalletStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let units = [
        asset(1),
        BitcoinNetwork::Regtest.into(),
        BitcoinNetwork::Mainnet.into(),
    ];
    let in_unit = |number: u64, amount: u64, asset: AssetId| Spend {
        amount: Amount::new(U256::from(amount), asset),
        ..spend(number, amount, 0)
    };
    for (number, asset) in (1..).zip(units) {
        let full = per_host(10 * number);
        assert_eq!(
            reserve(store, in_unit(number, 10 * number, asset), full).await,
            Ok(Ok(())),
            "{asset}"
        );
        assert_eq!(
            reserve(store, in_unit(10 + number, 1, asset), full).await,
            Ok(Err(CapRefusal::Host)),
            "{asset}"
        );
        assert_eq!(
            reserve(
                store,
                in_unit(10 + number, 1, asset),
                per_period(60, 10 * number)
            )
            .await,
            Ok(Err(CapRefusal::Period)),
            "{asset}"
        );
    }
    for (number, asset) in (1..).zip(units) {
        let usage = store.usage("https://seller.example".into(), Unit::of(asset), at(0));
        assert_eq!(
            usage.await,
            Ok(Usage {
                host: worth(10 * number),
                period: worth(10 * number),
                total: worth(10 * number),
            }),
            "{asset}"
        );
    }
}
