//! The names of rusqlite 0.31 that `ldk-node` uses, on the rusqlite that our ledger uses.

pub use newer::*;

/// An enum in 0.31; names of databases are plain text since.
#[allow(non_snake_case, reason = "the older name")]
pub mod DatabaseName {
    /// The database itself.
    #[allow(non_upper_case_globals, reason = "the older name")]
    pub const Main: &str = "main";
}
