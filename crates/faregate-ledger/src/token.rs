//! Tokens that a payer bought and may show again: kept beside the spends, so that a second process need not buy them again.

use std::fmt;

use faregate_types::{PaymentId, Timestamp};

/// Most tokens that are kept. Beyond it, those that end first make room.
pub const TOKENS_KEPT_MAX: u32 = 1024;

/// Most tokens that are told for one origin and method.
pub const TOKENS_TOLD_MAX: u32 = 32;

/// A token, and where it may be shown.
#[derive(Clone, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "an input, written out by callers"
)]
pub struct KeptToken {
    /// The payment that bought it: one payment has one token.
    pub payment: PaymentId,
    /// Scheme, host and port of the seller.
    pub origin: Box<str>,
    /// The method it was bought for.
    pub method: Box<str>,
    /// The path it was bought for, or a pattern of paths that it is good for.
    pub path: Box<str>,
    /// When it was bought.
    pub at: Timestamp,
    /// It is not shown from this moment on.
    pub until: Timestamp,
    /// How many more requests it buys, if that is known. Never zero: a token that buys nothing is not kept.
    pub uses_left: Option<u32>,
    /// What is shown: whoever has it may use it. Empty in lists, never in `Debug`.
    pub credential: Vec<u8>,
}

impl fmt::Debug for KeptToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptToken")
            .field("payment", &self.payment)
            .field("origin", &self.origin)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("at", &self.at)
            .field("until", &self.until)
            .field("uses_left", &self.uses_left)
            .finish_non_exhaustive()
    }
}

impl KeptToken {
    /// Whether its times are before 2⁶³ seconds, so that every engine can put them in order. Others are not kept:
    /// [`StoreError::Damaged`](crate::StoreError::Damaged).
    #[must_use]
    pub fn is_orderable(&self) -> bool {
        let ordered = |time: Timestamp| i64::try_from(time.as_secs()).is_ok();
        ordered(self.at) && ordered(self.until)
    }

    /// What is kept of it once one more request was made with it; `None` when nothing is left.
    #[must_use]
    pub fn used(self) -> Option<Self> {
        let uses_left = match self.uses_left {
            None => None,
            Some(left) => Some(left.checked_sub(1).filter(|left| *left > 0)?),
        };
        Some(Self { uses_left, ..self })
    }

    /// The same without what is secret in it.
    #[must_use]
    pub fn listed(&self) -> Self {
        Self {
            credential: Vec::new(),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_used_until_nothing_is_left_and_never_printed() {
        let token = |uses_left| KeptToken {
            payment: PaymentId::from_bytes([1; 32]),
            origin: "https://a.example".into(),
            method: "GET".into(),
            path: "/".into(),
            at: Timestamp::from_secs(1),
            until: Timestamp::from_secs(2),
            uses_left,
            credential: b"hunter2".to_vec(),
        };
        let left = |uses_left| token(uses_left).used().map(|token| token.uses_left);
        let table = [
            (Some(0), None),
            (Some(1), None),
            (Some(2), Some(Some(1))),
            (None, Some(None)),
        ];
        for (before, after) in table {
            assert_eq!(left(before), after, "{before:?}");
        }
        let shown = format!("{:?}", token(None));
        assert!(!shown.contains("hunter2") && !shown.contains(&format!("{:?}", b"hunter2")));
        assert_eq!(token(None).listed().credential, [0; 0]);
    }
}
