//! The ledger and the wallet on SQLite: nothing to set up, durable before every answer.
//!
//! [`sqlite::SqliteLedger`] keeps the books of a seller or an operator, [`sqlite::SqliteWallet`] those of a payer. Both
//! run the test suite of `faregate-ledger` and call its rules; here is only what makes them atomic and durable.
//!
//! Not for several machines: SQLite needs a local disk. Several processes on one machine may share a file.

#![warn(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::string_slice
)]

pub mod sqlite;
