//! Managed mode as a service: invoices for others (owners), paid out to their Lightning addresses, and a directory of priced
//! APIs, in the shapes of l402kit's service (specs/l402.md §2.5).
//!
//! | call | answer |
//! |---|---|
//! | `POST /api/invoice` `{amountSats, ownerAddress}` | `{paymentRequest, paymentHash, macaroon}` |
//! | `POST /api/verify` `{token}` | `{valid, error?}`: valid is a token of l402kit whose invoice was made here and is paid |
//! | `POST /api/register` `{url, name, price_sats, lightning_address, description?, category?}` | `{ok, id, verified, key?}` |
//! | `GET /api/apis.json?category=` | `{version, count, apis}` |
//!
//! | what happened | answer |
//! |---|---|
//! | the body is no such request | 400, 413 or 415 |
//! | an owner, or an entry, that the caller may not have | 403 |
//! | more calls than allowed | 429 with `Retry-After` |
//! | ledger or wallet away | 503 with `Retry-After` |
//!
//! Who pays out, and how nobody is paid twice: [`faregate_core::custody`].
//!
//! What l402kit's service has and this does not: statistics and subscriptions, which have nothing to do with payments, and
//! logins with a wallet (`/api/lnurl-auth`): theirs takes any signature for a good one, and nothing here needs a login.
//! Payouts need no `/api/split` and no webhook: the wallet itself is asked what was paid.

mod calls;
mod directory;
mod meter;
mod proof;
mod worker;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::{get, post};
use faregate_core::Clock;
use faregate_core::custody::Custody;
use faregate_core::rate::{Bucket, Rate};
use faregate_http::Reach;
use faregate_types::lightning::{LightningAddress, Msat};

use crate::health::{self, Readiness};
use crate::http::{self, Limits, Running, StartError};
use crate::limits;
use crate::strangers::Buckets;
use directory::Directory;
use proof::Prover;
use worker::Worker;

pub use directory::DirectoryError;
pub use meter::describe_metrics;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// For whom money is received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "plain data of a configuration")]
pub enum Owners {
    /// Whoever asks. The operator holds the money of strangers.
    Anybody,
    /// These.
    These(Vec<OwnerRule>),
}

/// Whom one line of a list of owners allows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "plain data of a configuration")]
pub enum OwnerRule {
    /// This address.
    Address(LightningAddress),
    /// Every address at this host.
    Host(Box<str>),
}

impl Owners {
    /// Whether money is received for this address.
    #[must_use]
    pub fn allow(&self, address: &LightningAddress) -> bool {
        match self {
            Self::Anybody => true,
            Self::These(rules) => rules.iter().any(|rule| match rule {
                OwnerRule::Address(owner) => owner == address,
                OwnerRule::Host(host) => **host == *address.host(),
            }),
        }
    }
}

/// What may be different from one service to the next.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that configuration code builds by literal"
)]
pub struct Settings {
    /// For whom money is received.
    pub owners: Owners,
    /// Invoices for one client in a minute.
    pub invoices_per_minute: NonZeroU32,
    /// Invoices for everybody in a minute.
    pub invoices_per_minute_all: NonZeroU32,
    /// Entries one client may make or change in an hour.
    pub registrations_per_hour: NonZeroU32,
    /// Largest invoice.
    pub amount_max: Msat,
    /// The file of the directory; without one it is forgotten when the process ends.
    pub directory: Option<PathBuf>,
    /// Whether APIs on this network may prove what stands about them in the directory.
    pub reach: Reach,
    /// How long stopping waits for what is in progress.
    pub shutdown: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            owners: Owners::These(Vec::new()),
            invoices_per_minute: limits::MANAGED_INVOICES_PER_MINUTE,
            invoices_per_minute_all: limits::MANAGED_INVOICES_PER_MINUTE_ALL,
            registrations_per_hour: limits::MANAGED_REGISTRATIONS_PER_HOUR,
            amount_max: limits::MANAGED_AMOUNT_MAX,
            directory: None,
            reach: Reach::Public,
            shutdown: limits::SHUTDOWN_TIMEOUT,
        }
    }
}

/// Everything the calls share. Cheap to clone.
#[derive(Clone)]
struct Desk(Arc<Parts>);

struct Parts {
    custody: Custody,
    clock: Arc<dyn Clock>,
    directory: Directory,
    prover: Prover,
    owners: Owners,
    amount_max: Msat,
    invoices: Buckets,
    invoices_all: (Rate, Bucket),
    verifications: Buckets,
    registrations: Buckets,
    epoch: Instant,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagedError {
    /// The address cannot be bound.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The directory cannot be read.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// No HTTP client.
    #[error("the HTTP client could not be set up")]
    Client,
}

/// The service on a port of its own.
#[derive(Debug)]
#[non_exhaustive]
pub struct ManagedServer;

impl ManagedServer {
    /// Starts it. It answers when this returns; while it runs, paid invoices are credited and owners are paid out in the
    /// background.
    ///
    /// # Errors
    /// [`ManagedError`].
    pub async fn start(
        bind: SocketAddr,
        custody: Custody,
        readiness: Readiness,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<Running, ManagedError> {
        let listener = http::listen(bind).await?;
        let limits = Limits {
            // The service bounds its bodies itself, far below the default.
            body_bytes_max: u64::MAX,
            shutdown_timeout: settings.shutdown,
            ..Limits::default()
        };
        let router = router(custody.clone(), readiness, clock, settings).await?;
        let running = http::serve(listener, router, limits, "managed")?;
        let worker = Worker::start(custody);
        Ok(running.drain_also(worker.stop()))
    }
}

/// The service without a port and without its worker, for tests and for a router of your own.
///
/// # Errors
/// As for [`ManagedServer::start`].
pub async fn router(
    custody: Custody,
    readiness: Readiness,
    clock: Arc<dyn Clock>,
    settings: Settings,
) -> Result<Router, ManagedError> {
    let buckets = |rate| Buckets::new(limits::STRANGERS_MAX, rate);
    let desk = Desk(Arc::new(Parts {
        custody,
        clock,
        directory: Directory::open(settings.directory).await?,
        prover: Prover::new(settings.reach).map_err(|_| ManagedError::Client)?,
        owners: settings.owners,
        amount_max: settings.amount_max,
        invoices: buckets(Rate::new(settings.invoices_per_minute, MINUTE)),
        invoices_all: (
            Rate::new(settings.invoices_per_minute_all, MINUTE),
            Bucket::default(),
        ),
        verifications: buckets(Rate::new(limits::MANAGED_VERIFICATIONS_PER_MINUTE, MINUTE)),
        registrations: buckets(Rate::new(settings.registrations_per_hour, HOUR)),
        epoch: Instant::now(),
    }));
    Ok(Router::new()
        .route("/api/invoice", post(calls::invoice))
        .route("/api/verify", post(calls::verify))
        .route("/api/register", post(calls::register))
        .route("/api/apis.json", get(calls::apis))
        .with_state(desk)
        .merge(health::router(readiness))
        .fallback(async || http::not_found())
        .method_not_allowed_fallback(async || http::method_not_allowed()))
}
