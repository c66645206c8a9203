//! The worker that resolves open payments: once at the start, then every
//! [`RECOVERY_INTERVAL`](crate::limits::RECOVERY_INTERVAL), until the server stops.
//!
//! It may be cut off anywhere: what a sweep did not write down, the next one asks again.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use faregate_core::{Clock, Recovery, SweepReport};
use faregate_types::Timestamp;
use futures_util::FutureExt;
use metrics::counter;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::limits;

const PAYMENTS: &str = "faregate_recovery_payments_total";

/// Registers what the metrics of recovery mean.
pub(crate) fn describe_metrics() {
    metrics::describe_counter!(
        PAYMENTS,
        "Payments by `server` (gate, facilitator) and what looking at them again found: `outcome` (settled, failed, still_unknown, finalized, reopened: taken back by the chain and sent again, unpaid: sold and never to be paid)"
    );
}

/// A running worker. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Worker(JoinHandle<()>);

impl Worker {
    /// Starts it. `name` stands in logs.
    pub(crate) fn start(recovery: Recovery, clock: Arc<dyn Clock>, name: &'static str) -> Self {
        Self::start_every(limits::RECOVERY_INTERVAL, recovery, clock, name)
    }

    fn start_every(
        every: Duration,
        recovery: Recovery,
        clock: Arc<dyn Clock>,
        name: &'static str,
    ) -> Self {
        Self(tokio::spawn(async move {
            let mut turns = interval(every);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                turns.tick().await;
                let swept = sweep(&recovery, clock.as_ref(), name);
                if AssertUnwindSafe(swept).catch_unwind().await.is_err() {
                    tracing::error!(
                        server = name,
                        "a sweep ended in a panic; the next one goes on with other payments"
                    );
                }
            }
        }))
    }

    /// Stops it and returns when it has stopped.
    pub(crate) async fn stop(mut self) {
        self.0.abort();
        // An error says that it was stopped, which was asked for.
        drop((&mut self.0).await);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn sweep(recovery: &Recovery, clock: &dyn Clock, name: &'static str) {
    let older_than = earlier(clock.now(), limits::RECOVERY_AGE_SECS);
    match recovery.sweep(older_than, limits::RECOVERY_MAX).await {
        Ok(report) => tell(report, name),
        Err(away) => {
            tracing::warn!(server = name, %away, "open payments could not be looked at");
        }
    }
}

fn tell(report: SweepReport, name: &'static str) {
    let outcomes = [
        ("settled", report.settled),
        ("failed", report.failed),
        ("still_unknown", report.still_unknown),
        ("finalized", report.finalized),
        ("reopened", report.reopened),
        ("unpaid", report.unpaid),
    ];
    for (outcome, count) in outcomes {
        counter!(PAYMENTS, "server" => name, "outcome" => outcome).increment(count.into());
    }
    if report.looked_at > 0 {
        tracing::info!(
            server = name,
            looked_at = report.looked_at,
            settled = report.settled,
            failed = report.failed,
            still_unknown = report.still_unknown,
            "open payments were looked at"
        );
    }
    if report.reopened > 0 {
        let count = report.reopened;
        tracing::warn!(
            server = name,
            count,
            "the chain took settlements back; they were sent again"
        );
    }
    if report.unpaid > 0 {
        let count = report.unpaid;
        tracing::error!(
            server = name,
            count,
            "answers were sold whose payments can never be settled"
        );
    }
    if report.pruned > 0 {
        tracing::debug!(server = name, count = report.pruned, "kept answers dropped");
    }
}

const fn earlier(now: Timestamp, secs: u64) -> Timestamp {
    Timestamp::from_secs(now.as_secs().saturating_sub(secs))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use faregate_core::Till;
    use faregate_store::memory::MemoryLedger;
    use tokio::time::{sleep, timeout};

    use super::*;

    const SOON: Duration = Duration::from_secs(10);
    const TURN: Duration = Duration::from_millis(1);

    /// A worker over an empty ledger, and how often it looked at the clock. The first look panics when `broken`.
    fn worker(broken: bool) -> (Worker, Arc<AtomicU32>) {
        let store = Arc::new(MemoryLedger::new());
        let till = Till::new(store, Arc::new(|| Timestamp::from_secs(1)), Vec::new());
        let turns = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&turns);
        let clock = move || {
            let turn = counted.fetch_add(1, Ordering::SeqCst);
            assert!(turn > 0 || !broken, "on purpose");
            Timestamp::from_secs(1)
        };
        let worker = Worker::start_every(TURN, till.recovery(), Arc::new(clock), "test");
        (worker, turns)
    }

    async fn reaches(turns: &AtomicU32, count: u32) {
        let reached = async {
            while turns.load(Ordering::SeqCst) < count {
                sleep(TURN).await;
            }
        };
        timeout(SOON, reached).await.unwrap();
    }

    async fn stands_still(turns: &AtomicU32) {
        let before = turns.load(Ordering::SeqCst);
        sleep(20 * TURN).await;
        assert_eq!(turns.load(Ordering::SeqCst), before);
    }

    #[tokio::test]
    async fn it_works_again_and_again_until_it_is_stopped() {
        let (worker, turns) = worker(false);
        reaches(&turns, 5).await;
        timeout(SOON, worker.stop()).await.unwrap();
        stands_still(&turns).await;
    }

    #[tokio::test]
    async fn it_ends_with_whoever_owns_it() {
        let (worker, turns) = worker(false);
        reaches(&turns, 1).await;
        drop(worker);
        sleep(20 * TURN).await;
        stands_still(&turns).await;
    }

    #[tokio::test]
    async fn a_panic_does_not_end_it() {
        let (worker, turns) = worker(true);
        reaches(&turns, 3).await;
        worker.stop().await;
    }
}
