//! The rules of the credit core, without IO: who may owe how much to whom, and what becomes of it.
//!
//! ```text
//! deposit ─► collateral ──► guarantee: a part is locked ──┬─► paid on the chain: unlocked
//!               ▲                                         ├─► remunerated by the contract: gone to the recipient
//!               └────────── withdrawal ◄──────────────────┴─► certificates expired: unlocked
//! ```
//!
//! A *tab* gathers the guarantees of one payer for one recipient in one asset. Its sums say everything: what is locked
//! for it, and whether it is settled, follows from what was guaranteed, paid and remunerated ([`Tab::locked`],
//! [`Tab::settlement`]), so there is nothing to be kept in step with them.
//!
//! Each decision is a function of what is stored ([`State`]) and a command, and says what changes ([`Changes`]). Engines ask
//! inside a transaction and write all of it in the same one. Money is moved by the [`Entry`] of a journal, which are
//! reservations, postings and voids of the ledger.
//!
//! | question | where |
//! |---|---|
//! | may this tab be opened, or is there one already | [`open_tab`] |
//! | is there enough collateral for this guarantee | [`issue`]; without issuing it, over a [`Snapshot`] |
//! | what did the chain do to the books | [`apply()`] |
//! | whose certificates can no longer be redeemed | [`release`] |
//!
//! Wire: specs/4mica.md §5.

mod apply;
mod change;
mod collateral;
mod entry;
mod event;
mod guarantee;
mod open;
mod payment;
mod refusal;
mod snapshot;
#[cfg(feature = "suite")]
pub mod suite;
mod tab;
mod terms;

pub use apply::{Applied, apply, release};
pub use change::{Changes, State};
pub use collateral::{Account, Collateral, Withdrawal};
pub use entry::{Entry, EntryId};
pub use event::{Cursor, Happening, Odd, Place, TabEvent};
pub use guarantee::{Guarantee, Issue, issue};
pub use open::{OpenTab, Opened, TAKEN_IN_A_ROW_MAX, open_tab};
pub use payment::{PaymentStage, TabPayment};
pub use refusal::CreditRefusal;
pub use snapshot::Snapshot;
pub use tab::{Identity, Tab, TabId};
pub use terms::{ReqIds, Terms};

/// The words of the wire are those of the rules.
pub use faregate_types::credit::Certificate;
pub use faregate_types::credit::api::{
    CollateralEventKind as EntryKind, SettlementStatus as Settlement, TabStatus,
};
