//! Payments: what the writer and the readers do for [`LedgerStore`](faregate_ledger::LedgerStore). The rules are the
//! ledger crate's; here they meet rows.

use alloy_primitives::U256;
use faregate_ledger::{
    AccountId, Claim, Claimed, Effect, EventKind, EventKinds, Payment, PaymentState, Step,
    StoreError,
};
use faregate_types::{IdempotencyKey, PaymentId, Timestamp};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Params, params};

use super::answers;
use super::books::{self, End};
use super::codec::{self, LISTED_COLUMNS, PAYMENT_COLUMNS};
use super::events;
use super::fault::Fault;
use super::limits;

const PAYMENT_TABLES: &str =
    "payment p JOIN transfer t ON t.seq = p.transfer LEFT JOIN answer a ON a.payment = p.id";

/// Makes a payment usable once and reserves its transfer.
pub(super) fn claim(conn: &Connection, claim: Claim) -> Result<Claimed, Fault> {
    let released = match find(conn, &claim.id)? {
        Some((known, _)) if known.state == PaymentState::Released => Some(known.claim),
        Some((known, _)) => {
            return known
                .verdict(&claim.fingerprint)
                .ok_or(Fault::Damaged("a payment without a verdict"));
        }
        None => None,
    };
    if let Some(refused) = keyed(conn, &claim)? {
        return Ok(refused);
    }
    if let Some(reserved) = overdraws(conn, &claim)? {
        return Ok(Claimed::Overdrawn { reserved });
    }
    if is_too_much(conn, &claim)? {
        return Ok(Claimed::Exposed);
    }
    let transfer = books::reserve(conn, &claim.id, &claim.transfer, claim.at)?;
    if let Some(released) = released {
        forget(conn, &released)?;
    }
    let payment = Payment::reserved(claim);
    insert(conn, &payment, transfer)?;
    name(conn, &payment.claim)?;
    if payment.is_exposed() {
        books::expose(conn, &payment.claim.transfer, true)?;
    }
    Ok(Claimed::Won)
}

/// What the payer's key says against this claim.
fn keyed(conn: &Connection, claim: &Claim) -> Result<Option<Claimed>, Fault> {
    let Some(own) = &claim.idempotency else {
        return Ok(None);
    };
    let first = named(conn, &claim.transfer.debit, &own.key)?;
    // That it stands for the same payment says nothing: it was released.
    let first = first.filter(|first| first.claim.id != claim.id);
    Ok(first.and_then(|first| first.keyed(&own.request)))
}

/// The payment that a payer's key stands for.
pub(super) fn named(
    conn: &Connection,
    payer: &AccountId,
    key: &IdempotencyKey,
) -> Result<Option<Payment>, Fault> {
    let id: Option<[u8; 32]> = conn
        .prepare_cached("SELECT payment FROM idempotency WHERE account = ?1 AND key = ?2")?
        .query_row(params![payer.as_str(), key.as_str()], |row| row.get(0))
        .optional()?;
    let Some(id) = id else {
        return Ok(None);
    };
    let found = find(conn, &codec::id(id))?;
    let (payment, _) = found.ok_or(Fault::Damaged("a key of no payment"))?;
    Ok(Some(payment))
}

/// Makes the payer's key stand for this payment.
fn name(conn: &Connection, claim: &Claim) -> Result<(), Fault> {
    if let Some(named) = &claim.idempotency {
        conn.prepare_cached(
            "INSERT INTO idempotency (account, key, payment) VALUES (?1, ?2, ?3) \
             ON CONFLICT (account, key) DO UPDATE SET payment = excluded.payment",
        )?
        .execute(params![
            claim.transfer.debit.as_str(),
            named.key.as_str(),
            claim.id.as_bytes()
        ])?;
    }
    Ok(())
}

/// What was released has no key any more.
fn forget(conn: &Connection, claim: &Claim) -> Result<(), Fault> {
    if let Some(named) = &claim.idempotency {
        conn.prepare_cached(
            "DELETE FROM idempotency WHERE account = ?1 AND key = ?2 AND payment = ?3",
        )?
        .execute(params![
            claim.transfer.debit.as_str(),
            named.key.as_str(),
            claim.id.as_bytes()
        ])?;
    }
    Ok(())
}

