//! The words of HTTP 402: amounts, assets, networks, messages and error codes.
//!
//! This crate is row 0 of Faregate: it knows what the messages of the rails look like and what their parts mean, and
//! nothing else. It does no IO, reads no clock, draws no randomness and never panics on input from outside. Every
//! decoder here is total: any bytes give either a value that is right by construction or an error with a stable
//! [`Code`].
//!
//! ```
//! use faregate_types::{AssetRegistry, ChainId, MoneyText};
//!
//! let registry = AssetRegistry::builtin();
//! let usdc = registry.default_for(ChainId::BASE_SEPOLIA).unwrap();
//! let price = MoneyText::parse("$0.001").unwrap();
//! assert_eq!(price.to_atomic(usdc.decimals).unwrap().to_string(), "1000");
//! ```
#![warn(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::string_slice
)]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

pub mod amount;
pub mod asset;
pub mod chain_id;
pub mod code;
pub mod credit;
pub mod eip191;
pub mod eip2612;
pub mod eip3009;
pub mod eip712;
pub mod hex_text;
pub mod id;
pub mod idempotency;
pub mod l402;
pub mod lightning;
pub mod limits;
mod mac;
pub mod money_text;
pub mod network;
pub mod permit;
pub mod permit2;
pub mod problem;
pub mod refusal;
pub mod registry;
pub mod secret;
pub mod signature;
pub mod timestamp;
pub mod x402;

pub use alloy_primitives::{Address, B256, Bytes, U256};

pub use crate::amount::{Amount, AmountError, parse_atomic, to_decimal_text};
pub use crate::asset::{Asset, AssetId, AssetIdError, Erc20, TokenDomain, TransferMethod};
pub use crate::chain_id::{Caip2, Caip2Error, ChainId, ChainIdError};
pub use crate::code::{Blame, Code, Retry};
pub use crate::eip712::domain_separator;
pub use crate::eip3009::Authorization;
pub use crate::id::{Fingerprint, IdError, PaymentId, RailName};
pub use crate::idempotency::{IdempotencyKey, IdempotencyKeyError};
pub use crate::money_text::{MoneyText, MoneyTextError};
pub use crate::network::{Network, network, networks};
pub use crate::problem::Problem;
pub use crate::refusal::Refusal;
pub use crate::registry::AssetRegistry;
pub use crate::secret::{Secret, SecretKey, SecretKeyError};
pub use crate::signature::{Signature65, SignatureError};
pub use crate::timestamp::Timestamp;
