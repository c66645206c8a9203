//! `[[route]]`: what is sold, for what, and where it comes from.

use std::cell::Cell;

use faregate_core::route::{RoutePattern, RouteTable};
use faregate_core::{Ask, Identifier, SettlePolicy};
use faregate_tower::upgrade;
use faregate_types::permit::Endpoint;
use faregate_types::{Address, Amount, ChainId};
use http::Method;
use url::Url;

use super::error::ConfigCode;
use super::facilitator::Surroundings;
use super::gate_credit;
use super::l402::{self, Issuer};
use super::parts::{self, UrlKind};
use super::permit;
use super::price::{self, PriceText, Prices};
use super::reader::{Inherited, Section};
use super::shadow::{self, RoutePlace};
use crate::gateway::limits;

/// One route.
#[derive(Clone, Debug)]
pub struct RouteConfig {
    /// Which requests.
    pub pattern: RoutePattern,
    /// Where they go.
    pub upstream: Url,
    /// What they cost.
    pub price: RoutePrice,
    /// Whether a request may ask for a WebSocket. A priced route takes one if it is paid for first.
    pub websocket: bool,
}

/// What a route costs.
#[derive(Clone, Debug)]
pub enum RoutePrice {
    /// Nothing, and the file says so.
    Free,
    /// This.
    Paid(RouteOffer),
}

/// A price with its terms.
#[derive(Clone, Debug)]
pub struct RouteOffer {
    /// Every way to pay.
    pub asks: Vec<Ask>,
    /// When the money moves.
    pub settle: SettlePolicy,
    /// How much of one payer may be served and not paid, for a route that is settled in the background.
    pub exposure_max: Option<Amount>,
    /// Whether payers name their purchases.
    pub identifier: Identifier,
    /// What it is, for people and agents; may be empty.
    pub description: Box<str>,
    /// What comes back; may be empty.
    pub mime_type: Box<str>,
    /// How long a signed payment has to stay valid, in seconds.
    pub max_timeout_secs: u64,
}

/// What routes inherit.
pub(super) struct Defaults<'d> {
    /// Who makes invoices.
    pub(super) issuer: Inherited<Issuer<'d>>,
    /// What tokens cost that are paid with permits, and when they are given out.
    pub(super) permits: Inherited<permit::Terms>,
    /// Where the gate sells tokens, if it does.
    pub(super) token_endpoint: Option<Endpoint>,
    /// On which terms guarantees are taken.
    pub(super) credit: Inherited<gate_credit::Terms>,
    /// Where the gate opens tabs, if it does.
    pub(super) tab_path: Option<Box<str>>,
    /// Set by the first route that asks for tokens.
    pub(super) asks_for_tokens: Cell<bool>,
    pub(super) chain: Inherited<ChainId>,
    pub(super) pay_to: Inherited<Address>,
    pub(super) upstream: Inherited<Url>,
    pub(super) max_timeout_secs: u64,
}

const KEYS_OF_PAID_ROUTES: [&str; 11] = [
    l402::KEY,
    permit::KEY,
    gate_credit::KEY,
    "settle",
    "exposure_max",
    "payment_identifier",
    "network",
    "pay_to",
    "description",
    "mime_type",
    "max_timeout_secs",
];

/// Those that say something about tokens only.
const KEYS_OF_TOKENS: [&str; 4] = ["network", "pay_to", "exposure_max", permit::KEY];

pub(super) fn max_timeout_secs(section: &Section<'_, '_>) -> Option<u64> {
    section.number("max_timeout_secs", 10..=3_600)
}

