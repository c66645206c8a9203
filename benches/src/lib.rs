//! Load programs; each in `src/bin/` is one measurement beside a floor or a peer. Compare ratios, never absolutes.

pub mod load;
pub mod silent;
