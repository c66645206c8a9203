//! The suite of held certificates, for every engine.
#![allow(clippy::unwrap_used, reason = "these are tests")]

#[cfg(feature = "postgres")]
#[path = "postgres/kit.rs"]
mod kit;

use faregate_store::memory::MemoryLedger;
use faregate_store::sqlite::SqliteLedger;
use tempfile::TempDir;

mod held_in_maps {
    use super::MemoryLedger;

    faregate_core::certificate_store_suite!((MemoryLedger::new(), ()));
}

mod held_in_memory {
    use super::SqliteLedger;

    faregate_core::certificate_store_suite!((SqliteLedger::in_memory().unwrap(), ()));
}

mod held_on_a_file {
    faregate_core::certificate_store_suite!(super::on_a_file());
}

fn on_a_file() -> (SqliteLedger, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = SqliteLedger::open(folder.path().join("ledger.db")).unwrap();
    (ledger, folder)
}

#[cfg(feature = "postgres")]
mod held_in_postgres {
    faregate_core::certificate_store_suite!(super::in_postgres().await);
}

#[cfg(feature = "postgres")]
async fn in_postgres() -> Option<(faregate_store::postgres::PostgresLedger, kit::Place)> {
    let place = kit::Place::new().await?;
    Some((place.open().await, place))
}
