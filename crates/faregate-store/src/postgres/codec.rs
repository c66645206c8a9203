//! Rows to domain types and back. Every reader is total: what cannot be read is [`Fault::Damaged`], never a default.

use std::borrow::Cow;

use alloy_primitives::U256;
use faregate_ledger::{
    AccountId, Answer, Balance, Claim, Idempotency, Payment, PaymentState, Transfer,
};
use faregate_types::{
    Amount, AssetId, Code, Fingerprint, IdempotencyKey, PaymentId, RailName, parse_atomic,
};
use tokio_postgres::Row;

use super::fault::Fault;
pub(super) use crate::words::{headers_of, headers_to_bytes, secs, time};

/// What [`payment`] reads, from `payment p`, `transfer t` and `answer a`; a list without bodies and headers.
macro_rules! payments {
    (whole) => {
        payments!(@ "a.headers, a.body")
    };
    (listed) => {
        payments!(@ "''::bytea AS headers, NULL::bytea AS body")
    };
    (@ $answer:literal) => {
        concat!(
            "SELECT p.id, p.rail, p.fingerprint, p.state, p.route, p.evidence, p.transaction_ref, p.failure, ",
            "p.claimed_at, p.changed_at, p.final_at, p.exposure_max::text AS exposure_max, p.idempotency_key, p.request, ",
            "p.transfer, t.debit, t.credit, t.asset, t.amount::text AS amount, a.status, ",
            $answer,
            " FROM payment p JOIN transfer t ON t.payment = p.id AND t.seq = p.transfer ",
            "LEFT JOIN answer a ON a.payment = p.id "
        )
    };
}
pub(super) use payments;

/// A stored sum of money.
pub(super) fn money(text: &str) -> Result<U256, Fault> {
    parse_atomic(text).map_err(|_| Fault::Damaged("a sum of money"))
}

/// A stored asset.
pub(super) fn asset(text: &str) -> Result<AssetId, Fault> {
    text.parse().map_err(|_| Fault::Damaged("an asset"))
}

/// A stored account.
pub(super) fn account(text: &str) -> Result<AccountId, Fault> {
    AccountId::parse(text).map_err(|_| Fault::Damaged("an account"))
}

/// Stored 32 bytes.
pub(super) fn bytes32(bytes: &[u8]) -> Result<[u8; 32], Fault> {
    bytes.try_into().map_err(|_| Fault::Damaged("32 bytes"))
}

/// A stored id.
pub(super) fn id(row: &Row, column: &str) -> Result<PaymentId, Fault> {
    Ok(PaymentId::from_bytes(bytes32(row.try_get(column)?)?))
}

/// Any text as one that PostgreSQL takes, which knows no zero byte.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if text.contains(['\\', '\0']) {
        Cow::Owned(text.replace('\\', "\\\\").replace('\0', "\\0"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The reverse of [`escaped`].
pub(super) fn unescaped(text: &str) -> Result<Box<str>, Fault> {
    if !text.contains('\\') {
        return Ok(text.into());
    }
    let (mut whole, mut letters) = (String::with_capacity(text.len()), text.chars());
    while let Some(letter) = letters.next() {
        whole.push(match (letter, letter == '\\') {
            (letter, false) => letter,
            (_, true) => match letters.next() {
                Some('\\') => '\\',
                Some('0') => '\0',
                _ => return Err(Fault::Damaged("a text")),
            },
        });
    }
    Ok(whole.into())
}

/// A payment and the number of its transfer, from a row of [`payments!`].
pub(super) fn payment(row: &Row) -> Result<(Payment, i64), Fault> {
    let text = |column: &str| row.try_get::<_, &str>(column);
    let transfer = Transfer {
        debit: account(text("debit")?)?,
        credit: account(text("credit")?)?,
        amount: Amount::new(money(text("amount")?)?, asset(text("asset")?)?),
    };
    let claim = Claim {
        id: id(row, "id")?,
        rail: RailName::parse(text("rail")?).ok_or(Fault::Damaged("a rail"))?,
        fingerprint: Fingerprint::from_bytes(bytes32(row.try_get("fingerprint")?)?),
        transfer,
        route: unescaped(text("route")?)?,
        evidence: row.try_get("evidence")?,
        at: time(row.try_get("claimed_at")?),
        exposure_max: optional(row, "exposure_max", money)?,
        funds: None,
        idempotency: idempotency(row)?,
    };
    let code = |text: &str| Code::from_str(text).ok_or(Fault::Damaged("a code"));
    let payment = Payment {
        claim,
        state: PaymentState::parse(text("state")?).ok_or(Fault::Damaged("a state"))?,
        transaction: optional(row, "transaction_ref", unescaped)?,
        failure: optional(row, "failure", code)?,
        answer: answer(row)?,
        final_at: row.try_get::<_, Option<i64>>("final_at")?.map(time),
        changed_at: time(row.try_get("changed_at")?),
    };
    Ok((payment, row.try_get("transfer")?))
}

fn optional<T>(
    row: &Row,
    column: &str,
    read: impl FnOnce(&str) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    row.try_get::<_, Option<&str>>(column)?
        .map(read)
        .transpose()
}

fn idempotency(row: &Row) -> Result<Option<Idempotency>, Fault> {
    let key = optional(row, "idempotency_key", key)?;
    let request: Option<&[u8]> = row.try_get("request")?;
    match (key, request) {
        (Some(key), Some(request)) => Ok(Some(Idempotency {
            key,
            request: Fingerprint::from_bytes(bytes32(request)?),
        })),
        (None, None) => Ok(None),
        _ => Err(Fault::Damaged("an idempotency key")),
    }
}

/// A stored key of a payer.
pub(super) fn key(text: &str) -> Result<IdempotencyKey, Fault> {
    let key = IdempotencyKey::from_header(text.as_bytes());
    key.map_err(|_| Fault::Damaged("an idempotency key"))
}

fn answer(row: &Row) -> Result<Option<Answer>, Fault> {
    let Some(status) = row.try_get::<_, Option<i16>>("status")? else {
        return Ok(None);
    };
    let headers = headers_of(row.try_get("headers")?);
    Ok(Some(Answer {
        status: u16::try_from(status).map_err(|_| Fault::Damaged("a status"))?,
        headers: headers.ok_or(Fault::Damaged("the headers of an answer"))?,
        body: row.try_get("body")?,
    }))
}

/// The four sums, from a row that has them as texts.
pub(super) fn balance(row: &Row) -> Result<Balance, Fault> {
    let sum = |column: &str| money(row.try_get(column)?);
    Ok(Balance {
        asset: asset(row.try_get("asset")?)?,
        debits_pending: sum("debits_pending")?,
        debits_posted: sum("debits_posted")?,
        credits_pending: sum("credits_pending")?,
        credits_posted: sum("credits_posted")?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_one_that_the_database_takes(text in "[a\\\\0\0é]{0,12}") {
            let stored = escaped(&text);
            prop_assert!(!stored.contains('\0'));
            prop_assert_eq!(&*unescaped(&stored).unwrap(), text.as_str());
        }
    }

    #[test]
    fn what_nobody_wrote_is_damage() {
        for text in ["\\", "a\\b", "\\\\\\"] {
            assert!(unescaped(text).is_err(), "{text}");
        }
    }
}
