//! The gate: a reverse proxy with prices. Every request goes through `stack`; what it costs and where it goes comes from
//! one `table`; `proxy` carries it there.
//!
//! | request | answer |
//! |---|---|
//! | to a priced route, without a credential | 402 with every way to pay |
//! | to a priced route, with one | see [`faregate_tower::respond`] |
//! | to a free route | the upstream's |
//! | for a WebSocket on a priced route | as above, then the connection; 400 when the route settles after it served |
//! | `POST /token` and below it, if some route takes permits | an access token: see [`faregate_tower::desk`] |
//! | `POST /.well-known/faregate/tabs`, if some route takes credit | a tab: see [`faregate_tower::tabs`] |
//! | to no route | 404, or 405 when another method has one; or the upstream's with `unmatched = "free"` |
//! | `GET /.well-known/l402.json`, `…/l402-services` | what is sold over Lightning, if anything is |
//! | a path that can be read in two ways | 400 |
//! | `GET /livez`, `GET /readyz` | health of the gate itself, whatever the routes say |
//! | the upstream is away, slow, broken | 502, 504, 502; nothing was charged unless the route settles first |

mod discovery;
mod forward;
pub mod limits;
mod proxy;
mod quote;
mod stack;
mod table;
mod tls;
mod tunnel;

use std::sync::Arc;

use faregate_core::port::Away;
use faregate_core::rail::Rail;
use faregate_core::rail::credit::Credit;
use faregate_core::rail::l402::L402;
use faregate_core::rail::permit::{Permits, Quotes};
use faregate_core::rail::x402::X402;
use faregate_core::{Ask, Clock, Facilitator, OfferError, Recovery, Till};
use faregate_ledger::LedgerStore;
pub use faregate_tower::{Events, Heard, Subscription};
use faregate_tower::{Purchases, TabDesk, TokenDesk};
use faregate_types::Code;
use faregate_types::x402::{Kind, SupportedResponse, Version};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::config::{GatewayConfig, LightningConfig, RouteConfig, RoutePrice};
use crate::health::Readiness;
use crate::http::{self, Gauge, Limits, Running};
use crate::recovery::Worker;
use table::Table;

pub use stack::{Gate, GateFuture};
pub use tls::TlsError;

/// Registers what the metrics of a gate mean, with those of its paywalls.
pub fn describe_metrics() {
    faregate_tower::describe_metrics();
    tunnel::describe_metrics();
    crate::recovery::describe_metrics();
    crate::webhook::describe_metrics();
}

/// What a gate stands on.
#[derive(Clone)]
#[allow(
    clippy::exhaustive_structs,
    reason = "made by literal in the program that wires"
)]
pub struct Deps {
    /// Who verifies and settles; needed by routes that ask for tokens.
    pub facilitator: Option<Arc<dyn Facilitator>>,
    /// Who makes Lightning invoices ([`LightningConfig::rail`](crate::config::LightningConfig::rail)); needed by routes that
    /// ask for satoshis.
    pub l402: Option<Arc<L402>>,
    /// Who takes permits and gives out access tokens; needed by routes that ask for permits.
    pub permits: Option<Arc<Permits>>,
    /// Who takes guarantees on credit; needed by routes that ask for them.
    pub credit: Option<Credit>,
    /// The books.
    pub store: Arc<dyn LedgerStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who listens to what happens, if anybody does.
    pub events: Option<Events>,
}

impl std::fmt::Debug for Deps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deps").finish_non_exhaustive()
    }
}

/// Why a gate does not start. A paid route that nobody could pay for is never served, neither free nor shut.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be bound.
    #[error(transparent)]
    Http(#[from] http::StartError),
    /// A price that is no offer.
    #[error("{route}: {source}")]
    Offer {
        /// The route.
        route: Box<str>,
        /// Why not.
        source: OfferError,
    },
    /// A paid route without a rail that could be paid.
    #[error("{route}: no rail can be paid for this route")]
    NoRail {
        /// The route.
        route: Box<str>,
    },
    /// A route asks for a payment that no rail here takes.
    #[error("{route}: nothing here can be paid {what}")]
    NotTaken {
        /// The route.
        route: Box<str>,
        /// The payment.
        what: Box<str>,
    },
    /// The facilitator does not settle what a route asks for.
    #[error("{route}: the facilitator does not settle scheme exact on {network}")]
    NotSupported {
        /// The route.
        route: Box<str>,
        /// The network.
        network: Box<str>,
    },
    /// The facilitator does not say what it settles.
    #[error("the facilitator does not answer ({}); start_without_facilitator = true starts all the same", .0.code)]
    FacilitatorAway(Away),
    /// An upstream with TLS, and nothing that could check its certificate.
    #[error("TLS to upstreams: {}{source}", .file.as_deref().map(|file| format!("{} ", file.display())).unwrap_or_default())]
    Tls {
        /// The file of additional authorities, if one was named.
        file: Option<Box<std::path::Path>>,
        /// Why not.
        source: TlsError,
    },
    /// An upstream that cannot be called.
    #[error("{route}: {url} is no upstream for this gate")]
    Upstream {
        /// The route.
        route: Box<str>,
        /// Its URL, which has no secrets.
        url: Box<str>,
    },
}

