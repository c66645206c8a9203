//! What the chain says: every line once, whatever it does to the books.

use alloy_primitives::{Address, B256, U256};
use faregate_ledger::StoreError;
use faregate_ledger::suite::Bench;

use super::kit::{
    ALL, EXPIRATION, asset, at, deposit, enter, happening, identity, issued, issuing, money,
    opened, payer, place, recipient, refused, sums, terms, with_collateral,
};
use crate::credit::{
    CreditRefusal, Cursor, EntryKind, Happening, Odd, PaymentStage, Place, Settlement, Tab,
    TabEvent, TabPayment,
};
use crate::port::credit::{Batch, CreditStore};

fn withdrawing(units: u64) -> TabEvent {
    TabEvent::Withdrawing {
        payer: payer(1),
        asset: asset(1),
        amount: money(units),
    }
}

fn withdrawn(units: u64) -> TabEvent {
    TabEvent::Withdrawn {
        payer: payer(1),
        asset: asset(1),
        amount: money(units),
    }
}

fn paid(tab: &Tab, req: Option<u64>, units: u64) -> TabEvent {
    TabEvent::Paid {
        tab: tab.id,
        req: req.map(U256::from),
        payer: tab.identity.payer,
        recipient: tab.identity.recipient,
        asset: tab.identity.asset,
        amount: money(units),
    }
}

fn recorded(tab: &Tab, record: Option<B256>, units: u64) -> TabEvent {
    TabEvent::Recorded {
        record,
        tab: tab.id,
        asset: tab.identity.asset,
        amount: money(units),
    }
}

fn remunerated(tab: &Tab, units: u64) -> TabEvent {
    TabEvent::Remunerated {
        tab: tab.id,
        asset: tab.identity.asset,
        amount: money(units),
    }
}

async fn now<S: CreditStore>(store: &S, tab: &Tab) -> Tab {
    store.tab(tab.id).await.unwrap().unwrap()
}

/// Deposits make an account; withdrawals take what was paid out; assets are apart.
pub async fn what_is_deposited_may_be_locked_and_withdrawn<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    assert_eq!(store.account(payer(1)).await, Ok(None));
    assert_eq!(store.collateral(payer(1), asset(1)).await, Ok(None));
    let batch = vec![
        happening(deposit(payer(1), asset(1), 600), 3),
        happening(deposit(payer(1), asset(1), 400), 3),
        happening(deposit(payer(1), asset(0), 7), 3),
    ];
    let entered = enter(store, batch, 3).await;
    assert_eq!((entered.applied, entered.repeated), (3, 0));
    let account = store.account(payer(1)).await.unwrap().unwrap();
    assert!(!account.suspended);
    assert_eq!(sums(store, payer(1), asset(1)).await, (1_000, 0, 1_000));
    assert_eq!(sums(store, payer(1), asset(0)).await, (7, 0, 7));
    let batch = vec![happening(withdrawing(250), 4), happening(withdrawn(250), 5)];
    enter(store, batch, 5).await;
    assert_eq!(sums(store, payer(1), asset(1)).await, (750, 0, 750));
    assert_eq!(sums(store, payer(1), asset(0)).await, (7, 0, 7));
}

/// A request to withdraw takes its part out of what is free, the last one counts, and a cancelled one gives it back.
pub async fn what_is_asked_back_is_not_free<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let tab = opened(store, identity(), 1).await.tab;
    issued(store, issuing(&tab, 0, 300, 1)).await;
    for (asked, free) in [(100, 600), (650, 50), (900, 0), (0, 700)] {
        enter(store, vec![happening(withdrawing(asked), 2)], 2).await;
        assert_eq!(sums(store, payer(1), asset(1)).await, (free, 300, 1_000));
    }
    enter(store, vec![happening(withdrawing(650), 2)], 2).await;
    let refusal = refused(store, issuing(&tab, 1, 51, 3)).await;
    assert_eq!(refusal, CreditRefusal::Collateral);
    issued(store, issuing(&tab, 1, 50, 3)).await;
}

