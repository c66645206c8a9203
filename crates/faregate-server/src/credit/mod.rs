//! The credit service: the HTTP API of the 4Mica network, as its SDKs 0.4.3 and 1.1.1 speak it (specs/4mica.md §1).
//!
//! | question | where |
//! |---|---|
//! | which calls there are, and who may make them | `routes`, one table; the document of it: `openapi` |
//! | who is calling | `auth`; administrators: `admin_keys` |
//! | how often somebody may call | `rates` |
//! | tabs, guarantees, lists | `tabs`, `guarantees`, `lists`; on the wire: `wire` |
//! | where signatures are checked and made | `workers` |
//! | what is done without being asked | `upkeep` |
//!
//! | what happened | answer |
//! |---|---|
//! | it worked | 200 and JSON |
//! | the request says something that cannot be, or the rules refuse it | 400, 404, 409, 413, 415 |
//! | nobody knows who asks; also every fault of an `x-api-key` | 401 |
//! | it is known who asks, and they may not | 403 |
//! | more often than allowed | 429 with `Retry-After` |
//! | books or chain away, or too much to do | 503 with `Retry-After` |
//!
//! All of them are `{"error": "<text>"}`, with the texts of the network where it has any, also what the HTTP base says: too much to do,
//! too late, a panic. Only a head that is no HTTP, or too large, is answered without a body.

mod admin_keys;
mod auth;
mod cors;
mod guarantees;
mod lists;
mod meter;
mod openapi;
mod params;
mod rates;
mod refusal;
mod routes;
mod schemas;
mod tabs;
mod upkeep;
mod wire;
mod workers;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use faregate_core::Clock;
use faregate_core::credit::Terms;
use faregate_core::port::access::{AccessStore, ContractWallets, Recover};
use faregate_core::port::credit::CreditStore;
use faregate_types::credit::api::SupportedToken;
use faregate_types::credit::{BlsSecretKey, Message, write};
use faregate_types::{Address, ChainId, Secret};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use tokio::sync::{Semaphore, watch};

use crate::http::{self as base, AddressRange, Limits, Proxies, Running, StartError};
use crate::limits;
use auth::{Auth, Caller};
use params::Published;
use rates::Rates;
use refusal::Refusal;
use routes::Call;
use workers::Workers;

pub use auth::{AuthSettings, Role, Scope, Scopes, Standing, TokenKey};
pub use meter::describe_metrics;
pub use rates::RateSettings;

/// What everybody may know of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that configuration code builds by literal"
)]
pub struct Parameters {
    /// The chain of the contract.
    pub chain: ChainId,
    /// The contract that holds the collateral.
    pub contract: Address,
    /// A node for clients; empty when they have to bring their own.
    pub node_url: Box<str>,
    /// The name of the domain in which claims are signed.
    pub eip712_name: Box<str>,
    /// The version of the domain.
    pub eip712_version: Box<str>,
    /// What can be deposited besides ETH.
    pub tokens: Vec<SupportedToken>,
    /// The registries whose validations count. Empty: none, so guarantees of version 2 are refused.
    pub registries: Vec<Address>,
}

/// What may be different from one service to the next.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that configuration code builds by literal"
)]
pub struct Settings {
    /// What everybody may know.
    pub parameters: Parameters,
    /// How wallets sign in.
    pub auth: AuthSettings,
    /// How often somebody may call.
    pub rates: RateSettings,
    /// Origins whose pages may call, e.g. `https://shop.example`. Empty: none.
    pub origins: Vec<HeaderValue>,
    /// Proxies that are believed when they say whom they heard from.
    pub proxies: Vec<AddressRange>,
    /// How long stopping waits for guarantees in progress.
    pub shutdown: Duration,
}

/// What is known of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "each is answered in its own way")]
pub enum ChainStanding {
    /// The books are at its end.
    Followed,
    /// The node does not answer, or lags.
    Away,
    /// It was reorganised below the confirmed depth: the books are not on it, and nobody knows what they are worth.
    Forked {
        /// The block at which the books stand.
        block: u64,
    },
}

