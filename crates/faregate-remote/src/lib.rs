//! A facilitator somewhere else, over HTTP: [`RemoteFacilitator`] implements
//! [`Facilitator`](faregate_core::port::Facilitator) by asking `GET /supported`, `POST /verify` and `POST /settle`
//! (specs/x402.md §3.1).
//!
//! Use it when somebody else settles for you. When this process has its own keys and node, use the facilitator of
//! `faregate-evm` instead: it knows the chain and can tell *failed* from *unknown*; over HTTP that is often not possible.
//!
//! Whoever answers may be slow, broken or lying, so answers are read strictly; [`RemoteFacilitator`] says how. What holds for all:
//! redirects are not followed (a 308 on a facilitator URL once made servers give their content away), answers have a size
//! limit, every call has a deadline, and the base URL has to be `https` unless it is this machine.
//!
//! ```
//! use faregate_remote::{RemoteConfig, RemoteFacilitator};
//!
//! let config = RemoteConfig::new("https://facilitator.example/x402".parse().unwrap());
//! let facilitator = RemoteFacilitator::new(config).unwrap();
//! # let _ = facilitator;
//! let plain = RemoteConfig::new("http://facilitator.example".parse().unwrap());
//! assert!(RemoteFacilitator::new(plain).is_err());
//! ```

mod answer;
pub mod config;
mod facilitator;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod limits;
mod transport;

pub use config::{ConfigError, RemoteConfig};
pub use facilitator::RemoteFacilitator;
pub use transport::Carrier;
