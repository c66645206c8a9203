//! The whole program: the stack in one call, and the command as it is typed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may"
)]

mod cli;
mod credit_cores;
mod credit_gate;
mod credit_market;
mod credit_node;
mod credit_process;
mod credit_remunerate;
mod credit_sold;
mod credit_tabs;
mod credit_x402;
mod curl_credit;
mod curl_l402;
mod curl_permit;
mod held;
mod l402;
mod l402_gate;
mod l402_lost;
mod l402_process;
mod lightning;
mod managed;
mod metrics;
mod migrate;
mod permit_queue;
mod problems;
mod support;
mod token;
mod tutorial;
mod whole;
