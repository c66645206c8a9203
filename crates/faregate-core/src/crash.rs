//! Places where a test may end the process, to see what a restart makes of it.
//!
//! Without the feature `crash-points` every place is empty and nothing can be armed.

/// Every place, in the order of a payment that is settled first.
pub const POINTS: [&str; 7] = [
    "claimed",
    "before_broadcast_recorded",
    "broadcast_recorded",
    "sent",
    "outcome_recorded",
    "served",
    "kept",
];

/// Where this process is to end.
#[cfg(feature = "crash-points")]
static ARMED: std::sync::OnceLock<Box<str>> = std::sync::OnceLock::new();

/// Makes the process end, without any cleaning up, when it comes to `point` for the first time. The first call counts.
#[cfg(feature = "crash-points")]
pub fn arm(point: &str) {
    drop(ARMED.set(point.into()));
}

/// Ends the process if this is the armed place.
#[cfg(feature = "crash-points")]
pub(crate) fn point(name: &str) {
    if ARMED.get().is_some_and(|armed| **armed == *name) {
        std::process::abort();
    }
}

/// Does nothing in this build.
#[cfg(not(feature = "crash-points"))]
pub(crate) const fn point(_name: &str) {}
