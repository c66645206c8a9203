//! The token endpoint of the permit rail: a permit is posted, a token comes back (specs/permit.md §1.3, §1.4, §1.8).
//!
//! | request | answer |
//! |---|---|
//! | `POST` a permit that pays | 200, the token; the same permit gets the same token |
//! | a permit that does not pay, or a shape that is none | 400 `{"error": …}` in the product's words |
//! | another permit with a nonce that is taken; one whose token has expired, or was used and its money has moved | 400, the text for replays |
//! | a permit whose payment was revoked | 400 |
//! | ledger or chain away, or the settlement takes longer than clients wait | 503 `{"error": …}` with `Retry-After` |
//! | `GET …/receipts/<payment>` | what became of a payment |
//! | another method | 405 |

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use faregate_core::rail::permit::{Permits, Quotes};
use faregate_core::{Asked, Offer, Order, Outcome, Served, Till};
use faregate_ledger::{Answer, Payment, PaymentState};
use faregate_types::limits::TOKEN_REQUEST_BYTES_MAX;
use faregate_types::permit::{Permit, Refused, TokenError, TokenResponse, replayed, request};
use faregate_types::{Code, Fingerprint, PaymentId, RailName, Refusal};
use futures_util::FutureExt;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use serde_json::{Map, Value, json};
use tokio::time::{sleep, timeout};
use tracing::Instrument as _;

use crate::cors::Cors;
use crate::finish::Finish;
use crate::layer::Purchases;
use crate::limits::{TOKEN_BODY_WAIT, TOKEN_COPIES_SECS, TOKEN_WAIT};
use crate::metrics::{DeskMeter, Ended};
use crate::purchase::{BodyError, read_whole, settle_behind};
use crate::{peer, respond};

/// What follows the endpoint in the path of a receipt.
const RECEIPTS: &str = "/receipts/";

/// Sells tokens. Cheap to clone.
#[derive(Clone)]
pub struct TokenDesk(Arc<Inner>);

struct Inner {
    till: Till,
    permits: Arc<Permits>,
    quotes: Quotes,
    cors: Cors,
    purchases: Purchases,
    meter: DeskMeter,
}

impl fmt::Debug for TokenDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenDesk")
            .field("permits", &self.0.permits)
            .finish_non_exhaustive()
    }
}

