//! What is in a database, and which version: one row per kind of books says how many migrations it has seen.
//!
//! Whoever migrates locks this row first (`FOR UPDATE`), looks again, and does all that is missing in the same transaction; of
//! several processes that start at once one does it and the others find it done.

use std::time::Duration;

use faregate_types::Code;
use tokio::time::timeout;

use super::address::PostgresUrl;
use super::fault::{Fault, Remedy, describe};
use super::limits;
use super::pool::{Link, Pool};
use crate::SchemaVersion;

/// One kind of books.
#[derive(Debug)]
pub(in crate::postgres) struct Schema {
    /// Its row in `faregate_schema`.
    pub(in crate::postgres) name: &'static str,
    /// In order; the version is how many were applied.
    pub(in crate::postgres) migrations: &'static [&'static str],
}

/// The books of a seller or an operator.
pub(in crate::postgres) const LEDGER: Schema = Schema {
    name: "ledger",
    migrations: &[
        include_str!("migrations/ledger/0001_ledger.sql"),
        include_str!("migrations/ledger/0002_holder.sql"),
        include_str!("migrations/ledger/0003_access.sql"),
        include_str!("migrations/ledger/0004_credit.sql"),
        include_str!("migrations/ledger/0005_held.sql"),
        include_str!("migrations/ledger/0006_redemptions.sql"),
    ],
};

const MAKE: &str = "CREATE TABLE IF NOT EXISTS faregate_schema (name TEXT NOT NULL PRIMARY KEY, version BIGINT NOT NULL)";
const IS_THERE: &str = "SELECT to_regclass('faregate_schema') IS NOT NULL AS found";
const ADD: &str =
    "INSERT INTO faregate_schema (name, version) VALUES ($1, 0) ON CONFLICT (name) DO NOTHING";
const READ: &str = "SELECT version FROM faregate_schema WHERE name = $1";
const LOCK: &str = "SELECT version FROM faregate_schema WHERE name = $1 FOR UPDATE";
const RAISE: &str = "UPDATE faregate_schema SET version = $2 WHERE name = $1";

/// Why a database was not opened or migrated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// A newer version of this program wrote it. Use that version.
    #[error(
        "the database has schema version {found}, this program knows up to {known}: use the newer program"
    )]
    Newer {
        /// The version of the database.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// Another process works on this ledger, and only one may.
    #[error("another process uses this ledger")]
    Held,
    /// The certificates of authorities cannot be read, or the TLS library could not be set up.
    #[error("the certificates that sslrootcert names cannot be read")]
    Certificates,
    /// Nobody answers, says no, or takes too long. The text has no values and no password in it.
    #[error("the database cannot be used: {0}")]
    Unavailable(Box<str>),
}

impl PostgresError {
    /// The stable code: the store cannot be used, whatever the reason.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::StoreUnavailable
    }
}

impl From<Fault> for PostgresError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable(match fault {
            Fault::Refused(error) => error.to_string().into(),
            Fault::Damaged(what) | Fault::Away(what) => what.into(),
            Fault::Postgres(error) => describe(&error).into(),
        })
    }
}

/// Looks at the schema of a ledger without changing anything.
///
/// # Errors
/// [`PostgresError`].
pub async fn schema_version(address: &PostgresUrl) -> Result<SchemaVersion, PostgresError> {
    let pool = Pool::new(address, 1).map_err(|_| PostgresError::Certificates)?;
    let looked = timeout(
        Duration::from_millis(limits::CALL_MILLIS),
        LEDGER.look(&pool),
    )
    .await;
    looked.unwrap_or(Err(Fault::Away("no answer in time").into()))
}

/// Brings the schema of a ledger up to date. Safe when several processes do it at once; returns what was found before.
///
/// # Errors
/// [`PostgresError`]; then nothing was changed.
pub async fn migrate(address: &PostgresUrl) -> Result<SchemaVersion, PostgresError> {
    let pool = Pool::new(address, 1).map_err(|_| PostgresError::Certificates)?;
    LEDGER.migrate(&pool).await
}

