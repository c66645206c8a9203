//! What somebody wants to buy.

use std::net::IpAddr;

use faregate_types::{Fingerprint, IdempotencyKey};
use http::{Method, Uri};

use crate::offer::Offer;

/// A request as far as challenges and credentials depend on it. Cheap to copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that every edge builds by literal"
)]
pub struct Asked {
    /// The method as it was sent; `HEAD` is sold like `GET`.
    pub method: Method,
    /// The target as it was sent.
    pub uri: Uri,
    /// Whose limits count, where the edge knows: the peer's address, or what a trusted proxy says it is.
    pub client: Option<IpAddr>,
}

/// A request that comes with a credential.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that every edge builds by literal"
)]
pub struct Order<'a> {
    /// What it costs.
    pub offer: &'a Offer,
    /// Who asks, and how.
    pub asked: &'a Asked,
    /// Stands for the request, without the credential: what must not change between a request and its copies.
    pub fingerprint: Fingerprint,
    /// The payer's own name for the purchase.
    pub idempotency: Option<IdempotencyKey>,
}
