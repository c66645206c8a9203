//! What a route looks like.

use http::Method;

use super::path::{NormalisedPath, PathError, normalise_path, segment_key};

/// Longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1_024;

/// A pattern for method, host and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutePattern {
    text: Box<str>,
    method: Option<Method>,
    host: Option<Box<str>>,
    /// The path as one or two sequences: a trailing `/*` also stands for nothing at all.
    forms: Vec<Vec<Piece>>,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Nothing, or more than a method and a path.
    #[error("a pattern is a path, or a method, a space and a path")]
    Shape,
    /// Longer than [`PATTERN_BYTES_MAX`].
    #[error("the pattern is longer than {PATTERN_BYTES_MAX} bytes")]
    TooLong,
    /// A method that cannot be priced.
    #[error("the method must be GET, HEAD, POST, PUT, PATCH, DELETE or *")]
    Method,
    /// A host with characters that no host name has.
    #[error("the host must be a plain host name without port")]
    Host,
    /// A query or fragment, which is never compared.
    #[error("a pattern has no query and no fragment")]
    Query,
    /// A segment with brackets or braces that is no parameter.
    #[error("a parameter is a whole segment, [name] or :name")]
    Parameter,
    /// A path that no request can have.
    #[error(transparent)]
    Path(#[from] PathError),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// These bytes of the key form.
    Literal(Box<[u8]>),
    /// One whole segment that is not empty.
    Segment,
    /// Any text, also none.
    Star,
}

/// The unit in which patterns are compared with patterns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Byte(u8),
    Segment,
    Star,
}

