//! Those who wait for one signer, and who of them leaves together.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use crate::batch::{Batching, Item};
use crate::job::Job;
use crate::limits::OTHERS_MAX;

/// The queue of a lane, seen from its task.
pub(crate) struct Line {
    queue: mpsc::Receiver<Box<Job>>,
    /// Taken from the queue and put off.
    backlog: VecDeque<Job>,
}

impl Line {
    pub(crate) const fn new(queue: mpsc::Receiver<Box<Job>>) -> Self {
        Self {
            queue,
            backlog: VecDeque::new(),
        }
    }

    /// The next one, whenever it comes; `None` when nobody will come any more. An error: nobody came for so long.
    pub(crate) async fn next(&mut self, patience: Option<Duration>) -> Result<Option<Job>, ()> {
        if let Some(job) = self.backlog.pop_front() {
            return Ok(Some(job));
        }
        let job = match patience {
            Some(patience) => timeout(patience, self.queue.recv()).await.map_err(drop)?,
            None => self.queue.recv().await,
        };
        Ok(job.map(|job| *job))
    }

    /// These are next, in this order.
    pub(crate) fn put_back(&mut self, jobs: impl DoubleEndedIterator<Item = Job>) {
        for job in jobs.rev() {
            self.backlog.push_front(job);
        }
    }

    /// Everybody who waits, or comes within `wait`, and may go along with the first, in the order that suits their contract.
    pub(crate) async fn gather(
        &mut self,
        first: Job,
        batching: &Batching,
        wait: Duration,
    ) -> Vec<Job> {
        let room = first.item().and_then(|item| batching.begin(item));
        let Some(mut room) = room else {
            return vec![first];
        };
        let (now, mut jobs) = (Instant::now(), vec![first]);
        let until = now.checked_add(wait).unwrap_or(now);
        // Those who go another way are next.
        let mut others = Vec::new();
        while others.len() < OTHERS_MAX {
            // Nobody of them waits for late comers.
            let until = others.is_empty().then_some(until);
            let Some(job) = self.another(until).await else {
                break;
            };
            if job.is_over() {
                continue;
            }
            match job.item() {
                Some(item) if batching.is_for(&room, item) => {
                    if !batching.take(&mut room, item) {
                        others.push(job);
                        break;
                    }
                    jobs.push(job);
                }
                Some(_) | None => others.push(job),
            }
        }
        self.put_back(others.into_iter());
        jobs.sort_by_key(|job| job.item().map(Item::order));
        jobs
    }

    /// Somebody who waits, or comes until then.
    async fn another(&mut self, until: Option<Instant>) -> Option<Job> {
        if let Some(job) = self.backlog.pop_front() {
            return Some(job);
        }
        if let Ok(job) = self.queue.try_recv() {
            return Some(*job);
        }
        let late = timeout_at(until?, self.queue.recv()).await;
        late.ok().flatten().map(|job| *job)
    }
}