/// What else is reserved of this payer, when it is too much beside this.
fn overdraws(conn: &Connection, claim: &Claim) -> Result<Option<U256>, Fault> {
    // What nobody limits is not asked.
    if claim.funds.is_none() {
        return Ok(None);
    }
    let (payer, asset) = (&claim.transfer.debit, claim.transfer.amount.asset());
    let reserved = books::balance(conn, payer, asset)?.debits_pending;
    Ok(claim.is_uncovered(reserved).then_some(reserved))
}

/// True when serving this first would leave more of the payer unpaid than it may.
fn is_too_much(conn: &Connection, claim: &Claim) -> Result<bool, Fault> {
    // What nobody limits is not asked.
    if claim.exposure_max.is_none() {
        return Ok(false);
    }
    let (payer, asset) = (&claim.transfer.debit, claim.transfer.amount.asset());
    Ok(claim.is_too_much(books::exposure(conn, payer, asset)?))
}

/// Applies a step and moves the money. `told` is what is put into the outbox.
pub(super) fn advance(
    conn: &Connection,
    id: PaymentId,
    step: Step,
    at: Timestamp,
    told: EventKinds,
) -> Result<(Payment, Effect), Fault> {
    let (mut payment, mut seq) = find(conn, &id)?.ok_or(StoreError::NotFound)?;
    let (was_exposed, undone) = (payment.is_exposed(), payment.transaction.clone());
    let effect = payment.apply(step, at)?;
    let transfer = &payment.claim.transfer;
    match effect {
        Effect::Repeated => return Ok((payment, effect)),
        Effect::Noted => {}
        Effect::Post => books::finish(conn, seq, transfer, End::Posted, at)?,
        Effect::Void => books::finish(conn, seq, transfer, End::Voided, at)?,
        Effect::Keep => keep(conn, &payment, at)?,
        Effect::Sell => {
            books::finish(conn, seq, transfer, End::Posted, at)?;
            keep(conn, &payment, at)?;
        }
        Effect::Unpost => {
            books::reverse(conn, seq, transfer, undone.as_deref(), at)?;
            seq = books::reserve(conn, &id, transfer, at)?;
        }
    }
    if payment.is_exposed() != was_exposed {
        books::expose(conn, transfer, payment.is_exposed())?;
    }
    update(conn, &payment, seq)?;
    for kind in EventKind::of(effect, &payment) {
        if told.has(*kind) {
            events::put(conn, *kind, &payment, at)?;
        }
    }
    Ok((payment, effect))
}

fn keep(conn: &Connection, payment: &Payment, at: Timestamp) -> Result<(), Fault> {
    match &payment.answer {
        Some(answer) => answers::keep(conn, &payment.claim.id, answer, at),
        None => Ok(()),
    }
}

/// The payment and the number of its transfer.
pub(super) fn find(conn: &Connection, id: &PaymentId) -> Result<Option<(Payment, i64)>, Fault> {
    find_statement(conn)?
        .query_row([id.as_bytes()], |row| Ok(codec::payment(row)))
        .optional()?
        .transpose()
}

fn find_statement(conn: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
    conn.prepare_cached(&format!(
        "SELECT {PAYMENT_COLUMNS} FROM {PAYMENT_TABLES} WHERE p.id = ?1"
    ))
}

/// Payments whose end is not known, oldest change first.
pub(super) fn open(conn: &Connection, limit: u32) -> Result<Vec<Payment>, Fault> {
    list(
        conn,
        &format!(
            "SELECT {LISTED_COLUMNS} FROM {PAYMENT_TABLES} WHERE p.state IN ('reserved', 'broadcast') \
             ORDER BY p.changed_at, p.transfer LIMIT ?1"
        ),
        [limit.min(limits::PAGE_ROWS)],
    )
}

