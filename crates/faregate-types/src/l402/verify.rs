//! Whether a token fits what is asked for.
//!
//! Every caveat has to hold by itself, and none may allow more than one of its kind before it: a holder can add caveats, and
//! what is added must never open anything. Where the published rules leave a hole (a token without `services` opens every
//! service, what is not understood is passed over), [`Rules::Ours`] refuses.

use crate::code::Code;
use crate::lightning::{Msat, Preimage};
use crate::refusal::Refusal;
use crate::timestamp::Timestamp;

use super::caveat::{
    CAPABILITIES, CLIENT, LOCATION, METHOD, PATH, PREIMAGE, PRICE, SERVICES, USES, VALID_UNTIL,
    is_name,
};
use super::identifier::Identifier;
use super::macaroon::{Macaroon, RootKey};

/// What a token has to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that every edge builds by literal"
)]
pub struct Target<'a> {
    /// The service.
    pub service: &'a str,
    /// The lowest tier that is enough.
    pub tier: u8,
    /// What of the service, where it has parts.
    pub capability: Option<&'a str>,
    /// The time.
    pub now: Timestamp,
    /// How strict, and the request itself.
    pub rules: Rules<'a>,
}

/// Which tokens are good enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "either ours or the published ones")]
pub enum Rules<'a> {
    /// Tokens we minted: every bound of [`Binding`](super::Binding) has to be there, and everything has to be understood.
    Ours(Request<'a>),
    /// The published rules, as Aperture applies them: what is not there does not bind, what is not known is passed over.
    /// For looking at tokens of other servers.
    Published,
}

/// The request that a token of ours has to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that every edge builds by literal"
)]
pub struct Request<'a> {
    /// The route that matched, as the seller writes it.
    pub route: &'a str,
    /// The path that was asked for, normalised.
    pub path: &'a str,
    /// The method.
    pub method: &'a str,
    /// What it costs now.
    pub price: Msat,
    /// Who asks, in the seller's word for it; `None` when the route does not bind tokens to clients.
    pub client: Option<&'a str>,
}

/// What a token that fits allows. Uses are counted by payment hash, elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// Which payment, and which token of it.
    pub identifier: Identifier,
    /// It works before this moment. Always there under [`Rules::Ours`].
    pub valid_until: Option<Timestamp>,
    /// It worked before this moment when it was made: whatever a holder added, no token of the payment works longer.
    pub issued_until: Option<Timestamp>,
    /// How many requests it opens in all.
    pub max_uses: Option<u32>,
    /// What it cost at least, if it says so.
    pub price: Option<Msat>,
    /// Up to which tier it opens the service.
    pub tier: u8,
}

/// Checks a token: identifier, preimage, signature, caveats, in this order.
///
/// # Errors
/// A [`Refusal`] with the code of the first check that failed; its detail names the caveat, never a secret.
pub fn verify(
    macaroon: &Macaroon,
    preimage: &Preimage,
    key: &RootKey,
    target: &Target<'_>,
) -> Result<Grant, Refusal> {
    let identifier = opened(macaroon, preimage)?;
    if macaroon.caveats().any(|caveat| caveat.is_third_party) {
        return Err(refused("a caveat of a third party"));
    }
    // The location is not signed. Ours has one, so that there is only one way to write a token.
    let written = target.rules == Rules::Published || macaroon.location() == LOCATION.as_bytes();
    if !written || !macaroon.is_signed_by(key) {
        return Err(Refusal::new(Code::L402TokenForged));
    }
    Chain::read(macaroon, target)?.grant(identifier, target)
}

/// The first half, which needs no key and says under which name to look for it.
///
/// # Errors
/// [`Code::L402TokenMalformed`] when the identifier is none of ours, [`Code::L402PreimageWrong`] when the preimage is not the one
/// that its payment made known.
pub fn opened(macaroon: &Macaroon, preimage: &Preimage) -> Result<Identifier, Refusal> {
    let identifier = Identifier::decode(macaroon.identifier())
        .map_err(|error| Refusal::new(Code::L402TokenMalformed).detail(error.to_string()))?;
    if identifier.payment_hash.is_of(preimage) {
        Ok(identifier)
    } else {
        Err(Refusal::new(Code::L402PreimageWrong))
    }
}