/// What is asked for below the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place<'p> {
    Plain,
    Quote(&'p str),
    Receipt(&'p str),
}

impl TokenDesk {
    /// The endpoint of a rail of this till. `cors` and `purchases` are those of its paywalls.
    #[must_use]
    pub fn new(
        till: Till,
        permits: Arc<Permits>,
        quotes: Quotes,
        cors: Cors,
        purchases: Purchases,
    ) -> Self {
        Self(Arc::new(Inner {
            till,
            permits,
            quotes,
            cors,
            purchases,
            meter: DeskMeter::new(),
        }))
    }

    /// True when a request for this path is for this endpoint.
    #[must_use]
    pub fn is_at(&self, path: &str) -> bool {
        self.place(path).is_some()
    }

    fn place<'p>(&self, path: &'p str) -> Option<Place<'p>> {
        let rest = path.strip_prefix(self.0.permits.endpoint().as_str())?;
        if rest.is_empty() {
            return Some(Place::Plain);
        }
        if let Some(payment) = rest.strip_prefix(RECEIPTS) {
            return Some(Place::Receipt(payment));
        }
        let quote = rest.strip_prefix('/').filter(|rest| !rest.contains('/'))?;
        quote.starts_with("q_").then_some(Place::Quote(quote))
    }

    /// The answer to a request at this endpoint. A permit that was claimed is brought to its end even when nobody waits.
    pub async fn answer(&self, request: Request<Body>) -> Response {
        let (head, body) = request.into_parts();
        let inner = &self.0;
        let mut response = match self.place(head.uri.path()) {
            None => status(StatusCode::NOT_FOUND, &json!({ "detail": "Not Found" })),
            Some(_) if head.method == Method::OPTIONS => {
                return respond::preflight(&inner.cors, &head.headers);
            }
            Some(Place::Receipt(payment)) if matches!(head.method, Method::GET | Method::HEAD) => {
                inner.receipt(payment).await
            }
            Some(Place::Receipt(_)) => other_method("GET, HEAD"),
            Some(_) if head.method != Method::POST => other_method("POST"),
            Some(Place::Plain) => self.post(body, None, peer::asked(&head)).await,
            Some(Place::Quote(quote)) => self.post(body, Some(quote), peer::asked(&head)).await,
        };
        inner.cors.apply(&head.headers, response.headers_mut());
        response
    }

    async fn post(&self, body: Body, quote: Option<&str>, asked: Asked) -> Response {
        let inner = &self.0;
        let read = timeout(TOKEN_BODY_WAIT, read_whole(body, TOKEN_REQUEST_BYTES_MAX)).await;
        let permit = match read.unwrap_or(Err(BodyError::Late)) {
            Ok(body) => request::read(&body),
            Err(BodyError::TooLarge) => Err(request::too_long()),
            Err(BodyError::Broken | BodyError::Late) => {
                inner.meter.ended(Ended::Malformed);
                return refused("Invalid token request: the body broke off");
            }
        };
        let permit = match permit {
            Ok(permit) => permit,
            Err(error) => {
                inner.meter.ended(Ended::Malformed);
                return refused(&error.text());
            }
        };
        let offer = match quote {
            Some(quote) => inner.quotes.find(quote),
            None => inner.quotes.best(&permit),
        };
        let Some(offer) = offer.cloned() else {
            inner.meter.ended(Ended::Malformed);
            return refused(
                "Verification failed: this quote is not known here; ask for the resource again",
            );
        };
        inner.till.tell_token_asked(&offer, &permit);
        let has_quote = quote.is_some();
        let desk = Arc::clone(inner);
        let purchase = inner.purchases.enter();
        let task = async move {
            let answer = desk.sell(permit, &offer, has_quote, &asked).await;
            drop(purchase);
            answer
        };
        match timeout(TOKEN_WAIT, Finish::new(task.in_current_span())).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_panic)) => {
                tracing::error!("a token request ended in a panic; its permit can be sent again");
                inner.meter.ended(Ended::Panicked);
                away(Code::Internal)
            }
            Err(_elapsed) => away(Code::SettlementPending),
        }
    }
}

impl Inner {
    async fn sell(
        self: &Arc<Self>,
        permit: Permit,
        offer: &Offer,
        has_quote: bool,
        asked: &Asked,
    ) -> Response {
        let order = Order {
            offer,
            asked,
            fingerprint: Fingerprint::of(&[]),
            idempotency: None,
        };
        let credential = Permits::posted(permit, offer, has_quote);
        let serve = |paid: faregate_core::Paid| async move { Served::Well(paid.id) }.boxed();
        let outcome = self
            .till
            .run(order, credential, sleep(TOKEN_WAIT), serve)
            .await;
        self.meter.ended(Ended::of(&outcome));
        match outcome {
            Outcome::Sold { response, sale, .. } => match sale.keep(given()).await {
                // The money is in: the payer gets the token whatever the ledger says now.
                Ok(()) | Err(_) => self.issue(response).await,
            },
            Outcome::Owed { response, owed, .. } => match owed.serve(given()).await {
                Ok(settling) => {
                    // Made before the money moves, so that both do not wait for each other's turn at the ledger.
                    let answer = self.issue(response).await;
                    settle_behind(settling, &self.purchases);
                    answer
                }
                Err(error) => away(error.code),
            },
            Outcome::Replay(payment) if self.is_used_up(&payment) => {
                refused(&replayed(&permit).text())
            }
            Outcome::Replay(payment) if self.permits.is_revoked(&payment) => {
                refused(&format!("Verification failed: {}", TokenError::Revoked))
            }
            Outcome::Replay(payment) => self.token(&payment),
            Outcome::Unpaid { refusal, .. } | Outcome::Refused { refusal, .. } => no(&refusal),
            Outcome::Conflict => refused(&replayed(&permit).text()),
            Outcome::Pending { .. } | Outcome::InFlight => away(Code::SettlementPending),
            Outcome::Unavailable(error) => away(error.code),
            // Tokens are neither refused by their own service, nor named by payers, nor sold for tokens.
            Outcome::NotSold(_) | Outcome::KeyConflict | Outcome::Passed { .. } => {
                away(Code::Internal)
            }
        }
    }

