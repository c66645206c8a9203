//! Where several gates note which uses of a payment are taken, each beside its own ledger.

use faregate_types::l402::replay::UseName;
use futures_util::future::BoxFuture;

use super::Away;

/// A store of used tokens that several gates share, and l402kit's servers with them.
pub trait ReplayStore: Send + Sync + 'static {
    /// Notes that a use is taken by this gate, for `secs` at least, unless somebody noted it before. Of all who ask at the
    /// same time exactly one is the first.
    ///
    /// # Errors
    /// [`Away`] when the store did not say: it may be noted all the same.
    fn take(&self, of: UseName, secs: u64) -> BoxFuture<'_, Result<Noted, Away>>;

    /// Takes this gate's note back, because the use bought nothing. A note of somebody else stays.
    ///
    /// # Errors
    /// [`Away`] when the store did not say.
    fn give_back(&self, of: UseName) -> BoxFuture<'_, Result<(), Away>>;
}

/// Who noted a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "whoever asks has to know each")]
pub enum Noted {
    /// This gate, now.
    Now,
    /// This gate, before: what came of it stands in its ledger.
    Before,
    /// Somebody else.
    Elsewhere,
}
