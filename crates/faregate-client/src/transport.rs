//! Sending requests: no redirect is followed here, nothing is sent twice here, bodies that are read here are bounded.

use std::error::Error as _;

use reqwest::{Request, Response};

use crate::error::HttpFault;

/// Sends a request once.
pub(crate) async fn send(
    client: &reqwest::Client,
    request: Request,
) -> Result<Response, HttpFault> {
    client.execute(request).await.map_err(|error| fault(&error))
}

/// Reads a body of at most `bytes_max` bytes; `Ok(None)` when it is larger.
pub(crate) async fn read(
    mut response: Response,
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, HttpFault> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| fault(&error))? {
        if chunk.len() > bytes_max.saturating_sub(body.len()) {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// The next piece of a body; `Ok(None)` at its end.
#[cfg(feature = "blocking")]
pub(crate) async fn piece(response: &mut Response) -> Result<Option<Vec<u8>>, HttpFault> {
    let piece = response.chunk().await.map_err(|error| fault(&error))?;
    Ok(piece.map(|piece| piece.to_vec()))
}

fn fault(error: &reqwest::Error) -> HttpFault {
    if error.is_connect() {
        return HttpFault::NoConnection;
    }
    if error.is_timeout() {
        return HttpFault::TimedOut;
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.downcast_ref().is_some_and(hyper::Error::is_parse) {
            return HttpFault::Garbled;
        }
        source = cause.source();
    }
    HttpFault::Lost
}