/// The parts that the service is put together from.
#[allow(
    clippy::exhaustive_structs,
    reason = "whoever wires a service names each part"
)]
pub struct Service {
    /// Tabs, guarantees, collateral.
    pub books: Arc<dyn CreditStore>,
    /// Sessions and administrators' keys.
    pub access: Arc<dyn AccessStore>,
    /// What contract and operator allow, now.
    pub terms: watch::Receiver<Arc<Terms>>,
    /// Whether the chain is followed, now.
    pub chain: watch::Receiver<ChainStanding>,
    /// Signs certificates.
    pub key: BlsSecretKey,
    /// Who signed: `faregate_evm::recover`.
    pub recover: Recover,
    /// Asks wallets that are contracts, if there is somebody who can.
    pub contracts: Option<Arc<dyn ContractWallets>>,
    /// From which the first administrator's key follows, if there is to be one.
    pub admin_seed: Option<Secret>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreditError {
    /// The address cannot be bound.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The books cannot be written.
    #[error("the key of the administrator could not be kept: {0}")]
    Store(#[from] faregate_ledger::StoreError),
    /// The system gives no threads.
    #[error("no threads for signatures: {0}")]
    Threads(#[source] std::io::Error),
}

/// Everything the calls share.
struct Parts {
    books: Arc<dyn CreditStore>,
    access: Arc<dyn AccessStore>,
    terms: watch::Receiver<Arc<Terms>>,
    chain: watch::Receiver<ChainStanding>,
    clock: Arc<dyn Clock>,
    published: Published,
    key: Arc<BlsSecretKey>,
    recover: Recover,
    auth: Auth,
    rates: Rates,
    workers: Workers,
    issues: Arc<Semaphore>,
    cors: cors::Origins,
    proxies: Proxies,
    db: params::Database,
}

/// How a call ended.
type Said = Result<Response, Refusal>;

impl Parts {
    async fn new(service: Service, settings: Settings) -> Result<Self, CreditError> {
        let now = service.clock.now();
        let seed = service.admin_seed.as_ref().map(Secret::expose);
        admin_keys::set_bootstrap(&*service.access, seed, now).await?;
        let issues = usize::try_from(limits::CREDIT_ISSUES_MAX).unwrap_or(usize::MAX);
        let (auth, chain) = (settings.auth, settings.parameters.chain);
        Ok(Self {
            books: service.books,
            access: service.access,
            terms: service.terms,
            chain: service.chain,
            clock: service.clock,
            published: Published::new(settings.parameters, service.key.public_key()),
            key: Arc::new(service.key),
            recover: service.recover,
            auth: Auth::new(auth, chain, service.recover, service.contracts),
            rates: Rates::new(settings.rates),
            workers: Workers::start().map_err(CreditError::Threads)?,
            issues: Arc::new(Semaphore::new(issues)),
            cors: cors::Origins::new(settings.origins),
            proxies: Proxies::new(&settings.proxies),
            db: params::Database::default(),
        })
    }

    /// Nothing is promised on books that are not on the chain.
    fn on_chain(&self) -> Result<(), Refusal> {
        match *self.chain.borrow() {
            ChainStanding::Followed | ChainStanding::Away => Ok(()),
            ChainStanding::Forked { block } => Err(Refusal::forked(block)),
        }
    }

    /// What is allowed now.
    fn terms(&self) -> Arc<Terms> {
        Arc::clone(&self.terms.borrow())
    }
}

/// The service on a port of its own.
#[derive(Debug)]
#[non_exhaustive]
pub struct CreditServer;

impl CreditServer {
    /// Starts it. It answers when this returns; stopping it waits for guarantees in progress. While it runs, certificates that
    /// a crash left unsigned are signed in the background.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn start(
        bind: SocketAddr,
        service: Service,
        settings: Settings,
    ) -> Result<Running, CreditError> {
        let listener = base::listen(bind).await?;
        let limits = Limits {
            // The service bounds its bodies itself, far below the default, and says so in its own shape.
            body_bytes_max: u64::MAX,
            shutdown_timeout: settings.shutdown,
            ..Limits::default()
        };
        let parts = Arc::new(Parts::new(service, settings).await?);
        let router = routes::router(&parts);
        let running = base::serve_saying(listener, router, limits, "credit", refusal::of_problem)?;
        let upkeep = upkeep::Worker::start(Arc::clone(&parts));
        let issues = Arc::clone(&parts.issues);
        Ok(running
            .drain_also(async move {
                // Never closed; an error would mean that nothing can be in progress.
                drop(issues.acquire_many(limits::CREDIT_ISSUES_MAX).await);
            })
            .drain_also(upkeep.stop()))
    }
}

/// The service without a port and without its upkeep, for tests and for a router of your own.
///
/// # Errors
/// As for [`CreditServer::start`].
pub async fn router(service: Service, settings: Settings) -> Result<Router, CreditError> {
    let parts = Parts::new(service, settings).await?;
    Ok(routes::router(&Arc::new(parts)))
}

/// 200 with a message of the wire.
fn message<M: Message>(message: &M) -> Response {
    json(write(message))
}

/// 200 with JSON. Nobody keeps it.
fn json(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Bytes nobody can guess.
fn chance<const N: usize>() -> Result<[u8; N], Refusal> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Refusal::away())?;
    Ok(bytes)
}
