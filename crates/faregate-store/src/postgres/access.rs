//! Who may call the credit service: used nonces, sessions, keys of administrators.
//!
//! Writes go through a lane of their own, and whoever writes has the turn (a row that is locked first). So whichever process
//! is asked, a nonce is used once, a refresh token that was used up ends its session, and what is counted is not counted twice
//! at once. It is rare beside what the service is there for; many of them share a transaction.

use faregate_core::port::access::{
    ADMIN_KEYS_MAX, AccessLimits, AccessStore, AdminKey, AdminKeyId, AdminScopes, Rotated,
    Rotation, SecretHash, SignIn,
};
use faregate_ledger::StoreError;
use faregate_types::{Address, Timestamp};
use futures_util::future::BoxFuture;
use tokio_postgres::Row;

use super::codec;
use super::fault::Fault;
use super::lane::{Results, Work};
use super::ledger::{PostgresLedger, other};
use super::pool::{Link, Params};
use super::reads::{page, told};
use super::seqs::Seqs;

const TURN: &str = "SELECT name FROM access_turn WHERE name = 'access' FOR UPDATE";

const OLD_NONCES: &str = "DELETE FROM used_nonce WHERE until <= $1";
const NONCES: &str = "SELECT count(*) AS count FROM used_nonce";
const USE_NONCE: &str =
    "INSERT INTO used_nonce (nonce, until) VALUES ($1, $2) ON CONFLICT (nonce) DO NOTHING";
const PURGE_NONCES: &str = "DELETE FROM used_nonce WHERE nonce IN \
     (SELECT nonce FROM used_nonce WHERE until <= $1 LIMIT $2)";

const SESSIONS: &str = "SELECT count(*) AS count FROM session";
const SESSION: &str = "SELECT token, address, expires_at FROM session WHERE family = $1";
const BEGIN: &str = "INSERT INTO session (family, seq, token, address, changed_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6)";
const TURN_TOKEN: &str =
    "UPDATE session SET token = $2, changed_at = $3, expires_at = $4 WHERE family = $1";
const END: &str = "DELETE FROM session WHERE family = $1";
const ROOM_FOR_ADDRESS: &str = "DELETE FROM session WHERE family IN \
     (SELECT family FROM session WHERE address = $1 ORDER BY changed_at DESC, seq DESC OFFSET $2)";
const ROOM: &str = "DELETE FROM session WHERE family IN \
     (SELECT family FROM session ORDER BY changed_at, seq LIMIT $1)";
const PURGE_SESSIONS: &str = "DELETE FROM session WHERE family IN \
     (SELECT family FROM session WHERE expires_at <= $1 LIMIT $2)";

const KEY_COUNT: &str = "SELECT count(*) AS count FROM admin_key";
const KEYS: &str =
    "SELECT id, name, scopes, secret, created_at, revoked_at FROM admin_key ORDER BY seq DESC";
const KEY: &str =
    "SELECT id, name, scopes, secret, created_at, revoked_at FROM admin_key WHERE id = $1";
const ADD_KEY: &str = "INSERT INTO admin_key (id, seq, name, scopes, secret, bootstrap, created_at, revoked_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const ROOM_FOR_KEY: &str = "DELETE FROM admin_key WHERE id IN \
     (SELECT id FROM admin_key WHERE revoked_at IS NOT NULL ORDER BY revoked_at, seq LIMIT 1)";
const REVOKE: &str = "UPDATE admin_key SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
const REVOKE_CONFIGURED: &str = "UPDATE admin_key SET revoked_at = $2 \
     WHERE bootstrap AND id IS DISTINCT FROM $1 AND revoked_at IS NULL";
/// Keys that are good when all of the configuration are revoked.
const STAYING: &str =
    "SELECT count(*) AS count FROM admin_key WHERE revoked_at IS NULL AND NOT bootstrap";
const GOOD_AGAIN: &str = "UPDATE admin_key SET revoked_at = NULL WHERE id = $1";

