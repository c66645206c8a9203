//! Every backend against a server that says what it is told to say, and LND against the dev network's.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

mod alby;
mod backend;
mod blink;
mod cln;
mod contract;
mod kit;
mod lnbits;
mod lnd;
mod lnurl;
mod managed;
#[cfg(feature = "nwc")]
mod nwc;
mod opennode;
mod phoenixd;
mod random;
mod strike;
