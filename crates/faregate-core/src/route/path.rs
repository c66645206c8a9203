//! Reading a request path, once, for everybody.

use std::borrow::Cow;

/// Longest path that is read, in bytes, without query.
pub const PATH_BYTES_MAX: usize = 8_192;

/// A path that everybody reads the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalisedPath<'a> {
    wire: Cow<'a, str>,
    key: Cow<'a, str>,
}

/// Why a path is not read at all. At the gate this is a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Longer than [`PATH_BYTES_MAX`].
    #[error("the path is longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
    /// Does not start with a slash.
    #[error("the path must start with a slash")]
    NotAbsolute,
    /// A percent sign without two hexadecimal digits.
    #[error("the path has a percent sign without two hexadecimal digits after it")]
    Percent,
    /// The decoded bytes are not UTF-8.
    #[error("the path is not UTF-8 once decoded")]
    Utf8,
    /// NUL or another control character, plain or encoded.
    #[error("the path has a control character")]
    Control,
    /// A backslash, plain or encoded: some servers take it for a slash.
    #[error("the path has a backslash")]
    Backslash,
    /// A `.` or `..` segment, plain, encoded, or between encoded slashes.
    #[error("the path has a dot segment")]
    DotSegment,
}

impl NormalisedPath<'_> {
    /// What is sent to the service behind: slashes collapsed, only unreserved characters decoded (RFC 3986 §6.2.2.2), letter
    /// case and a trailing slash as they came.
    #[must_use]
    pub fn wire(&self) -> &str {
        &self.wire
    }

    /// What patterns are compared with: decoded once except `%2f`, lower case, no trailing slash.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Reads a path; what follows `?` or `#` is dropped. Total and linear; allocates nothing for a path that is normal
/// already.
///
/// # Errors
/// [`PathError`] for a path that two programs could read differently.
pub fn normalise_path(raw: &str) -> Result<NormalisedPath<'_>, PathError> {
    let path = raw.split(['?', '#']).next().unwrap_or_default();
    if path.len() > PATH_BYTES_MAX {
        return Err(PathError::TooLong);
    }
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    if is_normal(path) {
        return Ok(NormalisedPath {
            wire: Cow::Borrowed(path),
            key: Cow::Borrowed(path),
        });
    }
    let (mut wire, mut key) = (
        String::with_capacity(path.len()),
        String::with_capacity(path.len()),
    );
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let segment = Segment::read(segment)?;
        wire.push('/');
        wire.push_str(&segment.wire);
        key.push('/');
        key.push_str(&segment.key);
    }
    if wire.is_empty() || path.ends_with('/') {
        wire.push('/');
    }
    if key.is_empty() {
        key.push('/');
    }
    // Whatever reads the wire form reads it under the same limit, and it may be longer: `<` became `%3C`.
    if wire.len() > PATH_BYTES_MAX {
        return Err(PathError::TooLong);
    }
    Ok(NormalisedPath {
        wire: Cow::Owned(wire),
        key: Cow::Owned(key),
    })
}

/// The key form of one segment of a pattern.
pub(super) fn segment_key(segment: &str) -> Result<String, PathError> {
    Segment::read(segment).map(|segment| segment.key)
}

/// Other ways in which a program behind the gate could read the key: with encoded slashes as slashes, without `;`
/// parameters, and both.
pub(super) fn other_readings(key: &str) -> impl Iterator<Item = String> {
    let slashed = key.contains("%2f").then(|| key.replace("%2f", "/"));
    let bare = key.contains(';').then(|| without_parameters(key));
    let both = slashed.as_deref().map(without_parameters);
    [slashed, bare, both].into_iter().flatten().map(|reading| {
        let mut tidy = String::with_capacity(reading.len());
        for segment in reading.split('/').filter(|segment| !segment.is_empty()) {
            tidy.push('/');
            tidy.push_str(segment);
        }
        if tidy.is_empty() {
            tidy.push('/');
        }
        tidy
    })
}

