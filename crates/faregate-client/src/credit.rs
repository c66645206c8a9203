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
//! One debt from both sides. `faregate demo` does the same and prints each step.
//!
//! ```no_run
//! use faregate_client::credit::{CreditClient, CreditError};
//! use faregate_types::credit::{Claims, GuaranteeVersion, SigningScheme};
//! use faregate_types::{Address, Timestamp, U256};
//!
//! # async fn owe(payer: CreditClient, recipient: CreditClient, usdc: Address, now: Timestamp) -> Result<(), CreditError> {
//! let (user, seller) = (payer.user(), recipient.recipient());
//! // The payer leaves 10 USDC with the contract. The service knows when the chain has confirmed it.
//! user.approve(usdc, U256::from(10_000_000)).await?;
//! user.deposit(usdc, U256::from(10_000_000)).await?;
//!
//! // The recipient opens a tab, the payer signs what it owes on it, the service locks that much and certifies it.
//! let tab = seller.create_tab(payer.address(), usdc, None, GuaranteeVersion::V1).await?;
//! let claims = Claims {
//!     payer: payer.address(),
//!     recipient: recipient.address(),
//!     tab_id: tab.id,
//!     req_id: U256::ZERO,
//!     amount: U256::from(2_000_000),
//!     asset: usdc,
//!     timestamp: now,
//!     validation: None,
//! };
//! let signed = user.sign_payment(claims, SigningScheme::Eip712).await?;
//! let issued = seller.issue_payment_guarantee(&signed).await?;
//! // Verified already when it was issued; a certificate from elsewhere is verified like this before anything is served on it.
//! let says = seller.verify_payment_guarantee(&issued.certificate)?;
//! assert_eq!(says.total_amount, U256::from(2_000_000));
//!
//! // The payer pays half of it. After the contract's grace period the rest comes out of the collateral.
//! user.pay_tab(tab.id, U256::ZERO, U256::from(1_000_000), recipient.address(), usdc).await?;
//! seller.remunerate(&issued.certificate).await?;
//! # Ok(())
//! # }
//! ```
//!
//! | idea | where |
//! |---|---|
//! | what payers do | [`CreditUser`] |
//! | what recipients do | [`CreditRecipient`] |
//! | what a payer owes, and until when it should be paid | [`CreditDebts`], [`Debt`] |
//! | paying that once, killed or not | `repay` |
//! | a service as what a facilitator needs of it | [`CoreIssuer`] |
//! | every endpoint of the service, for administrators too | [`CreditRpc`] |
//! | configuration | [`CreditClientBuilder`], networks in `network`, environment in `env` |
//! | what is checked at the start | `terms` |
//! | one HTTP call, sent again where that is safe | `http` |
//! | signing in | `session` |

mod builder;
mod checker;
mod client;
mod debt;
mod debts;
mod env;
mod error;
mod http;
mod issue;
mod issuer;
mod network;
mod recipient;
mod repay;
mod rpc;
mod session;
mod terms;
mod user;

pub use faregate_core::credit::ReqIds;
pub use faregate_core::port::{NoTrail, Trail};
pub use faregate_evm::credit::{AssetBalance as Collateral, ETH, Revert, TabStatus as PaidStatus};
pub use faregate_evm::{
    AskError, ConnectError, InFlight, LocalSigner, Mined, SendError, SignError, Signer, Unsent,
};
pub use faregate_http::{PlainHttp as CreditPlainHttp, Trust};
pub use faregate_ledger::{Repayment, RepaymentState, RepaymentStore};

pub use builder::CreditClientBuilder;
pub use client::CreditClient;
pub use debt::{Debt, DebtState, Due};
pub use debts::{CreditDebts, Which};
pub use error::{
    CertificateFault, ClaimsFault, ConfigFault, CreditError, Distrust, NoAnswer, RepayFault,
    ServiceRefusal, SignInFault,
};
pub use issue::Issued;
pub use issuer::CoreIssuer;
pub use network::{CreditNetwork, NETWORKS, network};
pub use recipient::CreditRecipient;
pub use repay::{Repaid, Settled};
pub use rpc::CreditRpc;
pub use user::CreditUser;
pub(crate) use user::claims_digest;
