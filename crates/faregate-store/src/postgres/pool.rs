//! A few connections, made when they are needed, set up alike, and thrown away at the first sign of trouble.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faregate_http::tls::{Trust, config};
use faregate_ledger::StoreError;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Connection, NoTls, Row, Statement};

use super::address::{PostgresUrl, Tls};
use super::fault::{Fault, Remedy, describe};
use super::limits;
use super::tls::MakeTls;

/// What a statement is given.
pub(in crate::postgres) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Bounded connections to one database.
pub(in crate::postgres) struct Pool {
    address: PostgresUrl,
    tls: Option<MakeTls>,
    /// Rows are only ever looked for by their keys.
    by_keys: bool,
    idle: Mutex<Vec<Link>>,
    places: Semaphore,
    /// When a connection could not be made; nobody knocks again at once where nobody answered.
    failed_at: Mutex<Option<Instant>>,
}

/// One connection.
pub(in crate::postgres) struct Link {
    client: Client,
    /// Compiled once per connection.
    statements: Mutex<HashMap<&'static str, Statement>>,
    driver: JoinHandle<()>,
}

/// A connection for one task. Dropped without [`Lease::give_back`], it is closed: nobody knows what it is in the middle of.
pub(in crate::postgres) struct Lease<'p> {
    pool: &'p Pool,
    link: Option<Link>,
    place: SemaphorePermit<'p>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// Connects to nobody yet. Reads the file of authorities, if the address names one.
    pub(in crate::postgres) fn new(address: &PostgresUrl, most: usize) -> Result<Self, TlsFault> {
        let tls = match &address.tls {
            Tls::Off => None,
            Tls::On(None) => Some(Trust::Platform),
            Tls::On(Some(path)) => {
                let size = std::fs::metadata(path).map_err(|_| TlsFault)?.len();
                if size > limits::AUTHORITIES_BYTES_MAX {
                    return Err(TlsFault);
                }
                Some(Trust::Authorities(
                    std::fs::read(path).map_err(|_| TlsFault)?,
                ))
            }
        };
        let tls = tls.map(|trust| config(&trust).map(MakeTls::new));
        Ok(Self {
            address: address.clone(),
            tls: tls.transpose().map_err(|_| TlsFault)?,
            by_keys: false,
            idle: Mutex::default(),
            places: Semaphore::new(most),
            failed_at: Mutex::default(),
        })
    }

    /// One connection for what looks for rows by their keys alone, and never for many: a lane.
    pub(in crate::postgres) fn by_keys(address: &PostgresUrl) -> Result<Self, TlsFault> {
        let pool = Self::new(address, 1)?;
        Ok(Self {
            by_keys: true,
            ..pool
        })
    }

    /// A connection, as soon as there is one. The caller bounds the wait.
    pub(in crate::postgres) async fn lease(&self) -> Result<Lease<'_>, Fault> {
        let place = self.places.acquire().await;
        let place = place.map_err(|_| Fault::Away("the store is closed"))?;
        let at_hand = lock(&self.idle).pop();
        let link = match at_hand.filter(|link| !link.client.is_closed()) {
            Some(link) => link,
            None => self.connect().await?,
        };
        Ok(Lease {
            pool: self,
            link: Some(link),
            place,
        })
    }

    /// Closes the connections that nobody uses: one of them was broken, so the others are suspect.
    pub(in crate::postgres) fn forget_idle(&self) {
        let idle = std::mem::take(&mut *lock(&self.idle));
        drop(idle);
    }

    /// Runs one statement, which is a transaction of its own and may be repeated.
    pub(in crate::postgres) async fn rows(
        &self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let wait = Duration::from_millis(limits::CALL_MILLIS);
        let result = timeout(wait, self.try_rows(sql, params)).await;
        let result = result.unwrap_or(Err(Fault::Away("no answer in time")));
        result.map_err(|fault| fault.told())
    }

    async fn try_rows(&self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, Fault> {
        let mut attempt = 0;
        loop {
            let lease = self.lease().await?;
            let wait = Duration::from_millis(limits::ATTEMPT_MILLIS);
            let done = timeout(wait, lease.link().rows(sql, params)).await;
            let fault = match done.unwrap_or(Err(Fault::Away("no answer in time"))) {
                Ok(rows) => {
                    lease.give_back();
                    return Ok(rows);
                }
                Err(fault) => fault,
            };
            attempt = u32::saturating_add(attempt, 1);
            let remedy = fault.remedy();
            if remedy != Remedy::Reconnect {
                lease.give_back();
            } else {
                drop(lease);
                self.forget_idle();
            }
            match remedy {
                Remedy::Again if attempt < limits::ATTEMPTS => pause(attempt).await,
                Remedy::Reconnect if attempt < 2 => {}
                _ => return Err(fault),
            }
        }
    }

    /// Connects and sets the connection up.
    async fn connect(&self) -> Result<Link, Fault> {
        let rest = Duration::from_millis(limits::CONNECT_REST_MILLIS);
        if lock(&self.failed_at).is_some_and(|at| at.elapsed() < rest) {
            return Err(Fault::Away("there was no connection a moment ago"));
        }
        let wait = Duration::from_millis(limits::CONNECT_MILLIS);
        let made = timeout(wait, self.connect_now()).await;
        let made = made.unwrap_or(Err(Fault::Away("no connection in time")));
        *lock(&self.failed_at) = made.is_err().then(Instant::now);
        made
    }

    async fn connect_now(&self) -> Result<Link, Fault> {
        let config = &self.address.config;
        let link = match &self.tls {
            None => {
                let (client, connection) = config.connect(NoTls).await?;
                Link::over(client, connection)
            }
            Some(tls) => {
                let (client, connection) = config.connect(tls.clone()).await?;
                Link::over(client, connection)
            }
        };
        link.prepare().await?;
        if self.by_keys {
            link.plan_by_keys().await?;
        }
        Ok(link)
    }
}

