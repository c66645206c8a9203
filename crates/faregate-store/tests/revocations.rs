//! What is revoked, in all engines: once, in order, for good.
#![allow(clippy::unwrap_used, reason = "these are tests")]

#[cfg(feature = "postgres")]
#[path = "postgres/kit.rs"]
mod kit;

use std::sync::Arc;

use faregate_ledger::{Revocation, RevocationStore, RevokedName};
use faregate_store::memory::MemoryLedger;
use faregate_store::sqlite::SqliteLedger;
use faregate_types::Timestamp;

fn entry(name: u8, at: u64) -> Revocation {
    Revocation {
        name: RevokedName::from_bytes([name; 32]),
        at: Timestamp::from_secs(at),
    }
}

async fn is_a_list(store: Arc<dyn RevocationStore>) {
    assert_eq!(store.revocations().await, Ok(vec![]));
    assert_eq!(store.revoke(entry(9, 100)).await, Ok(true));
    assert_eq!(store.revoke(entry(1, 101)).await, Ok(true));
    assert_eq!(store.revoke(entry(9, 102)).await, Ok(false));
    assert_eq!(
        store.revocations().await,
        Ok(vec![entry(9, 100), entry(1, 101)])
    );
    let crowd = (0..64_u64).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.revoke(entry(7, n)).await.unwrap() })
    });
    let mut new = 0;
    for told in crowd.collect::<Vec<_>>() {
        new += u32::from(told.await.unwrap());
    }
    assert_eq!(new, 1);
    assert_eq!(store.revocations().await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_on_the_list_once() {
    is_a_list(Arc::new(MemoryLedger::new())).await;
    is_a_list(Arc::new(SqliteLedger::in_memory().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_outlives_the_process_and_cannot_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    is_a_list(Arc::new(SqliteLedger::open(&path).unwrap())).await;
    let again = SqliteLedger::open(&path).unwrap();
    assert_eq!(again.revocations().await.unwrap().len(), 3);
    drop(again);
    let file = rusqlite::Connection::open(&path).unwrap();
    assert!(file.execute("DELETE FROM revocation", []).is_err());
    assert!(
        file.execute("UPDATE revocation SET revoked_at = 0", [])
            .is_err()
    );
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn the_list_in_postgres_outlives_the_process() {
    let Some(place) = kit::Place::new().await else {
        return;
    };
    is_a_list(Arc::new(place.open().await)).await;
    let again = place.open().await;
    assert_eq!(again.revocations().await.unwrap().len(), 3);
}
