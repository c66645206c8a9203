//! Which rail a request is paid on.

use faregate_types::{Code, Refusal};
use reqwest::Request;
use reqwest::header::AUTHORIZATION;

use crate::ask::Demands;
use crate::client::Inner;
use crate::error::PayError;
use crate::lightning::Prefer;
use crate::rail::l402::{self, InvoicePrice, Invoiced};
use crate::select::{self, Considered};

/// Everything that was asked for, judged.
pub(crate) struct Judged {
    /// The x402 offers.
    pub(crate) considered: Vec<Considered>,
    /// The L402 invoice.
    pub(crate) invoice: Option<Result<(Invoiced, InvoicePrice), Refusal>>,
}

/// What would be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Choice {
    /// The x402 offer at this place.
    Offer(usize),
    /// The Lightning invoice.
    Invoice,
}

impl Inner {
    /// Judges what a request is asked for.
    pub(crate) fn judge(&self, request: &Request, demands: &Demands) -> Judged {
        let offers = demands.offers.as_ref();
        let mut considered = offers.map_or_else(Vec::new, |offers| self.consider(offers));
        if self.wallet.is_none() {
            for offer in &mut considered {
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
            invoice,
        }
    }

    /// What is paid of it.
    pub(crate) fn choose(&self, judged: &Judged, demands: &Demands) -> Result<Choice, PayError> {
        let offer = select::first(&judged.considered).map(|(place, _)| Choice::Offer(place));
        let invoice = matches!(judged.invoice, Some(Ok(_))).then_some(Choice::Invoice);
        let choice = match self.prefer {
            Prefer::X402 => offer.or(invoice),
            Prefer::L402 => invoice.or(offer),
        };
        choice.ok_or_else(|| {
            let mut considered = judged.considered.clone();
            considered.extend(judged.refused(demands));
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
            _ => Considered {
                scheme: l402::NAME.into(),
                network: "".into(),
                amount: "".into(),
                asset: "".into(),
                pay_to: "".into(),
                verdict: Err(refusal),
            },
        })
    }
}

fn unsupported(detail: &str) -> Refusal {
    Refusal::new(Code::UnsupportedScheme).detail(detail)
}
