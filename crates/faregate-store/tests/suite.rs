//! The suite of the ledger crate, for both engines.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use faregate_store::memory::{MemoryLedger, MemoryWallet};
use faregate_store::sqlite::{SqliteLedger, SqliteWallet};
use tempfile::TempDir;

mod ledger_in_memory {
    use super::SqliteLedger;

    faregate_ledger::ledger_store_suite!((SqliteLedger::in_memory().unwrap(), ()));
}

mod ledger_of_maps {
    use super::MemoryLedger;

    faregate_ledger::ledger_store_suite!((MemoryLedger::new(), ()));
}

mod wallet_of_maps {
    use super::MemoryWallet;

    faregate_ledger::wallet_store_suite!((MemoryWallet::new(), ()));
}

mod ledger_on_a_file {
    faregate_ledger::ledger_store_suite!(super::ledger_on_a_file());
}

mod wallet_in_memory {
    use super::SqliteWallet;

    faregate_ledger::wallet_store_suite!((SqliteWallet::in_memory().unwrap(), ()));
}

mod wallet_on_a_file {
    faregate_ledger::wallet_store_suite!(super::wallet_on_a_file());
}

fn ledger_on_a_file() -> (SqliteLedger, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (
        SqliteLedger::open(folder.path().join("ledger.db")).unwrap(),
        folder,
    )
}

fn wallet_on_a_file() -> (SqliteWallet, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (
        SqliteWallet::open(folder.path().join("wallet.db")).unwrap(),
        folder,
    )
}
