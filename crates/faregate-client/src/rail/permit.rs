//! Permits for access tokens: offers judged by our own table, permits signed, answers of the token endpoint read
//! (specs/permit.md §1.2, §1.3, §1.8, §4).

use alloy_primitives::{Address, B256, U256};
use faregate_evm::LocalSigner;
use faregate_ledger::Worth;
use faregate_types::permit::{
    Demand, Endpoint, Issued, Offer, Permit, PermitKind, Terms, request, response,
};
use faregate_types::{
    Amount, Asset, ChainId, Code, PaymentId, Refusal, Timestamp, TransferMethod, domain_separator,
    eip2612, eip3009, permit2,
};
use reqwest::StatusCode;

use crate::error::PayError;
use crate::select::{Considered, Price, Rules};
use crate::text::clean;

/// The name of the rail, for people and programs.
pub(crate) const NAME: &str = "permit";

/// What stands before the endpoint in the books.
const PREFIX: &str = "permit: ";

/// How this client pays over this rail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// The only kind that is signed, whatever the server seems to take.
    pub(crate) pinned: Option<PermitKind>,
    pub(crate) validity_secs: u64,
}

/// An offer, what we make of it, and how it would be paid.
#[derive(Clone)]
pub(crate) struct Judgement {
    /// What would be signed. Means nothing when the verdict is a refusal.
    pub(crate) kind: PermitKind,
    pub(crate) considered: Considered,
}

/// A permit on its way: where it is posted, and the bytes. Whoever has them has the money: no `Debug`.
#[derive(Clone)]
pub(crate) struct Note {
    pub(crate) endpoint: Endpoint,
    pub(crate) body: Box<str>,
    pub(crate) permit: Permit,
}

/// A permit and what the books have to know about it.
pub(crate) struct Signed {
    pub(crate) id: PaymentId,
    pub(crate) note: Note,
    pub(crate) valid_until: Timestamp,
}

/// What makes each permit another one.
#[derive(Clone, Copy)]
pub(crate) enum Nonce {
    /// The next one by the token contract's count, and what the permit is called in the books.
    Counted(U256, PaymentId),
    Random(B256),
}

/// Judges every offer, in the server's order. `has_node` tells of which chains the next nonce can be asked.
pub(crate) fn consider(
    demand: &Demand,
    rules: &Rules<'_>,
    habits: &Habits,
    has_node: impl Fn(ChainId) -> bool,
) -> Vec<Judgement> {
    let judge = |offer: &Offer| {
        let chain = offer.asset.chain();
        let kind = kind(offer, habits, has_node(chain));
        let (signed, pay_to) = match &kind {
            Ok((kind, payee)) => (*kind, payee.to_string().into()),
            Err(_) => (PermitKind::Erc3009, "".into()),
        };
        let scheme = kind.as_ref().map_or(NAME, |(kind, _)| kind.as_str());
        Judgement {
            kind: signed,
            considered: Considered {
                scheme: scheme.into(),
                network: chain.to_string().into(),
                amount: clean(&offer.amount.to_string()),
                asset: offer.asset.token().to_string().into(),
                pay_to,
                verdict: price(offer, rules, habits, kind),
            },
        }
    };
    demand.offers.iter().map(judge).collect()
}

fn price(
    offer: &Offer,
    rules: &Rules<'_>,
    habits: &Habits,
    kind: Result<(PermitKind, Address), Refusal>,
) -> Result<Price, Refusal> {
    if !rules.chains.allow(offer.asset.chain()) {
        return Err(Refusal::new(Code::NetworkNotAllowed));
    }
    let asset = rules.assets.find(offer.asset);
    let asset = asset.ok_or_else(|| Refusal::new(Code::AssetUnknown))?;
    own_words(offer, asset)?;
    let units = offer.amount.to_units(asset.decimals);
    let units = units.map_err(|error| malformed(format!("amount: {error}")))?;
    if units.is_zero() {
        return Err(malformed("amount: expected more than zero"));
    }
    let (kind, payee) = kind?;
    if kind == PermitKind::Erc3009 && asset.transfer != TransferMethod::Eip3009 {
        return Err(unsupported("this asset does not move by EIP-3009"));
    }
    if payee.is_zero() {
        return Err(malformed("expected another payee than zero"));
    }
    let worth = Worth::of_dollar_coin(units, asset.decimals).ok_or_else(|| {
        Refusal::new(Code::OverPaymentCap).detail("the amount is too large to be counted")
    })?;
    if worth > rules.per_payment {
        return Err(Refusal::new(Code::OverPaymentCap));
    }
    Ok(Price {
        amount: Amount::new(units, asset.id),
        asset: asset.clone(),
        worth,
        payee,
        validity_secs: habits.validity_secs.min(rules.validity_secs_max),
    })
}

