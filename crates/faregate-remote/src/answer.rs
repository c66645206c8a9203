//! What an answer means. Pure: status and body in, verdict or outcome out.

use faregate_core::port::{Away, SettleOutcome, Settlement, Unknown, Verdict};
use faregate_types::x402::exact::ExactPayment;
use faregate_types::x402::{FacilitatorRequest, SettleResponse, SupportedResponse, VerifyResponse};
use faregate_types::{Address, ChainId, Code, Refusal};

use crate::limits::TRANSACTION_CHARS_MAX;
use faregate_http::Answer;

/// The part of verification that needs nobody: the payment fits the requirements.
pub(crate) fn precheck(request: &FacilitatorRequest) -> Result<ExactPayment, Refusal> {
    let payment = request.exact()?;
    let signed = &payment.payload.authorization;
    let code = if signed.to != payment.terms.pay_to {
        Code::InvalidExactEvmPayloadRecipientMismatch
    } else if signed.value != payment.terms.amount {
        Code::InvalidExactEvmPayloadAuthorizationValueMismatch
    } else {
        return Ok(payment);
    };
    Err(Refusal::new(code).payer(payment.payer()))
}

pub(crate) fn supported(answer: &Answer) -> Result<SupportedResponse, Away> {
    match serde_json::from_slice(&answer.body) {
        Ok(supported) if answer.status.is_success() => Ok(supported),
        Ok(_) | Err(_) => Err(no_verdict("supported", answer)),
    }
}

pub(crate) fn verify(payment: &ExactPayment, answer: &Answer) -> Result<Verdict, Away> {
    let Ok(response) = serde_json::from_slice::<VerifyResponse>(&answer.body) else {
        return Err(no_verdict("verify", answer));
    };
    let payer = payment.payer();
    if !response.is_valid {
        let refusal = refusal(
            response.code(),
            response.invalid_reason.as_deref(),
            response.invalid_message.as_deref(),
        );
        return Ok(Verdict::Invalid(refusal.payer(payer)));
    }
    if answer.status.is_success() && names(response.payer.as_deref(), payer) {
        Ok(Verdict::Valid { payer })
    } else {
        tracing::warn!(
            status = answer.status.as_u16(),
            "facilitator calls a payment valid, with an error status or for another payer"
        );
        Err(Away {
            code: Code::FacilitatorAnswerInvalid,
        })
    }
}

pub(crate) fn settle(payment: &ExactPayment, answer: &Answer) -> SettleOutcome {
    let Ok(response) = serde_json::from_slice::<SettleResponse>(&answer.body) else {
        return unknown(no_verdict("settle", answer).code, None);
    };
    let transaction = transaction(&response);
    if response.success {
        settled(payment, answer, &response, transaction)
    } else {
        not_settled(payment, &response, transaction)
    }
}

fn settled(
    payment: &ExactPayment,
    answer: &Answer,
    response: &SettleResponse,
    transaction: Option<Box<str>>,
) -> SettleOutcome {
    let payer = payment.payer();
    let network = payment.terms.asset.chain();
    let consistent = answer.status.is_success()
        && names(response.payer.as_deref(), payer)
        && is_network(&response.network, network);
    if transaction.is_some() && consistent {
        SettleOutcome::Settled(Settlement {
            transaction,
            payer: Some(payer),
        })
    } else {
        tracing::warn!(
            status = answer.status.as_u16(),
            transaction,
            "facilitator calls a payment settled, without a transaction or with another status, payer or network"
        );
        unknown(Code::FacilitatorAnswerInvalid, transaction)
    }
}

fn not_settled(
    payment: &ExactPayment,
    response: &SettleResponse,
    transaction: Option<Box<str>>,
) -> SettleOutcome {
    let code = response.code();
    // A transaction text that is too strange to be kept is still a sign that something was sent.
    let sent = !response.transaction.is_empty();
    match code {
        Some(code) if !sent && proves_nothing_sent(code) => {
            let refusal = refusal(
                Some(code),
                response.error_reason.as_deref(),
                response.error_message.as_deref(),
            );
            SettleOutcome::Failed(refusal.payer(payment.payer()))
        }
        Some(code) => unknown(code, transaction),
        None if sent => unknown(Code::SettlementPending, transaction),
        None => unknown(Code::PaymentUnknown, transaction),
    }
}

