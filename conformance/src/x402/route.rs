//! Which route a path is for.

use faregate_core::route::{RoutePattern, normalise_path};
use http::Method;

use super::matching;
use crate::case::Case;
use crate::judge::Heard;

/// How the v2 SDKs read a pattern and a path.
///
/// # Errors
/// When we refuse a pattern or a path that they read.
pub fn v2(case: &Case) -> Result<Heard, String> {
    case.only(
        &["pattern", "rawPath"],
        &["verb", "normalized", "pathMatches"],
    )?;
    let (pattern, raw): (String, String) = (case.input("pattern")?, case.input("rawPath")?);
    let (verb, normalized): (String, String) =
        (case.expected("verb")?, case.expected("normalized")?);
    let pattern = RoutePattern::parse(&pattern).map_err(|error| error.to_string())?;
    let path = normalise_path(&raw).map_err(|error| error.to_string())?;
    let answer = |verb: &str, path: &str, matches| format!("{verb} {path}: {}", matching(matches));
    // Our key is in lower case, because letter case never counts; theirs keeps it and compares without.
    Ok(Heard::one(
        case,
        answer(
            &verb,
            &normalized.to_lowercase(),
            case.expected("pathMatches")?,
        ),
        answer(
            pattern.method().map_or("*", Method::as_str),
            path.key(),
            pattern.matches_path(&path),
        ),
    ))
}

/// Whether the v1 SDK asks for payment.
///
/// Rule: there is one matcher for both versions, and with v2 a trailing `/*` takes the bare prefix too (x402 §1.1).
///
/// # Errors
/// When we refuse a pattern, method or path that it reads.
pub fn v1(case: &Case) -> Result<Heard, String> {
    case.only(&["pattern", "method", "path"], &["match"])?;
    let (text, method, path): (String, String, String) = (
        case.input("pattern")?,
        case.input("method")?,
        case.input("path")?,
    );
    let pattern = RoutePattern::parse(&text).map_err(|error| error.to_string())?;
    let method: Method = method
        .parse()
        .map_err(|_| format!("{method} is no method"))?;
    let is_bare = is_bare_prefix(&text, &method, &path);
    let path = normalise_path(&path).map_err(|error| error.to_string())?;
    let peer = matching(case.expected("match")?);
    let ours = matching(pattern.matches(&method, None, &path));
    Ok(Heard::one(case, peer, ours).ruled(is_bare.then_some(matching(true))))
}

/// `/api` or `/api/` for `/api/*`, of the same method if one is named.
fn is_bare_prefix(pattern: &str, method: &Method, path: &str) -> bool {
    let (verb, pattern) = pattern
        .split_once(' ')
        .unwrap_or((method.as_str(), pattern));
    let prefix = pattern.strip_suffix("/*");
    let path = path.strip_suffix('/').unwrap_or(path);
    verb == method.as_str() && prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(path))
}
