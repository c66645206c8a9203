//! What the caller gets: an answer, and what was paid for it.

use alloy_primitives::{Address, U256};
use faregate_ledger::{Spend, SpendState, Worth};
use faregate_types::credit::to_quantity;
use faregate_types::lightning::{Msat, PaymentHash};
use faregate_types::permit::PermitKind;
use faregate_types::x402::Version;
use faregate_types::{Amount, Asset, PaymentId, Timestamp};

use crate::rail::credit::receipt::ShownCertificate;
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
    /// Who was paid: an address, or the key of a Lightning node.
    pub payee: Box<str>,
    /// How much.
    pub amount: Amount,
    /// What it counts against the caps.
    pub worth: Worth,
    /// Until when the authorization is valid, or the invoice could be paid.
    pub valid_until: Timestamp,
    /// Whether it had been signed for an earlier request whose end was not known.
    pub resumed: bool,
    /// What the answer means for the books, which say the same unless they wait for
    /// [`Client::acknowledge`](crate::Client::acknowledge). [`SpendState::Open`] when the server neither served nor refused,
    /// e.g. with a status of 500: the same request will send the same payment again.
    pub state: SpendState,
    /// How it was paid.
    pub rail: Rail,
}

/// How a payment was made, and what is only known of one that was made so.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rail {
    /// With a signed authorization.
    X402(X402Payment),
    /// With a Lightning invoice.
    L402(L402Payment),
    /// With a permit, posted for an access token.
    Permit(PermitPayment),
    /// On credit: with claims that are owed on a tab.
    Credit(Box<CreditPayment>),
}

/// What is known of a payment over x402.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct X402Payment {
    /// The protocol version it was sent in.
    pub version: Version,
    /// Who paid.
    pub payer: Address,
    /// The asset, from our own table.
    pub asset: Asset,
    /// What the server says about it.
    pub receipt: Receipt,
}

/// What is known of a payment over L402. The wallet has the preimage, which proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct L402Payment {
    /// The invoice's.
    pub payment_hash: PaymentHash,
    /// What was paid, without the fee.
    pub amount: Msat,
    /// What the way cost, where the wallet says so.
    pub fee: Option<Msat>,
    /// Most that it was allowed to cost.
    pub fee_max: Msat,
}

/// What is known of a payment by a permit. Nothing says whether, and in which transaction, the server has collected it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PermitPayment {
    /// What was signed.
    pub kind: PermitKind,
    /// Who paid.
    pub payer: Address,
    /// The asset, if it is in this client's table.
    pub asset: Option<Asset>,
    /// From when on the token is not shown any more, by what the server said about it.
    pub token_until: Timestamp,
}

/// What is known of a payment on credit. It is owed, and has to be paid before the tab is overdue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreditPayment {
    /// The protocol version it was sent in; the guarantee is of the same.
    pub version: Version,
    /// Who owes.
    pub payer: Address,
    /// The asset, if it is in this client's table.
    pub asset: Option<Asset>,
    /// The tab it is owed on.
    pub tab: U256,
    /// Its number on the tab.
    pub number: U256,
    /// What the server says about it. The transaction of a settled one is tab and number.
    pub receipt: Receipt,
    /// The certificate that was issued, as far as the server shows it.
    pub certificate: ShownCertificate,
    /// What the tab comes to with it, in atomic units, by the certificate.
    pub total: Option<U256>,
}

impl Payment {
    pub(crate) fn of(spend: Spend, resumed: bool, state: SpendState, rail: Rail) -> Self {
        Self {
            id: spend.id,
            payee: spend.payee,
            amount: spend.amount,
            worth: spend.worth,
            valid_until: spend.valid_until,
            resumed,
            state,
            rail,
        }
    }

    /// What is known of it if it was made over x402.
    #[must_use]
    pub const fn x402(&self) -> Option<&X402Payment> {
        match &self.rail {
            Rail::X402(payment) => Some(payment),
            Rail::L402(_) | Rail::Permit(_) | Rail::Credit(_) => None,
        }
    }

    /// What is known of it if it was made over L402.
    #[must_use]
    pub const fn l402(&self) -> Option<&L402Payment> {
        match &self.rail {
            Rail::L402(payment) => Some(payment),
            Rail::X402(_) | Rail::Permit(_) | Rail::Credit(_) => None,
        }
    }

    /// What is known of it if it was made with a permit.
    #[must_use]
    pub const fn permit(&self) -> Option<&PermitPayment> {
        match &self.rail {
            Rail::Permit(payment) => Some(payment),
            Rail::X402(_) | Rail::L402(_) | Rail::Credit(_) => None,
        }
    }

    /// What is known of it if it was made on credit.
    #[must_use]
    pub const fn credit(&self) -> Option<&CreditPayment> {
        match &self.rail {
            Rail::Credit(payment) => Some(payment),
            Rail::X402(_) | Rail::L402(_) | Rail::Permit(_) => None,
        }
    }

    /// What the books remember as its reference: a transaction that the server named, the payment hash, or tab and number.
    pub(crate) fn transaction(&self) -> Option<Box<str>> {
        match &self.rail {
            Rail::X402(payment) => payment.receipt.transaction().map(Into::into),
            Rail::L402(payment) => Some(payment.payment_hash.to_string().into()),
            Rail::Permit(_) => None,
            Rail::Credit(payment) => Some(reference(payment.tab, payment.number)),
        }
    }
}

/// What a guarantee is called, for people and in the books.
pub(crate) fn reference(tab: U256, number: U256) -> Box<str> {
    format!("{}/{number}", to_quantity(tab)).into()
}
