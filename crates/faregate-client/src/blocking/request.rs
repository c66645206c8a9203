//! A request in the making.

use std::time::Duration;

use reqwest::Body;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{Client, Error, Response};
use crate::payment::Paid;
use crate::quote::Quote;

/// A request in the making; see [`Client::get`]. Mistakes are reported when it is sent.
#[derive(Debug)]
#[must_use = "a request does nothing until it is sent"]
pub struct RequestBuilder {
    client: Client,
    request: crate::RequestBuilder,
}

impl RequestBuilder {
    pub(super) const fn new(client: Client, request: crate::RequestBuilder) -> Self {
        Self { client, request }
    }

    fn map(self, change: impl FnOnce(crate::RequestBuilder) -> crate::RequestBuilder) -> Self {
        Self {
            client: self.client,
            request: change(self.request),
        }
    }

    /// Adds a header.
    pub fn header(self, name: HeaderName, value: HeaderValue) -> Self {
        self.map(|request| request.header(name, value))
    }

    /// Sets headers; those of the same name are replaced.
    pub fn headers(self, headers: HeaderMap) -> Self {
        self.map(|request| request.headers(headers))
    }

    /// Sets the body. It has to be bytes: a stream cannot be sent a second time.
    pub fn body(self, body: impl Into<Body>) -> Self {
        self.map(|request| request.body(body))
    }

    /// Sets a JSON body.
    pub fn json<T: serde::Serialize + ?Sized>(self, body: &T) -> Self {
        self.map(|request| request.json(body))
    }

    /// Another deadline for each exchange than the client's.
    pub fn timeout(self, timeout: Duration) -> Self {
        self.map(|request| request.timeout(timeout))
    }

    /// Sends the request, and pays for it if needed; see [`Client::execute`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn send(self) -> Result<Paid<Response>, Error> {
        let request = self.request;
        let paid = self
            .client
            .wait(|_| async move { request.send().await })??;
        Ok(self.client.answered(paid))
    }

    /// What sending it would cost; see [`Client::quote`].
    ///
    /// # Errors
    /// [`Error`].
    pub fn quote(self) -> Result<Quote, Error> {
        let request = self.request;
        Ok(self
            .client
            .wait(|_| async move { request.quote().await })??)
    }
}
