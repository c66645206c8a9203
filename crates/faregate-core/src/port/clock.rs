//! Time as an input.

use faregate_types::Timestamp;

/// Tells the time. Any closure is a clock, so a test hands in a fixed one and a program
/// `|| Timestamp::from(SystemTime::now())`.
pub trait Clock: Send + Sync + 'static {
    /// Now, in whole seconds since 1970.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp + Send + Sync + 'static> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}
