//! JSON-RPC to one node, over HTTP or in process: bounded in time and size, and silent about the URL, which may hold an
//! API key.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alloy_primitives::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::limits::{CONNECT_TIMEOUT, NODE_TEXT_BYTES_MAX, RPC_ANSWER_BYTES_MAX};
use crate::transport::{Endpoint, RpcRefusal, Transport, TransportError};

/// A node we ask.
pub(crate) struct Node {
    way: Way,
    timeout: Duration,
}

/// The way to a node.
enum Way {
    Http(Http),
    InProcess(Arc<dyn Transport>),
}

/// A node's HTTP endpoint.
struct Http {
    client: reqwest::Client,
    url: Url,
    calls: AtomicU64,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(http) => RedactedUrl(&http.url).fmt(f),
            Self::InProcess(_) => f.write_str("in process"),
        }
    }
}

/// Why a call gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeError {
    /// No usable answer. The call may or may not have had its effect.
    Away(Silence),
    /// The node answered that it will not.
    Refused(Answered),
}

/// What kind of no answer it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    Connect,
    Timeout,
    Broken,
    Status(u16),
    TooLarge,
    Unreadable,
    RateLimited,
    /// The node has not seen what another node told us.
    Behind,
}

/// A JSON-RPC error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) code: i64,
    /// The node's words, shortened. Comes from outside: for matching and logs only.
    pub(crate) message: Box<str>,
    /// Revert data, where there was any.
    pub(crate) data: Option<Bytes>,
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(silence) => write!(f, "no answer ({silence:?})"),
            Self::Refused(answer) => write!(f, "error {}: {}", answer.code, answer.message),
        }
    }
}

#[derive(Serialize)]
struct Call {
    jsonrpc: &'static str,
    id: u64,
    method: &'static str,
    params: Value,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    result: Option<Value>,
    #[serde(default)]
    error: Option<ReplyError>,
}

#[derive(Deserialize)]
struct ReplyError {
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Option<Value>,
}

impl From<ReplyError> for RpcRefusal {
    fn from(error: ReplyError) -> Self {
        Self {
            code: error.code,
            message: error.message,
            data: error.data,
        }
    }
}

impl Node {
    /// The node at an endpoint; each call of it takes at most `timeout`.
    ///
    /// # Errors
    /// No HTTP client could be made.
    pub(crate) fn new(endpoint: &Endpoint, timeout: Duration) -> Result<Self, reqwest::Error> {
        let way = match endpoint {
            Endpoint::Http(url) => Way::Http(Http {
                client: http_client(url)?,
                url: url.clone(),
                calls: AtomicU64::new(1),
            }),
            Endpoint::InProcess(transport) => Way::InProcess(Arc::clone(transport)),
        };
        Ok(Self { way, timeout })
    }

    /// One call. `params` is the JSON array of the method's parameters.
    pub(crate) async fn call<R: DeserializeOwned>(
        &self,
        method: &'static str,
        params: Value,
    ) -> Result<R, NodeError> {
        let answer = tokio::time::timeout(self.timeout, self.way.exchange(method, params)).await;
        let answer = answer.unwrap_or(Err(NodeError::Away(Silence::Timeout)));
        if let Err(NodeError::Away(silence)) = &answer {
            tracing::debug!(node = ?self.way, method, ?silence, "a node gave no answer");
        }
        serde_json::from_value(answer?).map_err(|_| NodeError::Away(Silence::Unreadable))
    }
}

impl Way {
    async fn exchange(&self, method: &'static str, params: Value) -> Result<Value, NodeError> {
        match self {
            Self::Http(http) => http.exchange(method, params).await,
            Self::InProcess(transport) => match transport.call(method, params).await {
                Ok(value) => Ok(value),
                Err(TransportError::NoAnswer) => Err(NodeError::Away(Silence::Broken)),
                Err(TransportError::Refused(refusal)) => Err(refused(&refusal)),
            },
        }
    }
}

