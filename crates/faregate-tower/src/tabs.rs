//! The tab endpoint of the credit rail: a payer says which offer it is going to meet, and gets the tab on which it will owe
//! and a number on it (specs/4mica.md §6.6).
//!
//! | request | answer |
//! |---|---|
//! | `POST` with an offer of this gate | 200, the tab; every time with another number where the core reserves them |
//! | a body that cannot be read | 400 `{"error": …, "code": …}` |
//! | an offer that is none of ours | 400 |
//! | a payer whom the core refuses | 400, or 403 when it is suspended |
//! | too many | 429 with `Retry-After` |
//! | the core is away | 503 with `Retry-After` |
//! | another method | 405 |
//!
//! To ask costs the payer nothing and the core a row, so new tabs are limited per client and per payer.

mod limit;

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use faregate_core::Offer;
use faregate_core::offer::CreditAsk;
use faregate_core::port::IssueError;
use faregate_core::rail::credit::Tabs;
use faregate_types::credit::x402::{TabRequest, TabTicket, chain};
use faregate_types::credit::{GuaranteeVersion, write};
use faregate_types::limits::CREDIT_REQUEST_BYTES_MAX;
use faregate_types::{Address, Code, Problem, Refusal};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode};
use serde_json::json;
use tokio::time::timeout;

use crate::cors::Cors;
use crate::limits::{TAB_BODY_WAIT, TAB_WAIT};
use crate::metrics::{TabEnded, TabMeter};
use crate::purchase::{BodyError, read_whole};
use crate::{peer, respond, strangers};

use limit::{Identity, Limit};

/// Opens tabs for payers. Cheap to clone.
#[derive(Clone)]
pub struct TabDesk(Arc<Inner>);

struct Inner {
    path: Box<str>,
    tabs: Tabs,
    asks: Vec<CreditAsk>,
    cors: Cors,
    limit: Limit,
    meter: TabMeter,
}

impl fmt::Debug for TabDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TabDesk")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}

/// Why there is no tab.
enum No {
    Malformed(Refusal),
    NotOffered(Refusal),
    Refused(Refusal),
    Limited(Problem),
    Away(Code),
}

impl TabDesk {
    /// The endpoint at this path, for payers of these offers. `cors` is that of their paywalls.
    #[must_use]
    pub fn new<'o>(
        path: impl Into<Box<str>>,
        tabs: Tabs,
        offers: impl IntoIterator<Item = &'o Offer>,
        cors: Cors,
    ) -> Self {
        let mut asks: Vec<CreditAsk> = Vec::new();
        for ask in offers.into_iter().flat_map(Offer::asks) {
            // Tabs differ by what is in `same`; prices and conditions do not matter to them.
            if let Some(ask) = ask.as_credit()
                && !asks.iter().any(|known| same(known, ask))
            {
                asks.push(ask.clone());
            }
        }
        Self(Arc::new(Inner {
            path: path.into(),
            tabs,
            asks,
            cors,
            limit: Limit::new(),
            meter: TabMeter::new(),
        }))
    }

    /// True when nothing is sold on credit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.asks.is_empty()
    }

    /// True when a request for this path is for this endpoint.
    #[must_use]
    pub fn is_at(&self, path: &str) -> bool {
        *self.0.path == *path
    }

    /// The answer to a request at this endpoint.
    pub async fn answer(&self, request: Request<Body>) -> Response {
        let (head, body) = request.into_parts();
        let inner = &self.0;
        let mut response = match head.method {
            Method::OPTIONS => return respond::preflight(&inner.cors, &head.headers),
            Method::POST => match inner.given(&head, body).await {
                Ok(ticket) => {
                    inner.meter.ended(TabEnded::Given);
                    answer(StatusCode::OK, write(&ticket))
                }
                Err(no) => {
                    inner.meter.ended(no.ended());
                    no.response()
                }
            },
            _ => {
                let mut response = problem(&Problem::new(Code::MethodNotAllowed));
                let allowed = HeaderValue::from_static("POST, OPTIONS");
                response.headers_mut().insert(ALLOW, allowed);
                response
            }
        };
        inner.cors.apply(&head.headers, response.headers_mut());
        response
    }
}

