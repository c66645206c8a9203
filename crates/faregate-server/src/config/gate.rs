//! `[gate]`: where it listens, what payers call it, who settles for it.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use faregate_core::Ask;
use faregate_tower::Cors;
use faregate_types::TransferMethod;
use http::HeaderValue;
use url::Url;

use super::error::ConfigCode;
use super::facilitator::{FacilitatorSource, Surroundings, URL_VARIABLE, from_environment, source};
use super::gate_credit::{self, GateCreditConfig};
use super::l402::Issuer;
use super::lightning::{self, LightningConfig};
use super::parts::{self, UrlKind};
use super::permit::{self, PermitConfig};
use super::reader::{Inherited, Section};
use super::route::{self, Defaults, RouteConfig, RoutePrice};
use super::store::{self, StoreConfig};
use super::webhook::{self, WebhookConfig};
use crate::gateway::limits::{self, GatewayLimits};
use crate::http::AddressRange;

/// The gate: a reverse proxy with prices.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Where it listens.
    pub bind: SocketAddr,
    /// What payers call it. Goes into every 402; the `Host` header never does.
    pub public_url: Url,
    /// Where its ledger is.
    pub store: StoreConfig,
    /// Who verifies and settles tokens; there has to be one when a route asks for them.
    pub facilitator: Option<FacilitatorSource>,
    /// Who makes Lightning invoices; there has to be one when a route asks for satoshis.
    pub lightning: Option<LightningConfig>,
    /// Permits for access tokens, where they are taken.
    pub permit: Option<PermitConfig>,
    /// Guarantees on credit, where they are taken.
    pub credit: Option<GateCreditConfig>,
    /// The routes, first match wins.
    pub routes: Vec<RouteConfig>,
    /// What happens to other requests.
    pub unmatched: Unmatched,
    /// Certificates in PEM of authorities that upstreams with `https` may have besides those the machine trusts.
    pub upstream_ca: Option<PathBuf>,
    /// Which pages may call priced routes from a browser.
    pub cors: Cors,
    /// Who is told what was paid.
    pub webhook: Option<WebhookConfig>,
    /// Proxies in front of the gate: what they say about their clients is believed.
    pub trusted_proxies: Vec<AddressRange>,
    /// Start although the facilitator does not answer; paid requests then get 503 until it does.
    pub start_without_facilitator: bool,
    /// Sizes and times.
    pub limits: GatewayLimits,
}

/// What happens to a request without a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmatched {
    /// 404.
    Refuse,
    /// It goes to this service, for nothing.
    Free(Url),
}

/// Reads the gate. `routes` are the `[[route]]` tables of the file.
pub(super) fn read(
    section: &Section<'_, '_>,
    routes: Vec<Section<'_, '_>>,
    about: Surroundings<'_>,
) -> Option<GatewayConfig> {
    let default = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, limits::GATE_PORT));
    let bind = parts::bind(section, default);
    let public_url = section
        .required(
            "public_url",
            "expected the URL that payers call, such as https://api.example",
        )
        .and_then(|text| parts::url(section, &text, UrlKind::Public));
    let store = store::read(section, "faregate.db");
    let lightning = section.section("lightning").map(|table| {
        let found = lightning::read(&table, about);
        table.finish();
        found
    });
    let permit = permit(section, public_url.as_ref());
    let credit = credit(section, public_url.as_ref(), about, &permit);
    let issuer = issuer(section, lightning.as_ref(), public_url.as_ref());
    let defaults = Defaults {
        issuer,
        permits: permit.as_ref().map(|(_, terms)| *terms),
        token_endpoint: permit.get().map(|(config, _)| config.endpoint),
        credit: credit.clone().map(|(_, terms)| terms),
        tab_path: credit.get().map(|(config, _)| config.tab_path),
        asks_for_tokens: Cell::new(false),
        chain: Inherited::read(section, "network", |text| {
            parts::chain(section, text, about.mainnet)
        }),
        pay_to: Inherited::read(section, "pay_to", |text| parts::address(section, text)),
        upstream: Inherited::read(section, "upstream", |text| {
            parts::url(section, text, UrlKind::Upstream)
        }),
        max_timeout_secs: route::max_timeout_secs(section).unwrap_or(limits::PAYMENT_TIMEOUT_SECS),
    };
    let unmatched = unmatched(section, &defaults.upstream);
    let cors = cors(section);
    let trusted_proxies = parts::proxies(section);
    let webhook = webhook(section);
    let upstream_ca = section.text("upstream_ca").map(|text| text.value.into());
    let start_without_facilitator = section.flag("start_without_facilitator").unwrap_or(false);
    let limits = gateway_limits(section);
    let routes = route::read_all(section, routes, about, &defaults);
    let facilitator = facilitator(section, about, &defaults);
    if let Some(routes) = &routes {
        together(
            section,
            routes,
            unmatched.as_ref(),
            facilitator.get().as_ref(),
        );
    }
    Some(GatewayConfig {
        bind,
        public_url: public_url?,
        store,
        facilitator: facilitator.optional()?,
        lightning: Inherited::found(lightning).optional()?,
        permit: permit.map(|(config, _)| config).optional()?,
        credit: credit.map(|(config, _)| config).optional()?,
        routes: routes?,
        unmatched: unmatched?,
        upstream_ca,
        cors: cors?,
        webhook: webhook?,
        trusted_proxies: trusted_proxies?,
        start_without_facilitator,
        limits,
    })
}

