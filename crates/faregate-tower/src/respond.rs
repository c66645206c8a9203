//! The one place where outcomes become HTTP (x402 spec §1.1, "Server state machine"; problem details for the rest).
//!
//! | outcome | answer |
//! |---|---|
//! | not paid, or not for this offer | 402, every rail's challenge: v2 in `PAYMENT-REQUIRED`, v1 in the body |
//! | settlement failed | 402, the failure in `PAYMENT-RESPONSE`, a fresh challenge; the answer is withheld |
//! | settlement unknown | 402, `settlement_pending` in `PAYMENT-RESPONSE`, no challenge: nobody should sign a second time |
//! | sold | the service's answer with receipts, private to the payer |
//! | a copy of what was sold | the same bytes again; 409 `payment_already_used` when they were too many to keep |
//! | a copy of what is in progress | 409 `payment_in_flight` |
//! | the credential was used for another request | 409 `payment_conflict` |
//! | the payer's key names another request | 409 `idempotency_conflict` |
//! | served before it is paid | the service's answer with a receipt that says `settlement_pending` |
//! | ledger, chain, wallet or facilitator away | 503 |
//!
//! A request by gRPC gets what is no sale as gRPC says it: 200, a status in the headers, no body (L402 wire facts §1.9).

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use faregate_core::port::{Away, Unknown};
use faregate_core::rail::{Challenge, Headers};
use faregate_ledger::Answer;
use faregate_types::l402::{Scheme, grpc};
use faregate_types::{Code, Problem};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, DATE, RETRY_AFTER,
    TRANSFER_ENCODING, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::cors::Cors;

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// What we say is JSON, also for a browser that knows better.
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const PRIVATE: HeaderValue = HeaderValue::from_static("private");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static(Problem::CONTENT_TYPE);
const VARY_CREDENTIALS: HeaderValue =
    HeaderValue::from_static("PAYMENT-SIGNATURE, X-PAYMENT, Authorization");
const METHODS: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// Headers that only the gate may send: a service behind it that sends one is not believed.
const OURS: [HeaderName; 5] = [
    HeaderName::from_static("payment-required"),
    HeaderName::from_static("payment-response"),
    HeaderName::from_static("x-payment-response"),
    HeaderName::from_static("settlement-overrides"),
    HeaderName::from_static("extension-responses"),
];

/// Headers that credentials come in, besides `Authorization`.
const CREDENTIALS: [HeaderName; 4] = [
    HeaderName::from_static("payment-signature"),
    HeaderName::from_static("x-payment"),
    HeaderName::from_static("macaroon"),
    HeaderName::from_static("grpc-metadata-macaroon"),
];

/// Headers of one answer and not of its copies.
const NOT_KEPT: [HeaderName; 6] = [
    CONNECTION,
    TRANSFER_ENCODING,
    DATE,
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
];

/// A 402 answer, made once and sent often.
#[derive(Clone, Debug)]
pub struct Prepared {
    headers: HeaderMap,
    body: Bytes,
    status: StatusCode,
    cors: Cors,
}

impl Prepared {
    /// The answer that carries this challenge.
    #[must_use]
    pub fn new(challenge: &Challenge, cors: &Cors) -> Self {
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(CACHE_CONTROL, NO_STORE);
        headers.insert(VARY, VARY_CREDENTIALS);
        headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
        for (name, value) in &challenge.headers {
            headers.append(name, value.clone());
        }
        if !cors.depends_on_request() {
            cors.apply(&HeaderMap::new(), &mut headers);
        }
        Self {
            headers,
            body: challenge.bytes.clone(),
            status: StatusCode::from_u16(challenge.status).unwrap_or(StatusCode::PAYMENT_REQUIRED),
            cors: cors.clone(),
        }
    }

    /// True when it was made for pages of these origins.
    pub(crate) fn is_for(&self, cors: &Cors) -> bool {
        self.cors == *cors
    }

