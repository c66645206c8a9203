//! What this process is settling right now, and what it handed to the network without knowing the end.
//!
//! Two rules are kept here. Concurrent settlements of one and the same request share one result. A payment whose
//! transaction may be out there is never signed again under another nonce.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::{B256, U256};
use faregate_core::port::SettleOutcome;
use faregate_types::{Fingerprint, PaymentId, Timestamp};

use crate::flight::{Landing, Track};
use crate::limits::UNDECIDED_MAX;
use crate::told::{self, Teller, Told};

/// The list, shared by the facilitator and its lanes.
#[derive(Clone, Default)]
pub(crate) struct Pending(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    live: BTreeMap<PaymentId, Live>,
    sent: BTreeMap<PaymentId, Sent>,
}

struct Live {
    request: Fingerprint,
    result: Told<SettleOutcome>,
}

struct Sent {
    hash: B256,
    valid_before: U256,
    /// Where its end will be told, once it has left.
    track: Option<Track>,
}

/// A transaction that may be out there.
#[derive(Clone, Debug)]
pub(crate) struct Outside {
    pub(crate) hash: B256,
    pub(crate) track: Option<Track>,
}

/// What a settlement finds when it begins.
pub(crate) enum Entry {
    /// Nobody is on this payment. The result goes to [`Lead::finish`].
    Lead(Lead),
    /// The same request is being settled: its result is ours.
    Follow(Told<SettleOutcome>),
    /// Another request claims the same payment: wait, then look again.
    Wait(Told<SettleOutcome>),
    /// Too many payments are undecided.
    Full,
}

/// The one who settles a payment. Leaves the list when dropped.
pub(crate) struct Lead {
    pending: Pending,
    id: PaymentId,
    result: Teller<SettleOutcome>,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters the settlement of a payment. `request` tells requests apart that claim the same payment.
    pub(crate) fn enter(&self, id: PaymentId, request: Fingerprint, now: Timestamp) -> Entry {
        let mut state = self.lock();
        if let Some(live) = state.live.get(&id) {
            let result = live.result.clone();
            return if live.request == request {
                Entry::Follow(result)
            } else {
                Entry::Wait(result)
            };
        }
        if !state.has_room(now) && !state.sent.contains_key(&id) {
            return Entry::Full;
        }
        let (sender, result) = told::channel();
        state.live.insert(id, Live { request, result });
        Entry::Lead(Lead {
            pending: self.clone(),
            id,
            result: sender,
        })
    }

    /// Remembers, before it is sent, what is about to be handed to the network. A replacement keeps its track.
    pub(crate) fn sending(&self, id: PaymentId, hash: B256, valid_before: U256) {
        let mut state = self.lock();
        let track = state.sent.get(&id).and_then(|sent| sent.track.clone());
        let sent = Sent {
            hash,
            valid_before,
            track,
        };
        state.sent.insert(id, sent);
    }

    /// The transaction has left.
    pub(crate) fn left(&self, id: PaymentId, track: &Track) {
        if let Some(sent) = self.lock().sent.get_mut(&id) {
            sent.track = Some(track.clone());
        }
    }

    /// The transaction that may be out there for this payment. One whose nonce was used by another is not.
    pub(crate) fn sent(&self, id: PaymentId) -> Option<Outside> {
        let mut state = self.lock();
        let sent = state.sent.get(&id)?;
        let lost = sent
            .track
            .as_ref()
            .is_some_and(|track| matches!(track.now(), Some(Landing::Lost)));
        if lost {
            state.sent.remove(&id);
            return None;
        }
        Some(Outside {
            hash: sent.hash,
            track: sent.track.clone(),
        })
    }

    /// This transaction was not sent after all.
    pub(crate) fn unsent(&self, id: PaymentId, hash: B256) {
        let mut state = self.lock();
        if state
            .sent
            .get(&id)
            .is_some_and(|sent| sent.hash == hash && sent.track.is_none())
        {
            state.sent.remove(&id);
        }
    }

    /// Nothing is out there for this payment any more, or its end is known.
    pub(crate) fn decided(&self, id: PaymentId) {
        self.lock().sent.remove(&id);
    }
}

impl State {
    /// Every settlement in progress may become one undecided payment. Authorizations long expired cannot be settled by
    /// a new transaction either, so they need no memory.
    fn has_room(&mut self, now: Timestamp) -> bool {
        let used = |state: &Self| state.sent.len().saturating_add(state.live.len());
        if used(self) >= UNDECIDED_MAX {
            let now = U256::from(now.as_secs());
            self.sent.retain(|_, sent| sent.valid_before > now);
        }
        used(self) < UNDECIDED_MAX
    }
}

