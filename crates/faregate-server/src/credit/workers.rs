//! Threads that check and make signatures. A BLS signature takes close to a millisecond: on an async thread it would hold up
//! everybody whose call is there, and more of them at once than there are processors help nobody. So their number is that of the
//! processors, what waits for them is bounded, and who comes beyond is told to come back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, io, thread};

use tokio::sync::oneshot;

use super::refusal::Refusal;
use crate::limits::CREDIT_WORK_QUEUE_JOBS;

type Job = Box<dyn FnOnce() + Send>;

/// The way to the threads. They end when it is dropped.
pub(super) struct Workers {
    queue: SyncSender<Job>,
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Workers")
    }
}

impl Workers {
    /// One thread for each processor.
    pub(super) fn start() -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        Self::with(count, CREDIT_WORK_QUEUE_JOBS)
    }

    fn with(threads: usize, jobs: usize) -> io::Result<Self> {
        let (queue, waiting) = sync_channel::<Job>(jobs);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads {
            let waiting = Arc::clone(&waiting);
            thread::Builder::new()
                .name("faregate-credit-signer".into())
                .spawn(move || work(&waiting))?;
        }
        Ok(Self { queue })
    }

    /// Does `work` on one of the threads.
    ///
    /// # Errors
    /// [`Refusal`] when too much waits already, or the work panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let (reply, result) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Who went away does not need it any more.
            if !reply.is_closed() {
                drop(reply.send(work()));
            }
        });
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Refusal::away(),
            TrySendError::Disconnected(_) => Refusal::internal(),
        })?;
        result.await.map_err(|_| Refusal::internal())
    }
}

/// The life of a thread.
fn work(waiting: &Mutex<Receiver<Job>>) {
    loop {
        let next = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(job) = next else { return };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a signature met a panic");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use http::StatusCode;

    use super::*;

    #[tokio::test]
    async fn who_comes_when_all_places_are_taken_is_told_to_come_back() {
        let workers = Arc::new(Workers::with(1, 1).unwrap());
        let (go, gate) = mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let first = tokio::spawn({
            let workers = Arc::clone(&workers);
            async move {
                let work = move || {
                    begun.send(()).ok();
                    gate.recv().ok();
                    1
                };
                workers.run(work).await
            }
        });
        has_begun.await.unwrap();
        // One works, one waits, the next is one too many.
        let second = workers.run(|| 2);
        let mut second = Box::pin(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        let third = workers.run(|| 3).await.unwrap_err();
        assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
        go.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(1));
        assert_eq!(second.await, Ok(2));
        assert_eq!(workers.run(|| 4).await, Ok(4));
    }

    #[tokio::test]
    async fn a_panic_ends_one_piece_of_work_and_not_the_thread() {
        let workers = Workers::with(1, 8).unwrap();
        let fallen = workers.run(|| panic!("on purpose")).await;
        assert_eq!(fallen, Err::<(), _>(Refusal::internal()));
        assert_eq!(workers.run(|| 5).await, Ok(5));
    }
}
