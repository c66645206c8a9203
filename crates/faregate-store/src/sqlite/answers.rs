//! Kept answers: written once, given back byte for byte, dropped when they are old or too many.

use faregate_ledger::Answer;
use faregate_types::{PaymentId, Timestamp};
use rusqlite::{Connection, params};

use super::codec;
use super::fault::Fault;
use super::limits;

/// Keeps an answer for copies of the request.
pub(super) fn keep(
    conn: &Connection,
    id: &PaymentId,
    answer: &Answer,
    at: Timestamp,
) -> Result<(), Fault> {
    let headers = codec::headers_to_bytes(&answer.headers)
        .ok_or(Fault::Damaged("headers above four gigabytes"))?;
    conn.prepare_cached(
        "INSERT INTO answer (payment, status, headers, body, kept_at, bytes) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        id.as_bytes(),
        answer.status,
        headers,
        answer.body,
        codec::secs(at),
        i64::try_from(answer.kept_bytes()).unwrap_or(i64::MAX),
    ])?;
    Ok(())
}

/// Drops headers and bodies, oldest first: what was kept before `before`, and more until `bytes_max` is kept to.
pub(super) fn prune(
    conn: &Connection,
    before: Timestamp,
    bytes_max: u64,
    limit: u32,
) -> Result<u32, Fault> {
    let kept: i64 = conn
        .prepare_cached("SELECT coalesce(sum(bytes), 0) FROM answer WHERE kept_at IS NOT NULL")?
        .query_row([], |row| row.get(0))?;
    let mut kept = kept.cast_unsigned();
    let mut old: Vec<[u8; 32]> = Vec::new();
    let mut statement = conn.prepare_cached(
        "SELECT a.payment, a.bytes, a.kept_at FROM answer a JOIN payment p ON p.id = a.payment \
         WHERE a.kept_at IS NOT NULL AND p.state IN ('settled', 'failed') \
         ORDER BY a.kept_at, a.bytes, a.rowid LIMIT ?1",
    )?;
    let mut rows = statement.query([limit.min(limits::PAGE_ROWS)])?;
    while let Some(row) = rows.next()? {
        if kept <= bytes_max && codec::time(row.get(2)?) >= before {
            break;
        }
        kept = kept.saturating_sub(row.get::<_, i64>(1)?.cast_unsigned());
        old.push(row.get(0)?);
    }
    let mut dropping = conn.prepare_cached(
        "UPDATE answer SET headers = x'', body = NULL, bytes = 0, kept_at = NULL WHERE payment = ?1",
    )?;
    for id in &old {
        dropping.execute([id])?;
    }
    Ok(u32::try_from(old.len()).unwrap_or(u32::MAX))
}
