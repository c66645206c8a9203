//! The list of revoked tokens.

use std::collections::BTreeSet;

use faregate_ledger::{Revocation, RevocationStore, RevokedName, StoreError};
use futures_util::future::BoxFuture;

use super::ledger::MemoryLedger;

/// The list, and the names on it.
#[derive(Debug, Default)]
pub(super) struct List {
    entries: Vec<Revocation>,
    names: BTreeSet<RevokedName>,
}

impl List {
    fn put(&mut self, revocation: Revocation) -> bool {
        let new = self.names.insert(revocation.name);
        if new {
            self.entries.push(revocation);
        }
        new
    }
}

impl RevocationStore for MemoryLedger {
    fn revoke(&self, revocation: Revocation) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.revocation_list()?.put(revocation)) })
    }

    fn revocations(&self) -> BoxFuture<'_, Result<Vec<Revocation>, StoreError>> {
        Box::pin(async move { Ok(self.revocation_list()?.entries.clone()) })
    }
}