impl Http {
    async fn exchange(&self, method: &'static str, params: Value) -> Result<Value, NodeError> {
        let id = self.calls.fetch_add(1, Ordering::Relaxed);
        let call = Call {
            jsonrpc: "2.0",
            id,
            method,
            params,
        };
        let response = self
            .client
            .post(self.url.clone())
            .json(&call)
            .send()
            .await
            .map_err(|error| silence(&error))?;
        let status = response.status();
        let body = read(response).await?;
        match serde_json::from_slice::<Reply>(&body) {
            Ok(Reply {
                error: Some(error), ..
            }) => Err(refused(&error.into())),
            Ok(Reply { result, .. }) if status.is_success() => Ok(result.unwrap_or(Value::Null)),
            Ok(_) | Err(_) if !status.is_success() => {
                Err(NodeError::Away(Silence::Status(status.as_u16())))
            }
            Ok(_) | Err(_) => Err(NodeError::Away(Silence::Unreadable)),
        }
    }
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, NodeError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| silence(&error))? {
        if body.len().saturating_add(chunk.len()) > RPC_ANSWER_BYTES_MAX {
            return Err(NodeError::Away(Silence::TooLarge));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error itself is dropped: its text has the URL.
fn silence(error: &reqwest::Error) -> NodeError {
    NodeError::Away(if error.is_timeout() {
        Silence::Timeout
    } else if error.is_connect() {
        Silence::Connect
    } else {
        Silence::Broken
    })
}

fn refused(error: &RpcRefusal) -> NodeError {
    let busy = matches!(error.code, 429 | -32005 | -32097)
        || ["rate limit", "too many requests", "request limit"]
            .iter()
            .any(|text| error.message.contains(text));
    if busy {
        return NodeError::Away(Silence::RateLimited);
    }
    NodeError::Refused(Answered {
        code: error.code,
        message: shorten(&error.message).into(),
        data: error.data.as_ref().and_then(revert_data),
    })
}

/// Nodes put revert data into `error.data` as hex, as hex after a word, or somewhere inside an object.
fn revert_data(value: &Value) -> Option<Bytes> {
    match value {
        Value::String(text) => text.rsplit(' ').next()?.parse().ok(),
        Value::Object(members) => members
            .get("data")
            .or_else(|| members.get("result"))
            .and_then(|inner| match inner {
                Value::String(text) => text.parse().ok(),
                _ => None,
            }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// At most [`NODE_TEXT_BYTES_MAX`] bytes of a text from outside.
pub(crate) fn shorten(text: &str) -> &str {
    text.get(..text.floor_char_boundary(NODE_TEXT_BYTES_MAX))
        .unwrap_or_default()
}

/// A URL without user, path and query: API keys of node providers stand in the path.
pub(crate) struct RedactedUrl<'a>(pub(crate) &'a Url);

impl fmt::Display for RedactedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}",
            self.0.scheme(),
            self.0.host_str().unwrap_or_default()
        )?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for RedactedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The HTTP client for nodes. Follows no redirect, which would carry the key in the URL's path elsewhere.
fn http_client(url: &Url) -> Result<reqwest::Client, reqwest::Error> {
    // reqwest comes without a TLS provider of its own. Whoever installed one for the process keeps it.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true);
    // A node on this machine is not behind the proxy of the environment.
    let builder = if is_local(url) {
        builder.no_proxy()
    } else {
        builder
    };
    builder.build()
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn urls_are_shown_without_their_keys() {
        let url: Url = "https://me:pass@node.example:8443/v2/SECRET?key=SECRET"
            .parse()
            .unwrap();
        assert_eq!(RedactedUrl(&url).to_string(), "https://node.example:8443");
        let node = Node::new(&Endpoint::Http(url), Duration::from_secs(1)).unwrap();
        assert_eq!(
            format!("{node:?}"),
            "Node { way: https://node.example:8443, .. }"
        );
    }

    #[test]
    fn local_nodes_are_recognised() {
        for (url, local) in [
            ("http://127.0.0.1:8545", true),
            ("http://localhost", true),
            ("http://[::1]:1", true),
            ("https://localhost.example", false),
            ("https://10.0.0.1", false),
        ] {
            assert_eq!(is_local(&url.parse().unwrap()), local, "{url}");
        }
    }

    #[test]
    fn revert_data_is_found_in_the_shapes_nodes_use() {
        let expected: Bytes = "0x08c379a0".parse().unwrap();
        for shape in [
            json!("0x08c379a0"),
            json!("Reverted 0x08c379a0"),
            json!({"data": "0x08c379a0"}),
            json!({"result": "0x08c379a0"}),
        ] {
            assert_eq!(revert_data(&shape), Some(expected.clone()), "{shape}");
        }
        for shape in [
            json!(null),
            json!("revert"),
            json!(7),
            json!([1]),
            json!({"data": {"x": 1}}),
        ] {
            assert_eq!(revert_data(&shape), None, "{shape}");
        }
    }

    #[test]
    fn a_busy_node_is_away_and_a_refusing_one_is_not() {
        let error = |code, message: &str| {
            refused(&RpcRefusal {
                code,
                message: message.into(),
                data: None,
            })
        };
        assert_eq!(
            error(-32005, "daily limit"),
            NodeError::Away(Silence::RateLimited)
        );
        assert_eq!(
            error(-32000, "rate limit exceeded"),
            NodeError::Away(Silence::RateLimited)
        );
        assert!(matches!(
            error(-32000, "nonce too low"),
            NodeError::Refused(_)
        ));
    }
}
