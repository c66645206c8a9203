//! Many jobs, one transaction: a task gathers whatever waits, runs it between `BEGIN` and `COMMIT`, and only then answers.
//!
//! A commit costs one round trip and one flush of the server's log, and a hot row is locked once, whatever is in the batch. While
//! one batch is on its way the next one gathers, so a busy account makes larger batches, not longer waits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use faregate_ledger::StoreError;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::fault::{Fault, Remedy};
use super::limits;
use super::pool::{Link, Pool, pause};

/// What became of each job of a batch, in order. A refused job must have written nothing.
pub(in crate::postgres) type Results<D> = Vec<Result<D, StoreError>>;

/// What a lane does.
pub(in crate::postgres) trait Work: Send + Sync + 'static {
    /// What is asked.
    type Job: Send + Sync + 'static;
    /// What is answered.
    type Done: Send + 'static;

    /// About how many bytes a job sends to the database.
    fn bytes(job: &Self::Job) -> usize;

    /// Runs jobs inside a transaction that has just begun, in this order. It may be called again with the same jobs, in
    /// another transaction, when this one is not committed. An error means that nothing of the batch is to be committed.
    fn run<'a>(
        &'a self,
        link: &'a Link,
        jobs: &'a [Self::Job],
    ) -> BoxFuture<'a, Result<Results<Self::Done>, Fault>>;
}

/// The handle of the task. When the last one is dropped, the task does what is queued and ends.
pub(in crate::postgres) struct Lane<W: Work> {
    queue: mpsc::Sender<Entry<W>>,
}

impl<W: Work> fmt::Debug for Lane<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}

struct Entry<W: Work> {
    job: W::Job,
    reply: oneshot::Sender<Result<W::Done, StoreError>>,
    /// The caller is gone then.
    until: Instant,
}

/// Why a transaction was not made.
struct Undone {
    fault: Fault,
    /// Nobody knows whether it was committed after all.
    is_unknown: bool,
}

impl<W: Work> Lane<W> {
    /// Starts the task on this runtime.
    pub(in crate::postgres) fn start(work: W, pool: Arc<Pool>) -> Self {
        let (queue, jobs) = mpsc::channel(limits::LANE_QUEUE_JOBS);
        tokio::spawn(work_all(work, pool, jobs));
        Self { queue }
    }

    /// Runs a job in a transaction and returns what it returned, after the commit. [`StoreError::Unavailable`] when that
    /// takes too long or nobody knows whether it was committed: then repeat it.
    pub(in crate::postgres) async fn ask(&self, job: W::Job) -> Result<W::Done, StoreError> {
        let now = Instant::now();
        let wait = Duration::from_millis(limits::CALL_MILLIS);
        let until = now.checked_add(wait).unwrap_or(now);
        let asked = async {
            let (reply, result) = oneshot::channel();
            let entry = Entry { job, reply, until };
            let queued = self.queue.send(entry).await;
            queued.map_err(|_| StoreError::Unavailable)?;
            result.await.map_err(|_| StoreError::Unavailable)?
        };
        timeout_at(until, asked).await.unwrap_or_else(|_| {
            tracing::warn!("the ledger's database did not answer in time");
            Err(StoreError::Unavailable)
        })
    }
}

/// The life of the task.
async fn work_all<W: Work>(work: W, pool: Arc<Pool>, mut queue: mpsc::Receiver<Entry<W>>) {
    let mut next = None;
    loop {
        let first = match next.take() {
            Some(first) => first,
            None => match queue.recv().await {
                Some(first) => first,
                None => return,
            },
        };
        let mut bytes = W::bytes(&first.job);
        let (mut jobs, mut replies) = (Vec::new(), Vec::new());
        let mut entry = Some(first);
        while let Some(one) = entry.take() {
            // Whoever asked has been told that it is unknown; not to do it any more is as good.
            if one.until > Instant::now() {
                jobs.push(one.job);
                replies.push(one.reply);
            }
            if jobs.len() < limits::LANE_BATCH_JOBS
                && let Ok(one) = queue.try_recv()
            {
                bytes = bytes.saturating_add(W::bytes(&one.job));
                if bytes > limits::LANE_BATCH_BYTES {
                    next = Some(one);
                } else {
                    entry = Some(one);
                }
            }
        }
        if jobs.is_empty() {
            continue;
        }
        let results = run(&work, &pool, &jobs).await;
        for (reply, result) in replies.into_iter().zip(results) {
            // A caller that went away does not need to know.
            drop(reply.send(result));
        }
    }
}

