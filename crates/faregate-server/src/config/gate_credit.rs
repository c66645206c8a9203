//! `[gate.credit]`, and `credit` of a route: prices that can be paid with a guarantee over the payer's collateral.

use faregate_core::route::{RoutePattern, normalise_path};
use faregate_core::{Ask, CreditAsk};
use faregate_types::credit::binding::{SCORE_MAX, SCORE_MIN, TAG_POINTER};
use faregate_types::credit::parse_quantity;
use faregate_types::credit::x402::Condition;
use faregate_types::limits::VALIDATION_TAG_BYTES_MAX;
use faregate_types::permit::Endpoint;
use faregate_types::{
    Address, Amount, Asset, AssetRegistry, B256, ChainId, Erc20, MoneyText, TokenDomain,
    TransferMethod, U256,
};
use toml::de::DeValue;
use url::Url;

use super::credit_core::{self, CreditCoreConfig};
use super::error::ConfigCode;
use super::parts;
use super::permit;
use super::price::{self, PriceText, Prices};
use super::reader::{Inherited, Section, Text};
use super::remunerate::{self, RemunerateConfig};

/// The table of a gate, and of a route.
pub(super) const KEY: &str = "credit";

/// Where payers open tabs unless the file says otherwise.
const TAB_PATH: &str = "/.well-known/faregate/tabs";

/// Guarantees of credit cores.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GateCreditConfig {
    /// Who issues them: one core for each network.
    pub cores: Vec<CreditCoreConfig>,
    /// The path of this gate at which payers open tabs.
    pub tab_path: Box<str>,
    /// When certificates are redeemed by themselves, if they are.
    pub remunerate: Option<RemunerateConfig>,
}

/// What routes inherit.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    chains: Vec<ChainId>,
    /// Absolute.
    tab_endpoint: Box<str>,
    recipient: Option<Address>,
    /// Money in whatever asset the route is paid in.
    owed_max: Option<Text>,
    is_plain: bool,
    condition: Option<Condition>,
}

/// Reads `[gate.credit]`.
pub(super) fn read(
    section: &Section<'_, '_>,
    public_url: Option<&Url>,
    mainnet: bool,
) -> Option<(GateCreditConfig, Terms)> {
    let node = "expected the URL of a node's JSON-RPC endpoint, which is asked whether contract and core belong together";
    let cores = credit_core::read(section, "core", mainnet, &[], node);
    if cores.as_ref().is_some_and(Vec::is_empty) && !section.has("core") {
        let message = "expected [[gate.credit.core]]: who issues guarantees";
        section.missing("core", message);
    }
    let tab_path = tab_path(section);
    let chains = cores.iter().flatten().map(|core| core.chain).collect();
    let above = Terms {
        chains,
        tab_endpoint: "".into(),
        recipient: None,
        owed_max: None,
        is_plain: true,
        condition: None,
    };
    let terms = terms(section, above);
    let remunerate = schedule(section);
    let (terms, cores, tab_path) = (terms?, cores?, tab_path?);
    if terms.is_nothing() {
        section.fault(ConfigCode::Contradiction, "plain", NOTHING);
        return None;
    }
    // Without a public URL there is no gate either, and that was said.
    let base = public_url.map_or("", |url| url.as_str().trim_end_matches('/'));
    let terms = Terms {
        tab_endpoint: format!("{base}{tab_path}").into(),
        ..terms
    };
    let config = GateCreditConfig {
        cores,
        tab_path,
        remunerate: remunerate?,
    };
    Some((config, terms))
}

/// Reads `[gate.credit.remunerate]`.
#[expect(clippy::option_option, reason = "the outer one is the fault")]
fn schedule(section: &Section<'_, '_>) -> Option<Option<RemunerateConfig>> {
    if !section.has(remunerate::KEY) {
        return Some(None);
    }
    let table = section.section(remunerate::KEY)?;
    let found = remunerate::read(&table);
    table.finish();
    found.map(Some)
}

const NOTHING: &str = "without plain guarantees there has to be a condition for the others";

fn tab_path(section: &Section<'_, '_>) -> Option<Box<str>> {
    let text = section.text("tab_path");
    let path = text.map_or_else(|| TAB_PATH.to_owned(), |text| text.value);
    let is_plain = path != "/"
        && Endpoint::parse(&path).is_ok()
        && !path.contains(['?', '%', ';', '*'])
        && normalise_path(&path).is_ok_and(|normal| normal.wire() == path);
    let is_taken = matches!(&*path, "/livez" | "/readyz");
    if is_plain && !is_taken {
        return Some(path.into());
    }
    let message = "expected a plain path of its own such as /tabs";
    section.fault(ConfigCode::Value, "tab_path", message);
    None
}

/// Whether the endpoint takes every request of a route.
pub(super) fn hides(tab_path: &str, route: &RoutePattern) -> bool {
    RoutePattern::parse(tab_path).is_ok_and(|own| own.covers(route))
}

/// Whether requests to the endpoint would be taken for requests of access tokens.
pub(super) fn is_hidden_by(tab_path: &str, tokens: &Endpoint) -> bool {
    RoutePattern::parse(tab_path).is_ok_and(|own| permit::hides(tokens, &own))
}

