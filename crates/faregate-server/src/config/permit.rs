//! `[gate.permit]`, and `permit` of a route: prices in tokens that can be paid with a permit for an access token as well.

use faregate_core::route::RoutePattern;
use faregate_core::{PermitAsk, TokenPolicy};
use faregate_types::permit::{Component, Endpoint};
use faregate_types::{Address, Amount, Asset, U256};
use toml::de::DeValue;
use url::Url;

use super::error::ConfigCode;
use super::reader::{Inherited, Section};
use super::secret::{SecretSource, secret_source};
use crate::gateway::limits;

/// The table of a gate, and of a route.
pub(super) const KEY: &str = "permit";

/// Permits for access tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PermitConfig {
    /// What tokens are signed with: the product's `token_key`, a text.
    pub token_key: SecretSource,
    /// Where tokens are asked for.
    pub endpoint: Endpoint,
    /// The service that tokens name.
    pub audience: Box<str>,
    /// Whether the contract that collects permits is deployed at start where it is missing.
    pub deploys: bool,
}

/// What routes inherit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    policy: TokenPolicy,
    token_secs: u64,
    exposure_prices: u64,
}

/// Reads `[gate.permit]`.
pub(super) fn read(
    section: &Section<'_, '_>,
    public_url: Option<&Url>,
) -> Option<(PermitConfig, Terms)> {
    let token_key = section
        .required(
            "token_key",
            "expected what tokens are signed with, as env:NAME or file:/path; faregate key new makes one",
        )
        .and_then(|text| secret_source(section, &text));
    let endpoint = section
        .text("token_endpoint")
        .map_or_else(|| Endpoint::PLAIN.to_owned(), |text| text.value);
    let endpoint = match Endpoint::parse(&endpoint) {
        Ok(endpoint)
            if !endpoint.as_str().contains(['?', '%', ';']) && endpoint.as_str() != "/" =>
        {
            Some(endpoint)
        }
        Ok(_) => {
            let message = "expected a plain path such as /token";
            section.fault(ConfigCode::Value, "token_endpoint", message);
            None
        }
        Err(error) => {
            section.fault(ConfigCode::Value, "token_endpoint", error.to_string());
            None
        }
    };
    let audience = match section.text("audience") {
        Some(text) => text.value.into_boxed_str(),
        None => public_url.map_or_else(|| "faregate".into(), |url| url.as_str().into()),
    };
    let deploys = section.flag("deploy_settler").unwrap_or(true);
    let terms = terms(
        section,
        Terms {
            policy: TokenPolicy::Optimistic,
            token_secs: limits::ACCESS_TOKEN_SECS,
            exposure_prices: limits::EXPOSURE_PRICES,
        },
    );
    let config = PermitConfig {
        token_key: token_key?,
        endpoint: endpoint?,
        audience,
        deploys,
    };
    Some((config, terms?))
}

/// Whether the endpoint takes every request of a route: itself, its quotes and its receipts.
pub(super) fn hides(endpoint: &Endpoint, route: &RoutePattern) -> bool {
    let endpoint = endpoint.as_str();
    let own = [endpoint.to_owned(), format!("{endpoint}/receipts/*")];
    let covered = own
        .iter()
        .any(|own| RoutePattern::parse(own).is_ok_and(|own| own.covers(route)));
    let is_quote = || {
        let path = route.fixed_path()?;
        let quote = path.strip_prefix(endpoint)?.strip_prefix("/q_")?;
        Some(!quote.contains('/'))
    };
    covered || is_quote().unwrap_or(false)
}

/// What a table says about tokens, over what it inherits.
fn terms(section: &Section<'_, '_>, above: Terms) -> Option<Terms> {
    let policy = match section.text("policy").as_ref().map(|text| &*text.value) {
        None => Some(above.policy),
        Some(word) => {
            let found = TokenPolicy::from_name(word);
            if found.is_none() {
                let message = "expected \"optimistic\", \"simulated\" or \"settled\"";
                section.fault(ConfigCode::Value, "policy", message);
            }
            found
        }
    };
    let token_secs = section.number("token_expires_in", 1..=limits::TOKEN_VALID_SECS_MAX);
    let prices = section.number("exposure_prices", 1..=limits::EXPOSURE_PRICES_MAX);
    Some(Terms {
        policy: policy?,
        token_secs: token_secs.unwrap_or(above.token_secs),
        exposure_prices: prices.unwrap_or(above.exposure_prices),
    })
}

/// What a route's `permit` says. `Some(None)`: it takes no permits.
#[expect(clippy::option_option, reason = "the outer one is the fault")]
pub(super) fn of_route(
    section: &Section<'_, '_>,
    above: &Inherited<Terms>,
) -> Option<Option<Terms>> {
    let Some(value) = section.value(KEY) else {
        return match above {
            Inherited::Is(terms) => Some(Some(*terms)),
            Inherited::Absent => Some(None),
            Inherited::Faulty => None,
        };
    };
    if let DeValue::Boolean(false) = value.get_ref() {
        return Some(None);
    }
    let table = section.section(KEY)?;
    let found = match above {
        Inherited::Is(above) => terms(&table, *above).map(Some),
        Inherited::Faulty => None,
        Inherited::Absent => {
            let message = "permits need [gate.permit], which says what tokens are signed with";
            section.fault(ConfigCode::NoUsableRail, KEY, message);
            None
        }
    };
    table.finish();
    found
}

/// What is asked for in one asset.
pub(super) fn ask(
    section: &Section<'_, '_>,
    terms: Terms,
    asset: Asset,
    value: U256,
    treasury: Address,
) -> Option<PermitAsk> {
    let currency: Box<str> = asset.symbol.as_ref().into();
    let (nobody, shown) = (Address::ZERO, asset.clone());
    if let Err(error) = Component::new(shown, value, &currency, nobody, nobody) {
        section.fault(ConfigCode::Price, "price", error.to_string());
        return None;
    }
    Some(PermitAsk {
        amount: Amount::new(value, asset.id),
        asset,
        treasury,
        currency,
        token_secs: terms.token_secs,
        policy: terms.policy,
        exposure_max: value.saturating_mul(U256::from(terms.exposure_prices)),
    })
}
