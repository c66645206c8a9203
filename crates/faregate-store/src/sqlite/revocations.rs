//! The list of revoked tokens.

use faregate_ledger::{Revocation, RevocationStore, RevokedName, StoreError};
use faregate_types::Timestamp;
use futures_util::future::BoxFuture;
use rusqlite::{Connection, params};

use super::codec;
use super::fault::Fault;
use super::ledger::SqliteLedger;

impl RevocationStore for SqliteLedger {
    fn revoke(&self, revocation: Revocation) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.engine.write(move |conn| put(conn, &revocation)))
    }

    fn revocations(&self) -> BoxFuture<'_, Result<Vec<Revocation>, StoreError>> {
        Box::pin(self.engine.read(list))
    }
}

fn put(conn: &Connection, revocation: &Revocation) -> Result<bool, Fault> {
    let rows = conn
        .prepare_cached(
            "INSERT INTO revocation (name, revoked_at) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        )?
        .execute(params![
            revocation.name.as_bytes(),
            codec::secs(revocation.at)
        ])?;
    Ok(rows == 1)
}

fn list(conn: &Connection) -> Result<Vec<Revocation>, Fault> {
    let mut statement =
        conn.prepare_cached("SELECT name, revoked_at FROM revocation ORDER BY seq")?;
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, i64>(1)?))
    })?;
    let entry = |row: Result<([u8; 32], i64), rusqlite::Error>| {
        let (name, at) = row?;
        let at = u64::try_from(at).map_err(|_| Fault::Damaged("a time before 1970"))?;
        Ok(Revocation {
            name: RevokedName::from_bytes(name),
            at: Timestamp::from_secs(at),
        })
    };
    rows.map(entry).collect()
}