const fn unknown(code: Code, transaction: Option<Box<str>>) -> SettleOutcome {
    SettleOutcome::Unknown(Unknown { code, transaction })
}

/// An answer without a verdict in it: overloaded or broken services are away, others do not speak the protocol.
fn no_verdict(call: &'static str, answer: &Answer) -> Away {
    let status = answer.status;
    if matches!(status.as_u16(), 401 | 403) {
        tracing::error!(call, "the facilitator does not accept the configured token");
    }
    let code = if status.is_server_error() || status.as_u16() == 429 {
        Code::FacilitatorUnavailable
    } else {
        Code::FacilitatorAnswerInvalid
    };
    tracing::warn!(
        call,
        status = status.as_u16(),
        code = code.as_str(),
        "facilitator gave no verdict"
    );
    Away { code }
}

/// The reason as a refusal. A reason we do not know is kept as a text, bounded.
fn refusal(code: Option<Code>, reason: Option<&str>, message: Option<&str>) -> Refusal {
    match (code, reason, message) {
        (Some(code), _, Some(message)) => Refusal::new(code).detail(message),
        (Some(code), _, None) => Refusal::new(code),
        (None, Some(reason), Some(message)) => {
            Refusal::new(Code::InvalidPayment).detail(format!("{reason}: {message}"))
        }
        (None, Some(text), None) | (None, None, Some(text)) => {
            Refusal::new(Code::InvalidPayment).detail(text)
        }
        (None, None, None) => Refusal::new(Code::InvalidPayment),
    }
}

/// Whether a named payer is ours. Some facilitators name nobody.
fn names(text: Option<&str>, payer: Address) -> bool {
    match text {
        None | Some("") => true,
        Some(text) => faregate_types::hex_text::parse_address(text) == Ok(payer),
    }
}

/// Whether a named network is ours, by either spelling. Some facilitators name none.
fn is_network(text: &str, network: ChainId) -> bool {
    text.is_empty() || text.parse() == Ok(network) || ChainId::from_v1_name(text) == Some(network)
}

/// The transaction, if it is fit to be stored and shown.
fn transaction(response: &SettleResponse) -> Option<Box<str>> {
    let text = response.transaction.as_str();
    let fit = !matches!(text, "" | "0x")
        && text.len() <= TRANSACTION_CHARS_MAX
        && text.bytes().all(|b| b.is_ascii_graphic());
    fit.then(|| text.into())
}

/// Reasons that are given before anything is sent: by verification, or because of who asks or how often. So this call sent
/// nothing. That is enough because `settle` is
/// called once per payment; repeats go through `resolve`, which believes no refusal.
///
/// Not among them, because money may have moved all the same: a used nonce, a failing simulation, a duplicate, everything
/// about transactions.
const fn proves_nothing_sent(code: Code) -> bool {
    matches!(
        code,
        Code::InsufficientFunds
            | Code::InvalidExactEvmPayloadAuthorizationValidAfter
            | Code::InvalidExactEvmPayloadAuthorizationValidBefore
            | Code::InvalidExactEvmPayloadAuthorizationValueMismatch
            | Code::InvalidExactEvmPayloadSignature
            | Code::InvalidExactEvmPayloadRecipientMismatch
            | Code::InvalidNetwork
            | Code::InvalidPayload
            | Code::InvalidPaymentRequirements
            | Code::InvalidScheme
            | Code::UnsupportedScheme
            | Code::InvalidX402Version
            | Code::NetworkMismatch
            | Code::InvalidExactEvmFailedToGetNetworkConfig
            | Code::MissingEip712Domain
            | Code::InvalidExactEvmTokenNameMismatch
            | Code::InvalidExactEvmTokenVersionMismatch
            | Code::InvalidExactEvmInsufficientBalance
            | Code::InvalidExactEvmEip3009NotSupported
            | Code::AssetNotDeployedContract
            | Code::InvalidExactEvmPayloadUndeployedSmartWallet
            | Code::Eip6492FactoryNotAllowed
            | Code::AssetNotAllowed
            | Code::PayeeNotAllowed
            | Code::Unauthorized
            | Code::RateLimited
    )
}

#[cfg(test)]
mod tests;
