//! The payer's own name for a purchase: an `Idempotency-Key` header, or the x402 extension `payment-identifier`.

use faregate_core::{Credential, Identifier, Offer, Till};
use faregate_types::{Code, IdempotencyKey, IdempotencyKeyError, Problem};
use http::{HeaderMap, HeaderName};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Reads the name, wherever it stands. Both places mean the same, so two different names are a mistake.
///
/// # Errors
/// The answer to a name that is none, and to none where the offer insists on one. Nothing was charged.
pub(crate) fn of(
    till: &Till,
    offer: &Offer,
    credential: &Credential,
    headers: &HeaderMap,
) -> Result<Option<IdempotencyKey>, Problem> {
    let bad = |error: IdempotencyKeyError| invalid(&error.to_string());
    let mut sent = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let header = match (sent.next(), sent.next()) {
        (None, _) => None,
        (Some(value), None) => Some(IdempotencyKey::from_header(value.as_bytes()).map_err(bad)?),
        (Some(_), Some(_)) => return Err(invalid("expected one Idempotency-Key")),
    };
    let payment = till.key(offer, credential).map_err(bad)?;
    match (payment, header) {
        (Some(one), Some(other)) if one != other => Err(invalid(
            "the payment identifier and the Idempotency-Key differ",
        )),
        (Some(key), _) | (None, Some(key)) => Ok(Some(key)),
        (None, None) if offer.identifier() == Identifier::Required => {
            Err(Problem::new(Code::PaymentIdentifierRequired)
                .hint("send info.id in the extension payment-identifier, or an Idempotency-Key"))
        }
        (None, None) => Ok(None),
    }
}

fn invalid(detail: &str) -> Problem {
    Problem::new(Code::IdempotencyKeyInvalid).detail(detail)
}
