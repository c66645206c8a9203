//! A 402 answer of another server, of any release, read by a client (specs/permit.md §1.2, §2.2).
//!
//! Nothing in it is believed: amounts are compared with our caps under our own decimals, and what is signed is our own table's
//! domain. The texts here are for saying why not.

use alloy_primitives::Address;

use super::body::PAYMENT_TYPE;
use super::decimal::Decimal;
use super::endpoint::Endpoint;
use super::kind::{PermitKind, parse_chain};
use super::lax::{Member, Object, ShapeError};
use crate::asset::Erc20;
use crate::chain_id::ChainId;
use crate::hex_text;
use crate::limits::{BODY_BYTES_MAX, COMPONENTS_MAX};
use crate::refusal::one_line;

/// What a server asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Demand {
    /// For people: why there is no answer yet.
    pub reason: Option<Box<str>>,
    /// Where the permit is posted: the same origin as the request.
    pub endpoint: Endpoint,
    /// The ways to pay, in the server's order. There may be none.
    pub offers: Vec<Offer>,
}

/// One way to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offer {
    /// In whole coins, as written.
    pub amount: Decimal,
    /// A label, not more.
    pub currency: Box<str>,
    /// Token and chain.
    pub asset: Erc20,
    /// `metadata.wallet_address`: whom releases up to 0.2.0 want signed for.
    pub wallet: Option<Address>,
    /// `pay_to`: whom later ones want signed for.
    pub pay_to: Option<Address>,
    /// The EIP-712 name the server claims.
    pub name: Option<Box<str>>,
    /// The EIP-712 version the server claims.
    pub version: Option<Box<str>>,
    /// The decimals the server claims. Believing them is how a server makes a client sign a million times too much.
    pub decimals: Option<u8>,
    has_chain_id: bool,
    has_caip2: bool,
}

impl Demand {
    /// Reads a body. `None` when it is not of this rail: no JSON object with a `payment_scheme`.
    ///
    /// # Errors
    /// [`ShapeError`] where the product's clients break down, and for an endpoint that is not a path of the same origin.
    pub fn read(body: &[u8]) -> Result<Option<Self>, ShapeError> {
        let within = body.len() <= BODY_BYTES_MAX;
        let Some(body) = Object::read(body).filter(|body| within && body.has("payment_scheme"))
        else {
            return Ok(None);
        };
        let endpoint = body.get("access_token_endpoint").and_then(Member::text);
        let endpoint = endpoint.and_then(|path| Endpoint::parse(&path).ok());
        let endpoint = endpoint.ok_or(ShapeError::new(
            "access_token_endpoint",
            "a path of the same origin",
        ))?;
        let scheme = body.get("payment_scheme").and_then(Member::object);
        let components = scheme.and_then(|scheme| scheme.get("payment_components")?.items());
        let components = components
            .filter(|components| components.len() <= COMPONENTS_MAX)
            .ok_or(ShapeError::new(
                "payment_scheme.payment_components",
                "a list of at most 64 objects",
            ))?;
        let offers: Result<Vec<Offer>, ShapeError> =
            components.into_iter().map(Offer::read).collect();
        let reason = body.get("reason").and_then(Member::text);
        Ok(Some(Self {
            reason: reason.map(|reason| one_line(&reason)),
            endpoint,
            offers: offers?,
        }))
    }
}

