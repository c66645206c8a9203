//! A machine that runs a program, and starts it again whenever it broke down.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use faregate_core::Recovery;
use faregate_types::Timestamp;
use tokio::time::sleep;

use crate::process::Process;
use crate::world::{World, lock};

/// How often open payments are looked at, as the server does it.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Payments that changed lately are left alone, in seconds.
const SWEEP_AGE_SECS: u64 = 10;

/// Most payments per sweep.
const SWEEP_MAX: u32 = 50;

/// Which program runs now, if any.
pub struct Host<I> {
    world: World,
    name: &'static str,
    running: Mutex<Option<(Process, Arc<I>)>>,
}

impl<I> fmt::Debug for Host<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({})", self.name)
    }
}

impl<I: Send + Sync + 'static> Host<I> {
    /// A machine with nothing running.
    #[must_use]
    pub fn new(world: &World, name: &'static str) -> Arc<Self> {
        Arc::new(Self {
            world: world.clone(),
            name,
            running: Mutex::new(None),
        })
    }

    /// The program, while it runs.
    #[must_use]
    pub fn running(&self) -> Option<(Process, Arc<I>)> {
        lock(&self.running).clone()
    }

    /// Runs `live` in one process after the other, for ever. `live` hands over what it made, and goes on.
    pub async fn run<F, W>(self: Arc<Self>, live: F)
    where
        F: Fn(Process, Arc<Self>) -> W + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        for life in 1_u64.. {
            let (process, ended) = Process::start(&self.world, format!("{}{life}", self.name));
            process.spawn(live(process.clone(), Arc::clone(&self)));
            process.spawn(mortal(process.clone()));
            // An error would say the same.
            drop(ended.await);
            drop(lock(&self.running).take());
            let rest = self.world.chance().between(50, 20_000);
            sleep(Duration::from_millis(rest)).await;
        }
    }

    /// From now on this is what runs.
    pub fn ready(&self, process: &Process, instance: Arc<I>) {
        self.world.note(format_args!("{process} is ready"));
        *lock(&self.running) = Some((process.clone(), instance));
    }
}

/// Breaks down now and then for no reason.
async fn mortal(process: Process) {
    let world = process.world().clone();
    loop {
        let pause = world.chance().between(500, 20_000);
        sleep(Duration::from_millis(pause)).await;
        if world.is_calm() {
            return;
        }
        if world.fault(|faults| faults.crash * 6) {
            process.kill("for no reason");
        }
    }
}

/// Looks at open payments now and every 10 seconds, as the server does.
pub async fn recover(process: Process, recovery: Recovery) {
    let world = process.world().clone();
    loop {
        let older = world.now().as_secs().saturating_sub(SWEEP_AGE_SECS);
        let swept = recovery.sweep(Timestamp::from_secs(older), SWEEP_MAX).await;
        if let Ok(report) = swept
            && report.looked_at > 0
        {
            world.note(format_args!(
                "{process} swept {}: {} settled, {} failed, {} unknown",
                report.looked_at, report.settled, report.failed, report.still_unknown
            ));
        }
        sleep(SWEEP_EVERY).await;
    }
}
