//! The base all servers stand on: HTTP/1.1 with every bound checked before a service sees the request.
//!
//! | what a peer does | what it gets |
//! |---|---|
//! | opens more connections than [`Limits::connections_max`] | waits in the backlog |
//! | sends its head too slowly, or is idle too long | the connection is closed |
//! | sends a head that is too large | 431, 414 from hyper |
//! | sends a body that is too large, announced or not | 413 `body_too_large` |
//! | sends its body too slowly | 408 `request_timeout` |
//! | comes while [`Limits::requests_max`] are worked on | 503 `overloaded` |
//! | waits longer than [`Limits::request_timeout`] | 504 `upstream_timeout` |
//! | meets a panic | 500 `internal`; other requests go on |
//! | does not read its answer | the connection is closed |
//!
//! No TLS: that is the work of what stands in front. Nothing a peer says about itself (`X-Forwarded-*`) is believed, but of proxies that the file names (`proxies`).

mod body;
mod connection;
mod gauge;
mod guard;
pub(crate) mod json;
mod proxies;
mod serve;

use axum::response::Response;
use faregate_tower::respond;
use faregate_types::{Code, Problem};

pub(crate) use connection::Life;
pub(crate) use gauge::{Gauge, Inside};
pub(crate) use proxies::Proxies;

pub use crate::limits::Limits;
pub use faregate_tower::Peer;
pub use guard::Say;
pub use proxies::{AddressRange, AddressRangeError};
pub use serve::{Running, StartError, listen, serve, serve_saying};

/// An error answer as problem details (RFC 9457) with the code's own status.
#[must_use]
pub fn problem(code: Code, detail: impl AsRef<str>) -> Response {
    respond::problem(&Problem::new(code).detail(detail))
}

/// 404.
#[must_use]
pub fn not_found() -> Response {
    respond::problem(&Problem::new(Code::NotFound))
}

/// 405. The router adds `Allow`.
#[must_use]
pub fn method_not_allowed() -> Response {
    respond::problem(&Problem::new(Code::MethodNotAllowed))
}
