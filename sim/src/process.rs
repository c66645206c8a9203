//! A process that can break down at any moment: then nothing it had begun goes on, and only what is durable is left.

use std::fmt;
use std::future::{Future, pending};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};

use crate::world::{World, lock};

/// Finished tasks are forgotten when so many are on the list.
const TASKS_SWEEP: usize = 64;

/// One life of a program. Cheap to clone.
#[derive(Clone)]
pub struct Process(Arc<Inner>);

struct Inner {
    name: String,
    world: World,
    alive: AtomicBool,
    mortal: bool,
    tasks: Mutex<Vec<AbortHandle>>,
    end: Mutex<Option<oneshot::Sender<()>>>,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name)
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process({})", self.0.name)
    }
}

impl Process {
    /// Starts one; the receiver hears of its end.
    #[must_use]
    pub fn start(world: &World, name: String) -> (Self, oneshot::Receiver<()>) {
        let (end, ended) = oneshot::channel();
        world.note(format_args!("{name} starts"));
        (Self::with(world, name, Some(end)), ended)
    }

    /// One that never breaks down, for those whose breakdowns are not looked into.
    #[must_use]
    pub fn immortal(world: &World, name: &str) -> Self {
        Self::with(world, name.to_owned(), None)
    }

    fn with(world: &World, name: String, end: Option<oneshot::Sender<()>>) -> Self {
        Self(Arc::new(Inner {
            name,
            world: world.clone(),
            alive: AtomicBool::new(true),
            mortal: end.is_some(),
            tasks: Mutex::default(),
            end: Mutex::new(end),
        }))
    }

    /// The world it lives in.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.0.world
    }

    /// False once it broke down.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.alive.load(Ordering::Relaxed)
    }

    /// Runs something in this process: it ends with it.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let task = tokio::spawn(work);
        if self.is_alive() {
            let mut tasks = lock(&self.0.tasks);
            if tasks.len() >= TASKS_SWEEP {
                tasks.retain(|task| !task.is_finished());
            }
            tasks.push(task.abort_handle());
        } else {
            task.abort();
        }
        task
    }

    /// Ends it here and now.
    pub fn kill(&self, why: &str) {
        if !self.0.alive.swap(false, Ordering::Relaxed) {
            return;
        }
        self.0.world.note(format_args!("{self} breaks down {why}"));
        for task in lock(&self.0.tasks).drain(..) {
            task.abort();
        }
        if let Some(end) = lock(&self.0.end).take() {
            // Nobody listens when the run is over.
            end.send(()).ok();
        }
    }

    /// Goes on only in a process that is alive.
    pub async fn alive(&self) {
        if !self.is_alive() {
            pending::<()>().await;
        }
    }

    /// A place where it may break down. Whoever is beyond this is alive.
    pub async fn may_break(&self, what: &str, side: &str) {
        self.alive().await;
        if self.0.mortal && self.0.world.fault(|faults| faults.crash) {
            self.kill(&format!("{side} {what}"));
            pending::<()>().await;
        }
    }
}
