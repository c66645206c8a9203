//! A Lightning network in process, for tests and demonstrations: three wallets, real invoices, real preimages, no channels.
//!
//! Invoices are BOLT 11 on regtest, signed by dev keys, with the feature bits and the payment secret that strict decoders ask
//! for. A payment moves millisatoshis from one wallet to the other and a fee to the network between, and the payer gets the
//! preimage. Paying twice, paying oneself, paying too late and paying more than there is are refused as LND refuses them.
//!
//! `net` is the network as a state machine without waiting or clock, `wallet` gives it the traits of
//! [`faregate_core::port::lightning`], and `rest` speaks LND's REST API on loopback.
//!
//! # Over REST
//!
//! Each wallet has a macaroon, to be sent in hexadecimal as `Grpc-Metadata-macaroon`:
//!
//! | call | does |
//! |---|---|
//! | `GET /v1/getinfo`, `GET /v1/balance/channels` | who the wallet is and what it holds |
//! | `POST /v1/invoices`, `GET /v1/invoice/{hash}` | make an invoice, look at it |
//! | `GET /v1/invoices/subscribe` | invoices as they are made and paid, line by line |
//! | `POST /v2/invoices/cancel` | call one off |
//! | `GET /v1/payreq/{invoice}` | decode |
//! | `POST /v2/router/send`, `GET /v2/router/track/{hash}` | pay and follow a payment, line by line |
//! | `POST /v1/channels/transactions` | pay and wait |
//!
//! Without a macaroon, because whoever knows an address may pay it (LNURL-pay):
//!
//! | call | does |
//! |---|---|
//! | `GET /.well-known/lnurlp/{wallet}` | what may be paid to `wallet@host` |
//! | `GET /lnurlp/{wallet}/callback?amount=` | an invoice over so many millisatoshis |

mod config;
mod devlightning;
mod invoice;
pub mod limits;
mod net;
mod rest;
mod wallet;

#[cfg(test)]
mod tests;

pub use self::{
    config::LightningConfig,
    devlightning::{DevLightning, LightningError},
    net::{Fate, WalletName},
    wallet::DevWallet,
};
