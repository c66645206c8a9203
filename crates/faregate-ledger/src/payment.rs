//! One payment, from the claim that makes a credential usable once to the answer that was sold for it.

use alloy_primitives::U256;
use faregate_types::{Code, Fingerprint, IdempotencyKey, PaymentId, RailName, Timestamp};

use crate::account::{Movement, Transfer};

/// Where the money of a payment stands.
///
/// ```text
///            ┌──────────► Released   (nothing was sent, nothing is owed; may be claimed again)
/// Reserved ──┼─► Broadcast ─┬─► Settled ──► Broadcast   (reopened: the chain took the transfer back before it was final)
///            │              └─► Failed    (positive proof that the money did not move)
///            ├──────────► Settled
///            └──────────► Failed
/// ```
///
/// There is no move from `Broadcast` to `Released`, and none out of the three ends but the second claim of `Released` and
/// the reopening of a settlement that is not final: a timeout leaves a payment where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PaymentState {
    /// Claimed; the payer's side is held.
    Reserved,
    /// Handed to the network; what was handed over is recorded.
    Broadcast,
    /// The money moved; the transfer is posted.
    Settled,
    /// The money did not move and never will by this credential; the transfer is voided.
    Failed,
    /// Given back before anything was sent; the transfer is voided.
    Released,
}

impl PaymentState {
    /// The text used in stores, metrics and pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Broadcast => "broadcast",
            Self::Settled => "settled",
            Self::Failed => "failed",
            Self::Released => "released",
        }
    }

    /// Reads the stored text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Reserved,
            Self::Broadcast,
            Self::Settled,
            Self::Failed,
            Self::Released,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
    }

    /// True while nobody knows yet how it ends; the transfer is pending exactly then.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Reserved | Self::Broadcast)
    }

    /// The state after `step`, or why the step is not allowed. The only place where legal moves are written down.
    ///
    /// # Errors
    /// [`StepError`] for a move that the picture above does not have.
    pub const fn after(self, step: &Step) -> Result<Self, StepError> {
        match (self, step) {
            (Self::Reserved | Self::Broadcast, Step::Broadcast { .. }) => Ok(Self::Broadcast),
            (Self::Reserved | Self::Broadcast | Self::Settled, Step::Settle { .. }) => {
                Ok(Self::Settled)
            }
            (Self::Reserved | Self::Broadcast | Self::Failed, Step::Fail { .. }) => {
                Ok(Self::Failed)
            }
            (Self::Reserved | Self::Released, Step::Release) => Ok(Self::Released),
            (Self::Reserved, Step::Serve { .. }) => Ok(Self::Reserved),
            (Self::Reserved | Self::Broadcast | Self::Settled, Step::Sell { .. })
            | (Self::Settled, Step::Keep { .. } | Step::Finalize) => Ok(Self::Settled),
            (Self::Settled | Self::Broadcast, Step::Reopen) => Ok(Self::Broadcast),
            (
                Self::Settled | Self::Failed | Self::Released,
                Step::Broadcast { .. }
                | Step::Settle { .. }
                | Step::Fail { .. }
                | Step::Release
                | Step::Serve { .. },
            )
            | (Self::Failed | Self::Released, Step::Sell { .. })
            | (Self::Broadcast, Step::Release | Step::Serve { .. })
            | (
                Self::Reserved | Self::Broadcast | Self::Failed | Self::Released,
                Step::Keep { .. } | Step::Finalize,
            )
            | (Self::Reserved | Self::Failed | Self::Released, Step::Reopen) => {
                Err(StepError { from: self })
            }
        }
    }
}

/// What happens to a claimed payment. Applying the same step twice changes nothing the second time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// About to be handed to the network under this transaction reference. Recorded before it is sent.
    Broadcast {
        /// The rail's reference, e.g. a transaction hash.
        transaction: Box<str>,
    },
    /// The money moved: post the transfer.
    Settle {
        /// The rail's reference; absent for rails without one.
        transaction: Option<Box<str>>,
    },
    /// The money provably did not move: void the transfer.
    Fail {
        /// Why.
        code: Code,
    },
    /// Nothing was sent and nothing will be: void the transfer and let the credential be claimed again.
    Release,
    /// The answer that was sold, kept for copies of the same request. Only for settled payments.
    Keep {
        /// What to send again.
        answer: Answer,
    },
    /// The money moved, and this is what was sold for it: [`Settle`](Self::Settle) and [`Keep`](Self::Keep) in one.
    Sell {
        /// The rail's reference; absent for rails without one.
        transaction: Option<Box<str>>,
        /// What to send again.
        answer: Answer,
    },
    /// The answer is about to leave although the money has not moved. From now on the payment has to be settled and is not
    /// released any more. Only for payments that were claimed with [`Claim::exposure_max`].
    Serve {
        /// What leaves, kept for copies of the same request.
        answer: Answer,
    },
    /// The settlement can no longer be undone by the chain it happened on.
    Finalize,
    /// The settlement was undone before it was final: the posting is reversed and the transfer is reserved again. The
    /// transaction is forgotten, so an open payment that was [`Broadcast`](PaymentState::Broadcast) and has none is one to
    /// be settled again. A kept answer stays.
    Reopen,
}