/// What the server says of the token has to be what our table says. We sign by ours in any case; but whoever says something
/// else asks for another amount than it seems.
fn own_words(offer: &Offer, asset: &Asset) -> Result<(), Refusal> {
    if let Some(theirs) = offer.decimals.filter(|theirs| *theirs != asset.decimals) {
        let detail = format!("expected {} decimals, not {theirs}", asset.decimals);
        return Err(malformed(detail));
    }
    let says = |theirs: &Option<Box<str>>, ours: &str| {
        theirs.as_deref().is_none_or(|theirs| theirs == ours)
    };
    let (name, version) = (&asset.domain.name, &asset.domain.version);
    if says(&offer.name, name) && says(&offer.version, version) {
        return Ok(());
    }
    let detail = format!("expected name \"{name}\" and version \"{version}\"");
    Err(Refusal::new(Code::DomainMismatch).detail(detail))
}

/// What is signed, and for whom. Nothing in an offer tells 0.1.1 from 0.2.0, which refuse each other's permits, so the
/// likeliest kind that can be signed is taken; only one, because each is money in the server's hands.
fn kind(offer: &Offer, habits: &Habits, has_node: bool) -> Result<(PermitKind, Address), Refusal> {
    let kinds = habits
        .pinned
        .map_or_else(|| offer.kinds(), |kind| vec![kind]);
    let can = |kind: &&PermitKind| has_node || **kind != PermitKind::Eip2612;
    let kind = kinds.iter().find(can).copied();
    let kind = kind.ok_or_else(|| {
        unsupported("an EIP-2612 permit needs the payer's next nonce, and no node of this chain is configured")
    })?;
    let payee = match kind {
        PermitKind::Eip2612 => offer.payee(kind).or(offer.pay_to),
        PermitKind::Erc3009 | PermitKind::Permit2 => offer.payee(kind),
    };
    let payee = payee.ok_or_else(|| malformed("it does not say who is paid"))?;
    Ok((kind, payee))
}

/// Signs a permit for `price`. It must not leave this process before the books have it.
pub(crate) fn sign(
    endpoint: Endpoint,
    kind: PermitKind,
    price: &Price,
    signer: &LocalSigner,
    nonce: Nonce,
    now: Timestamp,
) -> Result<Signed, PayError> {
    let valid_until = price.valid_until(now)?;
    let asset = &price.asset;
    let (chain, token) = (asset.id.chain(), asset.id.token());
    let terms = terms(kind, price, signer.address(), nonce, valid_until);
    let digest = terms.digest(chain, domain_separator(&asset.domain, chain, token));
    let permit = Permit {
        chain,
        terms,
        signature: signer.sign_now(digest)?,
    };
    Ok(Signed {
        id: match nonce {
            Nonce::Counted(_, id) => id,
            Nonce::Random(_) => permit.payment_id(),
        },
        note: Note {
            endpoint,
            body: request::write(&permit, now).into(),
            permit,
        },
        valid_until,
    })
}

fn terms(
    kind: PermitKind,
    price: &Price,
    payer: Address,
    nonce: Nonce,
    valid_until: Timestamp,
) -> Terms {
    let (token, value) = (price.asset.id.token(), price.amount.value());
    let end = U256::from(valid_until.as_secs());
    let (number, word) = match nonce {
        Nonce::Counted(number, _) => (number, B256::from(number)),
        Nonce::Random(word) => (word.into(), word),
    };
    match kind {
        PermitKind::Eip2612 => Terms::Eip2612 {
            token,
            permit: eip2612::Permit {
                owner: payer,
                spender: price.payee,
                value,
                nonce: number,
                deadline: end,
            },
        },
        PermitKind::Erc3009 => Terms::Erc3009 {
            token,
            authorization: eip3009::Authorization {
                from: payer,
                to: price.payee,
                value,
                valid_after: U256::ZERO,
                valid_before: end,
                nonce: word,
            },
        },
        PermitKind::Permit2 => Terms::Permit2 {
            owner: payer,
            contract: permit2::CONTRACT,
            transfer: permit2::PermitTransferFrom {
                token,
                amount: value,
                spender: price.payee,
                nonce: number,
                deadline: end,
            },
        },
    }
}

