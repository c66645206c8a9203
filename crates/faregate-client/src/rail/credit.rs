//! x402 `4mica-credit`: offers judged by our own table, claims signed for a tab, the payment header of both versions
//! (specs/4mica.md §2, §6).

pub(crate) mod receipt;

use alloy_primitives::B256;
use faregate_evm::LocalSigner;
use faregate_ledger::Worth;
use faregate_types::credit::digest::domain_separator;
use faregate_types::credit::x402::{CreditEnvelope, Demand, TabTicket, is_credit};
use faregate_types::credit::{Claims, GuaranteeRequest, SigningScheme};
use faregate_types::x402::{Version, header};
use faregate_types::{Amount, Asset, ChainId, Code, Erc20, PaymentId, Refusal, Timestamp};
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use crate::credit::claims_digest;
use crate::error::PayError;
use crate::limits::CREDIT_SECS;
use crate::offer::Offers;
use crate::on_credit::OnCredit;
use crate::origin::Origins;
use crate::payment::reference;
use crate::rail::x402::Credential;
use crate::select::{Considered, Price, Rules};
use crate::text::clean;

/// What stands before a payment in the books.
const PREFIX: &str = "credit: ";

/// One offer on credit.
#[derive(Debug)]
pub(crate) struct Entry {
    /// As it came.
    pub(crate) raw: Value,
    /// What it says, or why it cannot be read.
    pub(crate) asked: Result<Asked, Refusal>,
}

/// What an offer on credit asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    /// As the seller spells it, for the envelope of version 1.
    pub(crate) scheme: String,
    pub(crate) demand: Demand,
    /// How long claims may be shown, in seconds. Sellers of this network leave it out.
    pub(crate) max_timeout_secs: Option<u64>,
}

/// An offer, what we make of it, and where its tab is asked for.
#[derive(Clone)]
pub(crate) struct Judgement {
    pub(crate) considered: Considered,
    /// `None` means that it is not payable.
    pub(crate) endpoint: Option<Url>,
    /// Whether it stands in the body beside a header with other offers.
    pub(crate) beside: bool,
    /// Its place among the offers on credit there.
    pub(crate) place: usize,
}

/// Claims on their way, in their header. Whoever has them has the money: no `Debug`.
#[derive(Clone)]
pub(crate) struct Note {
    /// Tells two payments apart that were signed with the same words: two processes may get one number at once.
    salt: B256,
    pub(crate) credential: Credential,
    pub(crate) claims: Claims,
}

/// Claims and what the books have to know about them.
pub(crate) struct Signed {
    /// The natural key.
    pub(crate) id: PaymentId,
    pub(crate) note: Note,
    pub(crate) valid_until: Timestamp,
}

impl Entry {
    /// Reads an offer; `None` when it is of another scheme.
    pub(crate) fn read(raw: &RawValue, version: Version) -> Option<Self> {
        let raw: Value = serde_json::from_str(raw.get()).ok()?;
        let scheme = raw.get("scheme")?.as_str()?.to_owned();
        if !is_credit(&scheme) {
            return None;
        }
        let asked = Asked::read(scheme, &raw, version);
        Some(Self { asked, raw })
    }
}

impl Asked {
    fn read(scheme: String, raw: &Value, version: Version) -> Result<Self, Refusal> {
        let demand = Demand::read(version, raw).map_err(|error| malformed(error.to_string()))?;
        let max_timeout_secs = match raw.get("maxTimeoutSeconds") {
            None | Some(Value::Null) => None,
            Some(secs) => {
                let secs = secs.as_u64();
                Some(secs.ok_or_else(|| malformed("maxTimeoutSeconds: expected whole seconds"))?)
            }
        };
        Ok(Self {
            scheme,
            demand,
            max_timeout_secs,
        })
    }
}

/// What an offer is judged by, besides the rules for all.
pub(crate) struct Standpoint<'a> {
    /// How this client pays on credit, if it does.
    pub(crate) habits: Option<&'a OnCredit>,
    pub(crate) origins: &'a Origins,
    /// What is bought.
    pub(crate) url: &'a Url,
}

