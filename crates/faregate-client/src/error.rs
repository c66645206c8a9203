//! Why a request was not paid, or not answered.

use std::fmt;

use faregate_evm::{EntropyError, SignError};
use faregate_ledger::{CapRefusal, StoreError, Unit, Worth};
use faregate_types::permit::PermitKind;
use faregate_types::{
    Amount, Asset, Blame, Code, PaymentId, Refusal, Retry, Timestamp, to_decimal_text,
};

use crate::receipt::Receipt;
use crate::select::Considered;

/// Why a request was not paid, or not answered. In the order in which things are looked at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayError {
    /// The request itself cannot be sent or paid for.
    #[error(transparent)]
    Request(#[from] RequestFault),
    /// The server could not be asked. No payment was sent.
    #[error("{0}; no payment was sent")]
    Http(HttpFault),
    /// The server asks for payment in a way that cannot be read.
    #[error("the server asks for payment in a way that cannot be understood: {0}")]
    Offer(Refusal),
    /// None of the offers can be taken; each with its reason.
    #[error("{}", Skipped(.0))]
    NoUsableOffer(Vec<Considered>),
    /// This server named another payee before.
    #[error(transparent)]
    PayeeChanged(Box<PayeeChanged>),
    /// The price at this place jumped.
    #[error(transparent)]
    PriceRaised(Box<PriceRaised>),
    /// A cap would break.
    #[error(transparent)]
    Cap(#[from] CapRefusal),
    /// The books are away or damaged. The payment was not sent.
    #[error("no payment was sent, because the wallet's books failed: {0}")]
    Store(#[from] StoreError),
    /// The node that was asked about a payment did not answer, or is on another chain.
    #[error("the chain could not be asked: {}", .0.meaning())]
    Chain(Code),
    /// An EIP-2612 permit was signed before, and its nonce is not used on the chain yet. The contract takes one after the other.
    #[error(
        "the EIP-2612 permit of {0} is not on the chain yet, and another one has to wait for it"
    )]
    PermitWaits(PaymentId),
    /// There is no tab to pay on: its endpoint refuses, or its answer cannot be used. Nothing was sent.
    #[error("there is no tab to pay on: {0}")]
    Tab(Refusal),
    /// The Lightning wallet did not pay the invoice, and is certain that it did not.
    #[error("the Lightning invoice was not paid: {0}")]
    NotPaid(Refusal),
    /// The key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// There are no random bytes for a nonce.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The payment was sent and the server refused it. It stays in the books and counts: a signature cannot be taken back.
    #[error(transparent)]
    Refused(Box<Refused>),
    /// A permit bought an access token, and the server does not take the token. It is in the books as paid.
    #[error(transparent)]
    TokenRefused(Box<TokenRefused>),
    /// The payment was sent and nobody knows how it ended. It stays open in the books, and the next identical request sends
    /// the same payment again instead of signing a second one.
    #[error(transparent)]
    Undecided(Box<Undecided>),
}

/// What is wrong with the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestFault {
    /// Not an http or https URL with a host, or the request could not be built.
    #[error("expected a request to an http or https URL")]
    Malformed,
    /// The body is a stream. A payment needs the same request a second time.
    #[error(
        "expected a body of known bytes, because it may have to be sent a second time with the payment"
    )]
    BodyNotReplayable,
    /// Plain HTTP to another machine: whoever sits on the way could take the payment.
    #[error("payments are not sent over plain http to another machine")]
    Insecure,
    /// There is no payment with this id whose end is unknown.
    #[error("there is no pending payment with this id")]
    NotPending,
    /// The books do not have the whole request: its headers held secrets, or it was too large.
    #[error(
        "the books do not have the whole request of this payment: send the request itself again"
    )]
    NotKept,
    /// Not one of the origins that may be paid.
    #[error("this origin is not one of those that may be paid")]
    HostNotAllowed,
}

/// How an exchange failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpFault {
    /// There was no connection, so nothing was sent.
    #[error("there is no connection to the server")]
    NoConnection,
    /// No answer in time.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The connection was lost before there was an answer.
    #[error("the connection was lost before there was an answer")]
    Lost,
    /// What came back is not HTTP, or its headers are too large.
    #[error("the server's answer is not HTTP or has too large headers")]
    Garbled,
}

