//! Every limit of this crate.

use std::time::Duration;

/// Deadline of `GET /supported` and `POST /verify`, connecting and reading included.
pub const VERIFY_TIMEOUT: Duration = Duration::from_secs(10);

/// Deadline of `POST /settle`. The official SDKs wait as long: a facilitator answers after the transaction is mined.
pub const SETTLE_TIMEOUT: Duration = Duration::from_secs(90);

/// Longest wait for a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Largest answer body in bytes. Verdicts are below 2 KiB; `/supported` of a facilitator with all networks is below 64.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// Longest transaction reference in characters. A hash has 66; some relayers send ids of their own.
pub const TRANSACTION_CHARS_MAX: usize = 128;
