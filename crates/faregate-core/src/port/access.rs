//! What has to be remembered about who may call the credit service: which sign-in nonces are used, who is signed in, and
//! which keys its administrators have. Only hashes of secrets: whoever steals the books cannot sign in with them.
//!
//! A nonce is kept from when it was used until its time is over, not before: it carries its own proof that it was given out, so
//! that strangers who ask for nonces leave nothing behind.

use std::fmt;

use alloy_primitives::{Address, B256};
use faregate_ledger::StoreError;
use faregate_types::{Signature65, Timestamp};
use futures_util::future::BoxFuture;

use super::Away;

/// SHA-256 of a secret, or of a name that only those who have the secret know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// The hash with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

/// How much is kept. What is above makes room, but for used nonces, of which none is forgotten before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that callers build by literal"
)]
pub struct AccessLimits {
    /// Sessions of one address; the one that was used the longest ago makes room.
    pub sessions_per_address: u32,
    /// Sessions altogether; the one that was used the longest ago makes room.
    pub sessions: u32,
    /// Used nonces whose time is not over; nobody can sign in while there are as many.
    pub nonces: u32,
}

impl Default for AccessLimits {
    fn default() -> Self {
        Self {
            sessions_per_address: 32,
            sessions: 100_000,
            nonces: 100_000,
        }
    }
}

/// Keys of administrators, revoked ones included; the one that was revoked first makes room.
pub const ADMIN_KEYS_MAX: u32 = 1_000;

/// Somebody has shown that an address is theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that callers build by literal"
)]
pub struct SignIn {
    /// The nonce of the message.
    pub nonce: SecretHash,
    /// From when on the nonce would be refused anyway.
    pub nonce_until: Timestamp,
    /// What all refresh tokens of the session have in common.
    pub family: SecretHash,
    /// The first refresh token.
    pub token: SecretHash,
    /// Whose session it is.
    pub address: Address,
    /// Now.
    pub at: Timestamp,
    /// Until when the refresh token is good.
    pub expires_at: Timestamp,
}

/// One refresh token for the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that callers build by literal"
)]
pub struct Rotation {
    /// What all refresh tokens of the session have in common.
    pub family: SecretHash,
    /// The token that was shown.
    pub shown: SecretHash,
    /// The token that takes its place.
    pub next: SecretHash,
    /// Now.
    pub at: Timestamp,
    /// Until when the next one is good.
    pub expires_at: Timestamp,
}

/// What became of a refresh token that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "whoever asks has to know each")]
pub enum Rotated {
    /// It is used up, and the next one is good.
    Now {
        /// Whose session it is.
        address: Address,
    },
    /// There is no such session: never was, signed out, made room, or revoked.
    Unknown,
    /// Its time is over; so is the session.
    Expired,
    /// It was used up before: two have it, and nobody can say who stole it. The session is over for both.
    Reused,
}

impl Rotated {
    /// What becomes of the session that has `current`, good until `expires_at`, when this is asked. In every engine.
    #[must_use]
    pub fn of(
        rotation: &Rotation,
        address: Address,
        current: SecretHash,
        expires_at: Timestamp,
    ) -> Self {
        if expires_at <= rotation.at {
            Self::Expired
        } else if current == rotation.shown {
            Self::Now { address }
        } else {
            Self::Reused
        }
    }
}

/// What an administrator's key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums, reason = "whoever asks has to know each")]
pub enum AdminScope {
    /// Make, list and revoke keys.
    ManageKeys,
    /// Suspend users.
    SuspendUsers,
}

impl AdminScope {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 2] = [Self::ManageKeys, Self::SuspendUsers];

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ManageKeys => "admin_api_keys:manage",
            Self::SuspendUsers => "user_suspension:write",
        }
    }

    /// The scope of this name, in any case of letters.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.trim();
        let mut all = Self::ALL.into_iter();
        all.find(|scope| scope.as_str().eq_ignore_ascii_case(name))
    }

    const fn bit(self) -> u8 {
        match self {
            Self::ManageKeys => 1,
            Self::SuspendUsers => 2,
        }
    }
}

/// Some scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdminScopes(u8);

impl AdminScopes {
    /// Every scope there is.
    pub const ALL: Self = Self(3);

    /// True when this is one of them.
    #[must_use]
    pub const fn has(self, scope: AdminScope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// True when there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their names, sorted.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let mine = move |scope: &AdminScope| self.has(*scope);
        AdminScope::ALL
            .into_iter()
            .filter(mine)
            .map(AdminScope::as_str)
    }