/// Another payee than this server named before for the same asset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin} wants payment to {asked}, but named {known} before")]
#[non_exhaustive]
pub struct PayeeChanged {
    /// Scheme, host and port.
    pub origin: Box<str>,
    /// Who was named first.
    pub known: Box<str>,
    /// Who is named now.
    pub asked: Box<str>,
}

/// More than last time, and more than that may rise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}{path} asks for much more than last time")]
#[non_exhaustive]
pub struct PriceRaised {
    /// Scheme, host and port.
    pub origin: Box<str>,
    /// Where.
    pub path: Box<str>,
    /// What the prices are in.
    pub unit: Unit,
    /// What was signed last.
    pub before: Worth,
    /// What is asked for now.
    pub asked: Worth,
}

/// The server's "no" to a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refused {
    /// The payment.
    pub id: PaymentId,
    /// The status of the answer: 402, 412, or with L402 401.
    pub status: u16,
    /// The reason, if it is one we know; else [`Code::PaymentRefused`].
    pub code: Code,
    /// The server's own words, shortened and made printable.
    pub reason: Option<Box<str>>,
    /// What the server said about the settlement. It may even say that the money moved.
    pub receipt: Receipt,
    /// Whether it asks for another payment, on other terms than those it was paid on.
    pub asks_again: bool,
}

/// The server's "no" to an access token that it has just issued.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenRefused {
    /// The payment.
    pub id: PaymentId,
    /// The status of the answer, 402 or 412.
    pub status: u16,
    /// The reason, if it is one we know; else [`Code::PaymentRefused`].
    pub code: Code,
    /// The server's own words, shortened and made printable.
    pub reason: Option<Box<str>>,
    /// Scheme, host and port.
    pub origin: Box<str>,
    /// Who may collect the permit.
    pub payee: Box<str>,
    /// The asset, if it is in this client's table.
    pub asset: Option<Asset>,
    /// How much.
    pub amount: Amount,
}

/// An end that is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Undecided {
    /// The payment.
    pub id: PaymentId,
    /// Until when the money may still move.
    pub valid_until: Timestamp,
    /// What happened.
    pub why: Doubt,
    /// What the server handed to the network, if it said so.
    pub transaction: Option<Box<str>>,
}

/// Why an end is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doubt {
    /// No answer.
    Http(HttpFault),
    /// The server does not know either, and says this.
    Server(Code),
    /// The Lightning wallet does not know either, and says this.
    Lightning(Code),
    /// The server broke down over a permit of this kind, as servers do that take only others. It may have kept it.
    Permit(PermitKind),
}

/// What kind of end an error is, for exit codes and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The request is wrong. Nothing was signed.
    Request,
    /// The server could not be asked. Nothing was sent.
    Http,
    /// There is no offer that this wallet knows and trusts. Nothing was signed.
    NoOffer,
    /// A cap or rule of this wallet forbids it. Nothing was sent.
    OverBudget,
    /// The wallet itself failed. Nothing was sent.
    Wallet,
    /// The server refused the payment.
    Refused,
    /// Nobody knows.
    Undecided,
}

impl PayError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Request(fault) => fault.code(),
            Self::Http(fault) => fault.code(),
            Self::Offer(refusal) | Self::NotPaid(refusal) | Self::Tab(refusal) => refusal.code,
            Self::Chain(code) => *code,
            Self::PermitWaits(_) => Code::PaymentInFlight,
            Self::NoUsableOffer(considered) => no_usable_offer(considered),
            Self::PayeeChanged(_) => Code::PayeeChanged,
            Self::PriceRaised(_) => Code::PriceRaised,
            Self::Cap(cap) => cap.code(),
            Self::Store(StoreError::Unavailable) => Code::StoreUnavailable,
            Self::Store(_) | Self::Entropy(_) => Code::Internal,
            Self::Sign(_) => Code::SignerUnavailable,
            Self::Refused(refused) => refused.code,
            Self::TokenRefused(refused) => refused.code,
            Self::Undecided(_) => Code::PaymentUnknown,
        }
    }

    /// Who has to change something.
    #[must_use]
    pub fn blame(&self) -> Blame {
        self.code().blame()
    }

    /// Whether the same request may be sent again, and when. After [`PayError::Undecided`] that is safe: the same payment
    /// is used.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.code().retry()
    }

    /// What kind of end this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Request(RequestFault::Insecure | RequestFault::HostNotAllowed)
            | Self::PayeeChanged(_)
            | Self::PriceRaised(_)
            | Self::Cap(_) => Kind::OverBudget,
            Self::Request(
                RequestFault::Malformed
                | RequestFault::BodyNotReplayable
                | RequestFault::NotPending
                | RequestFault::NotKept,
            ) => Kind::Request,
            Self::Http(_) | Self::Chain(_) => Kind::Http,
            Self::Tab(refusal) if refusal.blame() == Blame::Payer => Kind::Wallet,
            Self::Tab(_) => Kind::Http,
            Self::NoUsableOffer(_) if self.code() == Code::OverPaymentCap => Kind::OverBudget,
            Self::Offer(_) | Self::NoUsableOffer(_) => Kind::NoOffer,
            Self::Store(_)
            | Self::Sign(_)
            | Self::Entropy(_)
            | Self::NotPaid(_)
            | Self::PermitWaits(_) => Kind::Wallet,
            Self::Refused(_) | Self::TokenRefused(_) => Kind::Refused,
            Self::Undecided(_) => Kind::Undecided,
        }
    }

    /// The payment that was sent, if one was.
    #[must_use]
    pub fn payment(&self) -> Option<PaymentId> {
        match self {
            Self::Refused(refused) => Some(refused.id),
            Self::TokenRefused(refused) => Some(refused.id),
            Self::Undecided(undecided) => Some(undecided.id),
            _ => None,
        }
    }
}