/// What is asked of the lane.
#[derive(Debug)]
pub(super) enum Job {
    SignIn(SignIn, AccessLimits),
    Rotate(Rotation),
    SignOut(SecretHash),
    Purge(Timestamp, u32),
    AddKey(AdminKey),
    Bootstrap(Option<AdminKey>, Timestamp),
    RevokeKey(AdminKeyId, Timestamp),
}

/// What it answers.
#[derive(Debug)]
pub(super) enum Done {
    Whether(bool),
    Rotated(Rotated),
    Count(u32),
    Key(Option<AdminKey>),
    Nothing,
}

/// The work on who may call.
#[derive(Debug)]
pub(super) struct AccessWork {
    seqs: Seqs,
}

/// How many there are while this batch has the turn. Counted once, then kept.
#[derive(Debug)]
struct Counts {
    nonces: u64,
    sessions: u64,
}

impl AccessWork {
    pub(super) fn new() -> Self {
        Self { seqs: Seqs::new() }
    }

    async fn run_all(&self, link: &Link, jobs: &[Job]) -> Result<Results<Done>, Fault> {
        link.rows(TURN, &[]).await?;
        let mut counts = None;
        let mut results = Vec::with_capacity(jobs.len());
        for job in jobs {
            results.push(match self.run_one(link, job, &mut counts).await {
                Ok(done) => Ok(done),
                // A rule said no, before anything of it was written.
                Err(Fault::Refused(error)) => Err(error),
                Err(fault) => return Err(fault),
            });
        }
        Ok(results)
    }

    async fn run_one(
        &self,
        link: &Link,
        job: &Job,
        counts: &mut Option<Counts>,
    ) -> Result<Done, Fault> {
        Ok(match job {
            Job::SignIn(sign_in, limits) => {
                let counts = match counts {
                    Some(counts) => counts,
                    None => counts.insert(Counts {
                        nonces: count(link, NONCES).await?,
                        sessions: count(link, SESSIONS).await?,
                    }),
                };
                Done::Whether(self.begin(link, sign_in, *limits, counts).await?)
            }
            Job::Rotate(rotation) => {
                let rotated = rotate(link, rotation).await?;
                if !matches!(rotated, Rotated::Now { .. }) {
                    *counts = None;
                }
                Done::Rotated(rotated)
            }
            Job::SignOut(family) => {
                *counts = None;
                Done::Whether(end(link, *family).await? > 0)
            }
            Job::Purge(now, limit) => {
                *counts = None;
                Done::Count(purge(link, *now, *limit).await?)
            }
            Job::AddKey(key) => Done::Whether(self.add(link, key, false).await?),
            Job::Bootstrap(key, at) => {
                self.set_bootstrap(link, key.as_ref(), *at).await?;
                Done::Nothing
            }
            Job::RevokeKey(id, at) => {
                let params: Params<'_> = &[&id.as_slice(), &codec::secs(*at)];
                link.execute(REVOKE, params).await?;
                let rows = link.rows(KEY, &[&id.as_slice()]).await?;
                Done::Key(rows.first().map(key).transpose()?)
            }
        })
    }

