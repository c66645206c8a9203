//! HTTP to others, as every adapter of ours speaks it: sent once, no redirect followed, no proxy, a deadline on everything,
//! answers of bounded size, plain HTTP only to this machine unless it is said otherwise, and no credentials in errors.
//!
//! ```
//! use faregate_http::{BaseUrl, PlainHttp};
//!
//! let node = BaseUrl::new("https://node.example/api".parse().unwrap(), PlainHttp::ToThisMachine).unwrap();
//! assert_eq!(node.join("v1/invoices").as_str(), "https://node.example/api/v1/invoices");
//! assert!(BaseUrl::new("http://node.example".parse().unwrap(), PlainHttp::ToThisMachine).is_err());
//! ```

mod base;
mod http;
mod lines;
mod reach;
pub mod tls;

pub use base::{BaseUrl, PlainHttp, UrlError};
pub use http::{Answer, CallError, Http, call_error, read};
pub use lines::Lines;
pub use reach::{Reach, is_public};
pub use tls::{TlsError, Trust};
