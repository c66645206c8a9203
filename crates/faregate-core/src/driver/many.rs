//! Payments that buy more than one request.

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;

use faregate_ledger::{Claimed, PaymentState};
use faregate_types::{Code, Fingerprint, PaymentId, Refusal};
use futures_util::future::{BoxFuture, Either, select};
use http::HeaderMap;

use super::run::{Begun, Run, bug, pending_at};
use super::{Outcome, Paid, Served, Till};
use crate::live::{LiveGuard, Waiting};
use crate::offer::Offer;
use crate::order::Asked;
use crate::port::SettleOutcome;
use crate::rail::{Credential, Headers, Presented, Rail, Uses};
use crate::uses::Pass;

impl Till {
    /// What the headers' credential bought, if that is whatever is asked until it expires, and the ledger is known to say so:
    /// then there is nothing to claim and nothing to keep. Pure but for what this process remembers, and whoever watches is
    /// told that the route is open: the service is called now.
    #[must_use]
    pub fn pass(&self, headers: &HeaderMap, offer: &Offer, asked: &Asked) -> Option<Paid> {
        let mut known = self
            .rails
            .iter()
            .filter_map(|rail| rail.known(headers, offer, asked));
        let presented = known.next()?;
        self.as_pass(self.rail(presented.rail)?, &presented, offer)
    }

    /// The same for a credential that was read. It is remembered.
    #[must_use]
    pub fn new_pass(
        &self,
        headers: &HeaderMap,
        offer: &Offer,
        asked: &Asked,
        credential: &Credential,
    ) -> Option<Paid> {
        let rail = self.rail(credential.rail())?;
        // Looked at before it is checked, because whatever else it is will be checked where it is sold.
        rail.named(credential)
            .and_then(|id| self.books.passes().find(id))?;
        let presented = rail.present(credential.clone(), offer, asked).ok()?;
        let paid = self.as_pass(rail, &presented, offer)?;
        rail.remember(headers, offer, asked, presented);
        Some(paid)
    }

    fn as_pass(&self, rail: &Arc<dyn Rail>, presented: &Presented, offer: &Offer) -> Option<Paid> {
        if !matches!(presented.uses, Uses::Unlimited | Uses::Issued) {
            return None;
        }
        // One that was let in on trust elsewhere is asked about again where nobody is trusted.
        let pass = self.books.passes().find(presented.id)?;
        if pass != Pass::Settled && !rail.trusts(offer) {
            return None;
        }
        let paid = Paid {
            id: presented.id,
            rail: presented.rail,
            settlement: presented.instrument.prepaid(),
            transfer: presented.transfer.clone(),
        };
        self.tell_authorised(offer, &paid);
        Some(paid)
    }

    /// The payment buys `max` requests: this one takes the first use that nobody has taken.
    pub(super) async fn sell_one_of<R, F>(
        &self,
        run: Run<'_>,
        max: NonZeroU32,
        patience: impl Future<Output = ()> + Send,
        serve: F,
    ) -> Outcome<R>
    where
        F: FnOnce(Paid) -> BoxFuture<'static, Served<R>> + Send,
        R: Send,
    {
        // Uses that others are owed an answer for; given back when this request has found its own.
        let mut owed = Vec::new();
        let mut patience = pin!(patience);
        // Of two requests under one name the second sees what the first has claimed.
        let _naming = loop {
            match run.enter_name() {
                Ok(naming) => break naming,
                Err(waiting) => {
                    let waited = select(waiting, patience.as_mut()).await;
                    if matches!(waited, Either::Right(_)) {
                        return Outcome::InFlight;
                    }
                }
            }
        };
        loop {
            let mut taken = match self.uses.take(&self.books, run.presented.id, max).await {
                Ok(Some(taken)) => taken,
                Ok(None) => return self.used_up(run, patience, serve).await,
                Err(away) => return Outcome::Unavailable(away),
            };
            let Ok(one) = run.nth(taken.number(), max) else {
                return bug();
            };
            let Ok(guard) = self.live.enter(one.presented.id) else {
                // Whoever is on it gives it back if it buys nothing.
                taken.keep();
                continue;
            };
            match one.begin().await {
                Begun::Claimed(Claimed::Conflict) => {
                    if one.is_answered().await {
                        taken.keep();
                    } else {
                        owed.push(taken);
                    }
                }
                Begun::Claimed(Claimed::Same(used) | Claimed::InFlight(used))
                    if used.answer.is_some() =>
                {
                    taken.keep();
                }
                // Where there are many, each is looked for once only. The only one may be given back there.
                Begun::Elsewhere if max.get() > 1 => taken.keep(),
                Begun::Elsewhere => owed.push(taken),
                // The payer says that it was bought already, and with which use.
                Begun::Claimed(Claimed::Repeated(first)) => {
                    drop((guard, taken));
                    return match one.instead(&first) {
                        Some(copy) => self.sell_once(copy, patience, serve).await,
                        None => bug(),
                    };
                }
                begun => {
                    let mut outcome = one.go(begun, guard, serve).await;
                    match &mut outcome {
                        Outcome::Sold { sale, .. } => sale.sold = Some(taken),
                        Outcome::Owed { .. } | Outcome::Pending { .. } => taken.keep(),
                        _ => drop(taken),
                    }
                    return outcome;
                }
            }
        }
    }

