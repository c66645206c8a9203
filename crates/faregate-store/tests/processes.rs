//! Several processes on one file: one winner, one cap.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::{child, claim, per_host, spend};
use faregate_ledger::{
    Claimed, LedgerStore as _, Reserved, TermsRule, Unit, Usage, WalletStore as _, Worth,
};
use faregate_store::sqlite::{SqliteLedger, SqliteWallet};
use faregate_types::U256;

const PROCESSES: u64 = 4;

/// Starts the children at once, on a file that none of them finds ready, and counts how often each line was printed.
fn race(test: &str, file: &Path) -> BTreeMap<String, usize> {
    let children: Vec<_> = (0..PROCESSES)
        .map(|number| child(test, file, number).spawn().unwrap())
        .collect();
    let mut lines = BTreeMap::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            *lines.entry(line.to_owned()).or_default() += 1;
        }
    }
    lines
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

#[tokio::test]
async fn processes_share_one_cap() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wallet.db");
    let lines = race("a_child_that_spends", &file);
    assert_eq!(
        (lines.get("allowed"), lines.get("refused")),
        (Some(&100), Some(&60))
    );
    let wallet = SqliteWallet::open(&file).unwrap();
    let hundred = Worth::new(U256::from(100));
    let usage = wallet
        .usage(spend(0, 0).origin, Unit::Dollar, common::at(0))
        .await;
    assert_eq!(
        usage,
        Ok(Usage {
            host: hundred,
            period: hundred,
            total: hundred
        })
    );
    assert_eq!(wallet.audit().await.unwrap().faults, []);
}

#[test]
#[ignore = "started by the test above"]
fn a_child_that_spends() {
    let Some((file, child)) = file_of_a_child() else {
        return;
    };
    let wallet = SqliteWallet::open(file).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        for number in 0..40 {
            let verdict = wallet
                .reserve_spend(
                    spend(child * 1000 + number, 1),
                    per_host(100),
                    TermsRule::ANY,
                )
                .await
                .unwrap();
            let allowed = matches!(verdict, Reserved::Recorded(_));
            println!("{}", if allowed { "allowed" } else { "refused" });
        }
    });
}

#[tokio::test]
async fn one_process_wins_each_payment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let lines = race("a_child_that_claims", &file);
    for number in 0..60 {
        assert_eq!(lines.get(&format!("won {number}")), Some(&1));
    }
    let ledger = SqliteLedger::open(&file).unwrap();
    let audit = ledger.audit().await.unwrap();
    assert_eq!((audit.rows, audit.faults), (60, vec![]));
}

#[test]
#[ignore = "started by the test above"]
fn a_child_that_claims() {
    let Some((file, _)) = file_of_a_child() else {
        return;
    };
    let ledger = SqliteLedger::open(file).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        for number in 0..60 {
            if ledger.claim(claim(number)).await.unwrap() == Claimed::Won {
                println!("won {number}");
            }
        }
    });
}
