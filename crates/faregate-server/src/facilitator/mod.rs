//! A facilitator as a service: `GET /supported`, `POST /verify`, `POST /settle` (x402 wire facts §3.1), `POST /tabs` where it
//! gives credit, and health.
//!
//! | what happened | answer |
//! |---|---|
//! | a verdict, whichever | 200, `isValid` or `success` says which |
//! | the end of a settlement is not known yet | 200, `success: false`, `settlement_pending`, the transaction if one is known |
//! | it is settled, and somebody heard of it before | 200, `success: false`, `duplicate_settlement`, the transaction; see `heard` |
//! | the body is no request | 400 or 413 with `isValid: false` or `success: false`, the reason, and problem details |
//! | the body is not said to be JSON | 415, the same members |
//! | no key, or one that nobody has | 401 with `WWW-Authenticate: Bearer` and problem details |
//! | a payee the caller may not settle for | 403, `payee_not_allowed` |
//! | more calls than allowed, or a payer whose settlements fail | 429 with `Retry-After` |
//! | ledger, chain or facilitator away | 503 with `Retry-After`, problem details, and on purpose no verdict |
//! | scheme `4mica-credit` | see `credit` |
//! | another path or method | 404, 405, problem details |
//!
//! A settlement is claimed in the ledger before it is sent: copies of one request make one transaction, also after a restart.
//! It runs in a task of its own, so that a caller who hangs up does not stop it.

mod access;
mod answer;
mod credit;
mod desk;
mod heard;
mod meter;
mod rate;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use faregate_core::{Clock, Facilitator};
use faregate_ledger::LedgerStore;

use crate::health::{self, Readiness};
use crate::http::{self, Limits, Running, StartError};
use crate::limits;
use crate::recovery::Worker;
use desk::Desk;

pub use access::Access;
pub use credit::CreditNetworks;
pub use meter::describe_metrics;

/// What may be different from one service to the next.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Who may use it.
    pub access: Access,
    /// Where it gives credit.
    pub credit: CreditNetworks,
    /// How long stopping waits for settlements in progress.
    pub shutdown: Duration,
}

impl Default for Settings {
    /// Open to everybody, with the default limits.
    fn default() -> Self {
        Self {
            access: Access::default(),
            credit: CreditNetworks::default(),
            shutdown: limits::SHUTDOWN_TIMEOUT,
        }
    }
}

impl Settings {
    /// With these callers.
    #[must_use]
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// With credit on these networks.
    #[must_use]
    pub fn credit(mut self, networks: CreditNetworks) -> Self {
        self.credit = networks;
        self
    }

    /// With another time for stopping.
    #[must_use]
    pub const fn shutdown(mut self, shutdown: Duration) -> Self {
        self.shutdown = shutdown;
        self
    }
}

/// The service on a port of its own.
#[derive(Debug)]
#[non_exhaustive]
pub struct FacilitatorServer;

impl FacilitatorServer {
    /// Starts it, open to everybody. It answers when this returns; stopping it waits for settlements in progress. While it
    /// runs, settlements whose end is unknown are resolved in the background.
    ///
    /// # Errors
    /// [`StartError`] when the address cannot be bound.
    pub async fn start(
        bind: SocketAddr,
        facilitator: Arc<dyn Facilitator>,
        store: Arc<dyn LedgerStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Running, StartError> {
        Self::start_with(bind, facilitator, store, clock, Settings::default()).await
    }

    /// The same with settings.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(
        bind: SocketAddr,
        facilitator: Arc<dyn Facilitator>,
        store: Arc<dyn LedgerStore>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<Running, StartError> {
        let listener = http::listen(bind).await?;
        let desk = Desk::new(
            facilitator,
            store,
            Arc::clone(&clock),
            settings.access,
            settings.credit,
        );
        let (settles, recovery) = (desk.settles(), desk.recovery());
        let limits = Limits {
            // The service bounds its bodies itself, far below the default, and says so in the protocol's shape.
            body_bytes_max: u64::MAX,
            shutdown_timeout: settings.shutdown,
            ..Limits::default()
        };
        let running = http::serve(listener, routes(desk), limits, "facilitator")?;
        let worker = Worker::start(recovery, clock, "facilitator");
        Ok(running
            .drain_also(async move { settles.ended().await })
            .drain_also(worker.stop()))
    }
}

/// The service without a port, for tests and for a router of your own. Settlements that outlive their caller are not waited
/// for; [`FacilitatorServer`] does that.
pub fn router(
    facilitator: Arc<dyn Facilitator>,
    store: Arc<dyn LedgerStore>,
    clock: Arc<dyn Clock>,
    settings: Settings,
) -> Router {
    let Settings { access, credit, .. } = settings;
    routes(Desk::new(facilitator, store, clock, access, credit))
}

fn routes(desk: Desk) -> Router {
    let health = health::router(Readiness::new(desk.store(), Some(desk.facilitator())));
    let tabs = match desk.gives_credit() {
        true => Router::new().route("/tabs", post(desk::tabs)),
        false => Router::new(),
    };
    tabs.route("/supported", get(desk::supported))
        .route("/verify", post(desk::verify))
        .route("/settle", post(desk::settle))
        .with_state(desk)
        .merge(health)
        .fallback(async || http::not_found())
        .method_not_allowed_fallback(async || http::method_not_allowed())
}