impl StartError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Http(_) => Code::Internal,
            Self::Offer { .. }
            | Self::NoRail { .. }
            | Self::NotTaken { .. }
            | Self::NotSupported { .. }
            | Self::Tls { .. }
            | Self::Upstream { .. } => Code::ConfigInvalid,
            Self::FacilitatorAway(away) => away.code,
        }
    }
}

/// The gate on a port of its own.
#[derive(Debug)]
#[non_exhaustive]
pub struct Gateway;

impl Gateway {
    /// Asks the facilitator what it settles, compares that with the routes, and starts. It answers when this returns;
    /// stopping it waits for purchases in progress, also for those whose payer hung up. While it runs, payments whose end
    /// is unknown are resolved in the background.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: GatewayConfig, deps: Deps) -> Result<Running, StartError> {
        let listener = http::listen(config.bind).await?;
        Self::start_on(listener, config, deps).await
    }

    /// The same on a listener that is bound already, for whoever has to know the port before the public URL.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_on(
        listener: TcpListener,
        config: GatewayConfig,
        deps: Deps,
    ) -> Result<Running, StartError> {
        if let Some(facilitator) = &deps.facilitator {
            check_support(&config, facilitator.as_ref()).await?;
        }
        let clock = Arc::clone(&deps.clock);
        let Built {
            gate,
            purchases,
            recovery,
        } = build(&config, deps)?;
        let running = http::serve(listener, gate, http_limits(&config), "gate")?;
        let worker = Worker::start(recovery, clock, "gate");
        Ok(running
            .drain_also(async move { purchases.ended().await })
            .drain_also(worker.stop()))
    }
}

/// The gate without a port, without the recovery of open payments and without asking the facilitator first, for tests and for a server of your own. The bounds of
/// [`http`] are not around it.
///
/// # Errors
/// [`StartError`] for routes that cannot be served.
pub fn router(config: &GatewayConfig, deps: Deps) -> Result<Gate, StartError> {
    build(config, deps).map(|built| built.gate)
}

struct Built {
    gate: Gate,
    purchases: Purchases,
    recovery: Recovery,
}

/// Whether the parts of a gate can work.
#[must_use]
pub fn readiness(config: &GatewayConfig, deps: &Deps) -> Readiness {
    let asked = |config: &LightningConfig| config.backend.knows_hashes();
    let wallet = deps.l402.as_ref();
    let wallet = wallet.filter(|_| config.lightning.as_ref().is_none_or(asked));
    Readiness::with_wallet(
        Arc::clone(&deps.store),
        deps.facilitator.clone(),
        wallet.map(|rail| rail.receiver().clone()),
    )
    .and_credit(
        deps.credit
            .iter()
            .flat_map(Credit::issuers)
            .cloned()
            .collect(),
    )
}

fn build(config: &GatewayConfig, deps: Deps) -> Result<Built, StartError> {
    let readiness = readiness(config, &deps);
    let Deps {
        facilitator,
        l402,
        permits,
        credit,
        store,
        clock,
        events,
    } = deps;
    // Before x402, whose headers it shares.
    let on_credit = credit.clone().map(|rail| Arc::new(rail) as Arc<dyn Rail>);
    let x402 = facilitator.map(|facilitator| Arc::new(X402::new(facilitator)) as Arc<dyn Rail>);
    let l402 = l402.map(|rail| rail as Arc<dyn Rail>);
    // Last, because any `Authorization` that nobody else understands is an access token that is wrong.
    let tokens = permits.clone().map(|rail| rail as Arc<dyn Rail>);
    let rails = on_credit.into_iter().chain(x402);
    let rails = rails.chain(l402).chain(tokens).collect();
    let till = Till::new(store, clock, rails);
    let till = match events {
        Some(events) => till.observed_by(Arc::new(events)),
        None => till,
    };
    let purchases = Purchases::default();
    let table = Table::new(config, &till, &purchases)?;
    let desk = match permits {
        Some(permits) => desk(config, &till, permits, &purchases)?,
        None => None,
    };
    let tabs = match credit {
        Some(credit) => tabs(config, &credit)?,
        None => None,
    };
    let tunnels = Gauge::new(config.limits.tunnels_max);
    Ok(Built {
        gate: Gate::new(table, (desk, tabs), readiness, tunnels, config),
        purchases,
        recovery: till.recovery().keeping(
            config.limits.replay_window.as_secs(),
            config.limits.kept_total_bytes_max,
        ),
    })
}