/// Reads every `[[route]]`, and looks for routes that hide each other.
pub(super) fn read_all(
    gate: &Section<'_, '_>,
    sections: Vec<Section<'_, '_>>,
    about: Surroundings<'_>,
    defaults: &Defaults<'_>,
) -> Option<Vec<RouteConfig>> {
    if sections.is_empty() {
        gate.fault(
            ConfigCode::Missing,
            "route",
            "expected at least one [[route]]",
        );
        return None;
    }
    if sections.len() > limits::ROUTES_MAX {
        gate.fault(
            ConfigCode::TooMany,
            "route",
            format!("expected at most {} routes", limits::ROUTES_MAX),
        );
        return None;
    }
    let mut patterns = Vec::new();
    let mut routes = Vec::new();
    for section in sections {
        let pattern = pattern(&section);
        routes.push(route(&section, pattern.as_ref(), about, defaults));
        if let Some(pattern) = pattern {
            let line = section.reader().place(section.span().start).0;
            let place = RoutePlace {
                span: section.span().clone(),
                key: section.key("match"),
                line,
            };
            patterns.push((pattern, place));
        }
        section.finish();
    }
    let table = RouteTable::new(patterns);
    shadow::name(gate, &table, defaults);
    routes.into_iter().collect()
}

fn pattern(section: &Section<'_, '_>) -> Option<RoutePattern> {
    let host = section.text("host");
    let text = section.required(
        "match",
        "expected a method and a path, such as \"GET /joke\"",
    )?;
    let pattern = match RoutePattern::parse(&text.value) {
        Ok(pattern) => pattern,
        Err(error) => {
            section.fault(ConfigCode::Pattern, "match", error.to_string());
            return None;
        }
    };
    let Some(host) = host else {
        return Some(pattern);
    };
    match pattern.on_host(&host.value) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            section.fault(ConfigCode::Pattern, "host", error.to_string());
            None
        }
    }
}

fn route(
    section: &Section<'_, '_>,
    pattern: Option<&RoutePattern>,
    about: Surroundings<'_>,
    defaults: &Defaults<'_>,
) -> Option<RouteConfig> {
    let upstream = Inherited::read(section, "upstream", |text| {
        parts::url(section, text, UrlKind::Upstream)
    })
    .or(&defaults.upstream)
    .expected(
        section,
        "upstream",
        "expected the URL of the service behind, here or as gate.upstream",
    );
    let chain = Inherited::read(section, "network", |text| {
        parts::chain(section, text, about.mainnet)
    });
    let chain = chain.or(&defaults.chain);
    let websocket = section.flag("websocket");
    let price = match price::read(section, about.registry, &chain) {
        None => {
            // The other keys are known all the same.
            for key in KEYS_OF_PAID_ROUTES {
                section.has(key);
            }
            None
        }
        Some(PriceText::Free) => {
            for key in KEYS_OF_PAID_ROUTES
                .into_iter()
                .filter(|key| section.has(key))
            {
                section.fault(
                    ConfigCode::Contradiction,
                    key,
                    "a free route has no terms of payment",
                );
            }
            Some(RoutePrice::Free)
        }
        Some(PriceText::Of(prices)) => {
            let terms = terms(section, pattern, websocket, defaults);
            let exposure_max = exposure_max(section, terms.as_ref(), &prices);
            let pay_to = payee(section, &prices, defaults);
            let credit = gate_credit::OfRoute {
                section,
                registry: about.registry,
                chain: &chain,
                prices: &prices,
                pay_to: &pay_to,
                above: &defaults.credit,
            };
            let credit = credit.asks();
            let on_credit = credit.as_ref().is_some_and(|asks| !asks.is_empty());
            let tokens = tokens(section, &prices, (&pay_to, on_credit), defaults);
            let lightning = lightning(section, pattern, &prices, defaults);
            offer(terms, exposure_max, [tokens, lightning, credit])
        }
    };
    Some(RouteConfig {
        pattern: pattern?.clone(),
        upstream: upstream?,
        price: price?,
        websocket: websocket.unwrap_or(true),
    })
}

/// Who is paid in tokens. Where nobody is, that it is there is the mistake, and not what it says.
fn payee(
    section: &Section<'_, '_>,
    prices: &Prices,
    defaults: &Defaults<'_>,
) -> Inherited<Address> {
    let own = if prices.tokens.is_empty() && !section.has(gate_credit::KEY) {
        Inherited::Absent
    } else {
        Inherited::read(section, "pay_to", |text| parts::address(section, text))
    };
    own.or(&defaults.pay_to)
}

