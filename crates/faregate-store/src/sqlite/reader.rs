//! A few threads that read beside the writer, each on a connection of its own.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use faregate_ledger::StoreError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::fault::{Fault, unless_panicked};
use super::limits;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The handle of the threads. Dropping it waits until every queued read is done.
#[derive(Debug)]
pub(super) struct Readers {
    queue: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts one thread per connection.
    pub(super) fn start(connections: Vec<Connection>) -> io::Result<Self> {
        let (queue, jobs) = mpsc::channel(limits::READ_QUEUE_JOBS);
        let jobs = Arc::new(Mutex::new(jobs));
        // Built first: when a thread cannot be started, dropping this ends those that were.
        let mut readers = Self {
            queue: Some(queue),
            threads: Vec::new(),
        };
        for conn in connections {
            let jobs = Arc::clone(&jobs);
            let thread = thread::Builder::new()
                .name("faregate-store-reader".into())
                .spawn(move || read_all(conn, &jobs))?;
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Runs `work` on one snapshot of the file. [`StoreError::Unavailable`] when the threads are gone.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        let (reply, result) = oneshot::channel();
        let job: Job = Box::new(move |conn| {
            // A caller that went away does not need to know.
            drop(reply.send(unless_panicked(|| in_snapshot(conn, work)).map_err(Fault::told)));
        });
        let queue = self.queue.as_ref().ok_or(StoreError::Unavailable)?;
        queue.send(job).await.map_err(|_| StoreError::Unavailable)?;
        result.await.map_err(|_| StoreError::Unavailable)?
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        drop(self.queue.take());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a reader thread of the store had panicked");
            }
        }
    }
}

/// The life of a thread: one of them waits for the next job while the others work.
fn read_all(mut conn: Connection, jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let next = jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .blocking_recv();
        let Some(job) = next else { return };
        job(&mut conn);
    }
}

/// All statements of one read see the same state.
fn in_snapshot<T>(
    conn: &mut Connection,
    work: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let snapshot = conn.transaction()?;
    let result = work(&snapshot)?;
    snapshot.finish()?;
    Ok(result)
}
