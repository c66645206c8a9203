//! Amounts, chains, currencies, and which offer is taken.

use faregate_types::permit::matching::{Limit, by_server};
use faregate_types::permit::{Decimal, Demand, PermitKind, label, parse_chain};
use faregate_types::{U256, parse_atomic};
use serde_json::Value;

use super::wire::around;
use super::{decimal, equal, parsed, usdc};
use crate::case::Case;
use crate::judge::Heard;

const REFUSED: &str = "refused";

/// Whole coins in atomic units.
///
/// # Errors
/// When the case has another form.
pub fn to_value(case: &Case) -> Result<Heard, String> {
    case.only(&["amount", "decimals"], &["value", "error", "message"])?;
    let amount: String = case.input("amount")?;
    // A text in Python stands there with its quotes.
    let amount = amount.trim_matches('\'');
    let decimals: u8 = case.input("decimals")?;
    let ours = Decimal::parse(amount).and_then(|amount| amount.to_units(decimals));
    let theirs: Option<String> = case.expected("value").ok();
    Ok(Heard::one(
        case,
        theirs.unwrap_or_else(|| REFUSED.to_owned()),
        ours.map_or_else(|_| REFUSED.to_owned(), |value| value.to_string()),
    ))
}

/// Atomic units in whole coins.
///
/// # Errors
/// When the case has another form.
pub fn to_amount(case: &Case) -> Result<Heard, String> {
    case.only(&["value", "decimals"], &["amount", "error", "message"])?;
    let value: String = case.input("value")?;
    let decimals: u8 = case.input("decimals")?;
    let ours = parse_atomic(&value).map(|value| Decimal::from_units(value, decimals));
    let theirs = case.expected.get("amount").map(decimal).transpose()?;
    let word = |number: Option<Decimal>| number.map_or(REFUSED.to_owned(), |n| n.to_string());
    Ok(Heard::one(case, word(theirs), word(ours.ok())))
}

/// Which offer a client of the product takes.
///
/// # Errors
/// When an offer or a limit cannot be read.
pub fn matching(case: &Case) -> Result<Heard, String> {
    case.only(&["remote", "local"], &["index", "error"])?;
    let body = around(&case.input("remote")?);
    let demand = Demand::read(body.as_bytes()).map_err(|error| error.to_string())?;
    let local: Vec<Value> = case.input("local")?;
    let limits: Result<Vec<Limit>, String> = local
        .iter()
        .map(|limit| {
            let token = limit.get("token").and_then(Value::as_str);
            Ok(Limit {
                token: parsed(token.unwrap_or_default())?,
                most: decimal(limit.get("amount").unwrap_or(&Value::Null))?,
            })
        })
        .collect();
    let offers = demand.ok_or("is none of this rail")?.offers;
    let word = |index: Option<usize>| index.map_or("none".to_owned(), |index| index.to_string());
    let theirs: Option<usize> = case.expected("index")?;
    Ok(Heard::one(
        case,
        word(theirs),
        word(by_server(&offers, &limits?)),
    ))
}

/// A chain of the product's table. Its nodes are the product's choice, and its long names are for nobody.
///
/// # Errors
/// Names the first difference.
pub fn chain(case: &Case) -> Result<Heard, String> {
    let known = [
        "network",
        "name",
        "type",
        "rpc_url",
        "public_rpc_url",
        "explorer_url",
        "assets",
    ];
    case.only(&["chain"], &known)?;
    let name: String = case.input("chain")?;
    let chain = parse_chain(&name).map_err(|error| error.to_string())?;
    equal(
        "network",
        &case.expected::<String>("network")?,
        &label::label(chain).into_owned(),
    )?;
    let explorer: String = case.expected("explorer_url")?;
    equal(
        "explorer",
        &Some(explorer.as_str()),
        &label::explorer(chain),
    )?;
    let ours = usdc(&name).ok_or("no asset")?;
    let theirs = case.expected.pointer("/assets/USDC").ok_or("no USDC")?;
    let text = |key: &str| theirs.get(key).and_then(Value::as_str).unwrap_or_default();
    equal("token", &parsed(text("address"))?, &ours.id.token())?;
    equal("name", &text("name"), &ours.domain.name.as_ref())?;
    equal("version", &text("version"), &ours.domain.version.as_ref())?;
    let decimals = theirs.get("decimals").and_then(Value::as_u64);
    equal("decimals", &decimals, &Some(u64::from(ours.decimals)))?;
    let assets = case.expected.get("assets").and_then(Value::as_object);
    equal("assets", &Some(1), &assets.map(serde_json::Map::len))?;
    Ok(Heard::same(case))
}

/// Which permit a currency is paid with.
///
/// # Errors
/// When the case has another form.
pub fn scheme(case: &Case) -> Result<Heard, String> {
    case.only(&["currency"], &["scheme"])?;
    let currency: String = case.input("currency")?;
    let theirs: String = case.expected("scheme")?;
    Ok(Heard::one(
        case,
        theirs,
        PermitKind::for_currency(&currency).as_str(),
    ))
}

/// A chain's name in either form.
///
/// # Errors
/// When the case has another form.
pub fn caip2(case: &Case) -> Result<Heard, String> {
    case.only(&["caip2"], &["chain_id", "error", "message"])?;
    let name: String = case.input("caip2")?;
    let ours = parse_chain(&name).map(|chain| U256::from(chain.get()).to_string());
    let theirs = case.expected.get("chain_id").map(Value::to_string);
    Ok(Heard::one(
        case,
        theirs.unwrap_or_else(|| REFUSED.to_owned()),
        ours.unwrap_or_else(|_| REFUSED.to_owned()),
    ))
}
