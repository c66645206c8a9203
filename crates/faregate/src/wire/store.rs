//! The ledger that the configuration names.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use faregate_core::rail::l402::Revocations;
use faregate_ledger::{AccountStore, EventStore, LedgerStore, RevocationStore};
use faregate_server::config::{StoreConfig, StoreUrl};
use faregate_store::memory::MemoryLedger;
use faregate_store::postgres::{PostgresError, PostgresLedger, PostgresUrl};
use faregate_store::sqlite::SqliteLedger;
use faregate_types::Code;

use super::replay::{self, GateName, new_name};
use crate::exit::{Exit, Failed};

/// A ledger and the lock that keeps a second process off it.
pub(crate) struct Ledger {
    /// The ledger.
    pub(crate) store: Arc<dyn LedgerStore>,
    /// Tokens that open nothing any more.
    pub(crate) revocations: Arc<Revocations>,
    /// What others are to be told.
    pub(crate) events: Arc<dyn EventStore>,
    /// The ledger as one that lists whom money is owed to.
    pub(crate) accounts: Arc<dyn AccountStore>,
    /// What a gate over it is called among others.
    pub(crate) name: GateName,
    held: Option<Arc<PostgresLedger>>,
    _lock: Option<File>,
}

impl Ledger {
    /// Lets another process have it. Call it last.
    pub(crate) async fn close(&self) {
        if let Some(held) = &self.held {
            held.leave().await;
        }
    }
}

/// Opens the ledger in a file, in a database, or one in memory for `:memory:`.
///
/// One process per ledger: whether a reservation is being worked on or was left behind is known only to the process that made
/// it, so two gates over one could both serve one payment.
///
/// # Errors
/// When it is used by another process, damaged, from a newer version or cannot be made or reached.
pub(crate) async fn ledger(config: &StoreConfig) -> Result<Ledger, Failed> {
    let opened = match config {
        StoreConfig::Postgres(url) => open_postgres(url).await?,
        StoreConfig::File(path) => {
            let path = path.to_owned();
            let opened = tokio::task::spawn_blocking(move || open(&path)).await;
            let unfinished = |_| Failed::new(Exit::Failure, "opening the ledger did not finish");
            opened.map_err(unfinished)??
        }
        _ => return Err(Failed::usage("this program does not know such a store")),
    };
    Ok(Ledger {
        revocations: revocations(opened.revocations).await?,
        events: opened.events,
        store: opened.store,
        accounts: opened.accounts,
        name: opened.name,
        held: opened.held,
        _lock: opened.lock,
    })
}

/// The list of revoked tokens.
///
/// # Errors
/// When it cannot be read.
pub(crate) async fn revocations(
    store: Arc<dyn RevocationStore>,
) -> Result<Arc<Revocations>, Failed> {
    let list = Revocations::load(store).await;
    list.map(Arc::new).map_err(|away| {
        Failed::new(Exit::Failure, "the list of revoked tokens cannot be read").code(away.code)
    })
}

/// A ledger whose lists were not read yet.
struct Opened {
    store: Arc<dyn LedgerStore>,
    accounts: Arc<dyn AccountStore>,
    revocations: Arc<dyn RevocationStore>,
    name: GateName,
    events: Arc<dyn EventStore>,
    held: Option<Arc<PostgresLedger>>,
    lock: Option<File>,
}

impl Opened {
    fn new(
        store: Arc<impl AccountStore + RevocationStore + EventStore>,
        name: GateName,
        lock: Option<File>,
    ) -> Self {
        Self {
            revocations: Arc::clone(&store) as _,
            events: Arc::clone(&store) as _,
            accounts: Arc::clone(&store) as _,
            store,
            name,
            held: None,
            lock,
        }
    }
}

/// The address of a database.
///
/// # Errors
/// When it is none; the text is not repeated, because it may have a password in it.
pub(crate) fn postgres(url: &StoreUrl) -> Result<PostgresUrl, Failed> {
    PostgresUrl::parse(url.expose())
        .map_err(|error| Failed::usage(format!("store: {error}")).code(Code::ConfigInvalid))
}

async fn open_postgres(url: &StoreUrl) -> Result<Opened, Failed> {
    let url = postgres(url)?;
    let ledger = PostgresLedger::open_alone(&url).await.map_err(|error| {
        let message = format!("the ledger {url} cannot be used: {error}");
        match error {
            PostgresError::Held => Failed::usage(message)
                .hint("one gate or facilitator per ledger: name another database"),
            other => Failed::new(Exit::Failure, message)
                .code(other.code())
                .hint("check store, and that the database is there; `faregate migrate` says more"),
        }
    })?;
    let ledger = Arc::new(ledger);
    let name = match ledger.gate() {
        Some(name) => name,
        None => new_name()?,
    };
    let held = Some(Arc::clone(&ledger));
    Ok(Opened {
        held,
        ..Opened::new(ledger, name, None)
    })
}

fn open(path: &Path) -> Result<Opened, Failed> {
    if path == Path::new(":memory:") {
        tracing::warn!(
            "the ledger is in memory: what was claimed is forgotten when this process ends"
        );
        return Ok(Opened::new(
            Arc::new(MemoryLedger::new()),
            new_name()?,
            None,
        ));
    }
    let (store, mut lock) = open_alone(path, "one gate or facilitator per ledger file")?;
    let name = replay::name(&mut lock).map_err(|error| unusable(path, &error))?;
    Ok(Opened::new(Arc::new(store), name, Some(lock)))
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Failed {
    let what = format!("the ledger {} cannot be used: {error}", path.display());
    Failed::new(Exit::Failure, what)
}

/// The ledger in a file, and the lock that keeps a second process off it.
fn open_alone(path: &Path, hint: &str) -> Result<(SqliteLedger, File), Failed> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(PathBuf::from(name))
        .map_err(|error| unusable(path, &error))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Failed::usage(format!(
                "another process uses the ledger {}",
                path.display()
            ))
            .hint(hint));
        }
        Err(TryLockError::Error(error)) => return Err(unusable(path, &error)),
    }
    let store =
        SqliteLedger::open(path).map_err(|error| unusable(path, &error).code(error.code()))?;
    Ok((store, lock))
}

/// The books of a credit core in a file, and the lock that keeps a second core off it.
///
/// # Errors
/// As [`ledger`], and for a store that is no file.
pub(crate) async fn sqlite(config: &StoreConfig) -> Result<(SqliteLedger, Option<File>), Failed> {
    let StoreConfig::File(path) = config else {
        return Err(
            Failed::usage("the books of a credit core are a file: store = \"credit.db\"")
                .code(Code::ConfigInvalid),
        );
    };
    let path = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || {
        if path == Path::new(":memory:") {
            let ledger = SqliteLedger::in_memory();
            return ledger
                .map(|ledger| (ledger, None))
                .map_err(|error| unusable(&path, &error));
        }
        let (ledger, lock) = open_alone(&path, "one credit core per file")?;
        Ok((ledger, Some(lock)))
    });
    opened
        .await
        .map_err(|_| Failed::new(Exit::Failure, "opening the ledger did not finish"))?
}
