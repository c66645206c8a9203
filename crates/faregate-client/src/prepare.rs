//! From what a server asks for to a payment that is in the books: chosen, signed, written down. Nothing is sent here.

use std::sync::Arc;

use faregate_core::crash::{self, Point};
use faregate_ledger::{CapRefusal, Spend, StoreError, Unit};
use faregate_types::{Address, AssetId, Code, PaymentId, Refusal, Timestamp};
use reqwest::{Request, Response};

use crate::ask::Demands;
use crate::choose::{Choice, Judged};
use crate::client::{Inner, internal};
use crate::credit_pay::{Chosen, Tabbed};
use crate::deliver::Ready;
use crate::error::PayError;
use crate::events::{BudgetExceeded, Event};
use crate::invoice::{Bill, Place};
use crate::kept;
use crate::offer::Offers;
use crate::permit::Slip;
use crate::rail::credit;
use crate::rail::l402;
use crate::rail::permit::Note;
use crate::rail::x402::{self, Credential};
use crate::resume::{self, Flight};
use crate::select::{Considered, Price};

/// A payment that is in the books and may be made.
pub(crate) enum Prepared<'a> {
    X402(Box<Ready<'a>>),
    L402(Box<Bill<'a>>),
    Permit(Box<Slip<'a>>),
    Credit(Box<Tabbed<'a>>),
    /// A token was found that the server takes: nothing has to be paid.
    Answered(Response),
}

/// What was signed over tokens, on whichever rail.
pub(crate) struct SignedAway {
    pub(crate) id: PaymentId,
    pub(crate) valid_until: Timestamp,
    pub(crate) credential: Vec<u8>,
    pub(crate) at: Timestamp,
}

impl SignedAway {
    /// The same as the books have it.
    pub(crate) fn spend(
        self,
        request: &Request,
        place: Place,
        price: &Price,
        payer: Address,
    ) -> Spend {
        Spend {
            id: self.id,
            origin: place.origin,
            resource: place.resource,
            path: request.url().path().into(),
            payee: price.terms().payee,
            payer: payer.to_string().into(),
            amount: price.amount,
            worth: price.worth,
            at: self.at,
            valid_until: self.valid_until,
            credential: self.credential,
            request: kept::to_bytes(request),
        }
    }
}

impl Inner {
    /// Chooses, signs and writes down; or finds the payment that an identical request left open. What is `aside` is open too,
    /// and both together have to be within the cap for one payment.
    pub(crate) async fn prepare(
        &self,
        request: &Request,
        demands: &Demands,
        aside: Option<&Flight<'_>>,
    ) -> Result<Prepared<'_>, PayError> {
        let origin = self.origins.payable(request.url())?;
        let resource = resume::resource(request);
        let now = self.now();
        self.load_open().await?;
        if let Some(flight) = self.open.take(&origin, &resource, now) {
            return self.again(flight);
        }
        let judged = self.judge(request, demands);
        let place = Place { origin, resource };
        let choice = self.choose(&judged, demands);
        if let Err(PayError::NoUsableOffer(considered)) = &choice {
            self.too_dear(considered, &place, request.url().path());
        }
        let choice = choice?;
        self.check_both(&judged, choice, aside)?;
        match choice {
            Choice::Invoice => {
                let Some(Ok((bought, price))) = &judged.invoice else {
                    return Err(internal());
                };
                let bill = self.prepare_invoice(request, place, bought, price);
                Ok(Prepared::L402(Box::new(bill.await?)))
            }
            Choice::Permit(index) => {
                if let Some(answer) = self.instead(request).await? {
                    return Ok(Prepared::Answered(answer));
                }
                let Some(Ok(demand)) = &demands.permit else {
                    return Err(internal());
                };
                let offer = judged.permits.get(index).ok_or_else(internal)?;
                let price = offer.considered.verdict.as_ref().map_err(|_| internal())?;
                let endpoint = demand.endpoint.clone();
                let slip = self.prepare_permit(request, place, endpoint, (offer.kind, price));
                Ok(Prepared::Permit(Box::new(slip.await?)))
            }
            Choice::Credit(index) => {
                let judgement = judged.credits.get(index).ok_or_else(internal)?;
                let offers = match judgement.beside {
                    true => demands.beside.as_ref(),
                    false => demands.offers.as_ref(),
                };
                let offers = offers.ok_or_else(internal)?;
                let chosen = Chosen { offers, judgement };
                let tabbed = self.prepare_credit(request, place, &chosen);
                Ok(Prepared::Credit(Box::new(tabbed.await?)))
            }
            Choice::Offer(index) => {
                let offers = demands.offers.as_ref().ok_or_else(internal)?;
                let offer = judged.considered.get(index).ok_or_else(internal)?;
                let price = offer.verdict.as_ref().map_err(|_| internal())?;
                let ready = self.sign(request, place, offers, index, price);
                Ok(Prepared::X402(Box::new(ready.await?)))
            }
        }
    }

    /// A payment of which nobody knows whether it happened counts as if this one cost so much more.
    fn check_both(
        &self,
        judged: &Judged,
        choice: Choice,
        aside: Option<&Flight<'_>>,
    ) -> Result<(), PayError> {
        let Some(before) = aside.and_then(Flight::spend) else {
            return Ok(());
        };
        let offer = match choice {
            Choice::Offer(index) => judged.considered.get(index),
            Choice::Permit(index) => judged.permits.get(index).map(|offer| &offer.considered),
            Choice::Credit(index) => judged.credits.get(index).map(|offer| &offer.considered),
            Choice::Invoice => None,
        };
        let price = offer.and_then(|offer| offer.verdict.as_ref().ok());
        let both = price.and_then(|price| price.worth.units().checked_add(before.worth.units()));
        match both {
            Some(both) if both <= self.books.caps.per_payment.units() => Ok(()),
            _ => Err(CapRefusal::Payment.into()),
        }
    }

    /// Says that everything that was asked for is above the cap for one payment, if it is.
    fn too_dear(&self, considered: &[Considered], place: &Place, path: &str) {
        let is_above = |offer: &&Considered| {
            let refusal = offer.verdict.as_ref().err();
            refusal.is_some_and(|refusal| refusal.code == Code::OverPaymentCap)
        };
        let Some(offer) = considered.iter().find(is_above) else {
            return;
        };
        let (unit, caps) = match &self.lightning {
            Some(wallet) if &*offer.scheme == l402::NAME => {
                (Unit::Msat(wallet.network()), wallet.caps)
            }
            _ => (Unit::Dollar, self.books.caps),
        };
        let exceeded = BudgetExceeded {
            origin: place.origin.clone(),
            path: path.into(),
            cap: CapRefusal::Payment,
            unit,
            required: None,
            remaining: Some(caps.per_payment),
        };
        let event = Event::BudgetExceeded(Arc::new(exceeded));
        self.books.events.tell(event);
    }

    /// Signs for an offer and writes that down.
    async fn sign(
        &self,
        request: &Request,
        place: Place,
        offers: &Offers,
        index: usize,
        price: &Price,
    ) -> Result<Ready<'_>, PayError> {
        let now = self.now();
        let (path, terms) = (request.url().path(), price.terms());
        let expected = self.books.expect(&self.bell, &place.origin, path, &terms);
        let expected = expected.await?;
        let entry = offers.entries.get(index).ok_or_else(internal)?;
        let wallet = self.wallet.as_ref().ok_or_else(internal)?;
        // Here and not on a thread for long work: a signature takes less time than handing it over and back.
        let signer = wallet.signer();
        let signed = x402::sign(offers, entry, price, signer, self.nonce()?, now)?;
        let signed_away = SignedAway {
            id: signed.id,
            valid_until: signed.valid_until,
            credential: signed.credential.to_bytes(),
            at: now,
        };
        let spend = signed_away.spend(request, place, price, wallet.address());
        crash::point(Point::Signed);
        let reserve = self.books.reserve(
            &self.bell,
            &spend,
            terms,
            self.books.caps,
            expected.as_ref(),
        );
        reserve.await?;
        crash::point(Point::Reserved);
        Ok(Ready {
            flight: self.open.flight(spend),
            credential: signed.credential,
            price: price.clone(),
            resumed: false,
        })
    }

    /// A payment of an earlier request, on whichever rail it was made.
    pub(crate) fn again<'a>(&self, flight: Flight<'a>) -> Result<Prepared<'a>, PayError> {
        let spend = flight.spend();
        let asset = spend.map(|spend| spend.amount.asset());
        let is_permit = spend.is_some_and(|spend| Note::is_one(&spend.credential));
        let is_credit = spend.is_some_and(|spend| credit::Note::is_one(&spend.credential));
        Ok(match asset {
            Some(AssetId::Msat(_)) => Prepared::L402(Box::new(self.bill_again(flight)?)),
            _ if is_credit => Prepared::Credit(Box::new(self.tabbed_again(flight)?)),
            _ if is_permit => Prepared::Permit(Box::new(self.slip_again(flight)?)),
            _ => Prepared::X402(Box::new(self.ready_again(flight)?)),
        })
    }

    /// Reads what is open in the books, the first time.
    pub(crate) async fn load_open(&self) -> Result<(), StoreError> {
        let store = &*self.books.store;
        self.open.load(store, self.resume, self.now()).await
    }

    /// A payment that was signed earlier, to be sent again. The server's word about terms does not matter for it: until its
    /// end is known nothing else is signed for the same request.
    pub(crate) fn ready_again<'a>(&self, flight: Flight<'a>) -> Result<Ready<'a>, PayError> {
        let damaged = || PayError::Store(StoreError::Damaged);
        let spend = flight.spend().ok_or_else(internal)?;
        let credential = Credential::from_bytes(&spend.credential).ok_or_else(damaged)?;
        let asset = self.assets.find(spend.amount.asset());
        let price = Price {
            amount: spend.amount,
            asset: asset
                .ok_or_else(|| Refusal::new(Code::AssetUnknown))
                .map_err(PayError::Offer)?
                .clone(),
            worth: spend.worth,
            payee: spend.payee.parse().map_err(|_| damaged())?,
            validity_secs: spend
                .valid_until
                .as_secs()
                .saturating_sub(spend.at.as_secs()),
        };
        Ok(Ready {
            flight,
            credential,
            price,
            resumed: true,
        })
    }

    /// What [`prepare`](Self::prepare) would choose or refuse, without signing.
    pub(crate) async fn would_pay(
        &self,
        request: &Request,
        judged: &Judged,
        demands: &Demands,
    ) -> Result<Choice, PayError> {
        let origin = self.origins.payable(request.url())?;
        let choice = self.choose(judged, demands)?;
        let (terms, caps) = match choice {
            Choice::Offer(index) => {
                let offer = judged.considered.get(index).ok_or_else(internal)?;
                let price = offer.verdict.as_ref().map_err(|_| internal())?;
                (price.terms(), &self.books.caps)
            }
            Choice::Permit(index) => {
                let offer = judged.permits.get(index).ok_or_else(internal)?;
                let price = offer.considered.verdict.as_ref().map_err(|_| internal())?;
                (price.terms(), &self.books.caps)
            }
            Choice::Credit(index) => {
                let offer = judged.credits.get(index).ok_or_else(internal)?;
                let price = offer.considered.verdict.as_ref().map_err(|_| internal())?;
                (price.terms(), &self.books.caps)
            }
            Choice::Invoice => {
                let Some(Ok((bought, price))) = &judged.invoice else {
                    return Err(internal());
                };
                let wallet = self.lightning.as_ref().ok_or_else(internal)?;
                (bought.terms(price), &wallet.caps)
            }
        };
        let path = request.url().path();
        let (findings, _) = self.books.check_terms(&origin, path, &terms).await?;
        findings.verdict?;
        let unit = Unit::of(terms.amount.asset());
        let check = self
            .books
            .check_caps(&origin, unit, terms.worth, caps, self.now());
        check.await?;
        Ok(choice)
    }
}
