//! Lightning wallets and nodes behind their own APIs, one file for each: they implement the traits of
//! [`faregate_core::port::lightning`], and are used through its `Receiver` and `Sender` only.
//!
//! | backend | receives | hears of payments | pays | follows payments | bounds the fee |
//! |---|---|---|---|---|---|
//! | [`lnd`] | yes | yes | yes | yes | yes |
//! | [`lnbits`] | yes | no | yes | yes | no |
//! | [`phoenixd`] | yes | no | yes | yes | no |
//! | [`cln`] | yes | no | yes | yes | yes |
//! | [`blink`] | yes | no | yes | yes | asks before |
//! | [`strike`] | yes | no | yes | no | asks before |
//! | [`alby`], Hub | yes | no | yes | yes | no |
//! | [`alby`], older API | yes | no | yes | no | no |
//! | `nwc`, with the feature `nwc` | yes | no | yes | yes | no |
//! | [`opennode`] | yes | no | no | – | – |
//! | [`lnurl`], a Lightning address | yes | no | no | – | – |
//! | [`managed`], a server that receives for an address | yes | no | no | – | – |
//!
//! What holds for all: nothing that a backend says is more than a report, a call that was lost is [`Unclear`], and no key,
//! macaroon or rune is in an error, a log or a `Debug` text.
//!
//! [`Unclear`]: faregate_core::port::lightning::PayReport::Unclear

pub mod alby;
mod api;
pub mod backend;
pub mod blink;
pub mod cln;
pub mod config;
mod json;
pub mod limits;
pub mod lnbits;
pub mod lnd;
pub mod lnurl;
pub mod managed;
mod meter;
#[cfg(feature = "nwc")]
pub mod nwc;
pub mod opennode;
pub mod phoenixd;
pub mod strike;

pub use alby::{Alby, AlbyConfig, AlbyKind};
pub use backend::BackendConfig;
pub use blink::{Blink, BlinkConfig};
pub use cln::{Cln, ClnConfig};
pub use config::{ConfigError, Endpoint};
pub use lnbits::{Lnbits, LnbitsConfig};
pub use lnd::{Lnd, LndConfig};
pub use lnurl::{Lnurl, LnurlConfig};
pub use managed::{Listed, Listing, Managed, ManagedConfig, RegisterError};
pub use meter::describe_metrics;
#[cfg(feature = "nwc")]
pub use nwc::{Nwc, NwcConfig};
pub use opennode::{OpenNode, OpenNodeConfig};
pub use phoenixd::{Phoenixd, PhoenixdConfig};
pub use strike::{Strike, StrikeConfig};