/// What the caveats of one token allow, each narrowing what is there.
#[derive(Default)]
struct Chain<'m> {
    services: Option<Vec<(&'m str, u8)>>,
    capabilities: Option<Vec<&'m str>>,
    valid_until: Option<u64>,
    /// The first of them; holders add others after it.
    issued_until: Option<u64>,
    path: bool,
    methods: Option<Vec<&'m str>>,
    price: Option<u64>,
    max_uses: Option<u64>,
    client: bool,
}

impl<'m> Chain<'m> {
    fn read(macaroon: &'m Macaroon, target: &Target<'_>) -> Result<Self, Refusal> {
        let mut chain = Self::default();
        for caveat in macaroon.caveats() {
            let text = std::str::from_utf8(caveat.id).ok();
            match (text.and_then(|text| text.split_once('=')), target.rules) {
                (Some((condition, value)), _) => chain.take(condition, value, target)?,
                (None, Rules::Published) => {}
                (None, Rules::Ours(_)) => {
                    return Err(refused("a caveat that is no condition=value"));
                }
            }
        }
        Ok(chain)
    }

    fn take(
        &mut self,
        condition: &'m str,
        value: &'m str,
        target: &Target<'_>,
    ) -> Result<(), Refusal> {
        let of_service = condition.strip_prefix(target.service);
        match (condition, of_service, target.rules) {
            (SERVICES, _, _) => narrow_services(&mut self.services, services(value)?),
            (_, Some(CAPABILITIES), _) => {
                narrow_list(CAPABILITIES, &mut self.capabilities, list(value)?)
            }
            (_, Some(VALID_UNTIL), _) => {
                lower(VALID_UNTIL, &mut self.valid_until, value)?;
                self.issued_until = self.issued_until.or(self.valid_until);
                Ok(())
            }
            (PREIMAGE, _, _) => Ok(()),
            (PATH, _, Rules::Ours(request)) => {
                self.path = true;
                let fits = value == request.route || value == request.path;
                held(fits, Code::L402WrongRoute)
            }
            (METHOD, _, Rules::Ours(_)) => narrow_list(METHOD, &mut self.methods, list(value)?),
            (PRICE, _, Rules::Ours(_)) => lower(PRICE, &mut self.price, value),
            (USES, _, Rules::Ours(_)) => lower(USES, &mut self.max_uses, value),
            (CLIENT, _, Rules::Ours(request)) => {
                self.client = true;
                held(request.client == Some(value), Code::L402WrongClient)
            }
            (_, _, Rules::Ours(_)) if !self.is_of_another_service(condition) => {
                Err(refused("a condition that is not known here"))
            }
            (_, _, Rules::Ours(_) | Rules::Published) => Ok(()),
        }
    }

    /// Whether a condition is about another service that the token opens as well, and so does not matter here.
    fn is_of_another_service(&self, condition: &str) -> bool {
        let listed = self.services.iter().flatten();
        listed.into_iter().any(|(name, _)| {
            let rest = condition.strip_prefix(name);
            matches!(rest, Some(CAPABILITIES | VALID_UNTIL))
        })
    }

    /// Compares what is left with what is asked for.
    fn grant(self, identifier: Identifier, target: &Target<'_>) -> Result<Grant, Refusal> {
        let tier = self.tier(target)?;
        match (&self.capabilities, target.capability, target.rules) {
            (Some(listed), Some(asked), _) if listed.contains(&asked) => {}
            (Some(_), None, Rules::Published) | (None, None, _) => {}
            (None, Some(_), Rules::Published) => {}
            // A token for parts of a service is not one for a route that is no part of it.
            (_, _, _) => return Err(Refusal::new(Code::L402WrongService).detail("capability")),
        }
        let valid_until = self.valid_until.map(Timestamp::from_secs);
        if valid_until.is_some_and(|end| target.now >= end) {
            return Err(Refusal::new(Code::L402TokenExpired));
        }
        if let Rules::Ours(request) = target.rules {
            self.check_request(&request)?;
        }
        let max_uses = self
            .max_uses
            .map(|uses| u32::try_from(uses).unwrap_or(u32::MAX));
        if max_uses == Some(0) {
            return Err(Refusal::new(Code::L402TokenUsedUp));
        }
        Ok(Grant {
            identifier,
            valid_until,
            issued_until: self.issued_until.map(Timestamp::from_secs),
            max_uses,
            price: self.price.map(Msat::new),
            tier,
        })
    }

