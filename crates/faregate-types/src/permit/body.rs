//! What a 402 answer has for this rail: one component per asset that all five releases understand (specs/permit.md §1.2, §2.5).
//!
//! Fields of the first generation alone break later clients, and the other way round, so every component has both. Nothing but
//! `evm` components stand in the list: one of another type makes the whole answer unreadable to the product's clients. Other
//! rails put their members beside these.

use alloy_primitives::{Address, U256};
use serde::ser::{Error as _, SerializeStruct as _};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::date::naive;
use super::decimal::Decimal;
use super::endpoint::Endpoint;
use super::label::label;
use super::request::VERSION;
use crate::asset::Asset;
use crate::limits::COMPONENTS_MAX;
use crate::timestamp::Timestamp;
use crate::x402::wire::to_json;

/// `payment_instruction`, in the product's words.
pub const INSTRUCTION: &str = "Payment required to access this resource. Submit payment to the access_token_endpoint using \
                               methods specified in payment_scheme.";

/// The only `payment_type` there is.
pub const PAYMENT_TYPE: &str = "evm";

/// One way to pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    asset: Asset,
    amount: Decimal,
    currency: Box<str>,
    wallet: Address,
    pay_to: Address,
    created_at: Option<Timestamp>,
}

/// Why something cannot be asked for over this rail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ComponentError {
    /// Clients would read another amount than the one that is meant.
    #[error(
        "expected a price of at most 15 significant digits: clients of this rail read it as a float"
    )]
    TooPrecise,
    /// The product refuses it too.
    #[error("expected a currency that is not blank")]
    Currency,
    /// More ways to pay than a client of ours reads.
    #[error("expected at most {COMPONENTS_MAX} ways to pay")]
    TooMany,
}

impl Component {
    /// So many atomic units of an asset. `wallet` is whom clients up to 0.2.0 sign for, `pay_to` whom later ones sign for.
    ///
    /// # Errors
    /// [`ComponentError::TooPrecise`] or [`ComponentError::Currency`].
    pub fn new(
        asset: Asset,
        amount: U256,
        currency: &str,
        wallet: Address,
        pay_to: Address,
    ) -> Result<Self, ComponentError> {
        let amount = Decimal::from_units(amount, asset.decimals);
        if !amount.survives_a_float() {
            return Err(ComponentError::TooPrecise);
        }
        if currency.trim().is_empty() {
            return Err(ComponentError::Currency);
        }
        Ok(Self {
            asset,
            amount,
            currency: currency.into(),
            wallet,
            pay_to,
            created_at: None,
        })
    }

    /// With the time of its making, which the product writes and no client reads. Without it, answers are the same bytes.
    #[must_use]
    pub const fn created_at(mut self, at: Timestamp) -> Self {
        self.created_at = Some(at);
        self
    }
}

impl Serialize for Component {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let asset = &self.asset;
        let amount = RawValue::from_string(self.amount.to_string()).map_err(S::Error::custom)?;
        let mut out = serializer.serialize_struct("Component", 13)?;
        out.serialize_field("payment_type", PAYMENT_TYPE)?;
        out.serialize_field("amount", &amount)?;
        out.serialize_field("currency", &self.currency)?;
        out.serialize_field("metadata", &Metadata(self))?;
        if let Some(at) = self.created_at {
            out.serialize_field("created_at", &naive(at))?;
        }
        out.serialize_field("token", &asset.id.token().to_string())?;
        out.serialize_field("chain_id", &asset.id.chain().get())?;
        out.serialize_field("caip2", &asset.id.chain())?;
        out.serialize_field("pay_to", &self.pay_to.to_string())?;
        out.serialize_field("token_name", &asset.domain.name)?;
        out.serialize_field("token_decimals", &asset.decimals)?;
        out.serialize_field("token_version", &asset.domain.version)?;
        out.end()
    }
}

struct Metadata<'a>(&'a Component);

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let asset = &self.0.asset;
        let mut out = serializer.serialize_struct("Metadata", 6)?;
        out.serialize_field("symbol", &asset.symbol)?;
        out.serialize_field("name", &asset.domain.name)?;
        out.serialize_field("decimals", &asset.decimals)?;
        out.serialize_field("network", &label(asset.id.chain()))?;
        out.serialize_field("version", &asset.domain.version)?;
        out.serialize_field("wallet_address", &self.0.wallet.to_string())?;
        out.end()
    }
}

/// The members of a 402 answer. Can be flattened into a larger object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Body<'a> {
    reason: &'a str,
    access_token_endpoint: &'a Endpoint,
    payment_scheme: PaymentScheme<'a>,
    payment_instruction: &'a str,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct PaymentScheme<'a> {
    payment_components: &'a [Component],
    protocol_version: &'a str,
}

impl<'a> Body<'a> {
    /// The members for a reason ([`TokenError`](super::TokenError)'s text) and what can be paid with.
    ///
    /// # Errors
    /// [`ComponentError::TooMany`].
    pub fn new(
        reason: &'a str,
        endpoint: &'a Endpoint,
        components: &'a [Component],
    ) -> Result<Self, ComponentError> {
        if components.len() > COMPONENTS_MAX {
            return Err(ComponentError::TooMany);
        }
        Ok(Self {
            reason,
            access_token_endpoint: endpoint,
            payment_scheme: PaymentScheme {
                payment_components: components,
                protocol_version: VERSION,
            },
            payment_instruction: INSTRUCTION,
        })
    }

    /// The members as an object of their own.
    #[must_use]
    pub fn to_json(&self) -> String {
        to_json(self)
    }
}
