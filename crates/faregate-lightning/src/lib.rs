//! Lightning wallets and nodes behind their own APIs, one file for each: they implement the traits of
//! [`faregate_core::port::lightning`], and are used through its `Receiver` and `Sender` only.
//!
//! | backend | receives | hears of payments | pays | follows payments | bounds the fee |
//! |---|---|---|---|---|---|
//! | [`lnd`] | yes | yes | yes | yes | yes |
//! | [`lnbits`] | yes | no | yes | yes | no |
//! | [`phoenixd`] | yes | no | yes | yes | no |
//!
//! What holds for all: nothing that a backend says is more than a report, a call that was lost is [`Unclear`], and no key,
//! macaroon or rune is in an error, a log or a `Debug` text.
//!
//! [`Unclear`]: faregate_core::port::lightning::PayReport::Unclear

mod api;
pub mod config;
mod json;
pub mod limits;
pub mod lnbits;
pub mod lnd;
pub mod phoenixd;

pub use config::{ConfigError, Endpoint};
pub use lnbits::{Lnbits, LnbitsConfig};
pub use lnd::{Lnd, LndConfig};
pub use phoenixd::{Phoenixd, PhoenixdConfig};
