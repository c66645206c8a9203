//! Guarantees: each locks what it promises, and none promises what is not there.

use alloy_primitives::U256;
use faregate_ledger::suite::Bench;
use faregate_types::credit::BlsSignature;

use super::kit::{
    ALL, address, asset, at, identity, issued, issuing, money, opened, opening, payer, recipient,
    refused, sums, terms, with_collateral,
};
use crate::credit::{
    Certificate, CreditRefusal, EntryKind, Guarantee, Identity, Issue, ReqIds, TabId, TabStatus,
    Terms,
};
use crate::port::credit::{CreditError, CreditStore};

/// Nothing of it is lost, and the sums are right.
pub async fn a_guarantee_is_kept_whole_and_locks<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let tab = opened(store, identity(), 1).await.tab;
    let mut command = issuing(&tab, 0, 300, 5);
    command.request = (0..=255).collect::<Vec<u8>>().into();
    let first = issued(store, command.clone()).await;
    let expected = Guarantee {
        tab: tab.id,
        req: U256::ZERO,
        identity: identity(),
        amount: money(300),
        total: money(300),
        timestamp: at(5),
        request: command.request,
        order: 0,
        created_at: at(5),
        certificate: None,
    };
    assert_eq!(first, expected);
    assert_eq!(store.guarantee(tab.id, U256::ZERO).await, Ok(Some(first)));
    let second = issued(store, issuing(&tab, 1, 200, 6)).await;
    assert_eq!((second.total, second.order), (money(500), 1));
    assert_eq!(sums(store, payer(1), asset(1)).await, (500, 500, 1_000));
    let tab = store.tab(tab.id).await.unwrap().unwrap();
    assert_eq!(
        (tab.status(), tab.start, tab.latest, tab.total, tab.locked()),
        (TabStatus::Open, at(5), at(6), money(500), money(500))
    );
    let entries = store.entries_of(tab.id, ALL).await.unwrap();
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry.kind, entry.amount, entry.req))
        .collect();
    let reserved = |units, req| (EntryKind::Reserve, money(units), Some(U256::from(req)));
    assert_eq!(told, [reserved(300, 0_u64), reserved(200, 1)]);
    assert_eq!(opened(store, identity(), 7).await.next_req, money(2));
    let before = store.collateral(payer(1), asset(1)).await.unwrap().unwrap();
    assert_eq!((before.version, before.updated_at), (3, at(6)));
}

/// Every reason, in the order of the wire; none of them changes anything.
pub async fn each_refusal_has_its_reason<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let tab = opened(store, identity(), 1).await.tab;
    issued(store, issuing(&tab, 0, 300, 100)).await;
    let good = issuing(&tab, 1, 10, 110);
    let with = |change: &dyn Fn(&mut Issue)| {
        let mut command = good.clone();
        change(&mut command);
        command
    };
    let table = [
        (
            with(&|issue| issue.identity.version = 3),
            CreditRefusal::RequestVersion {
                version: 3,
                accepted: vec![1, 2],
            },
        ),
        (
            with(&|issue| issue.identity.payer = payer(2)),
            CreditRefusal::NotRegistered,
        ),
        (
            with(&|issue| issue.req = U256::ZERO),
            CreditRefusal::Duplicate(U256::ZERO),
        ),
        (
            with(&|issue| issue.timestamp = at(111)),
            CreditRefusal::Future,
        ),
        (
            with(&|issue| issue.tab = TabId(U256::MAX)),
            CreditRefusal::UnknownTab(TabId(U256::MAX)),
        ),
        (
            with(&|issue| issue.identity.version = 2),
            CreditRefusal::TabVersion {
                tab: tab.id,
                accepts: 1,
                got: 2,
            },
        ),
        (
            with(&|issue| issue.identity.recipient = recipient(2)),
            CreditRefusal::Recipient,
        ),
        (
            with(&|issue| issue.identity.asset = address(9)),
            CreditRefusal::Asset,
        ),
        (with(&|issue| issue.req = money(2)), CreditRefusal::ReqId),
        (with(&|issue| issue.req = U256::MAX), CreditRefusal::ReqId),
        (
            with(&|issue| issue.amount = U256::ZERO),
            CreditRefusal::AmountZero,
        ),
        (
            with(&|issue| issue.timestamp = at(99)),
            CreditRefusal::Timestamp,
        ),
        (
            with(&|issue| (issue.timestamp, issue.at) = (at(701), at(701))),
            CreditRefusal::Timestamp,
        ),
        (
            with(&|issue| (issue.timestamp, issue.at) = (at(700), at(701))),
            CreditRefusal::Closed,
        ),
        (
            with(&|issue| issue.amount = money(701)),
            CreditRefusal::Collateral,
        ),
        (
            with(&|issue| issue.amount = U256::MAX),
            CreditRefusal::Collateral,
        ),
    ];
    let before = store.tab(tab.id).await;
    for (command, refusal) in table {
        assert_eq!(refused(store, command).await, refusal);
        assert_eq!(store.tab(tab.id).await, before, "{refusal}");
        assert_eq!(sums(store, payer(1), asset(1)).await, (700, 300, 1_000));
    }
    let last =
        with(&|issue| (issue.amount, issue.timestamp, issue.at) = (money(700), at(700), at(700)));
    issued(store, last).await;
    assert_eq!(sums(store, payer(1), asset(1)).await, (0, 1_000, 1_000));
}

