//! Tokens of a payer: what the writer and the readers do for [`WalletStore`](faregate_ledger::WalletStore).

use faregate_ledger::KeptToken;
use faregate_ledger::token::{TOKENS_KEPT_MAX, TOKENS_TOLD_MAX};
use faregate_types::{PaymentId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::codec;
use super::fault::Fault;
use super::limits;

const COLUMNS: &str = "payment, origin, method, path, bought_at, ends_at, uses_left";

/// Keeps a token.
pub(super) fn keep(conn: &Connection, token: &KeptToken) -> Result<(), Fault> {
    if !token.is_orderable() {
        return Err(Fault::Damaged("a token at the end of time"));
    }
    conn.prepare_cached("DELETE FROM token WHERE ends_at <= ?1")?
        .execute([codec::secs(token.at)])?;
    put(conn, token)?;
    conn.prepare_cached(
        "DELETE FROM token WHERE payment IN (SELECT payment FROM token ORDER BY ends_at, payment \
         LIMIT max(0, (SELECT count(*) FROM token) - ?1))",
    )?
    .execute([TOKENS_KEPT_MAX])?;
    Ok(())
}

fn put(conn: &Connection, token: &KeptToken) -> Result<(), Fault> {
    if token.uses_left == Some(0) {
        return forget(conn, &token.payment);
    }
    conn.prepare_cached(
        "INSERT OR REPLACE INTO token (payment, origin, method, path, bought_at, ends_at, uses_left, credential) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        token.payment.as_bytes(),
        token.origin,
        token.method,
        token.path,
        codec::secs(token.at),
        codec::secs(token.until),
        token.uses_left,
        token.credential,
    ])?;
    Ok(())
}

/// Tokens for a method at an origin, newest first.
pub(super) fn at(
    conn: &Connection,
    origin: &str,
    method: &str,
    now: Timestamp,
) -> Result<Vec<KeptToken>, Fault> {
    let Ok(now) = i64::try_from(now.as_secs()) else {
        return Ok(Vec::new());
    };
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, credential FROM token WHERE origin = ?1 AND method = ?2 AND ends_at > ?3 \
         ORDER BY bought_at DESC, payment DESC LIMIT ?4"
    ))?;
    let mut rows = statement.query(params![origin, method, now, TOKENS_TOLD_MAX])?;
    let mut tokens = Vec::new();
    while let Some(row) = rows.next()? {
        tokens.push(token(row)?);
    }
    Ok(tokens)
}

/// All tokens, newest first, without their credentials.
pub(super) fn all(conn: &Connection, limit: u32) -> Result<Vec<KeptToken>, Fault> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS}, x'' AS credential FROM token ORDER BY bought_at DESC, payment DESC LIMIT ?1"
    ))?;
    let mut rows = statement.query([limit.min(limits::PAGE_ROWS)])?;
    let mut tokens = Vec::new();
    while let Some(row) = rows.next()? {
        tokens.push(token(row)?);
    }
    Ok(tokens)
}

/// One more request was made with it.
pub(super) fn used(conn: &Connection, payment: &PaymentId) -> Result<(), Fault> {
    let known = conn
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, credential FROM token WHERE payment = ?1"
        ))?
        .query_row([payment.as_bytes()], |row| Ok(token(row)))
        .optional()?
        .transpose()?;
    match known.map(KeptToken::used) {
        Some(Some(left)) => put(conn, &left),
        Some(None) => forget(conn, payment),
        None => Ok(()),
    }
}

/// Drops a token.
pub(super) fn forget(conn: &Connection, payment: &PaymentId) -> Result<(), Fault> {
    conn.prepare_cached("DELETE FROM token WHERE payment = ?1")?
        .execute([payment.as_bytes()])?;
    Ok(())
}

fn token(row: &Row<'_>) -> Result<KeptToken, Fault> {
    let text = |column: &str| row.get::<_, String>(column);
    Ok(KeptToken {
        payment: codec::id(row.get("payment")?),
        origin: text("origin")?.into(),
        method: text("method")?.into(),
        path: text("path")?.into(),
        at: codec::time(row.get("bought_at")?),
        until: codec::time(row.get("ends_at")?),
        uses_left: row.get("uses_left")?,
        credential: row.get("credential")?,
    })
}
