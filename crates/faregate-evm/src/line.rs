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

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256, Bytes, U256};
    use faregate_types::ChainId;

    use super::*;
    use crate::bindings::Settler;
    use crate::config::NetworkConfig;
    use crate::flight::News;
    use crate::job::Work;
    use crate::rpc::Simulation;

    /// Through the batch contract, or alone.
    fn job(number: u8, alone: bool) -> (Box<Job>, mpsc::Receiver<News>) {
        let call = Simulation {
            from: Address::ZERO,
            to: Address::repeat_byte(number),
            value: U256::ZERO,
            data: Bytes::new(),
            gas_max: 0,
        };
        let simulated_at = Instant::now();
        let work = match alone {
            true => Work::Alone {
                call,
                gas_limit: u64::from(number),
                simulated_at,
            },
            false => Work::Shared {
                item: Box::new(Item::Transfer(Settler::Item {
                    token: Address::ZERO,
                    from: Address::ZERO,
                    to: Address::ZERO,
                    value: U256::from(number),
                    validAfter: U256::ZERO,
                    validBefore: U256::ZERO,
                    nonce: B256::ZERO,
                    signature: Bytes::new(),
                })),
                call,
            },
        };
        Job::new(None, work)
    }

    fn numbers(jobs: &[Job]) -> Vec<u8> {
        jobs.iter()
            .map(|job| match &job.work {
                Work::Alone { call, .. } | Work::Shared { call, .. } => call.to[0],
            })
            .collect()
    }

    #[tokio::test]
    async fn who_goes_another_way_is_next_in_order() {
        let url = "http://127.0.0.1:1".parse().unwrap();
        let mut config = NetworkConfig::new(ChainId::BASE_SEPOLIA, url, Vec::new());
        config.batch_settler = Some(Address::repeat_byte(9));
        config.batch_items_max = 3;
        let batching = Batching::of(&config);
        let (jobs, queue) = mpsc::channel(16);
        let (mut line, mut ears) = (Line::new(queue), Vec::new());
        for (number, alone) in [
            (1, false),
            (2, true),
            (3, false),
            (4, true),
            (5, false),
            (6, false),
            (7, false),
        ] {
            let (job, hears) = job(number, alone);
            jobs.try_send(job).unwrap();
            // The third has gone.
            if number != 3 {
                ears.push(hears);
            }
        }
        drop(jobs);
        let mut gathered = Vec::new();
        while let Ok(Some(first)) = line.next(None).await {
            let together = line.gather(first, &batching, Duration::ZERO).await;
            gathered.push(numbers(&together));
        }
        assert_eq!(gathered, [vec![1, 5, 6], vec![2], vec![4], vec![7]]);
    }
}