    /// The answer to a request with these headers.
    #[must_use]
    pub fn response(&self, request: &HeaderMap) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        if self.cors.depends_on_request() {
            self.cors.apply(request, response.headers_mut());
        }
        if is_grpc(request) {
            trailers_only(&mut response);
        }
        response
    }
}

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// `grpc-status` of an answer that is none of a service, by its HTTP status (gRPC's status codes).
fn grpc_status(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYMENT_REQUIRED => grpc::STATUS,
        StatusCode::UNAUTHORIZED => "16",
        StatusCode::TOO_MANY_REQUESTS => grpc::STATUS_RATE_LIMITED,
        StatusCode::CONFLICT => "10",
        StatusCode::GATEWAY_TIMEOUT => "4",
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => "14",
        status if status.is_client_error() => "9",
        _ => "13",
    }
}

fn is_grpc(request: &HeaderMap) -> bool {
    request
        .get(CONTENT_TYPE)
        .is_some_and(|value| grpc::is_grpc(value.as_bytes()))
}

/// Turns an answer of ours into one that a gRPC client reads: everything is in the headers.
fn trailers_only(response: &mut Response) {
    let status = response.status();
    let message = match status {
        StatusCode::PAYMENT_REQUIRED => grpc::MESSAGE,
        other => other.canonical_reason().unwrap_or("refused"),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert("grpc-status", HeaderValue::from_static(grpc_status(status)));
    headers.insert("grpc-message", HeaderValue::from_static(message));
    *response.status_mut() = StatusCode::OK;
    *response.body_mut() = Body::empty();
}

/// An error answer as problem details, never stored by a cache.
#[must_use]
pub fn problem(problem: &Problem) -> Response {
    let mut response = Response::new(Body::from(problem.to_json()));
    *response.status_mut() =
        StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, PROBLEM_JSON);
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    if let Some(secs) = problem.retry_after_secs {
        headers.insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    response
}

/// Takes away what only the gate may say: our headers, and challenges of L402 among those of other schemes.
pub fn strip_ours(headers: &mut HeaderMap) {
    for name in OURS {
        headers.remove(name);
    }
    remove_l402(headers, &WWW_AUTHENTICATE);
}

/// Takes away the credential that was checked here; what a request has for the service itself stays.
pub fn strip_credentials(headers: &mut HeaderMap) {
    for name in CREDENTIALS {
        headers.remove(name);
    }
    remove_l402(headers, &AUTHORIZATION);
}

fn remove_l402(headers: &mut HeaderMap, name: &HeaderName) {
    let is_l402 = |value: &HeaderValue| {
        let mut words = value.as_bytes().split(u8::is_ascii_whitespace);
        let scheme = words.find(|word| !word.is_empty()).unwrap_or_default();
        std::str::from_utf8(scheme).is_ok_and(|name| Scheme::from_name(name).is_some())
    };
    if !headers.get_all(name).iter().any(is_l402) {
        return;
    }
    let others: Vec<HeaderValue> = headers
        .get_all(name)
        .iter()
        .filter(|value| !is_l402(value))
        .cloned()
        .collect();
    headers.remove(name);
    for value in others {
        headers.append(name, value);
    }
}

/// The answer to `OPTIONS` on a priced route: never charged, and never the service's.
#[must_use]
pub fn preflight(cors: &Cors, request: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, METHODS);
    cors.preflight(request, response.headers_mut());
    response
}

/// A dependency did not answer: nothing was served.
pub(crate) fn away(away: Away, cors: &Cors, request: &HeaderMap) -> Response {
    if away.code == Code::Internal {
        tracing::error!("a payment met a bug or damaged books; nothing was served");
    }
    error(&Problem::new(away.code), cors, request)
}

/// A problem that a page of another origin may read.
pub(crate) fn error(about: &Problem, cors: &Cors, request: &HeaderMap) -> Response {
    let mut response = problem(about);
    cors.apply(request, response.headers_mut());
    if is_grpc(request) {
        trailers_only(&mut response);
    }
    response
}

/// The settlement failed: how to pay instead, with the failure's receipt.
pub(crate) fn refused(
    challenge: &Challenge,
    receipt: Headers,
    cors: &Cors,
    request: &HeaderMap,
) -> Response {
    let mut response = Prepared::new(challenge, cors).response(request);
    response.headers_mut().extend(receipt);
    response
}