/// Reads `[gate.permit]`.
fn permit(
    section: &Section<'_, '_>,
    public_url: Option<&Url>,
) -> Inherited<(PermitConfig, permit::Terms)> {
    let table = section.section(permit::KEY);
    if table.is_none() && section.has(permit::KEY) {
        return Inherited::Faulty;
    }
    Inherited::found(table.map(|table| {
        let found = permit::read(&table, public_url);
        table.finish();
        found
    }))
}

/// Reads `[gate.credit]`.
fn credit(
    section: &Section<'_, '_>,
    public_url: Option<&Url>,
    about: Surroundings<'_>,
    permit: &Inherited<(PermitConfig, permit::Terms)>,
) -> Inherited<(GateCreditConfig, gate_credit::Terms)> {
    let table = section.section(gate_credit::KEY);
    if table.is_none() && section.has(gate_credit::KEY) {
        return Inherited::Faulty;
    }
    Inherited::found(table.map(|table| {
        let found = gate_credit::read(&table, public_url, about.mainnet);
        if let (Some((config, _)), Inherited::Is((permit, _))) = (&found, permit)
            && gate_credit::is_hidden_by(&config.tab_path, &permit.endpoint)
        {
            let message = "this is where the gate sells access tokens: choose another path";
            table.fault(ConfigCode::Contradiction, "tab_path", message);
        }
        table.finish();
        found
    }))
}

/// What `[gate.lightning]` says, as far as routes need it.
fn issuer<'i>(
    section: &Section<'_, '_>,
    lightning: Option<&Option<LightningConfig>>,
    public_url: Option<&'i Url>,
) -> Inherited<Issuer<'i>> {
    match (lightning, section.has("lightning")) {
        (Some(Some(lightning)), _) => Inherited::Is(Issuer {
            network: lightning.network,
            invoice_expiry_secs: lightning.invoice_expiry_secs,
            public_url,
        }),
        (_, true) => Inherited::Faulty,
        (_, false) => Inherited::Absent,
    }
}

#[expect(clippy::option_option, reason = "the outer one is the fault")]
fn webhook(section: &Section<'_, '_>) -> Option<Option<WebhookConfig>> {
    if !section.has("webhook") {
        return Some(None);
    }
    let table = section.section("webhook")?;
    let found = webhook::read(&table);
    table.finish();
    found.map(Some)
}

/// What no part can see alone.
fn together(
    section: &Section<'_, '_>,
    routes: &[RouteConfig],
    unmatched: Option<&Unmatched>,
    facilitator: Option<&FacilitatorSource>,
) {
    if matches!(unmatched, Some(Unmatched::Free(_)))
        && routes.iter().any(|route| route.pattern.host().is_some())
    {
        let message = "with routes for one host only, every other host would be free: use unmatched = \"refuse\"";
        section.fault(ConfigCode::Contradiction, "unmatched", message);
    }
    let takes_permits = routes
        .iter()
        .flat_map(asks)
        .any(|ask| ask.as_permit().is_some());
    let Some(FacilitatorSource::Embedded(embedded)) = facilitator else {
        if takes_permits && facilitator.is_some() {
            let message = "permits are collected by the gate itself: [gate.facilitator] needs rpc_url and signer_key";
            section.fault(ConfigCode::NoUsableRail, permit::KEY, message);
        }
        return;
    };
    let settled: Vec<_> = embedded
        .networks
        .iter()
        .flat_map(|network| &network.assets)
        .map(|asset| asset.id)
        .collect();
    let has_chain = |chain| {
        embedded
            .networks
            .iter()
            .any(|network| network.chain == chain)
    };
    let missing = |ask: &Ask| match ask {
        // Nothing is settled over x402 in a token that is paid through Permit2 only; it is collected wherever there is a node.
        Ask::Permit(ask) if ask.asset.transfer == TransferMethod::Permit2 => {
            (!has_chain(ask.asset.id.chain())).then_some(ask.asset.id)
        }
        Ask::Permit(ask) => (!settled.contains(&ask.asset.id)).then_some(ask.asset.id),
        Ask::Token(ask) => (!settled.contains(&ask.asset.id)).then_some(ask.asset.id),
        _ => None,
    };
    if let Some(missing) = routes.iter().flat_map(asks).find_map(missing) {
        let message =
            format!("a route asks for {missing}, and this facilitator does not settle it");
        section.fault(ConfigCode::NoUsableRail, "facilitator", message);
    }
}

