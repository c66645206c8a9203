//! Decisions about payments, without IO: what a route costs, whether a credential pays for it, what happens next.
//!
//! | question | where |
//! |---|---|
//! | which route is this, what does it cost | [`route`], [`offer`] |
//! | how does one rail read, challenge, verify, settle | [`rail`], one file per rail below it |
//! | what happens after each event | [`machine`], pure |
//! | what becomes of payments whose end is unknown | [`recovery`] |
//! | what others are told while it happens | [`observe`] |
//! | what is received for others, and paid out to them | [`custody`] |
//! | who may owe how much to whom, and what becomes of it | [`credit`] |
//! | who does it | [`driver`], over the traits in [`port`] |
//!
//! *Architecture invariant:* nothing here opens a socket, reads a clock or draws randomness; the outside comes in through
//! the traits of [`port`].

#![warn(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod books;
pub mod crash;
pub mod credit;
pub mod custody;
pub mod driver;
mod live;
pub mod machine;
pub mod observe;
pub mod offer;
mod order;
mod patience;
pub mod port;
pub mod rail;
pub mod rate;
pub mod recovery;
pub mod route;
pub mod settler;
mod shared;
mod uses;

pub use driver::{Outcome, Owed, Paid, Sale, Served, Settling, Till};
pub use machine::SettlePolicy;
pub use observe::{About, GateEvent, Kind, Observer, What};
pub use offer::{
    Ask, CreditAsk, Identifier, LightningAsk, Offer, OfferError, Payee, PermitAsk, Resource, Scope,
    TokenAsk, TokenPolicy,
};
pub use order::{Asked, Order};
pub use port::{
    Away, Clock, Facilitator, Finality, SettleOutcome, Settlement, Trail, Unknown, Verdict,
};
pub use rail::{
    Challenge, Credential, Evidence, Headers, Instrument, Presented, Rail, Reading, Uses, Verified,
    VerifyError,
};
pub use recovery::{Recovery, SweepReport};
pub use settler::Settler;
