//! A service that is worth paying for.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test file uses its own part"
)]
#![allow(clippy::unwrap_used, reason = "tests may")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::Body;
use axum::response::Response;
use faregate_tower::Paid;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, StatusCode};

/// A service that counts its runs and answers with a status.
#[derive(Clone)]
pub struct Jokes {
    pub runs: Arc<AtomicU32>,
    status: StatusCode,
    body: Arc<dyn Fn() -> Body + Send + Sync>,
}

impl Jokes {
    pub fn new() -> Self {
        Self::saying(|| Body::from("knock, knock"))
    }

    pub fn saying(body: impl Fn() -> Body + Send + Sync + 'static) -> Self {
        Self {
            runs: Arc::default(),
            status: StatusCode::OK,
            body: Arc::new(body),
        }
    }

    pub fn failing(status: StatusCode) -> Self {
        Self {
            status,
            ..Self::new()
        }
    }

    pub fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }
}

impl tower::Service<Request<Body>> for Jokes {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        let paid = request.extensions().get::<Paid>().cloned();
        let mut response = Response::new((self.body)());
        *response.status_mut() = self.status;
        response
            .headers_mut()
            .insert("x-run", HeaderValue::from(run));
        response
            .headers_mut()
            .insert("payment-response", HeaderValue::from_static("spoofed"));
        response
            .headers_mut()
            .insert("settlement-overrides", HeaderValue::from_static("{}"));
        response.headers_mut().insert(
            "cache-control",
            HeaderValue::from_static("public, max-age=60"),
        );
        if let Some(paid) = paid {
            let note = format!(
                "{} {} {}",
                paid.payer(),
                paid.amount().value(),
                paid.settlement().is_some()
            );
            response
                .headers_mut()
                .insert("x-paid", HeaderValue::from_str(&note).unwrap());
        }
        Box::pin(std::future::ready(Ok(response)))
    }
}