impl Note {
    /// The form in the books.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        format!("{PREFIX}{} {}", self.endpoint, self.body).into_bytes()
    }

    /// Whether the books have a permit here.
    pub(crate) fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(PREFIX.as_bytes())
    }

    /// Reads the form in the books.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.strip_prefix(PREFIX)?;
        let (endpoint, body) = text.split_once(' ')?;
        Some(Self {
            endpoint: Endpoint::parse(endpoint).ok()?,
            permit: request::read(body.as_bytes()).ok()?,
            body: body.into(),
        })
    }
}

/// What a token endpoint says.
pub(crate) enum Said {
    /// The token.
    Issued(Issued),
    /// No, and why.
    Refused(Code, Option<Box<str>>),
    /// Not now.
    Later(Code),
    /// It broke down, or said nothing that can be understood. It may have kept the permit.
    Nothing,
}

/// Reads an answer of a token endpoint. `None` is a body that was too large.
pub(crate) fn hear(status: StatusCode, body: Option<&[u8]>) -> Said {
    let Some(body) = body else {
        return Said::Nothing;
    };
    if let Ok(issued) = Issued::read(body) {
        return Said::Issued(issued);
    }
    let text = response::error(body).map(|text| clean(&text));
    let code = text.as_deref().and_then(code_of);
    match (status.as_u16(), code) {
        (202 | 408 | 409 | 425 | 429 | 502..=504, code) => {
            Said::Later(code.unwrap_or(Code::SettlementPending))
        }
        (_, Some(code @ Code::ChainUnavailable)) => Said::Later(code),
        (300..=499, code) => Said::Refused(code.unwrap_or(Code::PaymentRefused), text),
        _ => Said::Nothing,
    }
}

/// What the texts of the product begin with or contain, and ours where it has none (specs/permit.md §1.8).
const WORDS: &[(&str, Code)] = &[
    ("Blockchain interaction error", Code::ChainUnavailable),
    ("not registered for token", Code::PermitNotOffered),
    ("nonce does not match", Code::PermitNonceUsed),
    ("nonce was used", Code::PermitNonceUsed),
    ("has expired", Code::PermitExpired),
    ("expires too soon", Code::PermitExpired),
    ("not yet valid", Code::PermitNotYetValid),
    ("does not match server", Code::PermitSpenderMismatch),
    ("permit2_address", Code::PermitContractMismatch),
    ("domain mismatch", Code::PermitDomainMismatch),
    ("does not match permit owner", Code::PermitSignatureInvalid),
    ("Signature invalid", Code::PermitSignatureInvalid),
    ("Invalid s:", Code::PermitSignatureInvalid),
    ("Invalid r or s:", Code::PermitSignatureInvalid),
    ("less than required payment", Code::PermitValueTooLow),
    ("Insufficient allowance", Code::PermitAllowanceTooLow),
    ("token balance", Code::PermitBalanceTooLow),
    ("Insufficient balance", Code::PermitBalanceTooLow),
    ("Invalid token request", Code::PermitMalformed),
];

/// Why a token opens nothing, by the reason of a 402 answer.
const REASONS: &[(&str, Code)] = &[
    ("Missing authorization token", Code::AccessTokenMissing),
    (
        "Invalid authorization header format",
        Code::AccessTokenMalformed,
    ),
    ("Invalid token format", Code::AccessTokenMalformed),
    ("Signature verification failed", Code::AccessTokenForged),
    ("Token has expired", Code::AccessTokenExpired),
    (
        "Token is not valid for this resource",
        Code::AccessTokenElsewhere,
    ),
    ("Token has been revoked", Code::AccessTokenRevoked),
];

fn code_of(text: &str) -> Option<Code> {
    let word = WORDS.iter().find(|(word, _)| text.contains(word));
    word.map(|(_, code)| *code)
}

/// What the reason of a 402 answer to a token means.
pub(crate) fn reason_code(reason: &str) -> Option<Code> {
    let known = REASONS.iter().find(|(text, _)| *text == reason);
    known.map(|(_, code)| *code)
}

fn malformed(detail: impl AsRef<str>) -> Refusal {
    Refusal::new(Code::MalformedOffer).detail(detail)
}

fn unsupported(detail: &str) -> Refusal {
    Refusal::new(Code::UnsupportedScheme).detail(detail)
}
