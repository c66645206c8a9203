//! Which offer to take. Pure: offers and rules in, a verdict on every offer out.
//!
//! The server's words are compared with our own tables, never the other way round: decimals, EIP-712 domain and the way
//! a token moves come from the [`AssetRegistry`], because whoever chooses them chooses what is signed and what it is
//! worth (x402 wire facts §8 item 17).

use std::collections::BTreeSet;

use alloy_primitives::Address;
use faregate_ledger::{Terms, Worth};
use faregate_types::limits::V1_VALUE_DIGITS_MAX;
use faregate_types::x402::{SCHEME_EXACT, Version};
use faregate_types::{
    Amount, Asset, AssetRegistry, ChainId, Code, Erc20, Refusal, Timestamp, TokenDomain,
    TransferMethod, hex_text, network, parse_atomic,
};

use crate::error::PayError;
use crate::offer::{Asked, Entry, Offers};
use crate::text::clean;

/// Which chains may be paid on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chains {
    /// Named ones. Besides them, every network that is known to be a test network.
    pub(crate) named: BTreeSet<ChainId>,
}

impl Chains {
    pub(crate) fn allow(&self, chain: ChainId) -> bool {
        self.named.contains(&chain) || network(chain).is_some_and(|network| network.testnet)
    }
}

/// What a payment has to satisfy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) assets: &'a AssetRegistry,
    pub(crate) chains: &'a Chains,
    pub(crate) per_payment: Worth,
    pub(crate) validity_secs_max: u64,
}

/// An offer, as the server words it, and what we make of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Considered {
    /// The scheme, e.g. `exact`. Like the other texts: the server's, shortened and made printable.
    pub scheme: Box<str>,
    /// The network.
    pub network: Box<str>,
    /// Atomic units, if they are a number.
    pub amount: Box<str>,
    /// The token contract.
    pub asset: Box<str>,
    /// The payee.
    pub pay_to: Box<str>,
    /// The price in our own terms, or why this offer is not taken.
    pub verdict: Result<Price, Refusal>,
}

/// An offer that can be taken, in our own terms.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Price {
    /// What it costs.
    pub amount: Amount,
    /// The asset, from our own table.
    pub asset: Asset,
    /// The same in dollars.
    pub worth: Worth,
    /// Who gets it.
    pub payee: Address,
    /// How long the authorization will be valid, in seconds.
    pub validity_secs: u64,
}

impl Price {
    /// When a signature that is made now ends.
    pub(crate) fn valid_until(&self, now: Timestamp) -> Result<Timestamp, PayError> {
        now.checked_add_secs(self.validity_secs)
            .ok_or_else(|| Refusal::new(Code::ValidityTooLong))
            .map_err(PayError::Offer)
    }

    /// What is remembered about the place where it was asked for.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            payee: self.payee.to_string().into(),
            amount: self.amount,
            worth: self.worth,
        }
    }
}

/// Judges every offer, in the server's order.
pub(crate) fn consider(offers: &Offers, rules: &Rules<'_>) -> Vec<Considered> {
    let judge = |entry: &Entry| match &entry.asked {
        Ok(asked) => Considered {
            scheme: clean(&asked.scheme),
            network: clean(&asked.network),
            amount: clean(&asked.amount),
            asset: clean(&asked.asset),
            pay_to: clean(&asked.pay_to),
            verdict: price(asked, offers.version, rules),
        },
        Err(refusal) => Considered {
            scheme: "".into(),
            network: "".into(),
            amount: "".into(),
            asset: "".into(),
            pay_to: "".into(),
            verdict: Err(refusal.clone()),
        },
    };
    offers.entries.iter().map(judge).collect()
}

/// Whether any offer can be taken.
pub(crate) fn has_usable(offers: &Offers, rules: &Rules<'_>) -> bool {
    let is_usable = |entry: &Entry| {
        let asked = entry.asked.as_ref();
        asked.is_ok_and(|asked| price(asked, offers.version, rules).is_ok())
    };
    offers.entries.iter().any(is_usable)
}

/// The offer that is taken of those that can be, and its place: the first with the payer's first asset, or else its second,
/// and so on; the server's order decides only between offers that are all the same to the payer.
pub(crate) fn first<'a>(
    considered: impl IntoIterator<Item = &'a Considered>,
    assets: &[Erc20],
) -> Option<(usize, &'a Price)> {
    let usable = considered
        .into_iter()
        .enumerate()
        .filter_map(|(index, offer)| Some((index, offer.verdict.as_ref().ok()?)));
    let rank = |(_, price): &(usize, &Price)| {
        let place = assets.iter().position(|asset| *asset == price.asset.id);
        place.unwrap_or(assets.len())
    };
    // Of several that are the same to it, this takes the first.
    usable.min_by_key(rank)
}