/// What was paid is unlocked when the contract has recorded it, and not before.
pub async fn a_payment_unlocks_once_it_is_recorded<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let tab = opened(store, identity(), 1).await.tab;
    issued(store, issuing(&tab, 0, 300, 1)).await;
    let payment = happening(paid(&tab, Some(0), 200), 2);
    enter(store, vec![payment.clone()], 2).await;
    assert_eq!(sums(store, payer(1), asset(1)).await.1, 300);
    let untold = store.untold_payments(9).await.unwrap();
    let expected = TabPayment {
        place: payment.place,
        tab: tab.id,
        req: Some(U256::ZERO),
        payer: payer(1),
        recipient: recipient(1),
        asset: asset(1),
        amount: money(200),
        stage: PaymentStage::Found,
        at: at(2),
    };
    assert_eq!(untold, [expected]);
    let record = happening(recorded(&tab, Some(payment.place.record()), 200), 4);
    enter(store, vec![record.clone()], 4).await;
    assert_eq!(sums(store, payer(1), asset(1)).await, (900, 100, 1_000));
    assert_eq!(now(store, &tab).await.settlement(), Settlement::Pending);
    let told = store.payments_to(recipient(1), ALL).await.unwrap();
    let stage = PaymentStage::Recorded(record.place.transaction);
    assert_eq!(
        told.iter().map(|payment| payment.stage).collect::<Vec<_>>(),
        [stage]
    );
    // More than is owed: the rest of the lock, and no more.
    enter(store, vec![happening(recorded(&tab, None, 500), 5)], 5).await;
    assert_eq!(sums(store, payer(1), asset(1)).await, (1_000, 0, 1_000));
    let settled = now(store, &tab).await;
    assert_eq!(
        (settled.settlement(), settled.paid),
        (Settlement::Settled, money(700))
    );
    let unlocked: Vec<(U256, U256)> = store
        .entries_of(tab.id, ALL)
        .await
        .unwrap()
        .into_iter()
        .filter(|entry| entry.kind == EntryKind::Unlock)
        .map(|entry| (entry.amount, entry.lock))
        .collect();
    assert_eq!(
        unlocked,
        [(money(200), money(200)), (money(500), money(100))]
    );
}

/// What a payment unlocked names the place of the payment, for which its recipient looks, in the journal and by its id; a second
/// record of it, or one of a payment that nobody saw, names its own.
pub async fn what_is_unlocked_names_the_payment<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let tab = opened(store, identity(), 1).await.tab;
    issued(store, issuing(&tab, 0, 300, 1)).await;
    let whole = place(None);
    let payments = [None, Some(3)].map(|log| Happening {
        place: Place { log, ..whole },
        at: at(2),
        event: paid(&tab, Some(0), 100),
    });
    enter(store, payments.to_vec(), 2).await;
    let record = |of: &Happening| happening(recorded(&tab, Some(of.place.record()), 100), 3);
    let first = record(&payments[0]);
    // One batch, one later, one of them said twice, and one of nothing that is known.
    let unseen = happening(recorded(&tab, Some(B256::repeat_byte(9)), 5), 3);
    enter(store, vec![first.clone(), unseen.clone()], 3).await;
    let again = record(&payments[0]);
    enter(store, vec![record(&payments[1]), again.clone()], 4).await;
    let unlocked: Vec<_> = store
        .entries_of(tab.id, ALL)
        .await
        .unwrap()
        .into_iter()
        .filter(|entry| entry.kind == EntryKind::Unlock)
        .collect();
    let places: Vec<_> = unlocked.iter().map(|entry| entry.place.unwrap()).collect();
    let [eth, log] = payments.map(|payment| payment.place);
    assert_eq!(places, [eth, unseen.place, log, again.place]);
    let ids: std::collections::BTreeSet<_> = unlocked.iter().map(super::super::Entry::id).collect();
    assert_eq!(ids.len(), 4);
    let told = store.payments_to(recipient(1), ALL).await.unwrap();
    let by: Vec<_> = told.iter().map(|payment| payment.stage).collect();
    assert!(by.contains(&PaymentStage::Recorded(again.place.transaction)));
}