/// Settled payments that are not final, oldest change first.
pub(super) fn unfinal(conn: &Connection, limit: u32) -> Result<Vec<Payment>, Fault> {
    list(
        conn,
        &format!(
            "SELECT {LISTED_COLUMNS} FROM {PAYMENT_TABLES} WHERE p.state = 'settled' AND p.final_at IS NULL \
             ORDER BY p.changed_at, p.transfer LIMIT ?1"
        ),
        [limit.min(limits::PAGE_ROWS)],
    )
}

/// The newest payments, newest first.
pub(super) fn recent(conn: &Connection, limit: u32) -> Result<Vec<Payment>, Fault> {
    list(
        conn,
        &format!(
            "SELECT {LISTED_COLUMNS} FROM {PAYMENT_TABLES} ORDER BY p.claimed_at DESC, p.transfer DESC LIMIT ?1"
        ),
        [limit.min(limits::PAGE_ROWS)],
    )
}

fn list(conn: &Connection, sql: &str, params: impl Params) -> Result<Vec<Payment>, Fault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut payments = Vec::new();
    while let Some(row) = rows.next()? {
        payments.push(codec::payment(row)?.0);
    }
    Ok(payments)
}

/// Writes a claimed payment; a released one with the same id becomes this one.
fn insert(conn: &Connection, payment: &Payment, transfer: i64) -> Result<(), Fault> {
    let claim = &payment.claim;
    conn.prepare_cached(
        "INSERT INTO payment (id, rail, fingerprint, state, transfer, route, evidence, claimed_at, changed_at, \
         exposure_max, idempotency_key, request) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
         ON CONFLICT (id) DO UPDATE SET \
         rail = excluded.rail, fingerprint = excluded.fingerprint, state = excluded.state, \
         transfer = excluded.transfer, route = excluded.route, evidence = excluded.evidence, \
         transaction_ref = NULL, failure = NULL, exposure_max = excluded.exposure_max, \
         idempotency_key = excluded.idempotency_key, request = excluded.request, \
         claimed_at = excluded.claimed_at, changed_at = excluded.changed_at",
    )?
    .execute(params![
        claim.id.as_bytes(),
        claim.rail.as_str(),
        claim.fingerprint.as_bytes(),
        payment.state.as_str(),
        transfer,
        claim.route,
        claim.evidence,
        codec::secs(claim.at),
        codec::secs(payment.changed_at),
        claim.exposure_max.map(|max| max.to_string()),
        claim.idempotency.as_ref().map(|named| named.key.as_str()),
        claim
            .idempotency
            .as_ref()
            .map(|named| named.request.as_bytes()),
    ])?;
    Ok(())
}

/// Writes what a step may change.
fn update(conn: &Connection, payment: &Payment, transfer: i64) -> Result<(), Fault> {
    conn.prepare_cached(
        "UPDATE payment SET state = ?2, transaction_ref = ?3, failure = ?4, changed_at = ?5, final_at = ?6, \
         transfer = ?7 WHERE id = ?1",
    )?
    .execute(params![
        payment.claim.id.as_bytes(),
        payment.state.as_str(),
        payment.transaction,
        payment.failure.map(|code| code.as_str()),
        codec::secs(payment.changed_at),
        payment.final_at.map(codec::secs),
        transfer,
    ])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use faregate_types::{Address, B256, ChainId};
    use rusqlite::StatementStatus;

    use super::*;
    use crate::sqlite::connection::{Place, open_writer};
    use crate::sqlite::schema::LEDGER;

    #[test]
    fn a_statement_is_compiled_once_whatever_is_bound() {
        let conn = open_writer(&Place::Memory, &LEDGER).unwrap();
        for byte in 0..10_u8 {
            let (token, payer) = (Address::repeat_byte(byte), Address::ZERO);
            let id = PaymentId::eip3009(ChainId::BASE_SEPOLIA, token, payer, B256::ZERO);
            assert_eq!(find(&conn, &id).unwrap(), None);
        }
        let statement = find_statement(&conn).unwrap();
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