impl Inner {
    async fn given(&self, head: &Parts, body: Body) -> Result<TabTicket, No> {
        let client = peer::asked(head).client.and_then(strangers::stranger);
        self.limit.call(client).map_err(No::Limited)?;
        let asked = read(body).await.map_err(No::Malformed)?;
        let version = GuaranteeVersion::from_number(asked.version).ok_or_else(|| {
            let number = asked.version;
            let detail = format!("unsupported x402Version {number}: expected 1 or 2");
            No::Malformed(Refusal::new(Code::InvalidX402Version).detail(detail))
        })?;
        let ask = self.meant(&asked, version).map_err(No::NotOffered)?;
        let identity: Identity = (
            asked.payer,
            ask.asset.chain(),
            ask.asset.token(),
            ask.recipient,
            version,
        );
        self.limit.open(client, identity).map_err(No::Limited)?;
        let opening = self.tabs.ticket(ask, version, asked.payer);
        let opened = timeout(TAB_WAIT, opening).await;
        match opened {
            Ok(Ok(ticket)) => Ok(ticket),
            Ok(Err(IssueError::Refused(refusal))) => {
                self.limit.forget(&identity);
                Err(No::Refused(refusal))
            }
            Ok(Err(IssueError::Away(away))) => Err(No::Away(away.code)),
            // What is opened all the same is found by the next one who asks.
            Err(_elapsed) => Err(No::Away(Code::CreditCoreUnavailable)),
        }
    }

    /// The ask that a payer means: the offer it shows is one of ours, but for the amount, or what it says fits.
    fn meant(&self, asked: &TabRequest, version: GuaranteeVersion) -> Result<&CreditAsk, Refusal> {
        let shown = asked.demand.as_ref();
        let is_it = |ask: &&CreditAsk| {
            let on = |network: &str| chain(network) == Some(ask.asset.chain());
            let is = |said: Option<Address>, ours| said.is_none_or(|said| said == ours);
            takes(ask, version)
                && asked.network.as_deref().is_none_or(on)
                && is(asked.recipient, ask.recipient)
                && is(asked.token, ask.asset.token())
                && shown.is_none_or(|shown| on(&shown.network))
                && is(shown.map(|shown| shown.recipient), ask.recipient)
                && is(shown.map(|shown| shown.asset), ask.asset.token())
        };
        self.asks.iter().find(is_it).ok_or_else(|| {
            let detail = format!(
                "expected paymentRequirements of this service: network, asset, payTo and x402Version {version} of one of its offers"
            );
            Refusal::new(Code::NoMatchingRequirements).detail(detail)
        })
    }
}

async fn read(body: Body) -> Result<TabRequest, Refusal> {
    let read = timeout(TAB_BODY_WAIT, read_whole(body, CREDIT_REQUEST_BYTES_MAX)).await;
    let body = read.unwrap_or(Err(BodyError::Late)).map_err(|error| {
        let code = match error {
            BodyError::TooLarge => Code::BodyTooLarge,
            BodyError::Broken | BodyError::Late => Code::BadRequest,
        };
        Refusal::new(code)
    })?;
    TabRequest::read(&body).map_err(|error| Refusal::from(&error))
}

/// Whether two asks have the same tabs.
fn same(one: &CreditAsk, other: &CreditAsk) -> bool {
    let takes = |ask: &CreditAsk| (ask.is_plain, ask.condition.is_some());
    (one.asset, one.recipient, takes(one)) == (other.asset, other.recipient, takes(other))
}

/// Whether guarantees of this version are taken.
const fn takes(ask: &CreditAsk, version: GuaranteeVersion) -> bool {
    match version {
        GuaranteeVersion::V1 => ask.is_plain,
        GuaranteeVersion::V2 => ask.condition.is_some(),
    }
}

impl No {
    const fn ended(&self) -> TabEnded {
        match self {
            Self::Malformed(_) => TabEnded::Malformed,
            Self::NotOffered(_) => TabEnded::NotOffered,
            Self::Refused(_) => TabEnded::Refused,
            Self::Limited(_) => TabEnded::Limited,
            Self::Away(_) => TabEnded::Away,
        }
    }

    fn response(self) -> Response {
        match self {
            Self::Malformed(refusal) | Self::NotOffered(refusal) | Self::Refused(refusal) => {
                refused(&refusal)
            }
            Self::Limited(about) => problem(&about),
            Self::Away(code) => problem(&Problem::new(code).status(503)),
        }
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal.code {
        Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::CreditSuspended => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    };
    let error = refusal.detail.as_deref();
    said(
        status,
        error.unwrap_or_else(|| refusal.code.meaning()),
        refusal.code,
    )
}

fn problem(about: &Problem) -> Response {
    let status = StatusCode::from_u16(about.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut response = said(status, about.code.meaning(), about.code);
    if let Some(secs) = about.retry_after_secs {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    response
}

/// `error` is all that clients of the network read.
fn said(status: StatusCode, error: &str, code: Code) -> Response {
    let body = json!({ "error": error, "code": code.as_str() });
    answer(status, body.to_string())
}

fn answer(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