/// A step that the payment's state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a payment that is {} does not allow this step", from.as_str())]
pub struct StepError {
    /// The state it was in.
    pub from: PaymentState,
}

/// A kept HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code, 100..=599.
    pub status: u16,
    /// Header names (lowercase) and values, in order.
    pub headers: Vec<(Box<str>, Vec<u8>)>,
    /// The body; absent when it was too large or streamed, then a copy is told that the payment is used.
    pub body: Option<Vec<u8>>,
}

/// A request to make a credential usable once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The payment's natural key.
    pub id: PaymentId,
    /// The rail it came by.
    pub rail: RailName,
    /// What the credential is used for; another request with the same credential has another fingerprint.
    pub fingerprint: Fingerprint,
    /// What is reserved from whom for whom.
    pub transfer: Transfer,
    /// The route that sold it, for books and pages.
    pub route: Box<str>,
    /// What the rail needs to find out later what became of it. May hold a signature: never logged.
    pub evidence: Vec<u8>,
    /// When it was claimed.
    pub at: Timestamp,
    /// Set when it is served before the money moves: how much of this payer, in atomic units of the transfer's asset, may
    /// be out like this at once, this payment included.
    pub exposure_max: Option<U256>,
    /// What the payer is known to hold of the asset, in atomic units, where that was found out: what is reserved of it may
    /// not be more, this transfer included. Looked at when it is claimed, and not kept.
    pub funds: Option<U256>,
    /// The payer's own name for the purchase, if there is one.
    pub idempotency: Option<Idempotency>,
}

/// What a payer calls a purchase, so that another payment for it is not charged a second time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The name. One per payer's account, whichever payment it came with.
    pub key: IdempotencyKey,
    /// What is bought, without the credential. The key stands for this and for nothing else.
    pub request: Fingerprint,
}

/// A payment as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// What was claimed.
    pub claim: Claim,
    /// Where it stands.
    pub state: PaymentState,
    /// The rail's reference, once there is one.
    pub transaction: Option<Box<str>>,
    /// Why it failed, if it did.
    pub failure: Option<Code>,
    /// The answer that was sold. Before the money moved only for what is served first: see [`Step::Serve`].
    pub answer: Option<Answer>,
    /// When it became certain that the settlement stays.
    pub final_at: Option<Timestamp>,
    /// When it last changed.
    pub changed_at: Timestamp,
}

/// The store's verdict on a claim. Exactly one of many simultaneous claims of one payment gets `Won`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// Yours: nobody had it, or it was released. The transfer is reserved and durable.
    Won,
    /// Somebody is working on it, or its end is unknown.
    InFlight(Box<Payment>),
    /// It has ended, and this is the same request again.
    Same(Box<Payment>),
    /// The credential was used for another request.
    Conflict,
    /// The payer holds too little: so much, in atomic units, is reserved for other payments. Nothing was claimed.
    Overdrawn {
        /// What all open payments of this payer in this asset reserve.
        reserved: U256,
    },
    /// Serving it first would leave more than [`Claim::exposure_max`] of this payer unpaid. Nothing was claimed.
    Exposed,
    /// The payer's key names a purchase that another payment of the same payer has made or is making. Nothing was claimed.
    Repeated(Box<Payment>),
    /// The payer's key names another request. Nothing was claimed.
    KeyConflict,
}

/// What [`Payment::apply`] did, and so what an engine has to write besides the payment's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The step was there before; nothing changed.
    Repeated,
    /// Only the row changed, e.g. a transaction reference became known.
    Noted,
    /// The transfer is to be posted.
    Post,
    /// The transfer is to be voided.
    Void,
    /// The answer is to be kept.
    Keep,
    /// The transfer is to be posted and the answer to be kept.
    Sell,
    /// The posting is to be reversed, and the same transfer to be reserved again.
    Unpost,
}

impl Effect {
    /// What happens to the transfer, in this order.
    #[must_use]
    pub const fn movements(self) -> &'static [Movement] {
        match self {
            Self::Repeated | Self::Noted | Self::Keep => &[],
            Self::Post | Self::Sell => &[Movement::Post],
            Self::Void => &[Movement::Void],
            Self::Unpost => &[Movement::Reverse, Movement::Reserve],
        }
    }
}