    async fn begin(
        &self,
        link: &Link,
        sign_in: &SignIn,
        limits: AccessLimits,
        counts: &mut Counts,
    ) -> Result<bool, Fault> {
        let now = codec::secs(sign_in.at);
        let over = link.execute(OLD_NONCES, &[&now]).await?;
        counts.nonces = counts.nonces.saturating_sub(over);
        if counts.nonces >= u64::from(limits.nonces) {
            return Err(StoreError::Unavailable.into());
        }
        let nonce = sign_in.nonce.as_bytes().as_slice();
        let until = codec::secs(sign_in.nonce_until);
        if link.execute(USE_NONCE, &[&nonce, &until]).await? == 0 {
            return Ok(false);
        }
        counts.nonces = counts.nonces.saturating_add(1);
        let address = sign_in.address.as_slice();
        let others = i64::from(limits.sessions_per_address.saturating_sub(1));
        let ended = link.execute(ROOM_FOR_ADDRESS, &[&address, &others]).await?;
        counts.sessions = counts.sessions.saturating_sub(ended);
        let over = counts.sessions.saturating_add(1);
        let over = over.saturating_sub(u64::from(limits.sessions));
        if over > 0 {
            let most = i64::try_from(over).unwrap_or(i64::MAX);
            let ended = link.execute(ROOM, &[&most]).await?;
            counts.sessions = counts.sessions.saturating_sub(ended);
        }
        let params: Params<'_> = &[
            &sign_in.family.as_bytes().as_slice(),
            &self.seqs.next(),
            &sign_in.token.as_bytes().as_slice(),
            &address,
            &now,
            &codec::secs(sign_in.expires_at),
        ];
        link.execute(BEGIN, params).await?;
        counts.sessions = counts.sessions.saturating_add(1);
        Ok(true)
    }

    async fn add(&self, link: &Link, key: &AdminKey, bootstrap: bool) -> Result<bool, Fault> {
        if count(link, KEY_COUNT).await? >= u64::from(ADMIN_KEYS_MAX)
            && link.execute(ROOM_FOR_KEY, &[]).await? == 0
        {
            return Ok(false);
        }
        let params: Params<'_> = &[
            &key.id.as_slice(),
            &self.seqs.next(),
            &codec::escaped(&key.name),
            &i64::from(key.scopes.bits()),
            &key.secret.as_bytes().as_slice(),
            &bootstrap,
            &codec::secs(key.created_at),
            &key.revoked_at.map(codec::secs),
        ];
        link.execute(ADD_KEY, params).await?;
        Ok(true)
    }

    async fn set_bootstrap(
        &self,
        link: &Link,
        key: Option<&AdminKey>,
        at: Timestamp,
    ) -> Result<(), Fault> {
        let id = key.map(|key| key.id.as_slice());
        let is_there = match id {
            Some(id) => link.execute(GOOD_AGAIN, &[&id]).await? > 0,
            None => false,
        };
        let new = key.filter(|_| !is_there);
        // Looked at before anything is written: what is refused has written nothing.
        if new.is_some() && count(link, STAYING).await? >= u64::from(ADMIN_KEYS_MAX) {
            return Err(StoreError::Unavailable.into());
        }
        let at = codec::secs(at);
        link.execute(REVOKE_CONFIGURED, &[&id, &at]).await?;
        match new {
            Some(new) if !self.add(link, new, true).await? => {
                Err(Fault::Damaged("keys that were not counted"))
            }
            _ => Ok(()),
        }
    }
}

async fn rotate(link: &Link, rotation: &Rotation) -> Result<Rotated, Fault> {
    let family = rotation.family.as_bytes().as_slice();
    let rows = link.rows(SESSION, &[&family]).await?;
    let Some(row) = rows.first() else {
        return Ok(Rotated::Unknown);
    };
    let address: &[u8] = row.try_get("address")?;
    let rotated = Rotated::of(
        rotation,
        Address::try_from(address).map_err(|_| Fault::Damaged("an address"))?,
        secret(row.try_get("token")?)?,
        codec::time(row.try_get("expires_at")?),
    );
    if matches!(rotated, Rotated::Now { .. }) {
        let params: Params<'_> = &[
            &family,
            &rotation.next.as_bytes().as_slice(),
            &codec::secs(rotation.at),
            &codec::secs(rotation.expires_at),
        ];
        link.execute(TURN_TOKEN, params).await?;
    } else {
        end(link, rotation.family).await?;
    }
    Ok(rotated)
}

async fn end(link: &Link, family: SecretHash) -> Result<u64, Fault> {
    link.execute(END, &[&family.as_bytes().as_slice()]).await
}

async fn purge(link: &Link, now: Timestamp, limit: u32) -> Result<u32, Fault> {
    let (now, limit) = (codec::secs(now), page(limit));
    let nonces = link.execute(PURGE_NONCES, &[&now, &limit]).await?;
    let sessions = link.execute(PURGE_SESSIONS, &[&now, &limit]).await?;
    Ok(u32::try_from(nonces.saturating_add(sessions)).unwrap_or(u32::MAX))
}