impl Terms {
    /// Whether no guarantee would be taken at all.
    const fn is_nothing(&self) -> bool {
        !self.is_plain && self.condition.is_none()
    }
}

/// What a table says about guarantees, over what it inherits.
fn terms(section: &Section<'_, '_>, above: Terms) -> Option<Terms> {
    let recipient = Inherited::read(section, "recipient", |text| parts::address(section, text));
    let owed_max = Inherited::read(section, "owed_max", |text| {
        match MoneyText::parse(&text.value) {
            Ok(money) if !money.is_zero() => return Some(text.clone()),
            Ok(_) => section.fault(
                ConfigCode::ZeroPrice,
                "owed_max",
                "expected more than nothing",
            ),
            Err(error) => section.fault(ConfigCode::Price, "owed_max", error.to_string()),
        }
        None
    });
    let is_plain = section.flag("plain").unwrap_or(above.is_plain);
    let condition = condition(section, above.condition);
    Some(Terms {
        recipient: recipient.optional()?.or(above.recipient),
        owed_max: owed_max.optional()?.or(above.owed_max),
        is_plain,
        condition: condition?,
        ..above
    })
}

/// `condition`: a table, or `false` where none is to be inherited.
#[expect(clippy::option_option, reason = "the outer one is the fault")]
fn condition(section: &Section<'_, '_>, above: Option<Condition>) -> Option<Option<Condition>> {
    const KEY: &str = "condition";
    let Some(value) = section.value(KEY) else {
        return Some(above);
    };
    if let DeValue::Boolean(false) = value.get_ref() {
        return Some(None);
    }
    let table = section.section(KEY)?;
    let found = condition_of(&table);
    table.finish();
    found.map(Some)
}

/// What a guarantee of version 2 depends on (specs/4mica.md §2.1). The chain is that of the price.
fn condition_of(table: &Section<'_, '_>) -> Option<Condition> {
    let account = |key, message| {
        let text = table.required(key, message);
        text.and_then(|text| parts::address(table, &text))
    };
    let registry = account(
        "registry",
        "expected the contract in which validations stand (ERC-8004)",
    );
    let validator = account("validator", "expected the account that validates");
    let agent_id = agent_id(table);
    if !table.has("min_score") {
        table.missing("min_score", "expected the lowest score, from 1 to 100");
    }
    let scores = u64::from(SCORE_MIN)..=u64::from(SCORE_MAX);
    let min_score = table.number("min_score", scores);
    let tag = match table.text("tag") {
        Some(text) if text.value.len() > VALIDATION_TAG_BYTES_MAX => {
            let message = format!("expected at most {VALIDATION_TAG_BYTES_MAX} bytes");
            table.fault(ConfigCode::Value, "tag", message);
            None
        }
        Some(text) => Some(text.value),
        None => (!table.has("tag")).then(String::new),
    };
    let job = "expected the hash of the work, 0x and 64 hexadecimal digits that are not all zero";
    let job_hash = table.required("job_hash", job).and_then(|text| {
        let digits = text.value.trim().strip_prefix("0x")?.len();
        let hash: Option<B256> = text.value.trim().parse().ok();
        hash.filter(|hash| digits == 64 && !hash.is_zero() && *hash != TAG_POINTER)
    });
    if job_hash.is_none() && table.has("job_hash") {
        table.fault(ConfigCode::Value, "job_hash", job);
    }
    Some(Condition {
        registry: registry?,
        chain_id: None,
        validator: validator?,
        agent_id: agent_id?,
        min_score: u8::try_from(min_score?).ok()?,
        tag: tag?,
        job_hash: job_hash?,
    })
}

/// A number, or one too large for the file's numbers as a text.
fn agent_id(table: &Section<'_, '_>) -> Option<U256> {
    const KEY: &str = "agent_id";
    const EXPECTED: &str = "expected the agent's number, such as 7 or \"0x1f\"";
    let Some(value) = table.value(KEY) else {
        table.missing(KEY, EXPECTED);
        return None;
    };
    if let DeValue::Integer(_) = value.get_ref() {
        return table.number(KEY, 0..=u64::MAX).map(U256::from);
    }
    let number = parse_quantity(&table.text(KEY)?.value);
    if number.is_none() {
        table.fault(ConfigCode::Value, KEY, EXPECTED);
    }
    number
}

/// Reads a route's `credit`.
pub(super) struct OfRoute<'o, 'r, 'a> {
    pub(super) section: &'o Section<'r, 'a>,
    pub(super) registry: &'o AssetRegistry,
    pub(super) chain: &'o Inherited<ChainId>,
    /// The route's prices.
    pub(super) prices: &'o Prices,
    pub(super) pay_to: &'o Inherited<Address>,
    pub(super) above: &'o Inherited<Terms>,
}

