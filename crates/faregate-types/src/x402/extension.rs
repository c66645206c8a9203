//! Extensions of x402 messages (x402 wire facts §3.3, §1.1 step 5): the echo of what was offered, and `payment-identifier`, by
//! which a payer names a purchase.
//!
//! A server offers `extensions["payment-identifier"] = { "info": { "required": false }, "schema": … }`; a client sends the
//! same back with `info.id` beside it.

use serde_json::{Map, Value, json};

use crate::idempotency::{IdempotencyKey, IdempotencyKeyError};

/// The extension by which a payer names a purchase.
pub const PAYMENT_IDENTIFIER: &str = "payment-identifier";

/// What a server says that takes identifiers, or insists on them.
#[must_use]
pub fn payment_identifier_offer(required: bool) -> Value {
    json!({
        "info": { "required": required },
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "required": { "type": "boolean" },
                "id": { "type": "string", "minLength": 16, "maxLength": 128, "pattern": "^[a-zA-Z0-9_-]+$" },
            },
            "required": ["required"],
        },
    })
}

/// The identifier in the extensions of a payment. An extension without one is an echo that names nothing.
///
/// # Errors
/// [`IdempotencyKeyError`] for an `id` that is none.
pub fn payment_identifier(
    extensions: Option<&Map<String, Value>>,
) -> Result<Option<IdempotencyKey>, IdempotencyKeyError> {
    let id = extensions
        .and_then(|all| all.get(PAYMENT_IDENTIFIER))
        .and_then(|extension| extension.get("info"))
        .and_then(|info| info.get("id"));
    match id {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) => IdempotencyKey::from_payment_identifier(id).map(Some),
        Some(_) => Err(IdempotencyKeyError::PaymentIdentifier),
    }
}

/// Whether a client echoes what was offered: the `info` of each offered extension that it sends back holds everything the
/// offer said. It may add to it, leave extensions out, and send others, which nobody looks at.
#[must_use]
pub fn is_echo(offered: &Map<String, Value>, echoed: &Map<String, Value>) -> bool {
    offered.iter().all(|(name, offer)| {
        echoed
            .get(name)
            .is_none_or(|echo| match (offer.get("info"), echo.get("info")) {
                (None, _) => true,
                (Some(offer), Some(echo)) => contains(echo, offer),
                (Some(_), None) => false,
            })
    })
}

/// Everything in `less` is in `more` too: members of objects and elements of lists may be added.
fn contains(more: &Value, less: &Value) -> bool {
    match (more, less) {
        (Value::Object(more), Value::Object(less)) => less
            .iter()
            .all(|(name, less)| more.get(name).is_some_and(|more| contains(more, less))),
        (Value::Array(more), Value::Array(less)) => {
            less.iter().all(|element| more.contains(element))
        }
        (more, less) => more == less,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn an_identifier_is_read_or_refused() {
        let id = "pay_7d5d747be160e280504c099d984bcfe0";
        for (extensions, expected) in [
            (json!({}), Ok(None)),
            (json!({ "payment-identifier": {} }), Ok(None)),
            (
                json!({ "payment-identifier": payment_identifier_offer(true) }),
                Ok(None),
            ),
            (
                json!({ "payment-identifier": { "info": { "required": false, "id": id } } }),
                Ok(Some(id)),
            ),
            (
                json!({ "payment-identifier": { "info": { "id": id } }, "other": 1 }),
                Ok(Some(id)),
            ),
            (
                json!({ "payment-identifier": { "info": { "id": "short" } } }),
                Err(()),
            ),
            (
                json!({ "payment-identifier": { "info": { "id": 7 } } }),
                Err(()),
            ),
            (
                json!({ "payment-identifier": { "info": { "id": null } } }),
                Ok(None),
            ),
            (json!({ "payment-identifier": "text" }), Ok(None)),
        ] {
            let extensions = map(extensions);
            let found = payment_identifier(Some(&extensions));
            let found = found
                .as_ref()
                .map(|id| id.as_ref().map(IdempotencyKey::as_str));
            assert_eq!(found.map_err(|_| ()), expected, "{extensions:?}");
        }
        assert_eq!(payment_identifier(None), Ok(None));
    }

    #[test]
    fn an_echo_may_add_and_leave_out_but_not_change() {
        let offered = map(
            json!({ "payment-identifier": payment_identifier_offer(true), "x": { "info": { "list": [1] } } }),
        );
        for (echoed, expected) in [
            (json!({}), true),
            (
                json!({ "payment-identifier": { "info": { "required": true, "id": "i" } } }),
                true,
            ),
            (
                json!({ "payment-identifier": { "info": { "required": false } } }),
                false,
            ),
            (
                json!({ "payment-identifier": { "info": { "id": "i" } } }),
                false,
            ),
            (json!({ "payment-identifier": {} }), false),
            (json!({ "x": { "info": { "list": [0, 1] } } }), true),
            (json!({ "x": { "info": { "list": [0] } } }), false),
            (json!({ "unknown": { "info": { "z": 1 } } }), true),
        ] {
            assert_eq!(
                is_echo(&offered, &map(echoed.clone())),
                expected,
                "{echoed}"
            );
        }
    }
}
