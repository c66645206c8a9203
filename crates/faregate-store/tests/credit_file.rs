//! Credit books in a file: killed in the middle of their work, shared by processes, damaged by hand.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod common;
#[path = "credit/made_up.rs"]
mod made_up;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::sync::Arc;

use common::child;
use faregate_core::credit::{CreditRefusal, TabEvent, TabId};
use faregate_core::port::credit::{CreditError, CreditStore as _, Page};
use faregate_ledger::{LedgerStore as _, StoreError};
use faregate_store::sqlite::SqliteLedger;
use faregate_types::{Address, ChainId, U256};
use made_up::{
    ALL, CHAIN, certificate, deposit, enter, guarantee, identity, opened, payer, recipient,
};
use rusqlite::Connection;

/// Tasks that write at the same time, so that the kill meets a group of them.
const TASKS: u64 = 16;

/// What a child said that it was told.
#[derive(Default)]
struct Told {
    issued: BTreeSet<(U256, U256)>,
    certified: BTreeSet<(U256, U256)>,
    entered: u64,
}

impl Told {
    fn hear(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        let name = |tab: &str, req: &str| (tab.parse().unwrap(), req.parse().unwrap());
        match words.as_slice() {
            ["issued", tab, req] => self.issued.insert(name(tab, req)),
            ["certified", tab, req] => self.certified.insert(name(tab, req)),
            ["entered", number] => {
                self.entered = self.entered.max(number.parse().unwrap());
                true
            }
            _ => false,
        }
    }
}

#[tokio::test]
async fn whatever_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let mut told = Told::default();
    for (round, lines) in [1_usize, 60, 9, 200, 120].into_iter().enumerate() {
        let number = u64::try_from(round).unwrap();
        let mut process = child("a_child_that_is_killed", &file, number)
            .spawn()
            .unwrap();
        let mut answered = 0;
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            if told.hear(&line.unwrap()) {
                answered += 1;
            }
            // Goes on reading: what is still in the pipe was answered, too.
            if answered == lines {
                process.kill().unwrap();
            }
        }
        assert!(!process.wait().unwrap().success());
        assert!(answered >= lines);
        check(&file, &told).await;
    }
    assert!(told.issued.len() > 100 && told.certified.len() > 50 && told.entered > 5);
}

/// Everything that was answered is there, and adds up.
async fn check(file: &Path, told: &Told) {
    let ledger = SqliteLedger::open(file).unwrap();
    assert_eq!(ledger.audit().await.unwrap().faults, []);
    let credit = ledger.credit(CHAIN).await.unwrap();
    let waiting: BTreeSet<_> = credit
        .uncertified(10_000)
        .await
        .unwrap()
        .into_iter()
        .map(|guarantee| (guarantee.tab.0, guarantee.req))
        .collect();
    for (tab, req) in &told.issued {
        let found = credit.guarantee(TabId(*tab), *req).await.unwrap().unwrap();
        let kept = found.certificate.clone();
        assert_eq!(kept.is_none(), waiting.contains(&(*tab, *req)));
        match kept {
            Some(kept) => assert_eq!(kept, certificate(&found)),
            None => assert!(!told.certified.contains(&(*tab, *req))),
        }
    }
    let cursor = credit.cursor().await.unwrap();
    assert!(cursor.map_or(0, |cursor| cursor.number) >= told.entered);
    for total in ledger.totals().await.unwrap() {
        assert!(total.is_balanced());
    }
}

#[test]
#[ignore = "started by the test above"]
fn a_child_that_is_killed() {
    let Some((file, round)) = file_of_a_child() else {
        return;
    };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let ledger = SqliteLedger::open(file).unwrap();
        let credit = Arc::new(ledger.credit(CHAIN).await.unwrap());
        let everybody = (0..4).map(|who| deposit(payer(who), 1_000_000)).collect();
        enter(&*credit, everybody, 1).await;
        let mut tasks = Vec::new();
        for task in 0..TASKS {
            let credit = Arc::clone(&credit);
            // Ends only when killed, or when the parent is gone and its pipe with it.
            tasks.push(tokio::spawn(async move {
                let identity = identity(task % 4, task % 3);
                for step in 0.. {
                    let seed = (round << 40) + (task << 32) + step;
                    // The tab may be paid and so be closed in between.
                    let Ok(guarantee) = guarantee(&*credit, identity, seed, 3).await else {
                        continue;
                    };
                    let (tab, req) = (guarantee.tab, guarantee.req);
                    println!("issued {} {req}", tab.0);
                    let kept = certificate(&guarantee);
                    credit.certify(tab, req, kept).await.unwrap();
                    println!("certified {} {req}", tab.0);
                }
            }));
        }
        loop {
            let paid = |tab, units| TabEvent::Recorded {
                record: None,
                tab,
                asset: Address::ZERO,
                amount: U256::from(units),
            };
            let tabs = credit
                .tabs_of_payer(payer(0), Vec::new(), ALL)
                .await
                .unwrap();
            let mut events = vec![deposit(payer(1), 50)];
            events.extend(tabs.iter().map(|tab| paid(tab.id, 1)));
            enter(&*credit, events, 1).await;
            let cursor = credit.cursor().await.unwrap().unwrap();
            println!("entered {}", cursor.number);
        }
    });
}