impl Offer {
    fn read(component: Member<'_>) -> Result<Self, ShapeError> {
        let component = component
            .object()
            .ok_or(ShapeError::new("payment_components", "objects"))?;
        let text = |name: &str| component.get(name).and_then(Member::text);
        if text("payment_type").as_deref() != Some(PAYMENT_TYPE) {
            return Err(ShapeError::new("payment_type", "\"evm\""));
        }
        let amount = component.get("amount").and_then(Member::decimal);
        let amount = amount.ok_or(ShapeError::new("amount", "a number that is not negative"))?;
        let currency = text("currency").ok_or(ShapeError::new("currency", "a text"))?;
        let token = text("token").and_then(|text| hex_text::parse_address(&text).ok());
        let token = token.ok_or(ShapeError::new("token", "an address"))?;
        let metadata = match component.get("metadata") {
            Some(metadata) => metadata
                .object()
                .ok_or(ShapeError::new("metadata", "an object"))?,
            None if component.has("metadata") => {
                return Err(ShapeError::new("metadata", "an object"));
            }
            None => Object::default(),
        };
        let decimals = either(&component, "token_decimals", &metadata, "decimals");
        let decimals = decimals.map(|decimals| {
            let number = decimals
                .integer()
                .and_then(|number| u8::try_from(number).ok());
            number.ok_or(ShapeError::new("token_decimals", "a number below 256"))
        });
        Ok(Self {
            amount,
            currency: one_line(&currency),
            asset: Erc20::new(chain(&component)?, token),
            wallet: address(&metadata, "wallet_address", "metadata.wallet_address")?,
            pay_to: address(&component, "pay_to", "pay_to")?,
            name: either(&component, "token_name", &metadata, "name").and_then(words),
            version: either(&component, "token_version", &metadata, "version").and_then(words),
            decimals: decimals.transpose()?,
            has_chain_id: component.has("chain_id"),
            has_caip2: component.has("caip2"),
        })
    }

    /// The kinds of permits that this server may take, the likelier first (specs/permit.md §2.1). Where there are two, nothing
    /// in the offer tells 0.1.1 from 0.2.0: each answers the other's permits with 500.
    #[must_use]
    pub fn kinds(&self) -> Vec<PermitKind> {
        let later = PermitKind::for_currency(&self.currency);
        match (self.has_chain_id, self.has_caip2) {
            (true, false) => vec![PermitKind::Eip2612, later],
            // All fields: a server that takes every kind. Everything moves in one transaction with the later ones.
            (true, true) => vec![later, PermitKind::Eip2612],
            (false, _) => vec![later],
        }
    }

    /// Whom a permit of this kind has to name.
    #[must_use]
    pub fn payee(&self, kind: PermitKind) -> Option<Address> {
        match kind {
            PermitKind::Eip2612 => self.wallet,
            PermitKind::Erc3009 | PermitKind::Permit2 => self.pay_to.or(self.wallet),
        }
    }
}

/// `caip2`, else `chain_id`; where both are there they have to agree.
fn chain(component: &Object<'_>) -> Result<ChainId, ShapeError> {
    let wrong = ShapeError::new("chain_id", "the number of a chain, the same as in caip2");
    let by_number = component.get("chain_id").map(|number| {
        let number = number
            .integer()
            .and_then(|number| u64::try_from(number).ok());
        number.and_then(ChainId::new).ok_or(wrong)
    });
    let by_name = component.get("caip2").map(|name| {
        let name = name.text().and_then(|name| parse_chain(&name).ok());
        name.ok_or(ShapeError::new("caip2", "eip155 and the number of a chain"))
    });
    match (by_number.transpose()?, by_name.transpose()?) {
        (Some(number), Some(name)) if number != name => Err(wrong),
        (Some(chain), _) | (None, Some(chain)) => Ok(chain),
        (None, None) => Err(wrong),
    }
}

fn either<'a>(
    component: &Object<'a>,
    name: &str,
    metadata: &Object<'a>,
    old_name: &str,
) -> Option<Member<'a>> {
    component.get(name).or_else(|| metadata.get(old_name))
}

fn address(
    of: &Object<'_>,
    name: &str,
    member: &'static str,
) -> Result<Option<Address>, ShapeError> {
    let found = of.get(name).map(|value| {
        let address = value
            .text()
            .and_then(|text| hex_text::parse_address(&text).ok());
        address.ok_or(ShapeError::new(member, "an address"))
    });
    found.transpose()
}

/// A text, or a number as it is written: later servers write versions either way.
fn words(member: Member<'_>) -> Option<Box<str>> {
    let text = member.text();
    let text = text.or_else(|| member.integer().map(|number| number.to_string()))?;
    Some(one_line(&text))
}
