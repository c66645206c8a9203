//! Every number of this crate. Sizes are upper bounds on what is held in memory for one request.

use std::num::NonZeroU32;
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

/// Longest wait for the body of a request for a tab.
pub const TAB_BODY_WAIT: Duration = Duration::from_secs(4);

/// How long a request for a tab waits for the credit core.
pub const TAB_WAIT: Duration = Duration::from_secs(8);

/// Requests for tabs from one client in a minute, all at once if they were saved up: each paid request takes one.
pub const TAB_CALLS_PER_MINUTE: NonZeroU32 = nonzero(12_000);

/// Tabs for payers that were not here lately, in a minute, from one client.
pub const NEW_TABS_PER_MINUTE: NonZeroU32 = nonzero(60);

/// The same for one payer, whoever asks in its name. More than for one client: nobody alone uses up what others have.
pub const NEW_TABS_PER_PAYER_MINUTE: NonZeroU32 = nonzero(600);

/// Buckets for clients, and for payers.
pub const TAB_COUNTERS_MAX: usize = 4_096;

/// How many payers with their tabs are remembered as having been here.
pub const TABS_KNOWN_MAX: usize = 65_536;

const fn nonzero(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

/// How long a copy of a request in progress waits for the first one's answer.
pub const COPY_WAIT: Duration = Duration::from_secs(10);

/// How many events wait for one listener; one that is slower loses the oldest.
pub const EVENTS_MAX: usize = 1_024;

/// How long a handler of events may take for one.
pub const HANDLER_TIMEOUT: Duration = Duration::from_secs(30);
