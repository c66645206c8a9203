//! Tokens that open nothing any more, although they are signed, paid and not used up.

use faregate_types::Timestamp;
use futures_util::future::BoxFuture;

use crate::store::StoreError;

/// What is revoked: 32 bytes that name one payment (its hash) or one token of it (its id). Both are random, so one list has
/// both.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RevokedName([u8; 32]);

impl RevokedName {
    /// The name with these bytes.
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

impl std::fmt::Display for RevokedName {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for RevokedName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// One entry of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that callers build by literal"
)]
pub struct Revocation {
    /// What.
    pub name: RevokedName,
    /// Since when.
    pub at: Timestamp,
}

/// The list of what was revoked. Nothing is ever taken off it.
pub trait RevocationStore: Send + Sync + 'static {
    /// Puts a name on the list. It is there, also after a crash, when this returns. `false`: it was there already, and stays
    /// as it was.
    fn revoke(&self, revocation: Revocation) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// The whole list, in the order in which it was written.
    fn revocations(&self) -> BoxFuture<'_, Result<Vec<Revocation>, StoreError>>;
}