impl Schema {
    fn newest(&self) -> i64 {
        i64::try_from(self.migrations.len()).unwrap_or(i64::MAX)
    }

    async fn look(&self, pool: &Pool) -> Result<SchemaVersion, PostgresError> {
        let lease = pool.lease().await?;
        let version = self.version(lease.link()).await?;
        lease.give_back();
        self.judge(version)
    }

    async fn version(&self, link: &Link) -> Result<i64, Fault> {
        let found = link.rows(IS_THERE, &[]).await?;
        let is_there = found.first().map(|row| row.try_get("found")).transpose()?;
        if is_there != Some(true) {
            return Ok(0);
        }
        let rows = link.rows(READ, &[&self.name]).await?;
        Ok(rows.first().map_or(Ok(0), |row| row.try_get("version"))?)
    }

    fn judge(&self, found: i64) -> Result<SchemaVersion, PostgresError> {
        let newest = self.newest();
        if found > newest {
            return Err(PostgresError::Newer {
                found,
                known: newest,
            });
        }
        Ok(SchemaVersion { found, newest })
    }

    /// Brings it up to date; changes nothing where it is.
    pub(in crate::postgres) async fn migrate(
        &self,
        pool: &Pool,
    ) -> Result<SchemaVersion, PostgresError> {
        let wait = Duration::from_millis(limits::MIGRATE_MILLIS);
        let done = timeout(wait, self.migrate_in_a_crowd(pool)).await;
        done.unwrap_or(Err(Fault::Away("no answer in time").into()))
    }

    async fn migrate_in_a_crowd(&self, pool: &Pool) -> Result<SchemaVersion, PostgresError> {
        let looked = self.look(pool).await?;
        if looked.is_current() {
            return Ok(looked);
        }
        let mut attempts = limits::MIGRATE_ATTEMPTS;
        loop {
            let fault = match self.migrate_once(pool).await {
                Ok(found) => return self.judge(found),
                Err(fault) => fault,
            };
            attempts = attempts.saturating_sub(1);
            // Two that make the same table at once: the database tells one of them so, in one of several words.
            if attempts == 0
                || !matches!(fault.remedy(), Remedy::Again | Remedy::Wait) && !is_made(&fault)
            {
                return Err(fault.into());
            }
            tokio::time::sleep(Duration::from_millis(limits::MIGRATE_PAUSE_MILLIS)).await;
        }
    }

    /// One transaction. The version that was found.
    async fn migrate_once(&self, pool: &Pool) -> Result<i64, Fault> {
        let lease = pool.lease().await?;
        let link = lease.link();
        link.batch(MAKE).await?;
        link.execute(ADD, &[&self.name]).await?;
        link.batch("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
        let rows = link.rows(LOCK, &[&self.name]).await?;
        let row = rows
            .first()
            .ok_or(Fault::Damaged("no row for the version"))?;
        let found: i64 = row.try_get("version")?;
        let seen = usize::try_from(found).map_err(|_| Fault::Damaged("a version below 0"))?;
        if found > self.newest() {
            return Ok(found);
        }
        for migration in self.migrations.iter().skip(seen) {
            link.batch(migration).await?;
        }
        link.execute(RAISE, &[&self.name, &self.newest()]).await?;
        link.batch("COMMIT").await?;
        lease.give_back();
        if found < self.newest() {
            let (schema, to) = (self.name, self.newest());
            tracing::info!(schema, from = found, to, "schema brought up to date");
        }
        Ok(found)
    }
}

/// Somebody else has just made the same table.
fn is_made(fault: &Fault) -> bool {
    use tokio_postgres::error::SqlState;
    let made = [SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_OBJECT];
    match fault {
        Fault::Postgres(error) => error.code().is_some_and(|code| made.contains(code)),
        _ => false,
    }
}
