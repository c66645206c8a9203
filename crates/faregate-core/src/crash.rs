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
    /// Gate, facilitator: a guarantee is issued on credit, and its certificate neither kept nor passed on.
    Guaranteed "guaranteed"
    /// Gate: the certificate is kept, durably, and the payment not settled in the books.
    CertificateHeld "certificate_held"
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
    /// Client: a payment on a tab is begun, durably, and not signed.
    RepaymentBegun "repayment_begun"
    /// Client: it is signed, and not written down.
    RepaymentSigned "repayment_signed"
    /// Client: it is written down, durably, and not sent.
    RepaymentNoted "repayment_noted"
    /// Client: the node has it.
    RepaymentSent "repayment_sent"
    /// Client: it is mined, and that is not written down.
    RepaymentMined "repayment_mined"
    /// Credit service: a tab is in the books, durably, and not answered.
    TabOpened "tab_opened"
    /// Credit service: a guarantee is in the books with what it locks, durably, and not signed.
    Locked "locked"
    /// Credit service: its certificate is signed, and not in the books.
    CertificateSigned "certificate_signed"
    /// Credit service: the certificate is in the books, durably, and not answered.
    CertificateKept "certificate_kept"
    /// Credit service: a nonce is used and a session begun, durably, and not answered.
    SignedIn "signed_in"
    /// Credit service: a refresh token is used up for the next, durably, which is not answered.
    SessionRenewed "session_renewed"
    /// Credit service: a session is over, durably, and that is not answered.
    SignedOut "signed_out"
    /// Credit service: an administrator's key is good, durably, and nobody was told it.
    AdminKeyKept "admin_key_kept"
    /// Credit service: it is revoked, durably, and that is not answered.
    AdminKeyRevoked "admin_key_revoked"
    /// Credit service: somebody is suspended, or not any more, durably, and that is not answered.
    SuspensionKept "suspension_kept"
    /// Credit follower: a part of the chain is read, and nothing of it in the books.
    PartRead "part_read"
    /// Credit follower: it is written with the cursor and all that expired, and its transaction is open.
    PartWritten "part_written"
    /// Credit follower: it is in the books, durably, and nobody was told.
    PartEntered "part_entered"
    /// Credit operator: payments that the contract is to be told of are chosen.
    PaymentsChosen "payments_chosen"
    /// Credit operator: the transaction that tells of them is signed, and its hash not in the books.
    RecordSigned "record_signed"
    /// Credit operator: the hash is in the books, durably, and the transaction not sent.
    RecordNoted "record_noted"
    /// Credit operator: the node has it.
    RecordSent "record_sent"
    /// Credit operator: it is mined, as far as the sender knows; the books do not know it from that.
    RecordMined "record_mined"
    /// Redeemer: a transaction that redeems a certificate is signed, and its hash not in the books.
    RedeemSigned "redeem_signed"
    /// Redeemer: the hash is in the books, durably, and the transaction not sent.
    RedeemNoted "redeem_noted"
    /// Redeemer: the node has it.
    RedeemSent "redeem_sent"
    /// Redeemer: it is mined, and the books do not know it.
    RedeemMined "redeem_mined"
    /// Redeemer: the books know that, durably, and not what it brought.
    RedeemEntered "redeem_entered"
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

/// The places of a gate that sells on credit: what is promised is always settled first.
pub const CREDIT_GATE: [Point; 7] = [
    Point::Claimed,
    Point::Guaranteed,
    Point::CertificateHeld,
    Point::ReceiptSeen,
    Point::OutcomeRecorded,
    Point::Served,
    Point::Kept,
];

/// The places of a facilitator before a credit core: it keeps nothing of its own.
pub const CREDIT_FACILITATOR: [Point; 1] = [Point::Guaranteed];

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

/// The places of a client that pays a tab.
pub const REPAYMENT: [Point; 5] = [
    Point::RepaymentBegun,
    Point::RepaymentSigned,
    Point::RepaymentNoted,
    Point::RepaymentSent,
    Point::RepaymentMined,
];

/// The places of a gate that sells for tokens: the money moved before they are shown.
pub const L402_GATE: [Point; 3] = [Point::Claimed, Point::Served, Point::Kept];

/// The places of a credit core where somebody waits for an answer.
pub const CREDIT_SERVICE: [Point; 10] = [
    Point::TabOpened,
    Point::Locked,
    Point::CertificateSigned,
    Point::CertificateKept,
    Point::SignedIn,
    Point::SessionRenewed,
    Point::SignedOut,
    Point::AdminKeyKept,
    Point::AdminKeyRevoked,
    Point::SuspensionKept,
];

/// Its places between the chain and the books.
pub const CREDIT_FOLLOWER: [Point; 3] = [Point::PartRead, Point::PartWritten, Point::PartEntered];

/// Its places while it tells the contract of payments.
pub const CREDIT_OPERATOR: [Point; 5] = [
    Point::PaymentsChosen,
    Point::RecordSigned,
    Point::RecordNoted,
    Point::RecordSent,
    Point::RecordMined,
];

/// The places of whoever redeems held certificates.
pub const REDEEMER: [Point; 5] = [
    Point::RedeemSigned,
    Point::RedeemNoted,
    Point::RedeemSent,
    Point::RedeemMined,
    Point::RedeemEntered,
];

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
                || CREDIT_GATE.contains(point)
                || CREDIT_FACILITATOR.contains(point)
                || FACILITATOR.contains(point)
                || CLIENT.contains(point)
                || L402_CLIENT.contains(point)
                || REPAYMENT.contains(point)
                || L402_GATE.contains(point)
                || CREDIT_SERVICE.contains(point)
                || CREDIT_FOLLOWER.contains(point)
                || CREDIT_OPERATOR.contains(point)
                || REDEEMER.contains(point);
            assert!(listed, "{}", point.name());
        }
    }
}