impl Claim {
    /// True when serving this first would leave more of the payer unpaid than it may, given what is `exposed` already.
    #[must_use]
    pub fn is_too_much(&self, exposed: U256) -> bool {
        let sum = exposed.checked_add(self.transfer.amount.value());
        self.exposure_max
            .is_some_and(|max| sum.is_none_or(|sum| sum > max))
    }

    /// True when the payer is known to hold less than this and what is `reserved` already.
    #[must_use]
    pub fn is_uncovered(&self, reserved: U256) -> bool {
        let sum = reserved.checked_add(self.transfer.amount.value());
        self.funds
            .is_some_and(|funds| sum.is_none_or(|sum| sum > funds))
    }
}

impl Answer {
    /// What keeping it counts, in bytes: the body, and each header's name and value with four bytes for each length.
    #[must_use]
    pub fn kept_bytes(&self) -> u64 {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| name.len().saturating_add(value.len()).saturating_add(8));
        let body = self.body.as_ref().map_or(0, Vec::len);
        let bytes = headers.fold(body, usize::saturating_add);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// What is left of it once headers and body are dropped, and what lists say of it.
    #[must_use]
    pub const fn dropped(&self) -> Self {
        Self {
            status: self.status,
            headers: Vec::new(),
            body: None,
        }
    }
}

impl Payment {
    /// A payment that was just claimed.
    #[must_use]
    pub const fn reserved(mut claim: Claim) -> Self {
        claim.funds = None;
        let changed_at = claim.at;
        Self {
            claim,
            state: PaymentState::Reserved,
            transaction: None,
            failure: None,
            answer: None,
            final_at: None,
            changed_at,
        }
    }

    /// The state after `step`, or why the step is not allowed: [`PaymentState::after`], and what is on record about this
    /// payment. What was served is not given back, what is final is not reopened, and only who may owe is served first.
    ///
    /// # Errors
    /// [`StepError`] for a move that is not allowed.
    pub const fn after(&self, step: &Step) -> Result<PaymentState, StepError> {
        let allowed = match step {
            Step::Serve { .. } => self.claim.exposure_max.is_some(),
            Step::Release => self.answer.is_none(),
            Step::Reopen => self.final_at.is_none(),
            Step::Broadcast { .. }
            | Step::Settle { .. }
            | Step::Fail { .. }
            | Step::Keep { .. }
            | Step::Sell { .. }
            | Step::Finalize => true,
        };
        if allowed {
            self.state.after(step)
        } else {
            Err(StepError { from: self.state })
        }
    }

    /// True while this payment counts against its payer's exposure: it is served before the money moves and not paid yet,
    /// or was served and never paid.
    #[must_use]
    pub const fn is_exposed(&self) -> bool {
        self.claim.exposure_max.is_some() && (self.state.is_open() || self.is_lost())
    }

    /// True when what is sold for this payment is a token, and not the answer to one request.
    #[must_use]
    pub fn sells_token(&self) -> bool {
        self.claim.rail == RailName::PERMIT
    }

