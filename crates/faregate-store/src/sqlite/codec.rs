//! Rows to domain types and back. Every reader is total: what cannot be read is [`Fault::Damaged`], never a default.

use alloy_primitives::U256;
use faregate_ledger::{
    AccountId, Answer, Balance, Claim, Idempotency, Payment, PaymentState, Spend, SpendRecord,
    SpendState, Transfer, Unit, Worth,
};
use faregate_types::{
    Amount, AssetId, Code, Fingerprint, IdempotencyKey, PaymentId, RailName, parse_atomic,
};
use rusqlite::Row;

use super::fault::Fault;
pub(super) use crate::words::{headers_of, headers_to_bytes, secs, time};

/// A stored sum of money.
pub(super) fn money(text: &str) -> Result<U256, Fault> {
    parse_atomic(text).map_err(|_| Fault::Damaged("a sum of money"))
}

/// A stored asset.
pub(super) fn asset(text: &str) -> Result<AssetId, Fault> {
    text.parse().map_err(|_| Fault::Damaged("an asset"))
}

/// What a stored sum is counted in.
pub(super) fn unit(text: &str) -> Result<Unit, Fault> {
    Unit::parse(text).ok_or(Fault::Damaged("a unit"))
}

/// A stored account.
pub(super) fn account(text: &str) -> Result<AccountId, Fault> {
    AccountId::parse(text).map_err(|_| Fault::Damaged("an account"))
}

/// Stored 32 bytes.
pub(super) fn id(bytes: [u8; 32]) -> PaymentId {
    PaymentId::from_bytes(bytes)
}

fn code(text: Option<String>) -> Result<Option<Code>, Fault> {
    text.map(|text| Code::from_str(&text).ok_or(Fault::Damaged("a code")))
        .transpose()
}

fn boxed(text: Option<String>) -> Option<Box<str>> {
    text.map(String::into_boxed_str)
}

/// The columns that [`payment`] reads, from `payment p`, `transfer t` and `answer a`.
pub(super) const PAYMENT_COLUMNS: &str = "p.id, p.rail, p.fingerprint, p.state, p.route, p.evidence, p.transaction_ref, \
     p.failure, p.claimed_at, p.changed_at, p.final_at, p.exposure_max, p.idempotency_key, p.request, p.transfer, \
     t.debit, t.credit, t.asset, t.amount, a.status, a.headers, a.body";

/// The same, with nothing of an answer but its status: a list of payments must not hold all they were answered with.
pub(super) const LISTED_COLUMNS: &str = "p.id, p.rail, p.fingerprint, p.state, p.route, p.evidence, p.transaction_ref, \
     p.failure, p.claimed_at, p.changed_at, p.final_at, p.exposure_max, p.idempotency_key, p.request, p.transfer, \
     t.debit, t.credit, t.asset, t.amount, a.status, x'' AS headers, NULL AS body";

/// A payment and the number of its transfer, from a row of [`PAYMENT_COLUMNS`].
pub(super) fn payment(row: &Row<'_>) -> Result<(Payment, i64), Fault> {
    let text = |column: &str| row.get::<_, String>(column);
    let transfer = Transfer {
        debit: account(&text("debit")?)?,
        credit: account(&text("credit")?)?,
        amount: Amount::new(money(&text("amount")?)?, asset(&text("asset")?)?),
    };
    let claim = Claim {
        id: id(row.get("id")?),
        rail: RailName::parse(&text("rail")?).ok_or(Fault::Damaged("a rail"))?,
        fingerprint: Fingerprint::from_bytes(row.get("fingerprint")?),
        transfer,
        route: text("route")?.into(),
        evidence: row.get("evidence")?,
        at: time(row.get("claimed_at")?),
        exposure_max: row
            .get::<_, Option<String>>("exposure_max")?
            .map(|text| money(&text))
            .transpose()?,
        funds: None,
        idempotency: idempotency(row)?,
    };
    let payment = Payment {
        claim,
        state: PaymentState::parse(&text("state")?).ok_or(Fault::Damaged("a state"))?,
        transaction: boxed(row.get("transaction_ref")?),
        failure: code(row.get("failure")?)?,
        answer: answer(row)?,
        final_at: row.get::<_, Option<i64>>("final_at")?.map(time),
        changed_at: time(row.get("changed_at")?),
    };
    Ok((payment, row.get("transfer")?))
}

fn idempotency(row: &Row<'_>) -> Result<Option<Idempotency>, Fault> {
    let key: Option<String> = row.get("idempotency_key")?;
    let request: Option<[u8; 32]> = row.get("request")?;
    match (key, request) {
        (Some(key), Some(request)) => Ok(Some(Idempotency {
            key: IdempotencyKey::from_header(key.as_bytes())
                .map_err(|_| Fault::Damaged("an idempotency key"))?,
            request: Fingerprint::from_bytes(request),
        })),
        (None, None) => Ok(None),
        _ => Err(Fault::Damaged("an idempotency key")),
    }
}

fn answer(row: &Row<'_>) -> Result<Option<Answer>, Fault> {
    let Some(status) = row.get::<_, Option<u16>>("status")? else {
        return Ok(None);
    };
    let headers: Vec<u8> = row.get("headers")?;
    let headers = headers_of(&headers).ok_or(Fault::Damaged("the headers of an answer"))?;
    Ok(Some(Answer {
        status,
        headers,
        body: row.get("body")?,
    }))
}

/// The columns that [`balance`] reads.
pub(super) const BALANCE_COLUMNS: &str =
    "asset, debits_pending, debits_posted, credits_pending, credits_posted";

/// The four sums, from a row of [`BALANCE_COLUMNS`].
pub(super) fn balance(row: &Row<'_>) -> Result<Balance, Fault> {
    let sum = |column: &str| money(&row.get::<_, String>(column)?);
    Ok(Balance {
        asset: asset(&row.get::<_, String>("asset")?)?,
        debits_pending: sum("debits_pending")?,
        debits_posted: sum("debits_posted")?,
        credits_pending: sum("credits_pending")?,
        credits_posted: sum("credits_posted")?,
    })
}

/// The columns that [`spend`] reads, beside `request`.
pub(super) const SPEND_COLUMNS: &str = "id, origin, resource, path, payee, asset, amount, worth, signed_at, valid_until, credential, state, transaction_ref, payer";

/// A spend, from a row of [`SPEND_COLUMNS`] and `request`.
pub(super) fn spend(row: &Row<'_>) -> Result<SpendRecord, Fault> {
    let text = |column: &str| row.get::<_, String>(column);
    let spend = Spend {
        id: id(row.get("id")?),
        origin: text("origin")?.into(),
        resource: text("resource")?.into(),
        path: text("path")?.into(),
        payee: text("payee")?.into(),
        payer: text("payer")?.into(),
        amount: Amount::new(money(&text("amount")?)?, asset(&text("asset")?)?),
        worth: Worth::new(money(&text("worth")?)?),
        at: time(row.get("signed_at")?),
        valid_until: time(row.get("valid_until")?),
        credential: row.get("credential")?,
        request: row.get("request")?,
    };
    Ok(SpendRecord {
        spend,
        state: SpendState::parse(&text("state")?).ok_or(Fault::Damaged("a state"))?,
        transaction: boxed(row.get("transaction_ref")?),
    })
}
