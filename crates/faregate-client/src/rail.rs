//! One file per rail: how an offer becomes a signed credential, or a challenge an invoice that is paid.

pub(crate) mod credit;
pub(crate) mod l402;
pub(crate) mod permit;
pub(crate) mod x402;
