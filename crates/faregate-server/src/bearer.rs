//! Keys in `Authorization: Bearer …`.

use std::fmt;

use faregate_types::{Code, Problem};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::{Env, SecretError, SecretSource};
use crate::limits::{CALLER_KEY_CHARS_MAX, CALLER_KEY_CHARS_MIN};

/// What is kept of a key: enough to recognise it, not enough to use it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BearerKey([u8; 32]);

impl fmt::Debug for BearerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerKey(hashed)")
    }
}

impl BearerKey {
    /// Fetches a key.
    ///
    /// # Errors
    /// [`SecretError`] when it is not there, or too short to be safe.
    pub(crate) fn load(source: &SecretSource, env: &Env) -> Result<Self, SecretError> {
        let secret = source.load(env)?;
        let length = secret.expose().len();
        let fit = (CALLER_KEY_CHARS_MIN..=CALLER_KEY_CHARS_MAX).contains(&length)
            && secret.expose().iter().all(u8::is_ascii_graphic);
        if fit {
            Ok(Self(Sha256::digest(secret.expose()).into()))
        } else {
            Err(SecretError::NotABearerKey { at: source.clone() })
        }
    }

    /// The key of the one `Authorization` header. Two headers are none: who reads which is anybody's guess.
    ///
    /// # Errors
    /// The answer to somebody without one.
    pub(crate) fn shown(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(key) = bearer(headers) else {
            let detail = "expected the header Authorization: Bearer and a key";
            return Err(Problem::new(Code::Unauthorized).detail(detail));
        };
        Ok(Self(Sha256::digest(key).into()))
    }

    /// Compares in constant time.
    pub(crate) fn is(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

/// The key itself, if there is one.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        return None;
    };
    let (scheme, key) = value.as_bytes().split_at_checked(b"Bearer ".len())?;
    let key = key.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && key.len() <= CALLER_KEY_CHARS_MAX).then_some(key)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_bearer_key_is_read_from_one_header() {
        let key = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            bearer(&headers).map(<[u8]>::to_vec)
        };
        assert_eq!(key(&["Bearer abc"]), Some(b"abc".to_vec()));
        assert_eq!(key(&["bearer  abc "]), Some(b"abc".to_vec()));
        assert_eq!(key(&[]), None);
        assert_eq!(key(&["Basic abc"]), None);
        assert_eq!(key(&["Bearer"]), None);
        assert_eq!(key(&["Bearer abc", "Bearer abc"]), None);
    }
}