    async fn issue(&self, id: PaymentId) -> Response {
        match self.till.payment(id).await {
            Ok(Some(payment)) => self.token(&payment),
            Ok(None) => away(Code::Internal),
            Err(error) => away(error.code),
        }
    }

    /// A payer whose token was used has it, and needs no other, and one that has expired helps nobody: what comes now is a
    /// replay, unless it was sent at once with the first.
    fn is_used_up(&self, payment: &Payment) -> bool {
        let token = self.permits.token(payment);
        if token.is_some_and(|token| self.permits.now() > token.until) {
            return true;
        }
        let fresh_until = payment.claim.at.checked_add_secs(TOKEN_COPIES_SECS);
        let is_old = fresh_until.is_some_and(|until| self.permits.now() > until);
        let is_settled = payment.state == PaymentState::Settled;
        is_settled && is_old && self.till.was_shown(payment.claim.id)
    }

    /// The token of a payment, with what is known of it now.
    fn token(&self, payment: &Payment) -> Response {
        let Some(token) = self.permits.token(payment) else {
            return away(Code::Internal);
        };
        let now = self.permits.now();
        let left = token.until.as_secs().saturating_sub(now.as_secs());
        let mut about = about(payment);
        let path = format!("{}{RECEIPTS}{}", self.permits.endpoint(), payment.claim.id);
        about.insert("status_url".to_owned(), Value::from(path));
        let response = TokenResponse::new(&token.text, Some(left), about);
        body(StatusCode::OK, response.to_json())
    }

    async fn receipt(&self, payment: &str) -> Response {
        let Ok(id) = payment.parse::<PaymentId>() else {
            return status(StatusCode::NOT_FOUND, &json!({ "detail": "Not Found" }));
        };
        match self.till.payment(id).await {
            Ok(Some(payment)) if payment.claim.rail == RailName::PERMIT => {
                status(StatusCode::OK, &Value::Object(about(&payment)))
            }
            Ok(_) => status(StatusCode::NOT_FOUND, &json!({ "detail": "Not Found" })),
            Err(error) => away(error.code),
        }
    }
}

/// What anybody may know of a payment: everything in it is on the chain too, but the state.
fn about(payment: &Payment) -> Map<String, Value> {
    let amount = payment.claim.transfer.amount;
    let mut about = Map::new();
    let mut put = |name: &str, value: Value| drop(about.insert(name.to_owned(), value));
    put("payment_id", payment.claim.id.to_string().into());
    put("state", payment.state.as_str().into());
    put("amount", amount.value().to_string().into());
    put("asset", amount.asset().to_string().into());
    if let Some(transaction) = &payment.transaction {
        put("tx_hash", (**transaction).into());
    }
    if let Some(code) = payment.failure {
        put("error", code.as_str().into());
    }
    put("is_final", payment.final_at.is_some().into());
    about
}

/// What the ledger keeps of an answer: the token follows from the payment.
const fn given() -> Answer {
    Answer {
        status: 200,
        headers: Vec::new(),
        body: None,
    }
}

/// A refusal in the product's words, or in its form.
fn no(refusal: &Refusal) -> Response {
    if refusal.code == Code::ChainUnavailable {
        return away(refusal.code);
    }
    match &refusal.words {
        Some(words) => refused(words),
        None => refused(&format!("Verification failed: {refusal}")),
    }
}

fn refused(text: &str) -> Response {
    status(StatusCode::BAD_REQUEST, &json!({ "error": text }))
}

/// Nobody can say now. The same permit may be sent again, and buys nothing twice.
fn away(code: Code) -> Response {
    let text = match code {
        Code::ChainUnavailable => Refused::chain_unavailable().text(),
        code => format!(
            "Verification failed: {}; send the same permit again",
            code.meaning()
        ),
    };
    let mut response = status(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": text }));
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn other_method(allowed: &'static str) -> Response {
    let about = json!({ "detail": "Method Not Allowed" });
    let mut response = status(StatusCode::METHOD_NOT_ALLOWED, &about);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn status(code: StatusCode, about: &Value) -> Response {
    body(code, about.to_string())
}

fn body(code: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = code;
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
