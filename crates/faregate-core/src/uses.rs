//! Which use of a payment is next, for payments that buy several requests.
//!
//! The ledger decides: a use is taken when it was claimed, and nothing else counts. What stands here is only where this
//! process looks first, so that the thousandth use does not try the nine hundred and ninety-nine before it. It may be
//! forgotten at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use faregate_types::PaymentId;

use crate::books::Books;
use crate::port::Away;

/// Payments that are remembered: about 150 bytes each.
const REMEMBERED_MAX: usize = 100_000;

/// What is remembered of the payments that have been used here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tallies(Arc<Mutex<BTreeMap<PaymentId, Tally>>>);

/// Of one payment.
#[derive(Clone, Debug, Default)]
struct Tally {
    /// Uses from here on were never tried.
    next: u32,
    /// Those before that are free again.
    free: BTreeSet<u32>,
    /// All before `next` were looked at for ones that bought nothing when nobody here saw it.
    searched: bool,
}

impl Tallies {
    /// A use that may still be there; nobody else gets it meanwhile. `None` when all are taken.
    pub(crate) async fn take(
        &self,
        books: &Books,
        payment: PaymentId,
        max: NonZeroU32,
    ) -> Result<Option<Taken>, Away> {
        let known = match self.look(payment, max) {
            Look::New => {
                let next = first_untried(books, payment, max).await?;
                self.learn(payment, max, |tally| tally.next = tally.next.max(next))
            }
            known => known,
        };
        let number = match known {
            Look::Use(number) => number,
            Look::UsedUp => return Ok(None),
            Look::New | Look::Unsearched => {
                let unanswered = unanswered(books, payment, max).await?;
                let found = self.learn(payment, max, |tally| {
                    tally.next = max.get();
                    if !tally.searched {
                        tally.searched = true;
                        tally.free.extend(unanswered);
                    }
                });
                match found {
                    Look::Use(number) => number,
                    Look::New | Look::Unsearched | Look::UsedUp => return Ok(None),
                }
            }
        };
        Ok(Some(Taken {
            tallies: self.clone(),
            payment,
            number,
            kept: false,
        }))
    }

    /// Some use of some payment was given back: to be looked for when it is needed.
    pub(crate) fn search_again(&self) {
        for tally in self.all().values_mut() {
            tally.searched = false;
        }
    }

    fn look(&self, payment: PaymentId, max: NonZeroU32) -> Look {
        self.all()
            .get_mut(&payment)
            .map_or(Look::New, |tally| tally.look(max))
    }

    /// Notes what the ledger said and looks at once: what is noted may be forgotten as soon as the lock is.
    fn learn(&self, payment: PaymentId, max: NonZeroU32, note: impl FnOnce(&mut Tally)) -> Look {
        let mut all = self.all();
        if all.len() >= REMEMBERED_MAX && !all.contains_key(&payment) {
            // Ids are hashes, so the first one is any one.
            all.pop_first();
        }
        let tally = all.entry(payment).or_default();
        note(tally);
        tally.look(max)
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<PaymentId, Tally>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is remembered of one payment, when a use is wanted.
enum Look {
    /// Nothing.
    New,
    /// This one may still be there.
    Use(u32),
    /// None, unless one was given back where nobody here saw it.
    Unsearched,
    /// None.
    UsedUp,
}

impl Tally {
    fn look(&mut self, max: NonZeroU32) -> Look {
        match self.pop(max) {
            Some(number) => Look::Use(number),
            None if self.searched => Look::UsedUp,
            None => Look::Unsearched,
        }
    }

    fn pop(&mut self, max: NonZeroU32) -> Option<u32> {
        if let Some(free) = self.free.pop_first() {
            return Some(free);
        }
        let next = self.next;
        self.next = next.checked_add(1).filter(|_| next < max.get())?;
        Some(next)
    }
}

/// A use that somebody tries. Dropped, it is free again.
#[derive(Debug)]
pub(crate) struct Taken {
    tallies: Tallies,
    payment: PaymentId,
    number: u32,
    kept: bool,
}

impl Taken {
    /// Which one, counted from zero.
    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    /// It has bought something, or somebody else looks after it.
    pub(crate) const fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !self.kept {
            let mut all = self.tallies.all();
            // A payment that was forgotten is looked up in the ledger when it comes again.
            if let Some(tally) = all.get_mut(&self.payment) {
                tally.free.insert(self.number);
            }
        }
    }
}

/// Payments that buy whatever is asked until they expire, and of which the ledger was heard to say that they are good.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passes(Arc<Mutex<Good>>);

#[derive(Debug, Default)]
struct Good {
    payments: BTreeMap<PaymentId, Pass>,
    /// What the chain reverted, and may still settle.
    doubtful: BTreeSet<PaymentId>,
    removals: u64,
}

/// Why a payment is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// The money has moved.
    Settled,
    /// It is on its way, as far as anybody knows.
    Trusted,
}

