//! Who may call the credit service: used nonces, sessions, keys of administrators.

use faregate_core::port::access::{
    ADMIN_KEYS_MAX, AccessLimits, AccessStore, AdminKey, AdminKeyId, AdminScopes, Rotated,
    Rotation, SecretHash, SignIn,
};
use faregate_ledger::StoreError;
use faregate_types::{Address, Timestamp};
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::codec;
use super::fault::Fault;
use super::ledger::SqliteLedger;
use super::limits::PAGE_ROWS;

impl AccessStore for SqliteLedger {
    fn sign_in(
        &self,
        sign_in: SignIn,
        limits: AccessLimits,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.engine.write(move |conn| begin(conn, &sign_in, limits)))
    }

    fn rotate(&self, rotation: Rotation) -> BoxFuture<'_, Result<Rotated, StoreError>> {
        Box::pin(self.engine.write(move |conn| rotate(conn, &rotation)))
    }

    fn sign_out(&self, family: SecretHash) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.engine.write(move |conn| end(conn, family)))
    }

    fn purge_access(&self, now: Timestamp, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(self.engine.write(move |conn| purge(conn, now, limit)))
    }

    fn add_admin_key(&self, key: AdminKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.engine.write(move |conn| add(conn, &key, false)))
    }

    fn set_bootstrap_key(
        &self,
        key: Option<AdminKey>,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(
            self.engine
                .write(move |conn| set_bootstrap(conn, key.as_ref(), at)),
        )
    }

    fn admin_keys(&self) -> BoxFuture<'_, Result<Vec<AdminKey>, StoreError>> {
        Box::pin(self.engine.read(keys))
    }

    fn admin_key(&self, id: AdminKeyId) -> BoxFuture<'_, Result<Option<AdminKey>, StoreError>> {
        Box::pin(self.engine.read(move |conn| key(conn, id)))
    }

    fn revoke_admin_key(
        &self,
        id: AdminKeyId,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<AdminKey>, StoreError>> {
        Box::pin(self.engine.write(move |conn| {
            conn.prepare_cached(
                "UPDATE admin_key SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL",
            )?
            .execute(params![id, codec::secs(at)])?;
            key(conn, id)
        }))
    }
}

fn begin(conn: &Connection, sign_in: &SignIn, limits: AccessLimits) -> Result<bool, Fault> {
    let now = codec::secs(sign_in.at);
    conn.prepare_cached("DELETE FROM used_nonce WHERE until <= ?1")?
        .execute([now])?;
    if count(conn, "SELECT count(*) FROM used_nonce")? >= i64::from(limits.nonces) {
        return Err(StoreError::Unavailable.into());
    }
    let new = conn
        .prepare_cached(
            "INSERT INTO used_nonce (nonce, until) VALUES (?1, ?2) ON CONFLICT (nonce) DO NOTHING",
        )?
        .execute(params![
            sign_in.nonce.as_bytes(),
            codec::secs(sign_in.nonce_until)
        ])?;
    if new == 0 {
        return Ok(false);
    }
    let address = sign_in.address.as_slice();
    conn.prepare_cached(
        "DELETE FROM session WHERE seq IN (SELECT seq FROM session WHERE address = ?1 \
         ORDER BY changed_at DESC, seq DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute(params![
        address,
        limits.sessions_per_address.saturating_sub(1)
    ])?;
    let sessions = count(conn, "SELECT count(*) FROM session")?;
    let over = sessions
        .saturating_add(1)
        .saturating_sub(i64::from(limits.sessions));
    if over > 0 {
        conn.prepare_cached(
            "DELETE FROM session WHERE seq IN (SELECT seq FROM session ORDER BY changed_at, seq LIMIT ?1)",
        )?
        .execute([over])?;
    }
    conn.prepare_cached(
        "INSERT INTO session (family, token, address, changed_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        sign_in.family.as_bytes(),
        sign_in.token.as_bytes(),
        address,
        now,
        codec::secs(sign_in.expires_at)
    ])?;
    Ok(true)
}

