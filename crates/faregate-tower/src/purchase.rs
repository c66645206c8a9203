//! One request with a credential, from its body to its answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use faregate_core::rail::Headers;
use faregate_core::{
    Credential, Order, Outcome, Owed, Paid as CorePaid, Sale, Served, SettleOutcome, Settling, Till,
};
use faregate_types::{Code, Fingerprint, IdempotencyKey, Problem};
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::{sleep, timeout};
use tower::{BoxError, Service};
use tracing::Instrument;

use crate::extract::Paid;
use crate::finish::Finish;
use crate::keep;
use crate::key;
use crate::layer::{Purchases, Settings};
use crate::metrics::{self, Ended, Meter};
use crate::peer;
use crate::price::Priced;
use crate::respond;

/// A request with a credential, and everything that is needed to answer it.
pub(crate) struct Purchase<S> {
    /// The service that said it is ready.
    pub(crate) inner: S,
    pub(crate) till: Till,
    pub(crate) settings: Arc<Settings>,
    pub(crate) priced: Arc<Priced>,
    pub(crate) credential: Credential,
}

/// What the service gave.
enum Answered<E> {
    /// All of it.
    Whole(http::response::Parts, Bytes),
    /// A head, and a body that is still coming.
    Coming(Response),
    /// Nothing at all.
    Error(E),
}

/// Why a body could not be read whole.
pub(crate) enum BodyError {
    TooLarge,
    Broken,
    Late,
}

impl<S, R> Purchase<S>
where
    S: Service<Request<Body>, Response = http::Response<R>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    /// Reads the body, then claims, settles and serves to the end: a payer who hangs up cannot stop between two of these.
    pub(crate) async fn run(self, head: Parts, body: Body) -> Result<Response, S::Error> {
        let settings = Arc::clone(&self.settings);
        let meter = Arc::clone(&self.priced.meter);
        let malformed = |about: &Problem| {
            meter.ended(Ended::Malformed);
            Ok(problem(about, &settings, &head.headers))
        };
        let key = match key::of(
            &self.till,
            self.priced.offer(),
            &self.credential,
            &head.headers,
        ) {
            Ok(key) => key,
            Err(about) => return malformed(&about),
        };
        let reading = read_whole(body, settings.request_body_bytes_max);
        let body = match timeout(settings.serve_timeout, reading)
            .await
            .unwrap_or(Err(BodyError::Late))
        {
            Ok(body) => body,
            Err(BodyError::Late) => {
                return malformed(&Problem::new(Code::RequestTimeout));
            }
            Err(BodyError::TooLarge) => {
                return malformed(&Problem::new(Code::BodyTooLarge));
            }
            Err(BodyError::Broken) => {
                let about = Problem::new(Code::BadRequest)
                    .detail("the body broke off; nothing was charged");
                return malformed(&about);
            }
        };
        let asked = settings.cors.asked(&head.headers);
        let purchase = settings.purchases.enter();
        let task = async move {
            let in_progress = self.priced.meter.purchase();
            let answer = self.sell(head, body, key).await;
            drop((purchase, in_progress));
            answer
        };
        match Finish::new(task.in_current_span()).await {
            Ok(answer) => answer,
            Err(_panic) => {
                meter.ended(Ended::Panicked);
                tracing::error!("a purchase ended in a panic; its credential can be sent again");
                Ok(problem(&Problem::new(Code::Internal), &settings, &asked))
            }
        }
    }

    async fn sell(
        self,
        head: Parts,
        body: Bytes,
        key: Option<IdempotencyKey>,
    ) -> Result<Response, S::Error> {
        let started = Instant::now();
        let Self {
            inner,
            till,
            settings,
            priced,
            credential,
        } = self;
        let asked = settings.cors.asked(&head.headers);
        let fingerprint = fingerprint(priced.offer().route(), &head, &body);
        let who = peer::asked(&head);
        let meter = Arc::clone(&priced.meter);
        let serving = (Arc::clone(&settings), Arc::clone(&meter));
        let serve = move |paid: CorePaid| {
            serve(
                inner,
                Request::from_parts(head, Body::from(body)),
                paid,
                serving,
            )
            .boxed()
        };
        let outcome = till
            .run(
                Order {
                    offer: priced.offer(),
                    asked: &who,
                    fingerprint,
                    idempotency: key,
                },
                credential,
                sleep(settings.copy_wait),
                serve,
            )
            .await;
        meter.ended(Ended::of(&outcome));
        meter.purchase_took(started);
        answer(outcome, &meter, &settings, &asked).await
    }
}

