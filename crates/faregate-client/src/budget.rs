//! The wallet's books, as the client uses them: what may be spent, and what was.

use std::sync::Arc;

use faregate_ledger::{
    CapRefusal, Caps, KnownTerms, Period, Reserved, Spend, SpendEnd, SpendState, StoreError, Terms,
    Unit, WalletStore, Worth,
};
use faregate_types::{PaymentId, Timestamp};

use crate::alarm::{Bell, Changes, Findings, Places};
use crate::client::internal;
use crate::error::PayError;
use crate::events::{BudgetExceeded, Event, Source};
use crate::report::left;

/// The books and the rules that need them.
pub(crate) struct Books {
    pub(crate) store: Arc<dyn WalletStore>,
    /// In dollars.
    pub(crate) caps: Caps,
    pub(crate) changes: Changes,
    pub(crate) places: Places,
    pub(crate) events: Source,
}

impl Books {
    /// Compares a price with what is known about its place.
    pub(crate) async fn check_terms(
        &self,
        origin: &str,
        path: &str,
        terms: &Terms,
    ) -> Result<(Findings, KnownTerms), PayError> {
        let known = self
            .store
            .known_terms(
                origin.into(),
                path.into(),
                terms.amount.asset(),
                terms.payee.clone(),
            )
            .await?;
        Ok((self.changes.judge(origin, path, terms, &known), known))
    }

    /// Before anything is signed: compares a price with what is known about its place, and rings for what changed. `None`
    /// when this client signed the very same terms there last, so that there is nothing to compare.
    pub(crate) async fn expect(
        &self,
        bell: &Bell,
        origin: &str,
        path: &str,
        terms: &Terms,
    ) -> Result<Option<KnownTerms>, PayError> {
        if self.places.has(origin, path, terms) {
            return Ok(None);
        }
        let (findings, known) = self.check_terms(origin, path, terms).await?;
        bell.ring_all(&findings.alarms);
        findings.verdict?;
        Ok(Some(known))
    }

    /// Whether the caps would allow it now. Reserves nothing, so the answer may be old when it arrives.
    pub(crate) async fn check_caps(
        &self,
        origin: &str,
        unit: Unit,
        worth: Worth,
        caps: &Caps,
        now: Timestamp,
    ) -> Result<(), PayError> {
        let everything = Period {
            secs: 0,
            cap: Worth::ZERO,
        };
        let since = caps.per_period.unwrap_or(everything).since(now);
        let usage = self.store.usage(origin.into(), unit, since).await?;
        Ok(caps.check(worth, &usage)?)
    }

    /// Writes a signed payment into the books, if terms and caps allow it. Only afterwards may the signature leave the process.
    /// The terms are compared again, in the transaction that writes: what was `expected` may be old by then, or unknown.
    pub(crate) async fn reserve(
        &self,
        bell: &Bell,
        spend: &Spend,
        terms: Terms,
        caps: Caps,
        expected: Option<&KnownTerms>,
    ) -> Result<(), PayError> {
        let reserve = || {
            let rule = self.changes.rule();
            self.store.reserve_spend(spend.clone(), caps, rule)
        };
        let verdict = match reserve().await {
            // Whether it was written is unknown, and repeating is harmless.
            Err(StoreError::Unavailable) => reserve().await,
            verdict => verdict,
        }?;
        let (Reserved::Recorded(known) | Reserved::Terms(_, known) | Reserved::Cap(_, known)) =
            &verdict;
        let findings = self
            .changes
            .judge(&spend.origin, &spend.path, &terms, known);
        if expected != Some(known) {
            bell.ring_all(&findings.alarms);
        }
        match verdict {
            Reserved::Recorded(_) => {
                self.events.tell(Event::spent(spend));
                self.places.put(&spend.origin, &spend.path, terms);
                Ok(())
            }
            Reserved::Cap(refusal, _) => {
                self.exceeded(spend, &caps, refusal).await;
                Err(refusal.into())
            }
            // It was signed and is not sent. The verdict is the rule's; were it not, nothing would be sent either.
            Reserved::Terms(..) => Err(findings.verdict.err().unwrap_or_else(internal)),
        }
    }

    /// Says that a cap refused a payment, to whoever listens.
    async fn exceeded(&self, spend: &Spend, caps: &Caps, cap: CapRefusal) {
        if !self.events.is_heard() {
            return;
        }
        let unit = Unit::of(spend.amount.asset());
        let since = caps
            .per_period
            .map_or(spend.at, |period| period.since(spend.at));
        let usage = self.store.usage(spend.origin.clone(), unit, since).await;
        let remaining = usage.ok().and_then(|usage| match cap {
            CapRefusal::Payment => Some(caps.per_payment),
            CapRefusal::Host => caps.per_host.map(|cap| left(cap, usage.host)),
            CapRefusal::Period => caps.per_period.map(|period| left(period.cap, usage.period)),
            CapRefusal::Total => caps.total.map(|cap| left(cap, usage.total)),
            _ => None,
        });
        self.events
            .tell(Event::BudgetExceeded(Arc::new(BudgetExceeded {
                origin: spend.origin.clone(),
                path: spend.path.clone(),
                cap,
                unit,
                required: Some(spend.worth),
                remaining,
            })));
    }

    /// [`finish`](Self::finish) without waiting for the disk: whoever asks these books afterwards sees it, and a crash before
    /// it is written leaves the payment open, which is safe.
    pub(crate) async fn finish_later(&self, id: PaymentId, end: SpendEnd, at: Timestamp) {
        if self.store.finish_spend_later(id, end.clone(), at) {
            self.ended(id, &end);
        } else {
            self.finish(id, end, at).await;
        }
    }

    /// Writes down how a payment ended. If that fails the spend stays open, which is safe: it would be sent again, and the
    /// server knows it. The answer that was paid for is not thrown away for it.
    pub(crate) async fn finish(&self, id: PaymentId, end: SpendEnd, at: Timestamp) {
        self.ended(id, &end);
        let finish = || self.store.finish_spend(id, end.clone(), at);
        let finished = match finish().await {
            Err(StoreError::Unavailable) => finish().await,
            finished => finished,
        };
        if let Err(error) = finished {
            tracing::warn!(payment = %id, %error, "the end of a payment is not in the books");
        }
    }

    fn ended(&self, id: PaymentId, end: &SpendEnd) {
        let state = SpendState::Open.after(end);
        self.events.tell(Event::Ended { id, state });
    }
}
