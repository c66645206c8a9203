//! Which payments this process is working on right now, and who waits for them.
//!
//! The ledger decides who may use a payment; this set only tells "somebody here is on it" from "whoever was on it is
//! gone", so that a copy arriving after a crash may finish the work, and a copy arriving during it waits for the result.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use faregate_types::PaymentId;

/// The set. Bounded by the number of requests in progress.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live(Arc<Mutex<Set>>);

#[derive(Debug, Default)]
struct Set {
    payments: BTreeMap<PaymentId, Waiters>,
    entries: u64,
}

/// Those who wait for one payment, each in a place of its own.
#[derive(Debug, Default)]
struct Waiters {
    /// Which entry this is: whoever waited for an earlier one has waited long enough.
    entry: u64,
    wakers: BTreeMap<u64, Waker>,
    next: u64,
}

impl Set {
    fn of(&mut self, id: PaymentId, entry: u64) -> Option<&mut Waiters> {
        self.payments
            .get_mut(&id)
            .filter(|waiters| waiters.entry == entry)
    }
}

impl Live {
    /// Enters a payment, or waits for whoever here is on it.
    pub(crate) fn enter(&self, id: PaymentId) -> Result<LiveGuard, Waiting> {
        let mut set = self.set();
        if let Some(waiters) = set.payments.get(&id) {
            return Err(Waiting {
                live: self.clone(),
                id,
                entry: waiters.entry,
                place: None,
            });
        }
        set.entries = set.entries.wrapping_add(1);
        let waiters = Waiters {
            entry: set.entries,
            ..Waiters::default()
        };
        set.payments.insert(id, waiters);
        Ok(LiveGuard {
            live: self.clone(),
            id,
        })
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves the set when dropped, and wakes whoever waits.
#[derive(Debug)]
pub(crate) struct LiveGuard {
    live: Live,
    id: PaymentId,
}

impl Drop for LiveGuard {
    fn drop(&mut self) {
        // Woken outside the lock: a waker may do anything.
        let waiters = self.live.set().payments.remove(&self.id);
        for waker in waiters.unwrap_or_default().wakers.into_values() {
            waker.wake();
        }
    }
}

/// Ready once nobody here is on the payment any more.
#[derive(Debug)]
pub(crate) struct Waiting {
    live: Live,
    id: PaymentId,
    entry: u64,
    place: Option<u64>,
}

impl Future for Waiting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let live = self.live.clone();
        let mut set = live.set();
        let Some(waiters) = set.of(self.id, self.entry) else {
            return Poll::Ready(());
        };
        let place = self.place.unwrap_or(waiters.next);
        if self.place.is_none() {
            waiters.next = waiters.next.wrapping_add(1);
            self.place = Some(place);
        }
        waiters.wakers.insert(place, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(place) = self.place
            && let Some(waiters) = self.live.set().of(self.id, self.entry)
        {
            waiters.wakers.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn one_enters_and_the_others_wait_until_it_leaves() {
        let (live, id) = (Live::default(), PaymentId::from_bytes([1; 32]));
        let guard = live.enter(id).unwrap();
        let (mut first, mut second) = (live.enter(id).unwrap_err(), live.enter(id).unwrap_err());
        assert!(poll!(&mut first).is_pending() && poll!(&mut second).is_pending());
        assert!(
            poll!(&mut first).is_pending(),
            "a second poll takes no second place"
        );
        assert_eq!(live.set().payments[&id].wakers.len(), 2);
        drop(second);
        assert_eq!(live.set().payments[&id].wakers.len(), 1);
        drop(guard);
        assert!(poll!(&mut first).is_ready());
        // ... also when somebody else has entered meanwhile
        let guard = live.enter(id).unwrap();
        let mut third = live.enter(id).unwrap_err();
        assert!(poll!(&mut third).is_pending());
        drop(guard);
        let _other = live.enter(id).unwrap();
        assert!(poll!(&mut third).is_ready());
    }
}
