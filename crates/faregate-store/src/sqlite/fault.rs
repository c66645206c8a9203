//! What goes wrong inside, and what the caller is told.

use std::panic::{AssertUnwindSafe, catch_unwind};

use faregate_ledger::{StepError, StoreError};
use rusqlite::ErrorCode;

/// The error of one job.
#[derive(Debug)]
pub(super) enum Fault {
    /// A rule said no.
    Refused(StoreError),
    /// The file holds something this engine cannot have written.
    Damaged(&'static str),
    /// SQLite said no.
    Sqlite(rusqlite::Error),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<StepError> for Fault {
    fn from(error: StepError) -> Self {
        Self::Refused(StoreError::Step(error))
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl Fault {
    /// What the caller is told. Logs what the caller is not told; SQLite's messages name tables and columns, never values.
    pub(super) fn told(self) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Damaged(what) => {
                tracing::error!(what, "the ledger file is damaged");
                StoreError::Damaged
            }
            Self::Sqlite(error) if is_damage(&error) => {
                tracing::error!(%error, "the ledger file is damaged");
                StoreError::Damaged
            }
            Self::Sqlite(error) => {
                tracing::warn!(%error, "the ledger file cannot be used at the moment");
                StoreError::Unavailable
            }
        }
    }
}

/// Runs a job. One that panics is a bug of ours; the next jobs are innocent and the thread goes on.
pub(super) fn unless_panicked<T>(job: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|_| {
        // The panic hook has told where; what the panic carries may be anything, so it is not logged.
        tracing::error!("a job of the store panicked");
        Err(Fault::Refused(StoreError::Unavailable))
    })
}

/// True when trying again cannot help: the file's content is wrong, not its surroundings.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => matches!(
            code,
            ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
        ),
        None => matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..)
        ),
    }
}
