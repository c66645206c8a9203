//! The ledger that the configuration names.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use faregate_core::port::access::AccessStore;
use faregate_core::port::credit::CreditStore;
use faregate_core::port::{Alone, HeldTabStore, Turn};
use faregate_core::rail::l402::Revocations;
use faregate_ledger::{AccountStore, EventStore, LedgerStore, RevocationStore, StoreError};
use faregate_server::config::{StoreConfig, StoreUrl};
use faregate_store::memory::MemoryLedger;
use faregate_store::postgres::{PostgresError, PostgresLedger, PostgresUrl};
use faregate_store::sqlite::SqliteLedger;
use faregate_types::{ChainId, Code};

use super::remunerate;
use super::replay::{self, GateName, new_name};
use crate::exit::{Exit, Failed};

/// What credit cores with the same books take turns at: telling the contract of payments.
const RECORDS: &str = "credit records";

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
    /// Certificates that are held, in the same file or database.
    pub(crate) certificates: Arc<dyn HeldTabStore>,
    /// Which process redeems them.
    pub(crate) redeems: Arc<dyn Turn>,
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
    let redeems = match (&opened.held, config) {
        (Some(held), _) => remunerate::turn_of(held)?,
        (None, StoreConfig::File(path)) => remunerate::turn_beside(path),
        (None, _) => Arc::new(Alone),
    };
    Ok(Ledger {
        redeems,
        revocations: revocations(opened.revocations).await?,
        events: opened.events,
        store: opened.store,
        accounts: opened.accounts,
        certificates: opened.certificates,
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
    certificates: Arc<dyn HeldTabStore>,
    revocations: Arc<dyn RevocationStore>,
    name: GateName,
    events: Arc<dyn EventStore>,
    held: Option<Arc<PostgresLedger>>,
    lock: Option<File>,
}

impl Opened {
    fn new(
        store: Arc<impl AccountStore + RevocationStore + EventStore + HeldTabStore>,
        name: GateName,
        lock: Option<File>,
    ) -> Self {
        Self {
            revocations: Arc::clone(&store) as _,
            events: Arc::clone(&store) as _,
            accounts: Arc::clone(&store) as _,
            certificates: Arc::clone(&store) as _,
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
    let ledger = PostgresLedger::open_alone(&url).await;
    let ledger = Arc::new(ledger.map_err(|error| no_database(&url, error))?);
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

fn no_database(url: &PostgresUrl, error: PostgresError) -> Failed {
    let message = format!("the ledger {url} cannot be used: {error}");
    match error {
        PostgresError::Held => {
            Failed::usage(message).hint("one gate or facilitator per ledger: name another database")
        }
        other => Failed::new(Exit::Failure, message)
            .code(other.code())
            .hint("check store, and that the database is there; `faregate migrate` says more"),
    }
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

/// The books of a credit core, of who may call it, and whose turn it is among cores that share them.
pub(crate) struct CreditBooks {
    /// Where it is asked whether they answer.
    pub(crate) ledger: Arc<dyn LedgerStore>,
    /// Tabs, guarantees, collateral.
    pub(crate) books: Arc<dyn CreditStore>,
    /// Sign-ins and administrators' keys.
    pub(crate) access: Arc<dyn AccessStore>,
    /// Who tells the contract of payments.
    pub(crate) turn: Arc<dyn Turn>,
    _lock: Option<File>,
}

/// Opens the books of a credit core: a file that is its alone, a database that others may share, or memory for `:memory:`.
///
/// # Errors
/// As [`ledger`], and when they are those of another chain.
pub(crate) async fn credit_books(
    config: &StoreConfig,
    chain: ChainId,
) -> Result<CreditBooks, Failed> {
    let of_another_chain = |name: &dyn std::fmt::Display, error: StoreError| match error {
        StoreError::Conflict => {
            Failed::usage(format!("{name} has the credit books of another chain"))
                .hint("a file or a schema of its own for each chain")
        }
        error => Failed::new(
            Exit::Failure,
            format!("the ledger {name} cannot be used: {error}"),
        ),
    };
    match config {
        StoreConfig::Postgres(url) => {
            let url = postgres(url)?;
            let ledger = PostgresLedger::open(&url).await;
            let ledger = ledger.map_err(|error| no_database(&url, error))?;
            let books = ledger.credit(chain).await;
            let turn = ledger.turn(RECORDS);
            let ledger = Arc::new(ledger);
            Ok(CreditBooks {
                books: Arc::new(books.map_err(|error| of_another_chain(&url, error))?),
                turn: Arc::new(turn.map_err(|error| no_database(&url, error))?),
                access: Arc::clone(&ledger) as _,
                ledger,
                _lock: None,
            })
        }
        StoreConfig::File(path) => {
            let (ledger, lock) = credit_file(path).await?;
            let books = ledger.credit(chain).await;
            let books = books.map_err(|error| of_another_chain(&path.display(), error))?;
            let ledger = Arc::new(ledger);
            Ok(CreditBooks {
                books: Arc::new(books),
                turn: Arc::new(Alone),
                access: Arc::clone(&ledger) as _,
                ledger,
                _lock: lock,
            })
        }
        _ => Err(Failed::usage("this program does not know such a store")),
    }
}

async fn credit_file(path: &Path) -> Result<(SqliteLedger, Option<File>), Failed> {
    let path = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || {
        if path == Path::new(":memory:") {
            let ledger = SqliteLedger::in_memory();
            return ledger
                .map(|ledger| (ledger, None))
                .map_err(|error| unusable(&path, &error));
        }
        let (ledger, lock) = open_alone(
            &path,
            "one credit core per file; cores that share books have them in PostgreSQL",
        )?;
        Ok((ledger, Some(lock)))
    });
    opened
        .await
        .map_err(|_| Failed::new(Exit::Failure, "opening the ledger did not finish"))?
}