/// What becomes of an outcome.
async fn answer<E>(
    outcome: Outcome<Answered<E>>,
    meter: &Arc<Meter>,
    settings: &Settings,
    asked: &HeaderMap,
) -> Result<Response, E> {
    let cors = &settings.cors;
    Ok(match outcome {
        Outcome::Unpaid { challenge, .. } => {
            respond::Prepared::new(&challenge, cors).response(asked)
        }
        Outcome::Refused {
            challenge, receipt, ..
        } => respond::refused(&challenge, receipt, cors, asked),
        Outcome::Sold {
            response,
            receipt,
            sale,
        } => return sold(response, receipt, sale, meter, settings, asked).await,
        Outcome::Owed {
            response,
            receipt,
            owed,
        } => lent(response, receipt, owed, meter, settings, asked).await,
        Outcome::NotSold(answer) => return not_sold(answer, settings, asked),
        Outcome::Pending { unknown, receipt } => respond::pending(&unknown, receipt, cors, asked),
        Outcome::Replay(payment) => match payment.answer {
            Some(answer) => respond::replay(answer, cors, asked),
            None => respond::in_flight(cors, asked),
        },
        Outcome::InFlight => respond::in_flight(cors, asked),
        Outcome::Conflict => respond::conflict(cors, asked),
        Outcome::KeyConflict => respond::key_conflict(cors, asked),
        Outcome::Passed { response, receipt } => {
            return passed(response, receipt, meter, settings, asked);
        }
        Outcome::Unavailable(away) => respond::away(away, cors, asked),
    })
}

/// What makes two requests the same purchase: route, method, path with query, and body.
fn fingerprint(route: &str, head: &Parts, body: &[u8]) -> Fingerprint {
    let target = head
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    Fingerprint::of(&[
        route.as_bytes(),
        head.method.as_str().as_bytes(),
        target.as_bytes(),
        body,
    ])
}

/// Runs the service once. What has not been paid yet is held back until it is whole: a panic, a timeout and an answer that
/// is too large for that are errors of the service, and cost the payer nothing.
async fn serve<S, R>(
    mut inner: S,
    mut request: Request<Body>,
    paid: CorePaid,
    (settings, meter): (Arc<Settings>, Arc<Meter>),
) -> Served<Answered<S::Error>>
where
    S: Service<Request<Body>, Response = http::Response<R>>,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let longest = settings.serve_timeout;
    let started = Instant::now();
    let is_paid = paid.settlement.is_some();
    request.extensions_mut().insert(Paid::from(paid));
    let answer = async move {
        let response = match inner.call(request).await {
            Ok(response) => response.map(Body::new),
            Err(error) => return Served::Badly(Answered::Error(error)),
        };
        if response.status().as_u16() >= 400 {
            return Served::Badly(Answered::Coming(response));
        }
        if is_paid {
            return Served::Well(Answered::Coming(response));
        }
        hold_back(response, settings.response_bytes_max).await
    };
    let answer = timeout(longest, AssertUnwindSafe(answer).catch_unwind()).await;
    meter.service_took(started);
    match answer {
        Ok(Ok(served)) => served,
        Ok(Err(_panic)) => {
            tracing::error!("a service panicked while serving a payment");
            instead(Code::Internal)
        }
        Err(_elapsed) => instead(Code::UpstreamTimeout),
    }
}

/// Reads the whole answer before a byte of it leaves.
async fn hold_back<E>(response: Response, bytes_max: usize) -> Served<Answered<E>> {
    let (head, body) = response.into_parts();
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        // Nobody asked for it, and what follows could not be held back.
        return instead(Code::UpstreamAnswerInvalid);
    }
    match read_whole(body, bytes_max).await {
        Ok(body) => Served::Well(Answered::Whole(head, body)),
        Err(BodyError::TooLarge) => instead(Code::ResponseTooLarge),
        Err(BodyError::Broken | BodyError::Late) => instead(Code::UpstreamAnswerInvalid),
    }
}

fn instead<E>(code: Code) -> Served<Answered<E>> {
    Served::Badly(Answered::Coming(respond::problem(&Problem::new(code))))
}

