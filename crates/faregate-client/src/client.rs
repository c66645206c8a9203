//! The client: ask, choose, sign, write down, pay, read the receipt.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy_primitives::{Address, B256};
use faregate_core::crash::{self, Point};
use faregate_evm::{Entropy, random_nonce};
use faregate_ledger::{SpendEnd, SpendState, Unit};
use faregate_types::permit::Demand;
use faregate_types::{AssetRegistry, ChainId, Code, Erc20, Refusal, Timestamp};
use reqwest::{IntoUrl, Method, Request, Response};
use url::Url;

use crate::alarm::Bell;
use crate::ask::{Demands, Look, ShowTokens, replay};
use crate::budget::Books;
use crate::builder::ClientBuilder;
use crate::choose::Order;
use crate::credit_pay;
use crate::deliver::Patience;
use crate::error::PayError;
use crate::events::Events;
use crate::hear;
use crate::lightning::LightningWallet;
use crate::limits::{CREDIT_REFRESHES, STALE_MAX};
use crate::node::Node;
use crate::offer::{self, Offers};
use crate::on_credit::OnCredit;
use crate::origin::Origins;
use crate::payment::{Ends, Paid, Payment};
use crate::prepare::Prepared;
use crate::quote::{Priced, Quote};
use crate::rail::credit::{self, Standpoint};
use crate::rail::permit;
use crate::rail::permit::{Habits, Judgement};
use crate::report::SpendingReport;
use crate::request::RequestBuilder;
use crate::resume::{Flight, OpenSpends, Resume};
use crate::select::{self, Chains, Considered, Rules};
use crate::tokens::Tokens;
use crate::wallet::Wallet;

