//! One thread that writes, and many jobs per commit.
//!
//! A commit costs one fsync, whatever is in it. So the thread takes all jobs that wait, runs each so that it can be undone alone
//! in one transaction, commits once, and only then answers: an answer means that its job is on the disk.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use faregate_ledger::StoreError;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::fault::{Fault, unless_panicked};
use super::limits;
use super::queue::Queue;

/// Work to be done inside the transaction.
type Job = Box<dyn FnOnce(&Connection, Undo) -> Ran + Send>;

/// What is undone when a job fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Undo {
    /// The transaction, which has nothing else in it yet; it is begun anew.
    Transaction,
    /// What was written since the job began.
    Savepoint,
}

/// Tells the caller, once the fate of the transaction is known.
type Answer = Box<dyn FnOnce(Fate) + Send>;

/// A job that ran and waits for the commit.
struct Ran {
    answer: Answer,
    /// False when the job could not be undone or its savepoint not be closed, so that nothing in the transaction can be trusted.
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
pub(super) struct Writer {
    queue: Arc<Queue<Job>>,
    /// Jobs that nobody waits for and that are not done yet.
    unseen: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("unseen", &self.unseen)
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(conn: Connection) -> io::Result<Self> {
        let queue = Arc::new(Queue::new());
        let jobs = Arc::clone(&queue);
        let thread = thread::Builder::new()
            .name("faregate-store-writer".into())
            .spawn(move || write_all(&conn, &jobs))?;
        Ok(Self {
            queue,
            unseen: Arc::default(),
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
        // A caller that went away does not need to know.
        let told = move |result| drop(reply.send(result));
        let pushed = self.queue.push(job(work, told)).await;
        pushed.map_err(|_| StoreError::Unavailable)?;
        result.await.map_err(|_| StoreError::Unavailable)?
    }

    /// Queues `work` for a transaction before long, after everything that was queued before. What fails is logged as
    /// `what`. `false` when it was not queued.
    pub(super) fn run_later<F>(&self, what: &'static str, work: F) -> bool
    where
        F: FnOnce(&Connection) -> Result<(), Fault> + Send + 'static,
    {
        let unseen = Unseen::new(&self.unseen);
        self.queue.leave(job(work, move |result| {
            if let Err(error) = result {
                tracing::warn!(%error, what, "a write that nobody waits for failed");
            }
            drop(unseen);
        }))
    }

    /// Whether something that was queued with [`run_later`](Self::run_later) is not done yet.
    pub(super) fn has_unseen(&self) -> bool {
        self.unseen.load(Ordering::Acquire) > 0
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer thread of the store had panicked");
        }
    }
}

/// Counts one job until it is done, or dropped.
struct Unseen(Arc<AtomicUsize>);

impl Unseen {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(count))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Binds the work to whom its result is told.
fn job<T, F, R>(work: F, tell: R) -> Job
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    R: FnOnce(Result<T, StoreError>) + Send + 'static,
{
    Box::new(move |conn, undo| {
        let attempt = match undo {
            Undo::Transaction => as_the_first(conn, work),
            Undo::Savepoint => in_savepoint(conn, work),
        };
        let (result, intact) = match attempt {
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
            tell(told);
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

/// The same for a job that stands first in its transaction, which most do, for less: there is nothing that a savepoint would
/// protect.
fn as_the_first<T>(
    conn: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<Result<T, Fault>, Fault> {
    let result = unless_panicked(|| work(conn));
    if result.is_err() {
        // SQLite may have done it by itself.
        if !conn.is_autocommit() {
            execute(conn, "ROLLBACK")?;
        }
        execute(conn, "BEGIN IMMEDIATE")?;
    }
    Ok(result)
}

/// The life of the thread. However it ends, nobody waits for it in vain.
fn write_all(conn: &Connection, jobs: &Queue<Job>) {
    struct Ends<'a>(&'a Queue<Job>);
    impl Drop for Ends<'_> {
        fn drop(&mut self) {
            self.0.abandon();
        }
    }
    let _ends = Ends(jobs);
    let mut batch = Vec::with_capacity(limits::WRITE_BATCH_JOBS);
    while jobs.take(&mut batch, limits::WRITE_BATCH_JOBS) {
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
    let (mut fate, mut undo) = (Fate::Committed, Undo::Transaction);
    for job in jobs {
        let ran = job(conn, undo);
        undo = Undo::Savepoint;
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
        let job: Job = Box::new(move |_, _| {
            assert!(held.recv().is_err());
            Ran {
                answer: Box::new(|_| ()),
                intact: true,
            }
        });
        assert!(writer.queue.leave(job));
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

    /// The first of a transaction has no savepoint; it is undone alone like the others.
    #[tokio::test]
    async fn a_failing_first_job_is_undone_alone() {
        for gave_up in [false, true] {
            let writer = writer();
            // Until the thread has taken it, what follows waits behind it in a batch of its own.
            let (release, held) = std_mpsc::channel::<()>();
            let (taken, is_taken) = std_mpsc::channel();
            let blocks = writer.run(move |_| {
                assert!(taken.send(()).is_ok());
                assert!(held.recv().is_err());
                Ok(())
            });
            let fails = async {
                while is_taken.try_recv().is_err() {
                    tokio::task::yield_now().await;
                }
                let fails = writer.run(move |conn| {
                    conn.execute("INSERT INTO word VALUES ('undone')", [])?;
                    if gave_up {
                        conn.execute_batch("ROLLBACK")?;
                    }
                    Err::<(), _>(Fault::Refused(StoreError::NotFound))
                });
                let both = async { tokio::join!(fails, writer.run(insert("a"))) };
                tokio::join!(both, async { drop(release) }).0
            };
            let (blocked, (failed, next)) = tokio::join!(blocks, fails);
            assert_eq!(
                (blocked, failed, next),
                (Ok(()), Err(StoreError::NotFound), Ok(1))
            );
            assert_eq!(words(&writer).await, ["a"], "{gave_up}");
        }
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
        let queue = &writer.queue;
        let idle = || -> Job {
            Box::new(|_, _| Ran {
                answer: Box::new(|_| ()),
                intact: true,
            })
        };
        // The thread may have taken the first job or not yet.
        let mut queued: usize = 0;
        while queue.leave(idle()) {
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
        assert!(writer.run_later("a test", move |_| {
            assert!(done.send(()).is_ok());
            Ok(())
        }));
        drop(release);
        drop(writer);
        assert_eq!(seen.try_recv(), Ok(()));
    }

    #[tokio::test]
    async fn a_dead_thread_is_unavailable() {
        let writer = Writer {
            queue: Arc::new(Queue::new()),
            unseen: Arc::default(),
            thread: None,
        };
        let waiting = writer.run(insert("a"));
        // The thread dies, and the job in the queue with it.
        let (result, ()) = tokio::join!(waiting, async { writer.queue.abandon() });
        assert_eq!(result, Err(StoreError::Unavailable));
        assert_eq!(writer.run(insert("b")).await, Err(StoreError::Unavailable));
        assert!(!writer.run_later("a test", |_| Ok(())));
        assert!(!writer.has_unseen());
    }

    #[tokio::test]
    async fn what_nobody_waits_for_shares_the_next_commit_and_harms_nothing() {
        let writer = writer();
        let release = hold(&writer);
        let later = |word| move |conn: &Connection| insert(word)(conn).map(|_| ());
        assert!(writer.run_later("a test", later("a")));
        assert!(writer.run_later("a test", later("a")), "fails alone");
        assert!(writer.run_later("a test", |_| panic!("on purpose")));
        assert!(writer.has_unseen());
        let (seen, ()) = tokio::join!(words(&writer), async { drop(release) });
        assert_eq!(seen, ["a"]);
        assert!(!writer.has_unseen(), "all of them are done");
        assert!(writer.run_later("a test", later("b")));
        while writer.has_unseen() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        assert_eq!(words(&writer).await, ["a", "b"]);
    }
}
