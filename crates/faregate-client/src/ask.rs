//! Sending a request without a payment, and reading what an answer asks for.

use faregate_types::permit::Demand;
use faregate_types::{Code, Refusal};
use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, TRANSFER_ENCODING,
};
use reqwest::{Method, Request, Response, StatusCode};
use url::Url;

use crate::choose::Prefer;
use crate::client::Inner;
use crate::error::{PayError, RequestFault};
use crate::limits::{OFFER_BODY_BYTES_MAX, TOKEN_TRIES};
use crate::offer::{self, Offers};
use crate::origin;
use crate::permit;
use crate::rail::l402;
use crate::tokens::{Place, Shown};
use crate::transport;

/// What an answer asks for, on every rail. At least one of them can be read.
pub(crate) struct Demands {
    pub(crate) offers: Option<Offers>,
    /// What the body has beside a header with offers. Only its offers on credit matter: those without a condition are of
    /// version 1, whatever else the header offers in version 2.
    pub(crate) beside: Option<Offers>,
    pub(crate) challenge: Option<Result<l402::Asked, Refusal>>,
    pub(crate) permit: Option<Result<Demand, Refusal>>,
}

/// How far an answer that asks for payment is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Until there is something that can be paid, in the order of the rails.
    AsFarAsNeeded,
    /// Everything that is asked for.
    Everything,
}

/// Whether a token that was bought before is shown. Showing it uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShowTokens {
    Yes,
    No,
}

impl Inner {
    /// Sends the request without a new payment. Gives it back as it was sent last, after redirects.
    pub(crate) async fn ask(
        &self,
        mut request: Request,
        tokens: ShowTokens,
    ) -> Result<(Request, Response), PayError> {
        origin::name(request.url())?;
        for hops in 0..=self.redirects_max {
            let response = self.ask_once(&request, tokens).await?;
            let followed = hops < self.redirects_max && follow(&mut request, &response);
            if !followed {
                return Ok((request, response));
            }
        }
        // The last round always returns.
        Err(PayError::Request(RequestFault::Malformed))
    }

    /// Sends the request once, with a token that was bought for such requests, if there is one. If the server does not take it,
    /// another one is looked for in the books; what the server says without one is then the answer.
    async fn ask_once(&self, request: &Request, tokens: ShowTokens) -> Result<Response, PayError> {
        let place = Place::of(request).filter(|_| tokens == ShowTokens::Yes);
        let Some(place) = place else {
            return self.send_once(replay(request)?).await;
        };
        let mut tries = TOKEN_TRIES;
        let mut token = self.tokens.find(&place, self.now());
        if token.is_none() && self.tokens.is_new(&place) {
            token = self.kept_token(&place).await;
            tries = tries.saturating_sub(1);
        }
        loop {
            let mut copy = replay(request)?;
            let is_of_l402 = token.as_ref().is_some_and(Shown::is_of_l402);
            let payment = token.take().map(|shown| {
                copy.headers_mut().insert(AUTHORIZATION, shown.header);
                shown.payment
            });
            let response = self.send_once(copy).await?;
            let status = response.status();
            let no_more = match (status, payment) {
                (StatusCode::UNAUTHORIZED, Some(payment)) if is_of_l402 => {
                    self.token_refused_at(&place, payment).await;
                    return self.send_once(replay(request)?).await;
                }
                (StatusCode::PAYMENT_REQUIRED, Some(payment)) => {
                    self.token_refused_at(&place, payment).await;
                    false
                }
                // Somebody else may have bought one meanwhile.
                (StatusCode::PAYMENT_REQUIRED, None) => {
                    self.lightning.is_none() || l402::in_headers(response.headers()).is_none()
                }
                (_, payment) => {
                    if let Some(payment) = payment.filter(|_| status.is_success()) {
                        self.token_used(payment).await;
                        self.close_shown(payment).await;
                    }
                    true
                }
            };
            if no_more || tries == 0 {
                return Ok(response);
            }
            tries = tries.saturating_sub(1);
            token = self.kept_token(&place).await;
            if token.is_none() {
                // It says itself what is to be paid now.
                return Ok(response);
            }
        }
    }

    /// Reads an answer that asks for payment. The body is left alone when the headers have what is paid.
    pub(crate) async fn demands(
        &self,
        response: Response,
        url: &Url,
        look: Look,
    ) -> Result<Demands, PayError> {
        let headers = response.headers();
        if offer::in_headers(headers) && l402::in_headers(headers).is_none() {
            let offers = offer::from_headers(headers).map_err(PayError::Offer)?;
            if look == Look::AsFarAsNeeded && self.needs_no_body(url, &offers) {
                return Ok(Demands {
                    offers: Some(offers),
                    beside: None,
                    challenge: None,
                    permit: None,
                });
            }
        }
        Demands::read(response).await
    }

    /// Whether the header has an offer that is taken whatever the body says.
    fn needs_no_body(&self, url: &Url, offers: &Offers) -> bool {
        if self.wallet.is_none() {
            return false;
        }
        let comes_first = |rail| {
            let before = |other| rail == other || self.order.has(rail, other);
            before(Prefer::Permit) && (self.credit.is_none() || before(Prefer::Credit))
        };
        comes_first(Prefer::X402) && self.has_usable(offers)
            || comes_first(Prefer::Credit) && self.has_usable_credit(url, offers)
    }

    async fn send_once(&self, request: Request) -> Result<Response, PayError> {
        let sent = transport::send(&self.http, request).await;
        sent.map_err(PayError::Http)
    }
}

impl Demands {
    /// Reads an answer that asks for payment.
    pub(crate) async fn read(response: Response) -> Result<Self, PayError> {
        let headers = response.headers().clone();
        let has_offers = offer::in_headers(&headers);
        let has_challenge = l402::in_headers(&headers).is_some();
        let body = match transport::read(response, OFFER_BODY_BYTES_MAX).await {
            Ok(Some(body)) => body,
            // What matters is in the headers.
            Ok(None) | Err(_) if has_challenge || has_offers => Vec::new(),
            Ok(None) => {
                let detail =
                    format!("expected a 402 answer of at most {OFFER_BODY_BYTES_MAX} bytes");
                let refusal = Refusal::new(Code::BodyTooLarge).detail(detail);
                return Err(PayError::Offer(refusal));
            }
            Err(fault) => return Err(PayError::Http(fault)),
        };
        let challenge = l402::read(&headers, &body);
        let permit = permit::demand(&body);
        let read = if has_offers {
            offer::from_headers(&headers)
        } else {
            offer::from_body(&body)
        };
        let offers = match read {
            Err(refusal) if challenge.is_none() && permit.is_none() => {
                return Err(PayError::Offer(refusal));
            }
            read => read.ok(),
        };
        let beside = has_offers.then(|| offer::from_body(&body).ok()).flatten();
        Ok(Self {
            offers,
            beside,
            challenge,
            permit,
        })
    }
}

/// A copy of the request. Bodies that are streams have none.
pub(crate) fn replay(request: &Request) -> Result<Request, PayError> {
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
