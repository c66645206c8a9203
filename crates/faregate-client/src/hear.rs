//! What the answer to a paid request says about the payment: an end, a refusal, or that nobody knows yet.

use std::time::Duration;

use faregate_types::Code;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, ResponseBuilderExt as _, StatusCode};
use serde::Deserialize;

use crate::limits::OFFER_BODY_BYTES_MAX;
use crate::offer::{self, Offers};
use crate::rail::l402;
use crate::receipt::{Expected, Receipt};
use crate::transport;

/// An answer to a paid request.
pub(crate) enum Heard {
    /// One for the caller.
    Answer(Response, Receipt),
    /// A "no".
    No(Box<No>),
    /// The server does not know the end yet.
    NotYet(NotYet),
}

/// A refusal.
pub(crate) struct No {
    pub(crate) status: u16,
    pub(crate) code: Option<Code>,
    pub(crate) reason: Option<Box<str>>,
    pub(crate) receipt: Receipt,
    /// What it asks for instead.
    pub(crate) offers: Option<Offers>,
    /// What its body asks for beside a header that does: offers on credit without a condition.
    pub(crate) beside: Option<Offers>,
    /// What it asks for instead over L402.
    pub(crate) challenge: Option<l402::Asked>,
}

/// An end that the server does not know.
pub(crate) struct NotYet {
    pub(crate) code: Code,
    pub(crate) transaction: Option<Box<str>>,
    pub(crate) retry_after: Option<Duration>,
}

/// What was sent, so that the answer is understood.
pub(crate) enum Sent {
    /// A signed authorization.
    X402(Expected),
    /// Signed claims, and what their guarantee is called.
    Credit(Expected, Box<str>),
    /// A token and its preimage.
    L402,
    /// An access token that a permit bought.
    Permit,
}

/// Reads an answer as far as it has to be read: that of the caller keeps its body.
pub(crate) async fn hear(response: Response, sent: &Sent) -> Heard {
    let receipt = match sent {
        Sent::X402(expected) => Receipt::read(response.headers(), expected),
        Sent::Credit(expected, reference) => {
            Receipt::read_on_credit(response.headers(), expected, reference)
        }
        Sent::L402 | Sent::Permit => Receipt::Missing,
    };
    match response.status() {
        // A token that the server does not take.
        StatusCode::UNAUTHORIZED if matches!(sent, Sent::L402) => refusal(response, receipt).await,
        StatusCode::PAYMENT_REQUIRED | StatusCode::PRECONDITION_FAILED => {
            refusal(response, receipt).await
        }
        StatusCode::ACCEPTED | StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE => {
            maybe_not_yet(response, receipt).await
        }
        _ => Heard::Answer(response, receipt),
    }
}

async fn refusal(response: Response, receipt: Receipt) -> Heard {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = transport::read(response, OFFER_BODY_BYTES_MAX).await;
    let body = body.ok().flatten().unwrap_or_default();
    let (mut code, mut reason, mut transaction) = (None, None, None);
    if let Receipt::Failed(failed) = &receipt {
        (code, reason) = (failed.code, failed.reason.clone());
        transaction = failed.transaction.clone();
    }
    let reason = reason.or_else(|| offer::refusal_text(&headers, &body));
    let code = code
        .or_else(|| reason.as_deref().and_then(Code::from_str))
        .or_else(|| code_of(&body));
    if is_pending(code, transaction.is_some()) && receipt.transaction().is_none() {
        return Heard::NotYet(NotYet {
            code: code.unwrap_or(Code::SettlementPending),
            transaction,
            retry_after: retry_after(&headers),
        });
    }
    let in_body = offer::from_body(&body);
    let (offers, beside) = if offer::in_headers(&headers) {
        (offer::from_headers(&headers), in_body.ok())
    } else {
        (in_body, None)
    };
    Heard::No(Box::new(No {
        status,
        code,
        reason,
        receipt,
        offers: offers.ok(),
        beside,
        challenge: l402::read(&headers, &body).and_then(Result::ok),
    }))
}

/// 202, 409 and 503 may be answers of what is sold, or of the gate before it: its own say so in the receipt or in a short
/// JSON body.
async fn maybe_not_yet(response: Response, receipt: Receipt) -> Heard {
    if receipt.transaction().is_some() {
        return Heard::Answer(response, receipt);
    }
    let retry_after = retry_after(response.headers());
    if let Receipt::Failed(failed) = &receipt
        && is_pending(failed.code, failed.transaction.is_some())
    {
        return Heard::NotYet(NotYet {
            code: failed.code.unwrap_or(Code::SettlementPending),
            transaction: failed.transaction.clone(),
            retry_after,
        });
    }
    if !is_short_json(response.headers()) {
        return Heard::Answer(response, receipt);
    }
    let (status, headers) = (response.status(), response.headers().clone());
    let url = response.url().clone();
    let Ok(Some(body)) = transport::read(response, OFFER_BODY_BYTES_MAX).await else {
        // It broke off: nobody knows what it was going to say.
        return Heard::NotYet(NotYet {
            code: Code::PaymentUnknown,
            transaction: None,
            retry_after,
        });
    };
    if let Some(code) = code_of(&body).filter(|code| is_pending(Some(*code), false)) {
        return Heard::NotYet(NotYet {
            code,
            transaction: None,
            retry_after,
        });
    }
    let mut again = http::Response::builder().status(status).url(url);
    if let Some(kept) = again.headers_mut() {
        *kept = headers;
    }
    match again.body(body) {
        Ok(again) => Heard::Answer(again.into(), receipt),
        Err(_) => Heard::NotYet(NotYet {
            code: Code::PaymentUnknown,
            transaction: None,
            retry_after,
        }),
    }
}

fn is_short_json(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name)?.to_str().ok();
    let json = text(CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind == "application/json" || kind == "application/problem+json"
    });
    let length = text(CONTENT_LENGTH).and_then(|length| length.parse().ok());
    json && length.is_some_and(|length: usize| length <= OFFER_BODY_BYTES_MAX)
}

/// The code of a problem, or of the short answers of other servers.
pub(crate) fn code_of(body: &[u8]) -> Option<Code> {
    #[derive(Deserialize)]
    struct Said {
        code: Option<String>,
        error: Option<String>,
    }
    let said: Said = serde_json::from_slice(body).ok()?;
    [said.code, said.error]
        .into_iter()
        .flatten()
        .find_map(|text| Code::from_str(&text))
}

/// Seconds only: a date would depend on two clocks.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// Whether a refusal only says that the end is not known yet. A transaction that was sent counts as such, unless the server
/// says that it failed.
const fn is_pending(code: Option<Code>, sent: bool) -> bool {
    match code {
        Some(
            Code::SettlementPending
            | Code::PaymentUnknown
            | Code::PaymentInFlight
            | Code::DuplicateSettlement,
        ) => true,
        Some(
            Code::TransactionFailed
            | Code::InvalidTransactionState
            | Code::InvalidExactEvmTransferEventMismatch,
        ) => false,
        Some(_) | None => sent,
    }
}

/// Whether a refusal says that the money has moved: what was refused is a copy.
pub(crate) const fn is_spent(code: Option<Code>) -> bool {
    matches!(
        code,
        Some(
            Code::InvalidExactEvmNonceAlreadyUsed
                | Code::PaymentAlreadyUsed
                | Code::PermitNonceUsed
        )
    )
}