/// An HTTP client that pays, within caps. Cloning is cheap, and clones share everything.
///
/// What it does with a request:
///
/// 1. It sends the request without payment and follows redirects on the same origin. An answer other than 402 (or 412 with
///    offers) is the caller's.
/// 2. It takes the first offer that satisfies every rule: scheme, network, asset and EIP-712 domain from our own tables,
///    payee, validity, cap per payment.
/// 3. It compares payee and price with what this place asked for before.
/// 4. It signs, and writes the payment into the wallet's books if the other caps allow it and the terms are still those that
///    all processes know. Only then the signature leaves the process. If an identical request left a payment open, that one is sent instead of a new one.
/// 5. It sends the request once more, with the payment, to the same URL. When the connection is lost and the method allows
///    it, or when the server says that the end is not known yet, it sends the same bytes again, within bounds.
/// 6. A second 402 is an error with the server's reason. Nothing else is signed for it, but for a payment on credit whose number
///    or tab cannot be used: nothing was charged then, and other claims are signed, a bounded number of times.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    pub(crate) wallet: Option<Wallet>,
    pub(crate) lightning: Option<LightningWallet>,
    pub(crate) order: Order,
    pub(crate) habits: Habits,
    /// How it is paid on credit, if it is.
    pub(crate) credit: Option<OnCredit>,
    /// Which assets are paid with, if it can be chosen.
    pub(crate) assets_first: Vec<Erc20>,
    pub(crate) nodes: BTreeMap<ChainId, Node>,
    pub(crate) tokens: Tokens,
    pub(crate) books: Books,
    pub(crate) open: OpenSpends,
    pub(crate) resume: Resume,
    pub(crate) assets: AssetRegistry,
    pub(crate) chains: Chains,
    pub(crate) origins: Origins,
    pub(crate) redirects_max: u8,
    pub(crate) validity_secs_max: u64,
    pub(crate) patience: Patience,
    /// Of each exchange.
    pub(crate) timeout: Duration,
    pub(crate) bell: Bell,
    pub(crate) ends: Ends,
    pub(crate) clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    pub(crate) entropy: Mutex<Box<dyn Entropy>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("wallet", &self.inner.wallet)
            .field("lightning", &self.inner.lightning)
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

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The address that pays over x402, if there is a key.
    #[must_use]
    pub fn payer(&self) -> Option<Address> {
        self.inner.wallet.as_ref().map(Wallet::address)
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
        let (request, response) = inner.ask(request, ShowTokens::Yes).await?;
        if !offer::asks_for_payment(response.status(), response.headers()) {
            return Ok(Paid {
                answer: response,
                payment: None,
            });
        }
        let demands = inner.demands(response, request.url(), Look::AsFarAsNeeded);
        let demands = demands.await?;
        inner.buy(&request, &demands).await
    }

    /// Says that the answer to a payment is safe, and closes it in the books; see [`Ends::WhenAcknowledged`]. Does nothing for
    /// a payment that the server did not serve. If the books fail it stays open, which is safe.
    pub async fn acknowledge(&self, payment: &Payment) {
        if payment.state != SpendState::Paid {
            return;
        }
        let inner = &self.inner;
        let transaction = payment.transaction();
        let end = SpendEnd::Paid { transaction };
        inner.books.finish(payment.id, end, inner.now()).await;
        if let Some(flight) = inner.open.take_by_id(payment.id) {
            flight.decided();
        }
        if let Some(token) = inner.tokens.settled(payment.id) {
            inner.keep_token(token).await;
        }
        crash::point(Point::Recorded);
    }

    /// What happens to the money from now on: payments that count, caps that refuse, ends. Who takes the events too slowly misses
    /// some, and holds nobody up.
    #[must_use]
    pub fn events(&self) -> Events {
        self.inner.books.events.events()
    }

    /// What was spent by everybody who shares the books, on all rails, and what the caps of this client still allow. With the
    /// newest payments, at most `limit`.
    ///
    /// # Errors
    /// [`PayError::Store`].
    pub async fn spending_report(&self, limit: u32) -> Result<SpendingReport, PayError> {
        let inner = &self.inner;
        let dollars = inner
            .wallet
            .as_ref()
            .map(|_| (Unit::Dollar, inner.books.caps));
        let sats = inner.lightning.as_ref();
        let sats = sats.map(|wallet| (Unit::Msat(wallet.network()), wallet.caps));
        let budgets: Vec<_> = dollars.into_iter().chain(sats).collect();
        let store = &*inner.books.store;
        Ok(SpendingReport::of(store, &budgets, inner.now(), limit).await?)
    }

    /// Waits until the end of every payment that was answered is in the books. Whoever drops the client and its store before
    /// the process ends needs this not: dropping the store does the same, without being async.
    ///
    /// # Errors
    /// [`PayError::Store`]: payments that were not written are open, and would be sent again.
    pub async fn flush(&self) -> Result<(), PayError> {
        Ok(self.inner.books.store.flush().await?)
    }

    /// What [`execute`](Self::execute) would pay, to whom, and why not another offer. Signs nothing, changes nothing, and shows no
    /// token that was bought before, because showing it uses it.
    ///
    /// # Errors
    /// [`PayError`] when the server cannot be asked or its answer cannot be read; what the caps and rules say is part of
    /// the quote.
    pub async fn quote(&self, request: Request) -> Result<Quote, PayError> {
        let inner = &self.inner;
        let (request, response) = inner.ask(request, ShowTokens::No).await?;
        let status = response.status();
        if !offer::asks_for_payment(status, response.headers()) {
            return Ok(Quote::Free {
                status: status.as_u16(),
            });
        }
        let demands = inner.demands(response, request.url(), Look::Everything);
        let demands = demands.await?;
        let judged = inner.judge(&request, &demands);
        let verdict = inner.would_pay(&request, &judged, &demands).await;
        let offers = demands.offers.as_ref();
        Ok(Quote::Priced(Box::new(Priced {
            version: offers.map(|offers| offers.version),
            url: request.url().clone(),
            description: offers.and_then(|offers| offers.description.clone()),
            error: offers.and_then(|offers| offers.error.clone()),
            options: judged.considered,
            permits: judged
                .permits
                .into_iter()
                .map(|offer| offer.considered)
                .collect(),
            credits: judged
                .credits
                .into_iter()
                .map(|offer| offer.considered)
                .collect(),
            invoice: judged
                .invoice
                .map(|invoice| invoice.map(|(_, price)| price)),
            verdict,
        })))
    }
}

impl Inner {
    pub(crate) fn consider(&self, offers: &Offers) -> Vec<Considered> {
        select::consider(offers, &self.rules())
    }

    pub(crate) fn has_usable(&self, offers: &Offers) -> bool {
        select::has_usable(offers, &self.rules())
    }

    pub(crate) fn consider_permits(&self, demand: &Demand) -> Vec<Judgement> {
        permit::consider(demand, &self.rules(), &self.habits, |chain| {
            self.nodes.contains_key(&chain)
        })
    }

