//! Databases for tests: a schema of its own for each, in the database that the environment names.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::sync::atomic::{AtomicU32, Ordering};

use faregate_store::postgres::{PostgresLedger, PostgresUrl};
use tokio_postgres::NoTls;

/// The address of a database in which tests may make schemas.
pub(crate) const VARIABLE: &str = "FAREGATE_TEST_POSTGRES";

/// The address, or a line that says why there is no test.
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn address() -> Option<String> {
    let address = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    if address.is_none() {
        eprintln!("skipped: needs PostgreSQL ({VARIABLE} names none)");
    }
    address
}

/// An empty place for one ledger. Removed with its tables at the end, unless the test fails.
pub(crate) struct Place {
    address: String,
    schema: String,
}

impl Place {
    /// Makes it, if there is a database.
    pub(crate) async fn new() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let place = Self {
            address: address()?,
            schema: format!("faregate_test_{}_{number}", std::process::id()),
        };
        let schema = &place.schema;
        place
            .run(&format!(
                "DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}"
            ))
            .await;
        Some(place)
    }

    /// The address of the place.
    pub(crate) fn text(&self) -> String {
        let first = if self.address.contains('?') { '&' } else { '?' };
        format!(
            "{}{first}options=-c%20search_path%3D{schema}&application_name={schema}",
            self.address,
            schema = self.schema
        )
    }

    /// The name of its schema, which is also what its connections are called.
    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    pub(crate) fn url(&self) -> PostgresUrl {
        PostgresUrl::parse(&self.text()).unwrap()
    }

    /// A ledger over it.
    pub(crate) async fn open(&self) -> PostgresLedger {
        PostgresLedger::open(&self.url()).await.unwrap()
    }

    /// Runs SQL beside the ledger.
    pub(crate) async fn run(&self, sql: &str) {
        self.try_run(sql).await.unwrap();
    }

    /// Runs SQL that may be refused.
    pub(crate) async fn try_run(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.address, NoTls).await?;
        let driver = tokio::spawn(connection);
        let done = async {
            client
                .batch_execute("SET client_min_messages = warning")
                .await?;
            client
                .batch_execute(&format!("SET search_path = {}", self.schema))
                .await?;
            client.batch_execute(sql).await
        };
        let done = done.await;
        drop(client);
        driver.await.unwrap().unwrap();
        done
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let drop = format!("DROP SCHEMA IF EXISTS {} CASCADE", self.schema);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                runtime.unwrap().block_on(self.run(&drop));
            });
        });
    }
}
