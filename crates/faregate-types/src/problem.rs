//! Error answers of our own endpoints: RFC 9457 problem details.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::code::{Code, Retry};
use crate::refusal::{Refusal, one_line};

/// The reference page that explains every code.
const CODES_PAGE: &str =
    "https://github.com/faregate/faregate/blob/main/docs/src/reference/codes.md";

/// The body of an error answer: `{type, title, status, code, detail?, hint?, retryAfterSecs?}`.
///
/// ```
/// use faregate_types::{Code, Problem};
///
/// let problem = Problem::new(Code::PaymentInFlight).hint("wait for the first request to finish");
/// assert_eq!(problem.status, 409);
/// assert!(problem.to_json().contains(r#""code":"payment_in_flight""#));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The HTTP status of the answer.
    pub status: u16,
    /// The stable reason.
    pub code: Code,
    /// What is wrong with this request, for people.
    pub detail: Option<Box<str>>,
    /// What to do about it, for people.
    pub hint: Option<Box<str>>,
    /// When to try again, in seconds.
    pub retry_after_secs: Option<u32>,
}

impl Problem {
    /// The media type of the JSON form.
    pub const CONTENT_TYPE: &'static str = "application/problem+json";

    /// A problem with the status and retry time the code asks for.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        let retry_after_secs = match code.retry() {
            Retry::AfterSecs(secs) => Some(secs),
            Retry::Never | Retry::Same => None,
        };
        Self {
            status: code.http_status(),
            code,
            detail: None,
            hint: None,
            retry_after_secs,
        }
    }

    /// With a text about this request. Control characters become blanks, and what is too long is cut off.
    #[must_use]
    pub fn detail(mut self, text: impl AsRef<str>) -> Self {
        self.detail = Some(one_line(text.as_ref()));
        self
    }

    /// With advice. Control characters become blanks, and what is too long is cut off.
    #[must_use]
    pub fn hint(mut self, text: impl AsRef<str>) -> Self {
        self.hint = Some(one_line(text.as_ref()));
        self
    }

    /// With another HTTP status than the code's own.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// With another retry time than the code's own, in seconds.
    #[must_use]
    pub const fn retry_after_secs(mut self, secs: u32) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }

    /// The JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        crate::x402::wire::to_json(self)
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &format_args!("{CODES_PAGE}#{}", self.code))?;
        map.serialize_entry("title", self.code.meaning())?;
        map.serialize_entry("status", &self.status)?;
        map.serialize_entry("code", self.code.as_str())?;
        if let Some(detail) = &self.detail {
            map.serialize_entry("detail", detail)?;
        }
        if let Some(hint) = &self.hint {
            map.serialize_entry("hint", hint)?;
        }
        if let Some(secs) = self.retry_after_secs {
            map.serialize_entry("retryAfterSecs", &secs)?;
        }
        map.end()
    }
}

impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        Self {
            detail: refusal.detail.clone(),
            ..Self::new(refusal.code)
        }
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::new(code)
    }
}