fn price(asked: &Asked, version: Version, rules: &Rules<'_>) -> Result<Price, Refusal> {
    scheme(asked)?;
    let chain = chain(asked, rules.chains)?;
    let asset = asset(asked, chain, rules.assets)?;
    domain(asked, version, asset)?;
    let amount = amount(asked, version, asset.id)?;
    let payee = hex_text::parse_address(&asked.pay_to)
        .map_err(|error| malformed(format!("payTo: {error}")))?;
    if payee.is_zero() {
        return Err(malformed("payTo: expected another address than zero"));
    }
    let validity_secs = validity(asked, rules.validity_secs_max)?;
    let worth = Worth::of_dollar_coin(amount.value(), asset.decimals).ok_or_else(|| {
        Refusal::new(Code::OverPaymentCap).detail("the amount is too large to be counted")
    })?;
    if worth > rules.per_payment {
        return Err(Refusal::new(Code::OverPaymentCap));
    }
    Ok(Price {
        amount,
        asset: asset.clone(),
        worth,
        payee,
        validity_secs,
    })
}

fn scheme(asked: &Asked) -> Result<(), Refusal> {
    if asked.scheme != SCHEME_EXACT {
        return Err(unsupported("expected scheme exact"));
    }
    let extra = |key| asked.extra.as_ref().and_then(|extra| extra.get(key));
    match extra("paymentFlow").map(|flow| flow.as_str().unwrap_or_default()) {
        None | Some("authorization" | "upfront") => {}
        Some(_) => return Err(unsupported("unknown payment flow")),
    }
    match extra("assetTransferMethod").map(|method| method.as_str().unwrap_or_default()) {
        None | Some("eip3009") => Ok(()),
        Some(_) => Err(unsupported("expected asset transfer method eip3009")),
    }
}

fn chain(asked: &Asked, chains: &Chains) -> Result<ChainId, Refusal> {
    let chain = asked
        .chain
        .ok_or_else(|| Refusal::new(Code::InvalidNetwork))?;
    if chains.allow(chain) {
        Ok(chain)
    } else {
        Err(Refusal::new(Code::NetworkNotAllowed))
    }
}

fn asset<'a>(
    asked: &Asked,
    chain: ChainId,
    assets: &'a AssetRegistry,
) -> Result<&'a Asset, Refusal> {
    let token = hex_text::parse_address(&asked.asset)
        .map_err(|error| malformed(format!("asset: {error}")))?;
    let asset = assets
        .find(Erc20::new(chain, token))
        .ok_or_else(|| Refusal::new(Code::AssetUnknown))?;
    match asset.transfer {
        TransferMethod::Eip3009 => Ok(asset),
        _ => Err(unsupported("this asset does not move by EIP-3009")),
    }
}

/// The server's EIP-712 domain has to be ours. We sign ours in any case; but with another one the server would not accept
/// it, or is up to something.
fn domain(asked: &Asked, version: Version, asset: &Asset) -> Result<(), Refusal> {
    let named = |key| {
        asked
            .extra
            .as_ref()
            .is_some_and(|extra| extra.contains_key(key))
    };
    if !named("name") && !named("version") {
        // Version 1 servers may leave it out, their facilitators know the tokens.
        return match version {
            Version::V1 => Ok(()),
            Version::V2 => Err(Refusal::new(Code::MissingEip712Domain)),
        };
    }
    let theirs = asked.extra.as_ref().and_then(TokenDomain::from_extra);
    if theirs.as_ref() == Some(&asset.domain) {
        Ok(())
    } else {
        let TokenDomain { name, version } = &asset.domain;
        Err(Refusal::new(Code::DomainMismatch).detail(format!(
            "expected name \"{name}\" and version \"{version}\""
        )))
    }
}

fn amount(asked: &Asked, version: Version, asset: Erc20) -> Result<Amount, Refusal> {
    let value =
        parse_atomic(&asked.amount).map_err(|error| malformed(format!("amount: {error}")))?;
    if value.is_zero() {
        return Err(malformed("amount: expected more than zero"));
    }
    if version == Version::V1 && asked.amount.len() > V1_VALUE_DIGITS_MAX {
        return Err(malformed(format!(
            "amount: expected at most {V1_VALUE_DIGITS_MAX} digits in version 1"
        )));
    }
    Ok(Amount::new(value, asset))
}

fn validity(asked: &Asked, secs_max: u64) -> Result<u64, Refusal> {
    match asked.max_timeout_secs {
        0 => Err(malformed("maxTimeoutSeconds: expected at least one second")),
        secs if secs > secs_max => Err(Refusal::new(Code::ValidityTooLong)
            .detail(format!("{secs} seconds asked for, {secs_max} allowed"))),
        secs => Ok(secs),
    }
}

fn malformed(detail: impl AsRef<str>) -> Refusal {
    Refusal::new(Code::MalformedOffer).detail(detail)
}

fn unsupported(detail: &str) -> Refusal {
    Refusal::new(Code::UnsupportedScheme).detail(detail)
}

#[cfg(test)]
mod tests;
