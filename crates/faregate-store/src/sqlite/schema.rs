//! What kind of file it is, and how an older one becomes a newer one.
//!
//! A file carries two numbers of SQLite's header: `application_id` says ledger or wallet, `user_version` how many
//! migrations it has seen. Migrations are never edited, only added.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::connection::OpenError;
use crate::SchemaVersion;

/// One kind of file.
#[derive(Debug)]
pub(super) struct Schema {
    /// For people.
    pub(super) name: &'static str,
    /// Four letters in the file's header.
    application_id: i32,
    /// In order; the version of a file is how many it has seen.
    migrations: &'static [&'static str],
}

/// The books of a seller or an operator.
pub(super) const LEDGER: Schema = Schema {
    name: "ledger",
    application_id: i32::from_be_bytes(*b"FGLD"),
    migrations: &[
        include_str!("migrations/ledger/0001_payments.sql"),
        include_str!("migrations/ledger/0002_finality.sql"),
        include_str!("migrations/ledger/0003_revocations.sql"),
        include_str!("migrations/ledger/0004_events.sql"),
        include_str!("migrations/ledger/0005_access.sql"),
        include_str!("migrations/ledger/0006_credit.sql"),
        include_str!("migrations/ledger/0007_credit_pairs.sql"),
        include_str!("migrations/ledger/0008_held.sql"),
        include_str!("migrations/ledger/0009_redemptions.sql"),
    ],
};

/// The books of a payer.
pub(super) const WALLET: Schema = Schema {
    name: "wallet",
    application_id: i32::from_be_bytes(*b"FGWA"),
    migrations: &[
        include_str!("migrations/wallet/0001_spends.sql"),
        include_str!("migrations/wallet/0002_terms_and_requests.sql"),
        include_str!("migrations/wallet/0003_units.sql"),
        include_str!("migrations/wallet/0004_tokens.sql"),
        include_str!("migrations/wallet/0005_repayments.sql"),
    ],
};

impl Schema {
    /// The newest version this program knows.
    fn newest(&self) -> i64 {
        i64::try_from(self.migrations.len()).unwrap_or(i64::MAX)
    }

    /// Looks at a file without changing it; returns its version.
    ///
    /// # Errors
    /// [`OpenError::OtherKind`] and [`OpenError::Newer`], or what SQLite says about a file that is none of its own.
    pub(super) fn check(&self, conn: &mut Connection) -> Result<i64, OpenError> {
        // One snapshot: another process may be creating the tables right now.
        let snapshot = conn.transaction()?;
        let version = self.inspect(&snapshot)?;
        snapshot.finish()?;
        Ok(version)
    }

    fn inspect(&self, snapshot: &Transaction<'_>) -> Result<i64, OpenError> {
        let application_id: i32 =
            snapshot.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let version: i64 = snapshot.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let tables: i64 =
            snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let fresh = application_id == 0 && version == 0 && tables == 0;
        if !fresh && application_id != self.application_id {
            return Err(OpenError::OtherKind {
                expected: self.name,
            });
        }
        if version > self.newest() {
            return Err(OpenError::Newer {
                found: version,
                known: self.newest(),
            });
        }
        Ok(version)
    }

    /// What the version is and could be.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(super) fn version(&self, conn: &mut Connection) -> Result<SchemaVersion, OpenError> {
        let found = self.check(conn)?;
        let newest = self.newest();
        Ok(SchemaVersion { found, newest })
    }

    /// What the version of a file that is not there is and could be.
    pub(super) fn missing(&self) -> SchemaVersion {
        SchemaVersion {
            found: 0,
            newest: self.newest(),
        }
    }

    /// Applies the migrations that the file has not seen, all or none. Safe when several processes do it at once.
    pub(super) fn migrate(&self, conn: &mut Connection) -> Result<(), OpenError> {
        if self.check(conn)? == self.newest() {
            return Ok(());
        }
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Again: another process may have been faster.
        let version = self.inspect(&tx)?;
        let seen = usize::try_from(version).map_err(|_| OpenError::Damaged)?;
        for migration in self.migrations.iter().skip(seen) {
            tx.execute_batch(migration)?;
        }
        tx.pragma_update(None, "application_id", self.application_id)?;
        tx.pragma_update(None, "user_version", self.newest())?;
        tx.commit()?;
        tracing::info!(
            file = self.name,
            from = version,
            to = self.newest(),
            "schema brought up to date"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wallet of the first version keeps everything, learns the paths, and stays immutable.
    #[test]
    fn an_older_wallet_is_brought_up_to_date() {
        let mut conn = Connection::open_in_memory().unwrap();
        conn.pragma_update(None, "foreign_keys", true).unwrap();
        let first = Schema {
            name: WALLET.name,
            application_id: WALLET.application_id,
            migrations: &[include_str!("migrations/wallet/0001_spends.sql")],
        };
        first.migrate(&mut conn).unwrap();
        let resources = [
            "GET /a b #0123456789abcdef",
            "GET / #0123456789abcdef",
            "odd",
        ];
        for (number, resource) in (1_u8..).zip(resources) {
            conn.execute(
                "INSERT INTO spend (id, origin, resource, payee, asset, amount, worth, signed_at, valid_until, credential, \
                 state, transaction_ref) VALUES (?1, 'https://a.example', ?2, 'p', 'a', '1', '1', 5, 6, x'07', 'paid', '0x1')",
                rusqlite::params![vec![number; 32], resource],
            )
            .unwrap();
        }
        conn.execute_batch(
            "INSERT INTO signed_for_origin VALUES ('https://a.example', '3'); INSERT INTO signed_in_slot VALUES (2, 7, '3');",
        )
        .unwrap();
        WALLET.migrate(&mut conn).unwrap();
        for sums in [
            "SELECT 1 FROM signed_for_origin WHERE origin = 'https://a.example' AND unit = 'usd' AND worth = '3'",
            "SELECT 1 FROM signed_in_slot WHERE unit = 'usd' AND level = 2 AND slot = 7 AND worth = '3'",
        ] {
            let found: i64 = conn.query_row(sums, [], |row| row.get(0)).unwrap();
            assert_eq!(found, 1);
        }
        let mut query = conn
            .prepare("SELECT path, resource, transaction_ref, credential FROM spend ORDER BY seq")
            .unwrap();
        let rows: Vec<(String, String, String, Vec<u8>)> = query
            .query_map([], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .unwrap()
            .map(Result::unwrap)
            .collect();
        drop(query);
        let expected = ["/a b", "/", ""].into_iter().zip(resources);
        let expected: Vec<_> = expected
            .map(|(path, resource)| (path.into(), resource.into(), "0x1".into(), vec![7]))
            .collect();
        assert_eq!(rows, expected);
        conn.execute("UPDATE spend SET state = 'unused'", [])
            .unwrap();
        for column in ["path", "payer"] {
            let change = format!("UPDATE spend SET {column} = 'x'");
            assert!(conn.execute(&change, []).is_err());
        }
        assert!(conn.execute("DELETE FROM spend", []).is_err());
        WALLET.migrate(&mut conn).unwrap();
    }
}
