//! The client: `faregate curl` ends at a place, and what it left in its books is finished, by the same command or by
//! `faregate wallet pending`. Never two signatures for one purchase, and whoever was charged gets the answer.

use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use alloy_primitives::U256;
use faregate::stack::Stack;
use faregate_core::crash::{CLIENT, Point};
use faregate_ledger::{SpendState, WalletStore as _};
use faregate_store::sqlite::SqliteWallet;
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::{Owed, payer_key, received, stack};
use crate::{SOON, configure, configure_credit, configure_permits, seller, start};

/// How a purchase is finished after the end of the process.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Finish {
    SameCommand,
    Resume,
}

async fn faregate(folder: &Path, arguments: &[&str], point: Option<Point>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faregate"));
    command
        .args(arguments)
        .env_clear()
        .env("FAREGATE_PRIVATE_KEY", payer_key())
        .env("FAREGATE_WALLET_DB", folder.join("wallet.db"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(point) = point {
        command.env("FAREGATE_CRASH_AT", point.name());
    }
    timeout(SOON, command.output()).await.unwrap().unwrap()
}

async fn spends(folder: &Path) -> Vec<(String, SpendState)> {
    let wallet = SqliteWallet::open(folder.join("wallet.db")).unwrap();
    assert!(wallet.audit().await.unwrap().is_clean());
    let spends = wallet.recent_spends(9).await.unwrap();
    let found = spends.into_iter();
    found
        .map(|record| (record.spend.id.to_string(), record.state))
        .collect()
}

/// The ids that `faregate wallet pending` lists.
async fn pending(folder: &Path) -> Vec<String> {
    let output = faregate(folder, &["wallet", "pending", "--json"], None).await;
    assert!(output.status.success());
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let ids = said["pending"].as_array().unwrap().iter();
    ids.map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

/// What the books hold after the end of the process: its open payments.
async fn left_behind(point: Point, folder: &Path, case: &str) -> Vec<String> {
    let left = spends(folder).await;
    let states: Vec<_> = left.iter().map(|(_, state)| *state).collect();
    let expected: &[SpendState] = match point {
        Point::Signed => &[],
        Point::Recorded => &[SpendState::Paid],
        _ => &[SpendState::Open],
    };
    assert_eq!(states, expected, "{case}");
    let open = left.into_iter();
    let open: Vec<_> = open
        .filter(|(_, state)| *state == SpendState::Open)
        .map(|(id, _)| id)
        .collect();
    assert_eq!(pending(folder).await, open, "{case}");
    open
}

/// Runs a command that has to tell the joke.
async fn told(folder: &Path, arguments: &[&str], case: &str) {
    let again = faregate(folder, arguments, None).await;
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.success(), "{case}: {said}");
    assert_eq!(String::from_utf8_lossy(&again.stdout), "a joke", "{case}");
}

/// What the payee has received; on credit what is locked for it.
async fn charged(stack: &Stack, owed: Option<&Owed>) -> U256 {
    match owed {
        Some(owed) => owed.locked().await.unwrap(),
        None => received(stack).await,
    }
}

/// Has a gate configured that is paid on this rail, and its payer able to; where it will listen.
async fn take(rail: &str, folder: &Path, stack: &Stack, upstream: &str) -> (String, Option<Owed>) {
    match rail {
        "permit" => (configure_permits(folder, stack, upstream, "settled"), None),
        "credit" => {
            let owed = Owed::after_a_deposit(stack).await;
            (configure_credit(folder, stack, upstream), Some(owed))
        }
        _ => (configure(folder, stack, upstream, "before"), None),
    }
}

async fn killed_at(point: Point, finish: Finish, rail: &str) {
    let case = format!("{}, {finish:?}, {rail}", point.name());
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    let folder = folder.path();
    // Slow enough that the client can end while the gate works.
    let (upstream, runs) = seller(Duration::from_secs(1)).await;
    let is_permit = rail == "permit";
    let (url, owed) = take(rail, folder, &stack, &upstream).await;
    let before = charged(&stack, owed.as_ref()).await;
    let mut gate = start("gate", folder, &url, None).await;
    let joke = format!("{url}/joke");

    let curl = ["curl", &joke, "--prefer", rail];
    let first = faregate(folder, &curl, Some(point)).await;
    assert!(!first.status.success(), "{case}");
    let heard = if point == Point::Recorded {
        "a joke"
    } else {
        ""
    };
    assert_eq!(String::from_utf8_lossy(&first.stdout), heard, "{case}");
    let open = left_behind(point, folder, &case).await;
    // After the last place the caller has what was bought.
    if point != Point::Recorded {
        let arguments = match (finish, open.first()) {
            (Finish::Resume, Some(id)) => ["wallet", "pending", "--resume", id].to_vec(),
            _ => curl.to_vec(),
        };
        told(folder, &arguments, &case).await;
    }
    gate.kill().await.unwrap();
    assert_eq!(pending(folder).await, [""; 0], "{case}");
    let ended = spends(folder).await;
    assert_eq!(ended.len(), 1, "{case}");
    assert_eq!(ended[0].1, SpendState::Paid, "{case}");
    let charged = charged(&stack, owed.as_ref()).await - before;
    assert_eq!(charged, U256::from(1_000), "{case}");
    // A token opens the route as often as it is shown, so it is shown again to fetch an answer that was lost.
    let runs = runs.load(Ordering::SeqCst);
    assert!(runs == 1 || (is_permit && runs == 2), "{case}: {runs}");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_by_the_same_command() {
    for point in CLIENT {
        killed_at(point, Finish::SameCommand, "x402").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_by_wallet_pending() {
    for point in CLIENT {
        killed_at(point, Finish::Resume, "x402").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_finished_by_the_same_command() {
    for point in CLIENT {
        killed_at(point, Finish::SameCommand, "permit").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permit_finished_by_wallet_pending() {
    for point in CLIENT {
        killed_at(point, Finish::Resume, "permit").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_debt_finished_by_the_same_command() {
    for point in CLIENT {
        killed_at(point, Finish::SameCommand, "credit").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_debt_finished_by_wallet_pending() {
    for point in CLIENT {
        killed_at(point, Finish::Resume, "credit").await;
    }
}
