//! The vectors of the real peers; the runner is in `tests/`.
