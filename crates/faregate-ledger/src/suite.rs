//! The tests every engine runs.