/// Judges every offer, in the server's order.
pub(crate) fn consider(
    offers: &Offers,
    beside: bool,
    rules: &Rules<'_>,
    standpoint: &Standpoint<'_>,
) -> Vec<Judgement> {
    let judge = |(place, entry): (usize, &Entry)| {
        let priced = match &entry.asked {
            Ok(asked) => price(asked, rules, standpoint),
            Err(refusal) => Err(refusal.clone()),
        };
        let (verdict, endpoint) = match priced {
            Ok((price, endpoint)) => (Ok(price), Some(endpoint)),
            Err(refusal) => (Err(refusal), None),
        };
        let text = |name| {
            clean(
                entry
                    .raw
                    .get(name)
                    .and_then(Value::as_str)
                    .unwrap_or_default(),
            )
        };
        let amount = match offers.version {
            Version::V1 => text("maxAmountRequired"),
            Version::V2 => text("amount"),
        };
        Judgement {
            considered: Considered {
                scheme: text("scheme"),
                network: text("network"),
                amount,
                asset: text("asset"),
                pay_to: text("payTo"),
                verdict,
            },
            endpoint,
            beside,
            place,
        }
    };
    offers.credits.iter().enumerate().map(judge).collect()
}

fn price(
    asked: &Asked,
    rules: &Rules<'_>,
    standpoint: &Standpoint<'_>,
) -> Result<(Price, Url), Refusal> {
    let habits = standpoint
        .habits
        .ok_or_else(|| unsupported("paying on credit is not switched on"))?;
    let demand = &asked.demand;
    let chain = demand
        .chain()
        .ok_or_else(|| Refusal::new(Code::InvalidNetwork))?;
    if !rules.chains.allow(chain) {
        return Err(Refusal::new(Code::NetworkNotAllowed));
    }
    let asset = asset(demand, chain, rules)?;
    if demand.recipient.is_zero() {
        return Err(malformed("payTo: expected another address than zero"));
    }
    if let Some(condition) = &demand.condition
        && !habits.trusts(condition.registry)
    {
        return Err(Refusal::new(Code::CreditRegistryNotTrusted));
    }
    let endpoint = endpoint(demand, habits, standpoint)?;
    let validity_secs = match asked.max_timeout_secs.unwrap_or(CREDIT_SECS) {
        0 => return Err(malformed("maxTimeoutSeconds: expected at least one second")),
        secs if secs > rules.validity_secs_max => {
            let most = rules.validity_secs_max;
            return Err(Refusal::new(Code::ValidityTooLong)
                .detail(format!("{secs} seconds asked for, {most} allowed")));
        }
        secs => secs,
    };
    let worth = Worth::of_dollar_coin(demand.amount, asset.decimals).ok_or_else(|| {
        Refusal::new(Code::OverPaymentCap).detail("the amount is too large to be counted")
    })?;
    if worth > rules.per_payment {
        return Err(Refusal::new(Code::OverPaymentCap));
    }
    let price = Price {
        amount: Amount::new(demand.amount, asset.id),
        asset: asset.clone(),
        worth,
        payee: demand.recipient,
        validity_secs,
    };
    Ok((price, endpoint))
}

/// What is owed has to have a worth, or no cap would hold.
fn asset<'a>(demand: &Demand, chain: ChainId, rules: &Rules<'a>) -> Result<&'a Asset, Refusal> {
    if demand.asset.is_zero() {
        let refusal = Refusal::new(Code::AssetUnknown);
        return Err(refusal.detail("ETH has no worth in dollars here, so no cap would hold"));
    }
    let found = rules.assets.find(Erc20::new(chain, demand.asset));
    found.ok_or_else(|| Refusal::new(Code::AssetUnknown))
}