async fn count(link: &Link, sql: &'static str) -> Result<u64, Fault> {
    let rows = link.rows(sql, &[]).await?;
    let row = rows.first().ok_or(Fault::Damaged("no count"))?;
    let count: i64 = row.try_get("count")?;
    u64::try_from(count).map_err(|_| Fault::Damaged("a count below 0"))
}

fn secret(bytes: &[u8]) -> Result<SecretHash, Fault> {
    Ok(SecretHash::from_bytes(codec::bytes32(bytes)?))
}

fn key(row: &Row) -> Result<AdminKey, Fault> {
    let id: &[u8] = row.try_get("id")?;
    let scopes = u8::try_from(row.try_get::<_, i64>("scopes")?).ok();
    let scopes = scopes.and_then(AdminScopes::from_bits);
    let revoked_at: Option<i64> = row.try_get("revoked_at")?;
    Ok(AdminKey {
        id: id.try_into().map_err(|_| Fault::Damaged("16 bytes"))?,
        name: codec::unescaped(row.try_get("name")?)?,
        scopes: scopes.ok_or(Fault::Damaged("the scopes of a key"))?,
        secret: secret(row.try_get("secret")?)?,
        created_at: codec::time(row.try_get("created_at")?),
        revoked_at: revoked_at.map(codec::time),
    })
}

impl Work for AccessWork {
    type Job = Job;
    type Done = Done;

    fn bytes(job: &Job) -> usize {
        match job {
            Job::AddKey(key) | Job::Bootstrap(Some(key), _) => key.name.len(),
            _ => size_of::<Job>(),
        }
    }

    fn run<'a>(
        &'a self,
        link: &'a Link,
        jobs: &'a [Job],
    ) -> BoxFuture<'a, Result<Results<Done>, Fault>> {
        Box::pin(self.run_all(link, jobs))
    }
}

impl PostgresLedger {
    async fn whether(&self, job: Job) -> Result<bool, StoreError> {
        match self.access.ask(job).await? {
            Done::Whether(whether) => Ok(whether),
            _ => other(),
        }
    }
}

impl AccessStore for PostgresLedger {
    fn sign_in(
        &self,
        sign_in: SignIn,
        limits: AccessLimits,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.whether(Job::SignIn(sign_in, limits)))
    }

    fn rotate(&self, rotation: Rotation) -> BoxFuture<'_, Result<Rotated, StoreError>> {
        Box::pin(async move {
            match self.access.ask(Job::Rotate(rotation)).await? {
                Done::Rotated(rotated) => Ok(rotated),
                _ => other(),
            }
        })
    }

    fn sign_out(&self, family: SecretHash) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.whether(Job::SignOut(family)))
    }

    fn purge_access(&self, now: Timestamp, limit: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(async move {
            match self.access.ask(Job::Purge(now, limit)).await? {
                Done::Count(count) => Ok(count),
                _ => other(),
            }
        })
    }

    fn add_admin_key(&self, key: AdminKey) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(self.whether(Job::AddKey(key)))
    }

    fn set_bootstrap_key(
        &self,
        key: Option<AdminKey>,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            match self.access.ask(Job::Bootstrap(key, at)).await? {
                Done::Nothing => Ok(()),
                _ => other(),
            }
        })
    }

    fn admin_keys(&self) -> BoxFuture<'_, Result<Vec<AdminKey>, StoreError>> {
        Box::pin(async move {
            let rows = self.reads.rows(KEYS, &[]).await?;
            told(rows.iter().map(key).collect())
        })
    }

    fn admin_key(&self, id: AdminKeyId) -> BoxFuture<'_, Result<Option<AdminKey>, StoreError>> {
        Box::pin(async move {
            let rows = self.reads.rows(KEY, &[&id.as_slice()]).await?;
            told(rows.first().map(key).transpose())
        })
    }

    fn revoke_admin_key(
        &self,
        id: AdminKeyId,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<Option<AdminKey>, StoreError>> {
        Box::pin(async move {
            match self.access.ask(Job::RevokeKey(id, at)).await? {
                Done::Key(key) => Ok(key),
                _ => other(),
            }
        })
    }
}
