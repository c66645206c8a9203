//! One payment as it is held: what never changes apart, texts that repeat held once.

use std::sync::Arc;

use alloy_primitives::U256;
use faregate_ledger::{
    AccountId, Answer, Claim, Claimed, Idempotency, Payment, PaymentState, Transfer,
};
use faregate_types::{Amount, Code, Fingerprint, PaymentId, RailName, Timestamp};

use super::accounts::Holder;

/// What a claim brought.
#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) id: PaymentId,
    pub(super) debit: Holder,
    pub(super) credit: Holder,
    pub(super) amount: Amount,
    pub(super) at: Timestamp,
    rail: RailName,
    fingerprint: Fingerprint,
    route: Arc<str>,
    evidence: Box<[u8]>,
    /// What most claims do not have.
    rare: Option<Box<Rare>>,
}

#[derive(Debug)]
struct Rare {
    exposure_max: Option<U256>,
    idempotency: Option<Idempotency>,
}

impl Fixed {
    pub(super) fn new(claim: Claim, debit: Holder, credit: Holder, route: Arc<str>) -> Self {
        let Claim {
            id,
            rail,
            fingerprint,
            transfer,
            route: _,
            evidence,
            at,
            exposure_max,
            funds: _,
            idempotency,
        } = claim;
        let rare = (exposure_max.is_some() || idempotency.is_some()).then(|| {
            Box::new(Rare {
                exposure_max,
                idempotency,
            })
        });
        Self {
            id,
            debit,
            credit,
            amount: transfer.amount,
            at,
            rail,
            fingerprint,
            route,
            evidence: evidence.into_boxed_slice(),
            rare,
        }
    }

    /// The payer's own name for the purchase.
    pub(super) fn idempotency(&self) -> Option<&Idempotency> {
        self.rare.as_ref()?.idempotency.as_ref()
    }

    fn claim(&self) -> Claim {
        Claim {
            id: self.id,
            rail: self.rail,
            fingerprint: self.fingerprint,
            transfer: Transfer {
                debit: AccountId::clone(&self.debit.name),
                credit: AccountId::clone(&self.credit.name),
                amount: self.amount,
            },
            route: Box::from(&*self.route),
            evidence: self.evidence.to_vec(),
            at: self.at,
            exposure_max: self.rare.as_ref().and_then(|rare| rare.exposure_max),
            funds: None,
            idempotency: self.idempotency().cloned(),
        }
    }
}

/// An answer, and since when.
#[derive(Debug)]
pub(super) struct Kept {
    answer: Answer,
    /// `None` once headers and body are dropped.
    place: Option<AnswerPlace>,
}

/// Where an answer is in the order in which they are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AnswerPlace {
    at: Timestamp,
    /// What it counts.
    pub(super) bytes: u64,
    /// Its number among all that were ever kept.
    number: u64,
}

impl Kept {
    pub(super) fn new(answer: Answer, at: Timestamp, number: u64) -> Self {
        let place = AnswerPlace {
            at,
            bytes: answer.kept_bytes(),
            number,
        };
        Self {
            answer,
            place: Some(place),
        }
    }
}

impl AnswerPlace {
    /// True when it was kept before this time.
    pub(super) fn is_before(&self, time: Timestamp) -> bool {
        self.at < time
    }
}

/// A payment. A copy of it costs a few counters, so that the books are open for others while it is made a [`Payment`].
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) fixed: Arc<Fixed>,
    pub(super) state: PaymentState,
    /// The number of its transfer: a new one with every reservation.
    pub(super) transfer: u64,
    transaction: Option<Arc<str>>,
    failure: Option<Code>,
    pub(super) kept: Option<Arc<Kept>>,
    pub(super) final_at: Option<Timestamp>,
    pub(super) changed_at: Timestamp,
}

impl Row {
    /// A payment that was just claimed.
    pub(super) fn reserved(fixed: Fixed, transfer: u64) -> Self {
        let changed_at = fixed.at;
        Self {
            fixed: Arc::new(fixed),
            state: PaymentState::Reserved,
            transfer,
            transaction: None,
            failure: None,
            kept: None,
            final_at: None,
            changed_at,
        }
    }

    /// Takes over what a step may change, but for the answer.
    pub(super) fn note(&mut self, payment: &Payment) {
        self.state = payment.state;
        self.failure = payment.failure;
        self.final_at = payment.final_at;
        self.changed_at = payment.changed_at;
        if self.transaction.as_deref() != payment.transaction.as_deref() {
            self.transaction = payment.transaction.as_deref().map(Arc::from);
        }
    }

    /// Drops headers and body of its answer.
    pub(super) fn drop_answer(&mut self) {
        self.kept = self.kept.take().map(|kept| {
            Arc::new(Kept {
                answer: kept.answer.dropped(),
                place: None,
            })
        });
    }

    /// Where its answer is among those that count.
    pub(super) fn answer_place(&self) -> Option<AnswerPlace> {
        self.kept.as_ref()?.place
    }

    /// Bytes that came with it from outside, without its answer.
    pub(super) fn claim_bytes(&self) -> u64 {
        let fixed = &self.fixed;
        let key = fixed.idempotency().map_or(0, |own| own.key.as_str().len());
        let reference = self.transaction.as_ref().map_or(0, |text| text.len());
        claim_bytes([fixed.evidence.len(), fixed.route.len(), key, reference])
    }

    /// The payment as in a list: nothing of an answer but its status.
    pub(super) fn listed(&self) -> Payment {
        self.payment_with(Answer::dropped)
    }

    /// The payment.
    pub(super) fn payment(&self) -> Payment {
        self.payment_with(Answer::clone)
    }

    fn payment_with(&self, answer: impl Fn(&Answer) -> Answer) -> Payment {
        Payment {
            claim: self.fixed.claim(),
            state: self.state,
            transaction: self.transaction.as_deref().map(Box::from),
            failure: self.failure,
            answer: self.kept.as_ref().map(|kept| answer(&kept.answer)),
            final_at: self.final_at,
            changed_at: self.changed_at,
        }
    }
}

/// What a claim that is not a row yet would count.
pub(super) fn bytes_of(claim: &Claim) -> u64 {
    let key = claim.idempotency.as_ref();
    let key = key.map_or(0, |own| own.key.as_str().len());
    claim_bytes([claim.evidence.len(), claim.route.len(), key, 0])
}

fn claim_bytes(parts: [usize; 4]) -> u64 {
    let bytes = parts.into_iter().fold(0, usize::saturating_add);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// A verdict about a payment whose answer, if it has one, is still to be put in.
#[derive(Debug)]
pub(super) struct Told {
    claimed: Claimed,
    kept: Option<Arc<Kept>>,
}

impl Told {
    /// A verdict about no payment.
    pub(super) const fn new(claimed: Claimed) -> Self {
        Self {
            claimed,
            kept: None,
        }
    }

    /// A verdict about this one.
    pub(super) fn about(row: &Row, claimed: Claimed) -> Self {
        Self {
            claimed,
            kept: row.kept.clone(),
        }
    }

    /// The whole verdict.
    pub(super) fn claimed(mut self) -> Claimed {
        if let Claimed::InFlight(payment) | Claimed::Same(payment) | Claimed::Repeated(payment) =
            &mut self.claimed
        {
            payment.answer = self.kept.map(|kept| kept.answer.clone());
        }
        self.claimed
    }
}
