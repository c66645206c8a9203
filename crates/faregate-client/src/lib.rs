//! An HTTP client that pays for what it fetches, within caps that hold.
//!
//! When a server answers 402 with x402 offers (version 1 or 2), an L402 challenge or offers for permits, the client pays one and repeats the request, by itself. It
//! trusts no server: prices are capped for each payment, for each origin and over time; assets, decimals and EIP-712 domains
//! come from its own table; the payee is remembered; nothing is paid on a main network that was not named; and payments never
//! follow a redirect. Everything signed is written into the wallet's books *before* it is sent, so caps hold across clients,
//! processes and crashes, and a payment whose end is unknown is sent again instead of signed a second time.
//!
//! ```
//! use std::sync::Arc;
//! use faregate_client::{Caps, Client, Wallet, limits};
//! use faregate_store::memory::MemoryWallet;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let offer = serde_json::json!({"x402Version": 1, "error": "pay", "accepts": [{
//! #     "scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "1000", "resource": "http://localhost/joke",
//! #     "description": "a joke", "mimeType": "text/plain", "payTo": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
//! #     "maxTimeoutSeconds": 60, "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
//! #     "extra": {"name": "USDC", "version": "2"}}]});
//! # let joke = move |headers: axum::http::HeaderMap| async move {
//! #     use axum::{http::StatusCode, response::IntoResponse};
//! #     match headers.get("x-payment") {
//! #         Some(_) => (StatusCode::OK, "a joke").into_response(),
//! #         None => (StatusCode::PAYMENT_REQUIRED, axum::Json(offer)).into_response(),
//! #     }
//! # };
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let url = format!("http://{}/joke", listener.local_addr()?);
//! # tokio::spawn(async { axum::serve(listener, axum::Router::new().route("/joke", axum::routing::get(joke))).await });
//! # let environment = [("FAREGATE_PRIVATE_KEY".to_owned(), "11".repeat(32))].into();
//! let client = Client::builder()
//!     .wallet(Wallet::from_env(&environment)?)
//!     .caps(Caps {
//!         per_payment: limits::PER_PAYMENT_DEFAULT, // 0.10 USD
//!         total: None,
//!         per_host: None,
//!         per_period: None,
//!     })
//!     .store(Arc::new(MemoryWallet::new()))
//!     .build()?;
//!
//! let paid = client.get(url).send().await?;
//! let payment = paid.payment.ok_or("the joke is not free")?;
//! assert_eq!(payment.amount.value().to_string(), "1000"); // 0.001 USDC
//! assert_eq!(paid.answer.text().await?, "a joke");
//! # Ok(())
//! # }
//! ```
//!
//! | idea | where |
//! |---|---|
//! | ask, choose, sign, write down | `client`, `prepare` |
//! | send the payment until its end is known | `deliver` |
//! | post a permit, show its token | `permit`; offers and bytes: `rail/permit` |
//! | ask for a tab, sign what is owed on it | `credit_pay`, `tab`, [`OnCredit`]; offers and bytes: `rail/credit`; whom to ask about an end: `core_says` |
//! | pay a Lightning invoice, show its token | `invoice`, [`LightningWallet`]; tokens kept: `tokens` |
//! | which rail | `choose` |
//! | what an answer says about the payment | `hear`, `receipt` |
//! | what a 402 answer says | `offer` |
//! | which offer is taken, and why not the others | `select` |
//! | one file per rail: offer to credential | `rail/` |
//! | caps | `budget`; what happens to the money is told by `events`, and summed up by `report` |
//! | terms that changed since last time | `alarm` |
//! | payments whose end is unknown | `resume`, `pending`; their requests `kept` |
//! | who may be paid, which redirects are followed | `origin` |
//! | keys | [`wallet`] |
//! | programs without async (feature `blocking`) | `blocking` |
//! | credit: collateral, tabs, guarantees, certificates | [`credit`] |
//!
//! Not for paying many servers a fraction of a cent in parallel from one key without books: the write before each payment is
//! the point.

#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]
#![warn(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod alarm;
mod ask;
#[cfg(feature = "blocking")]
pub mod blocking;
mod budget;
mod builder;
mod choose;
mod client;
mod core_says;
pub mod credit;
mod credit_pay;
mod deliver;
mod error;
mod events;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hear;
mod invoice;
mod kept;
mod lightning;
pub mod limits;
mod node;
mod offer;
mod on_credit;
mod origin;
mod payment;
mod pending;
mod permit;
mod prepare;
mod quote;
mod rail;
mod receipt;
mod report;
mod request;
mod resume;
mod select;
mod tab;
mod text;
mod tokens;
mod transport;
pub mod wallet;

pub use faregate_ledger::{CapRefusal, Caps, Period, SpendState, Unit, WalletStore, Worth};
pub use faregate_types::permit::PermitKind;

pub use alarm::{Alarm, PayeeChanges, PriceRises};
pub use builder::{BuildError, ClientBuilder};
pub use choose::{Choice, Prefer};
pub use client::Client;
pub use error::{
    Doubt, HttpFault, Kind, PayError, PayeeChanged, PriceRaised, Refused, RequestFault,
    TokenRefused, Undecided,
};
pub use events::{BudgetExceeded, Event, Events, Spent};
pub use lightning::{FeeLimit, LightningWallet, MsatCaps};
pub use on_credit::OnCredit;
pub use origin::PlainHttp;
pub use payment::{
    CreditPayment, Ends, L402Payment, Paid, Payment, PermitPayment, Rail, X402Payment,
};
pub use pending::{Pending, Proof, Standing};
pub use quote::{Priced, Quote};
pub use rail::credit::receipt::ShownCertificate;
pub use rail::l402::InvoicePrice;
pub use receipt::{FailedReceipt, Receipt, ReceiptFault, TypedReceipt};
pub use report::{HostSpending, PeriodSpending, SpendingReport, Transaction, UnitSpending};
pub use request::RequestBuilder;
pub use resume::Resume;
pub use select::{Considered, Price};
pub use wallet::Wallet;
