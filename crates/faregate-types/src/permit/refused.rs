//! The answer to a token request that buys nothing: always 400 with `{"error": …}`, in the product's own words where it has
//! any, because its users search for them (specs/permit.md §1.8).

use std::fmt::Write as _;

use alloy_primitives::{Address, B256, U256};
use serde::Serialize;

use super::lax::ShapeError;
use crate::code::Code;
use crate::refusal::Refusal;
use crate::x402::wire::to_json;

/// The status of every refusal of a token request.
pub const STATUS: u16 = 400;

/// Why a token request is refused: a code for programs, the product's text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    code: Code,
    lead: Lead,
    message: Box<str>,
    details: Vec<(&'static str, Detail)>,
}

/// How the text begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    /// The request has another shape. The product breaks down here, so these words are ours.
    Request,
    /// The product's words before it looked at the permit.
    Signature,
    /// The product's words after it looked at the permit.
    Verification,
}

/// The value of a detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Digits, written without quotes.
    Number(String),
    Text(String),
}

impl Refused {
    pub(super) fn verification(code: Code, message: impl Into<Box<str>>) -> Self {
        Self {
            code,
            lead: Lead::Verification,
            message: message.into(),
            details: Vec::new(),
        }
    }

    pub(super) fn signature(code: Code, message: impl Into<Box<str>>) -> Self {
        Self {
            lead: Lead::Signature,
            ..Self::verification(code, message)
        }
    }

    pub(super) fn with(mut self, key: &'static str, value: impl Into<Detail>) -> Self {
        self.details.push((key, value.into()));
        self
    }

    /// A number that is one already, for example with a point.
    pub(super) fn with_number(self, key: &'static str, digits: String) -> Self {
        self.with(key, Detail::Number(digits))
    }

    /// The chain could not be asked. Not the payer's fault: the same request may be sent again.
    #[must_use]
    pub fn chain_unavailable() -> Self {
        let reason = "the chain cannot be asked at the moment, send the same request again";
        let message = format!("Blockchain interaction error: {reason}");
        Self::verification(Code::ChainUnavailable, message).with("exception", reason)
    }

    /// Its settlement was tried out at the newest block, and nothing is known to be wrong with it but that it would be
    /// reverted; with the words of the contract, if there were any.
    #[must_use]
    pub fn would_revert(words: Option<&str>) -> Self {
        let message = "The settlement of the permit would be reverted";
        let refused = Self::verification(Code::PermitSimulationFailed, message);
        match words {
            Some(words) => refused.with("reason", words),
            None => refused,
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The value of `error`.
    #[must_use]
    pub fn text(&self) -> String {
        let lead = match self.lead {
            Lead::Request => "Invalid token request",
            Lead::Signature => "Signature verification failed",
            Lead::Verification => "Verification failed",
        };
        let mut text = format!("{lead}: {}", self.message);
        for (index, (key, value)) in self.details.iter().enumerate() {
            let before = if index == 0 { "\nDetails: {\n" } else { ",\n" };
            let value = match value {
                Detail::Number(digits) => digits.clone(),
                Detail::Text(words) => to_json(words),
            };
            // Writing to a String cannot fail.
            write!(text, "{before}  \"{key}\": {value}").unwrap_or(());
        }
        if !self.details.is_empty() {
            text.push_str("\n}");
        }
        text
    }

    /// The body, for status [`STATUS`].
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Body {
            error: String,
        }
        to_json(&Body { error: self.text() })
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self::new(refused.code)
            .detail(&refused.message)
            .words(refused.text())
    }
}

impl From<ShapeError> for Refused {
    fn from(error: ShapeError) -> Self {
        Self {
            code: Code::PermitMalformed,
            lead: Lead::Request,
            message: error.to_string().into(),
            details: Vec::new(),
        }
    }
}

impl From<U256> for Detail {
    fn from(number: U256) -> Self {
        Self::Number(number.to_string())
    }
}

impl From<u64> for Detail {
    fn from(number: u64) -> Self {
        Self::Number(number.to_string())
    }
}

impl From<&str> for Detail {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Detail {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Address> for Detail {
    fn from(address: Address) -> Self {
        Self::Text(address.to_string())
    }
}

impl From<B256> for Detail {
    fn from(word: B256) -> Self {
        Self::Text(word.to_string())
    }
}
