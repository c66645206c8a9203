//! Every limit of this crate.

use std::time::Duration;

/// Longest wait for a connection, with the greeting on it.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest wait for the answer to one command, also where a thousand requests come at once to a busy machine.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

/// Longest that a request waits for the store altogether, with a new connection and a second try.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// How long nobody tries again after a connection could not be made.
pub const CONNECT_REST: Duration = Duration::from_millis(250);

/// How often a command is sent when its connection breaks. To note a use twice is the same as to note it once.
pub const TRIES: u32 = 2;
