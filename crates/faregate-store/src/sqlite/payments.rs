//! Payments: what the writer and the readers do for [`LedgerStore`](faregate_ledger::LedgerStore). The rules are the
//! ledger crate's; here they meet rows.

use faregate_ledger::{Answer, Claim, Claimed, Effect, Payment, Step, StoreError};
use faregate_types::{PaymentId, Timestamp};
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Params, params};

use super::books::{self, End};
use super::codec::{self, PAYMENT_COLUMNS};
use super::fault::Fault;
use super::limits;

const PAYMENT_TABLES: &str =
    "payment p JOIN transfer t ON t.seq = p.transfer LEFT JOIN answer a ON a.payment = p.id";

/// Makes a payment usable once and reserves its transfer.
pub(super) fn claim(conn: &Connection, claim: Claim) -> Result<Claimed, Fault> {
    if let Some((known, _)) = find(conn, &claim.id)?
        && let Some(verdict) = known.verdict(&claim.fingerprint)
    {
        return Ok(verdict);
    }
    let transfer = books::reserve(conn, &claim.id, &claim.transfer, claim.at)?;
    insert(conn, &Payment::reserved(claim), transfer)?;
    Ok(Claimed::Won)
}

/// Applies a step and moves the money.
pub(super) fn advance(
    conn: &Connection,
    id: PaymentId,
    step: Step,
    at: Timestamp,
) -> Result<Payment, Fault> {
    let (mut payment, transfer) = find(conn, &id)?.ok_or(StoreError::NotFound)?;
    let effect = payment.apply(step, at)?;
    match effect {
        Effect::Repeated => return Ok(payment),
        Effect::Noted => {}
        Effect::Post => books::finish(conn, transfer, &payment.claim.transfer, End::Posted, at)?,
        Effect::Void => books::finish(conn, transfer, &payment.claim.transfer, End::Voided, at)?,
        Effect::Keep => {
            if let Some(answer) = &payment.answer {
                keep(conn, &id, answer)?;
            }
        }
    }
    update(conn, &payment)?;
    Ok(payment)
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
            "SELECT {PAYMENT_COLUMNS} FROM {PAYMENT_TABLES} WHERE p.state IN ('reserved', 'broadcast') \
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
            "SELECT {PAYMENT_COLUMNS} FROM {PAYMENT_TABLES} ORDER BY p.claimed_at DESC, p.transfer DESC LIMIT ?1"
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
        "INSERT INTO payment (id, rail, fingerprint, state, transfer, route, evidence, claimed_at, changed_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
         ON CONFLICT (id) DO UPDATE SET \
         rail = excluded.rail, fingerprint = excluded.fingerprint, state = excluded.state, \
         transfer = excluded.transfer, route = excluded.route, evidence = excluded.evidence, \
         transaction_ref = NULL, failure = NULL, \
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
    ])?;
    Ok(())
}

/// Writes what a step may change.
fn update(conn: &Connection, payment: &Payment) -> Result<(), Fault> {
    conn.prepare_cached(
        "UPDATE payment SET state = ?2, transaction_ref = ?3, failure = ?4, changed_at = ?5 WHERE id = ?1",
    )?
    .execute(params![
        payment.claim.id.as_bytes(),
        payment.state.as_str(),
        payment.transaction,
        payment.failure.map(|code| code.as_str()),
        codec::secs(payment.changed_at),
    ])?;
    Ok(())
}

fn keep(conn: &Connection, id: &PaymentId, answer: &Answer) -> Result<(), Fault> {
    let headers = codec::headers_to_bytes(&answer.headers)
        .ok_or(Fault::Damaged("headers above four gigabytes"))?;
    conn.prepare_cached(
        "INSERT INTO answer (payment, status, headers, body) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![id.as_bytes(), answer.status, headers, answer.body])?;
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
