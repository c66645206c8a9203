//! One thread with a runtime, and callers that wait for it.

use std::pin::Pin;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Error;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The thread. Dropping it waits until it has ended.
pub(super) struct Engine {
    /// As many jobs as there are callers who wait.
    jobs: Option<UnboundedSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// Whether this thread may wait.
///
/// # Errors
/// [`Error::InsideRuntime`].
pub(super) fn may_wait() -> Result<(), Error> {
    match Handle::try_current() {
        Ok(_) => Err(Error::InsideRuntime),
        Err(_) => Ok(()),
    }
}

impl Engine {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`Error::InsideRuntime`], [`Error::NoThread`].
    pub(super) fn start() -> Result<Self, Error> {
        may_wait()?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|_| Error::NoThread)?;
        let (jobs, waiting) = unbounded_channel();
        let thread = thread::Builder::new()
            .name("faregate-client".into())
            .spawn(move || runtime.block_on(work(waiting)))
            .map_err(|_| Error::NoThread)?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Runs a job and waits for it.
    ///
    /// # Errors
    /// [`Error::InsideRuntime`]; [`Error::NoThread`] when the job panicked.
    pub(super) fn run<T: Send + 'static>(
        &self,
        job: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        may_wait()?;
        let (reply, result) = sync_channel(1);
        let job: Job = Box::pin(async move {
            // The caller waits; and the channel has room for the one reply.
            drop(reply.try_send(job.await));
        });
        let jobs = self.jobs.as_ref().ok_or(Error::NoThread)?;
        jobs.send(job).map_err(|_| Error::NoThread)?;
        result.recv().map_err(|_| Error::NoThread)
    }
}

/// Works until nobody can ask any more.
async fn work(mut waiting: UnboundedReceiver<Job>) {
    while let Some(job) = waiting.recv().await {
        // A task of its own: callers do not wait for each other, and a panic ends nothing else.
        drop(tokio::spawn(job));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.jobs = None;
        let Some(thread) = self.thread.take() else {
            return;
        };
        // The last owner may be a job on this very thread, which then ends by itself.
        if thread.thread().id() != thread::current().id() {
            drop(thread.join());
        }
    }
}
