//! A facilitator with a memory: every settlement is claimed in the ledger before it is sent, so that copies of one
//! request get the recorded result and make one transaction.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use faregate_ledger::{AccountId, Claim, Claimed, LedgerStore, Payment, PaymentState, Transfer};
use faregate_types::x402::FacilitatorRequest;
use faregate_types::x402::exact::ExactPayment;
use faregate_types::{Amount, Code, Fingerprint, PaymentId, RailName, Refusal};

use futures_util::future::select;

use crate::books::Books;
use crate::live::Live;
use crate::port::{Away, Clock, Facilitator, SettleOutcome, Settlement, Unknown, Verdict};

/// Settles requests of other people's gates, once each.
#[derive(Clone)]
pub struct Settler {
    pub(crate) facilitator: Arc<dyn Facilitator>,
    pub(crate) books: Books,
    pub(crate) live: Live,
}

impl fmt::Debug for Settler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settler").finish_non_exhaustive()
    }
}

/// The route name of payments that were settled for somebody else's gate.
const ROUTE: &str = "facilitator";

impl Settler {
    /// A settler over `facilitator` that remembers in `store`.
    #[must_use]
    pub fn new(
        facilitator: Arc<dyn Facilitator>,
        store: Arc<dyn LedgerStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            facilitator,
            books: Books::new(store, clock),
            live: Live::default(),
        }
    }

    /// Settles once. A copy gets the recorded result; a copy while the first is in progress waits for that until
    /// `patience` ends, then gets [`Code::SettlementPending`].
    ///
    /// # Errors
    /// [`Away`] when nothing was sent because the ledger, the chain or the facilitator did not answer.
    pub async fn settle(
        &self,
        request: &FacilitatorRequest,
        patience: impl Future<Output = ()> + Send,
    ) -> Result<SettleOutcome, Away> {
        let payment = match request.exact() {
            Ok(payment) => payment,
            Err(refusal) => return Ok(SettleOutcome::Failed(refusal)),
        };
        let id = payment.id();
        let claim = self.claim_of(id, &payment, request);
        let _guard = match self.live.enter(id) {
            Ok(guard) => guard,
            Err(waiting) => {
                select(pin!(waiting), pin!(patience)).await;
                let known = self.books.known(id, &claim.fingerprint).await?;
                return Ok(known.map_or_else(|| pending(None), |known| copy(known, &payment)));
            }
        };
        let claimed = match self.facilitator.verify(request).await? {
            Verdict::Valid { .. } => self.books.claim(claim).await?,
            // A settled authorisation no longer verifies; its copies get the recorded result.
            Verdict::Invalid(refusal) => match self.books.known(id, &claim.fingerprint).await? {
                Some(known) => known,
                None => return Ok(SettleOutcome::Failed(refusal)),
            },
        };
        match claimed {
            Claimed::Won => Ok(self.send(id, request).await),
            Claimed::InFlight(known)
                if known.state == PaymentState::Reserved && self.facilitator.uses_trail() =>
            {
                Ok(self.send(id, request).await)
            }
            Claimed::InFlight(known) => {
                let outcome = self
                    .facilitator
                    .resolve(request, known.transaction.as_deref())
                    .await;
                self.books.record(id, &outcome).await?;
                Ok(outcome)
            }
            known @ (Claimed::Same(_)
            | Claimed::Conflict
            | Claimed::Overdrawn { .. }
            | Claimed::Exposed
            | Claimed::Repeated(_)
            | Claimed::KeyConflict) => Ok(copy(known, &payment)),
        }
    }

    async fn send(&self, id: PaymentId, request: &FacilitatorRequest) -> SettleOutcome {
        let outcome = self
            .facilitator
            .settle(request, &self.books.trail(id))
            .await;
        self.books.record_or_log(id, &outcome).await;
        outcome
    }

    fn claim_of(
        &self,
        id: PaymentId,
        payment: &ExactPayment,
        request: &FacilitatorRequest,
    ) -> Claim {
        let evidence = request.encode();
        Claim {
            id,
            rail: RailName::X402,
            fingerprint: Fingerprint::of(&[&evidence]),
            transfer: transfer_of(payment),
            route: ROUTE.into(),
            evidence,
            at: self.books.now(),
            exposure_max: None,
            funds: None,
            idempotency: None,
        }
    }
}

/// The movement that an exact payment stands for.
pub(crate) fn transfer_of(payment: &ExactPayment) -> Transfer {
    Transfer {
        debit: AccountId::payer(payment.payload.authorization.from),
        credit: AccountId::payee(payment.terms.pay_to),
        amount: Amount::new(payment.terms.amount, payment.terms.asset),
    }
}

/// How a payment ended, as the ledger has it.
pub(crate) fn recorded(known: &Payment, payment: &ExactPayment) -> SettleOutcome {
    known.failure.map_or_else(
        || {
            SettleOutcome::Settled(Settlement {
                transaction: known.transaction.clone(),
                payer: Some(payment.payload.authorization.from),
            })
        },
        |code| SettleOutcome::Failed(Refusal::new(code).payer(payment.payload.authorization.from)),
    )
}

/// What a copy hears that does nothing itself.
fn copy(known: Claimed, payment: &ExactPayment) -> SettleOutcome {
    match known {
        Claimed::Same(known) => recorded(&known, payment),
        Claimed::InFlight(known) => pending(known.transaction),
        Claimed::Conflict => SettleOutcome::Failed(
            Refusal::new(Code::PaymentConflict).payer(payment.payload.authorization.from),
        ),
        // A claim without a key, an exposure and known funds meets none of these.
        Claimed::Won
        | Claimed::Overdrawn { .. }
        | Claimed::Exposed
        | Claimed::Repeated(_)
        | Claimed::KeyConflict => pending(None),
    }
}

const fn pending(transaction: Option<Box<str>>) -> SettleOutcome {
    SettleOutcome::Unknown(Unknown {
        code: Code::SettlementPending,
        transaction,
    })
}
