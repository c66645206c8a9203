//! Prices.

use faregate_core::{Ask, TokenAsk};
use faregate_server::config::{Config, Env, RoutePrice};
use faregate_types::{
    Asset, AssetRegistry, ChainId, Erc20, MoneyText, TokenDomain, TransferMethod, U256, hex_text,
};
use serde::Deserialize;
use serde_json::Value;

use crate::case::Case;
use crate::judge::Heard;

/// What a price text says.
///
/// Rule: our prices are texts. A JSON number counts as it is written, unless it has an exponent: such a text is refused, by
/// Python too (x402 §1.1).
///
/// # Errors
/// When the case has another form.
pub fn parse(case: &Case) -> Result<Heard, String> {
    case.only(&["money"], &["ok", "amount"])?;
    let peer: String = if case.expected("ok")? {
        case.expected("amount")?
    } else {
        REFUSED.to_owned()
    };
    let money: Value = case.input("money")?;
    let has_exponent = money.is_number() && money.to_string().contains(['e', 'E']);
    let ours = MoneyText::parse(&text(&money))
        .map_or(REFUSED.to_owned(), |price| price.number().to_owned());
    Ok(Heard::one(case, peer, ours).ruled(has_exponent.then_some(REFUSED)))
}

/// A price in atomic units.
///
/// Rule: a price above zero that would be cut down to zero is refused (x402 §1.1, §8 no. 22).
///
/// # Errors
/// When the case has another form.
pub fn convert(case: &Case) -> Result<Heard, String> {
    case.only(&["amount", "decimals"], &["atomic"])?;
    let (amount, decimals): (String, u8) = (case.input("amount")?, case.input("decimals")?);
    let ours = MoneyText::parse(&amount)
        .and_then(|price| price.to_atomic(decimals))
        .map_or(REFUSED.to_owned(), |atomic| atomic.to_string());
    let peer: String = case.expected("atomic")?;
    let would_be_free = peer == "0" && amount.contains(|c| ('1'..='9').contains(&c));
    Ok(Heard::one(case, peer, ours).ruled(would_be_free.then_some(REFUSED)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PeerAsset {
    address: String,
    decimals: u8,
    eip712: PeerDomain,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PeerDomain {
    name: String,
    version: String,
}

/// What a v1 server asks for when its price is this.
///
/// Rules: separators of thousands are refused, as Python does (x402 §1.1). The v1 SDK's bounds of a price, 0.0001 and
/// 999 999 999, are its own; the v2 SDKs have none, and amounts are exact here.
///
/// # Errors
/// When the case has another form.
pub fn price_v1(case: &Case) -> Result<Heard, String> {
    case.only(
        &["price", "network"],
        &["maxAmountRequired", "asset", "error"],
    )?;
    let (price, network): (Value, String) = (case.input("price")?, case.input("network")?);
    let price = text(&price);
    let chain =
        ChainId::from_v1_name(&network).ok_or_else(|| format!("unknown network {network}"))?;
    let peer = if case.expected.get("error").is_some() {
        REFUSED.to_owned()
    } else {
        peers_wording(case)?
    };
    let ours = offered(&price, &network).map_or(REFUSED.to_owned(), |ask| {
        wording(&ask.amount.value().to_string(), &ask.asset)
    });
    let ruling = if price.contains(',') {
        Some(REFUSED.to_owned())
    } else {
        let registry = AssetRegistry::builtin();
        let asset = registry.default_for(chain).filter(|_| peer == REFUSED);
        asset.and_then(|asset| Some(wording(&out_of_bounds(&price, asset.decimals)?, asset)))
    };
    Ok(Heard::one(case, peer, ours).ruled(ruling))
}

fn peers_wording(case: &Case) -> Result<String, String> {
    let (amount, asset): (String, PeerAsset) =
        (case.expected("maxAmountRequired")?, case.expected("asset")?);
    let token = hex_text::parse_address(&asset.address).map_err(|error| error.to_string())?;
    let PeerDomain { name, version } = asset.eip712;
    let asset = Asset {
        id: Erc20::new(ChainId::LOCAL, token),
        symbol: "".into(),
        decimals: asset.decimals,
        domain: TokenDomain::new(name, version),
        transfer: TransferMethod::Eip3009,
    };
    Ok(wording(&amount, &asset))
}

fn wording(amount: &str, asset: &Asset) -> String {
    let Asset {
        id,
        decimals,
        domain,
        ..
    } = asset;
    let (token, TokenDomain { name, version }) = (id.token(), domain);
    format!("{amount} of {token}, {decimals} decimals, {name:?} {version:?}")
}

/// The atomic units of a plain positive price outside of the v1 SDK's bounds, by shifting its digits.
fn out_of_bounds(price: &str, decimals: u8) -> Option<String> {
    let price = price.strip_prefix('$').unwrap_or(price);
    let (whole, fraction) = price.split_once('.').unwrap_or((price, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let places = usize::from(decimals);
    if whole.is_empty() || fraction.len() > places || !digits(whole) || !digits(fraction) {
        return None;
    }
    let scaled = |whole: &str, fraction: &str| {
        U256::from_str_radix(&format!("{whole}{fraction:0<places$}"), 10).ok()
    };
    let units = scaled(whole, fraction).filter(|units| !units.is_zero())?;
    let inside = scaled("0", "0001")? <= units && units <= scaled("999999999", "")?;
    (!inside).then(|| units.to_string())
}

const REFUSED: &str = "refused";

fn text(price: &Value) -> String {
    match price {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What the gate asks for when this price stands in its configuration; `None` when the configuration is refused.
fn offered(price: &str, network: &str) -> Option<TokenAsk> {
    // What JSON writes as a text, TOML reads as one.
    let (price, network) = (Value::from(price), Value::from(network));
    let text = format!(
        r#"
        mainnet = true
        [gate]
        public_url = "https://api.example.com"
        upstream = "http://127.0.0.1:8000"
        pay_to = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"
        facilitator = {{ url = "https://facilitator.example.com" }}
        network = {network}
        [[route]]
        match = "/"
        price = {price}
        "#
    );
    let config = Config::parse(&text, &Env::new()).ok()?;
    let route = config.gate?.routes.pop()?;
    match route.price {
        RoutePrice::Paid(offer) => offer.asks.first().and_then(Ask::as_token).cloned(),
        RoutePrice::Free => None,
    }
}
