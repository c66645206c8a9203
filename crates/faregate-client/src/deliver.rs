//! Sending a payment until its end is known, or patience ends: always the same bytes (x402 wire facts §8 item 5).

use std::time::Duration;

use faregate_core::crash::{self, Point};
use faregate_ledger::{Spend, SpendEnd, SpendState};
use faregate_types::{Code, Timestamp};
use reqwest::{Request, Response};
use tokio::time::{Instant, sleep};

use crate::alarm::Alarm;
use crate::client::{Inner, internal};
use crate::error::{Doubt, HttpFault, PayError, Refused, Undecided};
use crate::hear::{self, Heard, No, NotYet, Sent, hear};
use crate::limits::{RESEND_PAUSE, WAIT_PAUSE, WAIT_PAUSE_MAX, WAIT_PAUSE_MIN};
use crate::payment::{Ends, Paid, Payment, Rail, X402Payment};
use crate::rail::x402::Credential;
use crate::receipt::{Expected, Outcome, Receipt};
use crate::resume::Flight;
use crate::select::Price;
use crate::transport;

/// A payment that is in the books and may be sent.
pub(crate) struct Ready<'a> {
    pub(crate) flight: Flight<'a>,
    pub(crate) credential: Credential,
    pub(crate) price: Price,
    /// Signed for an earlier request whose end is not known.
    pub(crate) resumed: bool,
}

/// How long an end is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) wait: Duration,
    pub(crate) resends: u32,
}

/// One delivery: what it knows about what has happened so far.
pub(crate) struct Delivery<'a> {
    spend: &'a Spend,
    /// Nothing has left the process, now or earlier.
    pub(crate) unsent: bool,
    pub(crate) losses: u32,
    until: Instant,
}

/// What came of it.
pub(crate) struct Delivered {
    pub(crate) heard: Heard,
    /// More than one copy was sent.
    pub(crate) again: bool,
}

impl Inner {
    /// Sends the request with the payment, finds out what became of it and writes that down.
    pub(crate) async fn pay(
        &self,
        mut request: Request,
        ready: Ready<'_>,
    ) -> Result<Paid<Response>, PayError> {
        let spend = ready.flight.spend().ok_or_else(internal)?.clone();
        let (name, value) = ready.credential.header().ok_or_else(internal)?;
        request.headers_mut().insert(name, value);
        // What was signed earlier may have been signed by another key.
        let signed = ready
            .resumed
            .then(|| ready.credential.authorization())
            .flatten();
        let expected = Expected {
            version: ready.credential.version(),
            payer: signed.map_or_else(|| self.payer(), |signed| signed.from),
            amount: spend.amount,
        };
        let sent = Sent::X402(expected);
        let delivered = self.deliver(&request, &spend, &sent, ready.resumed).await?;
        let Sent::X402(expected) = sent else {
            return Err(internal());
        };
        crash::point(Point::Answered);
        match delivered.heard {
            Heard::Answer(response, receipt) => Ok(self
                .answered(response, receipt, spend, ready, &expected)
                .await),
            Heard::No(no) => Err(self.refused(*no, delivered.again, spend, ready).await),
            // `deliver` ends with an answer, a refusal or an error.
            Heard::NotYet(_) => Err(internal()),
        }
    }

    /// Sends a request with a payment until there is an answer that says something.
    pub(crate) async fn deliver(
        &self,
        request: &Request,
        spend: &Spend,
        sent: &Sent,
        resumed: bool,
    ) -> Result<Delivered, PayError> {
        // An invoice was paid, and a permit posted, before anything else is sent to the server.
        let unsent = !resumed && matches!(sent, Sent::X402(_) | Sent::Credit(..));
        let mut delivery = Delivery::new(spend, unsent, self.patience_for(spend));
        let mut again = resumed;
        loop {
            let heard = match self.send(request).await {
                Ok(response) => hear(response, sent).await,
                Err(fault) => {
                    let may = fault == HttpFault::NoConnection || request.method().is_idempotent();
                    self.lost(&mut delivery, fault, may).await?;
                    again |= !delivery.unsent;
                    continue;
                }
            };
            delivery.unsent = false;
            match heard {
                Heard::NotYet(news) => delivery.not_yet(news).await?,
                heard => return Ok(Delivered { heard, again }),
            }
            again = true;
        }
    }

    pub(crate) async fn send(&self, request: &Request) -> Result<Response, HttpFault> {
        let copy = request.try_clone().ok_or(HttpFault::Lost)?;
        let sending = transport::send(&self.http, copy);
        if !crash::is_armed(Point::Sent) {
            return sending.await;
        }
        // For tests of crashes only: dies while the server has the request and has not answered.
        tokio::select! {
            response = sending => response,
            () = sleep(Duration::from_millis(300)) => {
                crash::point(Point::Sent);
                Err(HttpFault::Lost)
            }
        }
    }

    /// Pauses before the same bytes are sent again, if they may be.
    pub(crate) async fn lost(
        &self,
        delivery: &mut Delivery<'_>,
        fault: HttpFault,
        may: bool,
    ) -> Result<(), PayError> {
        // Once something may have arrived, a later try that does not is no proof of anything.
        delivery.unsent &= fault == HttpFault::NoConnection;
        delivery.losses = delivery.losses.saturating_add(1);
        let pause = RESEND_PAUSE.saturating_mul(delivery.losses);
        if may && delivery.losses <= self.patience.resends && delivery.has(pause) {
            sleep(pause).await;
            return Ok(());
        }
        if delivery.unsent {
            // Nothing left the process; the payment stays open for the next attempt.
            return Err(PayError::Http(fault));
        }
        Err(undecided(delivery.spend, Doubt::Http(fault), None))
    }

