//! What the caller gets: an answer, and what was paid for it.

use alloy_primitives::Address;
use faregate_ledger::{SpendState, Worth};
use faregate_types::x402::Version;
use faregate_types::{Amount, Asset, PaymentId, Timestamp};

use crate::receipt::Receipt;

/// An answer, and what was paid for it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Paid<T> {
    /// The answer. Its status may be an error: only 402 and 412 are turned into a [`PayError`](crate::PayError).
    pub answer: T,
    /// The payment; `None` when the server did not ask for one.
    pub payment: Option<Payment>,
}

/// When the books say that a payment was paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ends {
    /// When the head of the answer has arrived. A body that breaks off afterwards is lost: the next request is paid anew. The
    /// caller does not wait until that is on the disk; [`Client::flush`](crate::Client::flush) does. A process that ends
    /// without dropping the store leaves the payment open, and the same request sends it again.
    #[default]
    WhenAnswered,
    /// When the caller has the answer safe and says so with [`Client::acknowledge`](crate::Client::acknowledge). Until then
    /// the same request sends the same payment.
    WhenAcknowledged,
}

/// A payment that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Payment {
    /// Its natural key.
    pub id: PaymentId,
    /// The protocol version it was sent in.
    pub version: Version,
    /// Who paid.
    pub payer: Address,
    /// Who was paid.
    pub payee: Address,
    /// How much.
    pub amount: Amount,
    /// The asset, from our own table.
    pub asset: Asset,
    /// The same in dollars.
    pub worth: Worth,
    /// Until when the authorization is valid.
    pub valid_until: Timestamp,
    /// Whether it had been signed for an earlier request whose end was not known.
    pub resumed: bool,
    /// What the server says about it.
    pub receipt: Receipt,
    /// What the answer means for the books, which say the same unless they wait for
    /// [`Client::acknowledge`](crate::Client::acknowledge). [`SpendState::Open`] when the server neither served nor refused,
    /// e.g. with a status of 500: the same request will send the same payment again.
    pub state: SpendState,
}
