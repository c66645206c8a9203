//! Places where a test may end the process, to see what a restart makes of it.
//!
//! Without the feature `crash-points` every place is empty and nothing can be armed.

macro_rules! points {
    ($($(#[$doc:meta])* $point:ident $name:literal)*) => {
        /// A place.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Point {
            $($(#[$doc])* $point),*
        }

        impl Point {
            /// Every place of every process.
            pub const ALL: &[Self] = &[$(Self::$point),*];

            /// The name that arms it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name),*
                }
            }
        }
    };
}

points! {
    /// Gate, facilitator: the payment is claimed and its transfer reserved, durably.
    Claimed "claimed"
    /// Gate, facilitator: a transaction is signed and not recorded.
    BeforeBroadcastRecorded "before_broadcast_recorded"
    /// Gate, facilitator: it is recorded and not sent.
    BroadcastRecorded "broadcast_recorded"
    /// Gate, facilitator: the node has it; there is no receipt yet.
    Broadcast "broadcast"
    /// Gate, facilitator: the outcome is seen and not recorded.
    ReceiptSeen "receipt_seen"
    /// Gate, facilitator: the transfer is posted or voided, durably.
    OutcomeRecorded "outcome_recorded"
    /// Gate: the service has answered.
    Served "served"
    /// Gate: its answer is kept for copies, durably.
    Kept "kept"
    /// Facilitator: the answer is ready and not sent.
    Replying "replying"
    /// Client: a payment is signed and not in the books.
    Signed "signed"
    /// Client: it is in the books, durably, and not sent.
    Reserved "reserved"
    /// Client: the Lightning wallet has paid the invoice, and that is not recorded.
    InvoicePaid "invoice_paid"
    /// Client: it is sent and not answered.
    Sent "sent"
    /// Client: it is answered, and that is not recorded.
    Answered "answered"
    /// Client: how it ended is recorded, durably; the caller has no answer yet.
    Recorded "recorded"
}

/// The places of a gate with its own facilitator, in the order of a payment that is settled first.
pub const GATE: [Point; 8] = [
    Point::Claimed,
    Point::BeforeBroadcastRecorded,
    Point::BroadcastRecorded,
    Point::Broadcast,
    Point::ReceiptSeen,
    Point::OutcomeRecorded,
    Point::Served,
    Point::Kept,
];

/// The places of a facilitator.
pub const FACILITATOR: [Point; 7] = [
    Point::Claimed,
    Point::BeforeBroadcastRecorded,
    Point::BroadcastRecorded,
    Point::Broadcast,
    Point::ReceiptSeen,
    Point::OutcomeRecorded,
    Point::Replying,
];

/// The places of a client.
pub const CLIENT: [Point; 5] = [
    Point::Signed,
    Point::Reserved,
    Point::Sent,
    Point::Answered,
    Point::Recorded,
];

/// The places of a client that pays a Lightning invoice.
pub const L402_CLIENT: [Point; 5] = [
    Point::Reserved,
    Point::InvoicePaid,
    Point::Sent,
    Point::Answered,
    Point::Recorded,
];

/// The places of a gate that sells for tokens: the money moved before they are shown.
pub const L402_GATE: [Point; 3] = [Point::Claimed, Point::Served, Point::Kept];

/// Where this process is to end.
#[cfg(feature = "crash-points")]
static ARMED: std::sync::OnceLock<Point> = std::sync::OnceLock::new();

/// Makes the process end, without any cleaning up, when it comes to the named place for the first time. The first call
/// counts. `false` when there is no such place.
#[cfg(feature = "crash-points")]
#[must_use]
pub fn arm(name: &str) -> bool {
    let point = Point::ALL.iter().find(|point| point.name() == name);
    point.is_some_and(|point| *ARMED.get_or_init(|| *point) == *point)
}

/// Whether the process is to end here.
#[cfg(feature = "crash-points")]
#[must_use]
pub fn is_armed(point: Point) -> bool {
    ARMED.get() == Some(&point)
}

/// Ends the process if this is the armed place.
#[cfg(feature = "crash-points")]
pub fn point(point: Point) {
    if is_armed(point) {
        std::process::abort();
    }
}

/// `false` in this build.
#[cfg(not(feature = "crash-points"))]
#[must_use]
pub const fn is_armed(_point: Point) -> bool {
    false
}

/// Does nothing in this build.
#[cfg(not(feature = "crash-points"))]
pub const fn point(_point: Point) {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests of crashes go through these lists: what is in none of them would be tested by nobody.
    #[test]
    fn every_place_is_on_the_list_of_a_process() {
        for point in Point::ALL {
            let listed = GATE.contains(point)
                || FACILITATOR.contains(point)
                || CLIENT.contains(point)
                || L402_CLIENT.contains(point)
                || L402_GATE.contains(point);
            assert!(listed, "{}", point.name());
        }
    }
}