#[allow(
    clippy::print_stdout,
    reason = "children talk to their parent by lines"
)]
fn file_of_a_child() -> Option<(String, u64)> {
    // The harness has begun a line with the name of the test.
    println!();
    let number = std::env::var(common::CHILD).ok()?.parse().unwrap();
    Some((std::env::var(common::FILE).ok()?, number))
}

/// Four processes guarantee for one payer at once, two of them on each tab: not a unit more than there is.
#[tokio::test]
async fn processes_lock_no_more_than_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let ledger = SqliteLedger::open(&file).unwrap();
    let credit = ledger.credit(CHAIN).await.unwrap();
    enter(&credit, vec![deposit(payer(1), 100)], 1).await;
    let children: Vec<_> = (0..4)
        .map(|number| child("a_child_that_issues", &file, number).spawn().unwrap())
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
    assert_eq!(ledger.audit().await.unwrap().faults, []);
}

#[test]
#[ignore = "started by the test above"]
fn a_child_that_issues() {
    let Some((file, child)) = file_of_a_child() else {
        return;
    };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let ledger = SqliteLedger::open(file).unwrap();
        let credit = ledger.credit(CHAIN).await.unwrap();
        for step in 0..40 {
            let seed = child * 1_000 + step;
            let line = match guarantee(&credit, identity(1, child % 2), seed, 1).await {
                Ok(_) => "issued",
                Err(CreditError::Refused(CreditRefusal::Collateral)) => "refused",
                Err(error) => panic!("{error}"),
            };
            println!("{line}");
        }
    });
}

/// Books with a bit of everything: guarantees with and without a certificate, a payment, a remuneration, a tab that expired.
async fn filled(file: &Path) {
    let ledger = SqliteLedger::open(file).unwrap();
    let credit = ledger.credit(CHAIN).await.unwrap();
    let everybody = (1..=3).map(|who| deposit(payer(who), 1_000)).collect();
    enter(&credit, everybody, 1).await;
    let mut tabs = Vec::new();
    for (number, (from, to)) in (0..).zip([(1, 1), (1, 2), (2, 1), (3, 1)]) {
        for _ in 0..2 {
            let issued = guarantee(&credit, identity(from, to), number, 100).await;
            let issued = issued.unwrap();
            if from < 3 {
                let kept = certificate(&issued);
                credit.certify(issued.tab, issued.req, kept).await.unwrap();
            }
            tabs.push(issued.tab);
        }
    }
    let (asset, amount) = (Address::ZERO, U256::from(150));
    let events = vec![
        TabEvent::Paid {
            tab: tabs[0],
            req: None,
            payer: payer(1),
            recipient: recipient(1),
            asset,
            amount,
        },
        TabEvent::Recorded {
            record: None,
            tab: tabs[2],
            asset,
            amount,
        },
        TabEvent::Remunerated {
            tab: tabs[4],
            asset,
            amount,
        },
        TabEvent::Withdrawing {
            payer: payer(3),
            asset,
            amount,
        },
        deposit(payer(3), 0),
    ];
    let entered = enter(&credit, events, 500).await;
    assert_eq!((entered.applied, entered.odd.len()), (4, 1));
}

#[tokio::test]
async fn books_are_the_same_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    filled(&file).await;
    let read = async || {
        let ledger = SqliteLedger::open(&file).unwrap();
        let credit = ledger.credit(CHAIN).await.unwrap();
        let mut told = Vec::new();
        for who in 1..=3 {
            for tab in credit
                .tabs_of_payer(payer(who), Vec::new(), ALL)
                .await
                .unwrap()
            {
                let entries = credit.entries_of(tab.id, ALL).await.unwrap();
                let guarantees = credit.guarantees(tab.id, ALL).await.unwrap();
                told.push((tab, entries, guarantees));
            }
        }
        let rest = (
            credit.cursor().await.unwrap(),
            credit.collaterals(None, 100).await.unwrap(),
            credit.untold_payments(100).await.unwrap(),
            credit.put_aside(ALL).await.unwrap(),
        );
        (told, rest)
    };
    let first = read().await;
    assert_eq!(first.0.len(), 4);
    assert_eq!(read().await, first);
}

/// A ledger holds the books of one chain: those of another would be read as money of this one.
#[tokio::test]
async fn a_ledger_has_the_books_of_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    filled(&file).await;
    let ledger = SqliteLedger::open(&file).unwrap();
    let other = ledger.credit(ChainId::BASE).await;
    assert_eq!(other.err(), Some(StoreError::Conflict));
    assert!(ledger.credit(CHAIN).await.is_ok());
}

