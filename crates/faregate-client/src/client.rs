//! The client: ask, choose, sign, write down, pay, read the receipt.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use alloy_primitives::{Address, B256};
use faregate_evm::{Entropy, random_nonce};
use faregate_ledger::{Spend, SpendEnd, SpendState};
use faregate_types::{AssetRegistry, Code, Refusal, Timestamp};
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, TRANSFER_ENCODING,
};
use reqwest::{IntoUrl, Method, Request, Response};

use crate::budget::Books;
use crate::builder::ClientBuilder;
use crate::error::{Doubt, HttpFault, PayError, Refused, RequestFault, Undecided};
use crate::limits::OFFER_BODY_BYTES_MAX;
use crate::offer::{self, Offers};
use crate::origin::{self, Origins};
use crate::payment::{Paid, Payment};
use crate::quote::{Priced, Quote};
use crate::rail::x402::{self, Credential};
use crate::receipt::{Expected, Outcome, Receipt};
use crate::request::RequestBuilder;
use crate::resume::{self, Flight, OpenSpends, Resume};
use crate::select::{self, Chains, Considered, Price, Rules};
use crate::transport;
use crate::wallet::Wallet;

/// An HTTP client that pays, within caps. Cloning is cheap, and clones share everything.
///
/// What it does with a request:
///
/// 1. It sends the request without payment and follows redirects on the same origin. An answer other than 402 (or 412 with
///    offers) is the caller's.
/// 2. It takes the first offer that satisfies every rule: scheme, network, asset and EIP-712 domain from our own tables,
///    payee, validity, cap per payment.
/// 3. It signs, and writes the payment into the wallet's books if the other caps allow it. Only then the signature leaves the
///    process. If an identical request left a payment open, that one is sent instead of a new one.
/// 4. It sends the request once more, with the payment, to the same URL. When the connection is lost, it sends the same bytes
///    a second time if the method allows that.
/// 5. A second 402 is an error with the server's reason. There is no loop.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    pub(crate) wallet: Wallet,
    pub(crate) books: Books,
    pub(crate) open: OpenSpends,
    pub(crate) resume: Resume,
    pub(crate) assets: AssetRegistry,
    pub(crate) chains: Chains,
    pub(crate) origins: Origins,
    pub(crate) redirects_max: u8,
    pub(crate) validity_secs_max: u64,
    pub(crate) clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    pub(crate) entropy: Mutex<Box<dyn Entropy>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("wallet", &self.inner.wallet)
            .field("caps", &self.inner.books.caps)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client in the making. Wallet, caps and store have to be named.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    pub(crate) fn from_inner(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The address that pays.
    #[must_use]
    pub fn payer(&self) -> Address {
        self.inner.wallet.address()
    }

    /// A GET request.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// A POST request.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// A request of any method.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        RequestBuilder::new(self.clone(), self.inner.http.request(method, url))
    }

    /// Sends a request, and pays for it if the server asks for that and every rule allows it.
    ///
    /// # Errors
    /// [`PayError`]. After [`PayError::Undecided`] send the same request again: it will use the same payment.
    pub async fn execute(&self, request: Request) -> Result<Paid<Response>, PayError> {
        let inner = &self.inner;
        let (request, response) = inner.ask(request).await?;
        if !offer::asks_for_payment(response.status(), response.headers()) {
            return Ok(Paid {
                answer: response,
                payment: None,
            });
        }
        let offers = read_offers(response).await?;
        let ready = inner.prepare(&request, &offers).await?;
        inner.pay(request, ready).await
    }

    /// What [`execute`](Self::execute) would pay, to whom, and why not another offer. Signs nothing, changes nothing.
    ///
    /// # Errors
    /// [`PayError`] when the server cannot be asked or its answer cannot be read; what the caps and rules say is part of
    /// the quote.
    pub async fn quote(&self, request: Request) -> Result<Quote, PayError> {
        let inner = &self.inner;
        let (request, response) = inner.ask(request).await?;
        let status = response.status();
        if !offer::asks_for_payment(status, response.headers()) {
            return Ok(Quote::Free {
                status: status.as_u16(),
            });
        }
        let offers = read_offers(response).await?;
        let considered = inner.consider(&offers);
        let verdict = inner.would_pay(&request, &considered).await;
        Ok(Quote::Priced(Box::new(Priced {
            version: offers.version,
            url: request.url().clone(),
            description: offers.description,
            error: offers.error,
            options: considered,
            verdict,
        })))
    }
}

/// A payment that is in the books and may be sent.
struct Ready<'a> {
    flight: Flight<'a>,
    credential: Credential,
    price: Price,
    resumed: bool,
}

impl Inner {
    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn consider(&self, offers: &Offers) -> Vec<Considered> {
        let rules = Rules {
            assets: &self.assets,
            chains: &self.chains,
            per_payment: self.books.caps.per_payment,
            validity_secs_max: self.validity_secs_max,
        };
        select::consider(offers, &rules)
    }

