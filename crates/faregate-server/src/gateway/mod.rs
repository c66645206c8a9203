//! The gate: a reverse proxy with prices.

pub mod limits;
