//! Every limit of this crate.

use std::time::Duration;

/// Largest file that describes a node, and largest secret, in bytes.
pub(crate) const FILE_BYTES_MAX: u64 = 64 * 1024;

/// How long after its start a node may go on looking for its peers before a payment is told that there is no way.
pub(crate) const PEERS_WAIT: Duration = Duration::from_secs(20);

/// How often that is looked at.
pub(crate) const PEERS_PAUSE: Duration = Duration::from_millis(100);

/// How long a payment may be on its way: LDK takes no route that could hold it for more than 1,008 blocks, a week, and half
/// of the blocks may be late.
pub(crate) const FLIGHT_SECS_MAX: u64 = 14 * 24 * 3_600;

/// Invoices that nobody paid are forgotten so long after they were made: the longest that an invoice can be paid (a day), and
/// two hours, for so long LDK still takes a payment of an expired one.
pub(crate) const UNPAID_SECS_MAX: u64 = (24 + 3) * 3_600;

/// How often they are looked for.
pub(crate) const UNPAID_PAUSE: Duration = Duration::from_secs(3_600);

/// Paid invoices that a listener may be behind.
pub(crate) const SETTLED_BEHIND_MAX: usize = 1_024;

/// How long after a payment should have ended its end is waited for.
pub(crate) const PAY_GRACE: Duration = Duration::from_secs(2);

/// How soon an event is tried again that could not be written down.
pub(crate) const EVENT_PAUSE: Duration = Duration::from_secs(1);

/// Peers that a file may name.
pub(crate) const PEERS_MAX: usize = 64;

/// How long a payment may try when a person waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What the way of such a payment may cost: this part of it, in per cent, and at least so much, in millisatoshis.
pub(crate) const FEE_PERCENT: u64 = 1;

/// See [`FEE_PERCENT`].
pub(crate) const FEE_MIN: u64 = 5_000;

/// How often it is looked at whether a channel is ready.
pub(crate) const CHANNEL_PAUSE: Duration = Duration::from_millis(200);