impl OfRoute<'_, '_, '_> {
    /// What the route asks for on credit: each of its prices in tokens, or prices of its own.
    pub(super) fn asks(&self) -> Option<Vec<Ask>> {
        let section = self.section;
        let Some(value) = section.value(KEY) else {
            return match self.above {
                Inherited::Is(terms) => self.asks_for(section, terms, &self.prices.tokens),
                Inherited::Absent => Some(Vec::new()),
                Inherited::Faulty => None,
            };
        };
        let above = match (value.get_ref(), self.above) {
            (DeValue::Boolean(false), _) => return Some(Vec::new()),
            (_, Inherited::Is(above)) => above,
            (_, Inherited::Faulty) => return None,
            (_, Inherited::Absent) => {
                let message = "credit needs [gate.credit], which says who issues guarantees";
                section.fault(ConfigCode::NoUsableRail, KEY, message);
                return None;
            }
        };
        if let DeValue::Boolean(true) = value.get_ref() {
            self.expect_prices(!self.prices.tokens.is_empty())?;
            return self.asks_for(section, above, &self.prices.tokens);
        }
        let table = section.section(KEY)?;
        let own = self.own_prices(&table);
        let terms = terms(&table, above.clone());
        let asks = || {
            let (own, terms) = (own?, terms?);
            if terms.is_nothing() {
                table.fault(ConfigCode::Contradiction, "plain", NOTHING);
                return None;
            }
            let prices = own.as_ref().unwrap_or(&self.prices.tokens);
            self.expect_prices(!prices.is_empty())?;
            self.asks_for(&table, &terms, prices)
        };
        let asks = asks();
        table.finish();
        asks
    }

    fn expect_prices(&self, are_there: bool) -> Option<()> {
        if !are_there {
            let message =
                "only prices in tokens or ETH are paid on credit: say credit = { price = … }";
            self.section.fault(ConfigCode::Contradiction, KEY, message);
        }
        are_there.then_some(())
    }

    /// `price` of the table. Guarantees are also given over ETH, which nothing else here is paid in.
    #[expect(clippy::option_option, reason = "the outer one is the fault")]
    fn own_prices(&self, table: &Section<'_, '_>) -> Option<Option<Vec<(Asset, U256)>>> {
        if !table.has("price") {
            return Some(None);
        }
        let registry = match self.chain.get() {
            Some(chain) => self.registry.clone().with(eth(chain)),
            None => self.registry.clone(),
        };
        match price::read(table, &registry, self.chain)? {
            PriceText::Of(prices) if prices.lightning.is_none() => Some(Some(prices.tokens)),
            PriceText::Of(_) | PriceText::Free => {
                let message = "expected prices in tokens or ETH";
                table.fault(ConfigCode::Contradiction, "price", message);
                None
            }
        }
    }

    fn asks_for(
        &self,
        table: &Section<'_, '_>,
        terms: &Terms,
        prices: &[(Asset, U256)],
    ) -> Option<Vec<Ask>> {
        let asks = prices
            .iter()
            .map(|(asset, value)| self.ask(table, terms, asset, *value));
        // All of them are looked at, so that all faults are told.
        let asks: Vec<Option<Ask>> = asks.collect();
        asks.into_iter().collect()
    }

    fn ask(
        &self,
        table: &Section<'_, '_>,
        terms: &Terms,
        asset: &Asset,
        value: U256,
    ) -> Option<Ask> {
        let chain = asset.id.chain();
        if !terms.chains.contains(&chain) {
            let message = format!(
                "no [[gate.credit.core]] is on {chain}: name one, or say credit = false on this route"
            );
            self.section.fault(ConfigCode::NoUsableRail, KEY, message);
            return None;
        }
        let message =
            "expected the address that is owed, here, as gate.credit.recipient or as gate.pay_to";
        let recipient = match terms.recipient {
            Some(recipient) => Some(recipient),
            None => self.pay_to.expected(table, "recipient", message),
        };
        let owed_max = match &terms.owed_max {
            None => None,
            Some(text) => Some(owed_max(table, text, asset, value)?),
        };
        let condition = terms.condition.clone().map(|condition| Condition {
            chain_id: Some(chain.get()),
            ..condition
        });
        let ask = CreditAsk {
            asset: asset.id,
            amount: Amount::new(value, asset.id),
            recipient: recipient?,
            tab_endpoint: terms.tab_endpoint.clone(),
            is_plain: terms.is_plain,
            condition,
            owed_max,
        };
        Some(ask.into())
    }
}

/// How much one payer may owe, in the asset of the price.
fn owed_max(table: &Section<'_, '_>, text: &Text, asset: &Asset, price: U256) -> Option<U256> {
    let most = price::money_of(table, text, asset)?;
    if most < price {
        let message = format!("{}: expected at least the price", text.key);
        table.fault(ConfigCode::Value, "owed_max", message);
        return None;
    }
    Some(most)
}

/// What the contract calls ETH.
fn eth(chain: ChainId) -> Asset {
    Asset {
        id: Erc20::new(chain, Address::ZERO),
        symbol: "ETH".into(),
        decimals: 18,
        // It is no token: nobody signs for it.
        domain: TokenDomain {
            name: "".into(),
            version: "".into(),
        },
        transfer: TransferMethod::Permit2,
    }
}
