//! Lightning wallets and nodes: who makes our invoices, and who pays the invoices of others.
//!
//! A backend implements [`ReceiveBackend`], [`SendBackend`] or both, as thinly as its API allows: it passes on what it is told
//! and believes nothing more than is said. Whoever works with Lightning holds a [`Receiver`] or a [`Sender`] around it; what
//! has to be checked of every answer is checked there, in one place:
//!
//! - the payment hash comes out of the decoded invoice, never from the backend's word;
//! - network, amount and expiry of a new invoice are those that were asked for;
//! - a payment was made when there is a preimage with the right hash, and not before;
//! - a payment failed only with positive proof. Time that passed, a lost connection, an error page prove nothing.

mod receive;
mod send;

pub use receive::{
    Invoice, InvoiceAsk, InvoiceState, MadeInvoice, ReceiveAbilities, ReceiveBackend, Receiver,
    Settled, SettledStream, Wanted,
};
pub use send::{
    FeeCap, PaidInvoice, PayOrder, PayOutcome, PayReport, SendAbilities, SendBackend, Sender,
};

use super::Away;
use faregate_types::Code;

/// An answer that contradicts what was asked, or cannot be read.
pub const ANSWER_INVALID: Away = Away {
    code: Code::LightningAnswerInvalid,
};

/// No answer.
pub const UNAVAILABLE: Away = Away {
    code: Code::LightningUnavailable,
};

/// The backend has nothing to do this with.
pub const UNSUPPORTED: Away = Away {
    code: Code::LightningUnsupported,
};
