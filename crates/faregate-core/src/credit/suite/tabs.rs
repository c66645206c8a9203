//! Tabs: one for each identity, for those who have collateral.

use faregate_ledger::suite::Bench;

use super::kit::{
    EXPIRATION, address, asset, at, enter, happening, identity, issued, issuing, opened, opening,
    payer, recipient, refused, terms, with_collateral,
};
use crate::credit::{CreditRefusal, Identity, OpenTab, Settlement, TabEvent, TabStatus};
use crate::port::credit::{CreditError, CreditStore};

/// However many ask at once, all hear the same tab, and one made it.
pub async fn one_of_many_opens_a_tab<S: CreditStore>(bench: &Bench<S>) {
    with_collateral(&*bench.store, 1_000).await;
    let told = bench
        .crowd(0..16, |store, _| {
            Box::pin(async move { opened(store, identity(), 1).await })
        })
        .await;
    assert!(told.iter().all(|opened| opened.tab.id == told[0].tab.id));
    assert_eq!(told.iter().filter(|opened| opened.is_new).count(), 1);
    let tab = bench.store.tab(told[0].tab.id).await.unwrap().unwrap();
    assert_eq!(tab, told[0].tab);
    assert_eq!(
        (tab.status(), tab.settlement(), tab.ttl_secs, tab.start),
        (TabStatus::Pending, Settlement::Pending, 600, at(1))
    );
    for other in [
        Identity {
            recipient: recipient(2),
            ..identity()
        },
        Identity {
            asset: asset(0),
            ..identity()
        },
        Identity {
            version: 2,
            ..identity()
        },
    ] {
        let opened = opened(&*bench.store, other, 2).await;
        assert!(opened.is_new, "{other:?}");
        assert_ne!(opened.tab.id, tab.id);
    }
}

/// Who may not have one hears why, and nothing is made.
pub async fn a_tab_is_not_opened_for_everybody<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    store.suspend(payer(3), true, at(0)).await.unwrap();
    store.suspend(recipient(3), true, at(0)).await.unwrap();
    let command = |identity| opening(identity, 1);
    let with_ttl = |ttl| OpenTab {
        ttl_secs: Some(ttl),
        ..opening(identity(), 1)
    };
    let table = [
        (
            command(Identity {
                payer: payer(2),
                ..identity()
            }),
            CreditRefusal::NotRegistered,
        ),
        (
            command(Identity {
                payer: payer(3),
                ..identity()
            }),
            CreditRefusal::Suspended,
        ),
        (
            command(Identity {
                recipient: recipient(3),
                ..identity()
            }),
            CreditRefusal::Suspended,
        ),
        (
            command(Identity {
                recipient: payer(1),
                ..identity()
            }),
            CreditRefusal::SelfPayment,
        ),
        (
            command(Identity {
                asset: address(7),
                ..identity()
            }),
            CreditRefusal::UnsupportedAsset,
        ),
        (
            command(Identity {
                version: 3,
                ..identity()
            }),
            CreditRefusal::Version(3),
        ),
        (with_ttl(0), CreditRefusal::NoTtl),
        (
            with_ttl(EXPIRATION + 1),
            CreditRefusal::TtlTooLong {
                ttl: EXPIRATION + 1,
                max: EXPIRATION,
            },
        ),
    ];
    for (command, refusal) in table {
        let id = command.id;
        let told = store.open_tab(command, terms()).await;
        assert_eq!(told, Err(CreditError::Refused(refusal)));
        assert_eq!(store.tab(id).await, Ok(None));
    }
    let longest = store.open_tab(with_ttl(EXPIRATION), terms()).await;
    assert_eq!(longest.unwrap().tab.ttl_secs, EXPIRATION);
}

/// A tab whose time is over is closed, and another takes its place.
pub async fn a_worn_tab_is_replaced<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let first = opened(store, identity(), 10).await.tab;
    let again = opened(store, identity(), 610).await;
    assert_eq!((again.tab.id, again.is_new), (first.id, false));
    let second = opened(store, identity(), 611).await;
    assert!(second.is_new);
    let worn = store.tab(first.id).await.unwrap().unwrap();
    assert_eq!(worn.status(), TabStatus::Closed);
    let refusal = refused(store, issuing(&worn, 0, 1, 20)).await;
    assert_eq!(refusal, CreditRefusal::Closed);
}

/// A tab that was paid or remunerated is not used again.
pub async fn a_tab_that_is_over_makes_room<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    for remunerated in [false, true] {
        let tab = opened(store, identity(), 1).await.tab;
        let amount = issued(store, issuing(&tab, 0, 100, 1)).await.amount;
        let event = if remunerated {
            TabEvent::Remunerated {
                tab: tab.id,
                asset: asset(1),
                amount,
            }
        } else {
            TabEvent::Recorded {
                record: None,
                tab: tab.id,
                asset: asset(1),
                amount,
            }
        };
        enter(store, vec![happening(event, 2)], 2).await;
        let over = store.tab(tab.id).await.unwrap().unwrap();
        let expected = if remunerated {
            Settlement::Remunerated
        } else {
            Settlement::Settled
        };
        assert_eq!(over.settlement(), expected);
        let refusal = refused(store, issuing(&tab, 1, 1, 3)).await;
        assert_eq!(refusal, CreditRefusal::Closed);
        assert!(opened(store, identity(), 3).await.is_new);
    }
}

/// A tab without guarantees takes the version of its first one, unless there is a tab of that version.
pub async fn a_tab_adopts_the_version_of_its_first_guarantee<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let of_second = |tab: &crate::credit::Tab, req| {
        let mut command = issuing(tab, req, 10, 1);
        command.identity.version = 2;
        command
    };
    let tab = opened(store, identity(), 1).await.tab;
    let guarantee = issued(store, of_second(&tab, 0)).await;
    assert_eq!(guarantee.identity.version, 2);
    let adopted = store.tab(tab.id).await.unwrap().unwrap();
    assert_eq!(adopted.identity.version, 2);
    let mixed = refused(store, issuing(&tab, 1, 10, 1)).await;
    let expected = CreditRefusal::TabVersion {
        tab: tab.id,
        accepts: 2,
        got: 1,
    };
    assert_eq!(mixed, expected);
    let second = Identity {
        version: 2,
        ..identity()
    };
    assert_eq!(opened(store, second, 1).await.tab.id, tab.id);
    // Now there is one of version 2, so that the next one stays what it is.
    let first = opened(store, identity(), 1).await.tab;
    assert_ne!(first.id, tab.id);
    let refusal = refused(store, of_second(&first, 0)).await;
    let expected = CreditRefusal::TabVersion {
        tab: first.id,
        accepts: 1,
        got: 2,
    };
    assert_eq!(refusal, expected);
    issued(store, issuing(&first, 0, 10, 1)).await;
}
