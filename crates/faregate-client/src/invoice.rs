//! Paying a Lightning invoice, and fetching what it bought.
//!
//! The invoice is in the books before the wallet hears of it, and whatever the wallet does not know stays open: the same
//! request asks the wallet again and shows the same token, and pays no other invoice in its place. Money that was paid is
//! never "refused" in the books, whatever the server says to the token.

use faregate_core::crash::{self, Point};
use faregate_core::port::lightning::{PaidInvoice, PayOrder, PayOutcome};
use faregate_ledger::{Spend, SpendEnd, SpendState, StoreError};
use faregate_types::lightning::Msat;
use faregate_types::{Code, PaymentId, Refusal};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Request, Response};
use std::time::Duration;
use tokio::time::{Instant, sleep};

use crate::ask::replay;
use crate::client::{Inner, internal};
use crate::deliver::undecided;
use crate::error::{Doubt, PayError};
use crate::hear::{Heard, No, Sent};
use crate::kept;
use crate::lightning::LightningWallet;
use crate::limits::{INVOICE_TRIES, WAIT_PAUSE, WAIT_PAUSE_MIN};
use crate::payment::{Ends, L402Payment, Paid, Payment, Rail};
use crate::rail::l402::{InvoicePrice, Invoiced};
use crate::resume::Flight;
use crate::tokens;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// An invoice that is in the books and may be paid.
pub(crate) struct Bill<'a> {
    pub(crate) flight: Flight<'a>,
    bought: Invoiced,
    /// It was handed to the wallet for an earlier request, perhaps.
    pub(crate) resumed: bool,
}

/// Where the request belongs that an invoice is paid for.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) origin: Box<str>,
    pub(crate) resource: Box<str>,
}

