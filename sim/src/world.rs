//! The world of one run: its clock, its chance, its faults, and the record of everything that happened.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faregate_types::Timestamp;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::chance::Chance;
use crate::plan::{Faults, Plan};
use crate::process::Process;

/// When every run begins, in seconds since 1970.
pub const EPOCH_SECS: u64 = 1_800_000_000;

/// How long a caller hears nothing when a message is lost without a word.
const SILENCE: Duration = Duration::from_secs(150);

/// Shared by everything in one run. Cheap to clone.
#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    start: Instant,
    plan: Plan,
    chance: Mutex<Chance>,
    record: Mutex<Record>,
    calm: AtomicBool,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

/// What happened.
#[derive(Default)]
struct Record {
    hash: u64,
    events: u64,
    lines: Option<Vec<String>>,
    problems: Vec<String>,
}

/// A message or its answer did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

/// Locks without minding a panic elsewhere: a run has one thread.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// A world that begins now. With `trace`, every event is kept as a line.
    #[must_use]
    pub fn new(plan: Plan, chance: Chance, trace: bool) -> Self {
        Self(Arc::new(Inner {
            start: Instant::now(),
            plan,
            chance: Mutex::new(chance),
            record: Mutex::new(Record {
                hash: 0xcbf2_9ce4_8422_2325,
                lines: trace.then(Vec::new),
                ..Record::default()
            }),
            calm: AtomicBool::new(false),
        }))
    }

    /// What the seed decided at the beginning.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// Milliseconds since the beginning.
    #[must_use]
    pub fn millis(&self) -> u64 {
        u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_secs(EPOCH_SECS + self.0.start.elapsed().as_secs())
    }

    /// The chance of this run.
    pub fn chance(&self) -> MutexGuard<'_, Chance> {
        lock(&self.0.chance)
    }

    /// Ends all faults: from here on the world heals.
    pub fn calm_down(&self) {
        self.0.calm.store(true, Ordering::Relaxed);
        self.note(format_args!("calm"));
    }

    /// True once faults have ended.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.0.calm.load(Ordering::Relaxed)
    }

    /// True when a fault of this kind happens now. Never in calm times.
    #[must_use]
    pub fn fault(&self, kind: impl Fn(&Faults) -> u64) -> bool {
        let per_mille = kind(&self.0.plan.faults);
        per_mille > 0 && !self.is_calm() && self.chance().roll(per_mille)
    }

    /// Writes down an event.
    pub fn note(&self, event: fmt::Arguments<'_>) {
        let line = format!("{:>9} {event}", self.millis());
        let mut record = lock(&self.0.record);
        for byte in line.bytes() {
            record.hash = (record.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        record.events += 1;
        if let Some(lines) = &mut record.lines {
            lines.push(line);
        }
    }

    /// Writes down that something happened that must not.
    pub fn problem(&self, what: fmt::Arguments<'_>) {
        let what = what.to_string();
        self.note(format_args!("PROBLEM {what}"));
        let mut record = lock(&self.0.record);
        if !record.problems.contains(&what) {
            record.problems.push(what);
        }
    }

    /// What happened that must not.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        lock(&self.0.record).problems.clone()
    }

    /// A number that stands for everything that happened, how much that was, and the lines if they were kept.
    #[must_use]
    pub fn history(&self) -> (u64, u64, Vec<String>) {
        let record = lock(&self.0.record);
        (
            record.hash,
            record.events,
            record.lines.clone().unwrap_or_default(),
        )
    }

    /// How long something takes: usually little, sometimes long.
    fn takes(&self, usual_ms: u64) -> Duration {
        let faults = &self.0.plan.faults;
        let slow = self.fault(|faults| faults.slow);
        let mut chance = self.chance();
        Duration::from_millis(if slow {
            chance.below(faults.slow_ms + 1)
        } else {
            chance.below(usual_ms + 1)
        })
    }

    /// Lets time pass on the way through the network.
    pub async fn travel(&self) {
        let time = self.takes(self.0.plan.faults.latency_ms);
        if !time.is_zero() {
            sleep(time).await;
        }
    }

    /// Lets time pass at a disk.
    pub async fn write(&self) {
        let time = self.takes(2);
        if !time.is_zero() {
            sleep(time).await;
        }
    }

    /// Sends a message to somebody outside of `process` and waits for the answer.
    ///
    /// Once sent, it is on its way whatever becomes of the process: it may be late, lost or doubled, and so may the answer.
    /// The process may break down right before it sends and right after it hears.
    ///
    /// # Errors
    /// [`Lost`] when there will be no answer. Whether the message arrived is then unknown.
    pub async fn ask<T: Send + 'static>(
        &self,
        process: &Process,
        what: &str,
        there: impl FnMut() -> BoxFuture<'static, Option<T>> + Send + 'static,
    ) -> Result<T, Lost> {
        let twice = self.fault(|faults| faults.twice);
        self.message(process, what, twice, there).await
    }

    /// The same for a message that cannot arrive twice, because nobody repeats it.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn ask_once<T: Send + 'static>(
        &self,
        process: &Process,
        what: &str,
        there: impl FnMut() -> BoxFuture<'static, Option<T>> + Send + 'static,
    ) -> Result<T, Lost> {
        self.message(process, what, false, there).await
    }

    async fn message<T: Send + 'static>(
        &self,
        process: &Process,
        what: &str,
        twice: bool,
        mut there: impl FnMut() -> BoxFuture<'static, Option<T>> + Send + 'static,
    ) -> Result<T, Lost> {
        process.may_break(what, "before").await;
        let (tell, heard) = oneshot::channel();
        let (world, name) = (self.clone(), format!("{process} {what}"));
        let way = async move {
            world.travel().await;
            if world.fault(|faults| faults.lose_request) {
                world.note(format_args!("{name}: request lost"));
                return world.silence().await;
            }
            world.note(format_args!("{name}"));
            let answer = there().await;
            if twice {
                world.travel().await;
                world.note(format_args!("{name}: arrives twice"));
                drop(there().await);
            }
            world.travel().await;
            if world.fault(|faults| faults.lose_answer) {
                world.note(format_args!("{name}: answer lost"));
                return world.silence().await;
            }
            if let Some(answer) = answer {
                drop(tell.send(answer));
            }
        };
        tokio::spawn(way);
        let answer = heard.await;
        process.may_break(what, "after").await;
        answer.map_err(|_| Lost)
    }

    /// A lost message is noticed at once or after a long time.
    async fn silence(&self) {
        let noticed = self.chance().roll(500);
        if !noticed {
            sleep(SILENCE).await;
        }
    }
}