/// Nobody knows whether the money moved.
pub(crate) fn pending(
    unknown: &Unknown,
    receipt: Headers,
    cors: &Cors,
    request: &HeaderMap,
) -> Response {
    let about = Problem::new(Code::SettlementPending)
        .detail(unknown.code.meaning())
        .hint("send the same credential again; do not sign another one");
    let mut response = error(&about, cors, request);
    response.headers_mut().extend(receipt);
    response
}

/// A copy while the first is in progress.
pub(crate) fn in_flight(cors: &Cors, request: &HeaderMap) -> Response {
    let about = Problem::new(Code::PaymentInFlight).hint("send the same request again in a moment");
    error(&about, cors, request)
}

/// The credential was used for another request.
pub(crate) fn conflict(cors: &Cors, request: &HeaderMap) -> Response {
    error(&Problem::new(Code::PaymentConflict), cors, request)
}

/// The payer's key names another request.
pub(crate) fn key_conflict(cors: &Cors, request: &HeaderMap) -> Response {
    error(&Problem::new(Code::IdempotencyConflict), cors, request)
}

/// A copy of what was sold.
pub(crate) fn replay(answer: Answer, cors: &Cors, request: &HeaderMap) -> Response {
    let Answer {
        status,
        headers,
        body,
    } = answer;
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(&*name), HeaderValue::try_from(value))
        {
            kept.append(name, value);
        }
    }
    let Some(body) = body else {
        // 409 and not the code's 402: the money is in, and a 402 would ask for it again.
        let mut response = error(
            &Problem::new(Code::PaymentAlreadyUsed).status(409),
            cors,
            request,
        );
        let receipts = OURS
            .into_iter()
            .filter_map(|name| kept.remove(&name).map(|value| (name, value)));
        response.headers_mut().extend(receipts);
        return response;
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    *response.headers_mut() = kept;
    cors.apply(request, response.headers_mut());
    response
}

/// Makes the head of a sold answer: receipts, and private to whoever paid.
pub(crate) fn sold(headers: &mut HeaderMap, receipt: Headers) {
    strip_ours(headers);
    make_private(headers);
    let has_star = headers.get_all(VARY).iter().any(|value| value == "*");
    if !has_star {
        headers.append(VARY, VARY_CREDENTIALS);
    }
    headers.extend(receipt);
}

/// The answer as the ledger keeps it; without a body when that is too long to keep.
pub(crate) fn kept(status: StatusCode, headers: &HeaderMap, body: Option<&[u8]>) -> Answer {
    let headers = headers
        .iter()
        .filter(|(name, _)| !NOT_KEPT.contains(name))
        .map(|(name, value)| (name.as_str().into(), value.as_bytes().to_vec()))
        .collect();
    Answer {
        status: status.as_u16(),
        headers,
        body: body.map(<[u8]>::to_vec),
    }
}

