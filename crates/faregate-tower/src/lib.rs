//! A price on a service: a tower layer, an axum extractor, and the one place where payments become HTTP.
//!
//! Put the layer on the *route object*, not on a path text: a router that reads paths differently from the price list
//! would give things away.
//!
//! ```
//! use std::sync::Arc;
//!
//! use axum::{Router, routing::get};
//! use faregate_core::{TokenAsk, Offer, OfferError, Payee, Resource, SettlePolicy, Till};
//! use faregate_tower::{Paid, PaywallLayer};
//! use faregate_types::{Address, Amount, AssetRegistry, ChainId, MoneyText, RailName};
//!
//! /// `GET /joke` for a tenth of a cent.
//! fn app(till: Till, seller: Address) -> Router {
//!     let registry = AssetRegistry::builtin();
//!     let usdc = registry.default_for(ChainId::BASE_SEPOLIA).unwrap().clone();
//!     let price = MoneyText::parse("$0.001").unwrap().to_atomic(usdc.decimals).unwrap();
//!     let ask = TokenAsk {
//!         rail: RailName::X402,
//!         amount: Amount::new(price, usdc.id),
//!         asset: usdc,
//!         payee: Payee::Evm(seller),
//!     };
//!     let resource = Resource {
//!         url: "https://api.example/joke".into(),
//!         description: "one joke".into(),
//!         mime_type: "text/plain".into(),
//!     };
//!     let offer = Offer::new("joke", resource, vec![ask.into()], SettlePolicy::After, 60).unwrap();
//!     let joke = get(|paid: Paid| async move { format!("paid by {}: knock, knock", paid.payer()) });
//!     Router::new().route("/joke", joke.layer(PaywallLayer::new(till, offer).unwrap()))
//! }
//! ```
//!
//! What a request meets, in this order: a preflight is answered and never charged; no credential, a 402 from a cache; a
//! credential, its body read whole and then a task of its own that claims, settles and serves, so that a payer who hangs
//! up neither loses an answer nor gets one for nothing. A copy of a paid request gets the kept answer.
//!
//! The layer needs a tokio runtime.

#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod cors;
pub mod desk;
pub mod events;
mod extract;
mod finish;
mod keep;
mod key;
mod layer;
pub mod limits;
#[allow(
    unreachable_pub,
    reason = "wrapped below, with what is counted of listeners"
)]
mod metrics;
mod peer;
mod price;
mod purchase;
pub mod respond;
mod service;
pub mod strangers;
pub mod tabs;
pub mod upgrade;

pub use cors::Cors;
pub use desk::TokenDesk;
pub use events::{Events, Heard, Subscription};
pub use extract::{NotPaid, Paid};
pub use layer::{NoRail, PaywallLayer, Purchases};
pub use peer::Peer;
pub use price::{Price, Priced, Pricing};
pub use service::{Paywall, PaywallFuture};
pub use tabs::TabDesk;

/// Registers what the metrics of this crate mean.
pub fn describe_metrics() {
    metrics::describe_metrics();
    events::describe_metrics();
}
