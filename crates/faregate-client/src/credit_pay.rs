//! Paying on credit: a tab is asked for, claims are signed for it, and the request is sent again with them (specs/4mica.md
//! §6.6).
//!
//! Claims are in the books before they are sent, under the number they have on their tab. Until their end is known the same
//! bytes are sent again, and nothing else is signed for the request. Only a seller that says that number or tab cannot be used
//! has charged nothing, and gets other claims; all of them count against the caps.

use alloy_primitives::B256;
use faregate_core::crash::{self, Point};
use faregate_ledger::{KnownTerms, Spend, SpendEnd, SpendState, StoreError, Terms};
use faregate_types::credit::x402::{TabRequest, TabTicket};
use faregate_types::{Address, Code, PaymentId, Refusal};
use reqwest::{Request, Response};
use tokio::time::{Instant, sleep};

use crate::client::{Inner, internal};
use crate::core_says::CoreSays;
use crate::deliver::{refusal_code, undecided};
use crate::error::{Doubt, PayError, Refused};
use crate::hear::{self, Heard, No, Sent};
use crate::invoice::Place;
use crate::limits::{NUMBER_REUSES_MAX, TAB_PAUSE, TAB_PAUSE_MAX};
use crate::offer::Offers;
use crate::payment::{CreditPayment, Ends, Paid, Payment, Rail};
use crate::prepare::SignedAway;
use crate::rail::credit::receipt::{Details, ShownCertificate};
use crate::rail::credit::{self, Entry, Judgement, Note, Signed};
use crate::receipt::{Expected, Outcome, Receipt};
use crate::resume::Flight;
use crate::select::Price;

/// Claims that are in the books and may be sent.
pub(crate) struct Tabbed<'a> {
    pub(crate) flight: Flight<'a>,
    note: Note,
    /// Signed for an earlier request whose end is not known.
    pub(crate) resumed: bool,
}

/// An offer on credit that was chosen.
pub(crate) struct Chosen<'a> {
    pub(crate) offers: &'a Offers,
    pub(crate) judgement: &'a Judgement,
}

impl Chosen<'_> {
    fn parts(&self) -> Option<(&Entry, &Price, &url::Url)> {
        let entry = self.offers.credits.get(self.judgement.place)?;
        let price = self.judgement.considered.verdict.as_ref().ok()?;
        Some((entry, price, self.judgement.endpoint.as_ref()?))
    }
}

/// Whether a refusal says that nothing was charged, because the number or the tab cannot be used, and asks for the same again:
/// other claims may be good.
pub(crate) const fn may_sign_anew(refused: &Refused) -> bool {
    is_about_tab(refused.code) && !refused.asks_again
}

const fn is_about_tab(code: Code) -> bool {
    matches!(
        code,
        Code::CreditReqIdTaken
            | Code::CreditReqIdInvalid
            | Code::CreditTabClosed
            | Code::CreditTabUnknown
            | Code::CreditTabMismatch
    )
}

impl Inner {
    /// Asks for a tab, signs claims for it and writes them down, if terms and caps allow it.
    pub(crate) async fn prepare_credit(
        &self,
        request: &Request,
        place: Place,
        chosen: &Chosen<'_>,
    ) -> Result<Tabbed<'_>, PayError> {
        let (entry, price, endpoint) = chosen.parts().ok_or_else(internal)?;
        let wallet = self.wallet.as_ref().ok_or_else(internal)?;
        let (path, terms) = (request.url().path(), price.terms());
        let expected = self.books.expect(&self.bell, &place.origin, path, &terms);
        let expected = expected.await?;
        let question = question(chosen.offers, entry, wallet.address());
        let (mut pause, salt) = (TAB_PAUSE, self.nonce()?);
        let until = Instant::now().checked_add(self.patience.wait);
        loop {
            let ticket = self.tab(endpoint, &question).await?;
            let signed = self.sign_claims(chosen.offers, entry, &ticket, price, salt)?;
            crash::point(Point::Signed);
            let signed_away = SignedAway {
                id: signed.id,
                valid_until: signed.valid_until,
                credential: signed.note.to_bytes(),
                at: signed.note.claims.timestamp,
            };
            let spend = signed_away.spend(request, place.clone(), price, wallet.address());
            let reserved = self.reserve_claims(spend, &terms, expected.as_ref());
            if let Some(spend) = reserved.await? {
                crash::point(Point::Reserved);
                return Ok(Tabbed {
                    flight: self.open.flight(spend),
                    note: signed.note,
                    resumed: false,
                });
            }
            // These claims go nowhere; the next answer has another number.
            let wakes = Instant::now().checked_add(pause);
            if wakes.is_none() || wakes > until {
                return Err(PayError::Tab(taken()));
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(TAB_PAUSE_MAX);
        }
    }

