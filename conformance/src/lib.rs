//! What the real peers answered once, recorded, and run against our code.
//!
//! `vectors/*.json` holds the recordings, untouched: `vectors/SUMS` has their hashes, and no expected value is ever edited.
//! The tests are in `tests/vectors.rs`, one per kind of case; this library is what they share.
//!
//! | question | where |
//! |---|---|
//! | what is a case, how are the files read | [`case`], [`folder`] |
//! | which kinds are there, who runs them | [`kind`] |
//! | what we do not support yet, and why | `excused.toml`, [`excuse`] |
//! | what we answer where peers differ, or differently from all of them, and why | `decisions.toml`, [`decision`] |
//! | how an answer is judged | [`judge`] |
//! | the runners | [`x402`], [`l402`], [`permit`], [`credit`] |
//!
//! A case nobody knows how to run fails; so does an excused case that would pass, an excuse or a decision that fits no
//! case, and a decision about something the peers did not say.

pub mod case;
pub mod credit;
pub mod decision;
pub mod excuse;
pub mod folder;
pub mod judge;
pub mod kind;
pub mod l402;
pub mod permit;
pub mod x402;
