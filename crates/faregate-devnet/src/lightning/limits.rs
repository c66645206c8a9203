//! Every bound of the dev Lightning network.

use std::time::Duration;

/// Invoices kept. Beyond it the oldest that no payment is on its way to is forgotten.
pub const INVOICES_KEPT_MAX: usize = 200_000;
/// Payments kept, of both wallets together. Beyond it the oldest that is over is forgotten.
pub const PAYMENTS_KEPT_MAX: usize = 200_000;
/// Largest amount of one invoice, in millisatoshis: ten bitcoins.
pub const AMOUNT_MSAT_MAX: u64 = 1_000_000_000_000;
/// Longest expiry of an invoice, in seconds: a year.
pub const EXPIRY_SECS_MAX: u64 = 365 * 24 * 3_600;
/// Longest description, in bytes: what BOLT 11 has room for.
pub const MEMO_BYTES_MAX: usize = 639;
/// How many settled invoices a subscriber may be behind; further ones end its subscription.
pub const EVENTS_BEHIND_MAX: usize = 4_096;
/// Fates of payments that may be lined up.
pub const FATES_MAX: usize = 10_000;
/// Largest HTTP request body, in bytes.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a client may take to send its whole body.
pub const BODY_READ_MAX: Duration = Duration::from_secs(10);
/// HTTP requests that may be under way; further ones get HTTP 503.
pub const REQUESTS_OPEN_MAX: usize = 1_024;
/// Answers that go on, subscriptions and payments under way, that may be open; further ones get HTTP 503.
pub const STREAMS_OPEN_MAX: usize = 256;
/// How long `shutdown` waits for open connections.
pub const SHUTDOWN_WAIT_MAX: Duration = Duration::from_secs(5);
