//! The credit service over real HTTP: who may call, what they hear, and what the SDKs rely on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "these are tests"
)]

mod access;
mod calls;
mod config;
mod keys;
mod kit;
mod routes;
mod signing_in;
