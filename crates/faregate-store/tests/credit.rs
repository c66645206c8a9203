//! The suite of credit books, for every engine.
#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "credit/in_turns.rs"]
mod in_turns;

use std::sync::Arc;
use std::thread;

use faregate_store::memory::MemoryCredit;
use faregate_store::sqlite::{SqliteCredit, SqliteLedger};
use faregate_types::ChainId;
use in_turns::InTurns;
use tempfile::TempDir;

const CHAIN: ChainId = ChainId::evm(31_337);

mod credit_of_maps {
    use super::{CHAIN, MemoryCredit};

    faregate_core::credit_store_suite!((MemoryCredit::new(CHAIN), ()));
}

mod credit_in_memory {
    faregate_core::credit_store_suite!(super::in_memory().await);
}

mod credit_on_a_file {
    faregate_core::credit_store_suite!(super::on_a_file().await);
}

/// With every other call on another connection.
mod credit_of_two_openers {
    faregate_core::credit_store_suite!(super::of_two_openers().await);
}

/// Whatever a case did, the books add up after it.
struct Audited {
    ledger: Arc<SqliteLedger>,
    _folder: Option<TempDir>,
}

impl Drop for Audited {
    fn drop(&mut self) {
        let ledger = Arc::clone(&self.ledger);
        let audit = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.unwrap().block_on(ledger.audit())
        });
        let audit = audit.join().unwrap().unwrap();
        if !thread::panicking() {
            assert_eq!(audit.faults, []);
        }
    }
}

async fn in_memory() -> (SqliteCredit, Audited) {
    let ledger = Arc::new(SqliteLedger::in_memory().unwrap());
    let credit = ledger.credit(CHAIN).await.unwrap();
    let audited = Audited {
        ledger,
        _folder: None,
    };
    (credit, audited)
}

async fn on_a_file() -> (SqliteCredit, Audited) {
    let folder = tempfile::tempdir().unwrap();
    let ledger = Arc::new(SqliteLedger::open(folder.path().join("ledger.db")).unwrap());
    let credit = ledger.credit(CHAIN).await.unwrap();
    let audited = Audited {
        ledger,
        _folder: Some(folder),
    };
    (credit, audited)
}

async fn of_two_openers() -> (InTurns<SqliteCredit>, Audited) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.db");
    let [even, odd] = [0, 1].map(|_| SqliteLedger::open(&file).unwrap());
    let stores = [
        even.credit(CHAIN).await.unwrap(),
        odd.credit(CHAIN).await.unwrap(),
    ];
    let audited = Audited {
        ledger: Arc::new(even),
        _folder: Some(folder),
    };
    (InTurns::new(stores), audited)
}