    /// Sends the request without payment. Gives it back as it was sent last, after redirects.
    async fn ask(&self, mut request: Request) -> Result<(Request, Response), PayError> {
        origin::name(request.url())?;
        for hops in 0..=self.redirects_max {
            let copy = replay(&request)?;
            let response = transport::send(&self.http, copy)
                .await
                .map_err(PayError::Http)?;
            let followed = hops < self.redirects_max && follow(&mut request, &response);
            if !followed {
                return Ok((request, response));
            }
        }
        // The last round always returns.
        Err(PayError::Request(RequestFault::Malformed))
    }

    /// Chooses, signs and writes down; or finds the payment that an identical request left open.
    async fn prepare(&self, request: &Request, offers: &Offers) -> Result<Ready<'_>, PayError> {
        let origin = self.origins.payable(request.url())?;
        let resource = resume::resource(request);
        let now = self.now();
        let store = &*self.books.store;
        self.open.load(store, self.resume, now).await?;
        let considered = self.consider(offers);
        if let Some(ready) = self.resumed(&origin, &resource, now, offers, &considered) {
            return Ok(ready);
        }
        let Some((index, price)) = select::first(&considered) else {
            return Err(PayError::NoUsableOffer(considered));
        };
        let entry = offers.entries.get(index).ok_or_else(internal)?;
        self.books
            .check_payee(&origin, request.url().path(), price)
            .await?;
        let signer = self.wallet.signer();
        let signed = x402::sign(offers, entry, price, signer, self.nonce()?, now)?;
        let spend = Spend {
            id: signed.id,
            origin,
            resource,
            path: request.url().path().into(),
            payee: price.payee.to_string().into(),
            amount: price.amount,
            worth: price.worth,
            at: now,
            valid_until: signed.valid_until,
            credential: signed.credential.to_bytes(),
            request: vec![],
        };
        self.books.reserve(&spend).await?;
        Ok(Ready {
            flight: self.open.flight(spend),
            credential: signed.credential,
            price: price.clone(),
            resumed: false,
        })
    }

    /// The payment of an identical request whose end is not known, if the server still asks for the same.
    fn resumed(
        &self,
        origin: &str,
        resource: &str,
        now: Timestamp,
        offers: &Offers,
        considered: &[Considered],
    ) -> Option<Ready<'_>> {
        let price_of = |spend: &Spend| {
            let credential = Credential::from_bytes(&spend.credential)?;
            let price = considered
                .iter()
                .filter_map(|offer| offer.verdict.as_ref().ok())
                .find(|price| {
                    price.amount == spend.amount && *price.payee.to_string() == *spend.payee
                })?;
            (credential.version() == offers.version).then(|| (credential, price.clone()))
        };
        let flight = self
            .open
            .take(origin, resource, now, |spend| price_of(spend).is_some())?;
        let (credential, price) = price_of(flight.spend()?)?;
        Some(Ready {
            flight,
            credential,
            price,
            resumed: true,
        })
    }

    /// What [`prepare`](Self::prepare) would choose or refuse, without signing.
    async fn would_pay(
        &self,
        request: &Request,
        considered: &[Considered],
    ) -> Result<usize, PayError> {
        let origin = self.origins.payable(request.url())?;
        let Some((index, price)) = select::first(considered) else {
            return Err(PayError::NoUsableOffer(considered.to_vec()));
        };
        self.books
            .check_payee(&origin, request.url().path(), price)
            .await?;
        self.books
            .check_caps(&origin, price.worth, self.now())
            .await?;
        Ok(index)
    }

    fn nonce(&self) -> Result<B256, PayError> {
        let mut entropy = self.entropy.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(random_nonce(entropy.as_mut())?)
    }

    /// Sends the request with the payment and finds out what became of it.
    async fn pay(
        &self,
        mut request: Request,
        ready: Ready<'_>,
    ) -> Result<Paid<Response>, PayError> {
        let spend = ready.flight.spend().ok_or_else(internal)?.clone();
        let (name, value) = ready.credential.header().ok_or_else(internal)?;
        request.headers_mut().insert(name, value);
        let response = match self.send_paid(&request).await {
            Ok(response) => response,
            // Nothing left the process, now or before; the payment stays open for the next attempt.
            Err(HttpFault::NoConnection) if !ready.resumed => {
                return Err(PayError::Http(HttpFault::NoConnection));
            }
            Err(fault) => return Err(undecided(&spend, Doubt::Http(fault), None)),
        };
        let version = ready.credential.version();
        let payer = self.wallet.address();
        let expected = Expected {
            version,
            payer,
            amount: spend.amount,
        };
        let receipt = Receipt::read(response.headers(), &expected);
        let state = match receipt.outcome(response.status()) {
            Outcome::Paid(transaction) => {
                ready.flight.decided();
                let end = SpendEnd::Paid { transaction };
                self.books.finish(spend.id, end, self.now()).await;
                SpendState::Paid
            }
            Outcome::Open => SpendState::Open,
            Outcome::Refused => {
                return Err(self.refused(response, receipt, &spend, ready.flight).await);
            }
        };
        let payment = Payment {
            id: spend.id,
            version,
            payer,
            payee: ready.price.payee,
            amount: spend.amount,
            asset: ready.price.asset,
            worth: spend.worth,
            valid_until: spend.valid_until,
            resumed: ready.resumed,
            receipt,
            state,
        };
        tracing::debug!(payment = %payment.id, state = state.as_str(), "payment sent");
        Ok(Paid {
            answer: response,
            payment: Some(payment),
        })
    }

    /// Sends the paid request; the same bytes a second time if the first try was lost and the method allows it.
    async fn send_paid(&self, request: &Request) -> Result<Response, HttpFault> {
        let send = || async {
            let copy = request.try_clone().ok_or(HttpFault::Lost)?;
            transport::send(&self.http, copy).await
        };
        let first = match send().await {
            Ok(response) => return Ok(response),
            Err(fault) => fault,
        };
        let unsent = first == HttpFault::NoConnection;
        if !unsent && !request.method().is_idempotent() {
            return Err(first);
        }
        // Once something may have arrived, a second try that does not is no proof of anything.
        send()
            .await
            .map_err(|second| if unsent { second } else { first })
    }

    /// Reads why the payment was refused, and writes it down, unless the server only does not know yet.
    async fn refused(
        &self,
        response: Response,
        receipt: Receipt,
        spend: &Spend,
        flight: Flight<'_>,
    ) -> PayError {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = transport::read(response, OFFER_BODY_BYTES_MAX).await;
        let body = body.ok().flatten().unwrap_or_default();
        let (mut code, mut reason, mut transaction) = (None, None, None);
        if let Receipt::Failed(failed) = &receipt {
            (code, reason) = (failed.code, failed.reason.clone());
            transaction = failed.transaction.clone();
        }
        let reason = reason.or_else(|| offer::refusal_text(&headers, &body));
        let code = code.or_else(|| reason.as_deref().and_then(Code::from_str));
        if is_pending(code, transaction.is_some()) {
            let doubt = Doubt::Server(code.unwrap_or(Code::SettlementPending));
            return undecided(spend, doubt, transaction);
        }
        flight.decided();
        let code = code.unwrap_or(Code::PaymentRefused);
        let end = match receipt.transaction() {
            Some(transaction) => SpendEnd::Paid {
                transaction: Some(transaction.into()),
            },
            None => SpendEnd::Refused { code },
        };
        self.books.finish(spend.id, end, self.now()).await;
        PayError::Refused(Box::new(Refused {
            id: spend.id,
            status,
            code,
            reason,
            receipt,
        }))
    }
}

