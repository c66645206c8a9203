//! `l402` of a route: what its tokens open, how often and for how long.

use std::num::NonZeroU32;

use faregate_core::route::RoutePattern;
use faregate_core::{LightningAsk, Scope};
use faregate_types::Timestamp;
use faregate_types::l402::{Binding, BindingError};
use faregate_types::lightning::{BitcoinNetwork, Msat};
use toml::de::DeValue;
use url::Url;

use super::error::ConfigCode;
use super::reader::Section;
use crate::gateway::limits;

/// The table of a route.
pub(super) const KEY: &str = "l402";

/// The service of tokens when the public URL has no host that can be one.
const SERVICE: &str = "faregate";

/// What the gate says about Lightning, as far as routes need it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Issuer<'i> {
    pub(super) network: BitcoinNetwork,
    pub(super) invoice_expiry_secs: u32,
    pub(super) public_url: Option<&'i Url>,
}

/// What is asked for over Lightning.
pub(super) fn ask(
    section: &Section<'_, '_>,
    pattern: Option<&RoutePattern>,
    price: Msat,
    issuer: Issuer<'_>,
) -> Option<LightningAsk> {
    if !section.has(KEY) {
        let ask = LightningAsk {
            route: word(pattern?).into(),
            ..defaults(price, issuer)
        };
        return writable(section, section, ask);
    }
    let table = section.section(KEY)?;
    let ask = given(&table, price, issuer);
    let ask = ask.zip(pattern).and_then(|(ask, pattern)| {
        let ask = LightningAsk {
            route: word(pattern).into(),
            ..ask
        };
        writable(section, &table, ask)
    });
    table.finish();
    ask
}

fn defaults(price: Msat, issuer: Issuer<'_>) -> LightningAsk {
    LightningAsk {
        network: issuer.network,
        price,
        route: "/".into(),
        service: service(issuer.public_url).into(),
        tier: 0,
        capability: None,
        uses: Some(NonZeroU32::MIN),
        valid_secs: limits::TOKEN_VALID_SECS.max(valid_secs_min(issuer)),
        scope: Scope::Route,
        is_bound_to_client: false,
    }
}

/// Who pays an invoice in its last moment must get something for it.
fn valid_secs_min(issuer: Issuer<'_>) -> u64 {
    u64::from(issuer.invoice_expiry_secs).saturating_add(limits::TOKEN_SLACK_SECS)
}

fn given(table: &Section<'_, '_>, price: Msat, issuer: Issuer<'_>) -> Option<LightningAsk> {
    let mut ask = defaults(price, issuer);
    let uses = uses(table, price);
    let range = valid_secs_min(issuer)..=limits::TOKEN_VALID_SECS_MAX;
    ask.valid_secs = table.number("valid_secs", range).unwrap_or(ask.valid_secs);
    let scope = table.text("scope");
    match scope.as_ref().map(|text| text.value.as_str()) {
        None | Some("route") => {}
        Some("path") => ask.scope = Scope::Path,
        Some(_) => {
            let message = "expected \"route\" or \"path\"";
            table.fault(ConfigCode::Value, "scope", message);
        }
    }
    if let Some(text) = table.text("service") {
        ask.service = text.value.into();
    }
    if let Some(tier) = table.number("tier", 0..=u64::from(u8::MAX)) {
        ask.tier = u8::try_from(tier).unwrap_or(u8::MAX);
    }
    ask.capability = table.text("capability").map(|text| text.value.into());
    ask.is_bound_to_client = table.flag("bind_client").unwrap_or(false);
    ask.uses = uses?;
    Some(ask)
}

/// How many requests a token opens; the inner `None` is any number.
fn uses(table: &Section<'_, '_>, price: Msat) -> Option<Option<NonZeroU32>> {
    const USES: &str = "uses";
    let Some(value) = table.value(USES) else {
        return Some(Some(NonZeroU32::MIN));
    };
    if let DeValue::String(word) = value.get_ref() {
        if word == "unlimited" {
            return Some(None);
        }
        table.fault(
            ConfigCode::Value,
            USES,
            "expected a number, or \"unlimited\"",
        );
        return None;
    }
    let number = table.number(USES, 1..=limits::TOKEN_USES_MAX)?;
    if number > price.get() {
        let message = "every use of a token has to cost at least one millisatoshi";
        table.fault(ConfigCode::Contradiction, USES, message);
        return None;
    }
    let number = u32::try_from(number).ok().and_then(NonZeroU32::new);
    number.map(Some)
}

/// What tokens call a route: its path, after its host if it has one. Its method is a condition of its own.
fn word(pattern: &RoutePattern) -> String {
    let path = pattern.text().split_whitespace().next_back();
    let path = match path {
        None | Some("*") => "/*",
        Some(path) => path,
    };
    format!("{}{path}", pattern.host().unwrap_or_default())
}

/// The host that payers call, if it can stand in a token.
fn service(public_url: Option<&Url>) -> &str {
    let host = public_url.and_then(Url::host_str).unwrap_or(SERVICE);
    match caveats(host, None, "/") {
        Ok(()) => host,
        Err(_) => SERVICE,
    }
}

/// The ask, if tokens can say all of it.
fn writable(
    route: &Section<'_, '_>,
    table: &Section<'_, '_>,
    ask: LightningAsk,
) -> Option<LightningAsk> {
    let checked = [
        (table, "service", caveats(&ask.service, None, "/")),
        (
            table,
            "capability",
            caveats(SERVICE, ask.capability.as_deref(), "/"),
        ),
        (route, "match", caveats(SERVICE, None, &ask.route)),
    ];
    let mut fine = true;
    for (section, key, checked) in checked {
        if let Err(error) = checked {
            section.fault(ConfigCode::Token, key, error.to_string());
            fine = false;
        }
    }
    fine.then_some(ask)
}

fn caveats(service: &str, capability: Option<&str>, path: &str) -> Result<(), BindingError> {
    let binding = Binding {
        service,
        tier: 0,
        capabilities: capability.as_slice(),
        valid_until: Timestamp::from_secs(0),
        path,
        method: "GET",
        price: Msat::new(1),
        max_uses: None,
        client: None,
    };
    binding.caveats().map(drop)
}
