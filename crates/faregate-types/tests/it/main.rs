//! Tests of the public face of the crate: tables of accepted and refused inputs, values the real SDKs produced, and
//! properties that hold for any input.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

mod codes;
mod credit;
mod credit_api;
mod credit_mutations;
mod eip712;
mod facilitator;
mod headers;
mod l402;
mod l402_holes;
mod l402_mutations;
mod lightning;
mod messages;
mod permit;
mod permit_mutations;
mod properties;
mod samples;
mod secrets;
mod words;
