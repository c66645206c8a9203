//! `Authorization: Bearer P.M` (specs/permit.md §1.5). Whatever is in it, there is an answer.

use super::token::{AccessToken, TokenError, TokenKey, verify};
use crate::limits::{ACCESS_TOKENS_MAX, HEADER_BYTES_MAX};
use crate::timestamp::Timestamp;

/// The token in one `Authorization` value.
///
/// # Errors
/// [`TokenError::Missing`] for an empty one, [`TokenError::Header`] for everything that is not `Bearer` and one word.
pub fn read(value: &[u8]) -> Result<&str, TokenError> {
    if value.is_empty() {
        return Err(TokenError::Missing);
    }
    let value = std::str::from_utf8(value)
        .ok()
        .filter(|text| text.len() <= HEADER_BYTES_MAX)
        .ok_or(TokenError::Header)?;
    let mut words = value.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(scheme), Some(token), None) if scheme.eq_ignore_ascii_case("bearer") => Ok(token),
        _ => Err(TokenError::Header),
    }
}

/// Checks all `Authorization` values of a request: one good token is enough. Clients of the product that were given a
/// header of their own send two lines.
///
/// # Errors
/// What is wrong with the first token, or with the first line when none has a token. At most [`ACCESS_TOKENS_MAX`] lines
/// are looked at.
pub fn check<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
    key: &TokenKey,
    now: Timestamp,
) -> Result<AccessToken, TokenError> {
    let mut first = None;
    for value in values.into_iter().take(ACCESS_TOKENS_MAX) {
        let error = match read(value).and_then(|token| verify(token, key, now)) {
            Ok(token) => return Ok(token),
            Err(error) => error,
        };
        let is_about_a_line =
            |error: &TokenError| matches!(error, TokenError::Missing | TokenError::Header);
        if first.is_none_or(|before| is_about_a_line(&before) && !is_about_a_line(&error)) {
            first = Some(error);
        }
    }
    Err(first.unwrap_or(TokenError::Missing))
}