fn offer(
    terms: Option<RouteOffer>,
    exposure_max: Option<Option<Amount>>,
    asks: [Option<Vec<Ask>>; 3],
) -> Option<RoutePrice> {
    let asks: Vec<Vec<Ask>> = asks.into_iter().collect::<Option<_>>()?;
    Some(RoutePrice::Paid(RouteOffer {
        asks: asks.into_iter().flatten().collect(),
        exposure_max: exposure_max?,
        ..terms?
    }))
}

/// What is asked for in tokens.
fn tokens(
    section: &Section<'_, '_>,
    prices: &Prices,
    (pay_to, on_credit): (&Inherited<Address>, bool),
    defaults: &Defaults<'_>,
) -> Option<Vec<Ask>> {
    if prices.tokens.is_empty() {
        for key in KEYS_OF_TOKENS.into_iter().filter(|key| section.has(key)) {
            if on_credit && matches!(key, "network" | "pay_to") {
                continue;
            }
            let message = "a route that is paid over Lightning only has nothing to do with tokens";
            section.fault(ConfigCode::Contradiction, key, message);
        }
        return Some(Vec::new());
    }
    defaults.asks_for_tokens.set(true);
    let pay_to = pay_to.expected(
        section,
        "pay_to",
        "expected the address that is paid, here or as gate.pay_to",
    )?;
    let permits = permit::of_route(section, &defaults.permits)?;
    let mut asks = Vec::new();
    for (asset, value) in &prices.tokens {
        let exact = price::ask(section, asset.clone(), *value, pay_to, permits.is_some())?;
        asks.extend(exact);
    }
    if let Some(terms) = permits {
        for (asset, value) in &prices.tokens {
            let ask = permit::ask(section, terms, asset.clone(), *value, pay_to)?;
            asks.push(ask.into());
        }
    }
    Some(asks)
}

/// What is asked for over Lightning, if anything is.
fn lightning(
    section: &Section<'_, '_>,
    pattern: Option<&RoutePattern>,
    prices: &Prices,
    defaults: &Defaults<'_>,
) -> Option<Vec<Ask>> {
    let Some(price) = prices.lightning else {
        if section.has(l402::KEY) {
            let message = "only a price in sat or msat is paid with tokens of L402";
            section.fault(ConfigCode::Contradiction, l402::KEY, message);
            return None;
        }
        return Some(Vec::new());
    };
    match defaults.issuer {
        Inherited::Is(issuer) => {
            let ask = l402::ask(section, pattern, price, issuer)?;
            Some(vec![ask.into()])
        }
        Inherited::Faulty => {
            section.has(l402::KEY);
            None
        }
        Inherited::Absent => {
            section.has(l402::KEY);
            let message = "a price in sat or msat needs [gate.lightning], which makes the invoices";
            section.fault(ConfigCode::NoUsableRail, "price", message);
            None
        }
    }
}

/// Everything of a paid route but what is asked for.
fn terms(
    section: &Section<'_, '_>,
    pattern: Option<&RoutePattern>,
    websocket: Option<bool>,
    defaults: &Defaults<'_>,
) -> Option<RouteOffer> {
    let settle = settle(section, pattern, websocket);
    let identifier = one_of(
        section,
        "payment_identifier",
        [
            ("off", Identifier::Off),
            ("optional", Identifier::Optional),
            ("required", Identifier::Required),
        ],
    );
    if websocket == Some(true) && settle.is_some_and(|policy| !upgrade::is_possible(policy)) {
        let message = "a WebSocket has to be paid for first: settle = \"before\"";
        section.fault(ConfigCode::Contradiction, "websocket", message);
    }
    let text = |key| {
        section
            .text(key)
            .map_or_else(|| "".into(), |text| text.value.into_boxed_str())
    };
    let (description, mime_type) = (text("description"), text("mime_type"));
    for (key, text, most) in [
        ("description", &description, limits::DESCRIPTION_CHARS_MAX),
        ("mime_type", &mime_type, limits::MIME_TYPE_CHARS_MAX),
    ] {
        if text.chars().count() > most {
            section.fault(
                ConfigCode::Value,
                key,
                format!("expected at most {most} characters: it goes into a header"),
            );
        }
    }
    let max_timeout_secs = max_timeout_secs(section).unwrap_or(defaults.max_timeout_secs);
    Some(RouteOffer {
        asks: Vec::new(),
        settle: settle?,
        exposure_max: None,
        identifier: identifier?.unwrap_or_default(),
        description,
        mime_type,
        max_timeout_secs,
    })
}

