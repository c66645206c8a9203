//! A "no" with a stable code.

use std::fmt;

use alloy_primitives::Address;

use crate::code::{Blame, Code, Retry};
use crate::limits::DETAIL_BYTES_MAX;

/// Why a payment, a credential or a request is refused.
///
/// Programs look at [`code`](Self::code); people may read `detail`. Neither ever holds a secret.
///
/// ```
/// use faregate_types::{Code, Refusal};
///
/// let refusal = Refusal::new(Code::InvalidPayload).detail("expected authorization.nonce");
/// assert_eq!(refusal.to_string(), "invalid_payload: expected authorization.nonce");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The stable reason.
    pub code: Code,
    /// More for people: at most 300 bytes, one line.
    pub detail: Option<Box<str>>,
    /// Who tried to pay, as far as known.
    pub payer: Option<Address>,
    /// The text that programs of one rail expect word for word, where there is one. It may have several lines.
    pub words: Option<Box<str>>,
}

impl Refusal {
    /// A refusal with nothing but its code.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self {
            code,
            detail: None,
            payer: None,
            words: None,
        }
    }

    /// With a text for people. Control characters become blanks, and what is too long is cut off.
    #[must_use]
    pub fn detail(mut self, text: impl AsRef<str>) -> Self {
        self.detail = Some(one_line(text.as_ref()));
        self
    }

    /// With the words of a rail.
    #[must_use]
    pub fn words(mut self, text: impl Into<Box<str>>) -> Self {
        self.words = Some(text.into());
        self
    }

    /// With the payer's address.
    #[must_use]
    pub const fn payer(mut self, payer: Address) -> Self {
        self.payer = Some(payer);
        self
    }

    /// The stable reason.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Who has to change something.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        self.code.blame()
    }

    /// Whether trying again can help.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        self.code.retry()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{}: {detail}", self.code),
            None => write!(f, "{}: {}", self.code, self.code.meaning()),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}

/// Makes a text fit for logs and answers: one line, bounded.
pub(crate) fn one_line(text: &str) -> Box<str> {
    let end = text.floor_char_boundary(DETAIL_BYTES_MAX);
    let kept = text.get(..end).unwrap_or_default();
    kept.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .into()
}