    /// True when something was given out for this payment and it will never be paid.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        matches!(self.state, PaymentState::Failed) && self.answer.is_some()
    }

    /// Applies a step. What was recorded at an end stays: a second `Settle` with another reference, a second `Fail` with
    /// another code and a second `Keep` change nothing, so every copy of a request is told the same.
    ///
    /// # Errors
    /// [`StepError`] for a move that [`Payment::after`] refuses; the payment is then unchanged.
    pub fn apply(&mut self, step: Step, at: Timestamp) -> Result<Effect, StepError> {
        let before = self.state;
        self.state = self.after(&step)?;
        let effect = match step {
            Step::Broadcast { transaction } => self.note(transaction),
            Step::Settle { transaction } => self.settle(before, transaction),
            Step::Sell {
                transaction,
                answer,
            } => {
                let settled = self.settle(before, transaction);
                let kept = self.answer.is_none();
                self.answer.get_or_insert(answer);
                match (settled, kept) {
                    (Effect::Post, true) => Effect::Sell,
                    (_, true) => Effect::Keep,
                    (settled, false) => settled,
                }
            }
            Step::Fail { code } if before.is_open() => {
                self.failure = Some(code);
                Effect::Void
            }
            Step::Release if before.is_open() => Effect::Void,
            Step::Keep { answer } | Step::Serve { answer } if self.answer.is_none() => {
                self.answer = Some(answer);
                Effect::Keep
            }
            Step::Finalize if self.final_at.is_none() => {
                self.final_at = Some(at);
                Effect::Noted
            }
            Step::Reopen if !before.is_open() => {
                self.transaction = None;
                Effect::Unpost
            }
            Step::Fail { .. }
            | Step::Release
            | Step::Keep { .. }
            | Step::Serve { .. }
            | Step::Finalize
            | Step::Reopen => Effect::Repeated,
        };
        if effect != Effect::Repeated {
            self.changed_at = at;
        }
        Ok(effect)
    }

    /// Records that the money moved. The first reference stays.
    fn settle(&mut self, before: PaymentState, transaction: Option<Box<str>>) -> Effect {
        match (before.is_open(), transaction) {
            (true, transaction) => {
                self.transaction = transaction.or(self.transaction.take());
                Effect::Post
            }
            (false, Some(transaction)) if self.transaction.is_none() => self.note(transaction),
            (false, _) => Effect::Repeated,
        }
    }

    /// Records a transaction reference. A first broadcast is always a change: no payment has a reference before it.
    fn note(&mut self, transaction: Box<str>) -> Effect {
        if self.transaction.as_ref() == Some(&transaction) {
            return Effect::Repeated;
        }
        self.transaction = Some(transaction);
        Effect::Noted
    }

    /// The verdict for a second claim with `fingerprint` on this payment. `None` means it may be claimed anew.
    #[must_use]
    pub fn verdict(self, fingerprint: &Fingerprint) -> Option<Claimed> {
        match self.state {
            PaymentState::Released => None,
            PaymentState::Reserved
            | PaymentState::Broadcast
            | PaymentState::Settled
            | PaymentState::Failed
                if self.claim.fingerprint != *fingerprint =>
            {
                Some(Claimed::Conflict)
            }
            PaymentState::Reserved | PaymentState::Broadcast => {
                Some(Claimed::InFlight(Box::new(self)))
            }
            PaymentState::Settled | PaymentState::Failed => Some(Claimed::Same(Box::new(self))),
        }
    }

    /// The verdict for a claim with another payment whose payer's key names this one. `None` means that this one bought
    /// nothing and the key is free again.
    #[must_use]
    pub fn keyed(self, request: &Fingerprint) -> Option<Claimed> {
        if matches!(self.state, PaymentState::Released | PaymentState::Failed) {
            return None;
        }
        let named = self.claim.idempotency.as_ref().map(|own| own.request);
        Some(if named == Some(*request) {
            Claimed::Repeated(Box::new(self))
        } else {
            Claimed::KeyConflict
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        Answer {
            status: 200,
            headers: vec![],
            body: None,
        }
    }

    fn steps() -> [(&'static str, Step); 9] {
        [
            (
                "broadcast",
                Step::Broadcast {
                    transaction: "0x1".into(),
                },
            ),
            ("settle", Step::Settle { transaction: None }),
            (
                "fail",
                Step::Fail {
                    code: Code::TransactionFailed,
                },
            ),
            ("release", Step::Release),
            ("keep", Step::Keep { answer: answer() }),
            (
                "sell",
                Step::Sell {
                    transaction: None,
                    answer: answer(),
                },
            ),
            ("serve", Step::Serve { answer: answer() }),
            ("finalize", Step::Finalize),
            ("reopen", Step::Reopen),
        ]
    }

    #[test]
    fn every_move_is_written_down() {
        use PaymentState::{Broadcast, Failed, Released, Reserved, Settled};
        let moves = [
            (Reserved, "broadcast", Broadcast),
            (Reserved, "settle", Settled),
            (Reserved, "fail", Failed),
            (Reserved, "release", Released),
            (Reserved, "serve", Reserved),
            (Reserved, "sell", Settled),
            (Broadcast, "sell", Settled),
            (Settled, "sell", Settled),
            (Broadcast, "broadcast", Broadcast),
            (Broadcast, "settle", Settled),
            (Broadcast, "fail", Failed),
            (Broadcast, "reopen", Broadcast),
            (Settled, "settle", Settled),
            (Settled, "keep", Settled),
            (Settled, "finalize", Settled),
            (Settled, "reopen", Broadcast),
            (Failed, "fail", Failed),
            (Released, "release", Released),
        ];
        for from in [Reserved, Broadcast, Settled, Failed, Released] {
            for (name, step) in steps() {
                let drawn = moves
                    .iter()
                    .find(|(state, move_, _)| (*state, *move_) == (from, name));
                let expected = drawn.map(|(_, _, next)| *next);
                assert_eq!(from.after(&step).ok(), expected, "{from:?} {name}");
            }
        }
    }

    #[test]
    fn state_texts_round_trip() {
        for text in ["reserved", "broadcast", "settled", "failed", "released"] {
            assert_eq!(
                PaymentState::parse(text).map(PaymentState::as_str),
                Some(text)
            );
        }
        assert_eq!(PaymentState::parse("served"), None);
    }
}