/// How many payments had failed when the ledger was asked about one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AsOf(u64);

impl Passes {
    /// To be taken before the ledger is asked.
    pub(crate) fn as_of(&self) -> AsOf {
        AsOf(self.all().removals)
    }

    /// The ledger says that it is good. Not remembered when a payment has failed since it was asked: it may be this one.
    pub(crate) fn add(&self, payment: PaymentId, pass: Pass, as_of: AsOf) {
        let mut good = self.all();
        if good.removals != as_of.0 || good.doubtful.contains(&payment) {
            return;
        }
        if good.payments.len() >= REMEMBERED_MAX && !good.payments.contains_key(&payment) {
            good.payments.pop_first();
        }
        good.payments.insert(payment, pass);
    }

    /// Its settlement was reverted, which is not final yet: it opens nothing until more is known.
    pub(crate) fn doubt(&self, payment: PaymentId) {
        self.remove(payment);
        let mut good = self.all();
        if good.doubtful.len() >= REMEMBERED_MAX {
            good.doubtful.pop_first();
        }
        good.doubtful.insert(payment);
    }

    /// More is known now.
    pub(crate) fn no_doubt(&self, payment: PaymentId) {
        let mut good = self.all();
        if !good.doubtful.is_empty() {
            good.doubtful.remove(&payment);
        }
    }

    /// True when its settlement was reverted and more is not known.
    pub(crate) fn is_doubtful(&self, payment: PaymentId) -> bool {
        self.all().doubtful.contains(&payment)
    }

    /// It has failed, or its settlement was undone, and the ledger says so.
    pub(crate) fn remove(&self, payment: PaymentId) {
        let mut good = self.all();
        good.payments.remove(&payment);
        good.removals = good.removals.wrapping_add(1);
    }

    pub(crate) fn find(&self, payment: PaymentId) -> Option<Pass> {
        self.all().payments.get(&payment).copied()
    }

    fn all(&self) -> MutexGuard<'_, Good> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Uses are claimed in order, so the first that nobody claimed is found by halves.
async fn first_untried(books: &Books, payment: PaymentId, max: NonZeroU32) -> Result<u32, Away> {
    let (mut taken, mut free) = (0, max.get());
    while taken < free {
        let middle = taken.midpoint(free);
        match books.payment(payment.nth(middle)).await? {
            Some(_) => taken = middle.saturating_add(1),
            None => free = middle,
        }
    }
    Ok(free)
}

/// Uses that were claimed and bought nothing, or nothing that anybody got.
async fn unanswered(books: &Books, payment: PaymentId, max: NonZeroU32) -> Result<Vec<u32>, Away> {
    let mut unanswered = Vec::new();
    for n in 0..max.get() {
        match books.payment(payment.nth(n)).await? {
            Some(used) if used.answer.is_none() => unanswered.push(n),
            Some(_) => {}
            None => break,
        }
    }
    Ok(unanswered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> PaymentId {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        PaymentId::from_bytes(bytes)
    }

    #[test]
    fn what_fails_while_the_ledger_is_asked_is_not_remembered() {
        let passes = Passes::default();
        let (asked, other) = (passes.as_of(), passes.clone());
        other.remove(id(1));
        passes.add(id(1), Pass::Settled, asked);
        assert_eq!(passes.find(id(1)), None);
        passes.add(id(1), Pass::Trusted, passes.as_of());
        assert_eq!(
            (passes.find(id(1)), passes.find(id(2))),
            (Some(Pass::Trusted), None)
        );
        passes.add(id(1), Pass::Settled, passes.as_of());
        assert_eq!(passes.find(id(1)), Some(Pass::Settled));
        other.remove(id(1));
        assert_eq!(passes.find(id(1)), None);
    }

    /// The one that is looked at may be the first that would be forgotten.
    #[test]
    fn a_new_payment_is_not_forgotten_before_it_is_looked_at() {
        let (tallies, max) = (Tallies::default(), NonZeroU32::MIN);
        for number in (0..=u32::try_from(REMEMBERED_MAX).unwrap() + 10).rev() {
            assert!(matches!(tallies.look(id(number), max), Look::New));
            let looked = tallies.learn(id(number), max, |tally| tally.next = 0);
            assert!(matches!(looked, Look::Use(0)), "{number}");
        }
        assert_eq!(tallies.all().len(), REMEMBERED_MAX);
        let looked = tallies.look(id(1), max);
        assert!(matches!(looked, Look::Unsearched | Look::New));
    }
}