/// Each log is a payment of its own.
pub async fn two_payments_of_one_transaction_are_two<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let tab = opened(store, identity(), 1).await.tab;
    issued(store, issuing(&tab, 0, 300, 1)).await;
    let whole = place(None);
    let logs = [None, Some(0), Some(1)].map(|log| Happening {
        place: Place { log, ..whole },
        at: at(2),
        event: paid(&tab, None, 100),
    });
    let records: Vec<B256> = logs.iter().map(|log| log.place.record()).collect();
    assert_eq!(records[0], whole.transaction);
    enter(store, logs.into(), 2).await;
    assert_eq!(store.untold_payments(9).await.unwrap().len(), 3);
    let all = records
        .into_iter()
        .map(|record| happening(recorded(&tab, Some(record), 100), 3))
        .collect();
    enter(store, all, 3).await;
    assert_eq!(now(store, &tab).await.settlement(), Settlement::Settled);
    assert_eq!(store.untold_payments(9).await, Ok(vec![]));
}

/// What is being told is still to be told until the chain has it; what was refused or recorded stays so.
pub async fn a_payment_is_told_until_it_is_recorded_or_refused<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let tab = opened(store, identity(), 1).await.tab;
    issued(store, issuing(&tab, 0, 300, 1)).await;
    let payments: Vec<_> = (0..3).map(|_| happening(paid(&tab, None, 10), 2)).collect();
    let places: Vec<_> = payments.iter().map(|payment| payment.place).collect();
    enter(store, payments, 2).await;
    let transaction = B256::repeat_byte(7);
    store.telling(places.clone(), transaction).await.unwrap();
    let untold = store.untold_payments(9).await.unwrap();
    let stages = |payments: Vec<TabPayment>| -> Vec<PaymentStage> {
        payments.into_iter().map(|payment| payment.stage).collect()
    };
    assert_eq!(stages(untold), [PaymentStage::Telling(transaction); 3]);
    store.refuse_payment(places[0]).await.unwrap();
    let record = happening(recorded(&tab, Some(places[1].record()), 10), 3);
    let by = record.place.transaction;
    enter(store, vec![record], 3).await;
    for place in &places[..2] {
        store.telling(vec![*place], B256::ZERO).await.unwrap();
    }
    store.refuse_payment(places[1]).await.unwrap();
    assert_eq!(store.untold_payments(9).await.unwrap().len(), 1);
    let mut all = store.payments_to(recipient(1), ALL).await.unwrap();
    all.reverse();
    let expected = [
        PaymentStage::Refused,
        PaymentStage::Recorded(by),
        PaymentStage::Telling(transaction),
    ];
    assert_eq!(stages(all), expected);
    let nowhere = store.refuse_payment(place(None)).await;
    assert_eq!(nowhere, Err(StoreError::NotFound));
}

/// The contract pays what is owed, all at once or one part after the other, and the collateral is gone.
pub async fn a_remuneration_takes_what_is_owed<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let tab = opened(store, identity(), 1).await.tab;
    issued(store, issuing(&tab, 0, 100, 1)).await;
    issued(store, issuing(&tab, 1, 200, 1)).await;
    // Somebody shows the first certificate: the rest stays locked for the last one.
    enter(store, vec![happening(remunerated(&tab, 100), 2)], 2).await;
    assert_eq!(sums(store, payer(1), asset(1)).await, (700, 200, 900));
    assert_eq!(now(store, &tab).await.settlement(), Settlement::Pending);
    enter(store, vec![happening(recorded(&tab, None, 50), 3)], 3).await;
    assert_eq!(sums(store, payer(1), asset(1)).await, (750, 150, 900));
    enter(store, vec![happening(remunerated(&tab, 150), 4)], 4).await;
    assert_eq!(sums(store, payer(1), asset(1)).await, (750, 0, 750));
    let over = now(store, &tab).await;
    assert_eq!(
        (over.settlement(), over.remunerated),
        (Settlement::Remunerated, money(250))
    );
    // Paid out although the books know of nothing that was owed: the chain is right.
    enter(store, vec![happening(remunerated(&tab, 30), 5)], 5).await;
    assert_eq!(sums(store, payer(1), asset(1)).await, (720, 0, 720));
}

