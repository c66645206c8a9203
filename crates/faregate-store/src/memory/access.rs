//! Who may call the credit service: used nonces, sessions, keys of administrators.

use std::collections::BTreeMap;

use faregate_core::port::access::{
    ADMIN_KEYS_MAX, AccessLimits, AccessStore, AdminKey, AdminKeyId, Rotated, Rotation, SecretHash,
    SignIn,
};
use faregate_ledger::StoreError;
use faregate_types::{Address, Timestamp};
use futures_util::future::BoxFuture;

use super::ledger::MemoryLedger;
use super::limits::PAGE_ROWS;

/// All of it. Small, so what makes room is looked for among all.
#[derive(Debug, Default)]
pub(super) struct Access {
    nonces: BTreeMap<SecretHash, Timestamp>,
    sessions: BTreeMap<SecretHash, Session>,
    /// The oldest first, with whether it comes from the configuration.
    keys: Vec<(AdminKey, bool)>,
    /// How many sessions there ever were.
    begun: u64,
}

#[derive(Debug)]
struct Session {
    token: SecretHash,
    address: Address,
    /// When it was used, and how many there were before it.
    used: (Timestamp, u64),
    expires_at: Timestamp,
}

impl Access {
    fn begin(&mut self, sign_in: &SignIn, limits: AccessLimits) -> Result<bool, StoreError> {
        self.nonces.retain(|_, until| *until > sign_in.at);
        if is_full(self.nonces.len(), limits.nonces) {
            return Err(StoreError::Unavailable);
        }
        if self.nonces.contains_key(&sign_in.nonce) {
            return Ok(false);
        }
        self.nonces.insert(sign_in.nonce, sign_in.nonce_until);
        let own = |session: &Session| session.address == sign_in.address;
        self.make_room(limits.sessions_per_address, own);
        self.make_room(limits.sessions, |_| true);
        let session = Session {
            token: sign_in.token,
            address: sign_in.address,
            used: (sign_in.at, self.begun),
            expires_at: sign_in.expires_at,
        };
        self.begun = self.begun.saturating_add(1);
        self.sessions.insert(sign_in.family, session);
        Ok(true)
    }

    /// For one more of these, of which there are at most so many.
    fn make_room(&mut self, most: u32, of: impl Fn(&Session) -> bool) {
        loop {
            let these = self.sessions.iter().filter(|(_, session)| of(session));
            if !is_full(these.clone().count(), most) {
                return;
            }
            let oldest = these.min_by_key(|(_, session)| session.used);
            let Some(family) = oldest.map(|(family, _)| *family) else {
                return;
            };
            self.sessions.remove(&family);
        }
    }

    fn rotate(&mut self, rotation: &Rotation) -> Rotated {
        let Some(session) = self.sessions.get_mut(&rotation.family) else {
            return Rotated::Unknown;
        };
        let rotated = Rotated::of(rotation, session.address, session.token, session.expires_at);
        if matches!(rotated, Rotated::Now { .. }) {
            session.token = rotation.next;
            session.used.0 = rotation.at;
            session.expires_at = rotation.expires_at;
        } else {
            self.sessions.remove(&rotation.family);
        }
        rotated
    }

    fn purge(&mut self, now: Timestamp, limit: u32) -> u32 {
        let limit = usize::try_from(limit.min(PAGE_ROWS)).unwrap_or(usize::MAX);
        let over = self.nonces.iter().filter(|(_, until)| **until <= now);
        let nonces: Vec<_> = over.map(|(nonce, _)| *nonce).take(limit).collect();
        let over = self.sessions.iter();
        let over = over.filter(|(_, session)| session.expires_at <= now);
        let sessions: Vec<_> = over.map(|(family, _)| *family).take(limit).collect();
        for nonce in &nonces {
            self.nonces.remove(nonce);
        }
        for family in &sessions {
            self.sessions.remove(family);
        }
        u32::try_from(nonces.len().saturating_add(sessions.len())).unwrap_or(u32::MAX)
    }

    fn add(&mut self, key: AdminKey, bootstrap: bool) -> bool {
        if is_full(self.keys.len(), ADMIN_KEYS_MAX) {
            let keys = self.keys.iter().enumerate();
            let revoked = keys.filter_map(|(index, (key, _))| Some((key.revoked_at?, index)));
            let Some((_, first)) = revoked.min() else {
                return false;
            };
            self.keys.remove(first);
        }
        self.keys.push((key, bootstrap));
        true
    }

    fn set_bootstrap(&mut self, key: Option<AdminKey>, at: Timestamp) -> Result<(), StoreError> {
        let id = key.as_ref().map(|key| key.id);
        for (other, bootstrap) in &mut self.keys {
            if *bootstrap && Some(other.id) != id {
                other.revoked_at.get_or_insert(at);
            }
        }
        let Some(key) = key else { return Ok(()) };
        if let Some(there) = self.key_mut(key.id) {
            there.revoked_at = None;
            return Ok(());
        }
        if self.add(key, true) {
            Ok(())
        } else {
            Err(StoreError::Unavailable)
        }
    }

    fn key_mut(&mut self, id: AdminKeyId) -> Option<&mut AdminKey> {
        let mut keys = self.keys.iter_mut().map(|(key, _)| key);
        keys.find(|key| key.id == id)
    }
}

fn is_full(count: usize, most: u32) -> bool {
    u32::try_from(count).unwrap_or(u32::MAX) >= most
}

impl AccessStore for MemoryLedger {
    fn sign_in(
        &self,
        sign_in: SignIn,
        limits: AccessLimits,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { self.access()?.begin(&sign_in, limits) })
    }

    fn rotate(&self, rotation: Rotation) -> BoxFuture<'_, Result<Rotated, StoreError>> {
        Box::pin(async move { Ok(self.access()?.rotate(&rotation)) })
    }

    fn sign_out(&self, family: SecretHash) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.access()?.sessions.remove(&family).is_some()) })
    }

    fn purge_access(&self, now: Timestamp, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(async move { Ok(self.access()?.purge(now, limit)) })
    }

    fn add_admin_key(&self, key: AdminKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { Ok(self.access()?.add(key, false)) })
    }

    fn set_bootstrap_key(
        &self,
        key: Option<AdminKey>,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { self.access()?.set_bootstrap(key, at) })
    }

    fn admin_keys(&self) -> BoxFuture<'_, Result<Vec<AdminKey>, StoreError>> {
        Box::pin(async move {
            let access = self.access()?;
            let newest_first = access.keys.iter().rev();
            Ok(newest_first.map(|(key, _)| key.clone()).collect())
        })
    }

    fn admin_key(&self, id: AdminKeyId) -> BoxFuture<'_, Result<Option<AdminKey>, StoreError>> {
        Box::pin(async move { Ok(self.access()?.key_mut(id).cloned()) })
    }

    fn revoke_admin_key(
        &self,
        id: AdminKeyId,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<AdminKey>, StoreError>> {
        Box::pin(async move {
            let mut access = self.access()?;
            Ok(access.key_mut(id).map(|key| {
                key.revoked_at.get_or_insert(at);
                key.clone()
            }))
        })
    }
}
