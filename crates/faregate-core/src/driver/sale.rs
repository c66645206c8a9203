//! What is left to do once the service has answered: keep the answer, or let it leave and settle.

use std::fmt;

use faregate_ledger::{Answer, Step};
use faregate_types::{PaymentId, RailName};

use super::Till;
use crate::live::LiveGuard;
use crate::port::{Away, SettleOutcome, Settlement};
use crate::rail::Presented;
use crate::shared::SharedUses;
use crate::uses::Taken;

/// How often what was lent is settled at once when nothing could be sent: its credential may be too old when recovery comes
/// to it.
const LENT_TRIES: u32 = 3;

/// A finished sale whose answer is not kept yet. While it lives, copies are told to wait. Dropped, the payer is owed an
/// answer to the same request.
#[derive(Debug)]
pub struct Sale {
    till: Till,
    id: PaymentId,
    /// The settlement, as long as it is not in the ledger: what was paid beforehand is recorded together with the answer.
    settled: Option<Settlement>,
    /// Which use of which payment was sold, if it has several.
    pub(super) sold: Option<Taken>,
    /// Where other gates count it too.
    shared: Option<SharedUses>,
    _guard: LiveGuard,
}

/// An answer that is to leave before it is paid. Dropped, nothing is charged and nothing may leave.
#[must_use = "the answer must not leave before it is recorded"]
#[derive(Debug)]
pub struct Owed {
    settling: Settling,
}

/// The settlement of an answer that left before it was paid. To be driven to its end beside the answer; what is left
/// undone, [`Recovery`](crate::Recovery) does. While it lives nobody else here works on the payment.
#[must_use = "what was served has to be settled"]
pub struct Settling {
    till: Till,
    presented: Presented,
    _guard: LiveGuard,
}

impl fmt::Debug for Settling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settling")
            .field("payment", &self.presented.id)
            .finish_non_exhaustive()
    }
}

impl Sale {
    pub(super) fn new(
        till: &Till,
        presented: &Presented,
        settled: Option<Settlement>,
        guard: LiveGuard,
    ) -> Self {
        Self {
            till: till.clone(),
            id: presented.id,
            settled,
            sold: None,
            shared: presented.instrument.shared().cloned(),
            _guard: guard,
        }
    }

    /// The payment that was sold.
    #[must_use]
    pub const fn id(&self) -> PaymentId {
        self.id
    }

    /// Keeps the answer for copies of the request and lets them in. If that fails and the sale [is
    /// recorded](Self::is_recorded), the payer has paid and gets the answer anyway; otherwise it must not leave, because
    /// nothing says that the payment was used for it.
    ///
    /// # Errors
    /// [`Away`] when the ledger did not take it.
    pub async fn keep(mut self, answer: Answer) -> Result<(), Away> {
        let step = match self.settled.take() {
            Some(Settlement { transaction, .. }) => Step::Sell {
                transaction,
                answer,
            },
            None => Step::Keep { answer },
        };
        self.till.books.advance(self.id, step).await?;
        if let Some(sold) = &mut self.sold {
            sold.keep();
        }
        Ok(())
    }

    /// True when the ledger says that the payment was used.
    #[must_use]
    pub const fn is_recorded(&self) -> bool {
        self.settled.is_none()
    }

    /// Records that the payment was used, for answers that leave before they can be kept.
    ///
    /// # Errors
    /// [`Away`] when the ledger did not take it: the answer must not leave.
    pub async fn record(&mut self) -> Result<(), Away> {
        let Some(Settlement { transaction, .. }) = &self.settled else {
            return Ok(());
        };
        let step = Step::Settle {
            transaction: transaction.clone(),
        };
        self.till.books.advance(self.id, step).await?;
        self.settled = None;
        Ok(())
    }

    /// The service broke down: what was paid beforehand is given back. For other payments the payer is owed an answer to the
    /// same request.
    pub async fn give_back(self) {
        if self.is_recorded() {
            return;
        }
        if let Some(shared) = &self.shared {
            shared.give_back(self.id).await;
        }
        if let Err(away) = self.till.books.advance(self.id, Step::Release).await {
            tracing::warn!(payment = %self.id, %away, "an unserved use could not be given back");
        }
    }
}

impl Owed {
    pub(super) fn new(till: &Till, presented: Presented, guard: LiveGuard) -> Self {
        let settling = Settling {
            till: till.clone(),
            presented,
            _guard: guard,
        };
        Self { settling }
    }

    /// The payment that is owed.
    #[must_use]
    pub const fn id(&self) -> PaymentId {
        self.settling.presented.id
    }

    /// Records durably what is about to leave, for copies of the request and so that it is settled whatever happens. Only
    /// after this may the answer leave.
    ///
    /// # Errors
    /// [`Away`] when the ledger did not take it: the answer must not leave.
    pub async fn serve(self, answer: Answer) -> Result<Settling, Away> {
        let step = Step::Serve { answer };
        self.settling.till.books.advance(self.id(), step).await?;
        Ok(self.settling)
    }
}

impl Settling {
    /// The rail that it is paid over.
    #[must_use]
    pub const fn rail(&self) -> RailName {
        self.presented.rail
    }

    /// Moves the money and records what became of it.
    pub async fn run(self) -> SettleOutcome {
        let (books, id) = (&self.till.books, self.presented.id);
        let settling = &self.presented.instrument;
        let mut outcome = settling.settle(&books.trail(id)).await;
        // Elsewhere something may have been sent all the same, and then a refusal of the repetition proves nothing.
        let rail = self.till.rail(self.presented.rail);
        let repeats = rail.is_some_and(|rail| rail.uses_trail());
        for _ in 1..LENT_TRIES {
            if !repeats || !is_unsent(&outcome) {
                break;
            }
            outcome = settling.settle(&books.trail(id)).await;
        }
        books.record_or_log(id, &outcome).await;
        if let SettleOutcome::Failed(refusal) = &outcome {
            let code = refusal.code.as_str();
            tracing::error!(payment = %id, code, "served and not paid: the payment failed");
        }
        outcome
    }
}

/// True when nothing is known to have been handed to the network.
const fn is_unsent(outcome: &SettleOutcome) -> bool {
    matches!(outcome, SettleOutcome::Unknown(unknown) if unknown.transaction.is_none())
}
