//! Reading the parameters of a method.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::RpcError;

/// The `params` of a request: an array, from which each place is taken once.
#[derive(Debug)]
pub(crate) struct Params(Vec<Value>);

impl Params {
    /// Accepts an array, or nothing.
    pub(crate) fn new(value: Option<Value>) -> Result<Self, RpcError> {
        match value {
            None | Some(Value::Null) => Ok(Self(Vec::new())),
            Some(Value::Array(values)) => Ok(Self(values)),
            Some(_) => Err(RpcError::params("invalid params: expected an array")),
        }
    }

    /// A parameter that must be there.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, index: usize) -> Result<T, RpcError> {
        self.optional(index)?
            .ok_or_else(|| RpcError::params(format!("missing value for required argument {index}")))
    }

    /// A parameter that may be left out or `null`.
    pub(crate) fn optional<T: DeserializeOwned>(
        &mut self,
        index: usize,
    ) -> Result<Option<T>, RpcError> {
        let value = match self.0.get_mut(index) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value.take(),
        };
        serde_json::from_value(value)
            .map(Some)
            .map_err(|error| RpcError::params(format!("invalid argument {index}: {error}")))
    }

    /// A parameter as it came, for the few that may have several shapes.
    pub(crate) fn raw(&mut self, index: usize) -> Option<Value> {
        self.0
            .get_mut(index)
            .map(Value::take)
            .filter(|value| !value.is_null())
    }

    /// A number, as JSON number, decimal text or `0x` text: test tools disagree about that.
    pub(crate) fn number(&mut self, index: usize) -> Result<Option<u64>, RpcError> {
        let bad = || RpcError::params(format!("invalid argument {index}: expected a number"));
        let Some(value) = self.raw(index) else {
            return Ok(None);
        };
        let number = match &value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => parse_number(text),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        number.map(Some).ok_or_else(bad)
    }
}

fn parse_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        // `from_str_radix` would take a sign.
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            u64::from_str_radix(digits, 16).ok()
        }
        Some(_) => None,
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
        None => None,
    }
}
