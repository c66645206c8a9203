//! Payments that may be made again under their natural key once they have failed.

use faregate_ledger::PaymentState;

use super::run::Run;
use crate::port::Away;

/// How often a payment may fail under one natural key before nobody tries again.
const ATTEMPTS_MAX: u32 = 16;

impl Run<'_> {
    /// The same as another attempt, when the one in the books has failed and its rail allows that.
    pub(super) async fn after_failure(&self) -> Result<Option<Self>, Away> {
        if !self.rail.is_repeatable() || self.attempt >= ATTEMPTS_MAX {
            return Ok(None);
        }
        let known = self.till.books.payment(self.presented.id).await?;
        if known.is_none_or(|known| known.state != PaymentState::Failed) {
            return Ok(None);
        }
        let attempt = self.attempt.saturating_add(1);
        let mut next = self.presented.clone();
        next.id = next.id.nth(attempt);
        Ok(Some(Self {
            idempotency: self.idempotency.clone(),
            attempt,
            presented: next,
            ..*self
        }))
    }
}
