//! The seam between the facilitator and its node: what carries a JSON-RPC call.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;
use url::Url;

use crate::node::RedactedUrl;

/// Carries JSON-RPC calls to a node in this process: a simulated chain, or a client of one's own.
///
/// Time is bounded on the caller's side: a call that takes longer than
/// [`rpc_timeout`](crate::NetworkConfig::rpc_timeout) is dropped, and counts as not answered. The future must be safe to
/// drop at any point.
pub trait Transport: Send + Sync + 'static {
    /// One call: `params` is the JSON array of the method's parameters, the answer its `result`.
    ///
    /// # Errors
    /// [`TransportError`]: no answer, or the node's own error.
    fn call(
        &self,
        method: &'static str,
        params: Value,
    ) -> BoxFuture<'_, Result<Value, TransportError>>;
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Nobody knows what became of the call. It may have had its effect.
    #[error("no answer from the node")]
    NoAnswer,
    /// The node answered with an error.
    #[error("the node refused with code {}", .0.code)]
    Refused(RpcRefusal),
}

/// A JSON-RPC error object.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "JSON-RPC 2.0 §5.1 has these three members"
)]
pub struct RpcRefusal {
    /// The code; 3 is a revert.
    pub code: i64,
    /// The node's words.
    pub message: String,
    /// Revert data, in one of the shapes nodes have for it.
    pub data: Option<Value>,
}

/// Where a node is.
#[derive(Clone)]
#[non_exhaustive]
pub enum Endpoint {
    /// JSON-RPC over HTTP. The URL may hold an API key and is never shown whole.
    Http(Url),
    /// In this process.
    InProcess(Arc<dyn Transport>),
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => f.debug_tuple("Http").field(&RedactedUrl(url)).finish(),
            Self::InProcess(_) => f.write_str("InProcess"),
        }
    }
}