async fn sold<E>(
    answer: Answered<E>,
    receipt: Headers,
    sale: Sale,
    meter: &Arc<Meter>,
    settings: &Settings,
    asked: &HeaderMap,
) -> Result<Response, E> {
    let (mut head, body) = match answer {
        Answered::Whole(head, body) => (head, Ok(body)),
        Answered::Coming(response) => {
            let (head, body) = response.into_parts();
            (head, Err(body))
        }
        Answered::Error(error) => {
            sale.give_back().await;
            return Err(error);
        }
    };
    respond::sold(&mut head.headers, receipt);
    let (status, headers) = (head.status, &head.headers);
    let kept = match body {
        Ok(whole) => {
            meter.sent(whole.len());
            let kept = keep::now(sale, status, headers, &whole, settings.kept_bytes_max).await;
            kept.map(|()| Body::from(whole))
        }
        Err(coming) if owes_an_answer(status) => {
            sale.give_back().await;
            Ok(coming)
        }
        Err(coming) => keep::while_streaming(sale, status, headers, coming, meter, settings).await,
    };
    let body = match kept {
        Ok(body) => body,
        Err(away) => return Ok(respond::away(away, &settings.cors, asked)),
    };
    let mut response = Response::from_parts(head, body);
    settings.cors.apply(asked, response.headers_mut());
    Ok(response)
}

/// An answer on a payment that buys whatever is asked: nobody needs a copy, because asking again costs nothing.
fn passed<E>(
    answer: Answered<E>,
    receipt: Headers,
    meter: &Meter,
    settings: &Settings,
    asked: &HeaderMap,
) -> Result<Response, E> {
    let mut response = match answer {
        Answered::Whole(head, body) => Response::from_parts(head, Body::from(body)),
        Answered::Coming(response) => response,
        Answered::Error(error) => return Err(error),
    };
    meter.sent(usize::try_from(response.body().size_hint().lower()).unwrap_or(usize::MAX));
    respond::sold(response.headers_mut(), receipt);
    settings.cors.apply(asked, response.headers_mut());
    Ok(response)
}

/// An answer that does not wait for the money: recorded, then out, and settled beside it.
async fn lent<E>(
    answer: Answered<E>,
    receipt: Headers,
    owed: Owed,
    meter: &Meter,
    settings: &Settings,
    asked: &HeaderMap,
) -> Response {
    let Answered::Whole(mut head, body) = answer else {
        // What is lent is held back until it is whole. Dropped, it is not charged.
        return problem(&Problem::new(Code::Internal), settings, asked);
    };
    respond::sold(&mut head.headers, receipt);
    let kept = (body.len() <= settings.kept_bytes_max).then_some(&*body);
    let settling = match owed
        .serve(respond::kept(head.status, &head.headers, kept))
        .await
    {
        Ok(settling) => settling,
        Err(away) => return respond::away(away, &settings.cors, asked),
    };
    meter.sent(body.len());
    settle_behind(settling, &settings.purchases);
    let mut response = Response::from_parts(head, Body::from(body));
    settings.cors.apply(asked, response.headers_mut());
    response
}

/// Moves the money beside the answer, and counts what cannot be paid any more.
pub(crate) fn settle_behind(settling: Settling, purchases: &Purchases) {
    let purchase = purchases.enter();
    let task = async move {
        let rail = settling.rail();
        match settling.run().await {
            SettleOutcome::Failed(_) => metrics::count_unpaid(rail),
            SettleOutcome::Unknown(unknown) if unknown.code == Code::SettlementReverted => {
                metrics::count_reverted(rail);
            }
            SettleOutcome::Settled(_) | SettleOutcome::Unknown(_) => {}
        }
        drop(purchase);
    };
    tokio::spawn(task.in_current_span());
}

/// Paid first, and then the service broke down: nothing is kept, so the same credential is served again without paying
/// again.
fn owes_an_answer(status: StatusCode) -> bool {
    status.is_server_error()
}

fn not_sold<E>(answer: Answered<E>, settings: &Settings, asked: &HeaderMap) -> Result<Response, E> {
    let mut response = match answer {
        Answered::Whole(head, body) => Response::from_parts(head, Body::from(body)),
        Answered::Coming(response) => response,
        Answered::Error(error) => return Err(error),
    };
    respond::strip_ours(response.headers_mut());
    settings.cors.apply(asked, response.headers_mut());
    Ok(response)
}

fn problem(about: &Problem, settings: &Settings, asked: &HeaderMap) -> Response {
    respond::error(about, &settings.cors, asked)
}

pub(crate) async fn read_whole(body: Body, bytes_max: usize) -> Result<Bytes, BodyError> {
    let declared = body.size_hint().lower();
    if usize::try_from(declared).map_or(true, |declared| declared > bytes_max) {
        return Err(BodyError::TooLarge);
    }
    match Limited::new(body, bytes_max).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Err(_) => Err(BodyError::Broken),
    }
}
