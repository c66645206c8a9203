//! The gate from its port to a real service behind it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

#[path = "../../../faregate-tower/tests/common/mod.rs"]
mod common;
mod events;
mod hostile;
mod kit;
mod lightning;
mod listing;
mod proxying;
mod recovery;
mod selling;
mod starting;
mod streaming;
mod tls;
mod websocket;
