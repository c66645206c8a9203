//! From a request to what it asks for.

use axum::body::Body;
use faregate_types::limits::BODY_BYTES_MAX;
use faregate_types::x402::FacilitatorRequest;
use faregate_types::{Code, Problem};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::limits::FACILITATOR_BODY_TIMEOUT;

/// Reads and decodes, or says what is wrong.
pub(super) async fn read(request: Request<Body>) -> Result<FacilitatorRequest, Problem> {
    let (head, body) = request.into_parts();
    if !is_json(&head.headers) {
        return Err(Problem::new(Code::UnsupportedMediaType));
    }
    if announced(&head.headers).is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(too_large());
    }
    // A deadline for all of it: a body that drips would keep each single wait short.
    let reading = Limited::new(body, BODY_BYTES_MAX).collect();
    let body = match timeout(FACILITATOR_BODY_TIMEOUT, reading).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large()),
        Ok(Err(_)) => return Err(Problem::new(Code::BadRequest).detail("the body broke off")),
        Err(_elapsed) => {
            return Err(Problem::new(Code::RequestTimeout).detail("the body came too slowly"));
        }
    };
    FacilitatorRequest::decode(&body).map_err(|error| Problem::from(&error))
}

fn too_large() -> Problem {
    Problem::new(Code::BodyTooLarge).detail(format!("expected at most {BODY_BYTES_MAX} bytes"))
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