fn settle(
    section: &Section<'_, '_>,
    pattern: Option<&RoutePattern>,
    websocket: Option<bool>,
) -> Option<SettlePolicy> {
    let said = one_of(
        section,
        "settle",
        [
            ("before", SettlePolicy::Before),
            ("after", SettlePolicy::After),
            ("background", SettlePolicy::Background),
        ],
    )?;
    Some(match said {
        Some(policy) => policy,
        // A connection cannot be held back.
        None if websocket == Some(true) => SettlePolicy::Before,
        // Reading costs little to run for nothing; anything else has effects and is paid for first.
        None => match pattern.and_then(RoutePattern::method) {
            Some(&Method::GET | &Method::HEAD) => SettlePolicy::After,
            _ => SettlePolicy::Before,
        },
    })
}

/// What one word of a list stands for; `Some(None)` when the key is not there.
fn one_of<T: Copy, const N: usize>(
    section: &Section<'_, '_>,
    key: &'static str,
    words: [(&str, T); N],
) -> Option<Option<T>> {
    if !section.has(key) {
        return Some(None);
    }
    let text = section.text(key)?;
    let found = words.iter().find(|(word, _)| *word == text.value);
    if found.is_none() {
        let words: Vec<String> = words
            .iter()
            .map(|(word, _)| format!("\"{word}\""))
            .collect();
        let message = format!("expected {}", words.join(" or "));
        section.fault(ConfigCode::Value, key, message);
    }
    found.map(|(_, value)| Some(*value))
}

/// The limit that a route settled in the background has to have, at least one price; no other route has one.
fn exposure_max(
    section: &Section<'_, '_>,
    terms: Option<&RouteOffer>,
    prices: &Prices,
) -> Option<Option<Amount>> {
    const KEY: &str = "exposure_max";
    let background = terms.map(|terms| terms.settle == SettlePolicy::Background);
    let (asset, price) = match &*prices.tokens {
        [(asset, price)] => (asset, *price),
        [] if background == Some(true) => {
            let message = "a Lightning payment is made before it is served: nobody owes anything";
            section.fault(ConfigCode::Contradiction, "settle", message);
            return None;
        }
        // What stands here is a fault that is named elsewhere.
        [] => return Some(None),
        _ if section.has(KEY) || background == Some(true) => {
            let message = "settle = \"background\" with its exposure_max takes one price in tokens";
            section.fault(ConfigCode::Contradiction, "price", message);
            return None;
        }
        _ => return Some(None),
    };
    match (section.has(KEY), background) {
        (false, Some(true)) => {
            let message = "expected how much one payer may owe, such as \"$1\"";
            section.missing(KEY, message);
            None
        }
        (true, Some(false)) => {
            let message = "only with settle = \"background\" does anybody owe anything";
            section.fault(ConfigCode::Contradiction, KEY, message);
            None
        }
        (false, _) => Some(None),
        (true, _) => {
            let most = price::amount_of(section, KEY, asset)?;
            if most < price {
                section.fault(ConfigCode::Value, KEY, "expected at least the price");
                return None;
            }
            Some(Some(Amount::new(most, asset.id)))
        }
    }
}