    /// Everything that the payment buys was bought; perhaps this very thing, and the answer was lost on the way.
    async fn used_up<R, F>(
        &self,
        run: Run<'_>,
        patience: impl Future<Output = ()> + Send,
        serve: F,
    ) -> Outcome<R>
    where
        F: FnOnce(Paid) -> BoxFuture<'static, Served<R>> + Send,
        R: Send,
    {
        let Some(own) = &run.idempotency else {
            return run.refuse_used_up().await;
        };
        let payer = run.presented.transfer.debit.clone();
        let first = match self.books.named(payer, own.key.clone()).await {
            Ok(first) => first,
            Err(away) => return Outcome::Unavailable(away),
        };
        match first.and_then(|first| first.keyed(&own.request)) {
            None => run.refuse_used_up().await,
            Some(Claimed::Repeated(first)) => match run.instead(&first) {
                Some(copy) => self.sell_once(copy, patience, serve).await,
                None => bug(),
            },
            Some(_) => Outcome::KeyConflict,
        }
    }
}

impl Run<'_> {
    /// This request as the `n`th use of its payment.
    fn nth(&self, n: u32, of: NonZeroU32) -> Result<Self, Refusal> {
        Ok(Self {
            presented: self.presented.nth(n, of)?,
            idempotency: self.idempotency.clone(),
            ..*self
        })
    }

    /// Enters the payer's name for this purchase, if there is one: one request at a time looks for a use under it.
    fn enter_name(&self) -> Result<Option<LiveGuard>, Waiting> {
        let Some(own) = &self.idempotency else {
            return Ok(None);
        };
        let id = self.presented.id;
        let name = Fingerprint::of(&[b"name", id.as_bytes(), own.key.as_str().as_bytes()]);
        let live = &self.till.live;
        live.enter(PaymentId::from_bytes(*name.as_bytes()))
            .map(Some)
    }

    /// True when somebody got what this use was claimed for, or the ledger does not say.
    async fn is_answered(&self) -> bool {
        let used = self.till.books.payment(self.presented.id).await;
        used.ok().flatten().is_none_or(|used| used.answer.is_some())
    }

    /// Another gate has sold what the payment buys.
    pub(super) async fn refuse_used_elsewhere<R>(self) -> Outcome<R> {
        let refusal = self.rail.used_elsewhere();
        self.till.unpaid(self.offer, self.asked, refusal).await
    }

    /// Everything that the payment buys was bought.
    pub(super) async fn refuse_used_up<R>(self) -> Outcome<R> {
        let refusal = Refusal::new(Code::L402TokenUsedUp);
        self.till.unpaid(self.offer, self.asked, refusal).await
    }

    /// Serves on a payment that buys whatever is asked. That it was paid stands in the ledger before anything is served.
    pub(super) async fn pass<R, F>(self, serve: F) -> Outcome<R>
    where
        F: FnOnce(Paid) -> BoxFuture<'static, Served<R>> + Send,
        R: Send,
    {
        let passes = self.till.books.passes();
        let as_of = passes.as_of();
        let settled = match self.begin().await {
            Begun::Refused(refusal) => {
                return self.till.unpaid(self.offer, self.asked, refusal).await;
            }
            Begun::Away(away) => return Outcome::Unavailable(away),
            Begun::Elsewhere => return self.refuse_used_elsewhere().await,
            Begun::Claimed(Claimed::Same(payment)) if payment.failure.is_none() => {
                self.rail.recorded(&payment)
            }
            // New, or whoever claimed it, for whichever request, did not get to write down that it is paid.
            Begun::Lent | Begun::Claimed(_) | Begun::Spent(_) => self.settle().await,
        };
        let SettleOutcome::Settled(_) = settled else {
            return self.ended_unpaid(settled).await;
        };
        passes.add(self.presented.id, Pass::Settled, as_of);
        let receipt = self.presented.instrument.receipt(&settled);
        match serve(self.serving(Some(&settled))).await {
            Served::Well(response) | Served::Badly(response) => {
                Outcome::Passed { response, receipt }
            }
        }
    }

    /// Serves on a token that was given out for a payment, unless that has failed or cannot be found, or the route wants the
    /// money to have moved and it has not.
    pub(super) async fn admit<R, F>(self, serve: F) -> Outcome<R>
    where
        F: FnOnce(Paid) -> BoxFuture<'static, Served<R>> + Send,
        R: Send,
    {
        let (id, passes) = (self.presented.id, self.till.books.passes());
        let as_of = passes.as_of();
        let payment = match self.till.books.payment(id).await {
            Ok(payment) => payment,
            Err(away) => return Outcome::Unavailable(away),
        };
        let settled = match &payment {
            Some(payment) if payment.state == PaymentState::Settled => {
                Some(self.rail.recorded(payment))
            }
            // The answer that says so is the token.
            Some(payment)
                if payment.state.is_open()
                    && payment.answer.is_some()
                    && !passes.is_doubtful(id) =>
            {
                None
            }
            Some(_) | None => {
                let refusal = Refusal::new(Code::AccessTokenRevoked);
                return self.till.unpaid(self.offer, self.asked, refusal).await;
            }
        };
        let pass = match settled {
            Some(_) => Pass::Settled,
            None if self.rail.trusts(self.offer) => Pass::Trusted,
            // To be shown again later; paid for is it already.
            None => {
                let transaction = payment.and_then(|payment| payment.transaction);
                return self.pending(pending_at(transaction));
            }
        };
        passes.add(id, pass, as_of);
        match serve(self.serving(settled.as_ref())).await {
            Served::Well(response) | Served::Badly(response) => Outcome::Passed {
                response,
                receipt: Headers::new(),
            },
        }
    }

    async fn ended_unpaid<R>(&self, outcome: SettleOutcome) -> Outcome<R> {
        match outcome {
            SettleOutcome::Failed(_) => self.refused(&outcome).await,
            SettleOutcome::Unknown(_) | SettleOutcome::Settled(_) => self.pending(outcome),
        }
    }
}
