//! The load program: measures our servers and our client, and real peers beside them in the same run. `load/run` builds
//! everything and starts it; `docs/src/performance.md` has the figures.
//!
//! | question | module |
//! |---|---|
//! | how load is made, what is counted | [`http`] |
//! | whose payments are sent | [`payer`] |
//! | processes, their processor time and memory | [`process`] |
//! | the chain everything settles on | [`chain`] |
//! | what runs in the measured processes | [`serve`], [`drive`] |
//! | a credit core, its payers and what they ask for | [`credit`] |
//! | which rows there are, and what they have to reach | [`rows`] |
//! | tables | [`report`] |

pub mod chain;
pub mod credit;
pub mod drive;
pub mod http;
pub mod payer;
pub mod process;
pub mod report;
pub mod rows;
pub mod serve;

/// What went wrong; a load program has nobody to handle it but the person who reads it.
pub type Failed = Box<dyn std::error::Error + Send + Sync>;
