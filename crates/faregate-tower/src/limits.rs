//! Every number of this crate. Sizes are upper bounds on what is held in memory for one request.

use std::time::Duration;

/// Longest body of a paid request, in bytes. It is read whole before the payment is claimed, so that nobody pays for a
/// request that never arrived.
pub const REQUEST_BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Longest answer of a route that serves before it settles, in bytes. It is held back until the money has moved.
pub const RESPONSE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Longest answer that is kept for copies of the request, in bytes. A copy of a longer one is told that it was used.
pub const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// Longest wait for the head of the service's answer; when the answer is held back, for all of it. A stream that is paid
/// for first may flow for as long as the service lets it.
pub const SERVE_TIMEOUT: Duration = Duration::from_secs(120);

/// How long an answer is read to its end for the books after the payer hung up.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the first byte of a short answer waits until all of it can be kept. One that takes longer goes out as it comes.
pub const KEEP_FIRST_WAIT: Duration = Duration::from_millis(500);

/// How many pieces of a streamed answer wait for a slow payer.
pub const STREAM_FRAMES_MAX: usize = 4;

/// How long browsers may remember a preflight answer, in seconds.
pub const PREFLIGHT_MAX_AGE_SECS: &str = "600";

/// Longest wait for the body of a token request.
pub const TOKEN_BODY_WAIT: Duration = Duration::from_secs(4);

/// How long a token request waits for its settlement, or for another one with the same permit. The clients give up after
/// five seconds; the work goes on, and the same permit gets its token later.
pub const TOKEN_WAIT: Duration = Duration::from_millis(4_000);

/// How long a permit that is shown again after its token was used and its money has moved still gets that token: copies that
/// were sent at once arrive at different times.
pub const TOKEN_COPIES_SECS: u64 = 10;

/// How long a copy of a request in progress waits for the first one's answer.
pub const COPY_WAIT: Duration = Duration::from_secs(10);

/// How many events wait for one listener; one that is slower loses the oldest.
pub const EVENTS_MAX: usize = 1_024;

/// How long a handler of events may take for one.
pub const HANDLER_TIMEOUT: Duration = Duration::from_secs(30);