/// The pause before another try, with chance in it, so that two that got in each other's way do not do it again.
pub(in crate::postgres) async fn pause(attempt: u32) {
    let most = limits::RETRY_PAUSE_MILLIS.saturating_mul(1_u64 << attempt.min(6));
    let mut byte = [0_u8];
    // Without chance it is the longest pause.
    let chance = getrandom::fill(&mut byte).map_or(u64::from(u8::MAX), |()| u64::from(byte[0]));
    let micros = most
        .saturating_mul(1_000)
        .saturating_mul(chance.saturating_add(64))
        >> 8;
    tokio::time::sleep(Duration::from_micros(micros)).await;
}

/// The certificates to believe cannot be read.
#[derive(Clone, Copy, Debug)]
pub(in crate::postgres) struct TlsFault;

impl Lease<'_> {
    /// The connection.
    pub(in crate::postgres) fn link(&self) -> &Link {
        // Taken out only by what consumes the lease.
        #[expect(clippy::expect_used, reason = "see above")]
        self.link.as_ref().expect("a lease has its link")
    }

    /// Leaves the connection to the next one, in no transaction.
    pub(in crate::postgres) fn give_back(mut self) {
        if let Some(link) = self.link.take().filter(|link| !link.client.is_closed()) {
            lock(&self.pool.idle).push(link);
        }
        // Before the place, so that whoever gets it finds the connection.
        let _ = &self.place;
    }
}

impl Link {
    fn over<S, T>(client: Client, connection: Connection<S, T>) -> Self
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        T: tokio_postgres::tls::TlsStream + Unpin + Send + 'static,
    {
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                let error = describe(&error);
                tracing::debug!(error, "a connection to the ledger's database ended");
            }
        });
        Self {
            client,
            statements: Mutex::default(),
            driver,
        }
    }

    /// What every connection needs, whatever the server's or the role's defaults are.
    async fn prepare(&self) -> Result<(), Fault> {
        let (statement, lock, idle) = (
            limits::STATEMENT_MILLIS,
            limits::LOCK_MILLIS,
            limits::IDLE_IN_TRANSACTION_MILLIS,
        );
        self.batch(&format!(
            "SET statement_timeout = {statement}; SET lock_timeout = {lock}; \
             SET idle_in_transaction_session_timeout = {idle}; SET client_min_messages = warning"
        ))
        .await?;
        let found = self.client.simple_query("SHOW synchronous_commit").await?;
        let is_off = found.iter().any(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0) == Some("off"),
            _ => false,
        });
        if is_off {
            // An answer means that it is on the disk, whatever else this server is used for.
            self.batch("SET synchronous_commit = on").await?;
        }
        Ok(())
    }

    /// Has every row looked up in the index of its key. Plans are made once for a connection; of a table that was empty then they
    /// would read all of it, however large it has become, until somebody analyses it. What is not to be done looks expensive to
    /// the planner, but nothing of this is worth compiling.
    async fn plan_by_keys(&self) -> Result<(), Fault> {
        for way in [
            "enable_seqscan",
            "enable_hashjoin",
            "enable_mergejoin",
            "jit",
        ] {
            match self.batch(&format!("SET {way} = off")).await {
                // A relative of PostgreSQL that plans another way.
                Err(fault) if fault.remedy() == Remedy::Nothing => {}
                done => done?,
            }
        }
        Ok(())
    }

    /// Statements without parameters, one after the other.
    pub(in crate::postgres) async fn batch(&self, sql: &str) -> Result<(), Fault> {
        Ok(self.client.batch_execute(sql).await?)
    }

    /// The rows of one statement.
    pub(in crate::postgres) async fn rows(
        &self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Fault> {
        let statement = self.statement(sql).await?;
        Ok(self.client.query(&statement, params).await?)
    }

    /// How many rows one statement wrote.
    pub(in crate::postgres) async fn execute(
        &self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<u64, Fault> {
        let statement = self.statement(sql).await?;
        Ok(self.client.execute(&statement, params).await?)
    }

    async fn statement(&self, sql: &'static str) -> Result<Statement, Fault> {
        let known = lock(&self.statements).get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        lock(&self.statements).insert(sql, statement.clone());
        Ok(statement)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Also one whose network swallows everything.
        self.driver.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