#[tokio::test]
async fn an_audit_finds_what_does_not_add_up() {
    for (sql, expected) in [
        (
            "UPDATE balance SET debits_pending = '1' WHERE account LIKE 'collateral/%'",
            "is not the sum",
        ),
        (
            "DELETE FROM balance WHERE account LIKE 'guaranteed/%'",
            "is not the sum",
        ),
        (
            "INSERT INTO credit_entry (kind, payer, asset, amount, lock, at) \
             SELECT 0, payer, asset, '5', '0', 1 FROM credit_collateral LIMIT 1",
            "is not the sum",
        ),
        (
            "UPDATE credit_tab SET total = '201', remunerated = '1' WHERE paid = '0' AND remunerated = '0'",
            "contradict each other",
        ),
        (
            "UPDATE credit_tab SET guarantees = 3",
            "contradict each other",
        ),
        (
            "UPDATE credit_tab SET settlement = 1 - settlement",
            "contradict each other",
        ),
        (
            "UPDATE credit_tab SET ages_from = ages_from + 1",
            "contradict each other",
        ),
        (
            "UPDATE credit_tab SET paid = '199' WHERE remunerated = '0'",
            "what its tabs lock",
        ),
        ("DELETE FROM credit_unsigned", "neither certified"),
        (
            "INSERT INTO credit_unsigned SELECT guarantee FROM credit_certificate",
            "neither certified",
        ),
        (
            "INSERT INTO credit_entry (kind, tab, amount, lock, at) SELECT 2, seq, '0', '0', 1 FROM credit_tab",
            "neither certified",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ledger.db");
        filled(&file).await;
        let clean = SqliteLedger::open(&file).unwrap().audit().await.unwrap();
        assert_eq!((clean.rows, clean.faults), (13, vec![]));
        let changed = Connection::open(&file).unwrap().execute(sql, []).unwrap();
        assert!(changed > 0, "{sql}");
        let audit = SqliteLedger::open(&file).unwrap().audit().await.unwrap();
        assert!(!audit.faults.is_empty(), "{sql}");
        for fault in &audit.faults {
            assert!(fault.to_string().contains(expected), "{sql}: {fault}");
        }
    }
}

/// The tables themselves refuse to rewrite history.
#[tokio::test]
async fn history_is_immutable() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    filled(&file).await;
    for sql in [
        "UPDATE credit_entry SET amount = '1'",
        "DELETE FROM credit_entry",
        "UPDATE credit_guarantee SET total = '1'",
        "DELETE FROM credit_guarantee",
        "UPDATE credit_certificate SET claims = x''",
        "DELETE FROM credit_certificate",
        "UPDATE credit_happening SET block = 0",
        "DELETE FROM credit_happening",
        "INSERT INTO credit_entry (kind, payer, asset, amount, lock, happening, at) \
         SELECT kind, x'0000000000000000000000000000000000000000', x'0000000000000000000000000000000000000000', amount, lock, \
         happening, at FROM credit_entry WHERE happening IS NOT NULL",
        "INSERT INTO credit_tab SELECT seq + 100, randomblob(32), payer, recipient, asset, version, start, ttl, guarantees, next_req, \
         total, paid, remunerated, latest, closed, expired, created_at, updated_at, settlement, active, ages_from \
         FROM credit_tab WHERE active = 1",
    ] {
        let error = Connection::open(&file).unwrap().execute(sql, []);
        assert_eq!(
            error.unwrap_err().sqlite_error_code(),
            Some(rusqlite::ErrorCode::ConstraintViolation),
            "{sql}"
        );
    }
}

/// Readers have connections of their own, and see all the same what was answered before they are asked.
#[tokio::test]
async fn what_was_answered_is_read_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(folder.path().join("ledger.db")).unwrap();
    let credit = ledger.credit(CHAIN).await.unwrap();
    enter(&credit, vec![deposit(payer(1), 1_000)], 1).await;
    for step in 0..50 {
        let issued = guarantee(&credit, identity(1, 1), step, 2).await.unwrap();
        let read = credit.latest_guarantee(issued.tab).await.unwrap();
        assert_eq!(read.as_ref(), Some(&issued));
        let kept = certificate(&issued);
        let (tab, req) = (issued.tab, issued.req);
        credit.certify(tab, req, kept.clone()).await.unwrap();
        let read = credit.guarantee(tab, req).await.unwrap().unwrap();
        assert_eq!(read.certificate, Some(kept));
        let next = opened(&credit, identity(1, 1), 0).await.tab;
        let first = Page { skip: 0, limit: 1 };
        let tabs = credit.pending(recipient(1), first).await.unwrap();
        assert_eq!(tabs[0].0, next);
    }
}
