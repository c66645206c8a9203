//! Every bound of this engine, with its unit last.

/// Writes that wait for the writer thread. A caller beyond them waits for a place.
pub(super) const WRITE_QUEUE_JOBS: usize = 1024;

/// Writes that share one commit. More would make the first of them wait too long.
pub(super) const WRITE_BATCH_JOBS: usize = 256;

/// How long a write that nobody waits for may stay in the queue, so that it shares the commit of the next one.
pub(super) const LINGER_MILLIS: u64 = 20;

/// Reads that wait for a reader thread. A caller beyond them waits for a place.
pub(super) const READ_QUEUE_JOBS: usize = 256;

/// Reader threads, each with a connection.
pub(super) const READER_THREADS: usize = 2;

/// How long a transaction waits for another process that holds the file.
pub(super) const BUSY_WAIT_MILLIS: u64 = 5_000;

/// How often switching a file to WAL is tried while another process does the same; SQLite does not wait by itself here.
pub(super) const WAL_SWITCH_TRIES: u32 = 100;

/// Pause between two of these tries.
pub(super) const WAL_SWITCH_PAUSE_MILLIS: u64 = 20;

/// Compiled statements kept per connection; more than this engine has.
pub(super) const STATEMENT_CACHE_STATEMENTS: usize = 128;

/// Pages that the writer keeps in memory, in kibibytes, once it has used them: with SQLite's own two mebibytes the books of ten thousand
/// payers are read from the file again for every write.
pub(super) const WRITER_CACHE_KIBIBYTES: i64 = 32 * 1024;

/// The write-ahead log is cut back to this after a checkpoint.
pub(super) const WAL_KEPT_BYTES: i64 = 64 * 1024 * 1024;

/// Rows in one answer, whatever limit the caller names.
pub(super) const PAGE_ROWS: u32 = 10_000;
