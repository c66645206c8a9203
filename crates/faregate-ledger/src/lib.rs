//! Money that can be proven: payments that are claimed once, transfers that balance, budgets that hold.
//!
//! This crate has the *rules* and the *traits*; it does no IO. An engine (see `faregate-store`) implements
//! [`LedgerStore`] and [`WalletStore`] and runs the exported test suite against itself.
//!
//! | idea | where |
//! |---|---|
//! | who owes and who owns | [`account`] |
//! | one payment from claim to end | [`payment`], its legal moves in [`PaymentState::after`] |
//! | what a store must promise | [`store`] |
//! | caps of a payer | [`budget`] |
//! | terms that may not change too far | [`terms`] |
//! | tokens of a payer | [`token`] |
//! | what a payer sent to repay its debts | [`repayment`] |
//! | sums over a rolling window | [`window`] |

#![warn(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::string_slice
)]

pub mod account;
pub mod budget;
pub mod outbox;
pub mod payment;
pub mod repayment;
pub mod revocation;
pub mod store;
#[cfg(feature = "suite")]
pub mod suite;
pub mod terms;
pub mod token;
pub mod window;

pub use account::{AccountId, AccountIdError, Balance, BalanceError, Movement, Side, Transfer};
pub use budget::{
    CapRefusal, Caps, Period, Signed, Spend, SpendEnd, SpendNews, SpendRecord, SpendState, Unit,
    Usage, Worth,
};
pub use outbox::{Event, EventKind, EventKinds, EventStore};
pub use payment::{
    Answer, Claim, Claimed, Effect, Idempotency, Payment, PaymentState, Step, StepError,
};
pub use repayment::{Repayment, RepaymentRecord, RepaymentState, RepaymentStore, Sending, TabKey};
pub use revocation::{Revocation, RevocationStore, RevokedName};
pub use store::{AccountPage, AccountStore, LedgerStore, StoreError, Totals, WalletStore};
pub use terms::{KnownTerms, Reserved, Terms, TermsRefusal, TermsRule};
pub use token::KeptToken;
