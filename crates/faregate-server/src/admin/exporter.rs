//! The recorder that every metric of the process goes to, and its text.

use std::sync::{Mutex, PoisonError};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::{MissedTickBehavior, interval};

use super::process;
use crate::limits::METRICS_UPKEEP_INTERVAL;

/// Buckets of everything measured in seconds: from a verification in memory to a settlement on a slow chain.
const SECONDS: [f64; 20] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0,
];

/// Buckets of everything measured in bytes.
const BYTES: [f64; 8] = [
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    16_777_216.0,
];

/// Buckets of everything that is counted: items in a batch, copies of a request, blocks behind.
const COUNTS: [f64; 11] = [
    0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0,
];

/// Where the metrics of this process are collected. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(PrometheusHandle);

/// Why metrics cannot be collected.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be collected: {0}")]
pub struct InstallError(#[from] BuildError);

static INSTALLED: Mutex<Option<Metrics>> = Mutex::new(None);

/// Collects every metric of this process from now on; a second call returns the same. Without it metrics cost next to
/// nothing and go nowhere. To be called before the parts that measure are made.
///
/// # Errors
/// [`InstallError`] when somebody else collects them already.
pub fn install() -> Result<Metrics, InstallError> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(metrics) = &*installed {
        return Ok(metrics.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets(&COUNTS)?
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_bytes".to_owned()), &BYTES)?
        .install_recorder()?;
    process::describe();
    process::started();
    let metrics = Metrics(handle);
    *installed = Some(metrics.clone());
    Ok(metrics)
}

impl Metrics {
    /// Everything, in the text format of Prometheus.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }
}

/// Moves samples out of their queues now and then, so that these stay short when nobody looks.
pub(super) async fn upkeep(metrics: Metrics) {
    let mut turns = interval(METRICS_UPKEEP_INTERVAL);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        metrics.0.run_upkeep();
    }
}
