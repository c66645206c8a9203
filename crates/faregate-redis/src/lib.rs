//! The store of used tokens that several gates share, in Redis: the commands and the keys of l402kit, so that its servers can
//! share it too (specs/l402.md §2.2, §2.9).
//!
//! A use is noted with `SET key note NX EX seconds`, and in the same breath it is read who noted it. l402kit writes `1`; a gate
//! writes its own name and a number, so that a gate that died between the note and the answer knows its note again. Each time
//! the number is another, so that a command that was given up and is executed late finds a note that is not the one it meant.
//!
//! The server must not forget before the time is over: `maxmemory-policy noeviction`, and a file if it is to survive its own
//! restart.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use faregate_core::port::Away;
use faregate_core::port::replay::{Noted, ReplayStore};
use faregate_types::l402::replay::{Dialect, UseName};
use faregate_types::{Code, Secret};
use futures_util::future::BoxFuture;
use redis::{
    Client, ConnectionAddr, IntoConnectionInfo as _, Pipeline, RedisConnectionInfo, Value,
};

pub mod limits;
mod link;
mod meter;

use link::{Link, LinkError};
pub use meter::describe_metrics;

/// Takes a note back if it is still this one.
const GIVE_BACK: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] \
then return redis.call('DEL', KEYS[1]) else return 0 end";

/// Writes a new note in the place of an earlier one of the same gate, unless that has been done.
const RENEW: &str = "local note = redis.call('GET', KEYS[1]) \
if note == ARGV[1] or note == ARGV[2] \
then redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) return 1 else return 0 end";

/// What stands before a gate's name in its notes.
const OWNER: &str = "faregate:";

/// A server of Redis.
#[derive(Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "an input, written out by whoever wires"
)]
pub struct RedisConfig {
    /// Its host.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
    /// The number of the database.
    pub database: u32,
    /// The user, where it is not the default one.
    pub user: Option<Box<str>>,
    /// The password.
    pub password: Option<Secret>,
    /// Whose keys are written.
    pub dialect: Dialect,
    /// The name of this gate: nobody else's, and the same after a restart with the same ledger.
    pub owner: [u8; 16],
    /// Random for each start of the gate.
    pub run: [u8; 8],
}

/// Why there is no store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedisError {
    /// A password that is no text.
    #[error("expected a password in UTF-8")]
    Password,
    /// A host that cannot be one.
    #[error("expected the host of a Redis server")]
    Host,
}

/// The store.
pub struct RedisReplay {
    link: Link,
    address: Box<str>,
    dialect: Dialect,
    /// What its notes begin with.
    owner: Box<str>,
    run: Box<str>,
    notes: AtomicU64,
}

impl fmt::Debug for RedisReplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisReplay")
            .field("address", &self.address)
            .field("dialect", &self.dialect)
            .finish_non_exhaustive()
    }
}

impl RedisReplay {
    /// Connects to nobody yet.
    ///
    /// # Errors
    /// [`RedisError`].
    #[allow(
        clippy::needless_pass_by_value,
        reason = "the password should not live on with the caller"
    )]
    pub fn new(config: RedisConfig) -> Result<Self, RedisError> {
        let mut settings = RedisConnectionInfo::default()
            .set_db(config.database.into())
            .set_skip_set_lib_name();
        if let Some(user) = &config.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &config.password {
            let text = std::str::from_utf8(password.expose());
            settings = settings.set_password(text.map_err(|_| RedisError::Password)?);
        }
        let address = ConnectionAddr::Tcp(config.host.to_string(), config.port);
        let info = address.into_connection_info();
        let info = info
            .map_err(|_| RedisError::Host)?
            .set_redis_settings(settings);
        let hex = |bytes: &[u8]| -> String {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            digits.collect()
        };
        Ok(Self {
            link: Link::new(Client::open(info).map_err(|_| RedisError::Host)?),
            address: format!("{}:{}", config.host, config.port).into(),
            dialect: config.dialect,
            owner: format!("{OWNER}{}:", hex(&config.owner)).into(),
            run: hex(&config.run).into(),
            notes: AtomicU64::new(0),
        })
    }

    async fn note(&self, of: UseName, secs: u64) -> Result<Noted, LinkError> {
        let (key, note) = (of.key(self.dialect), self.new_note());
        let secs = secs.max(self.dialect.ttl_secs());
        let mut commands = Pipeline::with_capacity(2);
        commands.cmd("SET").arg(&key).arg(&note);
        commands.arg("NX").arg("EX").arg(secs);
        commands.cmd("GET").arg(&key);
        let (set, found): (Value, Option<String>) = self.link.ask(&commands).await?;
        match found {
            _ if set == Value::Okay => Ok(Noted::Now),
            // The connection broke after it was noted.
            Some(found) if found == note => Ok(Noted::Now),
            Some(found) if found.starts_with(&*self.owner) => {
                let mut commands = Pipeline::with_capacity(1);
                commands.cmd("EVAL").arg(RENEW).arg(1).arg(&key);
                commands.arg(&found).arg(&note).arg(secs);
                let (renewed,): (bool,) = self.link.ask(&commands).await?;
                let before = renewed.then_some(Noted::Before);
                before.ok_or(LinkError::Changed)
            }
            // Or its time was over between the two commands: then too it was somebody's.
            Some(_) | None => Ok(Noted::Elsewhere),
        }
    }

    async fn forget(&self, of: UseName) -> Result<(), LinkError> {
        let key = of.key(self.dialect);
        let mut commands = Pipeline::with_capacity(1);
        commands.cmd("GET").arg(&key);
        let (found,): (Option<String>,) = self.link.ask(&commands).await?;
        let Some(own) = found.filter(|found| found.starts_with(&*self.owner)) else {
            return Ok(());
        };
        let mut commands = Pipeline::with_capacity(1);
        commands
            .cmd("EVAL")
            .arg(GIVE_BACK)
            .arg(1)
            .arg(&key)
            .arg(own);
        let (_forgotten,): (bool,) = self.link.ask(&commands).await?;
        Ok(())
    }

    fn new_note(&self) -> String {
        let number = self.notes.fetch_add(1, Ordering::Relaxed);
        format!("{}{}-{number}", self.owner, self.run)
    }

    fn away(&self, error: &LinkError, since: Instant) -> Away {
        meter::called("unavailable", since.elapsed());
        tracing::warn!(redis = %self.address, %error, "the store of used tokens did not answer");
        Away {
            code: Code::ReplayStoreUnavailable,
        }
    }
}

impl ReplayStore for RedisReplay {
    fn take(&self, of: UseName, secs: u64) -> BoxFuture<'_, Result<Noted, Away>> {
        Box::pin(async move {
            let since = Instant::now();
            let noted = self.note(of, secs).await;
            let noted = noted.map_err(|error| self.away(&error, since))?;
            let outcome = match noted {
                Noted::Now => "first",
                Noted::Before => "own",
                Noted::Elsewhere => "elsewhere",
            };
            meter::called(outcome, since.elapsed());
            Ok(noted)
        })
    }

    fn give_back(&self, of: UseName) -> BoxFuture<'_, Result<(), Away>> {
        Box::pin(async move {
            let since = Instant::now();
            let forgotten = self.forget(of).await;
            forgotten.map_err(|error| self.away(&error, since))?;
            meter::called("given_back", since.elapsed());
            Ok(())
        })
    }
}
