//! Every limit of this crate.

use std::time::Duration;

use alloy_primitives::U256;
use faregate_ledger::Worth;

/// The cap for one payment that the command line uses unless told otherwise: 0.10 USD, as the first x402 clients did.
/// The library has no default: whoever builds a [`Client`](crate::Client) names the cap.
pub const PER_PAYMENT_DEFAULT: Worth =
    Worth::new(U256::from_limbs([100_000_000_000_000_000, 0, 0, 0]));

/// Longest validity of an authorization that a server may ask for, in seconds. While it is valid, its holder can use it.
pub const VALIDITY_SECS_MAX: u64 = 3600;

/// Deadline of one request, from connecting to the last byte of the body. Servers settle before they answer, which takes
/// up to 90 seconds.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// Longest wait for a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Most redirects that are followed before a payment. Afterwards none is.
pub const REDIRECTS_MAX: u8 = 5;

/// Largest body of a 402 answer that is read, in bytes.
pub const OFFER_BODY_BYTES_MAX: usize = 64 * 1024;

/// Most offers of one 402 answer that are looked at.
pub const OFFERS_MAX: usize = 64;

/// Longest text of a server that is kept for people, in bytes.
pub const TEXT_BYTES_MAX: usize = 160;

/// How many of the newest spends are searched for undecided ones when a client starts.
pub const OPEN_LOOKBACK: u32 = 256;

/// How far in the past a v1 authorization starts, in seconds: v1 servers expect some room for clocks that differ.
pub const V1_BACKDATE_SECS: u64 = 600;
