//! What the core needs from outside, as traits: a clock, a facilitator, a trail, Lightning wallets.

mod clock;
mod facilitator;
pub mod lightning;
pub mod replay;

pub use clock::Clock;
pub use facilitator::{
    Away, Facilitator, Finality, NoTrail, SettleOutcome, Settlement, Trail, Unknown, Verdict,
};
