//! Every limit of this crate.

use std::time::Duration;

/// Longest wait for a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Deadline of a call that is not a payment.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// How much longer than a payment may try its answer is waited for.
pub const PAY_GRACE: Duration = Duration::from_secs(5);

/// Largest answer in bytes, and largest line of an answer that comes in lines. An LND payment lists every try with its
/// whole route.
pub const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// Lines of an answer to a payment; LND sends two.
pub const PAY_LINES_MAX: usize = 1_000;

/// Longest text for people that is taken over from a backend, in characters.
pub const DETAIL_CHARS_MAX: usize = 120;