impl Inner {
    /// Writes an invoice down before it is paid, if terms and caps allow it.
    pub(crate) async fn prepare_invoice(
        &self,
        request: &Request,
        place: Place,
        bought: &Invoiced,
        price: &InvoicePrice,
    ) -> Result<Bill<'_>, PayError> {
        let wallet = self.lightning.as_ref().ok_or_else(internal)?;
        let (path, terms) = (request.url().path(), bought.terms(price));
        let expected = self.books.expect(&self.bell, &place.origin, path, &terms);
        let expected = expected.await?;
        let spend = Spend {
            id: bought.invoice.payment_hash().payment_id(),
            origin: place.origin,
            resource: place.resource,
            path: path.into(),
            payee: terms.payee.clone(),
            payer: wallet.name.clone(),
            amount: terms.amount,
            worth: terms.worth,
            at: self.now(),
            valid_until: price.expires_at,
            // A server may ask with one invoice twice. Two requests must not take it for the same purchase.
            credential: bought.to_bytes(self.nonce()?),
            request: kept::to_bytes(request),
        };
        let reserve = self
            .books
            .reserve(&self.bell, &spend, terms, wallet.caps, expected.as_ref());
        match reserve.await {
            Err(PayError::Store(StoreError::Conflict)) => {
                let refusal = Refusal::new(Code::InvoiceUnusable);
                let detail = "this invoice was paid before, or is being paid";
                return Err(PayError::Offer(refusal.detail(detail)));
            }
            verdict => verdict?,
        }
        crash::point(Point::Reserved);
        Ok(Bill {
            flight: self.open.flight(spend),
            bought: bought.clone(),
            resumed: false,
        })
    }

    /// An invoice that the books have from an earlier request.
    pub(crate) fn bill_again<'a>(&self, flight: Flight<'a>) -> Result<Bill<'a>, PayError> {
        let spend = flight.spend().ok_or_else(internal)?;
        let bought = Invoiced::from_bytes(&spend.credential)
            .filter(|bought| bought.invoice.payment_hash().payment_id() == spend.id)
            .ok_or(PayError::Store(StoreError::Damaged))?;
        Ok(Bill {
            flight,
            bought,
            resumed: true,
        })
    }

    /// Pays the invoice or finds out what became of it, then sends the request with the token.
    pub(crate) async fn pay_invoice(
        &self,
        mut request: Request,
        bill: Bill<'_>,
    ) -> Result<Paid<Response>, PayError> {
        let spend = bill.flight.spend().ok_or_else(internal)?.clone();
        let fee_max = fee_max(&spend).ok_or(PayError::Store(StoreError::Damaged))?;
        let paid = match self.settle(&bill, &spend, fee_max).await {
            Ok(paid) => paid,
            Err(PayError::NotPaid(refusal)) => {
                bill.flight.decided();
                let finish = self.books.finish(spend.id, SpendEnd::Unused, self.now());
                finish.await;
                crash::point(Point::Recorded);
                return Err(PayError::NotPaid(refusal));
            }
            Err(error) => return Err(error),
        };
        crash::point(Point::InvoicePaid);
        let header = bill.bought.header(&paid.preimage).ok_or_else(internal)?;
        let plain = replay(&request)?;
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, header.clone());
        // Should the answer be lost, a server that knows names gives it again: the token may be used up by then.
        headers
            .entry(IDEMPOTENCY_KEY)
            .or_insert(name(spend.id).ok_or_else(internal)?);
        let delivered = self
            .deliver(&request, &spend, &Sent::L402, bill.resumed)
            .await?;
        crash::point(Point::Answered);
        match delivered.heard {
            Heard::Answer(response, _) => {
                let token = (&plain, header);
                Ok(self
                    .bought(response, spend, bill, &paid, fee_max, token)
                    .await)
            }
            Heard::No(no) => Err(self.token_refused(*no, spend, bill).await),
            // `deliver` ends with an answer, a refusal or an error.
            Heard::NotYet(_) => Err(internal()),
        }
    }

    /// Has the invoice paid, once, and waits for the end as long as patience lasts.
    ///
    /// # Errors
    /// [`PayError::NotPaid`] when it is certain that nothing was paid, and never will be.
    async fn settle(
        &self,
        bill: &Bill<'_>,
        spend: &Spend,
        fee_max: Msat,
    ) -> Result<PaidInvoice, PayError> {
        let unknown = |code| undecided(spend, Doubt::Lightning(code), None);
        let invoice = &bill.bought.invoice;
        let wallet = self.lightning.as_ref();
        let wallet = wallet.filter(|wallet| wallet.network() == invoice.network());
        let wallet = wallet.ok_or_else(|| unknown(Code::LightningUnsupported))?;
        let order = PayOrder {
            invoice: invoice.clone(),
            fee_max,
            time_limit: self.patience.wait.max(Duration::from_secs(1)),
        };
        let now = Instant::now();
        let until = now.checked_add(self.patience.wait).unwrap_or(now);
        let mut tries = u32::from(!bill.resumed);
        let mut pause = WAIT_PAUSE_MIN;
        let mut outcome = if bill.resumed {
            wallet.sender.track(invoice).await
        } else {
            wallet.sender.pay(&order).await
        };
        loop {
            let code = match outcome {
                PayOutcome::Paid(paid) => return Ok(paid),
                PayOutcome::Failed(refusal) => return Err(PayError::NotPaid(refusal)),
                // The wallet never had it before.
                PayOutcome::Refused(refusal) if !bill.resumed && tries == 1 => {
                    return Err(PayError::NotPaid(refusal));
                }
                PayOutcome::Refused(refusal) => refusal.code,
                PayOutcome::Unknown(code) => code,
            };
            if tries < INVOICE_TRIES && self.may_pay_again(wallet, bill, code) {
                tries = tries.saturating_add(1);
                outcome = wallet.sender.pay(&order).await;
                continue;
            }
            let wakes = Instant::now().checked_add(pause);
            if wakes.is_none_or(|wakes| wakes > until) {
                return Err(unknown(code));
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(WAIT_PAUSE);
            outcome = wallet.sender.track(invoice).await;
        }
    }

    /// Whether an invoice that may have been handed to the wallet may be handed to it again: when the wallet does not know it,
    /// or cannot say, and pays one invoice only once.
    fn may_pay_again(&self, wallet: &LightningWallet, bill: &Bill<'_>, code: Code) -> bool {
        matches!(
            code,
            Code::LightningPaymentNotFound | Code::LightningUnsupported
        ) && wallet.sender.abilities().pays_once
            && !bill.bought.invoice.is_expired(self.now())
    }

    /// Writes down that it was paid for, unless the server did not serve, and keeps the token.
    async fn bought(
        &self,
        response: Response,
        spend: Spend,
        bill: Bill<'_>,
        paid: &PaidInvoice,
        fee_max: Msat,
        token: (&Request, HeaderValue),
    ) -> Paid<Response> {
        let hash = bill.bought.invoice.payment_hash();
        let state = if response.status().is_success() {
            let is_settled = self.ends == Ends::WhenAnswered;
            let (request, header) = token;
            let bought = (spend.id, &*bill.bought.token);
            if let Some((place, token)) = tokens::kept(request, bought, &header, self.now()) {
                self.tokens.put(&place, token.clone(), is_settled);
                if is_settled {
                    self.keep_token(token).await;
                }
            }
            if is_settled {
                bill.flight.decided();
                let transaction = Some(hash.to_string().into());
                let end = SpendEnd::Paid { transaction };
                self.books.finish_later(spend.id, end, self.now()).await;
            }
            SpendState::Paid
        } else {
            // The flight ends as an open payment: the same request shows the same token.
            SpendState::Open
        };
        tracing::debug!(payment = %spend.id, state = state.as_str(), "token shown");
        let rail = Rail::L402(L402Payment {
            payment_hash: hash,
            amount: Msat::of(&spend.amount).unwrap_or(Msat::ZERO),
            fee: paid.fee,
            fee_max,
        });
        let payment = Payment::of(spend, bill.resumed, state, rail);
        Paid {
            answer: response,
            payment: Some(payment),
        }
    }

    /// The money has moved, and the server does not take the token. Nothing else is paid.
    async fn token_refused(&self, no: No, spend: Spend, bill: Bill<'_>) -> PayError {
        let other_terms = self.asks_other_terms(&no, &spend);
        let hash = bill.bought.invoice.payment_hash();
        bill.flight.decided();
        let transaction = Some(hash.to_string().into());
        let end = SpendEnd::Paid { transaction };
        self.close_refused(no, spend, end, other_terms).await
    }

    /// Whether a refusal asks for another amount, or for a payment to somebody else. The invoice itself is always another.
    fn asks_other_terms(&self, no: &No, spend: &Spend) -> bool {
        let judged = no.challenge.as_ref().zip(self.lightning.as_ref());
        judged.is_some_and(|(asked, wallet)| match asked.judge(wallet, self.now()) {
            Ok((bought, price)) => {
                let terms = bought.terms(&price);
                (terms.amount, &terms.payee) != (spend.amount, &spend.payee)
            }
            Err(_) => true,
        })
    }
}

/// What a purchase is called: by its payment, so that every process says the same.
fn name(id: PaymentId) -> Option<HeaderValue> {
    HeaderValue::from_str(&id.to_string()).ok()
}

/// What the way was allowed to cost: the books count it with the amount.
fn fee_max(spend: &Spend) -> Option<Msat> {
    let most = u64::try_from(spend.worth.units()).ok()?;
    Msat::new(most).checked_sub(Msat::of(&spend.amount)?)
}