fn without_parameters(key: &str) -> String {
    let bare: Vec<&str> = key.split('/').map(before_parameters).collect();
    bare.join("/")
}

fn before_parameters(segment: &str) -> &str {
    segment.split(';').next().unwrap_or_default()
}

/// True for a path that is its own wire form and its own key. The common case, decided in one pass.
fn is_normal(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    // An empty segment collapses; a segment of dots alone is read the slow way.
    let (mut empty, mut only_dots) = (true, true);
    for byte in rest.bytes() {
        match byte {
            b'/' if empty || only_dots => return false,
            b'/' => (empty, only_dots) = (true, true),
            b'.' => empty = false,
            b';' | b'A'..=b'Z' => return false,
            byte if is_path_byte(byte) => (empty, only_dots) = (false, false),
            _ => return false,
        }
    }
    rest.is_empty() || !only_dots
}

struct Segment {
    wire: String,
    key: String,
}

impl Segment {
    fn read(raw: &str) -> Result<Self, PathError> {
        let (wire, bytes) = decode(raw)?;
        let text = String::from_utf8(bytes).map_err(|_| PathError::Utf8)?;
        if text.chars().any(char::is_control) {
            return Err(PathError::Control);
        }
        if text.contains('\\') {
            return Err(PathError::Backslash);
        }
        let key: String = text.chars().flat_map(char::to_lowercase).collect();
        if key
            .split("%2f")
            .map(before_parameters)
            .any(|part| matches!(part, "." | ".."))
        {
            return Err(PathError::DotSegment);
        }
        Ok(Self { wire, key })
    }
}

/// Decodes one segment once, into its wire form and its bytes.
fn decode(raw: &str) -> Result<(String, Vec<u8>), PathError> {
    let (mut wire, mut bytes) = (
        String::with_capacity(raw.len()),
        Vec::with_capacity(raw.len()),
    );
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            if is_path_byte(byte) {
                wire.push(char::from(byte));
            } else {
                push_encoded(&mut wire, byte);
            }
            continue;
        }
        let decoded = hex_pair(rest.next(), rest.next()).ok_or(PathError::Percent)?;
        if decoded == b'/' {
            bytes.extend_from_slice(b"%2f");
        } else {
            bytes.push(decoded);
        }
        if is_unreserved(decoded) {
            wire.push(char::from(decoded));
        } else {
            push_encoded(&mut wire, decoded);
        }
    }
    Ok((wire, bytes))
}

fn push_encoded(wire: &mut String, byte: u8) {
    wire.push_str(percent_encoding::percent_encode_byte(byte));
}

