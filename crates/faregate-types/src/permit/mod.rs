//! Permits for access tokens: sign a permit, post it, get a token, show the token. The wire of `x402-mock` 0.1.1 to 0.3.0.
//!
//! Everything here is words and rules: what the messages look like in all five releases, what a token says, and whether a
//! permit is good enough given what the chain and our books say. Who signed is told by a function that the caller brings;
//! what was issued, settled or revoked is not known here.
//!
//! The order in which a seller works (specs/permit.md §1.8): [`request::read`], then [`check`](verify::check()) needs nothing
//! but the request, then the chain is asked, then [`Checked::cover`] decides.

pub mod authorization;
pub mod body;
pub mod date;
pub mod decimal;
pub mod demand;
pub mod endpoint;
pub mod kind;
pub mod label;
mod lax;
pub mod matching;
#[allow(clippy::module_inception, reason = "the permits of the permit rail")]
pub mod permit;
pub mod refused;
pub mod request;
pub mod response;
pub mod token;
pub mod verify;

pub use body::{Body, Component, ComponentError};
pub use decimal::{Decimal, DecimalError};
pub use demand::{Demand, Offer};
pub use endpoint::{Endpoint, EndpointError};
pub use kind::{PermitKind, parse_chain};
pub use lax::ShapeError;
pub use permit::{Permit, Terms};
pub use refused::Refused;
pub use response::{Issued, TokenResponse};
pub use token::{AccessToken, Bound, Claims, TokenError, TokenKey, TokenKeyError};
pub use verify::{ChainState, Checked, Expected, Price, Verified, overdrawn, replayed};