/// Keeps shared caches from storing what one payer bought.
fn make_private(headers: &mut HeaderMap) {
    let own: Vec<String> = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|directive| directive.trim().to_owned())
        .filter(|directive| {
            let lower = directive.to_ascii_lowercase();
            !lower.is_empty()
                && lower != "public"
                && !lower.starts_with("s-maxage")
                && !lower.starts_with("private")
        })
        .collect();
    let value = if own.is_empty() {
        PRIVATE
    } else {
        HeaderValue::from_str(&format!("{}, private", own.join(", "))).unwrap_or(PRIVATE)
    };
    headers.insert(CACHE_CONTROL, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sold_answer_is_private() {
        for (own, expected) in [
            (&[][..], "private"),
            (&["max-age=60"], "max-age=60, private"),
            (&["public, max-age=60"], "max-age=60, private"),
            (&["no-store"], "no-store, private"),
            (
                &["PUBLIC", "s-maxage=9, must-revalidate"],
                "must-revalidate, private",
            ),
            (&["private"], "private"),
            (&["private=\"x\", max-age=1"], "max-age=1, private"),
        ] {
            let mut headers = HeaderMap::new();
            for value in own {
                headers.append(CACHE_CONTROL, HeaderValue::from_static(value));
            }
            make_private(&mut headers);
            assert_eq!(
                headers.get_all(CACHE_CONTROL).iter().collect::<Vec<_>>(),
                [expected],
                "{own:?}"
            );
        }
    }

    #[test]
    fn a_grpc_client_hears_everything_in_the_headers() {
        let challenge = Challenge {
            headers: vec![(WWW_AUTHENTICATE, HeaderValue::from_static("L402 macaroon"))],
            bytes: Bytes::from_static(b"{}"),
            ..Challenge::default()
        };
        let refused = Challenge {
            status: 401,
            ..challenge.clone()
        };
        let mut request = HeaderMap::new();
        request.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/grpc+proto"),
        );
        // What is kept of a request while it is served has to be enough.
        let request = Cors::Off.asked(&request);
        let answers = [
            (
                Prepared::new(&challenge, &Cors::Any).response(&request),
                "13",
                "payment required",
            ),
            (
                Prepared::new(&refused, &Cors::Any).response(&request),
                "16",
                "Unauthorized",
            ),
            (
                error(&Problem::new(Code::RateLimited), &Cors::Any, &request),
                "8",
                "Too Many Requests",
            ),
            (
                error(
                    &Problem::new(Code::LightningUnavailable),
                    &Cors::Any,
                    &request,
                ),
                "14",
                "Service Unavailable",
            ),
        ];
        for (answer, status, message) in answers {
            let said = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok());
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(said("content-type"), Some("application/grpc"));
            assert_eq!(
                (said("grpc-status"), said("grpc-message")),
                (Some(status), Some(message))
            );
            assert_eq!(http_body::Body::size_hint(answer.body()).exact(), Some(0));
            if matches!(status, "13" | "16") {
                assert_eq!(said("www-authenticate"), Some("L402 macaroon"));
            }
        }
        let plain = Prepared::new(&challenge, &Cors::Any).response(&HeaderMap::new());
        assert_eq!(plain.status(), StatusCode::PAYMENT_REQUIRED);
        assert!(!plain.headers().contains_key("grpc-status"));
    }

    #[test]
    fn what_only_the_gate_says_is_taken_from_services() {
        let mut headers = HeaderMap::new();
        for name in OURS {
            headers.append(&name, HeaderValue::from_static("spoofed"));
            headers.append(name, HeaderValue::from_static("twice"));
        }
        sold(
            &mut headers,
            vec![(
                HeaderName::from_static("payment-response"),
                HeaderValue::from_static("real"),
            )],
        );
        let receipts: Vec<_> = headers.get_all("payment-response").iter().collect();
        assert_eq!(receipts, ["real"]);
        assert!(
            !headers.contains_key("settlement-overrides")
                && !headers.contains_key("payment-required")
        );
    }

    #[test]
    fn a_kept_answer_comes_back_whole_or_as_used() {
        let mut headers = HeaderMap::new();
        headers.append("x-own", HeaderValue::from_static("1"));
        headers.append("x-own", HeaderValue::from_bytes(b"\xff2").unwrap());
        headers.append("payment-response", HeaderValue::from_static("receipt"));
        headers.append(DATE, HeaderValue::from_static("yesterday"));
        let whole = replay(
            kept(StatusCode::CREATED, &headers, Some(b"body")),
            &Cors::Off,
            &HeaderMap::new(),
        );
        assert_eq!(whole.status(), StatusCode::CREATED);
        headers.remove(DATE);
        assert_eq!(whole.headers(), &headers);

        let used = replay(
            kept(StatusCode::OK, &headers, None),
            &Cors::Off,
            &HeaderMap::new(),
        );
        assert_eq!(used.status(), StatusCode::CONFLICT);
        assert_eq!(
            used.headers()
                .get("payment-response")
                .map(HeaderValue::as_bytes),
            Some(&b"receipt"[..])
        );
        assert!(used.headers().get("x-own").is_none());
    }
}
