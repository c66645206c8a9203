//! Prices: money text in the network's own dollar coin, an exact amount of a named asset, satoshis, or alternatives of these.

use faregate_core::{Ask, Payee, TokenAsk};
use faregate_types::lightning::{Msat, MsatError};
use faregate_types::{
    Address, Amount, Asset, AssetRegistry, ChainId, Erc20, MoneyText, MoneyTextError, RailName,
    TransferMethod, U256, parse_atomic,
};
use toml::Spanned;
use toml::de::DeValue;

use super::error::ConfigCode;
use super::reader::{Inherited, Section, Text, article};
use crate::gateway::limits::PRICES_MAX;

/// What a route says about its price.
pub(super) enum PriceText {
    /// `"free"`.
    Free,
    /// Any one of these.
    Of(Prices),
}

/// Alternatives; at least one.
#[derive(Default)]
pub(super) struct Prices {
    /// So much of this asset, each asset once.
    pub(super) tokens: Vec<(Asset, U256)>,
    /// So many millisatoshis over Lightning.
    pub(super) lightning: Option<Msat>,
}

/// One of them.
enum One {
    Free,
    Token(Asset, U256),
    Lightning(Msat),
}

const EXPECTED: &str = "expected a price; a route that costs nothing says price = \"free\"";

const NETWORK: &str =
    "expected the network that is paid on, here or as gate.network, such as eip155:84532";

/// Reads prices of one route.
struct PriceReader<'p, 'r, 'a> {
    section: &'p Section<'r, 'a>,
    registry: &'p AssetRegistry,
    chain: &'p Inherited<ChainId>,
}

/// Reads `price`: `"free"`, `"$0.001"`, `"1.50 USDT"`, `"10 sat"`, `{ asset = "USDC", amount = "1000" }`, or a list of such.
pub(super) fn read(
    section: &Section<'_, '_>,
    registry: &AssetRegistry,
    chain: &Inherited<ChainId>,
) -> Option<PriceText> {
    let Some(value) = section.value("price") else {
        section.missing("price", EXPECTED);
        return None;
    };
    let reader = PriceReader {
        section,
        registry,
        chain,
    };
    match value.get_ref() {
        DeValue::Array(items) if items.is_empty() => {
            section.fault(ConfigCode::Price, "price", EXPECTED);
            None
        }
        DeValue::Array(items) if items.len() > PRICES_MAX => {
            let message = format!("expected at most {PRICES_MAX} prices");
            section.fault(ConfigCode::TooMany, "price", message);
            None
        }
        DeValue::Array(items) => {
            let found = items.iter().enumerate().map(|(index, item)| {
                let key = format!("{}[{}]", section.key("price"), index.saturating_add(1));
                (reader.one(item, key.clone()), item, key)
            });
            let found: Vec<_> = found.collect();
            let mut prices = Prices::default();
            let mut faulty = false;
            for (one, item, key) in found {
                faulty |= one.is_none_or(|one| {
                    prices
                        .add(one)
                        .is_err_and(|why| reader.fault(item, &key, why))
                });
            }
            (!faulty).then_some(PriceText::Of(prices))
        }
        _ => Some(match reader.one(value, section.key("price"))? {
            One::Free => PriceText::Free,
            One::Token(asset, amount) => PriceText::Of(Prices {
                tokens: vec![(asset, amount)],
                lightning: None,
            }),
            One::Lightning(price) => PriceText::Of(Prices {
                tokens: Vec::new(),
                lightning: Some(price),
            }),
        }),
    }
}

impl Prices {
    fn add(&mut self, one: One) -> Result<(), &'static str> {
        match one {
            One::Free => Err("a price is either free or a list of ways to pay"),
            One::Token(asset, _) if self.tokens.iter().any(|(known, _)| known.id == asset.id) => {
                Err("expected each asset once")
            }
            One::Token(asset, amount) => {
                self.tokens.push((asset, amount));
                Ok(())
            }
            One::Lightning(_) if self.lightning.is_some() => {
                Err("expected one price over Lightning")
            }
            One::Lightning(price) => {
                self.lightning = Some(price);
                Ok(())
            }
        }
    }
}

