//! One call of the credit service. What is safe to ask twice is asked again after a pause, a bounded number of times.

use std::borrow::Cow;
use std::time::Duration;

use faregate_http::{BaseUrl, CallError, Http};
use faregate_types::credit::api::{ErrorBody, Hidden};
use faregate_types::credit::{Message, read_answer};
use faregate_types::limits::CREDIT_ANSWER_BYTES_MAX;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use url::{Host, Url};

use super::error::{ConfigFault, CreditError, NoAnswer, ServiceRefusal};
use crate::limits::{CREDIT_PAUSE, CREDIT_TRIES};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    base: BaseUrl,
    http: Http,
    timeout: Duration,
}

/// When a call may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// Never: it would do something else than the first time.
    Never,
    /// Whenever there was no usable answer: twice is the same as once.
    Always,
}

/// A call.
#[derive(Debug)]
pub(super) struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, Cow<'static, str>)>,
    body: Option<String>,
    again: Again,
    idempotency: Option<String>,
}

/// Who calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller {
    pub(super) bearer: Option<Hidden>,
    pub(super) api_key: Option<Hidden>,
}

impl Call {
    pub(super) const fn get(path: String) -> Self {
        Self {
            method: Method::GET,
            path,
            query: Vec::new(),
            body: None,
            again: Again::Always,
            idempotency: None,
        }
    }

    pub(super) const fn post(path: String, body: String, again: Again) -> Self {
        Self {
            method: Method::POST,
            path,
            query: Vec::new(),
            body: Some(body),
            again,
            idempotency: None,
        }
    }

    pub(super) fn with_query(mut self, name: &'static str, value: &'static str) -> Self {
        self.query.push((name, Cow::Borrowed(value)));
        self
    }

    /// Asks for a part of a list. A service that knows no parts answers with all of it.
    pub(super) fn with_page(mut self, skip: u32, limit: u32) -> Self {
        let numbers = [("skip", skip), ("limit", limit)];
        let texts = numbers.map(|(name, number)| (name, Cow::Owned(number.to_string())));
        self.query.extend(texts);
        self
    }

    /// Says that all calls with this key are one.
    pub(super) fn with_key(mut self, key: String) -> Self {
        self.idempotency = Some(key);
        self
    }
}

impl Service {
    pub(super) const fn new(base: BaseUrl, http: Http, timeout: Duration) -> Self {
        Self {
            base,
            http,
            timeout,
        }
    }

    pub(super) const fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Asks, and reads the answer.
    ///
    /// # Errors
    /// [`CreditError::Service`], [`CreditError::NoAnswer`], [`CreditError::Unreadable`].
    pub(super) async fn call<M: Message>(
        &self,
        call: &Call,
        caller: &Caller,
    ) -> Result<M, CreditError> {
        let mut pause = CREDIT_PAUSE;
        let mut tries = 1;
        loop {
            let answer = self.once(call, caller).await;
            let may_again = call.again == Again::Always && tries < CREDIT_TRIES;
            match answer {
                Ok(body) => return read_answer(&body).map_err(CreditError::Unreadable),
                Err(error) if may_again && is_passing(&error) => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2);
            tries = tries.saturating_add(1);
        }
    }

    /// The body of a success.
    async fn once(&self, call: &Call, caller: &Caller) -> Result<Vec<u8>, CreditError> {
        let mut url = self.base.join(&call.path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let mut request = self.http.request(call.method.clone(), url);
        if let Some(token) = &caller.bearer {
            request = request.header(AUTHORIZATION, secret(&bearer(token))?);
        }
        if let Some(key) = &caller.api_key {
            request = request.header(API_KEY, secret(key)?);
        }
        if let Some(key) = &call.idempotency {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        if let Some(body) = &call.body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        let answer = self
            .http
            .send(request, self.timeout, CREDIT_ANSWER_BYTES_MAX);
        let answer = answer
            .await
            .map_err(|error| CreditError::NoAnswer(no_answer(error)))?;
        if answer.status.is_success() {
            Ok(answer.body)
        } else {
            Err(refusal(answer.status, &answer.body).into())
        }
    }
}

/// What a token looks like in its header; it may be configured with its scheme.
fn bearer(token: &Hidden) -> Hidden {
    let text = token.expose().trim();
    let bare = match text.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer ") => rest,
        _ => text,
    };
    Hidden::new(format!("Bearer {bare}"))
}

fn secret(text: &Hidden) -> Result<HeaderValue, CreditError> {
    let mut value = HeaderValue::from_str(text.expose()).map_err(|_| ConfigFault::Credential)?;
    value.set_sensitive(true);
    Ok(value)
}

const fn no_answer(error: CallError) -> NoAnswer {
    match error {
        CallError::NotSent => NoAnswer::NotSent,
        CallError::Lost => NoAnswer::Lost,
        CallError::TimedOut => NoAnswer::TimedOut,
        CallError::TooLarge => NoAnswer::TooLarge,
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> ServiceRefusal {
    match read_answer::<ErrorBody>(body) {
        Ok(said) => ServiceRefusal::new(status.as_u16(), &said.error, said.code.as_deref()),
        Err(_) => ServiceRefusal::new(status.as_u16(), &String::from_utf8_lossy(body), None),
    }
}

/// Whether another try may help.
const fn is_passing(error: &CreditError) -> bool {
    match error {
        CreditError::NoAnswer(why) => !matches!(why, NoAnswer::TooLarge),
        CreditError::Service(refusal) => {
            matches!(refusal.status, 429 | 500 | 502 | 503 | 504)
        }
        _ => false,
    }
}

/// Whether nobody else can sit on the way.
pub(super) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
