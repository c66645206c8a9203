//! The version of what a store is kept in.

/// What a schema is and could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaVersion {
    /// The version that was found; 0 when there is nothing yet.
    pub found: i64,
    /// The newest version this program knows.
    pub newest: i64,
}

impl SchemaVersion {
    /// True when there is nothing to do.
    #[must_use]
    pub const fn is_current(&self) -> bool {
        self.found == self.newest
    }
}
