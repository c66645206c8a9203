//! Several processes over the same books, and what one of them should do for all.

use std::fmt;

use futures_util::future::BoxFuture;

/// Whose turn it is to do something that does no harm when two do it, and costs twice.
///
/// It is not a lock: who had the turn and was held up may find another process at work, so what is done in a turn has to be safe
/// to do twice.
pub trait Turn: fmt::Debug + Send + Sync + 'static {
    /// Whether it is this process's turn. It takes the turn when nobody has it, and keeps it for some seconds more when it has
    /// it already: ask again before anything is done. `false` also when nobody can say.
    fn is_ours(&self) -> BoxFuture<'_, bool>;

    /// Lets another process take it at once.
    fn leave(&self) -> BoxFuture<'_, ()>;
}

/// Always ours: the books are this process's alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "there is nothing in it")]
pub struct Alone;

impl Turn for Alone {
    fn is_ours(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { true })
    }

    fn leave(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}
