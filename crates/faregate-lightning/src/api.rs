//! Calls to a backend's API, and what their failures mean.

use std::fmt;
use std::time::{Duration, Instant};

use faregate_core::port::Away;
use faregate_core::port::lightning::{ANSWER_INVALID, PayReport, UNAVAILABLE};
use faregate_http::{BaseUrl, CallError, Http, Lines};
use faregate_types::{Code, Refusal};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::config::{ConfigError, Endpoint};
use crate::{limits, meter};

/// A backend's API.
#[derive(Clone)]
pub(crate) struct Api {
    http: Http,
    base: BaseUrl,
    timeout: Duration,
    /// For logs: which kind of backend.
    name: &'static str,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("name", &self.name)
            .field("base", &self.base.as_url().as_str())
            .finish_non_exhaustive()
    }
}

/// What came back: the status, and the body where it is JSON.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    /// `Null` for anything that is not JSON.
    pub(crate) json: Value,
}

impl Api {
    pub(crate) fn new(
        name: &'static str,
        endpoint: &Endpoint,
        headers: HeaderMap,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            http: endpoint.http(headers)?,
            base: endpoint.checked()?,
            timeout: endpoint.timeout,
            name,
        })
    }

    /// How long the answer to a payment is waited for that may try for so long.
    pub(crate) fn patience(&self, time_limit: Duration) -> Duration {
        time_limit.saturating_add(self.timeout.min(limits::PAY_GRACE))
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.base.join(path))
    }

    /// A request to a URL that the backend itself named.
    pub(crate) fn request_at(&self, method: Method, url: Url) -> RequestBuilder {
        self.http.request(method, url)
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Reply, CallError> {
        self.send(self.request(Method::GET, path), self.timeout)
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Reply, CallError> {
        self.send(self.json(path, body), self.timeout).await
    }

    /// A call that may pay: it is waited for as long as the payment may try.
    pub(crate) async fn pay(
        &self,
        path: &str,
        body: &Value,
        time_limit: Duration,
    ) -> Result<Reply, CallError> {
        self.send(self.json(path, body), self.patience(time_limit))
            .await
    }

    pub(crate) fn json(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path)
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string())
    }

    pub(crate) fn form(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.request(Method::POST, path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body)
    }

    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
        deadline: Duration,
    ) -> Result<Reply, CallError> {
        let started = Instant::now();
        let heard = self
            .http
            .send(request, deadline, limits::ANSWER_BYTES_MAX)
            .await;
        self.tell(
            heard
                .as_ref()
                .map(|answer| answer.status)
                .map_err(|error| *error),
            started,
        );
        let answer = heard?;
        Ok(Reply {
            status: answer.status,
            json: serde_json::from_slice(&answer.body).unwrap_or_default(),
        })
    }

    pub(crate) async fn lines(
        &self,
        request: RequestBuilder,
        deadline: Duration,
    ) -> Result<(StatusCode, Lines), CallError> {
        let started = Instant::now();
        let heard = self
            .http
            .open(request, deadline, limits::ANSWER_BYTES_MAX)
            .await;
        self.tell(
            heard
                .as_ref()
                .map(|(status, _)| *status)
                .map_err(|error| *error),
            started,
        );
        heard
    }

    /// Within what time an ordinary call has to be answered.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    fn tell(&self, heard: Result<StatusCode, CallError>, started: Instant) {
        meter::called(self.name, heard, started.elapsed());
        if let Err(error) = heard {
            tracing::warn!(backend = self.name, why = %error, "a Lightning backend is away");
        }
    }
}

/// A call about an invoice that did not come through.
pub(crate) const fn away(error: CallError) -> Away {
    match error {
        CallError::TooLarge => ANSWER_INVALID,
        CallError::NotSent | CallError::Lost | CallError::TimedOut => UNAVAILABLE,
    }
}

/// A payment whose call did not come through.
pub(crate) fn unheard(error: CallError) -> PayReport {
    match error {
        // There was no connection, so nothing was sent.
        CallError::NotSent => PayReport::Refused(Refusal::new(Code::LightningUnavailable)),
        _ => PayReport::Unclear(away(error).code),
    }
}

impl Reply {
    pub(crate) fn is_ok(&self) -> bool {
        self.status.is_success()
    }

    /// The JSON of a call that went well.
    pub(crate) fn ok(self) -> Result<Value, Away> {
        if !self.is_ok() {
            return Err(Away {
                code: status_code(self.status),
            });
        }
        if self.json.is_null() {
            return Err(ANSWER_INVALID);
        }
        Ok(self.json)
    }

    /// What a payment came to whose call was answered by an error that says nothing about the payment.
    pub(crate) fn pay_error(&self) -> PayReport {
        let code = status_code(self.status);
        match self.status {
            // Whoever says so did not let the call in.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
                PayReport::Refused(Refusal::new(code))
            }
            _ => PayReport::Unclear(code),
        }
    }
}

fn status_code(status: StatusCode) -> Code {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Code::LightningUnauthorized,
        StatusCode::TOO_MANY_REQUESTS => Code::LightningUnavailable,
        status if status.is_server_error() => Code::LightningUnavailable,
        _ => Code::LightningAnswerInvalid,
    }
}
