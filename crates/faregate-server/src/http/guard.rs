//! One request: its bounds around the service.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use faregate_types::{Code, Problem};
use futures_util::FutureExt;
use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Request};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::timeout;
use tower::{Service, ServiceExt};

use super::body::{AnswerBody, BodyFault, Progress, RequestBody};
use super::gauge::{Gauge, Inside};
use crate::limits::Limits;

/// A service with bounds. Cloned once per request.
#[derive(Clone, Debug)]
pub(super) struct Guard<S> {
    service: S,
    requests: Gauge,
    limits: Arc<Limits>,
    name: &'static str,
    say: Say,
}

/// How a server puts into words what its base has to say.
pub type Say = fn(&Problem) -> Response;

impl<S> Guard<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone,
{
    pub(super) fn new(service: S, limits: Arc<Limits>, name: &'static str, say: Say) -> Self {
        Self {
            service,
            requests: Gauge::new(limits.requests_max),
            limits,
            name,
            say,
        }
    }

    /// An answer of the base itself. The connection closes: what is left of the request is not worth reading.
    fn ours(say: Say, about: &Problem, inside: Option<Inside>) -> http::Response<AnswerBody> {
        let mut response = say(about);
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
        response.map(|body| AnswerBody::new(body, inside))
    }

    pub(super) async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<http::Response<AnswerBody>, Infallible> {
        let say = self.say;
        let Some(inside) = self.requests.enter() else {
            return Ok(Self::ours(say, &Problem::new(Code::Overloaded), None));
        };
        let (request, progress) = match self.bounded(request) {
            Ok(bounded) => bounded,
            Err(about) => return Ok(Self::ours(say, &about, Some(inside))),
        };
        let deadline = self.limits.request_timeout;
        let answer = AssertUnwindSafe(self.service.oneshot(request)).catch_unwind();
        let response = match timeout(deadline, answer).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Err(_panic)) => {
                tracing::error!(server = self.name, "a request met a panic");
                return Ok(Self::ours(say, &Problem::new(Code::Internal), Some(inside)));
            }
            Err(_elapsed) => {
                let coming = progress.as_ref().is_some_and(Progress::is_coming);
                let about = if coming {
                    Problem::new(Code::RequestTimeout)
                } else {
                    tracing::warn!(server = self.name, "a request took too long");
                    Problem::new(Code::UpstreamTimeout)
                };
                return Ok(Self::ours(say, &about, Some(inside)));
            }
        };
        let fault = progress.as_ref().and_then(Progress::fault);
        if let Some(about) = fault.and_then(|fault| better(&response, fault)) {
            return Ok(Self::ours(say, &about, Some(inside)));
        }
        Ok(response.map(|body| AnswerBody::new(body, Some(inside))))
    }

    fn bounded(
        &self,
        request: Request<Incoming>,
    ) -> Result<(Request<Body>, Option<Progress>), Problem> {
        let max = self.limits.body_bytes_max;
        if announced(request.headers()).is_some_and(|length| length > max) {
            return Err(too_large(max));
        }
        let (head, body) = request.into_parts();
        if body.is_end_stream() {
            return Ok((Request::from_parts(head, Body::empty()), None));
        }
        let (body, progress) = RequestBody::new(body, max, self.limits.body_stall_timeout);
        let request = Request::from_parts(head, Body::new(body));
        Ok((request, Some(progress)))
    }
}

/// What is wrong with the body explains an error better than the service that could not read it. Anything else it says
/// stands: money may have moved.
fn better(response: &Response, fault: BodyFault) -> Option<Problem> {
    let status = response.status().as_u16();
    let blind = matches!(status, 400 | 408 | 413 | 500 | 502);
    match fault {
        BodyFault::TooLarge if blind => Some(Problem::new(Code::BodyTooLarge)),
        BodyFault::Late if blind => Some(Problem::new(Code::RequestTimeout)),
        BodyFault::TooLarge | BodyFault::Late | BodyFault::Broken => None,
    }
}

fn too_large(max: u64) -> Problem {
    Problem::new(Code::BodyTooLarge).detail(format!("expected at most {max} bytes"))
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
