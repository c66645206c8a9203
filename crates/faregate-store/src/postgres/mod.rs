//! PostgreSQL: one database for any number of processes and machines.
//!
//! ```text
//! claim, take_step   ──► queue ──► lane   BEGIN · lock and load · decide in memory · one write per table · COMMIT · answers
//! payment, totals, …           ──► pool   one statement each, around the lane
//! ```
//!
//! | idea | where |
//! |---|---|
//! | an address with a password, and whether the way there is encrypted | `address`, `tls` |
//! | connections, bounded in number and in every wait | `pool` |
//! | many jobs, one transaction, tried again when others got in the way | `lane` |
//! | what is locked and loaded for a batch, in which order | `work` |
//! | what the rules make of it, in memory | `sheet` |
//! | what is written of that | `write` |
//! | who may call the credit service | `access` |
//! | reads, and what is one statement | `reads`, `events` |
//! | what is in the database, and which version | `schema`, `migrations/` |
//! | the books of a credit core | `credit` |
//! | certificates that a seller holds | `held` |
//! | one process per ledger, where it has to be | `hold` |
//! | one process at a time, where two would pay twice | `turn` |
//! | what becomes of the database's errors | `fault` |
//! | rows to domain types and back | `codec` |
//! | do the books add up? | `audit` |
//!
//! Nothing here is PostgreSQL's alone: no sequences, triggers, advisory locks or notifications, so that its distributed
//! relatives (CockroachDB, YugabyteDB, Citus) can take its place. What is kept consistent is kept so by row locks in one
//! order, by primary keys, and by trying again.

mod access;
mod address;
mod audit;
mod codec;
mod credit;
mod events;
mod fault;
mod held;
mod hold;
mod lane;
mod ledger;
mod limits;
mod pool;
mod reads;
mod schema;
mod seqs;
mod sheet;
mod tls;
mod turn;
mod work;
mod write;

pub use address::{PostgresUrl, PostgresUrlError};
pub use credit::PostgresCredit;
pub use ledger::PostgresLedger;
pub use schema::{PostgresError, migrate, schema_version};
pub use turn::PostgresTurn;
