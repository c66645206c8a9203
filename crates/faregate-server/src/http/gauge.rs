//! Counts what is in progress, up to a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A counter with a limit. One atomic operation to enter, one to leave.
#[derive(Clone, Debug)]
pub(crate) struct Gauge {
    inside: Arc<AtomicUsize>,
    max: usize,
}

impl Gauge {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            inside: Arc::default(),
            max,
        }
    }

    /// Enters; `None` when the limit is reached.
    pub(crate) fn enter(&self) -> Option<Inside> {
        // The ticket exists before the comparison, so that a refusal leaves again by being dropped.
        let before = self.inside.fetch_add(1, Ordering::Relaxed);
        let ticket = Inside(Arc::clone(&self.inside));
        (before < self.max).then_some(ticket)
    }
}

/// Leaves when dropped.
#[derive(Debug)]
pub(crate) struct Inside(Arc<AtomicUsize>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_limit_and_everybody_leaves() {
        let gauge = Gauge::new(2);
        let (first, second) = (gauge.enter(), gauge.enter());
        assert!(first.is_some() && second.is_some());
        assert!(gauge.enter().is_none() && gauge.enter().is_none());
        drop(first);
        assert!(gauge.enter().is_some());
        drop(second);
        assert_eq!(gauge.inside.load(Ordering::Relaxed), 0);
    }
}
