//! What is listed, for whom, and in which order.

use alloy_primitives::{Address, U256};
use faregate_ledger::suite::Bench;

use super::kit::{
    ALL, asset, deposit, enter, happening, identity, issued, issuing, money, opened, payer,
    recipient, with_collateral,
};
use crate::credit::{Identity, Settlement, Tab, TabEvent, TabId};
use crate::port::credit::{CreditStore, Page};

fn ids(tabs: &[Tab]) -> Vec<TabId> {
    tabs.iter().map(|tab| tab.id).collect()
}

/// Recipients and payers see their own, the last changed first, by what became of them.
pub async fn tabs_are_listed_by_whom_they_concern<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let others = vec![happening(deposit(payer(2), asset(1), 1_000), 0)];
    enter(store, others, 0).await;
    let mut tabs = Vec::new();
    for (from, to, secs) in [(1, 1, 1), (1, 2, 2), (2, 1, 3), (2, 3, 4)] {
        let identity = Identity {
            payer: payer(from),
            recipient: recipient(to),
            ..identity()
        };
        tabs.push(opened(store, identity, secs).await.tab);
    }
    // The oldest one changes last, and is paid.
    let guarantee = issued(store, issuing(&tabs[0], 0, 10, 9)).await;
    let waiting = issued(store, issuing(&tabs[2], 0, 10, 8)).await;
    let of = |who, settlements| store.tabs_of_recipient(who, settlements, ALL);
    let both = of(recipient(1), vec![]).await.unwrap();
    assert_eq!(ids(&both), [tabs[0].id, tabs[2].id]);
    let pending = store.pending(recipient(1), ALL).await.unwrap();
    let told: Vec<_> = pending
        .iter()
        .map(|(tab, latest)| (tab.id, latest.clone()))
        .collect();
    let expected = [(tabs[0].id, Some(guarantee)), (tabs[2].id, Some(waiting))];
    assert_eq!(told, expected);
    let paid = TabEvent::Recorded {
        record: None,
        tab: tabs[0].id,
        asset: asset(1),
        amount: money(10),
    };
    enter(store, vec![happening(paid, 10)], 10).await;
    let settled = of(
        recipient(1),
        vec![Settlement::Settled, Settlement::Remunerated],
    )
    .await;
    assert_eq!(ids(&settled.unwrap()), [tabs[0].id]);
    let open = of(recipient(1), vec![Settlement::Pending]).await.unwrap();
    assert_eq!(ids(&open), [tabs[2].id]);
    assert_eq!(store.pending(recipient(1), ALL).await.unwrap().len(), 1);
    let unused = store.pending(recipient(2), ALL).await.unwrap();
    assert!(unused[0].1.is_none());
    let owing = store
        .tabs_of_payer(payer(1), Vec::new(), ALL)
        .await
        .unwrap();
    assert_eq!(ids(&owing), [tabs[0].id, tabs[1].id]);
    let page = Page { skip: 1, limit: 1 };
    let second = store
        .tabs_of_payer(payer(1), Vec::new(), page)
        .await
        .unwrap();
    assert_eq!(ids(&second), [tabs[1].id]);
    let owed = |settlements| store.tabs_of_payer(payer(1), settlements, ALL);
    for (settlements, expected) in [
        (vec![Settlement::Settled], vec![tabs[0].id]),
        (vec![Settlement::Pending], vec![tabs[1].id]),
        (
            vec![Settlement::Pending, Settlement::Settled],
            vec![tabs[0].id, tabs[1].id],
        ),
        (vec![Settlement::Failed, Settlement::Remunerated], vec![]),
    ] {
        assert_eq!(ids(&owed(settlements).await.unwrap()), expected);
    }
    assert_eq!(of(payer(1), vec![]).await, Ok(vec![]));
}

/// Who ever had a tab for whom is known whatever became of it, and in this direction only.
pub async fn who_had_a_tab_for_whom_is_known<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let tab = opened(store, identity(), 1).await.tab;
    issued(store, issuing(&tab, 0, 10, 1)).await;
    let knows = |from, to| store.has_tab(from, to);
    for (from, to, had) in [
        (payer(1), recipient(1), true),
        (payer(1), recipient(2), false),
        (payer(2), recipient(1), false),
        (recipient(1), payer(1), false),
    ] {
        assert_eq!(knows(from, to).await, Ok(had));
    }
    enter(store, vec![], 10_000_000).await;
    let over = store.tab(tab.id).await.unwrap().unwrap();
    assert!(over.expired);
    assert_eq!(knows(payer(1), recipient(1)).await, Ok(true));
}

/// In the order they were issued, and the latest is the last of them.
pub async fn guarantees_are_listed_as_they_were_issued<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let tab = opened(store, identity(), 1).await.tab;
    assert_eq!(store.latest_guarantee(tab.id).await, Ok(None));
    assert_eq!(store.guarantees(tab.id, ALL).await, Ok(vec![]));
    let mut all = Vec::new();
    for req in 0..5 {
        // The clock stands still, and later goes back.
        let secs = if req < 3 { 5 } else { 8 - req };
        let mut command = issuing(&tab, req, 10, 5);
        command.at = super::kit::at(secs.max(5));
        all.push(issued(store, command).await);
    }
    assert_eq!(store.guarantees(tab.id, ALL).await.as_ref(), Ok(&all));
    assert_eq!(
        store.latest_guarantee(tab.id).await,
        Ok(all.last().cloned())
    );
    let page = Page { skip: 2, limit: 2 };
    assert_eq!(store.guarantees(tab.id, page).await.unwrap(), all[2..4]);
    assert_eq!(store.guarantee(tab.id, U256::from(9)).await, Ok(None));
}

/// The newest of a recipient first.
pub async fn payments_are_listed_newest_first<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let tab = opened(store, identity(), 1).await.tab;
    let paid = |units| TabEvent::Paid {
        tab: tab.id,
        req: None,
        payer: payer(1),
        recipient: recipient(1),
        asset: asset(1),
        amount: money(units),
    };
    for units in 1..=4 {
        enter(store, vec![happening(paid(units), units)], units).await;
    }
    let page = Page { skip: 1, limit: 2 };
    let told = store.payments_to(recipient(1), page).await.unwrap();
    let amounts: Vec<u64> = told.iter().map(|payment| payment.amount.to()).collect();
    assert_eq!(amounts, [3, 2]);
    let oldest = store.untold_payments(2).await.unwrap();
    let amounts: Vec<u64> = oldest.iter().map(|payment| payment.amount.to()).collect();
    assert_eq!(amounts, [1, 2]);
    assert_eq!(store.payments_to(recipient(2), ALL).await, Ok(vec![]));
}

/// Everybody's, in the order of their addresses.
pub async fn collateral_is_listed_page_by_page<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let mut expected: Vec<(Address, Address)> = Vec::new();
    for who in 1..=4 {
        for of in [0, 1] {
            expected.push((payer(who), asset(of)));
            let event = deposit(payer(who), asset(of), who);
            enter(store, vec![happening(event, 1)], 1).await;
        }
    }
    let mut told = Vec::new();
    loop {
        let after = told.last().copied();
        let page = store.collaterals(after, 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        told.extend(page.iter().map(|(payer, asset, _)| (*payer, *asset)));
    }
    assert_eq!(told, expected);
}
