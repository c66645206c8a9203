//! JSON in bodies: read within bounds, and written.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use faregate_tower::respond;
use faregate_types::{Code, Problem};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use tokio::time::timeout;

use crate::limits::JSON_BODY_TIMEOUT;

/// The body of a request that says it is JSON, or says nothing, of at most `bytes_max` bytes; or what is wrong with it.
pub(crate) async fn read(request: Request<Body>, bytes_max: usize) -> Result<Bytes, Problem> {
    let (head, body) = request.into_parts();
    if !is_json(&head.headers) {
        return Err(Problem::new(Code::UnsupportedMediaType));
    }
    if announced(&head.headers).is_some_and(|length| length > bytes_max) {
        return Err(too_large(bytes_max));
    }
    // A deadline for all of it: a body that drips would keep each single wait short.
    let reading = Limited::new(body, bytes_max).collect();
    match timeout(JSON_BODY_TIMEOUT, reading).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(bytes_max)),
        Ok(Err(_)) => Err(Problem::new(Code::BadRequest).detail("the body broke off")),
        Err(_elapsed) => Err(Problem::new(Code::RequestTimeout).detail("the body came too slowly")),
    }
}

/// An answer that nobody keeps.
pub(crate) fn write(status: StatusCode, body: &impl Serialize) -> Response {
    let Ok(bytes) = serde_json::to_vec(body) else {
        return respond::problem(&Problem::new(Code::Internal));
    };
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Code::BodyTooLarge).detail(format!("expected at most {bytes_max} bytes"))
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// True for JSON by any of its names, and when nothing is said: some clients do not.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return true;
    };
    let Ok(text) = value.to_str() else {
        return false;
    };
    let kind = text.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    kind == "application/json"
        || kind == "text/json"
        || (kind.starts_with("application/") && kind.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn json_by_any_name() {
        for (value, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            (" application/json ;x=y", true),
            ("text/json", true),
            ("application/x402+json", true),
            ("application/jsonp", false),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            assert_eq!(is_json(&headers), expected, "{value}");
        }
        assert!(is_json(&HeaderMap::new()));
    }
}
