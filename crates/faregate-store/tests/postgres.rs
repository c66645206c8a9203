//! The ledger on PostgreSQL. The tests need a server: `conformance/run postgres` starts one, or `FAREGATE_TEST_POSTGRES` names one.
#![cfg(feature = "postgres")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::integer_division,
    reason = "these are tests"
)]

#[path = "postgres/away.rs"]
mod away;
mod common;
#[path = "postgres/encrypted.rs"]
mod encrypted;
#[path = "postgres/kit.rs"]
mod kit;
#[path = "postgres/shared.rs"]
mod shared;

use faregate_store::postgres::PostgresLedger;
use kit::Place;

mod the_suite {
    faregate_ledger::ledger_store_suite!(super::made().await);
}

async fn made() -> Option<(PostgresLedger, Place)> {
    let place = Place::new().await?;
    Some((place.open().await, place))
}