/// A price above the cap says more than "no usable offer"; so does a reason that all offers share.
fn no_usable_offer(considered: &[Considered]) -> Code {
    let mut codes = considered
        .iter()
        .filter_map(|offer| offer.verdict.as_ref().err())
        .map(|refusal| refusal.code);
    if codes.clone().any(|code| code == Code::OverPaymentCap) {
        return Code::OverPaymentCap;
    }
    match codes.next() {
        Some(first) if codes.all(|code| code == first) => first,
        _ => Code::NoUsableOffer,
    }
}

impl RequestFault {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Malformed => Code::BadRequest,
            Self::BodyNotReplayable => Code::BodyNotReplayable,
            Self::Insecure => Code::InsecureUrl,
            Self::HostNotAllowed => Code::HostNotAllowed,
            Self::NotPending => Code::NotFound,
            Self::NotKept => Code::BodyNotReplayable,
        }
    }
}

impl HttpFault {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::NoConnection | Self::Lost => Code::UpstreamUnavailable,
            Self::TimedOut => Code::UpstreamTimeout,
            Self::Garbled => Code::UpstreamAnswerInvalid,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server refused the payment with {}", self.status)?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => f.write_str(" and no reason"),
        }?;
        if self.asks_again {
            f.write_str(
                "; it asks for another payment on other terms, and nothing was signed for that",
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for TokenRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, payee, .. } = self;
        match &self.asset {
            Some(asset) => {
                let coins = to_decimal_text(self.amount.value(), asset.decimals);
                write!(f, "{origin} got a permit over {coins} {}", asset.symbol)?;
            }
            None => write!(f, "{origin} got a permit over {}", self.amount)?,
        }
        write!(
            f,
            " for {payee}, and does not take the access token it gave for it: {}",
            self.status
        )?;
        match &self.reason {
            Some(reason) => write!(f, " {reason}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TokenRefused {}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Doubt::Http(fault) => write!(f, "the payment was sent, then {fault}")?,
            Doubt::Server(code) => write!(f, "the payment was sent, and the server says {code}")?,
            Doubt::Permit(kind) => write!(
                f,
                "the permit was sent, and the server broke down over it: it may take no {kind} permits, and it may have kept this one"
            )?,
            Doubt::Lightning(code) => {
                write!(
                    f,
                    "the payment was sent, and the Lightning wallet says {code}"
                )?;
            }
        }
        write!(
            f,
            "; it may have happened, and stays pending as {}",
            self.id
        )
    }
}

impl std::error::Error for Undecided {}

/// All offers with the reasons why none was taken.
struct Skipped<'a>(&'a [Considered]);

impl fmt::Display for Skipped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no offer can be paid")?;
        for (place, offer) in self.0.iter().enumerate() {
            let Err(refusal) = &offer.verdict else {
                continue;
            };
            f.write_str(if place == 0 { ": " } else { "; " })?;
            if !offer.network.is_empty() {
                write!(f, "{} on {}: ", offer.scheme, offer.network)?;
            }
            write!(f, "{refusal}")?;
        }
        Ok(())
    }
}
