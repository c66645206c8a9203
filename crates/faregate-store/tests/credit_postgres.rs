//! The suite of credit books on PostgreSQL, and what several instances do to one another there. The tests need a server:
//! `conformance/run postgres` starts one, or `FAREGATE_TEST_POSTGRES` names one.
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
#[path = "credit/in_turns.rs"]
mod in_turns;
#[path = "postgres/kit.rs"]
mod kit;
#[path = "credit/made_up.rs"]
mod made_up;
#[path = "credit/measured.rs"]
mod measured;
#[path = "credit/shared.rs"]
mod shared;

use std::thread;

use faregate_store::postgres::PostgresCredit;
use in_turns::InTurns;
use kit::Place;
use made_up::CHAIN;

mod credit_of_one {
    faregate_core::credit_store_suite!(super::of_one().await);
}

/// With every other call to another instance.
mod credit_of_two {
    faregate_core::credit_store_suite!(super::of_two().await);
}

async fn of_one() -> Option<(PostgresCredit, Audited)> {
    let place = Place::new().await?;
    let ledger = place.open().await;
    let credit = ledger.credit(CHAIN).await.unwrap();
    Some((credit, Audited { place }))
}

async fn of_two() -> Option<(InTurns<PostgresCredit>, Audited)> {
    let place = Place::new().await?;
    let [even, odd] = [place.open().await, place.open().await];
    let stores = [
        even.credit(CHAIN).await.unwrap(),
        odd.credit(CHAIN).await.unwrap(),
    ];
    Some((InTurns::new(stores), Audited { place }))
}

/// Whatever a case did, the books add up after it.
struct Audited {
    place: Place,
}

impl Drop for Audited {
    fn drop(&mut self) {
        let audit = thread::scope(|threads| {
            let audit = threads.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = { runtime }.enable_all().build().unwrap();
                runtime.block_on(async { self.place.open().await.audit().await })
            });
            audit.join().unwrap().unwrap()
        });
        if !thread::panicking() {
            assert_eq!(audit.faults, []);
        }
    }
}