/// Where the tab is asked for: at the seller's own origin, or at one that the payer has named. A seller must not be able to
/// send this client anywhere else.
fn endpoint(
    demand: &Demand,
    habits: &OnCredit,
    standpoint: &Standpoint<'_>,
) -> Result<Url, Refusal> {
    let text = demand
        .tab_endpoint()
        .map_err(|error| malformed(error.to_string()))?;
    let url: Url = text
        .parse()
        .map_err(|_| malformed("tabEndpoint: expected an absolute URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(malformed("tabEndpoint: expected a URL without a user"));
    }
    if url.origin() == standpoint.url.origin() {
        return Ok(url);
    }
    if !habits.may_ask(&url) {
        let refusal = Refusal::new(Code::HostNotAllowed);
        return Err(refusal.detail("the tab endpoint is at another origin than the offer"));
    }
    match standpoint.origins.is_secure(&url) {
        true => Ok(url),
        false => Err(Refusal::new(Code::InsecureUrl)),
    }
}

/// Signs the claims of an offer on a tab. They must not leave this process before the books have them.
pub(crate) fn sign(
    (offers, entry): (&Offers, &Entry),
    ticket: &TabTicket,
    price: &Price,
    signer: &LocalSigner,
    habits: &OnCredit,
    (salt, now): (B256, Timestamp),
) -> Result<Signed, PayError> {
    let valid_until = price.valid_until(now)?;
    let asked = entry.asked.as_ref();
    let asked = asked.map_err(|refusal| PayError::Offer(refusal.clone()))?;
    let demand = &asked.demand;
    let claims = demand
        .claims(signer.address(), ticket, now)
        .map_err(|error| PayError::Tab(Refusal::from(&error)))?;
    let chain = price.asset.id.chain();
    let separator = domain_separator(&habits.name, &habits.version, chain);
    let internal = || PayError::Offer(Refusal::new(Code::Internal));
    let scheme = SigningScheme::Eip712;
    let digest = claims_digest(&claims, scheme, separator).ok_or_else(internal)?;
    let envelope = CreditEnvelope {
        version: demand.version,
        scheme: asked.scheme.clone(),
        network: demand.network.clone(),
        request: GuaranteeRequest {
            signature: signer.sign_now(digest)?,
            claims,
            scheme,
        },
    };
    let resource = offers.resource.as_deref();
    let resource = resource.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let name = match demand.version {
        Version::V1 => header::X_PAYMENT,
        Version::V2 => header::PAYMENT_SIGNATURE,
    };
    let value = envelope.to_header(&entry.raw, resource.as_ref());
    let claims = envelope.request.claims;
    Ok(Signed {
        id: id(chain, &claims),
        note: Note {
            salt,
            credential: Credential::new(name, value).map_err(PayError::Offer)?,
            claims,
        },
        valid_until,
    })
}

/// The natural key of claims.
pub(crate) fn id(chain: ChainId, claims: &Claims) -> PaymentId {
    let Claims {
        payer, recipient, ..
    } = *claims;
    PaymentId::credit(chain, payer, recipient, claims.tab_id, claims.req_id)
}

impl Note {
    /// The form in the books.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{PREFIX}{:x} ", self.salt).into_bytes();
        bytes.extend_from_slice(&self.credential.to_bytes());
        bytes
    }

    /// Whether the books have claims here.
    pub(crate) fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(PREFIX.as_bytes())
    }

    /// Reads the form in the books.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.strip_prefix(PREFIX)?;
        let (salt, credential) = text.split_once(' ')?;
        let credential = Credential::from_bytes(credential.as_bytes())?;
        let payment = header::decode_any(credential.value().as_bytes()).ok()?;
        Some(Self {
            salt: salt.parse().ok()?,
            claims: CreditEnvelope::read(&payment).ok()?.request.claims,
            credential,
        })
    }

    /// What the guarantee is called, for people and in the books.
    pub(crate) fn reference(&self) -> Box<str> {
        reference(self.claims.tab_id, self.claims.req_id)
    }
}

fn malformed(detail: impl AsRef<str>) -> Refusal {
    Refusal::new(Code::MalformedOffer).detail(detail)
}

fn unsupported(detail: &str) -> Refusal {
    Refusal::new(Code::UnsupportedScheme).detail(detail)
}