    /// Until when an end is waited for: patience, and the end of the payment if that has not passed.
    pub(crate) fn patience_for(&self, spend: &Spend) -> Instant {
        let valid_secs = spend
            .valid_until
            .as_secs()
            .saturating_sub(self.now().as_secs());
        let wait = match valid_secs {
            0 => self.patience.wait,
            secs => self.patience.wait.min(Duration::from_secs(secs)),
        };
        let now = Instant::now();
        now.checked_add(wait).unwrap_or(now)
    }

    /// Writes down that it was paid for, unless the server neither served nor refused.
    async fn answered(
        &self,
        response: Response,
        receipt: Receipt,
        spend: Spend,
        ready: Ready<'_>,
        expected: &Expected,
    ) -> Paid<Response> {
        let state = match receipt.outcome(response.status()) {
            // The flight ends as an open payment.
            Outcome::Paid(_) if self.ends == Ends::WhenAcknowledged => SpendState::Paid,
            Outcome::Paid(transaction) => {
                ready.flight.decided();
                let end = SpendEnd::Paid { transaction };
                self.books.finish_later(spend.id, end, self.now()).await;
                SpendState::Paid
            }
            Outcome::Open | Outcome::Refused => SpendState::Open,
        };
        let rail = Rail::X402(X402Payment {
            version: expected.version,
            payer: expected.payer,
            asset: ready.price.asset,
            receipt,
        });
        let payment = Payment::of(spend, ready.resumed, state, rail);
        tracing::debug!(payment = %payment.id, state = state.as_str(), "payment sent");
        Paid {
            answer: response,
            payment: Some(payment),
        }
    }

    /// Writes a refusal down, and notices when the server asks for another payment on other terms.
    async fn refused(&self, no: No, again: bool, spend: Spend, ready: Ready<'_>) -> PayError {
        let other_terms = no.offers.as_ref().is_some_and(|offers| {
            let considered = self.consider(offers);
            !considered.iter().any(|offer| {
                let price = offer.verdict.as_ref().ok();
                price.is_some_and(|price| {
                    price.amount == spend.amount && *price.payee.to_string() == *spend.payee
                })
            })
        });
        ready.flight.decided();
        let code = refusal_code(&no, other_terms);
        let end = match no.receipt.transaction() {
            Some(transaction) => SpendEnd::Paid {
                transaction: Some(transaction.into()),
            },
            // What is refused is a copy; the money moved for the one before.
            None if again && hear::is_spent(no.code) => SpendEnd::Paid { transaction: None },
            None => SpendEnd::Refused { code },
        };
        self.close_refused(no, spend, end, other_terms).await
    }

    /// Writes down how a payment ended that was refused, and says so when something else is asked for.
    pub(crate) async fn close_refused(
        &self,
        no: No,
        spend: Spend,
        end: SpendEnd,
        other_terms: bool,
    ) -> PayError {
        let code = refusal_code(&no, other_terms);
        self.books.finish(spend.id, end, self.now()).await;
        crash::point(Point::Recorded);
        if other_terms {
            self.bell.ring(&Alarm::AskedAgain {
                id: spend.id,
                origin: spend.origin,
                path: spend.path,
                paid: spend.amount,
            });
        }
        PayError::Refused(Box::new(Refused {
            id: spend.id,
            status: no.status,
            code,
            reason: no.reason,
            receipt: no.receipt,
            asks_again: other_terms,
        }))
    }

    /// The time, by the clock of this client.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

impl<'a> Delivery<'a> {
    pub(crate) const fn new(spend: &'a Spend, unsent: bool, until: Instant) -> Self {
        Self {
            spend,
            unsent,
            losses: 0,
            until,
        }
    }

    pub(crate) fn has(&self, pause: Duration) -> bool {
        Instant::now()
            .checked_add(pause)
            .is_some_and(|end| end <= self.until)
    }

    /// Pauses as long as the server wishes, within bounds.
    pub(crate) async fn not_yet(&self, news: NotYet) -> Result<(), PayError> {
        let pause = news.retry_after.unwrap_or(WAIT_PAUSE);
        let pause = pause.clamp(WAIT_PAUSE_MIN, WAIT_PAUSE_MAX);
        if !self.has(pause) {
            let doubt = Doubt::Server(news.code);
            return Err(undecided(self.spend, doubt, news.transaction));
        }
        sleep(pause).await;
        Ok(())
    }
}

/// What a refusal is called: the server's own code, where it says one.
pub(crate) fn refusal_code(no: &No, other_terms: bool) -> Code {
    no.code.unwrap_or(if other_terms {
        Code::TermsChanged
    } else {
        Code::PaymentRefused
    })
}

pub(crate) fn undecided(spend: &Spend, why: Doubt, transaction: Option<Box<str>>) -> PayError {
    PayError::Undecided(Box::new(Undecided {
        id: spend.id,
        valid_until: spend.valid_until,
        why,
        transaction,
    }))
}
