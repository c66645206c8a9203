//! What was answered is on the disk: a process is killed in the middle of its work, again and again.
//!
//! A killed process proves that nothing is kept in memory; that the disk was told to write is seen in the pragmas
//! (`connection.rs`), for no test can pull the plug.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "these are tests"
)]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::sync::Arc;

use common::{at, child, claim, id};
use faregate_ledger::{LedgerStore as _, Payment, PaymentState, Step};
use faregate_store::sqlite::SqliteLedger;
use futures_util::FutureExt as _;

/// Tasks that write at the same time, so that the kill meets a group of them.
const TASKS: u64 = 16;

#[tokio::test]
async fn whatever_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let mut claimed = BTreeSet::new();
    let mut settled = BTreeSet::new();
    for (round, lines) in [1_usize, 40, 7, 150, 90].into_iter().enumerate() {
        let number = u64::try_from(round).unwrap();
        let mut process = child("a_child_that_is_killed", &file, number)
            .spawn()
            .unwrap();
        let mut answered = 0;
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let (books, number) = match line.split_once(' ') {
                Some(("claimed", number)) => (&mut claimed, number),
                Some(("settled", number)) => (&mut settled, number),
                _ => continue,
            };
            books.insert(number.parse::<u64>().unwrap());
            answered += 1;
            // Goes on reading: what is still in the pipe was answered, too.
            if answered == lines {
                process.kill().unwrap();
            }
        }
        assert!(!process.wait().unwrap().success());
        assert!(answered >= lines);

        let ledger = SqliteLedger::open(&file).unwrap();
        assert_eq!(ledger.audit().await.unwrap().faults, []);
        for number in &claimed {
            let payment = ledger.payment(id(*number)).await.unwrap().unwrap();
            assert_eq!(payment.claim, claim(*number));
            assert!(payment.state == PaymentState::Settled || !settled.contains(number));
        }
        for total in ledger.totals().await.unwrap() {
            assert!(total.is_balanced());
        }
    }
    assert!(
        claimed.len() > 100 && settled.len() > 50,
        "{} {}",
        claimed.len(),
        settled.len()
    );
}

#[test]
#[ignore = "started by the test above"]
fn a_child_that_is_killed() {
    let Ok(file) = std::env::var(common::FILE) else {
        return;
    };
    let first = std::env::var(common::CHILD)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1_000_000;
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let ledger = Arc::new(SqliteLedger::open(file).unwrap());
        let tasks = (0..TASKS).map(|task| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move {
                // Ends only when killed, or when the parent is gone and its pipe with it.
                for number in (first + task..).step_by(16) {
                    ledger.claim(claim(number)).await.unwrap();
                    println!("claimed {number}");
                    ledger
                        .advance(id(number), Step::Settle { transaction: None }, at(1))
                        .await
                        .unwrap();
                    println!("settled {number}");
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
}

#[tokio::test]
async fn a_dropped_store_has_written_everything() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let ledger = SqliteLedger::open(&file).unwrap();
    for number in 0..50 {
        // Polled once, so that the claim is queued; then nobody waits for the answer.
        let answer = ledger.claim(claim(number)).now_or_never();
        assert!(answer.is_none_or(|answer| answer.is_ok()));
    }
    drop(ledger);
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(
        left,
        ["ledger.db"],
        "the side files are folded into the file"
    );

    let ledger = SqliteLedger::open(&file).unwrap();
    for number in 0..50 {
        let payment = ledger.payment(id(number)).await.unwrap();
        assert_eq!(payment, Some(Payment::reserved(claim(number))));
    }
    assert!(ledger.audit().await.unwrap().is_clean());
}
