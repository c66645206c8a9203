//! One file per rail: how an offer becomes a signed credential.

pub(crate) mod x402;
