//! Gate, facilitator, sender and chain in one simulated world: delays, losses, duplicates, breakdowns at any effect and
//! reorganisations, all decided by one seed. The same seed gives the same run, event by event.
//!
//! | what is real | what is a model |
//! |---|---|
//! | `faregate-core`: till, settler, recovery | the chain and its node ([`chain`], [`node`]) |
//! | `faregate-evm`: the embedded facilitator with its lanes | the network ([`world`]) and the disks ([`ledger`]) |
//! | `faregate-remote`: the client of a facilitator elsewhere | payers ([`payer`]) and the service ([`shop`]) |
//!
//! Time is tokio's paused clock: it jumps to the next timer when nobody can go on. One thread, one source of chance
//! ([`chance`]). What must be true is said where it can be seen: at once in [`shop`], at the end in `judge`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::integer_division,
    reason = "a test program: what cannot happen may end it"
)]

pub mod bugs;
pub mod chain;
pub mod chance;
pub mod desk;
pub mod gate;
pub mod host;
mod judge;
pub mod ledger;
pub mod node;
pub mod payer;
pub mod plan;
pub mod process;
mod run;
pub mod sender;
pub mod shop;
pub mod world;

pub use bugs::Bug;
pub use judge::Tally;
pub use run::{PAYEE, PRICE, Report, run, run_with};
