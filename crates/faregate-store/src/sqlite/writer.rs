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
            let told = match (fate, result) {
                (Fate::Committed, result) => result,
                // Trying again would not help.
                (Fate::Lost, Err(StoreError::Damaged)) => Err(StoreError::Damaged),
                // Also a refusal: it may rest on something that is gone now.
                (Fate::Lost, _) => Err(StoreError::Unavailable),
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc as std_mpsc;

    use super::*;

    fn writer() -> Writer {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(
            "PRAGMA foreign_keys = ON;
             CREATE TABLE word (word TEXT PRIMARY KEY) STRICT;
             CREATE TABLE reply (word TEXT REFERENCES word (word) DEFERRABLE INITIALLY DEFERRED) STRICT;",
        )
        .unwrap();
        Writer::start(conn).unwrap()
    }

    fn insert(
        word: &'static str,
    ) -> impl FnOnce(&Connection) -> Result<usize, Fault> + Send + 'static {
        move |conn| Ok(conn.execute("INSERT INTO word VALUES (?1)", [word])?)
    }

    async fn words(writer: &Writer) -> Vec<String> {
        let read = |conn: &Connection| {
            let mut statement = conn.prepare("SELECT word FROM word ORDER BY word")?;
            let words = statement.query_map([], |row| row.get(0))?;
            Ok(words.collect::<Result<_, _>>()?)
        };
        writer.run(read).await.unwrap()
    }

    /// Keeps the thread busy until the sender is dropped, so that what comes now waits and becomes one batch.
    fn hold(writer: &Writer) -> std_mpsc::Sender<()> {
        let (release, held) = std_mpsc::channel::<()>();
        let job: Job = Box::new(move |_| {
            assert!(held.recv().is_err());
            Ran {
                answer: Box::new(|_| ()),
                intact: true,
            }
        });
        assert!(writer.queue.as_ref().unwrap().try_send(job).is_ok());
        release
    }

    #[tokio::test]
    async fn what_waits_shares_one_commit() {
        let writer = writer();
        let release = hold(&writer);
        // SQLite sets this pragma back at every commit, so it tells whether the transaction is still the same.
        let mark = writer.run(|conn| Ok(conn.execute_batch("PRAGMA defer_foreign_keys = ON")?));
        let marked = || {
            writer.run(|conn| {
                Ok(conn
                    .pragma_query_value(None, "defer_foreign_keys", |row| row.get::<_, bool>(0))?)
            })
        };
        let all = async { tokio::join!(mark, marked(), marked(), marked()) };
        let (first, second, third, fourth) = tokio::join!(all, async { drop(release) }).0;
        assert_eq!(
            (first, second, third, fourth),
            (Ok(()), Ok(true), Ok(true), Ok(true))
        );
        assert_eq!(marked().await, Ok(false), "and this one came later");
    }

    #[tokio::test]
    async fn a_failing_job_is_undone_alone() {
        let writer = writer();
        let release = hold(&writer);
        let refused = writer.run(|conn| {
            conn.execute("INSERT INTO word VALUES ('undone')", [])?;
            Err::<(), _>(Fault::Refused(StoreError::NotFound))
        });
        let panics = writer.run(|conn| -> Result<(), Fault> {
            conn.execute("INSERT INTO word VALUES ('undone')", [])?;
            panic!("on purpose");
        });
        let all = async {
            tokio::join!(
                writer.run(insert("a")),
                refused,
                panics,
                writer.run(insert("b"))
            )
        };
        let results = tokio::join!(all, async { drop(release) }).0;
        assert_eq!(
            results,
            (
                Ok(1),
                Err(StoreError::NotFound),
                Err(StoreError::Unavailable),
                Ok(1)
            )
        );
        assert_eq!(words(&writer).await, ["a", "b"]);
    }

    #[tokio::test]
    async fn a_failing_commit_is_told_to_all() {
        let writer = writer();
        let release = hold(&writer);
        // A deferred foreign key fails at the commit and nowhere earlier.
        let dangling =
            writer.run(|conn| Ok(conn.execute("INSERT INTO reply VALUES ('nothing')", [])?));
        let all =
            async { tokio::join!(writer.run(insert("a")), dangling, writer.run(insert("b"))) };
        let results = tokio::join!(all, async { drop(release) }).0;
        let unavailable = Err(StoreError::Unavailable);
        assert_eq!(results, (unavailable, unavailable, unavailable));
        assert_eq!(
            writer.run(insert("later")).await,
            Ok(1),
            "the next batch is not harmed"
        );
        assert_eq!(words(&writer).await, ["later"]);
    }

    #[tokio::test]
    async fn a_transaction_that_sqlite_gave_up_is_told_to_all() {
        let writer = writer();
        let release = hold(&writer);
        // What a full disk does by itself.
        let lost = writer.run(|conn| {
            conn.execute_batch("ROLLBACK")?;
            Ok(())
        });
        let all = async { tokio::join!(writer.run(insert("a")), lost, writer.run(insert("b"))) };
        let results = tokio::join!(all, async { drop(release) }).0;
        let gone = Err(StoreError::Unavailable);
        assert_eq!(results, (gone, Err(StoreError::Unavailable), gone));
        assert_eq!(words(&writer).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_full_queue_makes_callers_wait() {
        let writer = writer();
        let release = hold(&writer);
        let queue = writer.queue.as_ref().unwrap();
        let idle = || -> Job {
            Box::new(|_| Ran {
                answer: Box::new(|_| ()),
                intact: true,
            })
        };
        // The thread may have taken the first job or not yet.
        let mut queued: usize = 0;
        while queue.try_send(idle()).is_ok() {
            queued = queued.saturating_add(1);
        }
        assert!(queued <= limits::WRITE_QUEUE_JOBS, "{queued}");
        let late = writer.run(insert("late"));
        let (result, ()) = tokio::join!(late, async { drop(release) });
        assert_eq!(result, Ok(1));
    }

    #[tokio::test]
    async fn dropping_finishes_what_is_queued() {
        let writer = writer();
        let release = hold(&writer);
        let (done, seen) = std_mpsc::channel();
        let queued = job(move |_| Ok(done.send(())), oneshot::channel().0);
        assert!(writer.queue.as_ref().unwrap().try_send(queued).is_ok());
        drop(release);
        drop(writer);
        assert_eq!(seen.try_recv(), Ok(()));
    }

    #[tokio::test]
    async fn a_dead_thread_is_unavailable() {
        let (queue, jobs) = mpsc::channel(1);
        let writer = Writer {
            queue: Some(queue),
            thread: None,
        };
        let waiting = writer.run(insert("a"));
        // The job is taken from the queue and the thread dies with it.
        let (result, ()) = tokio::join!(waiting, async { drop(jobs) });
        assert_eq!(result, Err(StoreError::Unavailable));
        assert_eq!(writer.run(insert("b")).await, Err(StoreError::Unavailable));
    }
}