    /// Judges everything that is offered on credit.
    pub(crate) fn consider_credits(&self, url: &Url, demands: &Demands) -> Vec<credit::Judgement> {
        let judge =
            |offers, beside| credit::consider(offers, beside, &self.rules(), &self.standpoint(url));
        let offers = demands
            .offers
            .iter()
            .flat_map(|offers| judge(offers, false));
        let beside = demands.beside.iter().flat_map(|offers| judge(offers, true));
        offers.chain(beside).collect()
    }

    pub(crate) fn has_usable_credit(&self, url: &Url, offers: &Offers) -> bool {
        let judged = credit::consider(offers, false, &self.rules(), &self.standpoint(url));
        judged.iter().any(|offer| offer.considered.verdict.is_ok())
    }

    const fn standpoint<'a>(&'a self, url: &'a Url) -> Standpoint<'a> {
        Standpoint {
            habits: self.credit.as_ref(),
            origins: &self.origins,
            url,
        }
    }

    const fn rules(&self) -> Rules<'_> {
        Rules {
            assets: &self.assets,
            chains: &self.chains,
            per_payment: self.books.caps.per_payment,
            validity_secs_max: self.validity_secs_max,
        }
    }

    /// Pays one of the things that are asked for, and again where it is certain that the payment before did nothing.
    async fn buy(&self, request: &Request, demands: &Demands) -> Result<Paid<Response>, PayError> {
        let (mut stale, mut refreshes) = (STALE_MAX, CREDIT_REFRESHES);
        let mut aside: Option<Flight<'_>> = None;
        loop {
            let prepared = self.prepare(request, demands, aside.as_ref());
            let (expired, paid) = match prepared.await? {
                Prepared::Answered(answer) => {
                    return Ok(Paid {
                        answer,
                        payment: None,
                    });
                }
                Prepared::X402(ready) => {
                    let expired = ready.flight.is_expired(self.now());
                    (expired, self.pay(replay(request)?, *ready).await)
                }
                Prepared::Permit(slip) => {
                    let expired = slip.flight.is_expired(self.now());
                    (expired, self.pay_permit(replay(request)?, *slip).await)
                }
                Prepared::Credit(tabbed) => {
                    let expired = tabbed.flight.is_expired(self.now());
                    match self.pay_on_credit(replay(request)?, *tabbed).await {
                        // Nothing was charged, because another payment was faster or the tab has ended.
                        Err(PayError::Refused(refused))
                            if refreshes > 0 && credit_pay::may_sign_anew(&refused) =>
                        {
                            refreshes = refreshes.saturating_sub(1);
                            continue;
                        }
                        paid => (expired, paid),
                    }
                }
                Prepared::L402(bill) => {
                    let resumed = bill.resumed;
                    match self.pay_invoice(replay(request)?, *bill).await {
                        // It is certain now that the earlier one was not paid: the way is free.
                        Err(PayError::NotPaid(_)) if resumed && stale > 0 => {
                            stale = stale.saturating_sub(1);
                            continue;
                        }
                        result => return result,
                    }
                }
            };
            match paid {
                // It can do nothing any more, and the server says that it did nothing: the way is free.
                Err(PayError::Refused(refused))
                    if expired && stale > 0 && !hear::is_spent(Some(refused.code)) =>
                {
                    stale = stale.saturating_sub(1);
                }
                // The payer says which kind it is to be, and knows that the other permit may be collected too.
                Err(PayError::Undecided(undecided))
                    if aside.is_none() && self.is_of_other_kind(&undecided) =>
                {
                    aside = self.open.take_by_id(undecided.id);
                    if aside.is_none() {
                        return Err(PayError::Undecided(undecided));
                    }
                }
                result => return result,
            }
        }
    }

    /// The address that pays; nobody's without a key.
    pub(crate) fn payer(&self) -> Address {
        self.wallet.as_ref().map_or(Address::ZERO, Wallet::address)
    }

    pub(crate) fn nonce(&self) -> Result<B256, PayError> {
        let mut entropy = self.entropy.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(random_nonce(entropy.as_mut())?)
    }
}

pub(crate) fn internal() -> PayError {
    PayError::Offer(Refusal::new(Code::Internal))
}
