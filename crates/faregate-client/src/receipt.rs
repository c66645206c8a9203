//! What a server says about the payment it got (x402 wire facts §1.1: `PAYMENT-RESPONSE`, `X-PAYMENT-RESPONSE`).

use alloy_primitives::Address;
use faregate_types::x402::{SettleResponse, Version, header};
use faregate_types::{Amount, ChainId, Code, credit, hex_text, parse_atomic};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue};

use crate::text::clean;

/// What a server says about the payment it got. It is the server's word; only the chain can prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Receipt {
    /// The money moved; on credit: a guarantee was issued for it.
    Settled(TypedReceipt),
    /// It did not, or not yet.
    Failed(FailedReceipt),
    /// There is none. Servers are supposed to send one with every paid answer.
    Missing,
    /// There is one, but it cannot be read, lacks the transaction or is about another payment.
    NotCredible(ReceiptFault),
}

/// A receipt that says: settled, by this transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TypedReceipt {
    /// The transaction hash, or another reference; on credit tab and number, as they were signed.
    pub transaction: Box<str>,
    /// Where it settled.
    pub network: ChainId,
    /// Who paid, if the receipt says so. It is the wallet's address then.
    pub payer: Option<Address>,
}

/// A receipt that says: not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedReceipt {
    /// The reason, if it is one we know.
    pub code: Option<Code>,
    /// The server's own words, shortened and made printable.
    pub reason: Option<Box<str>>,
    /// What was handed to the network, if anything.
    pub transaction: Option<Box<str>>,
}

/// Why a receipt is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptFault {
    /// Not base64, not JSON, too large.
    #[error("the receipt cannot be read")]
    Unreadable,
    /// Success without a transaction.
    #[error("the receipt names no transaction")]
    NoTransaction,
    /// Another payer, network or amount.
    #[error("the receipt is about another payment")]
    OtherPayment,
}

/// What the receipt has to be about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) version: Version,
    pub(crate) payer: Address,
    pub(crate) amount: Amount,
}

/// What an answer to a paid request means for the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was paid for.
    Paid(Option<Box<str>>),
    /// It was neither served nor refused, e.g. the server had an error. The same payment may be sent again.
    Open,
    /// It was refused; the answer says why.
    Refused,
}

impl Receipt {
    /// Reads the receipt from the headers of an answer.
    pub(crate) fn read(headers: &HeaderMap, expected: &Expected) -> Self {
        match response(headers, expected.version) {
            Some(Ok(response)) => Self::of(&response, expected),
            Some(Err(fault)) => Self::NotCredible(fault),
            None => Self::Missing,
        }
    }

    /// The same of a payment on credit: it has no transaction, and is known by its tab and number.
    pub(crate) fn read_on_credit(
        headers: &HeaderMap,
        expected: &Expected,
        reference: &str,
    ) -> Self {
        match response(headers, expected.version) {
            Some(Ok(mut response)) => {
                if response.success {
                    reference.clone_into(&mut response.transaction);
                }
                Self::of(&response, expected)
            }
            Some(Err(fault)) => Self::NotCredible(fault),
            None => Self::Missing,
        }
    }

    fn of(response: &SettleResponse, expected: &Expected) -> Self {
        let transaction = Some(response.transaction.as_str())
            .filter(|text| !text.is_empty())
            .map(clean);
        if !response.success {
            let words = response.error_reason.as_deref();
            let words = words.or(response.error_message.as_deref());
            return Self::Failed(FailedReceipt {
                code: response.code(),
                reason: words.map(clean),
                transaction,
            });
        }
        let payer = match response.payer.as_deref() {
            None | Some("") => None,
            Some(text) => match hex_text::parse_address(text) {
                Ok(payer) if payer == expected.payer => Some(payer),
                Ok(_) | Err(_) => return Self::NotCredible(ReceiptFault::OtherPayment),
            },
        };
        let asset = expected.amount.asset().as_erc20();
        let Some(network) = asset.map(|asset| asset.chain()) else {
            return Self::NotCredible(ReceiptFault::OtherPayment);
        };
        if !is_network(&response.network, network) || !is_amount(response, expected) {
            return Self::NotCredible(ReceiptFault::OtherPayment);
        }
        match transaction {
            Some(transaction) => Self::Settled(TypedReceipt {
                transaction,
                network,
                payer,
            }),
            None => Self::NotCredible(ReceiptFault::NoTransaction),
        }
    }

    /// The transaction of a settled payment.
    #[must_use]
    pub fn transaction(&self) -> Option<&str> {
        match self {
            Self::Settled(receipt) => Some(&receipt.transaction),
            Self::Failed(_) | Self::Missing | Self::NotCredible(_) => None,
        }
    }

    /// What the answer means for the books. An answer below 300 was paid for even without a receipt: the seller served.
    pub(crate) fn outcome(&self, status: StatusCode) -> Outcome {
        match (status, self) {
            (StatusCode::PAYMENT_REQUIRED | StatusCode::PRECONDITION_FAILED, _) => Outcome::Refused,
            (_, Self::Settled(receipt)) => Outcome::Paid(Some(receipt.transaction.clone())),
            (status, Self::Failed(_) | Self::Missing | Self::NotCredible(_)) => {
                if status.is_success() {
                    Outcome::Paid(None)
                } else {
                    Outcome::Open
                }
            }
        }
    }
}

/// The receipt's header.
pub(crate) fn value(headers: &HeaderMap, version: Version) -> Option<&HeaderValue> {
    let names = match version {
        Version::V1 => [header::X_PAYMENT_RESPONSE, header::PAYMENT_RESPONSE],
        Version::V2 => [header::PAYMENT_RESPONSE, header::X_PAYMENT_RESPONSE],
    };
    names.into_iter().find_map(|name| headers.get(name))
}

fn response(headers: &HeaderMap, version: Version) -> Option<Result<SettleResponse, ReceiptFault>> {
    let read = header::decode_settle_response(value(headers, version)?.as_bytes());
    Some(read.map_err(|_| ReceiptFault::Unreadable))
}

/// Whether a named network is ours, by any spelling. Some servers name none.
fn is_network(text: &str, network: ChainId) -> bool {
    text.is_empty() || credit::x402::chain(text) == Some(network)
}

fn is_amount(response: &SettleResponse, expected: &Expected) -> bool {
    response
        .amount
        .as_deref()
        .is_none_or(|text| parse_atomic(text) == Ok(expected.amount.value()))
}

#[cfg(test)]
mod tests;
