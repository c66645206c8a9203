//! Opening a file: its mode, its pragmas, and what may be wrong with it.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use faregate_types::Code;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::fault::is_damage;
use super::limits;
use super::schema::Schema;

/// Why a file was not opened. Nothing was changed in it, except that a missing file may have been created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The path cannot be used: no such folder, no permission, not a file.
    #[error("cannot create or reach {}", path.display())]
    Path {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A newer version of this program wrote the file. Use that version.
    #[error(
        "the file has schema version {found}, this program knows up to {known}: use the newer program"
    )]
    Newer {
        /// The version of the file.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// It is a file of SQLite, but of another program, or a wallet where a ledger is expected, or the reverse.
    #[error("the file is not a faregate {expected}")]
    OtherKind {
        /// `ledger` or `wallet`.
        expected: &'static str,
    },
    /// It is no file of SQLite, or a damaged one.
    #[error("the file is damaged or no sqlite database")]
    Damaged,
    /// The file system cannot do write-ahead logging, e.g. a network drive.
    #[error("the file system does not support write-ahead logging: use a local disk")]
    NoWal,
    /// Locked for too long by another process, no space, or an input/output error.
    #[error("the file cannot be used at the moment")]
    Unavailable {
        /// What SQLite said.
        #[source]
        source: SqliteError,
    },
    /// The operating system gave no thread.
    #[error("cannot start a thread for the store")]
    Thread {
        /// What it said.
        #[source]
        source: io::Error,
    },
}

/// What SQLite said, as a text for people and logs.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SqliteError(rusqlite::Error);

impl OpenError {
    /// The stable code: the store cannot be used, whatever the reason.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::StoreUnavailable
    }
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        if is_damage(&error) {
            Self::Damaged
        } else {
            Self::Unavailable {
                source: SqliteError(error),
            }
        }
    }
}

/// Where the books are.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// An absolute path.
    File(PathBuf),
    /// Gone when the store is dropped; for tests and demonstrations.
    Memory,
}

impl Place {
    /// Makes `path` absolute, so that SQLite never reads it as one of its special names such as `:memory:`.
    pub(super) fn file(path: &Path) -> Result<Self, OpenError> {
        std::path::absolute(path)
            .map(Self::File)
            .map_err(|source| OpenError::Path {
                path: path.to_owned(),
                source,
            })
    }
}

/// The connection that writes. Creates the file (only its owner may read it: it holds signatures) and its tables.
pub(super) fn open_writer(place: &Place, schema: &Schema) -> Result<Connection, OpenError> {
    let mut conn = match place {
        Place::Memory => Connection::open_in_memory()?,
        Place::File(path) => {
            create_private(path)?;
            Connection::open_with_flags(
                path,
                OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
            )?
        }
    };
    prepare(&conn)?;
    // Before anything is written: a file of somebody else stays as it is.
    schema.check(&mut conn)?;
    if let Place::File(_) = place {
        switch_to_wal(&conn)?;
    }
    conn.pragma_update(None, "synchronous", "FULL")?;
    // A negative number means kibibytes.
    let kibibytes = limits::WRITER_CACHE_KIBIBYTES.saturating_neg();
    conn.pragma_update(None, "cache_size", kibibytes)?;
    conn.pragma_update(None, "fullfsync", true)?;
    conn.pragma_update(None, "checkpoint_fullfsync", true)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.query_row(
        &format!("PRAGMA journal_size_limit = {}", limits::WAL_KEPT_BYTES),
        [],
        |_| Ok(()),
    )?;
    schema.migrate(&mut conn)?;
    Ok(conn)
}

/// A connection that cannot write.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    let conn = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    prepare(&conn)?;
    Ok(conn)
}

/// What both kinds of connection need.
fn prepare(conn: &Connection) -> Result<(), OpenError> {
    conn.busy_timeout(Duration::from_millis(limits::BUSY_WAIT_MILLIS))?;
    conn.set_prepared_statement_cache_capacity(limits::STATEMENT_CACHE_STATEMENTS);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Plans do not depend on bound values: otherwise every new value would compile its statement again.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    Ok(())
}

/// Creates the file if it is missing. SQLite gives its side files the same mode.
fn create_private(path: &Path) -> Result<(), OpenError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(OpenError::Path {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Write-ahead logging is a property of the file; after the first time this only reads it.
fn switch_to_wal(conn: &Connection) -> Result<(), OpenError> {
    let mut tries = limits::WAL_SWITCH_TRIES;
    loop {
        let mode = conn.query_row("PRAGMA journal_mode = WAL", [], |row| {
            row.get::<_, String>(0)
        });
        match mode {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => return Err(OpenError::NoWal),
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && tries > 0 =>
            {
                tries = tries.saturating_sub(1);
                thread::sleep(Duration::from_millis(limits::WAL_SWITCH_PAUSE_MILLIS));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::schema::LEDGER;

    #[test]
    fn a_file_is_durable_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let conn = open_writer(&Place::file(&path).unwrap(), &LEDGER).unwrap();
        let pragma = |name: &str| {
            conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0))
                .unwrap()
        };
        assert_eq!(pragma("synchronous"), 2, "FULL");
        assert_eq!(pragma("foreign_keys"), 1);
        assert_eq!(pragma("busy_timeout"), 5_000);
        assert_eq!(pragma("cache_size"), -limits::WRITER_CACHE_KIBIBYTES);
        let mode: String = conn
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        assert_eq!(mode, "wal");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            for entry in std::fs::read_dir(folder.path()).unwrap() {
                let entry = entry.unwrap();
                assert_eq!(
                    entry.metadata().unwrap().permissions().mode() & 0o777,
                    0o600,
                    "{:?}",
                    entry.path()
                );
            }
        }
    }

    #[test]
    fn a_reader_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let _writer = open_writer(&Place::file(&path).unwrap(), &LEDGER).unwrap();
        let reader = open_reader(&path).unwrap();
        assert!(reader.execute("DELETE FROM balance", []).is_err());
    }
}
