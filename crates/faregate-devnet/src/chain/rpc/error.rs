//! Errors as JSON-RPC says them: a number and a text that client libraries recognise.

use alloy_primitives::Bytes;
use serde::Serialize;

use crate::chain::error::{CallError, ControlError, LogError, TxRejection};

/// The `error` member of a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RpcError {
    pub(crate) code: i32,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Bytes>,
}

impl RpcError {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The body is not JSON.
    pub(crate) fn parse() -> Self {
        Self::new(-32700, "parse error")
    }

    /// The JSON is not a request.
    pub(crate) fn request(why: &str) -> Self {
        Self::new(-32600, format!("invalid request: {why}"))
    }

    /// There is no such method.
    pub(crate) fn method(name: &str) -> Self {
        let name: String = name.chars().take(METHOD_CHARS_SHOWN).collect();
        Self::new(
            -32601,
            format!("the method {name} does not exist/is not available"),
        )
    }

    /// The parameters do not fit the method.
    pub(crate) fn params(why: impl Into<String>) -> Self {
        Self::new(-32602, why)
    }

    /// The method ran and failed.
    pub(crate) fn server(why: impl Into<String>) -> Self {
        Self::new(-32000, why)
    }

    /// More than the chain wants to answer at once.
    pub(crate) fn limit(why: impl Into<String>) -> Self {
        Self::new(-32005, why)
    }

    /// A bug of ours.
    pub(crate) fn internal() -> Self {
        Self::new(-32603, "internal error")
    }
}

impl From<TxRejection> for RpcError {
    fn from(rejection: TxRejection) -> Self {
        let code = if rejection == TxRejection::Undecodable {
            -32602
        } else {
            -32000
        };
        Self::new(code, rejection.to_string())
    }
}

impl From<CallError> for RpcError {
    fn from(error: CallError) -> Self {
        let message = error.to_string();
        match error {
            CallError::Reverted { data, .. } => Self {
                code: 3,
                message,
                data: Some(data),
            },
            CallError::Rejected(rejection) => rejection.into(),
            CallError::Argument(_) => Self::params(message),
            CallError::NoBlock
            | CallError::StatePruned { .. }
            | CallError::Halted(_)
            | CallError::GasAllowance(_)
            | CallError::Funds { .. } => Self::server(message),
        }
    }
}

impl From<ControlError> for RpcError {
    fn from(error: ControlError) -> Self {
        Self::params(error.to_string())
    }
}

impl From<LogError> for RpcError {
    fn from(error: LogError) -> Self {
        let message = error.to_string();
        match error {
            LogError::Range => Self::params(message),
            LogError::TooManyBlocks { .. } | LogError::TooManyLogs { .. } => Self::limit(message),
            LogError::NoBlock(_) | LogError::Pruned { .. } | LogError::NoFilter => {
                Self::server(message)
            }
        }
    }
}

/// A method name comes from outside and may be long.
const METHOD_CHARS_SHOWN: usize = 64;
