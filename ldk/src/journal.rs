//! What was handed to the node to pay, and how it ended.
//!
//! LDK writes a payment into its own list after it was sent, and forgets that it made one some time after it ended. A process
//! that dies in between would not know what it paid, and pay again. So the hash is in here, on the disk, before LDK hears of
//! it, and how it ended is in here before LDK may forget.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use faregate_types::Timestamp;
use faregate_types::lightning::{PaymentHash, Preimage};
use rusqlite::{Connection, OptionalExtension as _, params};

/// What is known of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// LDK may have it.
    Begun {
        /// When its invoice expires.
        expires_at: Timestamp,
    },
    /// It was made.
    Paid {
        /// The proof.
        preimage: [u8; 32],
        /// What the way cost, in millisatoshis.
        fee: Option<u64>,
    },
    /// It was not made, and never will be.
    Failed {
        /// LDK's word for it.
        why: Box<str>,
    },
}

/// Whether a payment is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It is, and was written down.
    New,
    /// It is not.
    Known(Sent),
}

/// The file.
#[derive(Clone)]
pub(crate) struct Journal {
    connection: Arc<Mutex<Connection>>,
}

const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS sent (
    hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
    expires_at INTEGER NOT NULL,
    preimage BLOB CHECK (length(preimage) = 32),
    fee_msat INTEGER,
    failed TEXT,
    CHECK (preimage IS NULL OR failed IS NULL)
) STRICT, WITHOUT ROWID;
";

impl Journal {
    /// Opens the file, or makes it.
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// Writes down that this will be handed to LDK, unless that was done before.
    pub(crate) fn begin(
        &self,
        hash: &PaymentHash,
        expires_at: Timestamp,
    ) -> rusqlite::Result<Begun> {
        let sql = "INSERT INTO sent (hash, expires_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        let written = self.with(|connection| {
            connection.execute(sql, params![hash.as_bytes(), seconds(expires_at)])
        })?;
        if written == 1 {
            return Ok(Begun::New);
        }
        let known = self.look_up(hash)?;
        Ok(known.map_or(Begun::New, Begun::Known))
    }

    /// Takes back a beginning that LDK did not hear of.
    pub(crate) fn forget(&self, hash: &PaymentHash) -> rusqlite::Result<()> {
        let sql = "DELETE FROM sent WHERE hash = ?1 AND preimage IS NULL AND failed IS NULL";
        self.with(|connection| connection.execute(sql, params![hash.as_bytes()]))?;
        Ok(())
    }

    /// It was made. Whatever was said of it before: this has its proof.
    pub(crate) fn paid(
        &self,
        hash: &PaymentHash,
        preimage: &Preimage,
        fee: Option<u64>,
    ) -> rusqlite::Result<()> {
        let sql = "INSERT INTO sent (hash, expires_at, preimage, fee_msat) VALUES (?1, 0, ?2, ?3)
            ON CONFLICT DO UPDATE SET preimage = ?2, fee_msat = ?3, failed = NULL";
        let fee = fee.and_then(|fee| i64::try_from(fee).ok());
        let preimage = preimage.expose();
        self.with(|connection| connection.execute(sql, params![hash.as_bytes(), preimage, fee]))?;
        Ok(())
    }

    /// It was not made, and never will be. Says nothing against a proof.
    pub(crate) fn failed(&self, hash: &PaymentHash, why: &str) -> rusqlite::Result<()> {
        let sql = "INSERT INTO sent (hash, expires_at, failed) VALUES (?1, 0, ?2)
            ON CONFLICT DO UPDATE SET failed = ?2 WHERE preimage IS NULL";
        self.with(|connection| connection.execute(sql, params![hash.as_bytes(), why]))?;
        Ok(())
    }

    /// What is known of this payment.
    pub(crate) fn look_up(&self, hash: &PaymentHash) -> rusqlite::Result<Option<Sent>> {
        let sql = "SELECT expires_at, preimage, fee_msat, failed FROM sent WHERE hash = ?1";
        self.with(|connection| {
            let read = |row: &rusqlite::Row<'_>| {
                let (expires_at, preimage) = (row.get::<_, i64>(0)?, row.get(1)?);
                let (fee, failed): (Option<i64>, Option<String>) = (row.get(2)?, row.get(3)?);
                Ok(match (preimage, failed) {
                    (Some(preimage), _) => Sent::Paid {
                        preimage,
                        fee: fee.and_then(|fee| u64::try_from(fee).ok()),
                    },
                    (None, Some(why)) => Sent::Failed { why: why.into() },
                    (None, None) => Sent::Begun {
                        expires_at: Timestamp::from_secs(u64::try_from(expires_at).unwrap_or(0)),
                    },
                })
            };
            connection
                .query_row(sql, params![hash.as_bytes()], read)
                .optional()
        })
    }

    fn with<T>(&self, act: impl FnOnce(&Connection) -> T) -> T {
        act(&self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner))
    }
}

fn seconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may")]

    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn a_payment_begins_once_and_its_proof_is_the_last_word() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sent.db");
        let preimage = Preimage::from_bytes([7; 32]);
        let hash = preimage.hash();
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.look_up(&hash).unwrap(), None);
        assert_eq!(journal.begin(&hash, at(9)).unwrap(), Begun::New);
        drop(journal);

        let journal = Journal::open(&path).unwrap();
        let begun = Sent::Begun { expires_at: at(9) };
        assert_eq!(journal.begin(&hash, at(10)).unwrap(), Begun::Known(begun));
        journal.failed(&hash, "why").unwrap();
        let failed = Sent::Failed { why: "why".into() };
        assert_eq!(journal.begin(&hash, at(9)).unwrap(), Begun::Known(failed));
        journal.paid(&hash, &preimage, Some(3)).unwrap();
        journal.failed(&hash, "late").unwrap();
        journal.forget(&hash).unwrap();
        let paid = Sent::Paid {
            preimage: [7; 32],
            fee: Some(3),
        };
        assert_eq!(journal.look_up(&hash).unwrap(), Some(paid));
    }

    #[test]
    fn what_the_node_never_heard_of_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("sent.db")).unwrap();
        let hash = PaymentHash::from_bytes([1; 32]);
        journal.begin(&hash, at(9)).unwrap();
        journal.forget(&hash).unwrap();
        assert_eq!(journal.begin(&hash, at(9)).unwrap(), Begun::New);
    }

    #[test]
    fn an_end_is_kept_of_a_payment_whose_beginning_is_not_here() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("sent.db")).unwrap();
        let hash = PaymentHash::from_bytes([2; 32]);
        journal.failed(&hash, "why").unwrap();
        let failed = Sent::Failed { why: "why".into() };
        assert_eq!(journal.look_up(&hash).unwrap(), Some(failed));
    }
}
