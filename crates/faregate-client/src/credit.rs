//! The client of a credit service: collateral, tabs, guarantees, certificates, remuneration, on the wire of the 4Mica network.
//!
//! A payer leaves collateral with the contract, signs claims for what it consumes, and pays its tabs. A recipient opens
//! tabs, has signed claims turned into certificates, and takes what was not paid from the collateral. The service keeps the
//! books; it is believed only where neither the chain nor a computation of our own can tell:
//!
//! - certificates have to be signed by the key that the *contract* checks, for the contract's domain, and say what was asked
//!   for;
//! - contract and chain are compared with those that were pinned by configuration or follow from the network's name;
//! - collateral and what was paid for a tab are read from the contract;
//! - what it wants signed to sign in has to name the service itself.
//!
//! A node that the service names could lie together with it: bring your own ([`CreditClientBuilder::node`]).
//!
//! ```no_run
//! use faregate_client::credit::{CreditClient, ETH};
//! use faregate_types::U256;
//!
//! # async fn run(environment: std::collections::BTreeMap<String, String>) -> Result<(), faregate_client::credit::CreditError> {
//! let client = CreditClient::from_env(&environment)?.connect().await?;
//! client.user().deposit(ETH, U256::from(1_000_000_000_000_000_u64)).await?;
//! for asset in client.user().collateral().await? {
//!     println!("{}: {}", asset.asset, asset.collateral);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | idea | where |
//! |---|---|
//! | what payers do | [`CreditUser`] |
//! | what recipients do | [`CreditRecipient`] |
//! | a service as what a facilitator needs of it | [`CoreIssuer`] |
//! | every endpoint of the service, for administrators too | [`CreditRpc`] |
//! | configuration | [`CreditClientBuilder`], networks in `network`, environment in `env` |
//! | what is checked at the start | `terms` |
//! | one HTTP call, sent again where that is safe | `http` |
//! | signing in | `session` |

mod builder;
mod client;
mod env;
mod error;
mod http;
mod issue;
mod issuer;
mod network;
mod recipient;
mod rpc;
mod session;
mod terms;
mod user;

pub use faregate_core::port::{NoTrail, Trail};
pub use faregate_evm::credit::{AssetBalance as Collateral, ETH, Revert, TabStatus as PaidStatus};
pub use faregate_evm::{
    AskError, ConnectError, InFlight, LocalSigner, Mined, SendError, SignError, Signer, Unsent,
};
pub use faregate_http::{PlainHttp as CreditPlainHttp, Trust};

pub use builder::CreditClientBuilder;
pub use client::CreditClient;
pub use error::{
    CertificateFault, ClaimsFault, ConfigFault, CreditError, Distrust, NoAnswer, ServiceRefusal,
    SignInFault,
};
pub use issue::Issued;
pub use issuer::CoreIssuer;
pub use network::{CreditNetwork, NETWORKS, network};
pub use recipient::CreditRecipient;
pub use rpc::CreditRpc;
pub use user::CreditUser;
