//! What the till tells whoever watches it, besides what the ledger says of payments.

use std::sync::Arc;

use faregate_ledger::AccountId;
use faregate_types::permit::Permit;
use faregate_types::{Amount, Code, RailName};

use super::run::Run;
use super::{Outcome, Paid, Till};
use crate::observe::{About, GateEvent, Kind, Observer, Watch, What};
use crate::offer::Offer;
use crate::port::SettleOutcome;
use crate::rail::{Presented, Uses};

impl Till {
    /// The same till, watched. To be called before the till is handed on: layers, token endpoints and
    /// [recovery](Till::recovery) that are made of it are watched too.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn Observer>) -> Self {
        self.books = self.books.watched(Watch::new(observer));
        self
    }

    /// Tells whoever watches that a request without a credential that can be read was told how to pay. To be called by
    /// whoever answers it.
    pub fn tell_challenged(&self, offer: &Offer, code: Code) {
        let what = What::Challenged { code };
        self.tell_of(Kind::Challenged, offer, None, || None, what);
    }

    /// Tells whoever watches that a permit was posted for a token of this offer.
    pub fn tell_token_asked(&self, offer: &Offer, permit: &Permit) {
        let about = || {
            Some(About {
                id: permit.payment_id(),
                payer: AccountId::payer(permit.terms.payer()),
                amount: Amount::new(permit.terms.value(), permit.asset()),
            })
        };
        let rail = Some(RailName::PERMIT);
        self.tell_of(Kind::TokenAsked, offer, rail, about, What::TokenAsked);
    }

    /// The service is called now, for this.
    pub(super) fn tell_authorised(&self, offer: &Offer, paid: &Paid) {
        let about = || Some(About::new(paid.id, &paid.transfer));
        let rail = Some(paid.rail);
        self.tell_of(Kind::Authorised, offer, rail, about, What::Authorised);
    }

    pub(super) fn tell_refused(
        &self,
        offer: &Offer,
        rail: RailName,
        about: Option<About>,
        code: Code,
    ) {
        let what = What::Refused { code };
        self.tell_of(Kind::Refused, offer, Some(rail), || about, what);
    }

    /// What will be told of a credential should it be refused.
    pub(super) fn about_refused(&self, presented: &Presented) -> Option<About> {
        let wanted = self.books.watch().wants(Kind::Refused);
        wanted.then(|| About::new(presented.id, &presented.transfer))
    }

    fn tell_of(
        &self,
        kind: Kind,
        offer: &Offer,
        rail: Option<RailName>,
        about: impl FnOnce() -> Option<About>,
        what: What,
    ) {
        let watch = self.books.watch();
        if watch.wants(kind) {
            watch.tell(GateEvent {
                at: self.books.now(),
                route: offer.route().into(),
                rail,
                payment: about(),
                what,
            });
        }
    }
}

/// Why a request was refused, if it was.
pub(super) const fn refused_for<R>(outcome: &Outcome<R>) -> Option<Code> {
    match outcome {
        Outcome::Unpaid { refusal, .. } | Outcome::Refused { refusal, .. } => Some(refusal.code),
        Outcome::Conflict => Some(Code::PaymentConflict),
        Outcome::KeyConflict => Some(Code::IdempotencyConflict),
        Outcome::Sold { .. }
        | Outcome::NotSold(_)
        | Outcome::Pending { .. }
        | Outcome::Replay(_)
        | Outcome::InFlight
        | Outcome::Unavailable(_)
        | Outcome::Owed { .. }
        | Outcome::Passed { .. } => None,
    }
}

impl Run<'_> {
    /// What the service gets to know; it is called now.
    pub(super) fn serving(&self, outcome: Option<&SettleOutcome>) -> Paid {
        let (paid, presented) = (self.paid(outcome), &self.presented);
        // What is sold for a permit is a token, and the request that it came with opens nothing.
        let buys_token = presented.rail == RailName::PERMIT && presented.uses == Uses::One;
        if !buys_token {
            self.till.tell_authorised(self.offer, &paid);
        }
        paid
    }
}