fn rotate(conn: &Connection, rotation: &Rotation) -> Result<Rotated, Fault> {
    let found = conn
        .prepare_cached("SELECT token, address, expires_at FROM session WHERE family = ?1")?
        .query_row([rotation.family.as_bytes()], |row| {
            Ok((
                row.get::<_, [u8; 32]>(0)?,
                row.get::<_, [u8; 20]>(1)?,
                row.get::<_, i64>(2)?,
            ))
        })
        .optional()?;
    let Some((token, address, expires_at)) = found else {
        return Ok(Rotated::Unknown);
    };
    let rotated = Rotated::of(
        rotation,
        Address::from(address),
        SecretHash::from_bytes(token),
        codec::time(expires_at),
    );
    if matches!(rotated, Rotated::Now { .. }) {
        conn.prepare_cached(
            "UPDATE session SET token = ?2, changed_at = ?3, expires_at = ?4 WHERE family = ?1",
        )?
        .execute(params![
            rotation.family.as_bytes(),
            rotation.next.as_bytes(),
            codec::secs(rotation.at),
            codec::secs(rotation.expires_at)
        ])?;
    } else {
        end(conn, rotation.family)?;
    }
    Ok(rotated)
}

fn end(conn: &Connection, family: SecretHash) -> Result<bool, Fault> {
    let ended = conn
        .prepare_cached("DELETE FROM session WHERE family = ?1")?
        .execute([family.as_bytes()])?;
    Ok(ended > 0)
}

fn purge(conn: &Connection, now: Timestamp, limit: u32) -> Result<u32, Fault> {
    let (now, limit) = (codec::secs(now), limit.min(PAGE_ROWS));
    let nonces = conn
        .prepare_cached(
            "DELETE FROM used_nonce WHERE nonce IN (SELECT nonce FROM used_nonce WHERE until <= ?1 LIMIT ?2)",
        )?
        .execute(params![now, limit])?;
    let sessions = conn
        .prepare_cached(
            "DELETE FROM session WHERE seq IN (SELECT seq FROM session WHERE expires_at <= ?1 LIMIT ?2)",
        )?
        .execute(params![now, limit])?;
    Ok(u32::try_from(nonces.saturating_add(sessions)).unwrap_or(u32::MAX))
}

fn add(conn: &Connection, key: &AdminKey, bootstrap: bool) -> Result<bool, Fault> {
    if count(conn, "SELECT count(*) FROM admin_key")? >= i64::from(ADMIN_KEYS_MAX) {
        let freed = conn
            .prepare_cached(
                "DELETE FROM admin_key WHERE seq = (SELECT seq FROM admin_key WHERE revoked_at IS NOT NULL \
                 ORDER BY revoked_at, seq LIMIT 1)",
            )?
            .execute([])?;
        if freed == 0 {
            return Ok(false);
        }
    }
    conn.prepare_cached(
        "INSERT INTO admin_key (id, name, scopes, secret, bootstrap, created_at, revoked_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        key.id,
        key.name,
        key.scopes.bits(),
        key.secret.as_bytes(),
        bootstrap,
        codec::secs(key.created_at),
        key.revoked_at.map(codec::secs)
    ])?;
    Ok(true)
}

fn set_bootstrap(conn: &Connection, key: Option<&AdminKey>, at: Timestamp) -> Result<(), Fault> {
    let id = key.map(|key| key.id.as_slice());
    conn.prepare_cached(
        "UPDATE admin_key SET revoked_at = ?2 WHERE bootstrap = 1 AND id IS NOT ?1 AND revoked_at IS NULL",
    )?
    .execute(params![id, codec::secs(at)])?;
    let Some(key) = key else { return Ok(()) };
    let there = conn
        .prepare_cached("UPDATE admin_key SET revoked_at = NULL WHERE id = ?1")?
        .execute([key.id])?;
    if there == 0 && !add(conn, key, true)? {
        return Err(StoreError::Unavailable.into());
    }
    Ok(())
}

const COLUMNS: &str = "id, name, scopes, secret, created_at, revoked_at";

fn keys(conn: &Connection) -> Result<Vec<AdminKey>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM admin_key ORDER BY seq DESC");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(read(row)?);
    }
    Ok(keys)
}

fn key(conn: &Connection, id: AdminKeyId) -> Result<Option<AdminKey>, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM admin_key WHERE id = ?1");
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([id])?;
    rows.next()?.map(read).transpose()
}

fn read(row: &Row<'_>) -> Result<AdminKey, Fault> {
    let scopes = AdminScopes::from_bits(row.get(2)?);
    Ok(AdminKey {
        id: row.get(0)?,
        name: row.get::<_, String>(1)?.into(),
        scopes: scopes.ok_or(Fault::Damaged("the scopes of a key"))?,
        secret: SecretHash::from_bytes(row.get(3)?),
        created_at: codec::time(row.get(4)?),
        revoked_at: row.get::<_, Option<i64>>(5)?.map(codec::time),
    })
}

fn count(conn: &Connection, sql: &'static str) -> Result<i64, Fault> {
    Ok(conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}