impl RoutePattern {
    /// Reads a pattern such as `GET /api/[id]/*`, `/weather/:city` or `*`.
    ///
    /// # Errors
    /// [`PatternError`] for a pattern that would never match, or not what its writer meant.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::TooLong);
        }
        let mut words = text.split_whitespace();
        let (method, path) = match (words.next(), words.next(), words.next()) {
            (Some(path), None, _) => (None, path),
            (Some(method), Some(path), None) => (method_of(method)?, path),
            _ => return Err(PatternError::Shape),
        };
        Ok(Self {
            text: text.trim().into(),
            method,
            host: None,
            forms: forms_of(path)?,
        })
    }

    /// The same pattern for one host only. The host is compared without port, letter case and trailing dot.
    ///
    /// # Errors
    /// [`PatternError::Host`] when it is no plain host name.
    pub fn on_host(mut self, host: &str) -> Result<Self, PatternError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        if host.is_empty() || !host.bytes().all(plain) {
            return Err(PatternError::Host);
        }
        self.host = Some(host.trim_end_matches('.').to_ascii_lowercase().into());
        Ok(self)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The method it names; `None` is every method.
    #[must_use]
    pub const fn method(&self) -> Option<&Method> {
        self.method.as_ref()
    }

    /// The host it names; `None` is every host.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The path it matches, in the form that goes over the wire, when it matches one path only.
    #[must_use]
    pub fn fixed_path(&self) -> Option<String> {
        self.literal()?;
        let path = self.text.split_whitespace().next_back()?;
        normalise_path(path).ok().map(|path| path.wire().to_owned())
    }

    /// True when a request is for this route. `OPTIONS` is for every route of its path: it is answered, never sold.
    #[must_use]
    pub fn matches(&self, method: &Method, host: Option<&str>, path: &NormalisedPath<'_>) -> bool {
        self.takes_method(method) && self.takes_host(host) && self.matches_path(path)
    }

    /// True when the path alone matches.
    #[must_use]
    pub fn matches_path(&self, path: &NormalisedPath<'_>) -> bool {
        self.matches_key(path.key())
    }

    /// True when every request that `other` takes is taken by this pattern too, so that `other` behind it never wins. May
    /// say false for a pair of wildcards that cover each other in a roundabout way; never says true wrongly.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let method = match (&self.method, &other.method) {
            (None, _) => true,
            (Some(own), Some(theirs)) => {
                own == theirs || (own == Method::GET && theirs == Method::HEAD)
            }
            (Some(_), None) => false,
        };
        let host = self.host.is_none() || self.host == other.host;
        method
            && host
            && other
                .forms
                .iter()
                .all(|theirs| self.forms.iter().any(|own| form_covers(own, theirs)))
    }

    /// The one key this pattern matches, when it has no wildcards.
    pub(super) fn literal(&self) -> Option<Box<str>> {
        match self.forms.as_slice() {
            [form] => match form.as_slice() {
                [Piece::Literal(bytes)] => std::str::from_utf8(bytes).ok().map(Box::from),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn takes_method(&self, method: &Method) -> bool {
        match &self.method {
            None => true,
            Some(own) => {
                own == method
                    || (own == Method::GET && method == Method::HEAD)
                    || method == Method::OPTIONS
            }
        }
    }

    pub(super) fn takes_host(&self, host: Option<&str>) -> bool {
        match (&self.host, host) {
            (None, _) => true,
            (Some(own), Some(host)) => host_name(host).eq_ignore_ascii_case(own),
            (Some(_), None) => false,
        }
    }

    pub(super) fn matches_key(&self, key: &str) -> bool {
        self.forms
            .iter()
            .any(|form| form_matches(form, key.as_bytes()))
    }
}

/// A host without port and trailing dot.
fn host_name(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

fn method_of(word: &str) -> Result<Option<Method>, PatternError> {
    match word.to_ascii_uppercase().as_str() {
        "*" => Ok(None),
        "GET" => Ok(Some(Method::GET)),
        "HEAD" => Ok(Some(Method::HEAD)),
        "POST" => Ok(Some(Method::POST)),
        "PUT" => Ok(Some(Method::PUT)),
        "PATCH" => Ok(Some(Method::PATCH)),
        "DELETE" => Ok(Some(Method::DELETE)),
        _ => Err(PatternError::Method),
    }
}

fn forms_of(path: &str) -> Result<Vec<Vec<Piece>>, PatternError> {
    let path = if path == "*" { "/*" } else { path };
    if path.contains(['?', '#']) {
        return Err(PatternError::Query);
    }
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute.into());
    }
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    let whole = pieces_of(&segments)?;
    match segments.split_last() {
        Some((&"*", before)) => Ok(vec![pieces_of(before)?, whole]),
        _ => Ok(vec![whole]),
    }
}

fn pieces_of(segments: &[&str]) -> Result<Vec<Piece>, PatternError> {
    let mut pieces = Vec::new();
    if segments.is_empty() {
        push_literal(&mut pieces, b"/");
    }
    for segment in segments {
        push_literal(&mut pieces, b"/");
        if is_parameter(segment)? {
            pieces.push(Piece::Segment);
            continue;
        }
        for (index, part) in segment.split('*').enumerate() {
            if index > 0 && pieces.last() != Some(&Piece::Star) {
                pieces.push(Piece::Star);
            }
            push_literal(&mut pieces, segment_key(part)?.as_bytes());
        }
    }
    Ok(pieces)
}

fn push_literal(pieces: &mut Vec<Piece>, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    if let Some(Piece::Literal(last)) = pieces.last_mut() {
        *last = [last.as_ref(), bytes].concat().into();
    } else {
        pieces.push(Piece::Literal(bytes.into()));
    }
}

fn is_parameter(segment: &str) -> Result<bool, PatternError> {
    let bracketed = segment
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(name) = bracketed.or_else(|| segment.strip_prefix(':')) {
        let named = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        return if named {
            Ok(true)
        } else {
            Err(PatternError::Parameter)
        };
    }
    if segment.contains(['[', ']', '{', '}']) {
        return Err(PatternError::Parameter);
    }
    Ok(false)
}

/// Compares in time linear in the key for a given pattern: what follows a star is looked for once, leftmost first. That
/// is enough because text between two stars that matches earlier also ends earlier.
fn form_matches(form: &[Piece], key: &[u8]) -> bool {
    let mut chunks = form.split(|piece| *piece == Piece::Star);
    let Some(mut rest) = chunks.next().and_then(|head| strip(head, key)) else {
        return false;
    };
    let mut chunks = chunks.peekable();
    if chunks.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(chunk) = chunks.next() {
        if chunks.peek().is_none() {
            return ends_with(chunk, rest);
        }
        match find(chunk, rest) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    false
}

/// What is left of `key` after a chunk without stars at its beginning.
fn strip<'k>(chunk: &[Piece], mut key: &'k [u8]) -> Option<&'k [u8]> {
    for piece in chunk {
        key = match piece {
            Piece::Literal(bytes) => key.strip_prefix(bytes.as_ref())?,
            Piece::Segment => {
                let end = key
                    .iter()
                    .position(|byte| *byte == b'/')
                    .unwrap_or(key.len());
                if end == 0 {
                    return None;
                }
                key.get(end..)?
            }
            Piece::Star => return None,
        };
    }
    Some(key)
}

