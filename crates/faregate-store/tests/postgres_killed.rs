//! The database killed and started again while two instances claim and settle: no payment has two winners, none is lost, the
//! books add up. A program of its own, because nothing else can use the server meanwhile. `conformance/run postgres` names the
//! commands that kill and start it.
#![cfg(feature = "postgres")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::integer_division,
    reason = "these are tests"
)]

mod common;
#[path = "postgres/killed_credit.rs"]
mod credit;
#[path = "postgres/kit.rs"]
mod kit;
#[path = "credit/made_up.rs"]
mod made_up;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{at, claim, id};
use faregate_ledger::{Claimed, LedgerStore as _, PaymentState, Step, StoreError};
use faregate_store::postgres::PostgresLedger;
use faregate_types::Fingerprint;
use futures_util::future::BoxFuture;

const PAYMENTS: u64 = 600;
const KILLS: u64 = 3;
const TASKS: u64 = 8;

/// One test at a time kills it.
static SERVER: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Asks until there is an answer.
async fn certain<'a, T>(ask: impl Fn() -> BoxFuture<'a, Result<T, StoreError>>) -> T {
    for _ in 0..2_000 {
        match ask().await {
            Ok(answer) => return answer,
            Err(StoreError::Unavailable) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the store did not come back");
}

/// Tries to be the one who claims a payment, and settles it then. Whether it was.
async fn take(ledger: &PostgresLedger, number: u64, instance: u8) -> bool {
    let mut claim = claim(number);
    claim.fingerprint = Fingerprint::of(&[&[instance]]);
    let claimed = certain(|| ledger.claim(claim.clone())).await;
    match claimed {
        // The second: it was won when the answer was lost.
        Claimed::Won | Claimed::InFlight(_) | Claimed::Same(_) => {}
        Claimed::Conflict => return false,
        other => panic!("{other:?}"),
    }
    let settle = Step::Settle { transaction: None };
    certain(|| ledger.take_step(id(number), settle.clone(), at(9))).await;
    true
}

fn shell(variable: &str) -> Option<Vec<String>> {
    let words = std::env::var(variable).ok()?;
    Some(words.split(' ').map(str::to_owned).collect())
}

async fn run(words: &[String]) {
    let (program, words) = words.split_first().unwrap();
    let status = tokio::process::Command::new(program).args(words).status();
    assert!(status.await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
async fn killed_in_the_middle_of_everything() {
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
    let ledgers = [Arc::new(place.open().await), Arc::new(place.open().await)];
    let done = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let instance = u8::from(task % 2 == 0);
            let (ledger, done) = (
                Arc::clone(&ledgers[usize::from(instance)]),
                Arc::clone(&done),
            );
            tokio::spawn(async move {
                let mut taken = Vec::new();
                // Each payment is wanted by a task of each instance, at about the same time.
                for number in (task / 2..PAYMENTS).step_by(4) {
                    if take(&ledger, number, instance).await {
                        taken.push(number);
                    }
                    done.fetch_add(1, Ordering::AcqRel);
                }
                taken
            })
        })
        .collect();
    for kills in 1..=KILLS {
        // Somewhere in the middle, not before anything happened.
        while done.load(Ordering::Acquire) < 2 * PAYMENTS * kills / (KILLS + 2) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        run(&kill).await;
        run(&start).await;
    }
    assert!(
        done.load(Ordering::Acquire) < 2 * PAYMENTS,
        "killed when all was done"
    );
    let mut taken = Vec::new();
    for task in tasks {
        taken.extend(task.await.unwrap());
    }
    taken.sort_unstable();
    assert_eq!(
        taken,
        (0..PAYMENTS).collect::<Vec<_>>(),
        "each has one winner"
    );
    for number in 0..PAYMENTS {
        let payment = certain(|| ledgers[0].payment(id(number))).await;
        assert_eq!(payment.unwrap().state, PaymentState::Settled);
    }
    let audit = certain(|| Box::pin(ledgers[0].audit())).await;
    assert_eq!((audit.rows, audit.faults), (PAYMENTS, vec![]));
}