impl<'r, 'a> PriceReader<'_, 'r, 'a> {
    /// Notes a contradiction; always true.
    fn fault(&self, value: &Spanned<DeValue<'a>>, key: &str, why: &str) -> bool {
        let reader = self.section.reader();
        reader.fault(ConfigCode::Contradiction, &value.span(), key, why);
        true
    }

    fn one(&self, value: &'r Spanned<DeValue<'a>>, key: String) -> Option<One> {
        let fault = |code, key: &str, message: &str| {
            let reader = self.section.reader();
            reader.fault(code, &value.span(), key, message);
        };
        match value.get_ref() {
            DeValue::Table(_) => {
                let table = self.section.section_of(value, key)?;
                let price = self.exact(&table);
                table.finish();
                price
            }
            DeValue::Integer(_) | DeValue::Float(_) => {
                let message = "expected a price in quotes, such as \"$0.001\"";
                fault(ConfigCode::Price, &key, message);
                None
            }
            DeValue::String(text) if text.trim().is_empty() => {
                fault(ConfigCode::Price, &key, EXPECTED);
                None
            }
            DeValue::String(_) => self.money(&self.section.text_of(value, key)?),
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) => {
                let message = format!("expected a text, found {}", article(value.get_ref()));
                fault(ConfigCode::Type, &key, &message);
                None
            }
        }
    }

    fn money(&self, text: &Text) -> Option<One> {
        let fault = |code, message: String| {
            let reader = self.section.reader();
            reader.fault(code, &text.span, &text.key, message);
        };
        if text.value.trim() == "free" {
            return Some(One::Free);
        }
        let money = match MoneyText::parse(&text.value) {
            Ok(money) => money,
            Err(error) => {
                fault(ConfigCode::Price, error.to_string());
                return None;
            }
        };
        if money.is_zero() {
            let message = "expected a price above zero; a route that costs nothing says \"free\"";
            fault(ConfigCode::ZeroPrice, message.to_owned());
            return None;
        }
        match Msat::from_money(&money) {
            Ok(price) => return Some(One::Lightning(price)),
            Err(MsatError::Unit) => {}
            Err(error) => {
                fault(ConfigCode::Price, error.to_string());
                return None;
            }
        }
        let chain = self.chain.expected(self.section, "network", NETWORK)?;
        let asset = match money.currency() {
            None => self.registry.default_for(chain),
            Some(symbol) => self.registry.by_symbol(chain, symbol),
        };
        let Some(asset) = asset else {
            let message = format!(
                "no such asset is known on {chain}: name it in [[asset]] or write {{ asset, amount }}"
            );
            fault(ConfigCode::UnknownAsset, message);
            return None;
        };
        match money.to_atomic(asset.decimals) {
            Ok(value) => Some(One::Token(asset.clone(), value)),
            Err(error) => {
                let code = match error {
                    MoneyTextError::RoundsToZero => ConfigCode::ZeroPrice,
                    _ => ConfigCode::Price,
                };
                fault(code, error.to_string());
                None
            }
        }
    }

    fn exact(&self, table: &Section<'_, '_>) -> Option<One> {
        let chain = self.chain.expected(self.section, "network", NETWORK);
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
                let message = "expected an amount above zero";
                table.fault(ConfigCode::ZeroPrice, "amount", message);
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
            Ok(id) => self.registry.find(id),
            Err(_) => self.registry.by_symbol(chain, name),
        };
        if asset.is_none() {
            let message = format!("no such asset is known on {chain}: name it in [[asset]]");
            table.fault(ConfigCode::UnknownAsset, "asset", message);
        }
        Some(One::Token(asset?.clone(), amount?))
    }
}

/// An amount of this asset as money text, such as `"$1"` or `"1 USDC"`.
pub(super) fn amount_of(
    section: &Section<'_, '_>,
    key: &'static str,
    asset: &Asset,
) -> Option<U256> {
    money_of(section, &section.text(key)?, asset)
}

/// The same of a text that may stand elsewhere, where others inherit it from.
pub(super) fn money_of(section: &Section<'_, '_>, text: &Text, asset: &Asset) -> Option<U256> {
    let fault = |message: String| {
        let reader = section.reader();
        reader.fault(ConfigCode::Price, &text.span, &text.key, message);
    };
    let amount = MoneyText::parse(&text.value).and_then(|money| {
        let same = money
            .currency()
            .is_none_or(|symbol| symbol == &*asset.symbol);
        Ok((same, money.to_atomic(asset.decimals)?))
    });
    match amount {
        Ok((true, amount)) => return Some(amount),
        Ok((false, _)) => {
            let message = format!("expected an amount in {}, like the price", asset.symbol);
            fault(message);
        }
        Err(error) => fault(error.to_string()),
    }
    None
}

/// What is asked for over x402; `Some(None)` for a token that only permits are taken of.
#[expect(clippy::option_option, reason = "the outer one is the fault")]
pub(super) fn ask(
    section: &Section<'_, '_>,
    asset: Asset,
    value: U256,
    pay_to: Address,
    takes_permits: bool,
) -> Option<Option<Ask>> {
    if asset.transfer != TransferMethod::Eip3009 && takes_permits {
        return Some(None);
    }
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
    Some(Some(ask.into()))
}
