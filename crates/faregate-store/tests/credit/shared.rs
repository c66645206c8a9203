//! Several processes and instances over one database: not a unit is locked twice, what happened is entered once, and what waits
//! shares a transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use faregate_core::credit::{CreditRefusal, Cursor, Happening, Identity, Place, TabEvent};
use faregate_core::port::credit::{Batch, CreditError, CreditStore as _};
use faregate_ledger::StoreError;
use faregate_store::audit::AuditFault;
use faregate_store::postgres::{PostgresCredit, PostgresLedger, PostgresUrl};
use faregate_types::{Address, B256, ChainId, U256};
use futures_util::future::join_all;
use tokio_postgres::NoTls;

use super::common::{self, child};
use super::kit;
use super::made_up::{
    ALL, CHAIN, at, certificate, deposit, enter, guarantee, identity, issuing, opened, payer, terms,
};

async fn two(place: &kit::Place) -> [Arc<PostgresCredit>; 2] {
    let [even, odd] = [place.open().await, place.open().await];
    let stores = [even.credit(CHAIN).await, odd.credit(CHAIN).await];
    stores.map(|store| Arc::new(store.unwrap()))
}

async fn faults(place: &kit::Place) -> Vec<AuditFault> {
    place.open().await.audit().await.unwrap().faults
}

/// Four processes guarantee for one payer at once, two of them on each tab: not a unit more than there is.
#[tokio::test]
async fn processes_lock_no_more_than_there_is() {
    let Some(place) = kit::Place::new().await else {
        return;
    };
    let credit = place.open().await.credit(CHAIN).await.unwrap();
    enter(&credit, vec![deposit(payer(1), 100)], 1).await;
    let text = place.text();
    let children: Vec<_> = (0..4)
        .map(|number| child("shared::a_child_that_issues", Path::new(&text), number))
        .map(|mut child| child.spawn().unwrap())
        .collect();
    let mut lines = BTreeMap::<String, usize>::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            *lines.entry(line.to_owned()).or_default() += 1;
        }
    }
    let count = |line: &str| lines.get(line).copied().unwrap_or(0);
    assert_eq!((count("issued"), count("refused")), (100, 60));
    let kept = credit.collateral(payer(1), Address::ZERO).await.unwrap();
    let kept = kept.unwrap();
    assert_eq!((kept.locked, kept.free()), (U256::from(100), U256::ZERO));
    let tabs = credit
        .tabs_of_payer(payer(1), Vec::new(), ALL)
        .await
        .unwrap();
    assert_eq!(tabs.len(), 2, "one for each recipient");
    assert_eq!(credit.uncertified(1_000).await.unwrap(), []);
    assert_eq!(faults(&place).await, []);
}

#[test]
#[ignore = "started by the test above"]
#[allow(
    clippy::print_stdout,
    reason = "children talk to their parent by lines"
)]
fn a_child_that_issues() {
    // The harness has begun a line with the name of the test.
    println!();
    let Ok(text) = std::env::var(common::FILE) else {
        return;
    };
    let child: u64 = std::env::var(common::CHILD).unwrap().parse().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let url = PostgresUrl::parse(&text).unwrap();
        let ledger = PostgresLedger::open(&url).await.unwrap();
        let credit = ledger.credit(CHAIN).await.unwrap();
        let asked = (0..40).map(async |step| {
            let seed = child * 1_000 + step;
            match guarantee(&credit, identity(1, child % 2), seed, 1).await {
                Ok(issued) => {
                    let kept = certificate(&issued);
                    credit.certify(issued.tab, issued.req, kept).await.unwrap();
                    println!("issued");
                }
                Err(CreditError::Refused(CreditRefusal::Collateral)) => println!("refused"),
                Err(error) => panic!("{error}"),
            }
        });
        join_all(asked).await;
    });
}

