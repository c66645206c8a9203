//! Signatures of certificates, checked many at once when many wait.
//!
//! Two pairings take about a millisecond, which is most of what a sale on credit costs its gate, and many that are checked
//! together share a part of it. So whoever comes while all hands are busy waits, and the next free hand takes those who
//! wait. Nobody waits for company: alone, one is checked at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;

use faregate_types::credit::{BlsError, BlsPublicKey, Certificate};
use tokio::sync::oneshot;

use crate::limits::CERTIFICATES_AT_ONCE;

/// Checks signatures of one key, on threads for work that takes long. Copies are the same.
#[derive(Clone, Debug)]
pub(super) struct Checker(Arc<Desk>);

#[derive(Debug)]
struct Desk {
    key: BlsPublicKey,
    /// How many work at once.
    hands: usize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Waiting>,
    busy: usize,
}

#[derive(Debug)]
struct Waiting {
    certificate: Certificate,
    verdict: oneshot::Sender<Verdict>,
}

type Verdict = Result<(), BlsError>;

/// The runtime stops: nobody is answered any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped;

impl Checker {
    /// Half of the processors may be busy with it; the others have the rest of a sale to do.
    pub(super) fn new(key: BlsPublicKey) -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self::with_hands(key, (processors >> 1).max(1))
    }

    fn with_hands(key: BlsPublicKey, hands: usize) -> Self {
        Self(Arc::new(Desk {
            key,
            hands,
            queue: Mutex::default(),
        }))
    }

    /// Whether a certificate is signed by the key.
    pub(super) async fn check(&self, certificate: Certificate) -> Result<Verdict, Stopped> {
        let (verdict, said) = oneshot::channel();
        let waiting = Waiting {
            certificate,
            verdict,
        };
        if let Some(hand) = self.enter(waiting) {
            drop(tokio::task::spawn_blocking(move || hand.work()));
        }
        said.await.map_err(|_| Stopped)
    }

    /// Joins the queue; a hand that has to be put to work if there is a free one.
    fn enter(&self, waiting: Waiting) -> Option<Hand> {
        let mut queue = self.0.lock();
        queue.waiting.push(waiting);
        if queue.busy >= self.0.hands {
            return None;
        }
        queue.busy = queue.busy.saturating_add(1);
        drop(queue);
        Some(Hand {
            desk: Arc::clone(&self.0),
            has_ended: false,
        })
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether each is right. Together if they all are, which is what is expected; otherwise one by one.
    fn judge(&self, batch: Vec<Waiting>) {
        let signed: Vec<_> = batch
            .iter()
            .map(|Waiting { certificate, .. }| (certificate.claims.as_ref(), certificate.signature))
            .collect();
        let all = match &*signed {
            [(claims, signature)] => self.key.verify(claims, signature),
            all => self.key.verify_batch(all),
        };
        let is_certain = all.is_ok() || signed.len() == 1;
        drop(signed);
        for Waiting {
            certificate,
            verdict,
        } in batch
        {
            let said = if is_certain {
                all
            } else {
                let Certificate { claims, signature } = &certificate;
                self.key.verify(claims, signature)
            };
            // Whoever hung up needs no verdict.
            let _gone = verdict.send(said);
        }
    }
}

/// One who works until nobody waits.
struct Hand {
    desk: Arc<Desk>,
    has_ended: bool,
}

impl Hand {
    fn work(mut self) {
        while let Some(batch) = self.take() {
            self.desk.judge(batch);
        }
    }

    /// Those who have waited longest. When nobody waits this hand is free, at the same moment: whoever comes next puts one
    /// to work.
    fn take(&mut self) -> Option<Vec<Waiting>> {
        let mut queue = self.desk.lock();
        if queue.waiting.is_empty() {
            queue.busy = queue.busy.saturating_sub(1);
            drop(queue);
            self.has_ended = true;
            return None;
        }
        let count = queue.waiting.len().min(CERTIFICATES_AT_ONCE);
        Some(queue.waiting.drain(..count).collect())
    }
}

impl Drop for Hand {
    /// It was not put to work, or did not come to its end: those who count on it hear so.
    fn drop(&mut self) {
        if !self.has_ended {
            let mut queue = self.desk.lock();
            queue.busy = queue.busy.saturating_sub(1);
            if queue.busy == 0 {
                queue.waiting.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use faregate_types::credit::BlsSecretKey;

    use super::*;

    fn key() -> BlsSecretKey {
        BlsSecretKey::from_bytes(&[7; 32]).unwrap()
    }

    fn signed(said: &[u8], over: &[u8]) -> Certificate {
        Certificate {
            claims: said.to_vec().into(),
            signature: key().sign(over),
        }
    }

    fn checker() -> Checker {
        Checker::with_hands(key().public_key(), 1)
    }

    /// Puts these into the queue, in order, without anybody to work.
    fn queued(
        checker: &Checker,
        all: Vec<Certificate>,
    ) -> (Option<Hand>, Vec<oneshot::Receiver<Verdict>>) {
        let (mut hand, mut verdicts) = (None, Vec::new());
        for certificate in all {
            let (verdict, said) = oneshot::channel();
            let entered = checker.enter(Waiting {
                certificate,
                verdict,
            });
            assert!(hand.is_none() || entered.is_none(), "one hand, and no more");
            hand = hand.or(entered);
            verdicts.push(said);
        }
        (hand, verdicts)
    }

    #[tokio::test]
    async fn alone_each_is_checked_at_once() {
        let checker = checker();
        assert_eq!(checker.check(signed(b"a", b"a")).await, Ok(Ok(())));
        let wrong = checker.check(signed(b"a", b"b")).await;
        assert_eq!(wrong, Ok(Err(BlsError::Mismatch)));
        assert_eq!(checker.check(signed(b"b", b"b")).await, Ok(Ok(())));
    }

    #[test]
    fn of_those_who_wait_together_only_the_wrong_ones_are_wrong() {
        let checker = checker();
        let count = CERTIFICATES_AT_ONCE + 3;
        let one = |number: usize| {
            let said = number.to_string();
            let over = if number == 2 || number == count - 1 {
                "forged"
            } else {
                &*said
            };
            signed(said.as_bytes(), over.as_bytes())
        };
        let (hand, verdicts) = queued(&checker, (0..count).map(one).collect());
        hand.unwrap().work();
        for (number, mut verdict) in verdicts.into_iter().enumerate() {
            let expected = if number == 2 || number == count - 1 {
                Err(BlsError::Mismatch)
            } else {
                Ok(())
            };
            assert_eq!(verdict.try_recv(), Ok(expected), "{number}");
        }
        assert_eq!(checker.0.lock().busy, 0);
    }

    #[test]
    fn who_waits_for_a_hand_that_never_works_hears_so() {
        let checker = checker();
        let (hand, verdicts) = queued(&checker, vec![signed(b"a", b"a"), signed(b"b", b"b")]);
        drop(hand);
        for mut verdict in verdicts {
            let said = verdict.try_recv();
            assert_eq!(said, Err(oneshot::error::TryRecvError::Closed));
        }
        let (hand, mut verdicts) = queued(&checker, vec![signed(b"a", b"a")]);
        hand.unwrap().work();
        assert_eq!(verdicts.remove(0).try_recv(), Ok(Ok(())));
    }
}