    /// Writes claims into the books, under another name when others with the same number came to nothing. `None` when another
    /// payment of this wallet has the number.
    async fn reserve_claims(
        &self,
        mut spend: Spend,
        terms: &Terms,
        known: Option<&KnownTerms>,
    ) -> Result<Option<Spend>, PayError> {
        let caps = self.books.caps;
        for tries in 0..2_u8 {
            let reserve = self
                .books
                .reserve(&self.bell, &spend, terms.clone(), caps, known);
            match reserve.await {
                Ok(()) => return Ok(Some(spend)),
                Err(PayError::Store(StoreError::Conflict)) if tries == 0 => {
                    let Some(id) = self.free_number(spend.id).await? else {
                        return Ok(None);
                    };
                    spend.id = id;
                }
                Err(PayError::Store(StoreError::Conflict)) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn sign_claims(
        &self,
        offers: &Offers,
        entry: &Entry,
        ticket: &TabTicket,
        price: &Price,
        salt: B256,
    ) -> Result<Signed, PayError> {
        let wallet = self.wallet.as_ref().ok_or_else(internal)?;
        let habits = self.credit.as_ref().ok_or_else(internal)?;
        // Here and not on a thread for long work, as for other rails.
        let at = (salt, self.now());
        credit::sign((offers, entry), ticket, price, wallet.signer(), habits, at)
    }

    /// A name in the books for other claims with the number of these, if those before came to nothing: of all claims with one
    /// number a core takes one. `None` while it is not certain that they did, and when they were paid for.
    async fn free_number(&self, natural: PaymentId) -> Result<Option<PaymentId>, PayError> {
        let now = self.now();
        for use_number in 0..NUMBER_REUSES_MAX {
            let id = natural.nth(use_number);
            let Some(record) = self.books.store.spend(id).await? else {
                return Ok(Some(id));
            };
            let is_over = match record.state {
                SpendState::Refused | SpendState::Unused => true,
                SpendState::Open => record.spend.valid_until < now,
                SpendState::Paid => false,
            };
            if !is_over {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Claims that the books have from an earlier request.
    pub(crate) fn tabbed_again<'a>(&self, flight: Flight<'a>) -> Result<Tabbed<'a>, PayError> {
        let spend = flight.spend().ok_or_else(internal)?;
        let note = Note::from_bytes(&spend.credential);
        Ok(Tabbed {
            note: note.ok_or(PayError::Store(StoreError::Damaged))?,
            flight,
            resumed: true,
        })
    }

    /// Sends the request with the claims, finds out what became of them and writes that down.
    pub(crate) async fn pay_on_credit(
        &self,
        mut request: Request,
        tabbed: Tabbed<'_>,
    ) -> Result<Paid<Response>, PayError> {
        let spend = tabbed.flight.spend().ok_or_else(internal)?.clone();
        let (name, value) = tabbed.note.credential.header().ok_or_else(internal)?;
        request.headers_mut().insert(name, value);
        let expected = Expected {
            version: tabbed.note.credential.version(),
            // What was signed earlier may have been signed by another key.
            payer: tabbed.note.claims.payer,
            amount: spend.amount,
        };
        let sent = Sent::Credit(expected, tabbed.note.reference());
        let delivered = self
            .deliver(&request, &spend, &sent, tabbed.resumed)
            .await?;
        crash::point(Point::Answered);
        match delivered.heard {
            Heard::Answer(response, receipt) => {
                Ok(self.owed(response, receipt, spend, tabbed).await)
            }
            Heard::No(no) => Err(self.no_credit(*no, delivered.again, spend, tabbed).await),
            // `deliver` ends with an answer, a refusal or an error.
            Heard::NotYet(_) => Err(internal()),
        }
    }

    /// Writes down that it was paid for, unless the server neither served nor refused.
    async fn owed(
        &self,
        response: Response,
        receipt: Receipt,
        spend: Spend,
        tabbed: Tabbed<'_>,
    ) -> Paid<Response> {
        let note = tabbed.note;
        let version = note.credential.version();
        let state = match receipt.outcome(response.status()) {
            // The flight ends as an open payment.
            Outcome::Paid(_) if self.ends == Ends::WhenAcknowledged => SpendState::Paid,
            Outcome::Paid(_) => {
                tabbed.flight.decided();
                let transaction = Some(note.reference());
                let end = SpendEnd::Paid { transaction };
                self.books.finish_later(spend.id, end, self.now()).await;
                SpendState::Paid
            }
            Outcome::Open | Outcome::Refused => SpendState::Open,
        };
        let details = Details::read(response.headers(), version, &note.claims);
        let certificate = match details.certificate {
            ShownCertificate::Given(certificate) => self.look_at(&spend, &note, certificate).await,
            shown => shown,
        };
        let is_believed = certificate != ShownCertificate::NotCredible;
        let rail = Rail::Credit(Box::new(CreditPayment {
            version,
            payer: note.claims.payer,
            asset: self.assets.find(spend.amount.asset()).cloned(),
            tab: note.claims.tab_id,
            number: note.claims.req_id,
            receipt,
            certificate,
            total: details.total.filter(|_| is_believed),
        }));
        let payment = Payment::of(spend, tabbed.resumed, state, rail);
        tracing::debug!(payment = %payment.id, state = state.as_str(), "claims shown");
        Paid {
            answer: response,
            payment: Some(payment),
        }
    }

    /// Writes a refusal down, unless it may be that of a copy, and the claims before were taken.
    async fn no_credit(&self, no: No, again: bool, spend: Spend, tabbed: Tabbed<'_>) -> PayError {
        let other_terms = self.asks_for_other(&no, &spend);
        let code = refusal_code(&no, other_terms);
        let expired = tabbed.flight.is_expired(self.now());
        let says = match again || expired {
            true => self.core_says(&spend, &tabbed.note.claims).await,
            false => CoreSays::Nothing,
        };
        let taken = || SpendEnd::Paid {
            transaction: Some(tabbed.note.reference()),
        };
        let mut no = no;
        let end = match says {
            CoreSays::Issued => {
                // What is refused is a copy. Whoever asks hears that it was taken, so that nothing is signed besides.
                no.code = Some(Code::PaymentAlreadyUsed);
                taken()
            }
            _ if again && hear::is_spent(no.code) => taken(),
            // Of cores that do not know copies the claims before may have the number.
            CoreSays::Nothing if again && !expired && is_about_tab(code) => {
                return undecided(&spend, Doubt::Server(code), None);
            }
            CoreSays::Nothing | CoreSays::NotIssued | CoreSays::Never => SpendEnd::Refused { code },
        };
        tabbed.flight.decided();
        self.close_refused(no, spend, end, other_terms).await
    }

    /// Whether a refusal asks for another payment, on other terms.
    fn asks_for_other(&self, no: &No, spend: &Spend) -> bool {
        let offers = no.offers.iter().chain(&no.beside);
        let mut is_asked = false;
        for offers in offers {
            is_asked = true;
            let same = offers.credits.iter().any(|entry| {
                let asked = entry.asked.as_ref().ok();
                asked.is_some_and(|asked| {
                    asked.demand.amount == spend.amount.value()
                        && *asked.demand.recipient.to_string() == *spend.payee
                })
            });
            if same {
                return false;
            }
        }
        is_asked
    }
}

/// What is sent to a tab endpoint.
fn question(offers: &Offers, entry: &Entry, payer: Address) -> String {
    let resource = offers.resource.as_deref();
    let resource = resource.and_then(|raw| serde_json::from_str(raw.get()).ok());
    TabRequest::for_offer(offers.version, payer, &entry.raw, resource.as_ref())
}

fn taken() -> Refusal {
    let refusal = Refusal::new(Code::CreditReqIdTaken);
    refusal.detail("another payment of this wallet has the number that the tab endpoint gives out")
}
