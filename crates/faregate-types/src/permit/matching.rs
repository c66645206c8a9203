//! Which of a server's offers a client takes (specs/permit.md §1.12).

use alloy_primitives::{Address, U256};

use super::decimal::Decimal;
use super::demand::Offer;
use crate::asset::Asset;

/// What a client of the product pays with: a token, and at most so much in whole coins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that every edge builds by literal"
)]
pub struct Limit {
    /// The token. The product looks at no chain.
    pub token: Address,
    /// The most it pays.
    pub most: Decimal,
}

/// The product's rule: the first offer of the server that fits any limit. The server's order decides, whatever the
/// documentation says.
#[must_use]
pub fn by_server(offers: &[Offer], limits: &[Limit]) -> Option<usize> {
    let fits = |offer: &Offer| {
        limits.iter().any(|limit| {
            limit.token == offer.asset.token() && offer.amount.cmp(&limit.most).is_le()
        })
    };
    offers.iter().position(fits)
}

/// What a client of ours pays with: an asset of its own table, and at most so many of its atomic units.
#[derive(Clone, Copy, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that every edge builds by literal"
)]
pub struct Cap<'a> {
    /// The asset. Its chain, decimals and domain are ours.
    pub asset: &'a Asset,
    /// The most it pays, in atomic units.
    pub most: U256,
}

/// An offer that a client of ours takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Choice {
    /// Which offer.
    pub offer: usize,
    /// Which cap.
    pub cap: usize,
    /// What it costs, in atomic units by our own decimals.
    pub amount: U256,
}

/// Our rule: the first cap that an offer fits, so that what a payer configures first is taken first. Token and chain are ours,
/// and what the server says of decimals and domain, if anything, has to be what our table says.
#[must_use]
pub fn by_priority(offers: &[Offer], caps: &[Cap<'_>]) -> Option<Choice> {
    caps.iter().enumerate().find_map(|(cap, ours)| {
        offers.iter().enumerate().find_map(|(index, offer)| {
            let amount = price(offer, ours.asset)?;
            (amount <= ours.most).then_some(Choice {
                offer: index,
                cap,
                amount,
            })
        })
    })
}

/// What an offer costs in this asset; `None` when it is another one, or the server means something else by it.
#[must_use]
pub fn price(offer: &Offer, asset: &Asset) -> Option<U256> {
    let says = |theirs: &Option<Box<str>>, ours: &str| {
        theirs.as_deref().is_none_or(|theirs| theirs == ours)
    };
    let is_ours = offer.asset == asset.id
        && offer
            .decimals
            .is_none_or(|decimals| decimals == asset.decimals)
        && says(&offer.name, &asset.domain.name)
        && says(&offer.version, &asset.domain.version);
    offer
        .amount
        .to_units(asset.decimals)
        .ok()
        .filter(|_| is_ours)
}
