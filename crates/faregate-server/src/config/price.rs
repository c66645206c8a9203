//! Prices: money text in the network's own dollar coin, or an exact amount of a named asset.

use faregate_core::{Ask, Payee, TokenAsk};
use faregate_types::{
    Address, Amount, Asset, AssetRegistry, ChainId, Erc20, MoneyText, MoneyTextError, RailName,
    TransferMethod, U256, parse_atomic,
};
use toml::de::DeValue;

use super::error::ConfigCode;
use super::reader::{Inherited, Section};

/// What a route says about its price.
pub(super) enum PriceText {
    /// `"free"`.
    Free,
    /// So much of this asset.
    Of(Asset, U256),
}

const EXPECTED: &str = "expected a price; a route that costs nothing says price = \"free\"";

const NETWORK: &str =
    "expected the network that is paid on, here or as gate.network, such as eip155:84532";

/// Reads `price`: `"free"`, `"$0.001"`, `"1.50 USDT"` or `{ asset = "USDC", amount = "1000" }`.
pub(super) fn read(
    section: &Section<'_, '_>,
    registry: &AssetRegistry,
    chain: &Inherited<ChainId>,
) -> Option<PriceText> {
    let Some(value) = section.value("price") else {
        section.missing("price", EXPECTED);
        return None;
    };
    match value.get_ref() {
        DeValue::Table(_) => {
            let table = section.section("price")?;
            let price = exact(
                &table,
                registry,
                chain.expected(section, "network", NETWORK),
            );
            table.finish();
            price
        }
        DeValue::Integer(_) | DeValue::Float(_) => {
            section.fault(
                ConfigCode::Price,
                "price",
                "expected a price in quotes, such as \"$0.001\"",
            );
            None
        }
        DeValue::String(text) if text.trim().is_empty() => {
            section.fault(ConfigCode::Price, "price", EXPECTED);
            None
        }
        DeValue::String(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) => {
            money(section, registry, chain)
        }
    }
}

fn money(
    section: &Section<'_, '_>,
    registry: &AssetRegistry,
    chain: &Inherited<ChainId>,
) -> Option<PriceText> {
    let text = section.text("price")?.value;
    if text.trim() == "free" {
        return Some(PriceText::Free);
    }
    let money = match MoneyText::parse(&text) {
        Ok(money) => money,
        Err(error) => {
            section.fault(ConfigCode::Price, "price", error.to_string());
            return None;
        }
    };
    if money.is_zero() {
        let message = "expected a price above zero; a route that costs nothing says \"free\"";
        section.fault(ConfigCode::ZeroPrice, "price", message);
        return None;
    }
    let chain = chain.expected(section, "network", NETWORK)?;
    let asset = match money.currency() {
        None => registry.default_for(chain),
        Some(symbol) => registry.by_symbol(chain, symbol),
    };
    let Some(asset) = asset else {
        let message = format!(
            "no such asset is known on {chain}: name it in [[asset]] or write {{ asset, amount }}"
        );
        section.fault(ConfigCode::UnknownAsset, "price", message);
        return None;
    };
    match money.to_atomic(asset.decimals) {
        Ok(value) => Some(PriceText::Of(asset.clone(), value)),
        Err(error) => {
            let code = match error {
                MoneyTextError::RoundsToZero => ConfigCode::ZeroPrice,
                _ => ConfigCode::Price,
            };
            section.fault(code, "price", error.to_string());
            None
        }
    }
}

/// An amount of this asset as money text, such as `"$1"` or `"1 USDC"`.
pub(super) fn amount_of(
    section: &Section<'_, '_>,
    key: &'static str,
    asset: &Asset,
) -> Option<U256> {
    let text = section.text(key)?.value;
    let amount = MoneyText::parse(&text).and_then(|money| {
        let same = money
            .currency()
            .is_none_or(|symbol| symbol == &*asset.symbol);
        Ok((same, money.to_atomic(asset.decimals)?))
    });
    match amount {
        Ok((true, amount)) => return Some(amount),
        Ok((false, _)) => {
            let message = format!("expected an amount in {}, like the price", asset.symbol);
            section.fault(ConfigCode::Price, key, message);
        }
        Err(error) => section.fault(ConfigCode::Price, key, error.to_string()),
    }
    None
}

fn exact(
    table: &Section<'_, '_>,
    registry: &AssetRegistry,
    chain: Option<ChainId>,
) -> Option<PriceText> {
    let amount = table.required(
        "amount",
        "expected the amount in the asset's smallest unit, such as \"1000\"",
    );
    let name = table.required(
        "asset",
        "expected an asset by symbol or as eip155:<chain>/erc20:<token>",
    );
    let amount = match parse_atomic(amount?.value.trim()) {
        Ok(amount) if amount.is_zero() => {
            table.fault(
                ConfigCode::ZeroPrice,
                "amount",
                "expected an amount above zero",
            );
            None
        }
        Ok(amount) => Some(amount),
        Err(error) => {
            table.fault(ConfigCode::Price, "amount", error.to_string());
            None
        }
    };
    let (name, chain) = (name?, chain?);
    let name = name.value.trim();
    let asset = match name.parse::<Erc20>() {
        Ok(id) if id.chain() != chain => {
            let message = format!("this asset is not on {chain}, the network of the route");
            table.fault(ConfigCode::Contradiction, "asset", message);
            return None;
        }
        Ok(id) => registry.find(id),
        Err(_) => registry.by_symbol(chain, name),
    };
    if asset.is_none() {
        let message = format!("no such asset is known on {chain}: name it in [[asset]]");
        table.fault(ConfigCode::UnknownAsset, "asset", message);
    }
    Some(PriceText::Of(asset?.clone(), amount?))
}

/// What is asked for. A token that cannot be paid by signature has no rail yet.
pub(super) fn ask(
    section: &Section<'_, '_>,
    asset: Asset,
    value: U256,
    pay_to: Address,
) -> Option<Ask> {
    if asset.transfer != TransferMethod::Eip3009 {
        let symbol = &asset.symbol;
        let message = format!(
            "{symbol} has no transferWithAuthorization (EIP-3009), and no rail here is paid in it"
        );
        section.fault(ConfigCode::NoUsableRail, "price", message);
        return None;
    }
    let ask = TokenAsk {
        rail: RailName::X402,
        amount: Amount::new(value, asset.id),
        asset,
        payee: Payee::Evm(pay_to),
    };
    Some(ask.into())
}
