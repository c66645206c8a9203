//! One call: sent once, answered within a deadline by a body of bounded size.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};
use url::Url;

use crate::lines::Lines;
use crate::reach::{PublicNames, Reach};
use crate::tls::{self, TlsError, Trust};

/// What came back.
#[derive(Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the two parts of an answer, taken apart by whoever asked"
)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why nothing usable came back. Whether the request arrived is not known, except for [`CallError::NotSent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(
    clippy::exhaustive_enums,
    reason = "whoever calls must decide about each"
)]
pub enum CallError {
    /// There was no connection.
    #[error("no connection")]
    NotSent,
    /// The connection was lost before the answer was complete.
    #[error("the connection was lost")]
    Lost,
    /// The deadline passed.
    #[error("no answer in time")]
    TimedOut,
    /// The body is larger than the limit.
    #[error("the answer is too large")]
    TooLarge,
}

/// An HTTP client without surprises. Never prints its headers.
#[derive(Clone)]
pub struct Http {
    client: Client,
    reach: Reach,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Http")
    }
}

impl Http {
    /// A client that sends `headers` with every request. Values that are secrets should be marked sensitive.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(
        trust: &Trust,
        headers: HeaderMap,
        connect_timeout: Duration,
    ) -> Result<Self, TlsError> {
        Self::reaching(Reach::Anywhere, trust, headers, connect_timeout)
    }

    /// The same for a client that connects to nobody else than it may.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn reaching(
        reach: Reach,
        trust: &Trust,
        headers: HeaderMap,
        connect_timeout: Duration,
    ) -> Result<Self, TlsError> {
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls::config(trust)?)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(connect_timeout)
            .default_headers(headers);
        if reach == Reach::Public {
            builder = builder.dns_resolver(PublicNames);
        }
        let client = builder.build().map_err(|_| TlsError::Client)?;
        Ok(Self { client, reach })
    }

    /// Starts a request.
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request once and reads the whole answer, both within `deadline`.
    ///
    /// # Errors
    /// [`CallError`]. An error status is an answer.
    pub async fn send(
        &self,
        request: RequestBuilder,
        deadline: Duration,
        bytes_max: usize,
    ) -> Result<Answer, CallError> {
        let response = self.sent(request.timeout(deadline)).await?;
        let status = response.status();
        let body = read(response, bytes_max).await?;
        Ok(Answer { status, body })
    }

    /// Sends a request once and reads the answer line by line. The headers have to come within `deadline`; each line may
    /// have `line_bytes_max` bytes. The time between lines is the caller's to bound.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn open(
        &self,
        request: RequestBuilder,
        deadline: Duration,
        line_bytes_max: usize,
    ) -> Result<(StatusCode, Lines), CallError> {
        let response = tokio::time::timeout(deadline, self.sent(request))
            .await
            .map_err(|_| CallError::TimedOut)??;
        Ok((response.status(), Lines::new(response, line_bytes_max)))
    }

    async fn sent(&self, request: RequestBuilder) -> Result<Response, CallError> {
        let request = request.build().map_err(|_| CallError::NotSent)?;
        if !self.reach.allows(request.url()) {
            return Err(CallError::NotSent);
        }
        let response = self.client.execute(request).await;
        response.map_err(|error| call_error(&error))
    }
}

/// Reads a body of at most `bytes_max` bytes.
///
/// # Errors
/// [`CallError`].
pub async fn read(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| call_error(&error))? {
        if chunk.len() > bytes_max.saturating_sub(body.len()) {
            return Err(CallError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What an error of the client means for the request. The error's own text is not kept: it has the URL in it.
#[must_use]
pub fn call_error(error: &reqwest::Error) -> CallError {
    if error.is_connect() {
        CallError::NotSent
    } else if error.is_timeout() {
        CallError::TimedOut
    } else {
        CallError::Lost
    }
}