fn asks(route: &RouteConfig) -> &[Ask] {
    match &route.price {
        RoutePrice::Free => &[],
        RoutePrice::Paid(offer) => &offer.asks,
    }
}

fn facilitator(
    section: &Section<'_, '_>,
    about: Surroundings<'_>,
    defaults: &Defaults<'_>,
) -> Inherited<FacilitatorSource> {
    let found = if section.has("facilitator") {
        section.section("facilitator").and_then(|table| {
            let found = source(&table, about, &defaults.chain);
            table.finish();
            found
        })
    } else if !defaults.asks_for_tokens.get() {
        return Inherited::Absent;
    } else if section.reader().env().contains_key(URL_VARIABLE) {
        from_environment(section)
    } else {
        section.missing(
            "facilitator",
            "expected [gate.facilitator] with a url, or with rpc_url and signer_key (or FACILITATOR_URL in the environment)",
        );
        None
    };
    found.map_or(Inherited::Faulty, Inherited::Is)
}

fn unmatched(section: &Section<'_, '_>, upstream: &Inherited<Url>) -> Option<Unmatched> {
    match section
        .text("unmatched")
        .as_ref()
        .map(|text| text.value.as_str())
    {
        None | Some("refuse") => Some(Unmatched::Refuse),
        Some("free") => {
            if matches!(upstream, Inherited::Absent) {
                section.fault(
                    ConfigCode::Contradiction,
                    "unmatched",
                    "free requests need gate.upstream to go to",
                );
            }
            upstream.get().map(Unmatched::Free)
        }
        Some(_) => {
            section.fault(
                ConfigCode::Value,
                "unmatched",
                "expected \"refuse\" or \"free\"",
            );
            None
        }
    }
}

fn cors(section: &Section<'_, '_>) -> Option<Cors> {
    let Some(texts) = section.texts("cors") else {
        return Some(Cors::Any);
    };
    match texts.as_slice() {
        [one] if one.value == "any" => return Some(Cors::Any),
        [one] if one.value == "off" => return Some(Cors::Off),
        _ => {}
    }
    let origins: Vec<HeaderValue> = texts
        .iter()
        .filter_map(|text| origin(&text.value))
        .collect();
    if origins.is_empty() || origins.len() != texts.len() {
        let message =
            "expected \"any\", \"off\" or a list of origins such as [\"https://shop.example\"]";
        section.fault(ConfigCode::Value, "cors", message);
        return None;
    }
    Some(Cors::Origins(origins.into()))
}

/// An origin exactly as browsers send it.
fn origin(text: &str) -> Option<HeaderValue> {
    let url = Url::parse(text).ok()?;
    let exact =
        matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text;
    exact.then(|| HeaderValue::from_str(text).ok()).flatten()
}

fn gateway_limits(section: &Section<'_, '_>) -> GatewayLimits {
    let mut own = GatewayLimits::default();
    let Some(table) = section.section("limits") else {
        return own;
    };
    let count = |key, slot: &mut usize| {
        let most = u64::from(u32::MAX);
        if let Some(number) = table
            .number(key, 1..=most)
            .and_then(|number| usize::try_from(number).ok())
        {
            *slot = number;
        }
    };
    count("request_body_bytes_max", &mut own.request_body_bytes_max);
    count("paid_body_bytes_max", &mut own.paid_body_bytes_max);
    count("response_bytes_max", &mut own.response_bytes_max);
    count("kept_bytes_max", &mut own.kept_bytes_max);
    count("requests_max", &mut own.requests_max);
    count("connections_max", &mut own.connections_max);
    count("tunnels_max", &mut own.tunnels_max);
    let secs = |key, slot: &mut Duration| {
        if let Some(number) = table.number(key, 1..=3_600) {
            *slot = Duration::from_secs(number);
        }
    };
    secs("upstream_timeout_secs", &mut own.upstream_timeout);
    secs("stream_idle_timeout_secs", &mut own.stream_idle_timeout);
    secs("request_timeout_secs", &mut own.request_timeout);
    let window = faregate_core::recovery::REPLAY_WINDOW_SECS_MIN..=limits::REPLAY_WINDOW_SECS_MAX;
    if let Some(number) = table.number("replay_window_secs", window) {
        own.replay_window = Duration::from_secs(number);
    }
    if let Some(number) = table.number("kept_total_bytes_max", 0..=i64::MAX.unsigned_abs()) {
        own.kept_total_bytes_max = number;
    }
    if own.paid_body_bytes_max > own.request_body_bytes_max {
        let message = "expected at most request_body_bytes_max";
        table.fault(ConfigCode::Contradiction, "paid_body_bytes_max", message);
    }
    table.finish();
    own
}
