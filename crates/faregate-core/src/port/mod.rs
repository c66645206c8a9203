//! What the core needs from outside, as traits: a clock, a facilitator, a collector of
//! permits, a trail, Lightning wallets, whoever gives credit, a memory of who may call.

pub mod access;
mod certificates;
mod clock;
pub mod credit;
mod facilitator;
pub mod held;
mod issuer;
pub mod lightning;
mod permit;
pub mod replay;
mod turn;

pub use certificates::{CertificateStore, HeldCertificate};
pub use clock::Clock;
pub use facilitator::{
    Away, Facilitator, Finality, NoTrail, SettleOutcome, Settlement, Trail, Unknown, Verdict,
};
pub use held::{
    HeldPage, HeldSums, HeldTab, HeldTabKey, HeldTabStore, Redemption, RedemptionEnd, Shares,
    Standing,
};
pub use issuer::{IssueError, IssueOutcome, Issuer, TabAsk};
pub use permit::{Care, Collector, PermitOrder, PermitVerdict};
pub use turn::{Alone, Turn};
