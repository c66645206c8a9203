//! The wallet's books, as the client uses them: what may be spent, and what was.

use std::sync::Arc;

use faregate_ledger::{Caps, Period, Spend, SpendEnd, StoreError, WalletStore, Worth};
use faregate_types::{AssetId, PaymentId, Timestamp};

use crate::error::{PayError, PayeeChanged};
use crate::select::Price;

/// What to do when a server names another payee than it did before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayeeChanges {
    /// Do not pay: [`PayError::PayeeChanged`].
    #[default]
    Refuse,
    /// Pay. The first payee stays the known one.
    Allow,
}

/// The books and the rules that need them.
pub(crate) struct Books {
    pub(crate) store: Arc<dyn WalletStore>,
    pub(crate) caps: Caps,
    pub(crate) payee_changes: PayeeChanges,
}

impl Books {
    /// Refuses a payee that is not the one this origin named first, for this asset.
    pub(crate) async fn check_payee(
        &self,
        origin: &str,
        path: &str,
        price: &Price,
    ) -> Result<(), PayError> {
        if self.payee_changes == PayeeChanges::Allow {
            return Ok(());
        }
        let asset: AssetId = price.amount.asset();
        let asked = price.payee.to_string().into();
        let known = self
            .store
            .known_terms(origin.into(), path.into(), asset, asked);
        match known.await?.payee {
            Some(known) if *known != *price.payee.to_string() => {
                Err(PayError::PayeeChanged(Box::new(PayeeChanged {
                    origin: origin.into(),
                    known,
                    asked: price.payee,
                })))
            }
            Some(_) | None => Ok(()),
        }
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
