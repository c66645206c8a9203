//! What goes wrong inside, what the caller is told, and what helps: another try, another connection, or nothing.

use faregate_ledger::{StepError, StoreError};
use tokio_postgres::error::SqlState;

/// The error of one transaction or read.
#[derive(Debug)]
pub(in crate::postgres) enum Fault {
    /// A rule said no.
    Refused(StoreError),
    /// The database holds something this engine cannot have written.
    Damaged(&'static str),
    /// There is no connection, or nobody answers on it.
    Away(&'static str),
    /// The database said no.
    Postgres(tokio_postgres::Error),
}

/// What helps against a fault of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::postgres) enum Remedy {
    /// The same again: somebody else was faster.
    Again,
    /// The same on another connection; this one is of no use any more.
    Reconnect,
    /// Waiting: the database is busy, full or away.
    Wait,
    /// Nothing: the content is wrong, not its surroundings.
    Nothing,
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

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

impl Fault {
    /// What helps.
    pub(in crate::postgres) fn remedy(&self) -> Remedy {
        match self {
            Self::Refused(StoreError::Unavailable) => Remedy::Wait,
            Self::Refused(_) | Self::Damaged(_) => Remedy::Nothing,
            Self::Away(_) => Remedy::Reconnect,
            Self::Postgres(error) => match error.code() {
                Some(code) => of_state(code),
                None if is_misread(error) => Remedy::Nothing,
                None => Remedy::Reconnect,
            },
        }
    }

    /// What the caller is told. Logs what the caller is not told: code and message, never details, which can hold values.
    pub(in crate::postgres) fn told(&self) -> StoreError {
        match self {
            Self::Refused(error) => *error,
            Self::Damaged(what) => {
                tracing::error!(what, "the ledger's database is damaged");
                StoreError::Damaged
            }
            Self::Away(what) => {
                tracing::warn!(what, "the ledger's database cannot be reached");
                StoreError::Unavailable
            }
            Self::Postgres(error) => {
                let error = &describe(error);
                if self.remedy() == Remedy::Nothing {
                    tracing::error!(error, "the ledger's database is damaged");
                    StoreError::Damaged
                } else {
                    tracing::warn!(error, "the ledger's database cannot be used at the moment");
                    StoreError::Unavailable
                }
            }
        }
    }
}

/// A text for people and logs that has no values in it.
pub(in crate::postgres) fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} (SQLSTATE {})", db.message(), db.code().code()),
        None => match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    }
}

fn of_state(code: &SqlState) -> Remedy {
    // A key that is there by now, or a table that is just being made: whoever looks again sees it.
    let raced = [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::UNIQUE_VIOLATION,
    ];
    // The plan or the server behind this connection is not what it was; or it is a copy now that takes no writes.
    let stale = [
        SqlState::FEATURE_NOT_SUPPORTED,
        SqlState::INVALID_SQL_STATEMENT_NAME,
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::IN_FAILED_SQL_TRANSACTION,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    if raced.contains(code) {
        Remedy::Again
    } else if stale.contains(code) || code.code().starts_with("08") {
        Remedy::Reconnect
    } else {
        match code.code().get(..2) {
            // Data that does not fit, constraints, tables that are not there, a corrupted page.
            Some("22" | "23" | "42" | "XX") if *code != SqlState::INSUFFICIENT_PRIVILEGE => {
                Remedy::Nothing
            }
            _ => Remedy::Wait,
        }
    }
}

/// An answer that came and is not what was asked for.
fn is_misread(error: &tokio_postgres::Error) -> bool {
    let text = error.to_string();
    ["error deserializing", "invalid column", "query returned"]
        .iter()
        .any(|start| text.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helps_against_what() {
        let table = [
            ("40001", Remedy::Again),
            ("40P01", Remedy::Again),
            ("23505", Remedy::Again),
            ("08006", Remedy::Reconnect),
            ("57P01", Remedy::Reconnect),
            ("57P03", Remedy::Reconnect),
            ("25006", Remedy::Reconnect),
            ("0A000", Remedy::Reconnect),
            ("26000", Remedy::Reconnect),
            ("55P03", Remedy::Wait),
            ("57014", Remedy::Wait),
            ("53100", Remedy::Wait),
            ("53300", Remedy::Wait),
            ("42501", Remedy::Wait),
            ("28P01", Remedy::Wait),
            ("23514", Remedy::Nothing),
            ("22003", Remedy::Nothing),
            ("42P01", Remedy::Nothing),
            ("XX001", Remedy::Nothing),
        ];
        for (code, remedy) in table {
            assert_eq!(of_state(&SqlState::from_code(code)), remedy, "{code}");
        }
    }

    #[test]
    fn who_asked_is_told_what_to_do_about_it() {
        let table = [
            (Fault::Away("gone"), StoreError::Unavailable),
            (Fault::Damaged("a state"), StoreError::Damaged),
            (StoreError::NotFound.into(), StoreError::NotFound),
        ];
        for (fault, told) in table {
            assert_eq!(fault.told(), told);
        }
    }
}
