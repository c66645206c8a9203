//! Jobs on their way to the writer thread, in order.
//!
//! Who wants an answer wakes the thread. Who wants none leaves the job there: it shares the commit of whatever comes next, and
//! the thread comes by itself before long ([`LINGER_MILLIS`]). While nothing happens the thread sleeps without a clock.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::limits::{LINGER_MILLIS, WRITE_QUEUE_JOBS};

/// Nobody takes jobs any more.
#[derive(Debug)]
pub(super) struct Closed;

/// A bounded queue of many producers and one thread.
#[derive(Debug)]
pub(super) struct Queue<J> {
    state: Mutex<State<J>>,
    work: Condvar,
    places: Semaphore,
}

#[derive(Debug)]
struct State<J> {
    jobs: VecDeque<J>,
    /// There is something to do now.
    urgent: bool,
    /// The thread sleeps until it is woken.
    asleep: bool,
    closed: bool,
}

impl<J> State<J> {
    const fn rests(&mut self) -> bool {
        !self.urgent && !self.closed
    }
}

impl<J> Queue<J> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                jobs: VecDeque::new(),
                urgent: false,
                asleep: false,
                closed: false,
            }),
            work: Condvar::new(),
            places: Semaphore::new(WRITE_QUEUE_JOBS),
        }
    }

    /// Waits for a place, hands the job over and wakes the thread.
    pub(super) async fn push(&self, job: J) -> Result<(), Closed> {
        self.places.acquire().await.map_err(|_| Closed)?.forget();
        let mut state = self.lock();
        if state.closed {
            return Err(Closed);
        }
        state.jobs.push_back(job);
        state.urgent = true;
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// Hands the job over to be done before long. `false`: there is no place for it.
    pub(super) fn leave(&self, job: J) -> bool {
        let Ok(place) = self.places.try_acquire() else {
            return false;
        };
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        place.forget();
        state.jobs.push_back(job);
        // A thread that sleeps would never come by itself.
        let wake = state.asleep;
        state.urgent |= wake;
        drop(state);
        if wake {
            self.work.notify_one();
        }
        true
    }

    /// Moves at most `most` jobs into `batch` once there are any. `false` when there will be none. For the one thread only.
    pub(super) fn take(&self, batch: &mut Vec<J>, most: usize) -> bool {
        let linger = Duration::from_millis(LINGER_MILLIS);
        let state = self.lock();
        let waited = self.work.wait_timeout_while(state, linger, State::rests);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.jobs.is_empty() {
            state.asleep = true;
            let woken = self.work.wait_while(state, State::rests);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            state.asleep = false;
        }
        let count = state.jobs.len().min(most);
        batch.extend(state.jobs.drain(..count));
        state.urgent = !state.jobs.is_empty();
        drop(state);
        self.places.add_permits(count);
        count > 0
    }

    /// Takes no more jobs; those that wait are still done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.places.close();
        self.work.notify_one();
    }

    /// Takes no more jobs and forgets those that wait: there is no thread to do them.
    pub(super) fn abandon(&self) {
        self.close();
        // Dropped outside of the lock: what is dropped with a job may ask for it.
        let jobs = std::mem::take(&mut self.lock().jobs);
        drop(jobs);
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    fn taken(queue: &Queue<u32>, most: usize) -> Vec<u32> {
        let mut batch = Vec::new();
        assert_eq!(queue.take(&mut batch, most), !batch.is_empty());
        batch
    }

    #[tokio::test]
    async fn jobs_stay_in_order_and_what_was_left_goes_along() {
        let queue = Queue::new();
        assert!(queue.leave(1));
        queue.push(2).await.unwrap();
        assert!(queue.leave(3));
        assert_eq!(taken(&queue, 2), [1, 2]);
        assert_eq!(taken(&queue, 2), [3]);
    }

    #[tokio::test]
    async fn what_is_left_alone_is_done_before_long() {
        let queue = Queue::new();
        assert!(queue.leave(1));
        assert_eq!(taken(&queue, 9), [1], "though nobody came");
    }

    #[tokio::test]
    async fn a_sleeping_thread_is_woken_by_either() {
        let queue = Arc::new(Queue::new());
        for left in [true, false] {
            let thread = thread::spawn({
                let queue = Arc::clone(&queue);
                move || taken(&queue, 9)
            });
            while !queue.lock().asleep {
                tokio::task::yield_now().await;
            }
            if left {
                assert!(queue.leave(1));
            } else {
                queue.push(1).await.unwrap();
            }
            assert_eq!(thread.join().unwrap(), [1]);
        }
    }

    #[tokio::test]
    async fn a_full_queue_takes_nothing_until_there_is_room() {
        let queue = Queue::new();
        for _ in 0..WRITE_QUEUE_JOBS {
            assert!(queue.leave(0));
        }
        assert!(!queue.leave(1));
        let (pushed, batch) = tokio::join!(queue.push(1), async { taken(&queue, 1) });
        assert!(pushed.is_ok());
        assert_eq!(batch, [0]);
        assert!(!queue.leave(1));
    }

    #[tokio::test]
    async fn a_closed_queue_is_emptied_and_takes_nothing() {
        let queue = Queue::new();
        assert!(queue.leave(1));
        queue.close();
        assert!(!queue.leave(2));
        assert!(queue.push(2).await.is_err());
        assert_eq!(taken(&queue, 9), [1]);
        assert_eq!(taken(&queue, 9), [0; 0]);
    }
}