/// A number is used once, however many try it.
pub async fn of_many_with_one_number_one_is_issued<S: CreditStore>(bench: &Bench<S>) {
    with_collateral(&*bench.store, 1_000).await;
    let tab = opened(&*bench.store, identity(), 1).await.tab;
    for req_ids in [ReqIds::Strict, ReqIds::Reserved] {
        let req = if req_ids == ReqIds::Strict { 0 } else { 77 };
        let commands: Vec<_> = (0..16)
            .map(|_| (issuing(&tab, req, 1, 1), req_ids))
            .collect();
        let told = bench
            .crowd(commands, |store, (command, req_ids)| {
                let terms = Terms { req_ids, ..terms() };
                store.issue(command, terms)
            })
            .await;
        let (yes, no): (Vec<_>, Vec<_>) = told.into_iter().partition(Result::is_ok);
        assert_eq!(yes.len(), 1);
        let duplicate = CreditRefusal::Duplicate(U256::from(req));
        assert!(
            no.iter()
                .all(|told| *told == Err(CreditError::Refused(duplicate.clone())))
        );
    }
    assert_eq!(sums(&*bench.store, payer(1), asset(1)).await.1, 2);
}

/// Everybody gets a number of their own, also past those that somebody took without asking.
pub async fn numbers_are_handed_out_when_they_are_reserved<S: CreditStore>(bench: &Bench<S>) {
    with_collateral(&*bench.store, 1_000).await;
    let reserved = || Terms {
        req_ids: ReqIds::Reserved,
        ..terms()
    };
    let tab = opened(&*bench.store, identity(), 1).await.tab;
    for taken in [3, 4, 9] {
        let command = issuing(&tab, taken, 1, 1);
        bench.store.issue(command, reserved()).await.unwrap();
    }
    let told = bench
        .crowd(0..8, move |store, _| {
            let terms = Terms {
                req_ids: ReqIds::Reserved,
                ..terms()
            };
            store.open_tab(opening(identity(), 1), terms)
        })
        .await;
    let mut numbers: Vec<u64> = told
        .into_iter()
        .map(|opened| opened.unwrap().next_req.to())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 5, 6, 7, 8, 10]);
    for number in numbers.into_iter().rev() {
        let command = issuing(&tab, number, 1, 1);
        bench.store.issue(command, reserved()).await.unwrap();
    }
    let latest = bench.store.latest_guarantee(tab.id).await.unwrap().unwrap();
    assert_eq!(
        (latest.req, latest.order, latest.total),
        (U256::ZERO, 10, money(11)),
        "the latest is the one that was issued last"
    );
}

