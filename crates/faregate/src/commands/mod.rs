//! One file per command.

pub(crate) mod admin;
pub(crate) mod collateral;
pub(crate) mod config;
pub(crate) mod credit;
pub(crate) mod credit_remunerate;
pub(crate) mod curl;
pub(crate) mod decode;
pub(crate) mod demo;
pub(crate) mod dev;
pub(crate) mod facilitator;
pub(crate) mod gate;
pub(crate) mod key;
pub(crate) mod l402;
pub(crate) mod lightning;
pub(crate) mod managed;
pub(crate) mod migrate;
pub(crate) mod paid;
pub(crate) mod pay_tabs;
pub(crate) mod pending;
pub(crate) mod rails;
pub(crate) mod register;
pub(crate) mod report;
pub(crate) mod revoke;
pub(crate) mod tabs;
pub(crate) mod token;
pub(crate) mod wallet;