fn hex_pair(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: Option<u8>| {
        char::from(byte?)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let (high, low) = (digit(high)?, digit(low)?);
    Some(high.checked_shl(4)? | low)
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What may stand in a path segment without encoding (RFC 3986 `pchar`).
const fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_have_one_reading() {
        for (raw, wire, key) in [
            ("/", "/", "/"),
            ("/a/b", "/a/b", "/a/b"),
            ("/a/b?x=1", "/a/b", "/a/b"),
            ("/a#frag", "/a", "/a"),
            ("//a///b", "/a/b", "/a/b"),
            ("///", "/", "/"),
            ("/a/", "/a/", "/a"),
            ("/A/b", "/A/b", "/a/b"),
            ("/a/%62", "/a/b", "/a/b"),
            ("/a/%62/", "/a/b/", "/a/b"),
            ("/a%2Fb", "/a%2Fb", "/a%2fb"),
            ("/a%2fb", "/a%2Fb", "/a%2fb"),
            ("/caf%c3%a9", "/caf%C3%A9", "/café"),
            ("/café", "/caf%C3%A9", "/café"),
            ("/É", "/%C3%89", "/é"),
            ("/a%3Fb", "/a%3Fb", "/a?b"),
            ("/a%3bb", "/a%3Bb", "/a;b"),
            ("/a;b", "/a;b", "/a;b"),
            ("/100%25", "/100%25", "/100%"),
            ("/%2562", "/%2562", "/%62"),
            ("/a b", "/a%20b", "/a b"),
            ("/...", "/...", "/..."),
            (
                "/.well-known/x402",
                "/.well-known/x402",
                "/.well-known/x402",
            ),
            ("/v1.2/a..b", "/v1.2/a..b", "/v1.2/a..b"),
            ("/\u{212A}", "/%E2%84%AA", "/k"),
        ] {
            let path = normalise_path(raw).unwrap();
            assert_eq!((path.wire(), path.key()), (wire, key), "{raw}");
        }
    }

    #[test]
    fn paths_with_two_readings_are_refused() {
        let long = format!("/{}", "a".repeat(PATH_BYTES_MAX));
        let grows = format!("/{}", "<".repeat(PATH_BYTES_MAX.div_ceil(3)));
        for (raw, error) in [
            (grows.as_str(), PathError::TooLong),
            ("", PathError::NotAbsolute),
            ("a", PathError::NotAbsolute),
            ("*", PathError::NotAbsolute),
            ("?x", PathError::NotAbsolute),
            (long.as_str(), PathError::TooLong),
            ("/.", PathError::DotSegment),
            ("/..", PathError::DotSegment),
            ("/a/../b", PathError::DotSegment),
            ("/a/./b", PathError::DotSegment),
            ("/a/..", PathError::DotSegment),
            ("/a/%2e%2e/b", PathError::DotSegment),
            ("/a/.%2E", PathError::DotSegment),
            ("/a/..%2fb", PathError::DotSegment),
            ("/a/b%2F..%2Fc", PathError::DotSegment),
            ("/a/..;/b", PathError::DotSegment),
            ("/a\\b", PathError::Backslash),
            ("/a%5Cb", PathError::Backslash),
            ("/a%00", PathError::Control),
            ("/a\0", PathError::Control),
            ("/a%0d%0a", PathError::Control),
            ("/a%", PathError::Percent),
            ("/a%6", PathError::Percent),
            ("/a%zz", PathError::Percent),
            ("/a%+1", PathError::Percent),
            ("/a%é1", PathError::Percent),
            ("/%ff", PathError::Utf8),
            ("/%c3", PathError::Utf8),
            ("/%c0%ae", PathError::Utf8),
        ] {
            assert_eq!(normalise_path(raw), Err(error), "{raw:?}");
        }
    }

    #[test]
    fn a_normal_path_is_not_copied() {
        for raw in ["/", "/joke", "/api/v1/items/42", "/a-b_c~d/e.f", "/a@b:c"] {
            let path = normalise_path(raw).unwrap();
            assert!(
                matches!(path.wire, Cow::Borrowed(_)) && matches!(path.key, Cow::Borrowed(_)),
                "{raw}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(raw in ".{0,64}") {
            drop(normalise_path(&raw));
        }

        #[test]
        fn reading_twice_changes_nothing(raw in "/[a-zA-Z%0-9./;é\\\\ ?-]{0,40}") {
            if let Ok(path) = normalise_path(&raw) {
                let again = normalise_path(path.wire()).unwrap();
                prop_assert_eq!(again.wire(), path.wire());
                prop_assert_eq!(again.key(), path.key());
            }
        }

        #[test]
        fn the_short_way_agrees_with_the_long_one(raw in "/[a-z./~%]{0,24}") {
            if is_normal(&raw) {
                for segment in raw.split('/').skip(1).filter(|_| raw.len() > 1) {
                    let segment_read = Segment::read(segment).unwrap();
                    prop_assert_eq!(&segment_read.wire, segment);
                    prop_assert_eq!(&segment_read.key, segment);
                    prop_assert!(!segment.is_empty());
                }
            }
        }
    }
}
