//! What a resource costs, as the seller means it. Every credential is compared with this and with nothing else.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

use alloy_primitives::{Address, U256};
use faregate_types::credit::x402::Condition;
use faregate_types::lightning::{BitcoinNetwork, Msat};
use faregate_types::{Amount, Asset, AssetId, Erc20, RailName};

use crate::machine::SettlePolicy;
use crate::rail::{Challenge, x402};

/// A priced resource: what is sold, for what, and when the money moves.
#[derive(Debug)]
pub struct Offer {
    route: Arc<str>,
    resource: Resource,
    asks: Vec<Ask>,
    policy: SettlePolicy,
    max_timeout_secs: u64,
    exposures: Vec<Amount>,
    identifier: Identifier,
    pub(crate) unpaid: OnceLock<Challenge>,
    /// What the x402 rail makes of the asks, the same at every URL.
    pub(crate) x402: Arc<OnceLock<x402::Terms>>,
}

/// Whether payers name their purchases (x402 extension `payment-identifier`), so that a repetition buys nothing twice even
/// when it comes with another payment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there is no fourth")]
pub enum Identifier {
    /// It is not offered. An `Idempotency-Key` header counts all the same.
    #[default]
    Off,
    /// They may.
    Optional,
    /// They have to.
    Required,
}

/// The thing that is sold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Absolute public URL, without query. Never taken from the request's `Host`.
    pub url: Box<str>,
    /// For people and agents; may be empty.
    pub description: Box<str>,
    /// What comes back, e.g. `application/json`; may be empty.
    pub mime_type: Box<str>,
}

/// One way to pay for it. All asks of an offer are alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ask {
    /// Tokens on an EVM chain.
    Token(TokenAsk),
    /// A Lightning payment.
    Lightning(LightningAsk),
    /// A permit over tokens, for an access token.
    Permit(PermitAsk),
    /// A guarantee on credit.
    Credit(CreditAsk),
}

/// To be paid in tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that configuration code builds by literal"
)]
pub struct TokenAsk {
    /// The rail that takes it.
    pub rail: RailName,
    /// The asset, with the domain and decimals of *our* table.
    pub asset: Asset,
    /// How much, in the asset's atomic units. Positive.
    pub amount: Amount,
    /// Who gets it.
    pub payee: Payee,
}

/// To be paid with a signed permit, for a token that opens the route until it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that configuration code builds by literal"
)]
pub struct PermitAsk {
    /// The asset, with the domain and decimals of *our* table.
    pub asset: Asset,
    /// How much, in the asset's atomic units. Positive, and at most 15 significant digits: payers read it as a float.
    pub amount: Amount,
    /// The account that the money ends up in.
    pub treasury: Address,
    /// What payers read as the currency: a label. The name of the symbol decides which kind of permit they sign.
    pub currency: Box<str>,
    /// How long a token works from the moment it is issued, in seconds.
    pub token_secs: u64,
    /// When a token is given out.
    pub policy: TokenPolicy,
    /// How much of one payer may have tokens and not be paid, in the asset's atomic units. Whoever is at the limit gets the
    /// token when the money has moved.
    pub exposure_max: U256,
}

/// To be paid with a guarantee: a promise that the payer's collateral covers (x402 scheme `4mica-credit`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that configuration code builds by literal"
)]
pub struct CreditAsk {
    /// The token; the zero address stands for ETH.
    pub asset: Erc20,
    /// How much, in the asset's atomic units. Positive.
    pub amount: Amount,
    /// Who is owed.
    pub recipient: Address,
    /// Where payers open tabs: an absolute URL of this gate.
    pub tab_endpoint: Box<str>,
    /// Whether guarantees without a condition are taken (version 1, in the body of the 402).
    pub is_plain: bool,
    /// The condition of guarantees that have one (version 2, in the header of the 402), if they are taken.
    pub condition: Option<Condition>,
    /// How much one payer may owe for this route at once, in the asset's atomic units; what it may owe altogether is what its
    /// collateral covers.
    pub owed_max: Option<U256>,
}

/// When a token is given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_enums,
    reason = "every edge has to decide about each"
)]
pub enum TokenPolicy {
    /// At once, when the permit is good by what the chain says. The money moves behind it.
    #[default]
    Optimistic,
    /// The same, after the settlement was run at the newest block without being sent.
    Simulated,
    /// When the money has moved.
    Settled,
}

impl TokenPolicy {
    /// The word for it in configuration and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Optimistic => "optimistic",
            Self::Simulated => "simulated",
            Self::Settled => "settled",
        }
    }

    /// The policy of a word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Optimistic, Self::Simulated, Self::Settled];
        all.into_iter().find(|policy| policy.as_str() == name)
    }
}

