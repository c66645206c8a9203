//! The facilitator service: hostile bodies, copies of one settlement, parts that are away, and real payments on a chain.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests may"
)]

mod bodies;
mod callers;
mod chain;
mod copies;
mod credit;
mod health;
mod kit;
mod payment;
mod recovery;