/// When the last certificate of a tab can no longer be redeemed by the time of the chain, nothing is locked for it.
pub async fn a_certificate_that_expired_locks_nothing<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let tab = opened(store, identity(), 1).await.tab;
    issued(store, issuing(&tab, 0, 100, 10)).await;
    issued(store, issuing(&tab, 1, 100, 20)).await;
    let unused = opened(
        store,
        crate::credit::Identity {
            recipient: recipient(2),
            ..identity()
        },
        1,
    )
    .await
    .tab;
    let on_time = enter(store, vec![], 20 + EXPIRATION).await;
    assert_eq!(on_time.expired, 0);
    assert_eq!(sums(store, payer(1), asset(1)).await.1, 200);
    let later = enter(store, vec![], 21 + EXPIRATION).await;
    assert_eq!(later.expired, 1);
    assert_eq!(sums(store, payer(1), asset(1)).await, (1_000, 0, 1_000));
    let over = now(store, &tab).await;
    assert_eq!(over.settlement(), Settlement::Failed);
    let kinds: Vec<_> = store
        .entries_of(tab.id, ALL)
        .await
        .unwrap()
        .into_iter()
        .map(|entry| (entry.kind, entry.lock))
        .collect();
    let reserve = (EntryKind::Reserve, money(100));
    assert_eq!(
        kinds,
        [reserve, reserve, (EntryKind::CancelReserve, money(200))]
    );
    assert_eq!(now(store, &unused).await, unused);
    assert_eq!(enter(store, vec![], 22 + EXPIRATION).await.expired, 0);
    // Paid after all: it is on record, and nothing is unlocked twice.
    let late = happening(recorded(&tab, None, 200), 23 + EXPIRATION);
    enter(store, vec![late], 23 + EXPIRATION).await;
    assert_eq!(sums(store, payer(1), asset(1)).await, (1_000, 0, 1_000));
    assert_eq!(now(store, &tab).await.settlement(), Settlement::Settled);
}

/// What is told again changes nothing, in the same batch or later.
pub async fn nothing_happens_twice<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    let first = happening(deposit(payer(1), asset(1), 100), 1);
    let entered = enter(store, vec![first.clone(), first.clone()], 1).await;
    assert_eq!((entered.applied, entered.repeated), (1, 1));
    let elsewhere = Happening {
        place: Place {
            block: first.place.block + 1,
            ..first.place
        },
        ..first
    };
    let entered = enter(store, vec![elsewhere], 2).await;
    assert_eq!((entered.applied, entered.repeated), (0, 1));
    assert_eq!(sums(store, payer(1), asset(1)).await.2, 100);
}