/// To be paid over Lightning, for a token that opens the route.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that configuration code builds by literal"
)]
pub struct LightningAsk {
    /// The network; the wallet that makes the invoices has to be on it.
    pub network: BitcoinNetwork,
    /// What a token costs. Positive, and at least one millisatoshi for each use.
    pub price: Msat,
    /// What tokens call the route, in visible characters without blanks: its pattern, after the host if it has one, such as
    /// `/jokes/*` or `api.example.com/jokes/*`. No two routes with different owners have the same.
    pub route: Box<str>,
    /// The service that a token opens, as it stands in the token.
    pub service: Box<str>,
    /// The tier of it.
    pub tier: u8,
    /// The capability of it that the route needs, if any.
    pub capability: Option<Box<str>>,
    /// How many requests a token opens; `None` for any number until it expires.
    pub uses: Option<NonZeroU32>,
    /// How long a token works from the moment it is issued, in seconds.
    pub valid_secs: u64,
    /// Where a token works.
    pub scope: Scope,
    /// Whether only the client that asked for a token may use it.
    pub is_bound_to_client: bool,
}

/// Where a token works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there is nothing between")]
pub enum Scope {
    /// Everywhere on the route that it was issued on.
    #[default]
    Route,
    /// On the path that was asked for.
    Path,
}

impl LightningAsk {
    /// What tokens call a path of the route: the path, after the host if the route has one.
    #[must_use]
    pub(crate) fn path_word<'p>(&self, path: &'p str) -> Cow<'p, str> {
        match self.route.split_once('/') {
            Some((host, _)) if !host.is_empty() => format!("{host}{path}").into(),
            Some(_) | None => path.into(),
        }
    }
}

impl Ask {
    /// The rail that takes it.
    #[must_use]
    pub const fn rail(&self) -> RailName {
        match self {
            Self::Token(ask) => ask.rail,
            Self::Lightning(_) => RailName::L402,
            Self::Permit(_) => RailName::PERMIT,
            Self::Credit(_) => RailName::CREDIT,
        }
    }

    /// The tokens it asks for, if it does.
    #[must_use]
    pub const fn as_token(&self) -> Option<&TokenAsk> {
        match self {
            Self::Token(ask) => Some(ask),
            Self::Lightning(_) | Self::Permit(_) | Self::Credit(_) => None,
        }
    }

    /// The Lightning payment it asks for, if it does.
    #[must_use]
    pub const fn as_lightning(&self) -> Option<&LightningAsk> {
        match self {
            Self::Lightning(ask) => Some(ask),
            Self::Token(_) | Self::Permit(_) | Self::Credit(_) => None,
        }
    }

    /// The permit it asks for, if it does.
    #[must_use]
    pub const fn as_permit(&self) -> Option<&PermitAsk> {
        match self {
            Self::Permit(ask) => Some(ask),
            Self::Token(_) | Self::Lightning(_) | Self::Credit(_) => None,
        }
    }

    /// The guarantee it asks for, if it does.
    #[must_use]
    pub const fn as_credit(&self) -> Option<&CreditAsk> {
        match self {
            Self::Credit(ask) => Some(ask),
            Self::Token(_) | Self::Lightning(_) | Self::Permit(_) => None,
        }
    }

    /// What it costs.
    #[must_use]
    pub fn amount(&self) -> Amount {
        match self {
            Self::Token(ask) => ask.amount,
            Self::Lightning(ask) => ask.price.on(ask.network),
            Self::Permit(ask) => ask.amount,
            Self::Credit(ask) => ask.amount,
        }
    }
}

impl From<TokenAsk> for Ask {
    fn from(ask: TokenAsk) -> Self {
        Self::Token(ask)
    }
}

impl From<PermitAsk> for Ask {
    fn from(ask: PermitAsk) -> Self {
        Self::Permit(ask)
    }
}

impl From<CreditAsk> for Ask {
    fn from(ask: CreditAsk) -> Self {
        Self::Credit(ask)
    }
}

impl From<LightningAsk> for Ask {
    fn from(ask: LightningAsk) -> Self {
        Self::Lightning(ask)
    }
}

/// Who gets the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payee {
    /// An EVM account.
    Evm(Address),
}

/// Why an offer cannot be made. Always the seller's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// No way to pay: the resource would be free or unreachable.
    #[error("a paid route needs at least one way to pay")]
    NoAsks,
    /// A price of zero.
    #[error("a price must be above zero")]
    ZeroPrice,
    /// The amount is in another asset than the ask names.
    #[error("the amount is in another asset than the ask")]
    AssetMismatch,
    /// On credit, with no version of guarantees that would be taken.
    #[error("credit needs guarantees without a condition, or a condition")]
    NoGuarantee,
    /// More uses than millisatoshis.
    #[error("every use of a token must cost at least one millisatoshi")]
    TooManyUses,
    /// A payment must be valid for at least ten seconds and at most an hour.
    #[error("max_timeout_secs must be between 10 and 3600")]
    Timeout,
}