    fn tier(&self, target: &Target<'_>) -> Result<u8, Refusal> {
        let Some(services) = &self.services else {
            return match target.rules {
                Rules::Ours(_) => Err(missing(SERVICES)),
                Rules::Published => Ok(0),
            };
        };
        let wrong = || Refusal::new(Code::L402WrongService);
        let found = services.iter().find(|(name, _)| *name == target.service);
        let (_, tier) = found.ok_or_else(|| wrong().detail("services"))?;
        if *tier < target.tier {
            return Err(wrong().detail("tier"));
        }
        Ok(*tier)
    }

    fn check_request(&self, request: &Request<'_>) -> Result<(), Refusal> {
        if self.valid_until.is_none() {
            return Err(missing("valid_until"));
        }
        if !self.path {
            return Err(missing(PATH));
        }
        let methods = self.methods.as_ref().ok_or_else(|| missing(METHOD))?;
        let fits = methods.contains(&request.method)
            || (request.method == "HEAD" && methods.contains(&"GET"));
        held(fits, Code::L402WrongMethod)?;
        let paid = self.price.ok_or_else(|| missing(PRICE))?;
        held(paid >= request.price.get(), Code::L402PriceNotCovered)?;
        // A route that binds tokens to clients does not take one that anybody may use.
        if request.client.is_some() && !self.client {
            return Err(missing(CLIENT));
        }
        Ok(())
    }
}

fn refused(detail: impl AsRef<str>) -> Refusal {
    Refusal::new(Code::L402CaveatRefused).detail(detail)
}

fn missing(condition: &str) -> Refusal {
    refused(format!("expected a caveat {condition}"))
}

fn wider(condition: &str) -> Refusal {
    refused(format!("{condition} allows more than one before it"))
}

fn malformed(condition: &str) -> Refusal {
    refused(format!("the value of {condition} cannot be read"))
}

fn held(holds: bool, otherwise: Code) -> Result<(), Refusal> {
    if holds {
        Ok(())
    } else {
        Err(Refusal::new(otherwise))
    }
}

/// A list of names, each once.
fn list(value: &str) -> Result<Vec<&str>, Refusal> {
    let names: Vec<&str> = value.split(',').collect();
    let good = |(position, name): (usize, &&str)| {
        is_name(name) && !names.iter().take(position).any(|other| other == name)
    };
    if names.iter().enumerate().all(good) {
        Ok(names)
    } else {
        Err(malformed("a list"))
    }
}

fn services(value: &str) -> Result<Vec<(&str, u8)>, Refusal> {
    let mut services: Vec<(&str, u8)> = Vec::new();
    for item in value.split(',') {
        let (name, tier) = item.split_once(':').ok_or_else(|| malformed(SERVICES))?;
        let tier = number(tier).and_then(|tier| u8::try_from(tier).ok());
        let tier = tier.ok_or_else(|| malformed(SERVICES))?;
        if name.is_empty() || services.iter().any(|(other, _)| *other == name) {
            return Err(malformed(SERVICES));
        }
        services.push((name, tier));
    }
    Ok(services)
}

/// Decimal digits and nothing else, without leading zeros.
fn number(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| canonical && digits)
}

fn lower(condition: &str, now: &mut Option<u64>, value: &str) -> Result<(), Refusal> {
    let condition = condition.trim_start_matches('_');
    let value = number(value).ok_or_else(|| malformed(condition))?;
    if now.is_some_and(|before| value > before) {
        return Err(wider(condition));
    }
    *now = Some(value);
    Ok(())
}

fn narrow_list<'m>(
    condition: &str,
    now: &mut Option<Vec<&'m str>>,
    value: Vec<&'m str>,
) -> Result<(), Refusal> {
    let within = |before: &Vec<&str>| value.iter().all(|name| before.contains(name));
    if !now.as_ref().is_none_or(within) {
        return Err(wider(condition.trim_start_matches('_')));
    }
    *now = Some(value);
    Ok(())
}

/// Fewer services, or lower tiers of them. The published rule compares the names alone, which would let a holder raise the tier.
fn narrow_services<'m>(
    now: &mut Option<Vec<(&'m str, u8)>>,
    value: Vec<(&'m str, u8)>,
) -> Result<(), Refusal> {
    let within = |before: &Vec<(&str, u8)>| {
        let inside = |(name, tier): &(&str, u8)| {
            let mut same = before.iter().filter(|(other, _)| other == name);
            same.any(|(_, most)| tier <= most)
        };
        value.iter().all(inside)
    };
    if !now.as_ref().is_none_or(within) {
        return Err(wider(SERVICES));
    }
    *now = Some(value);
    Ok(())
}
