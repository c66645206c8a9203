//! The wallet's books, as the client uses them: what may be spent, and what was.

use std::sync::Arc;

use faregate_ledger::{Caps, Period, Spend, SpendEnd, StoreError, WalletStore, Worth};
use faregate_types::{PaymentId, Timestamp};

use crate::alarm::{Changes, Findings};
use crate::error::PayError;
use crate::select::Price;

/// The books and the rules that need them.
pub(crate) struct Books {
    pub(crate) store: Arc<dyn WalletStore>,
    pub(crate) caps: Caps,
    pub(crate) changes: Changes,
}

impl Books {
    /// Compares a price with what is known about its place.
    pub(crate) async fn check_terms(
        &self,
        origin: &str,
        path: &str,
        price: &Price,
    ) -> Result<Findings, PayError> {
        let known = self
            .store
            .known_terms(
                origin.into(),
                path.into(),
                price.amount.asset(),
                price.payee.to_string().into(),
            )
            .await?;
        Ok(self.changes.judge(origin, path, price, &known))
    }

    /// Whether the caps would allow it now. Reserves nothing, so the answer may be old when it arrives.
    pub(crate) async fn check_caps(
        &self,
        origin: &str,
        worth: Worth,
        now: Timestamp,
    ) -> Result<(), PayError> {
        let everything = Period {
            secs: 0,
            cap: Worth::ZERO,
        };
        let since = self.caps.per_period.unwrap_or(everything).since(now);
        let usage = self.store.usage(origin.into(), since).await?;
        Ok(self.caps.check(worth, &usage)?)
    }

    /// Writes a signed payment into the books, if the caps allow it. Only afterwards may the signature leave the process.
    pub(crate) async fn reserve(&self, spend: &Spend) -> Result<(), PayError> {
        let reserve = || self.store.reserve_spend(spend.clone(), self.caps);
        let verdict = match reserve().await {
            // Whether it was written is unknown, and repeating is harmless.
            Err(StoreError::Unavailable) => reserve().await,
            verdict => verdict,
        };
        Ok(verdict??)
    }

    /// Writes down how a payment ended. If that fails the spend stays open, which is safe: it would be sent again, and the
    /// server knows it. The answer that was paid for is not thrown away for it.
    pub(crate) async fn finish(&self, id: PaymentId, end: SpendEnd, at: Timestamp) {
        let finish = || self.store.finish_spend(id, end.clone(), at);
        let finished = match finish().await {
            Err(StoreError::Unavailable) => finish().await,
            finished => finished,
        };
        if let Err(error) = finished {
            tracing::warn!(payment = %id, %error, "the end of a payment is not in the books");
        }
    }
}
