//! The JSON-RPC interface: from the bytes of a request to the bytes of a reply.

mod control;
mod error;
mod eth;
mod params;
mod send;
mod view;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use self::{error::RpcError, params::Params};
use super::{
    engine::{Chain, Mining},
    limits,
};

/// A chain that several callers use.
///
/// Reads run side by side, changes one after the other. The lock is held while the interpreter runs, so nothing here may
/// be called from an async task directly: use `spawn_blocking`.
#[derive(Debug)]
pub(crate) struct Node {
    chain: RwLock<Chain>,
    mining: watch::Sender<Mining>,
}

/// What a method answers.
type Answer = Result<Value, RpcError>;

impl Node {
    pub(crate) fn new(chain: Chain) -> Self {
        let mining = watch::Sender::new(chain.mining);
        Self {
            chain: RwLock::new(chain),
            mining,
        }
    }

    /// The chain, for reading.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Chain> {
        self.chain.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chain, for changing.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Chain> {
        self.chain.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells when the way of mining changes.
    pub(crate) fn mining(&self) -> watch::Receiver<Mining> {
        self.mining.subscribe()
    }

    /// Changes when blocks are made.
    pub(crate) fn set_mining(&self, mining: Mining) {
        let mut chain = self.write();
        chain.set_mining(mining);
        // Told while the chain is locked, so that two changes at once are told in the order they took effect.
        self.mining.send_replace(mining);
    }

    /// Answers one HTTP body; `None` if it holds nothing but notifications.
    pub(crate) fn handle(&self, body: &[u8]) -> Option<String> {
        match serde_json::from_slice(body) {
            Ok(Value::Array(calls)) => self.batch(calls),
            Ok(call) => self.single(call),
            Err(_) => Some(reply(Value::Null, Err(RpcError::parse()))),
        }
    }

    fn batch(&self, calls: Vec<Value>) -> Option<String> {
        if calls.is_empty() {
            return Some(reply(Value::Null, Err(RpcError::request("empty batch"))));
        }
        if calls.len() > limits::BATCH_CALLS_MAX {
            let why = format!("batch too large: at most {} calls", limits::BATCH_CALLS_MAX);
            return Some(reply(Value::Null, Err(RpcError::request(&why))));
        }
        let mut replies = String::new();
        for call in calls {
            let room = replies.len() < limits::BATCH_REPLY_BYTES_MAX;
            let one = if room {
                self.single(call)
            } else {
                no_room(&call)
            };
            if let Some(one) = one {
                replies.push(if replies.is_empty() { '[' } else { ',' });
                replies.push_str(&one);
            }
        }
        if replies.is_empty() {
            return None;
        }
        replies.push(']');
        Some(replies)
    }

    fn single(&self, call: Value) -> Option<String> {
        let Value::Object(mut call) = call else {
            return Some(reply(
                Value::Null,
                Err(RpcError::request("expected an object")),
            ));
        };
        let id = call.remove("id");
        if matches!(
            id,
            Some(Value::Bool(_) | Value::Array(_) | Value::Object(_))
        ) {
            return Some(reply(
                Value::Null,
                Err(RpcError::request("the id is not one")),
            ));
        }
        let answer = self.answer(&mut call);
        // A well-formed request without an id asks for no reply.
        match id {
            Some(id) => Some(reply(id, answer)),
            None if answer
                .as_ref()
                .is_err_and(|error| error.code == INVALID_REQUEST) =>
            {
                Some(reply(Value::Null, answer))
            }
            None => None,
        }
    }

    fn answer(&self, call: &mut serde_json::Map<String, Value>) -> Answer {
        if call.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err(RpcError::request("expected \"jsonrpc\": \"2.0\""));
        }
        let Some(Value::String(method)) = call.remove("method") else {
            return Err(RpcError::request("the method is missing"));
        };
        let mut params = Params::new(call.remove("params"))?;
        let answer = self.dispatch(&method, &mut params);
        if let Err(error) = &answer {
            tracing::debug!(
                method,
                code = error.code,
                error = error.message,
                "call failed"
            );
        }
        answer
    }

    fn dispatch(&self, method: &str, params: &mut Params) -> Answer {
        self.chain_methods(method, params)
            .or_else(|| self.block_methods(method, params))
            .or_else(|| self.filter_methods(method, params))
            .or_else(|| self.send_methods(method, params))
            .or_else(|| self.mining_methods(method, params))
            .or_else(|| self.account_methods(method, params))
            .unwrap_or_else(|| Err(RpcError::method(method)))
    }
}

fn no_room(call: &Value) -> Option<String> {
    let id = call.get("id")?.clone();
    Some(reply(id, Err(RpcError::limit("response too large"))))
}

/// Turns a result into JSON.
fn json(value: impl Serialize) -> Answer {
    serde_json::to_value(value).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        RpcError::internal()
    })
}

/// A whole number as `0x` text.
fn quantity(number: impl std::fmt::LowerHex) -> Answer {
    Ok(Value::String(format!("{number:#x}")))
}

fn reply(id: Value, answer: Answer) -> String {
    #[derive(Serialize)]
    struct Reply {
        jsonrpc: &'static str,
        id: Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<RpcError>,
    }
    let (result, error) = match answer {
        Ok(result) => (Some(result), None),
        Err(error) => (None, Some(error)),
    };
    let reply = Reply {
        jsonrpc: "2.0",
        id,
        result,
        error,
    };
    serde_json::to_string(&reply).unwrap_or_else(|_| INTERNAL_ERROR.to_owned())
}

const INVALID_REQUEST: i32 = -32600;
const INTERNAL_ERROR: &str =
    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}"#;