impl Offer {
    /// Makes an offer.
    ///
    /// # Errors
    /// [`OfferError`] for an offer nobody could pay or everybody could have for nothing.
    pub fn new(
        route: impl Into<Arc<str>>,
        resource: Resource,
        asks: Vec<Ask>,
        policy: SettlePolicy,
        max_timeout_secs: u64,
    ) -> Result<Self, OfferError> {
        if asks.is_empty() {
            return Err(OfferError::NoAsks);
        }
        if asks.iter().any(|ask| ask.amount().is_zero()) {
            return Err(OfferError::ZeroPrice);
        }
        let mut tokens = asks.iter().filter_map(Ask::as_token);
        let mut permits = asks.iter().filter_map(Ask::as_permit);
        let mut credits = asks.iter().filter_map(Ask::as_credit);
        if credits.any(|ask| ask.amount.asset() != AssetId::Erc20(ask.asset)) {
            return Err(OfferError::AssetMismatch);
        }
        let mut credits = asks.iter().filter_map(Ask::as_credit);
        if credits.any(|ask| !ask.is_plain && ask.condition.is_none()) {
            return Err(OfferError::NoGuarantee);
        }
        if tokens.any(|ask| ask.amount.asset() != ask.asset.id)
            || permits.any(|ask| ask.amount.asset() != ask.asset.id)
        {
            return Err(OfferError::AssetMismatch);
        }
        let mut lightning = asks.iter().filter_map(Ask::as_lightning);
        if lightning.any(|ask| {
            ask.uses
                .is_some_and(|uses| ask.price.get() < u64::from(uses.get()))
        }) {
            return Err(OfferError::TooManyUses);
        }
        if !(10..=3600).contains(&max_timeout_secs) {
            return Err(OfferError::Timeout);
        }
        Ok(Self {
            route: route.into(),
            resource,
            asks,
            policy,
            max_timeout_secs,
            exposures: Vec::new(),
            identifier: Identifier::Off,
            unpaid: OnceLock::new(),
            x402: Arc::default(),
        })
    }

    /// The same offer with a limit to how much of one payer may be served and not paid, in one asset: what
    /// [`SettlePolicy::Background`] needs. Without one for its asset a payment is settled before.
    #[must_use]
    pub fn with_exposure_max(mut self, max: Amount) -> Self {
        self.exposures.retain(|known| known.asset() != max.asset());
        self.exposures.push(max);
        self.unpaid = OnceLock::new();
        self
    }

    /// The same offer with another rule about names of purchases.
    #[must_use]
    pub fn with_identifier(mut self, identifier: Identifier) -> Self {
        self.identifier = identifier;
        self.unpaid = OnceLock::new();
        self.x402 = Arc::default();
        self
    }

    /// The same offer for another URL, for routes that match many paths.
    #[must_use]
    pub fn at(&self, url: impl Into<Box<str>>) -> Self {
        Self {
            route: Arc::clone(&self.route),
            resource: Resource {
                url: url.into(),
                ..self.resource.clone()
            },
            asks: self.asks.clone(),
            policy: self.policy,
            max_timeout_secs: self.max_timeout_secs,
            exposures: self.exposures.clone(),
            identifier: self.identifier,
            unpaid: OnceLock::new(),
            x402: Arc::clone(&self.x402),
        }
    }

    /// The route's name, for books and metrics.
    #[must_use]
    pub fn route(&self) -> &str {
        &self.route
    }

    /// What is sold.
    #[must_use]
    pub const fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Every way to pay, in the seller's order of preference.
    #[must_use]
    pub fn asks(&self) -> &[Ask] {
        &self.asks
    }

    /// When the money moves.
    #[must_use]
    pub const fn policy(&self) -> SettlePolicy {
        self.policy
    }

    /// Whether payers name their purchases.
    #[must_use]
    pub const fn identifier(&self) -> Identifier {
        self.identifier
    }

    /// How much of one payer may be served and not paid, if a payment in this asset may be at all.
    #[must_use]
    pub fn exposure_max(&self, asset: AssetId) -> Option<Amount> {
        let known = self.exposures.iter().find(|max| max.asset() == asset);
        known
            .filter(|_| self.policy == SettlePolicy::Background)
            .copied()
    }

    /// How long a signed payment must stay valid, in seconds.
    #[must_use]
    pub const fn max_timeout_secs(&self) -> u64 {
        self.max_timeout_secs
    }
}