/// One result per job, whatever happens.
async fn run<W: Work>(work: &W, pool: &Pool, jobs: &[W::Job]) -> Results<W::Done> {
    let fault = match try_run(work, pool, jobs).await {
        Ok(results) => return results,
        Err(fault) => fault,
    };
    // One of them is not what the database takes: the others are innocent.
    if fault.remedy() == Remedy::Nothing && jobs.len() > 1 {
        let mut results = Vec::with_capacity(jobs.len());
        for job in jobs {
            let alone = try_run(work, pool, std::slice::from_ref(job)).await;
            let alone = alone.map(|mut results| results.pop());
            results.push(match alone {
                Ok(Some(result)) => result,
                Ok(None) => Err(StoreError::Unavailable),
                Err(fault) => Err(fault.told()),
            });
        }
        return results;
    }
    let error = fault.told();
    jobs.iter().map(|_| Err(error)).collect()
}

async fn try_run<W: Work>(
    work: &W,
    pool: &Pool,
    jobs: &[W::Job],
) -> Result<Results<W::Done>, Fault> {
    let mut attempt = 0;
    loop {
        let wait = Duration::from_millis(limits::ATTEMPT_MILLIS);
        let done = timeout(wait, in_transaction(work, pool, jobs)).await;
        let undone = match done {
            Ok(Ok(results)) if results.len() == jobs.len() => return Ok(results),
            Ok(Ok(_)) => return Err(Fault::Damaged("a batch with another number of results")),
            Ok(Err(undone)) => undone,
            Err(_) => return Err(Fault::Away("no answer in time")),
        };
        attempt = u32::saturating_add(attempt, 1);
        let remedy = undone.fault.remedy();
        if remedy == Remedy::Reconnect {
            pool.forget_idle();
        }
        match remedy {
            _ if undone.is_unknown => return Err(undone.fault),
            Remedy::Again if attempt < limits::ATTEMPTS => pause(attempt).await,
            Remedy::Reconnect if attempt < 2 => {}
            _ => return Err(undone.fault),
        }
    }
}

async fn in_transaction<W: Work>(
    work: &W,
    pool: &Pool,
    jobs: &[W::Job],
) -> Result<Results<W::Done>, Undone> {
    let certain = |fault| Undone {
        fault,
        is_unknown: false,
    };
    let lease = pool.lease().await.map_err(certain)?;
    // A transaction that is not committed ends with its connection.
    let link = lease.link();
    let begun = link.batch("BEGIN ISOLATION LEVEL READ COMMITTED").await;
    begun.map_err(certain)?;
    let results = match work.run(link, jobs).await {
        Ok(results) => results,
        Err(fault) => {
            if fault.remedy() != Remedy::Reconnect && link.batch("ROLLBACK").await.is_ok() {
                lease.give_back();
            }
            return Err(certain(fault));
        }
    };
    if let Err(fault) = link.batch("COMMIT").await {
        // Some databases notice only now that somebody else was faster, and say so.
        let is_unknown = fault.remedy() != Remedy::Again;
        let fault = if is_unknown {
            Fault::Away("nobody knows whether it was committed")
        } else {
            fault
        };
        return Err(Undone { fault, is_unknown });
    }
    lease.give_back();
    Ok(results)
}
