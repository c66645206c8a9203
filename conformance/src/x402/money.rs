//! Prices.

use std::sync::Arc;

use faregate_core::{Ask, Offer, Payee, Resource, SettlePolicy};
use faregate_types::{
    Address, Amount, Asset, AssetRegistry, ChainId, MoneyText, RailName, hex_text,
};
use serde::Deserialize;
use serde_json::Value;

use crate::case::Case;
use crate::judge::Heard;

/// What a price text says.
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
    let ours = MoneyText::parse(&text(&case.input("money")?)?);
    Ok(Heard::one(
        case,
        peer,
        ours.map_or(REFUSED.to_owned(), |price| price.number().to_owned()),
    ))
}

/// A price in atomic units.
///
/// # Errors
/// When the case has another form.
pub fn convert(case: &Case) -> Result<Heard, String> {
    case.only(&["amount", "decimals"], &["atomic"])?;
    let (amount, decimals): (String, u8) = (case.input("amount")?, case.input("decimals")?);
    let ours = MoneyText::parse(&amount).and_then(|price| price.to_atomic(decimals));
    let peer: String = case.expected("atomic")?;
    Ok(Heard::one(
        case,
        peer,
        ours.map_or(REFUSED.to_owned(), |atomic| atomic.to_string()),
    ))
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
/// # Errors
/// When the case has another form.
pub fn price_v1(case: &Case) -> Result<Heard, String> {
    case.only(
        &["price", "network"],
        &["maxAmountRequired", "asset", "error"],
    )?;
    let network: String = case.input("network")?;
    let chain =
        ChainId::from_v1_name(&network).ok_or_else(|| format!("unknown network {network}"))?;
    let peer = if case.expected.get("error").is_some() {
        REFUSED.to_owned()
    } else {
        let (amount, asset): (String, PeerAsset) =
            (case.expected("maxAmountRequired")?, case.expected("asset")?);
        let token = hex_text::parse_address(&asset.address).map_err(|error| error.to_string())?;
        let PeerDomain { name, version } = &asset.eip712;
        wording(&amount, token, asset.decimals, name, version)
    };
    let ours = offered(&text(&case.input("price")?)?, chain).map_or(REFUSED.to_owned(), |ask| {
        let Asset {
            id,
            decimals,
            domain,
            ..
        } = &ask.asset;
        let amount = ask.amount.value().to_string();
        wording(
            &amount,
            id.token(),
            *decimals,
            &domain.name,
            &domain.version,
        )
    });
    Ok(Heard::one(case, peer, ours))
}

const REFUSED: &str = "refused";

/// Our prices are texts. A JSON number is one as JSON writes it.
fn text(price: &Value) -> Result<String, String> {
    match price {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(format!("{other} is neither text nor number")),
    }
}

fn wording(amount: &str, token: Address, decimals: u8, name: &str, version: &str) -> String {
    format!("{amount} of {token}, {decimals} decimals, {name:?} {version:?}")
}

/// The way from a price text to an offer that can be made; `None` where it ends.
fn offered(price: &str, chain: ChainId) -> Option<Ask> {
    let registry = AssetRegistry::builtin();
    let price = MoneyText::parse(price).ok()?;
    let asset = match price.currency() {
        None | Some("USD") => registry.default_for(chain)?,
        Some(symbol) => registry.by_symbol(chain, symbol)?,
    };
    let ask = Ask {
        rail: RailName::X402,
        amount: Amount::new(price.to_atomic(asset.decimals).ok()?, asset.id),
        asset: asset.clone(),
        payee: Payee::Evm(Address::repeat_byte(1)),
    };
    let resource = Resource {
        url: "https://api.example.com/".into(),
        description: "".into(),
        mime_type: "".into(),
    };
    let route: Arc<str> = "route".into();
    let offer = Offer::new(route, resource, vec![ask], SettlePolicy::Before, 60).ok()?;
    offer.asks().first().cloned()
}