/// The token endpoint, if some route takes permits.
fn desk(
    config: &GatewayConfig,
    till: &Till,
    permits: Arc<Permits>,
    purchases: &Purchases,
) -> Result<Option<TokenDesk>, StartError> {
    let offers = table::offers(config)?;
    let quotes = Quotes::of(&offers).map_err(|source| StartError::Offer {
        route: permits.endpoint().as_str().into(),
        source,
    })?;
    if quotes.is_empty() {
        return Ok(None);
    }
    let (cors, purchases) = (config.cors.clone(), purchases.clone());
    Ok(Some(TokenDesk::new(
        till.clone(),
        permits,
        quotes,
        cors,
        purchases,
    )))
}

/// The tab endpoint, if some route takes credit.
fn tabs(config: &GatewayConfig, credit: &Credit) -> Result<Option<TabDesk>, StartError> {
    let Some(settings) = &config.credit else {
        return Ok(None);
    };
    let (path, tabs) = (settings.tab_path.clone(), credit.tabs().clone());
    let desk = TabDesk::new(path, tabs, &table::offers(config)?, config.cors.clone());
    Ok((!desk.is_empty()).then_some(desk))
}

fn http_limits(config: &GatewayConfig) -> Limits {
    let own = &config.limits;
    Limits {
        body_bytes_max: u64::try_from(own.request_body_bytes_max).unwrap_or(u64::MAX),
        requests_max: own.requests_max,
        connections_max: own.connections_max,
        request_timeout: own.request_timeout,
        ..Limits::default()
    }
}

/// Every ask of every route against what the facilitator says it settles.
async fn check_support(
    config: &GatewayConfig,
    facilitator: &dyn Facilitator,
) -> Result<(), StartError> {
    let asks_for_tokens = |route: &RouteConfig| match &route.price {
        RoutePrice::Free => false,
        RoutePrice::Paid(offer) => offer.asks.iter().any(|ask| ask.as_token().is_some()),
    };
    if !config.routes.iter().any(asks_for_tokens) {
        return Ok(());
    }
    let late = Away {
        code: Code::FacilitatorUnavailable,
    };
    let answer = timeout(limits::SUPPORTED_TIMEOUT, facilitator.supported()).await;
    let supported = match answer.unwrap_or(Err(late)) {
        Ok(supported) => supported,
        Err(away) if config.start_without_facilitator => {
            tracing::warn!(code = %away.code, "the facilitator is away; paid requests get 503 until it is back");
            return Ok(());
        }
        Err(away) => return Err(StartError::FacilitatorAway(away)),
    };
    for route in &config.routes {
        check_route(route, &supported)?;
    }
    Ok(())
}

/// The official facilitators list every v1 name there ever was, whatever chain they are on. So whoever speaks v2 is believed
/// for v2 only, which is also what payers choose first.
fn check_route(route: &RouteConfig, supported: &SupportedResponse) -> Result<(), StartError> {
    let RoutePrice::Paid(offer) = &route.price else {
        return Ok(());
    };
    let speaks = |version: Version, kind: &Kind| kind.x402_version == u64::from(version.number());
    let newer = supported.kinds.iter().any(|kind| speaks(Version::V2, kind));
    let version = if newer { Version::V2 } else { Version::V1 };
    for ask in offer.asks.iter().filter_map(Ask::as_token) {
        let chain = ask.asset.id.chain();
        let network = chain.to_string();
        let named =
            |name: &str| name == network || name == "eip155:*" || Some(name) == chain.v1_name();
        let settled = supported
            .kinds
            .iter()
            .filter(|kind| speaks(version, kind))
            .any(|kind| kind.scheme == "exact" && named(&kind.network));
        if !settled {
            return Err(StartError::NotSupported {
                route: route.pattern.text().into(),
                network: network.into(),
            });
        }
    }
    Ok(())
}