/// Whether a refusal only says that the end is not known yet. A transaction that was sent counts as such, unless the server
/// says that it failed.
const fn is_pending(code: Option<Code>, sent: bool) -> bool {
    match code {
        Some(Code::SettlementPending | Code::PaymentUnknown | Code::PaymentInFlight) => true,
        Some(
            Code::TransactionFailed
            | Code::InvalidTransactionState
            | Code::InvalidExactEvmTransferEventMismatch,
        ) => false,
        Some(_) | None => sent,
    }
}

fn undecided(spend: &Spend, why: Doubt, transaction: Option<Box<str>>) -> PayError {
    PayError::Undecided(Box::new(Undecided {
        id: spend.id,
        valid_until: spend.valid_until,
        why,
        transaction,
    }))
}

/// A copy of the request. Bodies that are streams have none.
fn replay(request: &Request) -> Result<Request, PayError> {
    let copy = request.try_clone();
    copy.ok_or(PayError::Request(RequestFault::BodyNotReplayable))
}

/// Turns the request into the next one after a redirect; `false` when there is none or it leaves the origin.
fn follow(request: &mut Request, response: &Response) -> bool {
    let location = response.headers().get(LOCATION);
    let Some(location) = location.and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let hop = origin::hop(response.status(), location, request.url(), request.method());
    let Some(hop) = hop else {
        return false;
    };
    *request.url_mut() = hop.url;
    if hop.becomes_get {
        *request.method_mut() = Method::GET;
        *request.body_mut() = None;
        for name in [
            CONTENT_TYPE,
            CONTENT_LENGTH,
            CONTENT_ENCODING,
            TRANSFER_ENCODING,
        ] {
            request.headers_mut().remove(name);
        }
    }
    true
}

async fn read_offers(response: Response) -> Result<Offers, PayError> {
    if offer::in_headers(response.headers()) {
        return offer::from_headers(response.headers()).map_err(PayError::Offer);
    }
    let body = transport::read(response, OFFER_BODY_BYTES_MAX)
        .await
        .map_err(PayError::Http)?;
    let body = body.ok_or_else(|| {
        let detail = format!("expected a 402 answer of at most {OFFER_BODY_BYTES_MAX} bytes");
        PayError::Offer(Refusal::new(Code::BodyTooLarge).detail(detail))
    })?;
    offer::from_body(&body).map_err(PayError::Offer)
}

fn internal() -> PayError {
    PayError::Offer(Refusal::new(Code::Internal))
}
