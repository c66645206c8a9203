//! Every bound of the dev chain in one place. Each is a plain number so that a reader can see what happens at the edge.

use std::time::Duration;

/// Largest HTTP request body, in bytes. Larger ones get HTTP 413.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a client may take to send its whole body.
pub const BODY_READ_MAX: Duration = Duration::from_secs(30);
/// Largest number of calls in one JSON-RPC batch.
pub const BATCH_CALLS_MAX: usize = 1_000;
/// HTTP requests that may execute at the same time; the others wait in line.
pub const REQUESTS_AT_ONCE_MAX: usize = 64;
/// HTTP requests that may be under way, executing or waiting; further ones get HTTP 503.
pub const REQUESTS_OPEN_MAX: usize = 4_096;
/// Largest raw transaction, in bytes (the limit of geth's pool).
pub const TX_BYTES_MAX: usize = 128 * 1024;
/// Transactions that may wait in the pool.
pub const POOL_TXS_MAX: usize = 10_000;
/// Gas limit of every block, which is also the most gas one call or estimate may use.
pub const BLOCK_GAS_MAX: u64 = 30_000_000;
/// Blocks one `eth_getLogs` may look at.
pub const LOG_BLOCKS_MAX: u64 = 10_000;
/// Logs one answer may hold.
pub const LOGS_MAX: usize = 20_000;
/// Filters that may exist at the same time; the one polled longest ago gives way.
pub const FILTERS_MAX: usize = 1_000;
/// Hashes of transactions kept for pending-transaction filters.
pub const ARRIVALS_KEPT_MAX: usize = 4_096;
/// Blocks one `eth_feeHistory` may cover (larger requests are cut to this, as nodes do).
pub const FEE_HISTORY_BLOCKS_MAX: u64 = 1_024;
/// Percentiles one `eth_feeHistory` may ask for.
pub const FEE_HISTORY_PERCENTILES_MAX: usize = 100;
/// Blocks one `anvil_mine`, `hardhat_mine` or reorganisation may add.
pub const MINE_BLOCKS_MAX: u64 = 10_000;
/// Blocks kept with their transactions and receipts; older ones are forgotten.
pub const BLOCKS_KEPT_MAX: usize = 16_384;
/// Transactions kept over all blocks; beyond it the oldest blocks are forgotten.
pub const TXS_KEPT_MAX: usize = 50_000;
/// State changes kept for looking or going back (about one for each block): the depth of `eth_call` on old blocks, of
/// `evm_revert` and of reorganisations.
pub const UNDO_KEPT_MAX: usize = 4_096;
/// Open snapshots; the oldest gives way.
pub const SNAPSHOTS_MAX: usize = 1_000;
/// Shortest interval of interval mining.
pub const BLOCK_TIME_MIN: Duration = Duration::from_millis(10);
/// How far time may be moved, in seconds: beyond it timestamps stop making sense to clients (the year 9999).
pub const TIMESTAMP_MAX: u64 = 253_402_300_799;
/// How long `shutdown` waits for open connections.
pub const SHUTDOWN_WAIT_MAX: Duration = Duration::from_secs(5);
/// When the replies of a batch are longer than this many bytes, the calls that are left get an error instead.
pub const BATCH_REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;
