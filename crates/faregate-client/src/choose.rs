//! Which rail a request is paid on.

use faregate_types::{Code, Refusal};
use reqwest::Request;
use reqwest::header::AUTHORIZATION;

use crate::ask::Demands;
use crate::client::Inner;
use crate::error::PayError;
use crate::rail::credit;
use crate::rail::l402::{self, InvoicePrice, Invoiced};
use crate::rail::permit::{self, Judgement};
use crate::select::{self, Considered};

/// A rail. Which one is taken when a server offers several and more than one can be paid: see
/// [`ClientBuilder::prefer`](crate::ClientBuilder::prefer).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prefer {
    /// x402.
    #[default]
    X402,
    /// L402.
    L402,
    /// Permits for access tokens.
    Permit,
    /// Credit, for clients that [pay on it](crate::ClientBuilder::credit).
    Credit,
}

/// The order in which rails are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order([Prefer; 4]);

impl Default for Order {
    /// Those that say whether the money moved come first, and what is owed comes last: it has to be paid in time by somebody.
    fn default() -> Self {
        Self([Prefer::X402, Prefer::L402, Prefer::Permit, Prefer::Credit])
    }
}

impl Order {
    /// These first, the others as they were.
    pub(crate) fn starting_with(self, first: impl IntoIterator<Item = Prefer>) -> Self {
        let mut order: Vec<Prefer> = Vec::new();
        for rail in first.into_iter().chain(self.0) {
            if !order.contains(&rail) {
                order.push(rail);
            }
        }
        // There are four rails, and each is in it once.
        Self(order.try_into().unwrap_or(self.0))
    }

    /// Whether the first is tried before the second.
    pub(crate) fn has(self, first: Prefer, second: Prefer) -> bool {
        let place = |rail| self.0.iter().position(|other| *other == rail);
        place(first) < place(second)
    }
}

/// Everything that was asked for, judged.
pub(crate) struct Judged {
    /// The x402 offers.
    pub(crate) considered: Vec<Considered>,
    /// The offers that are paid with a permit.
    pub(crate) permits: Vec<Judgement>,
    /// The offers on credit: those of the header or the body, then those of the body beside a header.
    pub(crate) credits: Vec<credit::Judgement>,
    /// The L402 invoice.
    pub(crate) invoice: Option<Result<(Invoiced, InvoicePrice), Refusal>>,
}

/// What would be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice {
    /// The x402 offer at this place.
    Offer(usize),
    /// The offer at this place that is paid with a permit.
    Permit(usize),
    /// The Lightning invoice.
    Invoice,
    /// The offer on credit at this place.
    Credit(usize),
}

impl Inner {
    /// Judges what a request is asked for.
    pub(crate) fn judge(&self, request: &Request, demands: &Demands) -> Judged {
        let offers = demands.offers.as_ref();
        let mut considered = offers.map_or_else(Vec::new, |offers| self.consider(offers));
        let mut permits = match &demands.permit {
            Some(Ok(demand)) => self.consider_permits(demand),
            _ => Vec::new(),
        };
        let mut credits = self.consider_credits(request.url(), demands);
        if self.wallet.is_none() {
            let permits = permits.iter_mut().map(|offer| &mut offer.considered);
            let credits = credits.iter_mut().map(|offer| &mut offer.considered);
            for offer in considered.iter_mut().chain(permits).chain(credits) {
                offer.verdict = Err(unsupported("there is no key to pay it with"));
            }
        }
        let invoice = demands.challenge.as_ref().map(|asked| {
            let asked = asked.as_ref().map_err(Clone::clone)?;
            let Some(wallet) = &self.lightning else {
                return Err(unsupported("there is no Lightning wallet to pay it with"));
            };
            if request.headers().contains_key(AUTHORIZATION) {
                // The token goes into the same header.
                return Err(unsupported(
                    "the request has an Authorization header of its own",
                ));
            }
            asked.judge(wallet, self.now())
        });
        Judged {
            considered,
            permits,
            credits,
            invoice,
        }
    }

    /// What is paid of it.
    pub(crate) fn choose(&self, judged: &Judged, demands: &Demands) -> Result<Choice, PayError> {
        let first = |offers: &mut dyn Iterator<Item = &Considered>| {
            select::first(offers, &self.assets_first).map(|(place, _)| place)
        };
        let offer = first(&mut judged.considered.iter()).map(Choice::Offer);
        let invoice = matches!(judged.invoice, Some(Ok(_))).then_some(Choice::Invoice);
        let permits = judged.permits.iter();
        let permit = first(&mut permits.map(|offer| &offer.considered)).map(Choice::Permit);
        let credits = judged.credits.iter();
        let credit = first(&mut credits.map(|offer| &offer.considered)).map(Choice::Credit);
        let mut choices = self.order.0.into_iter().map(|rail| match rail {
            Prefer::X402 => offer,
            Prefer::L402 => invoice,
            Prefer::Permit => permit,
            Prefer::Credit => credit,
        });
        choices.find_map(|choice| choice).ok_or_else(|| {
            let mut considered = judged.considered.clone();
            let permits = judged.permits.iter();
            considered.extend(permits.map(|offer| offer.considered.clone()));
            let credits = judged.credits.iter();
            considered.extend(credits.map(|offer| offer.considered.clone()));
            considered.extend(judged.refused(demands));
            if let Some(Err(refusal)) = &demands.permit {
                considered.push(unread(permit::NAME, refusal.clone()));
            }
            PayError::NoUsableOffer(considered)
        })
    }
}

impl Judged {
    /// The invoice among what is not paid, and why.
    fn refused(&self, demands: &Demands) -> Option<Considered> {
        let refusal = self.invoice.as_ref()?.as_ref().err()?.clone();
        Some(match &demands.challenge {
            Some(Ok(asked)) => asked.refused(refusal),
            _ => unread(l402::NAME, refusal),
        })
    }
}

/// What cannot be read, and why.
fn unread(scheme: &str, refusal: Refusal) -> Considered {
    Considered {
        scheme: scheme.into(),
        network: "".into(),
        amount: "".into(),
        asset: "".into(),
        pay_to: "".into(),
        verdict: Err(refusal),
    }
}

fn unsupported(detail: &str) -> Refusal {
    Refusal::new(Code::UnsupportedScheme).detail(detail)
}
