//! One thread that writes, and many jobs per commit.
//!
//! A commit costs one fsync, whatever is in it. So the thread takes all jobs that wait, runs each inside a savepoint of one
//! transaction, commits once, and only then answers: an answer means that its job is on the disk.

use std::io;
use std::thread::{self, JoinHandle};

use faregate_ledger::StoreError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::fault::{Fault, unless_panicked};
use super::limits;

/// Work to be done inside the transaction.
type Job = Box<dyn FnOnce(&Connection) -> Ran + Send>;

/// Tells the caller, once the fate of the transaction is known.
type Answer = Box<dyn FnOnce(Fate) + Send>;

/// A job that ran and waits for the commit.
struct Ran {
    answer: Answer,
    /// False when the job's savepoint could not be closed, so that nothing in the transaction can be trusted.
    intact: bool,
}

/// What became of a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Committed,
    /// Not committed, or nobody knows.
    Lost,
}

/// The handle of the thread. Dropping it waits until every queued job is done.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(conn: Connection) -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel(limits::WRITE_QUEUE_JOBS);
        let thread = thread::Builder::new()
            .name("faregate-store-writer".into())
            .spawn(move || write_all(&conn, jobs))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Runs `work` in a transaction and returns what it returned, after the commit. The work is done even if nobody waits
    /// for the answer any more. [`StoreError::Unavailable`] when the commit failed or the thread is gone.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or(StoreError::Unavailable)?;
        queue
            .send(job(work, reply))
            .await
            .map_err(|_| StoreError::Unavailable)?;
        result.await.map_err(|_| StoreError::Unavailable)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer thread of the store had panicked");
        }
    }
}

/// Binds the work to its answer.
fn job<T, F>(work: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Job
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
{
    Box::new(move |conn| {
        let (result, intact) = match in_savepoint(conn, work) {
            Ok(result) => (result, true),
            Err(fault) => (Err(fault), false),
        };
        let result = result.map_err(Fault::told);
        let answer: Answer = Box::new(move |fate| {
            let told = match fate {
                Fate::Committed => result,
                Fate::Lost => Err(StoreError::Unavailable),
            };
            // A caller that went away does not need to know.
            drop(reply.send(told));
        });
        Ran { answer, intact }
    })
}

/// Runs `work`; when it fails or panics, what it wrote is undone and the other jobs of the transaction are not touched.
/// The outer error means that undoing failed.
fn in_savepoint<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<Result<T, Fault>, Fault> {
    execute(conn, "SAVEPOINT job")?;
    let result = unless_panicked(|| work(conn));
    if result.is_err() {
        execute(conn, "ROLLBACK TO job")?;
    }
    execute(conn, "RELEASE job")?;
    Ok(result)
}

/// The life of the thread.
fn write_all(conn: &Connection, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(limits::WRITE_BATCH_JOBS);
    while jobs.blocking_recv_many(&mut batch, limits::WRITE_BATCH_JOBS) > 0 {
        write_batch(conn, batch.drain(..));
    }
}

/// One transaction. A job that is dropped here without having run tells its caller that the store is unavailable.
fn write_batch(conn: &Connection, jobs: impl Iterator<Item = Job>) {
    if let Err(fault) = execute(conn, "BEGIN IMMEDIATE") {
        fault.told();
        return;
    }
    let mut answers = Vec::with_capacity(limits::WRITE_BATCH_JOBS);
    let mut fate = Fate::Committed;
    for job in jobs {
        let ran = job(conn);
        answers.push(ran.answer);
        // Some errors, e.g. a full disk, make SQLite roll the whole transaction back by itself.
        if !ran.intact || conn.is_autocommit() {
            fate = Fate::Lost;
            break;
        }
    }
    if fate == Fate::Committed
        && let Err(fault) = execute(conn, "COMMIT")
    {
        fault.told();
        fate = Fate::Lost;
    }
    if !conn.is_autocommit()
        && let Err(fault) = execute(conn, "ROLLBACK")
    {
        fault.told();
    }
    for answer in answers {
        answer(fate);
    }
}

fn execute(conn: &Connection, sql: &str) -> Result<(), Fault> {
    conn.prepare_cached(sql)?.execute([])?;
    Ok(())
}
