//! The ledger and the wallet, on SQLite, PostgreSQL or in memory.
//!
//! | | books of a seller or an operator | books of a payer | |
//! |---|---|---|---|
//! | [`sqlite`] | [`SqliteLedger`](sqlite::SqliteLedger) | [`SqliteWallet`](sqlite::SqliteWallet) | nothing to set up, durable before every answer |
//! | `postgres` (a feature) | `PostgresLedger` | | for several processes and machines, durable before every answer |
//! | [`memory`] | [`MemoryLedger`](memory::MemoryLedger) | [`MemoryWallet`](memory::MemoryWallet) | gone with the process, bounded, for tests and those who choose it |
//!
//! All run the test suite of `faregate-ledger` and call its rules; here is only what makes them atomic, durable and fast. A
//! test does the same to all engines, in any order, and compares every answer.
//!
//! SQLite is not for several machines: it needs a local disk. Several processes on one machine may share a file.

#![warn(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::string_slice
)]

pub mod audit;
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod sqlite;
mod version;
mod words;

pub use version::SchemaVersion;
