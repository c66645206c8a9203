//! Managed mode: received for owners, paid out to them, whatever happens in between.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "these are tests"
)]

mod books;
mod calls;
mod config;
mod cut;
mod kit;
mod payouts;