impl Lead {
    /// Shares the result with everybody who waits for it.
    pub(crate) fn finish(self, outcome: &SettleOutcome) {
        match outcome {
            SettleOutcome::Settled(_) | SettleOutcome::Failed(_) => self.pending.decided(self.id),
            SettleOutcome::Unknown(_) => {}
        }
        self.result.tell(outcome.clone());
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.pending.lock().live.remove(&self.id);
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Pending")
            .field("live", &state.live.len())
            .field("sent", &state.sent.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use faregate_core::port::Unknown;
    use faregate_types::{Code, Refusal};
    use futures_util::FutureExt as _;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn lead(pending: &Pending, id: PaymentId, request: Fingerprint) -> Lead {
        match pending.enter(id, request, NOW) {
            Entry::Lead(lead) => lead,
            Entry::Follow(_) | Entry::Wait(_) | Entry::Full => panic!("expected to lead"),
        }
    }

    fn id(byte: u8) -> PaymentId {
        PaymentId::from_bytes([byte; 32])
    }

    #[test]
    fn one_leads_the_same_follow_and_others_wait() {
        let (pending, a, b) = (
            Pending::default(),
            Fingerprint::of(&[b"a"]),
            Fingerprint::of(&[b"b"]),
        );
        let leader = lead(&pending, id(1), a);
        let Entry::Follow(result) = pending.enter(id(1), a, NOW) else {
            panic!("expected to follow")
        };
        assert!(matches!(pending.enter(id(1), b, NOW), Entry::Wait(_)));
        drop(lead(&pending, id(2), a));
        let outcome = SettleOutcome::Failed(Refusal::new(Code::TransactionFailed));
        leader.finish(&outcome);
        assert_eq!(result.now(), Some(outcome));
        drop(lead(&pending, id(1), b));
    }

    #[test]
    fn a_leader_who_vanishes_leaves_no_result_and_no_trace() {
        let (pending, a) = (Pending::default(), Fingerprint::of(&[b"a"]));
        let leader = lead(&pending, id(1), a);
        let Entry::Follow(result) = pending.enter(id(1), a, NOW) else {
            panic!("expected to follow")
        };
        drop(leader);
        assert_eq!(result.wait().now_or_never(), Some(None), "closed");
        drop(lead(&pending, id(1), a));
    }

    #[test]
    fn what_was_sent_is_remembered_until_its_end_is_known() {
        let (pending, a) = (Pending::default(), Fingerprint::of(&[b"a"]));
        let leader = lead(&pending, id(1), a);
        pending.sending(id(1), B256::ZERO, U256::from(2_000));
        let unknown = Unknown {
            code: Code::SettlementPending,
            transaction: None,
        };
        leader.finish(&SettleOutcome::Unknown(unknown));
        assert_eq!(pending.sent(id(1)).map(|out| out.hash), Some(B256::ZERO));
        lead(&pending, id(1), a).finish(&SettleOutcome::Failed(Refusal::new(
            Code::TransactionFailed,
        )));
        assert!(pending.sent(id(1)).is_none());
    }

    #[test]
    fn what_was_not_sent_or_got_lost_may_be_signed_again() {
        let pending = Pending::default();
        let (a, b, valid_before) = (B256::ZERO, B256::repeat_byte(1), U256::from(2_000));
        pending.sending(id(1), a, valid_before);
        pending.unsent(id(1), b);
        assert!(pending.sent(id(1)).is_some(), "another transaction");
        pending.unsent(id(1), a);
        assert!(pending.sent(id(1)).is_none());

        let (end, track) = told::channel();
        pending.sending(id(1), a, valid_before);
        pending.left(id(1), &track);
        pending.unsent(id(1), a);
        pending.sending(id(1), b, valid_before);
        let outside = pending.sent(id(1)).unwrap();
        assert!(outside.hash == b && outside.track.is_some(), "replaced");
        end.tell(Landing::Lost);
        assert!(pending.sent(id(1)).is_none());
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_what_expired() {
        let (pending, a) = (Pending::default(), Fingerprint::of(&[b"a"]));
        for number in 0..UNDECIDED_MAX {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            pending.sending(PaymentId::from_bytes(bytes), B256::ZERO, U256::from(2_000));
        }
        assert!(matches!(pending.enter(id(1), a, NOW), Entry::Full));
        assert!(
            matches!(pending.enter(id(0), a, NOW), Entry::Lead(_)),
            "an undecided one may be looked at"
        );
        assert!(matches!(
            pending.enter(id(1), a, Timestamp::from_secs(2_001)),
            Entry::Lead(_)
        ));
    }
}