/// One thing that cannot be does not keep the others from happening.
pub async fn what_is_odd_is_put_aside_and_the_rest_goes_on<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    with_collateral(store, 1_000).await;
    let tab = opened(store, identity(), 1).await.tab;
    issued(store, issuing(&tab, 0, 300, 1)).await;
    let stranger = |change: &dyn Fn(&mut Tab)| {
        let mut other = tab.clone();
        change(&mut other);
        paid(&other, None, 10)
    };
    let unknown = |tab: &Tab| {
        let mut other = tab.clone();
        other.id.0 = U256::MAX;
        other
    };
    let unreadable = TabEvent::Unreadable {
        what: "ä".repeat(400).into(),
    };
    let table = [
        (unreadable, Odd::Unreadable),
        (deposit(payer(2), asset(1), 0), Odd::Nothing),
        (
            TabEvent::Deposited {
                payer: payer(1),
                asset: asset(1),
                amount: U256::MAX,
            },
            Odd::Overflow,
        ),
        (
            // Alone it would fit: with what others deposit it would not.
            TabEvent::Deposited {
                payer: payer(3),
                asset: asset(1),
                amount: U256::ONE << 192,
            },
            Odd::Overflow,
        ),
        (paid(&unknown(&tab), None, 10), Odd::UnknownTab),
        (recorded(&unknown(&tab), None, 10), Odd::UnknownTab),
        (remunerated(&unknown(&tab), 10), Odd::UnknownTab),
        (
            stranger(&|tab| tab.identity.payer = payer(2)),
            Odd::AnotherTab,
        ),
        (
            stranger(&|tab| tab.identity.recipient = recipient(2)),
            Odd::AnotherTab,
        ),
        (
            stranger(&|tab| tab.identity.asset = Address::ZERO),
            Odd::AnotherTab,
        ),
        (paid(&tab, None, 0), Odd::Nothing),
    ];
    let (events, reasons): (Vec<_>, Vec<_>) = table.into_iter().unzip();
    let mut batch: Vec<_> = events
        .into_iter()
        .map(|event| happening(event, 2))
        .collect();
    let places: Vec<_> = batch.iter().map(|happening| happening.place).collect();
    batch.push(happening(deposit(payer(1), asset(1), 5), 2));
    let entered = enter(store, batch.clone(), 2).await;
    let expected: Vec<_> = places
        .iter()
        .copied()
        .zip(reasons.iter().copied())
        .collect();
    assert_eq!(entered.odd, expected);
    assert_eq!(sums(store, payer(1), asset(1)).await, (705, 300, 1_005));
    let aside = store.put_aside(ALL).await.unwrap();
    let told: Vec<_> = aside
        .iter()
        .rev()
        .map(|one| (one.place, &*one.why))
        .collect();
    let names: Vec<_> = expected
        .iter()
        .map(|(place, odd)| (*place, odd.name()))
        .collect();
    assert_eq!(told, names);
    assert!(aside.iter().all(|one| one.what.len() <= 500));
    assert_eq!(enter(store, batch, 3).await.odd, [], "told once");
    // More than the books know of: what is known is taken, and somebody has to look.
    let entered = enter(store, vec![happening(withdrawn(2_000), 4)], 4).await;
    assert_eq!(entered.odd.len(), 1);
    assert_eq!(sums(store, payer(1), asset(1)).await.2, 0);
}

/// Whoever does not know where the books stand enters nothing.
pub async fn the_cursor_moves_with_what_happened<S: CreditStore>(bench: &Bench<S>) {
    let store = &*bench.store;
    assert_eq!(store.cursor().await, Ok(None));
    let cursor = |number: u64| Cursor {
        number,
        hash: B256::from(U256::from(number)),
        time: at(number),
    };
    let batch = |from: Option<u64>, to: u64| Batch {
        from: from.map(cursor),
        to: cursor(to),
        happenings: vec![happening(deposit(payer(1), asset(1), 100), to)],
    };
    let conflict = store.enter(batch(Some(1), 2), terms(), 9).await;
    assert_eq!(conflict, Err(StoreError::Conflict));
    store.enter(batch(None, 5), terms(), 9).await.unwrap();
    assert_eq!(store.cursor().await, Ok(Some(cursor(5))));
    for from in [None, Some(4), Some(6)] {
        let conflict = store.enter(batch(from, 7), terms(), 9).await;
        assert_eq!(conflict, Err(StoreError::Conflict));
    }
    store.enter(batch(Some(5), 7), terms(), 9).await.unwrap();
    assert_eq!(sums(store, payer(1), asset(1)).await.2, 200);
    let told = bench
        .crowd(0..8_u64, move |store, number| {
            let batch = Batch {
                from: Some(cursor(7)),
                to: cursor(8 + number),
                happenings: vec![happening(deposit(payer(1), asset(1), 100), 8)],
            };
            store.enter(batch, terms(), 9)
        })
        .await;
    assert_eq!(told.iter().filter(|told| told.is_ok()).count(), 1);
    assert_eq!(sums(&*bench.store, payer(1), asset(1)).await.2, 300);
}
