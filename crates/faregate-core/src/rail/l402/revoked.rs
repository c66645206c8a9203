//! Tokens that open nothing any more because the seller says so.
//!
//! The list is in the ledger; all of it is held here as well, because every request with a token asks. One process has a
//! ledger at a time, so what it wrote is what there is.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use faregate_ledger::{Revocation, RevocationStore, RevokedName};
use faregate_types::l402::Identifier;
use faregate_types::{Code, Timestamp};

use crate::books;
use crate::port::Away;

/// Longest list: 32 bytes each, and as many on the disk. Whoever needs more takes a new master key.
pub const REVOCATIONS_MAX: usize = 1_000_000;

/// What was revoked. Share one between the rail and whoever revokes.
pub struct Revocations {
    store: Arc<dyn RevocationStore>,
    /// False as long as there is nothing to look for.
    any: AtomicBool,
    names: RwLock<BTreeSet<RevokedName>>,
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").finish_non_exhaustive()
    }
}

impl Revocations {
    /// Reads the list.
    ///
    /// # Errors
    /// [`Away`] when it cannot be read. Without it nothing may be sold.
    pub async fn load(store: Arc<dyn RevocationStore>) -> Result<Self, Away> {
        let list = store.revocations().await.map_err(books::away)?;
        let names: BTreeSet<_> = list.into_iter().map(|entry| entry.name).collect();
        Ok(Self {
            store,
            any: AtomicBool::new(!names.is_empty()),
            names: RwLock::new(names),
        })
    }

    /// Revokes a token by its id, or all of a payment by its hash. Requests that begin after this returned are refused, also
    /// after a restart. `false`: it was revoked before.
    ///
    /// # Errors
    /// [`Away`] when the ledger did not take it: then nothing is revoked, or it is from the next start on. [`Code::Overloaded`]
    /// when the list has [`REVOCATIONS_MAX`] entries.
    pub async fn revoke(&self, name: RevokedName, at: Timestamp) -> Result<bool, Away> {
        if self.count() >= REVOCATIONS_MAX {
            return Err(Away {
                code: Code::Overloaded,
            });
        }
        let revocation = Revocation { name, at };
        let new = self.store.revoke(revocation).await.map_err(books::away)?;
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        names.insert(name);
        self.any.store(true, Ordering::Release);
        Ok(new)
    }

    /// The list as the ledger has it, oldest first.
    ///
    /// # Errors
    /// [`Away`] when it cannot be read.
    pub async fn list(&self) -> Result<Vec<Revocation>, Away> {
        self.store.revocations().await.map_err(books::away)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.len()
    }

    /// Whether this name is on the list.
    #[must_use]
    pub fn has_name(&self, name: RevokedName) -> bool {
        self.any.load(Ordering::Acquire) && {
            let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
            names.contains(&name)
        }
    }

    /// Whether a token was revoked, by its id or with its payment.
    #[must_use]
    pub fn has(&self, token: &Identifier) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        [*token.payment_hash.as_bytes(), token.token_id]
            .into_iter()
            .any(|name| names.contains(&RevokedName::from_bytes(name)))
    }
}
