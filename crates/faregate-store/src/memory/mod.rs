//! Plain memory: maps behind one lock per ledger or wallet, held for as long as it takes to look something up.
//!
//! Gone with the process, bounded by [`LedgerLimits`] and [`WalletLimits`]. Nothing that was claimed or signed is ever
//! forgotten before: who holds a full one is refused.
//!
//! | idea | where |
//! |---|---|
//! | payments, their lists and keys · how one is held | `payments`, `row` |
//! | accounts and their sums | `accounts` |
//! | spends, sums over time, what is known of a place | `spends` |
//! | rows with numbers | `slab` |
//! | do the books add up? | `audit` |
//!
//! Every future is ready when it is asked first: there is no thread and nothing to wait for but the lock. Answers and
//! everything else that is large is copied after the lock is free again.

mod accounts;
mod audit;
mod ledger;
mod limits;
mod payments;
mod row;
mod slab;
mod spends;
mod wallet;

pub use ledger::MemoryLedger;
pub use limits::{LedgerLimits, WalletLimits};
pub use wallet::MemoryWallet;
