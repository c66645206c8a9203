//! An answer whose body is waited for.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;

use super::Error;
use super::engine::Engine;
use crate::limits::BLOCKING_BODY_BYTES_MAX;
use crate::transport;

/// An answer. Its body is read whole and bounded, or piece by piece with [`Read`].
pub struct Response {
    /// `None` once it broke off.
    response: Option<reqwest::Response>,
    status: StatusCode,
    url: Url,
    headers: HeaderMap,
    /// What was received and not read yet.
    rest: io::Cursor<Vec<u8>>,
    engine: Arc<Engine>,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Response {
    pub(super) fn new(engine: Arc<Engine>, response: reqwest::Response) -> Self {
        Self {
            status: response.status(),
            url: response.url().clone(),
            headers: response.headers().clone(),
            response: Some(response),
            rest: io::Cursor::default(),
            engine,
        }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Where it came from.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The headers.
    #[must_use]
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The whole body, or what is left of it after reading.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above [`BLOCKING_BODY_BYTES_MAX`](crate::limits::BLOCKING_BODY_BYTES_MAX); [`Error::Body`] when
    /// it breaks off.
    pub fn bytes(mut self) -> Result<Vec<u8>, Error> {
        let mut whole = Vec::new();
        self.rest
            .read_to_end(&mut whole)
            .map_err(|_| Error::Body(crate::HttpFault::Lost))?;
        let Some(response) = self.response.take() else {
            return Ok(whole);
        };
        let room = BLOCKING_BODY_BYTES_MAX.saturating_sub(whole.len());
        let read = self
            .engine
            .run(async move { transport::read(response, room).await })?;
        let more = read.map_err(Error::Body)?;
        whole.extend(more.ok_or(Error::TooLarge(BLOCKING_BODY_BYTES_MAX))?);
        Ok(whole)
    }

    /// The body as text; what is not UTF-8 is replaced.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    pub fn text(self) -> Result<String, Error> {
        let bytes = self.bytes()?;
        Ok(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes), and [`Error::Json`].
    pub fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        Ok(serde_json::from_slice(&self.bytes()?)?)
    }

    /// Waits for the next piece of the body; `false` at its end.
    fn receive(&mut self) -> Result<bool, Error> {
        let Some(mut response) = self.response.take() else {
            return Ok(false);
        };
        let (response, piece) = self.engine.run(async move {
            let piece = transport::piece(&mut response).await;
            (response, piece)
        })?;
        let piece = piece.map_err(Error::Body)?;
        self.response = piece.is_some().then_some(response);
        let is_there = piece.is_some();
        self.rest = io::Cursor::new(piece.unwrap_or_default());
        Ok(is_there)
    }
}

impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.rest.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            if !self.receive().map_err(io::Error::other)? {
                return Ok(0);
            }
        }
    }
}
