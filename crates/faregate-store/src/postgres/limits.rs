//! Every bound of this engine, with its unit last.

/// Connecting, with everything that is set up on a new connection.
pub(super) const CONNECT_MILLIS: u64 = 4_000;

/// How long nobody tries again after a connection could not be made: those who wait meanwhile are told at once.
pub(super) const CONNECT_REST_MILLIS: u64 = 250;

/// What the server gives one statement.
pub(super) const STATEMENT_MILLIS: u64 = 5_000;

/// What the server lets one statement wait for rows that another transaction holds. Below [`STATEMENT_MILLIS`].
pub(super) const LOCK_MILLIS: u64 = 3_000;

/// How long the server lets a transaction of ours do nothing: ours never pause, so we are gone.
pub(super) const IDLE_IN_TRANSACTION_MILLIS: u64 = 10_000;

/// One transaction, or one read, as the caller counts; above [`STATEMENT_MILLIS`], for a network that swallows answers.
pub(super) const ATTEMPT_MILLIS: u64 = 8_000;

/// How long a caller waits at most, its place in the queue and all attempts included. Then what it asked for is not begun.
pub(super) const CALL_MILLIS: u64 = 12_000;

/// How long unsent or unacknowledged bytes keep a connection.
pub(super) const SOCKET_SILENCE_MILLIS: u64 = 10_000;

/// Silence after which a connection is probed.
pub(super) const KEEPALIVE_IDLE_SECS: u64 = 15;

/// Connections that read, and write what is one statement.
pub(super) const READ_CONNECTIONS: usize = 6;

/// Writes that wait for a lane. A caller beyond them waits for a place, no longer than [`CALL_MILLIS`].
pub(super) const LANE_QUEUE_JOBS: usize = 1024;

/// Writes that share one transaction.
pub(super) const LANE_BATCH_JOBS: usize = 256;

/// Writes that share one transaction have no more in them, unless one has it alone.
pub(super) const LANE_BATCH_BYTES: usize = 8 * 1024 * 1024;

/// How often a transaction is tried that others got in the way of.
pub(super) const ATTEMPTS: u32 = 6;

/// Pause before the second of these tries; it doubles with each.
pub(super) const RETRY_PAUSE_MILLIS: u64 = 4;

/// How often bringing the schema up to date is tried when others do it at the same time.
pub(super) const MIGRATE_ATTEMPTS: u32 = 40;

/// Pause between two of these tries.
pub(super) const MIGRATE_PAUSE_MILLIS: u64 = 50;

/// Bringing the schema up to date, all versions together.
pub(super) const MIGRATE_MILLIS: u64 = 60_000;

/// Who was not seen for so long does not hold its ledger any more. Well above [`ATTEMPT_MILLIS`] and
/// [`IDLE_IN_TRANSACTION_MILLIS`].
pub(super) const HOLD_MILLIS: u64 = 20_000;

/// How often a holder is seen.
pub(super) const HOLD_BEAT_MILLIS: u64 = 2_000;

/// How often somebody who wants to hold looks whether the holder was seen; above [`HOLD_BEAT_MILLIS`].
pub(super) const HOLD_LOOK_MILLIS: u64 = 3_000;

/// Rows in one answer, whatever limit the caller names.
pub(super) const PAGE_ROWS: u32 = 10_000;

/// Longest address, in bytes.
pub(super) const URL_BYTES_MAX: usize = 2_048;

/// Longest file of authorities, in bytes.
pub(super) const AUTHORITIES_BYTES_MAX: u64 = 1024 * 1024;