/// Of payers in parallel one starts the tab, and another has signed a moment before.
pub async fn who_signs_in_parallel_is_not_too_early<S: CreditStore>(bench: &Bench<S>) {
    with_collateral(&*bench.store, 1_000).await;
    let issue = |command| {
        let terms = Terms {
            req_ids: ReqIds::Reserved,
            ..terms()
        };
        bench.store.issue(command, terms)
    };
    let tab = opened(&*bench.store, identity(), 1).await.tab;
    issue(issuing(&tab, 0, 1, 100)).await.unwrap();
    let signed = |req, secs| Issue {
        timestamp: at(secs),
        ..issuing(&tab, req, 1, 101)
    };
    issue(signed(1, 99)).await.unwrap();
    issue(signed(2, 40)).await.unwrap();
    let early = issue(signed(3, 39)).await;
    assert_eq!(
        early,
        Err(CreditError::Refused(CreditRefusal::Timestamp)),
        "longer ago is not in parallel"
    );
}

/// Many tabs of one payer at once lock what is there and not more.
pub async fn a_crowd_locks_no_more_than_there_is<S: CreditStore>(bench: &Bench<S>) {
    with_collateral(&*bench.store, 1_000).await;
    let told = bench
        .crowd(0..24_u64, |store, number| {
            Box::pin(async move {
                let identity = Identity {
                    recipient: recipient(number),
                    ..identity()
                };
                let tab = opened(store, identity, 1).await.tab;
                store.issue(issuing(&tab, 0, 70, 1), terms()).await.is_ok()
            })
        })
        .await;
    assert_eq!(told.iter().filter(|issued| **issued).count(), 14);
    assert_eq!(
        sums(&*bench.store, payer(1), asset(1)).await,
        (20, 980, 1_000)
    );
}

/// What is not certified is found again; a certificate is never replaced.
pub async fn the_first_certificate_stays<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let tab = opened(store, identity(), 1).await.tab;
    let mut left = Vec::new();
    for req in 0..3 {
        left.push(issued(store, issuing(&tab, req, 10, 1)).await);
    }
    assert_eq!(store.uncertified(10).await.as_ref(), Ok(&left));
    assert_eq!(store.uncertified(1).await.unwrap(), left[..1]);
    let certificate = |byte: u8| Certificate {
        claims: vec![byte; 416].into(),
        signature: BlsSignature::from_bytes(&[byte; 96]).unwrap(),
    };
    for byte in [1, 2] {
        store
            .certify(tab.id, U256::ONE, certificate(byte))
            .await
            .unwrap();
    }
    let kept = store.guarantee(tab.id, U256::ONE).await.unwrap().unwrap();
    assert_eq!(kept.certificate, Some(certificate(1)));
    let open: Vec<u64> = store
        .uncertified(10)
        .await
        .unwrap()
        .iter()
        .map(|guarantee| guarantee.req.to())
        .collect();
    assert_eq!(open, [0, 2]);
    let nobody = store.certify(tab.id, money(9), certificate(1)).await;
    assert_eq!(nobody, Err(faregate_ledger::StoreError::NotFound));
}

/// Neither side of a guarantee may be suspended; who is let in again goes on.
pub async fn who_is_suspended_gives_and_gets_nothing<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let tab = opened(store, identity(), 1).await.tab;
    for who in [payer(1), recipient(1)] {
        let said = store.suspend(who, true, at(2)).await.unwrap();
        assert_eq!((said.address, said.suspended), (who, true));
        assert_eq!(store.account(who).await, Ok(Some(said)));
        let refusal = refused(store, issuing(&tab, 0, 1, 3)).await;
        assert_eq!(refusal, CreditRefusal::Suspended);
        store.suspend(who, false, at(4)).await.unwrap();
    }
    issued(store, issuing(&tab, 0, 1, 5)).await;
}