    /// As a number, for engines.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// What [`bits`](Self::bits) gave; `None` for a number it never gives.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits & !Self::ALL.0 == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }
}

impl FromIterator<AdminScope> for AdminScopes {
    fn from_iter<I: IntoIterator<Item = AdminScope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

/// The name of a key: the 16 bytes of a UUID.
pub type AdminKeyId = [u8; 16];

/// An administrator's key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by every engine")]
pub struct AdminKey {
    /// Its name for programs.
    pub id: AdminKeyId,
    /// Its name for people.
    pub name: Box<str>,
    /// What it may do.
    pub scopes: AdminScopes,
    /// The hash of its secret.
    pub secret: SecretHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it is good for nothing.
    pub revoked_at: Option<Timestamp>,
}

/// Where it is remembered. Every method is one transaction that is on the disk when it returns; every method may be repeated.
pub trait AccessStore: Send + Sync + 'static {
    /// Uses a nonce and begins a session, both or neither. `false`: the nonce was used before, and nothing has changed. Of all
    /// who show one nonce at once exactly one hears `true`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] also when there are [`AccessLimits::nonces`].
    fn sign_in(
        &self,
        sign_in: SignIn,
        limits: AccessLimits,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Uses a refresh token up for the next. Of all who show one at once exactly one gets the next, and the others end the
    /// session.
    fn rotate(&self, rotation: Rotation) -> BoxFuture<'_, Result<Rotated, StoreError>>;

    /// Ends a session. `false`: there is none.
    fn sign_out(&self, family: SecretHash) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Forgets nonces and sessions whose time is over at `now`, at most `limit` of each; how many.
    fn purge_access(&self, now: Timestamp, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>>;

    /// Keeps a new key. `false`: there are [`ADMIN_KEYS_MAX`] that are not revoked.
    fn add_admin_key(&self, key: AdminKey) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// From now on this is the key that the operator's configuration stands for, revoked before or not; every other one that
    /// ever was is revoked.
    fn set_bootstrap_key(
        &self,
        key: Option<AdminKey>,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// All keys, the newest first.
    fn admin_keys(&self) -> BoxFuture<'_, Result<Vec<AdminKey>, StoreError>>;

    /// The key of this name.
    fn admin_key(&self, id: AdminKeyId) -> BoxFuture<'_, Result<Option<AdminKey>, StoreError>>;

    /// Revokes a key, unless that happened before; the key as it is then.
    fn revoke_admin_key(
        &self,
        id: AdminKeyId,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<AdminKey>, StoreError>>;
}

/// Who made a signature over a digest, if anybody: `faregate_evm::recover`.
pub type Recover = fn(B256, &Signature65) -> Option<Address>;

/// Asks wallets that are contracts (ERC-1271).
pub trait ContractWallets: Send + Sync + 'static {
    /// Whether the contract at `wallet` says that this is its signature over `digest`. An address without code never signed.
    ///
    /// # Errors
    /// [`Away`] when nobody could say.
    fn signed<'a>(
        &'a self,
        wallet: Address,
        digest: B256,
        signature: &'a [u8],
    ) -> BoxFuture<'a, Result<bool, Away>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_have_their_names_and_their_places_in_a_set() {
        for scope in AdminScope::ALL {
            assert_eq!(AdminScope::from_name(scope.as_str()), Some(scope));
            let shouted = format!(" {} ", scope.as_str().to_uppercase());
            assert_eq!(AdminScope::from_name(&shouted), Some(scope));
            let only: AdminScopes = [scope].into_iter().collect();
            assert_eq!(AdminScopes::from_bits(only.bits()), Some(only));
            for other in AdminScope::ALL {
                assert_eq!(only.has(other), scope == other);
            }
        }
        let names: Vec<_> = AdminScopes::ALL.names().collect();
        assert_eq!(names, ["admin_api_keys:manage", "user_suspension:write"]);
        assert_eq!(AdminScope::from_name("admin"), None);
        assert_eq!(AdminScopes::from_bits(4), None);
    }

    #[test]
    fn a_hash_is_not_shown() {
        let shown = format!("{:?}", SecretHash::from_bytes([0xab; 32]));
        assert!(!shown.contains("ab") && !shown.contains("171"));
    }
}