/// Everything at once from two instances, over the same payers, recipients and tabs in opposite orders: nobody hears of what the
/// instances do to each other, no number is given twice, and the books add up.
#[tokio::test(flavor = "multi_thread")]
async fn instances_do_everything_at_once() {
    let Some(place) = kit::Place::new().await else {
        return;
    };
    let stores = two(&place).await;
    let everybody = (0..6).map(|who| deposit(payer(who), 1_000)).collect();
    enter(&*stores[0], everybody, 1).await;
    let pairs: Vec<Identity> = (0..18).map(|n| identity(n % 6, n % 3)).collect();
    let mut tasks = Vec::new();
    for task in 0..16_u64 {
        let (store, mut pairs) = (
            Arc::clone(&stores[usize::from(task % 2 == 0)]),
            pairs.clone(),
        );
        if task % 2 == 0 {
            pairs.reverse();
        }
        tasks.push(tokio::spawn(async move {
            let mut issued = Vec::new();
            for (step, identity) in (0..).zip(pairs) {
                match guarantee(&*store, identity, task * 1_000 + step, 3).await {
                    Ok(one) => {
                        let kept = certificate(&one);
                        store.certify(one.tab, one.req, kept).await.unwrap();
                        issued.push((one.tab, one.req));
                    }
                    // It was paid in between.
                    Err(CreditError::Refused(CreditRefusal::Closed)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            issued
        }));
    }
    let mut entered = 1;
    while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        let mut events = vec![deposit(payer(1), 5)];
        for who in 0..6 {
            let tabs = stores[0]
                .tabs_of_payer(payer(who), Vec::new(), ALL)
                .await
                .unwrap();
            events.extend(tabs.iter().map(|tab| TabEvent::Recorded {
                record: None,
                tab: tab.id,
                asset: Address::ZERO,
                amount: U256::from(1),
            }));
        }
        entered += 1;
        enter(&*stores[entered % 2], events, 2).await;
    }
    let mut names = BTreeSet::new();
    for task in tasks {
        for name in task.await.unwrap() {
            assert!(names.insert(name), "{name:?} was given twice");
        }
    }
    assert!(names.len() > 100, "{}", names.len());
    assert_eq!(stores[0].uncertified(1_000).await.unwrap(), []);
    assert_eq!(faults(&place).await, []);
}

/// Two follow the same chain: of each part one enters all, and the other is told that the books stand elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_followers_enters() {
    let Some(place) = kit::Place::new().await else {
        return;
    };
    let stores = two(&place).await;
    for number in 1..=20 {
        let from = stores[0].cursor().await.unwrap();
        let transaction = B256::from(U256::from(number));
        let happening = Happening {
            place: Place {
                block: number,
                transaction,
                log: Some(1),
            },
            at: at(number),
            event: deposit(payer(1), 7),
        };
        let to = Cursor {
            number,
            hash: transaction,
            time: at(number),
        };
        let batch = Batch {
            from,
            to,
            happenings: vec![happening],
        };
        let told = join_all(stores.iter().map(|store| {
            let (store, batch) = (Arc::clone(store), batch.clone());
            async move { store.enter(batch, terms(), 10).await }
        }));
        let told = told.await;
        let entered = told.iter().filter(|told| told.is_ok()).count();
        assert_eq!(entered, 1, "{told:?}");
        assert!(told.contains(&Err(StoreError::Conflict)), "{told:?}");
        assert_eq!(stores[1].cursor().await, Ok(Some(to)));
    }
    let kept = stores[0].collateral(payer(1), Address::ZERO).await.unwrap();
    assert_eq!(kept.unwrap().total, U256::from(140));
    assert_eq!(faults(&place).await, []);
}

/// While somebody else has a row of one payer, everything that comes waits for one transaction: guarantees of that payer and of
/// others, and certificates go on beside them.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_shares_one_transaction() {
    let Some(place) = kit::Place::new().await else {
        return;
    };
    let credit = place.open().await.credit(CHAIN).await.unwrap();
    let everybody = (0..20).map(|who| deposit(payer(who), 1_000)).collect();
    enter(&credit, everybody, 1).await;
    let hot = opened(&credit, identity(0, 0), 99).await.tab;
    let first = credit.issue(issuing(&hot, U256::ZERO, 1), terms()).await;
    let first = first.unwrap();
    let (other, connection) = tokio_postgres::connect(&place.text(), NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    other
        .batch_execute("BEGIN; SELECT 1 FROM balance WHERE account LIKE 'collateral/%' FOR UPDATE")
        .await
        .unwrap();
    // One that is begun, and all that comes meanwhile.
    let issues = (1..=180).map(|req| credit.issue(issuing(&hot, U256::from(req), 1), terms()));
    let issues = join_all(issues);
    let releases = async {
        let waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = current_setting('application_name')";
        while other.query(waits, &[]).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let kept = certificate(&first);
        credit.certify(first.tab, first.req, kept).await.unwrap();
        other.batch_execute("ROLLBACK").await.unwrap();
    };
    let (issued, ()) = tokio::join!(issues, releases);
    let orders: BTreeSet<u64> = issued.into_iter().map(|one| one.unwrap().order).collect();
    assert_eq!(orders, (1..=180).collect());
    let people = join_all((0..20).map(|who| guarantee(&credit, identity(who, 1), who, 1))).await;
    assert!(people.iter().all(Result::is_ok));
    // Every row knows the transaction that wrote it: the one that waited, and the one behind it.
    let count =
        "SELECT count(DISTINCT xmin::text) FROM credit_guarantee WHERE tab = $1 AND req > 0";
    let key: [u8; 32] = hot.id.0.to_be_bytes();
    let counted = other.query_one(count, &[&key.as_slice()]).await.unwrap();
    let transactions: i64 = counted.get(0);
    assert!((1..=2).contains(&transactions), "{transactions}");
    drop(other);
    driver.await.unwrap().unwrap();
}

/// A database holds the books of one chain: those of another would be read as money of this one.
#[tokio::test]
async fn a_database_has_the_books_of_one_chain() {
    let Some(place) = kit::Place::new().await else {
        return;
    };
    let ledger = place.open().await;
    assert!(ledger.credit(CHAIN).await.is_ok());
    let other = ledger.credit(ChainId::BASE).await;
    assert_eq!(other.err(), Some(StoreError::Conflict));
    assert!(place.open().await.credit(CHAIN).await.is_ok());
}

#[tokio::test]
async fn an_audit_finds_what_does_not_add_up() {
    for (sql, expected) in [
        (
            "UPDATE balance SET debits_pending = 1 WHERE account LIKE 'collateral/%'",
            "is not the sum",
        ),
        (
            "DELETE FROM balance WHERE account LIKE 'guaranteed/%'",
            "is not the sum",
        ),
        (
            "INSERT INTO credit_funding SELECT decode(repeat('07', 32), 'hex'), 0, payer, asset, 5, 1 FROM credit_collateral LIMIT 1",
            "is not the sum",
        ),
        (
            "UPDATE credit_tab SET total = 201, remunerated = 1",
            "contradict each other",
        ),
        ("UPDATE credit_tab SET guarantees = 3", "contradict"),
        ("UPDATE credit_tab SET settlement = 1", "contradict"),
        ("UPDATE credit_tab SET seq = seq + 1", "contradict"),
        (
            "UPDATE credit_tab SET ages_from = ages_from + 1",
            "contradict",
        ),
        (
            "UPDATE credit_guarantee SET number = 1 - number",
            "contradict",
        ),
        ("UPDATE credit_tab SET paid = 99", "what its tabs lock"),
        ("DELETE FROM credit_unsigned", "neither certified"),
        (
            "INSERT INTO credit_unsigned SELECT g.seq, g.tab, g.req FROM credit_guarantee g JOIN credit_certificate c ON c.tab = g.tab \
             AND c.req = g.req",
            "neither certified",
        ),
    ] {
        let Some(place) = kit::Place::new().await else {
            return;
        };
        let ledger = place.open().await;
        let credit = ledger.credit(CHAIN).await.unwrap();
        enter(&credit, vec![deposit(payer(1), 1_000)], 1).await;
        for step in 0..2 {
            let issued = guarantee(&credit, identity(1, 1), step, 100).await.unwrap();
            if step == 0 {
                let kept = certificate(&issued);
                credit.certify(issued.tab, issued.req, kept).await.unwrap();
            }
        }
        let clean = ledger.audit().await.unwrap();
        assert_eq!((clean.rows, clean.faults), (3, vec![]));
        place.run(sql).await;
        let audit = ledger.audit().await.unwrap();
        for fault in audit.faults.iter().map(ToString::to_string) {
            // Balances are stored side by side here: the sum of one is missing on the other.
            let named = fault.contains(expected) || fault.contains("are not balanced");
            assert!(named, "{sql}: {fault}");
        }
        let named = |fault: &AuditFault| fault.to_string().contains(expected);
        assert!(audit.faults.iter().any(named), "{sql}");
    }
}

/// Plans are made when tables are empty and kept while they grow: rows are looked up by their keys all the same, from the beginning.
#[tokio::test(flavor = "multi_thread")]
async fn no_table_is_read_whole_to_find_a_row() {
    const ROUNDS: u64 = 40;
    let Some(place) = kit::Place::new().await else {
        return;
    };
    let credit = place.open().await.credit(CHAIN).await.unwrap();
    enter(&credit, vec![deposit(payer(1), 1_000)], 1).await;
    let (other, connection) = tokio_postgres::connect(&place.text(), NoTls).await.unwrap();
    let driver = tokio::spawn(connection);
    // The server counts with a delay, of one connection all at once.
    let sql = "SELECT relname, seq_scan, coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE schemaname = $1 \
               AND relname IN ('balance', 'credit_collateral', 'credit_guarantee', 'credit_tab')";
    let mut round = 0;
    loop {
        let one = guarantee(&credit, identity(1, 1), round, 1).await.unwrap();
        let kept = certificate(&one);
        credit.certify(one.tab, one.req, kept).await.unwrap();
        round += 1;
        let counted = other.query(sql, &[&place.schema()]).await.unwrap();
        assert_eq!(counted.len(), 4);
        let found = |row: &tokio_postgres::Row| row.get::<_, i64>(2) >= 30;
        if round >= ROUNDS && counted.iter().all(found) {
            for row in counted {
                let (table, read): (&str, i64) = (row.get(0), row.get(1));
                // To make its indexes.
                assert!(read <= 8, "{table} was read {read} times");
            }
            break;
        }
        assert!(round < 900);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(other);
    driver.await.unwrap().unwrap();
}
