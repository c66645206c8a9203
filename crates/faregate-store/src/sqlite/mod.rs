//! SQLite: one file per ledger or wallet, one writer thread with group commit, a few reader threads.
//!
//! ```text
//! claim, advance, …  ──► queue ──► writer thread    BEGIN IMMEDIATE · job · job · job · COMMIT (one fsync) · answers
//! payment, totals, … ──► queue ──► reader threads   one snapshot each
//! ```
//!
//! | idea | where |
//! |---|---|
//! | a file, its pragmas, its mode | `connection` |
//! | what is in it, and which version | `schema`, `migrations/` |
//! | many jobs, one commit; jobs nobody waits for | `writer`, `queue` |
//! | reads beside the writer | `reader` |
//! | both, and what becomes of SQLite's errors | `engine`, `fault` |
//! | payments · transfers and balances · kept answers | `payments`, `books`, `answers` |
//! | spends · what repays debts | `spends`, `repayments` |
//! | who may call the credit service | `access` |
//! | tabs, guarantees, collateral | `credit` |
//! | certificates that a seller holds | `held` |
//! | what was signed at a place before | `terms` |
//! | rows to domain types and back | `codec` |
//! | do the books add up? | `audit` |
//!
//! No SQLite call runs on the caller's thread, except while opening.

mod access;
mod answers;
mod audit;
mod books;
mod codec;
mod connection;
mod credit;
mod engine;
mod events;
mod fault;
#[cfg(fuzzing)]
pub mod fuzzing;
mod held;
mod ledger;
mod limits;
mod payments;
mod queue;
mod reader;
mod repayments;
mod revocations;
mod schema;
mod spends;
mod terms;
mod tokens;
mod wallet;
mod writer;

pub use connection::{OpenError, SqliteError};
pub use credit::SqliteCredit;
pub use ledger::SqliteLedger;
pub use wallet::SqliteWallet;
