//! Credit books while their server is killed: two instances guarantee under the same numbers and follow the same chain.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use faregate_core::credit::{CreditRefusal, Cursor, Happening, Place, Tab};
use faregate_core::port::credit::{Batch, CreditError, CreditStore as _};
use faregate_ledger::StoreError;
use faregate_store::postgres::PostgresCredit;
use faregate_types::{Address, B256, U256};

use super::made_up::{
    CHAIN, at, certificate, deposit, enter, identity, issuing, opened, payer, terms,
};
use super::{KILLS, SERVER, certain, kit, run, shell};

const PAYERS: u64 = 3;

/// On each tab.
const NUMBERS: u64 = 150;

/// Issues a guarantee and keeps its certificate, or finds that this is done. Asks until there is an answer.
async fn take(credit: &PostgresCredit, tab: &Tab, number: u64) {
    let req = U256::from(number);
    loop {
        match credit.issue(issuing(tab, req, 2), terms()).await {
            Ok(_) | Err(CreditError::Refused(CreditRefusal::Duplicate(_))) => break,
            Err(CreditError::Store(StoreError::Unavailable)) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    let issued = certain(|| credit.guarantee(tab.id, req)).await.unwrap();
    let kept = certificate(&issued);
    certain(|| credit.certify(tab.id, req, kept.clone())).await;
}

/// Enters one deposit for each block, wherever the books stand, until `done` says that it is enough. How many blocks there were.
async fn follow(credit: &PostgresCredit, enough: impl Fn() -> bool) {
    while !enough() {
        let from = certain(|| credit.cursor()).await;
        let number = from.map_or(1, |cursor| cursor.number + 1);
        let hash = B256::from(U256::from(number));
        let happening = Happening {
            place: Place {
                block: number,
                transaction: hash,
                log: Some(0),
            },
            at: at(2),
            event: deposit(payer(0), 1),
        };
        let to = Cursor {
            number,
            hash,
            time: at(2),
        };
        let batch = Batch {
            from,
            to,
            happenings: vec![happening],
        };
        match credit.enter(batch, terms(), 10).await {
            Ok(_) | Err(StoreError::Conflict) => {}
            Err(StoreError::Unavailable) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
async fn credit_books_of_a_server_that_is_killed() {
    let (Some(kill), Some(start)) = (
        shell("FAREGATE_TEST_POSTGRES_KILL"),
        shell("FAREGATE_TEST_POSTGRES_START"),
    ) else {
        eprintln!("skipped: needs a PostgreSQL that may be killed");
        return;
    };
    let _alone = SERVER.lock().await;
    let Some(place) = kit::Place::new().await else {
        return;
    };
    let mut stores = Vec::new();
    for _ in 0..2 {
        let store = place.open().await.credit(CHAIN).await.unwrap();
        stores.push(Arc::new(store));
    }
    let everybody = (0..PAYERS).map(|who| deposit(payer(who), 100_000));
    enter(&*stores[0], everybody.collect(), 1).await;
    let mut tabs = Vec::new();
    for who in 0..PAYERS {
        tabs.push(opened(&*stores[0], identity(who, 1), who).await.tab);
    }
    let done = Arc::new(AtomicU64::new(0));
    let all = 2 * PAYERS * NUMBERS;
    let mut tasks = Vec::new();
    for store in &stores {
        for tab in tabs.clone() {
            let (store, done) = (Arc::clone(store), Arc::clone(&done));
            tasks.push(tokio::spawn(async move {
                for number in 0..NUMBERS {
                    take(&store, &tab, number).await;
                    done.fetch_add(1, Ordering::AcqRel);
                }
            }));
        }
        let (store, done) = (Arc::clone(store), Arc::clone(&done));
        tasks.push(tokio::spawn(async move {
            follow(&store, || done.load(Ordering::Acquire) >= all).await;
        }));
    }
    for kills in 1..=KILLS {
        // Somewhere in the middle, not before anything happened.
        while done.load(Ordering::Acquire) < all * kills / (KILLS + 2) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        run(&kill).await;
        run(&start).await;
    }
    assert!(
        done.load(Ordering::Acquire) < all,
        "killed when all was done"
    );
    for task in tasks {
        task.await.unwrap();
    }
    // Each number once, and each block once, however often they were tried.
    let blocks = certain(|| stores[1].cursor()).await.unwrap().number - 1;
    assert!(blocks > 0);
    for who in 0..PAYERS {
        let kept = certain(|| stores[0].collateral(payer(who), Address::ZERO)).await;
        let kept = kept.unwrap();
        let more = if who == 0 { blocks } else { 0 };
        assert_eq!(kept.locked, U256::from(2 * NUMBERS));
        assert_eq!(kept.total, U256::from(100_000 + more));
        assert_eq!(kept.version, 1 + NUMBERS + more);
    }
    assert_eq!(certain(|| stores[1].uncertified(1_000)).await, []);
    let ledger = place.open().await;
    let audit = certain(|| Box::pin(ledger.audit())).await;
    assert_eq!(audit.faults, []);
}
