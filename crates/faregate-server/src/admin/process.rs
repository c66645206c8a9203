//! What the process says about itself, under the names every Prometheus library uses for it.

use std::fs;
use std::time::SystemTime;

use metrics::{Unit, describe_gauge, gauge};

const BUILD: &str = "faregate_build_info";
const START: &str = "process_start_time_seconds";
const MEMORY: &str = "process_resident_memory_bytes";
const FILES: &str = "process_open_fds";

/// Registers what the metrics of this module mean.
pub fn describe() {
    describe_gauge!(BUILD, "Always 1; `version` says which Faregate this is");
    describe_gauge!(
        START,
        Unit::Seconds,
        "When the process started, in seconds since 1970"
    );
    describe_gauge!(
        MEMORY,
        Unit::Bytes,
        "Memory of the process that is in RAM (Linux only)"
    );
    describe_gauge!(FILES, "Open file descriptors of the process (Linux only)");
}

/// What never changes.
pub(super) fn started() {
    gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    if let Ok(since) = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
        gauge!(START).set(since);
    }
}

/// What is worth looking up only when somebody asks.
pub(super) fn observe() {
    if let Some(kibibytes) = fs::read_to_string("/proc/self/status")
        .ok()
        .as_deref()
        .and_then(resident)
    {
        gauge!(MEMORY).set(bytes(kibibytes));
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        gauge!(FILES).set(u32::try_from(files.count()).unwrap_or(u32::MAX));
    }
}

/// The line `VmRSS:   12345 kB`.
fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; no process has 2^53 bytes"
)]
const fn bytes(kibibytes: u64) -> f64 {
    kibibytes.saturating_mul(1_024) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_the_status() {
        let status = "Name:\tfaregate\nVmPeak:\t  99 kB\nVmRSS:\t   12345 kB\nThreads:\t3\n";
        assert_eq!(resident(status), Some(12_345));
        assert_eq!(resident("VmRSS: many kB\n"), None);
        assert_eq!(resident(""), None);
    }
}