fn find<'k>(chunk: &[Piece], mut key: &'k [u8]) -> Option<&'k [u8]> {
    loop {
        if let Some(after) = strip(chunk, key) {
            return Some(after);
        }
        key = key.split_first()?.1;
    }
}

fn ends_with(chunk: &[Piece], mut key: &[u8]) -> bool {
    if chunk.is_empty() {
        return true;
    }
    loop {
        if strip(chunk, key).is_some_and(<[u8]>::is_empty) {
            return true;
        }
        match key.split_first() {
            Some((_, rest)) => key = rest,
            None => return false,
        }
    }
}

fn tokens(form: &[Piece]) -> Vec<Token> {
    let mut tokens = Vec::new();
    for piece in form {
        match piece {
            Piece::Literal(bytes) => tokens.extend(bytes.iter().map(|byte| Token::Byte(*byte))),
            Piece::Segment => tokens.push(Token::Segment),
            Piece::Star => tokens.push(Token::Star),
        }
    }
    tokens
}

/// Runs `own` over the tokens of `theirs` as if they were text, keeping every position it could be at.
fn form_covers(own: &[Piece], theirs: &[Piece]) -> bool {
    let (own, theirs) = (tokens(own), tokens(theirs));
    // at[i]: the first tokens of `own` seen so far cover exactly the first i tokens of `theirs`.
    let mut at = vec![true];
    at.resize(theirs.len().saturating_add(1), false);
    for token in own {
        let mut next = vec![false; at.len()];
        let mut open = false;
        let mut in_segment = false;
        for (index, reached) in at.iter().enumerate() {
            let before = index
                .checked_sub(1)
                .and_then(|last| theirs.get(last))
                .copied();
            let here = match token {
                Token::Byte(_) => {
                    before == Some(token)
                        && index
                            .checked_sub(1)
                            .is_some_and(|last| at.get(last) == Some(&true))
                }
                Token::Star => {
                    open |= *reached;
                    open
                }
                Token::Segment => {
                    // A segment begins right after a slash and ends where the next slash is or the text ends.
                    let covered = matches!(before, Some(Token::Segment))
                        || matches!(before, Some(Token::Byte(byte)) if byte != b'/');
                    in_segment = if covered {
                        in_segment
                            || index
                                .checked_sub(1)
                                .is_some_and(|last| at.get(last) == Some(&true))
                    } else {
                        false
                    };
                    in_segment && matches!(theirs.get(index), None | Some(Token::Byte(b'/')))
                }
            };
            if let Some(slot) = next.get_mut(index) {
                *slot = here;
            }
        }
        at = next;
    }
    at.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn takes(pattern: &str, path: &str) -> bool {
        RoutePattern::parse(pattern)
            .unwrap()
            .matches_path(&normalise_path(path).unwrap())
    }

    #[test]
    fn paths_match_as_written() {
        for (pattern, path, expected) in [
            ("GET /api/*", "/api/x", true),
            ("GET /api/*", "/api", true),
            ("GET /api/*", "/api/", true),
            ("GET /api/*", "/apix", false),
            ("GET /api/*", "/api/x/y/z", true),
            ("/weather/:city", "/weather/paris", true),
            ("/weather/:city", "/weather/a/b", false),
            ("/weather/:city", "/weather", false),
            ("/weather/:city", "/weather/", false),
            ("/w/[id]", "/w/9", true),
            ("/w/[id]", "/w/1/2", false),
            ("GET /a/b", "//a///b", true),
            ("GET /a/b", "/a/%62", true),
            ("GET /a/b", "/a/b?x=1", true),
            ("GET /a/b", "/a%2Fb", false),
            ("GET /a%2Fb", "/a%2fb", true),
            ("/w/[id]", "/w/a%2Fb", true),
            ("*", "/anything", true),
            ("*", "/", true),
            ("/*", "/", true),
            ("/", "/", true),
            ("/", "/a", false),
            ("/A", "/a", true),
            ("/a/", "/A", true),
            ("/É", "/%c3%a9", true),
            ("/v*/x", "/v1/x", true),
            ("/v*/x", "/v/x", true),
            ("/v*/x", "/v1/2/x", true),
            ("/v*/x", "/v1/x/y", false),
            ("/a/*/c", "/a/b/c", true),
            ("/a/*/c", "/a/c", false),
            ("/a/*/[id]/z", "/a/b/c/z", true),
            ("/a/*/[id]/z", "/a/c/z", false),
            ("/a/*/:id", "/a/b/c/d", true),
            ("/api/[id]/*", "/api/7", true),
            ("/api/[id]/*", "/api", false),
            ("/models/x:predict", "/models/x:predict", true),
            ("/a/**/b", "/a/x/y/b", true),
            ("/*.json", "/a/b.json", true),
            ("/*.json", "/a/b.jsonx", false),
        ] {
            assert_eq!(takes(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn patterns_that_would_not_do_are_refused() {
        let long = format!("/{}", "a".repeat(PATTERN_BYTES_MAX));
        for (text, error) in [
            ("", PatternError::Shape),
            ("GET", PatternError::Path(PathError::NotAbsolute)),
            ("GET /a b", PatternError::Shape),
            ("GTE /a", PatternError::Method),
            ("OPTIONS /a", PatternError::Method),
            ("TRACE /a", PatternError::Method),
            ("GET a", PatternError::Path(PathError::NotAbsolute)),
            ("/a?x=1", PatternError::Query),
            ("/a#x", PatternError::Query),
            ("/[id", PatternError::Parameter),
            ("/[...all]", PatternError::Parameter),
            ("/{id}", PatternError::Parameter),
            ("/:", PatternError::Parameter),
            ("/:a-b", PatternError::Parameter),
            ("/a[id]", PatternError::Parameter),
            ("/a/../b", PatternError::Path(PathError::DotSegment)),
            ("/a%", PatternError::Path(PathError::Percent)),
            (long.as_str(), PatternError::TooLong),
        ] {
            assert_eq!(RoutePattern::parse(text).err(), Some(error), "{text:?}");
        }
    }

    #[test]
    fn a_pattern_without_wildcards_has_one_path() {
        for (pattern, path) in [
            ("GET /Joke", Some("/Joke")),
            ("/a//b/", Some("/a/b/")),
            ("/a%2fb", Some("/a%2Fb")),
            ("/", Some("/")),
            ("/a/*", None),
            ("/[id]", None),
        ] {
            let found = RoutePattern::parse(pattern).unwrap().fixed_path();
            assert_eq!(found.as_deref(), path, "{pattern}");
        }
    }

    #[test]
    fn methods_and_hosts_match() {
        let path = normalise_path("/a").unwrap();
        for (pattern, host, method, asked, expected) in [
            ("GET /a", None, Method::GET, None, true),
            ("get /a", None, Method::GET, None, true),
            ("GET /a", None, Method::HEAD, None, true),
            ("GET /a", None, Method::POST, None, false),
            ("HEAD /a", None, Method::GET, None, false),
            ("POST /a", None, Method::GET, None, false),
            ("POST /a", None, Method::OPTIONS, None, true),
            ("/a", None, Method::DELETE, None, true),
            ("* /a", None, Method::DELETE, None, true),
            (
                "/a",
                Some("api.example"),
                Method::GET,
                Some("api.example"),
                true,
            ),
            (
                "/a",
                Some("API.example."),
                Method::GET,
                Some("api.EXAMPLE.:8080"),
                true,
            ),
            (
                "/a",
                Some("api.example"),
                Method::GET,
                Some("example"),
                false,
            ),
            ("/a", Some("api.example"), Method::GET, None, false),
            ("/a", None, Method::GET, Some("[::1]:80"), true),
        ] {
            let mut own = RoutePattern::parse(pattern).unwrap();
            if let Some(host) = host {
                own = own.on_host(host).unwrap();
            }
            assert_eq!(
                own.matches(&method, asked, &path),
                expected,
                "{pattern} {method} {asked:?}"
            );
        }
        for host in ["", "a b", "a:80", "a/b", "*"] {
            let own = RoutePattern::parse("/a").unwrap();
            assert_eq!(own.on_host(host), Err(PatternError::Host), "{host:?}");
        }
    }

    #[test]
    fn a_pattern_covers_another() {
        for (own, other, expected) in [
            ("/a", "/a", true),
            ("/A", "/a/", true),
            ("/a", "GET /a", true),
            ("GET /a", "/a", false),
            ("GET /a", "HEAD /a", true),
            ("HEAD /a", "GET /a", false),
            ("POST /a", "GET /a", false),
            ("*", "/a/[id]/*", true),
            ("/a/*", "/a", true),
            ("/a/*", "/a/[id]/*", true),
            ("/a/*", "/ab", false),
            ("/a", "/a/*", false),
            ("/w/[id]", "/w/:city", true),
            ("/w/[id]", "/w/7", true),
            ("/w/[id]", "/w/7/8", false),
            ("/w/[id]", "/w/*", false),
            ("/w/[id]", "/w/x*", false),
            ("/w/*", "/w/[id]", true),
            ("/w/7", "/w/[id]", false),
            ("/a/*/c", "/a/b/[id]/c", true),
            ("/a/*/c", "/a/b/[id]", false),
            ("/v*", "/v1/*", true),
            ("/*.json", "/a/[id].json", false),
        ] {
            let (Ok(own_pattern), Ok(other_pattern)) =
                (RoutePattern::parse(own), RoutePattern::parse(other))
            else {
                assert!(!expected, "{own} {other}");
                continue;
            };
            assert_eq!(
                own_pattern.covers(&other_pattern),
                expected,
                "{own} {other}"
            );
        }
        let everywhere = RoutePattern::parse("/a").unwrap();
        let here = everywhere.clone().on_host("x.example").unwrap();
        let there = everywhere.clone().on_host("y.example").unwrap();
        assert!(everywhere.covers(&here) && !here.covers(&everywhere) && !here.covers(&there));
    }

    /// The same question answered by trying everything.
    fn slow_match(form: &[Token], key: &[u8], after_slash: bool) -> bool {
        let Some((token, rest)) = form.split_first() else {
            return key.is_empty();
        };
        match token {
            Token::Byte(byte) => key.split_first().is_some_and(|(first, tail)| {
                first == byte && slow_match(rest, tail, *first == b'/')
            }),
            Token::Segment => (1..=key.len()).any(|end| {
                let (segment, tail) = key.split_at(end);
                after_slash
                    && !segment.contains(&b'/')
                    && tail.first().is_none_or(|byte| *byte == b'/')
                    && slow_match(rest, tail, false)
            }),
            Token::Star => (0..=key.len()).any(|end| slow_match(rest, key.split_at(end).1, false)),
        }
    }

    const PATTERNS: &str = "(/(a|b|ab|\\*|a\\*|\\*b|:p)){1,4}";

    proptest! {
        #[test]
        fn matching_agrees_with_trying_everything(pattern in PATTERNS, path in "(/[ab]{1,3}){0,5}") {
            let own = RoutePattern::parse(&pattern).unwrap();
            let path = if path.is_empty() { "/".to_owned() } else { path };
            let slow = own.forms.iter().any(|form| slow_match(&tokens(form), path.as_bytes(), false));
            prop_assert_eq!(own.matches_path(&normalise_path(&path).unwrap()), slow);
        }

        #[test]
        fn what_is_covered_is_matched(own in PATTERNS, other in PATTERNS, path in "(/[ab]{1,3}){0,5}") {
            let (own, other) = (RoutePattern::parse(&own).unwrap(), RoutePattern::parse(&other).unwrap());
            let path = if path.is_empty() { "/".to_owned() } else { path };
            let path = normalise_path(&path).unwrap();
            if own.covers(&other) && other.matches_path(&path) {
                prop_assert!(own.matches_path(&path));
            }
        }

        #[test]
        fn every_pattern_covers_itself(pattern in PATTERNS) {
            let own = RoutePattern::parse(&pattern).unwrap();
            prop_assert!(own.covers(&own));
        }

        #[test]
        fn any_text_is_a_pattern_or_refused(text in ".{0,48}") {
            drop(RoutePattern::parse(&text));
        }
    }
}
