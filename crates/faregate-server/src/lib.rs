//! The servers: a gate (a reverse proxy with prices) and a facilitator, on one bounded HTTP base.
//!
//! | question | where |
//! |---|---|
//! | what a configuration file may say | [`config`] |
//! | what every request meets first: sizes, times, numbers | [`http`], [`limits`] |
//! | which route, which price, which upstream | [`gateway`] |
//! | verifying and settling for gates elsewhere | [`facilitator`] |
//! | collateral, tabs and guarantees, over the API of the 4Mica network | [`credit`] |
//! | receiving Lightning for others, and their directory | [`managed`] |
//! | what becomes of payments that nobody asks about | `recovery` |
//! | is it alive, can it work | [`health`] |
//! | telling others what was paid | [`webhook`] |
//! | what the operator sees: metrics and health on an address of their own | [`admin`] |

pub mod admin;
mod bearer;
pub mod config;
mod confirm;
pub mod credit;
pub mod facilitator;
pub mod gateway;
pub mod health;
pub mod http;
pub mod limits;
pub mod managed;
mod recovery;
pub mod webhook;

use faregate_tower::strangers;
