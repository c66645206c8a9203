//! The credit client against a fake service and a fake node: what it asks for, what it believes, what it does when there is
//! no answer.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

#[path = "../common/mod.rs"]
mod common;

mod believe;
mod calls;
mod chain;
mod debts;
mod guarantees;
mod hostile;
mod issuer;
mod paid;
mod session;
mod vectors;
mod world;
