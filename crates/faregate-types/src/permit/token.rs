//! Access tokens, `P.M`: P is base64url of a JSON object with its members in order, M of a code over the text of P
//! (specs/permit.md §1.5). Every release of the product reads what we make, given the same key, and we read what it makes.
//!
//! There is one text of every token: padding and stray bits, which the product passes over, are refused. The product's own
//! claims bind a token to nothing; ours say what was paid for.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::decimal::Decimal;
use super::lax::{Member, Object};
use crate::code::Code;
use crate::id::PaymentId;
use crate::limits::ACCESS_TOKEN_BYTES_MAX;
use crate::mac::hmac_sha256;
use crate::timestamp::Timestamp;
use crate::x402::wire;

/// The key of the tokens of a gate: the product's `token_key`, a text of any length. Wiped when dropped.
///
/// ```
/// let key = faregate_types::permit::TokenKey::new("x402mock_private_key_test".to_owned()).unwrap();
/// assert_eq!(format!("{key:?}"), "TokenKey(redacted)");
/// ```
pub struct TokenKey(Zeroizing<Vec<u8>>);

/// An empty text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a key that is not empty")]
#[non_exhaustive]
pub struct TokenKeyError;

impl TokenKey {
    /// Takes the text over: its UTF-8 bytes are the key.
    ///
    /// # Errors
    /// [`TokenKeyError`]: with an empty key anybody could make tokens.
    pub fn new(text: String) -> Result<Self, TokenKeyError> {
        let bytes = Zeroizing::new(text.into_bytes());
        if bytes.is_empty() {
            Err(TokenKeyError)
        } else {
            Ok(Self(bytes))
        }
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(redacted)")
    }
}

/// What a token says. The first three are the product's, the others bind the token to what was paid for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that the gate builds by literal"
)]
pub struct Claims {
    /// The last second in which it is valid.
    pub exp: Timestamp,
    /// When it was made.
    pub iat: Option<Timestamp>,
    /// 16 random bytes in base64url.
    pub nonce: Option<String>,
    /// Which service it is for.
    pub aud: Option<String>,
    /// Which route, as the seller writes it.
    pub route: Option<String>,
    /// Which method.
    pub method: Option<String>,
    /// Which quote was paid.
    pub quote: Option<String>,
    /// Who paid: a checksummed address.
    pub payer: Option<String>,
    /// How much, in atomic units.
    pub amount: Option<String>,
    /// Of what: a CAIP-19 name.
    pub asset: Option<String>,
    /// Which payment: tokens are revoked by it.
    pub jti: Option<String>,
}

/// What a token of ours has to be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that every edge builds by literal"
)]
pub struct Bound<'a> {
    /// The service.
    pub aud: &'a str,
    /// The route that matched.
    pub route: &'a str,
    /// The method.
    pub method: &'a str,
}

/// A token whose code is right and that has not expired.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessToken {
    /// What we understand of it.
    pub claims: Claims,
    /// Everything it says, a JSON object as it was signed: what handlers of the product get.
    pub payload: Box<str>,
}

/// Why a token opens nothing. The texts are the product's and stand in `reason` of the 402 answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// No `Authorization`, or an empty one.
    #[error("Missing authorization token")]
    Missing,
    /// Not two words, or the first is not `Bearer`.
    #[error("Invalid authorization header format")]
    Header,
    /// Not two parts in strict base64url, or the payload is not what it should be: here the product hangs.
    #[error("Invalid token format")]
    Malformed,
    /// Made by somebody else, or changed.
    #[error("Signature verification failed")]
    Forged,
    /// After its last second.
    #[error("Token has expired")]
    Expired,
    /// It is for something else. The product has no such check.
    #[error("Token is not valid for this resource")]
    Elsewhere,
    /// Its payment failed after the token was issued.
    #[error("Token has been revoked")]
    Revoked,
}

impl TokenError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Missing => Code::AccessTokenMissing,
            Self::Header | Self::Malformed => Code::AccessTokenMalformed,
            Self::Forged => Code::AccessTokenForged,
            Self::Expired => Code::AccessTokenExpired,
            Self::Elsewhere => Code::AccessTokenElsewhere,
            Self::Revoked => Code::AccessTokenRevoked,
        }
    }
}

/// Makes a token.
///
/// ```
/// use faregate_types::Timestamp;
/// use faregate_types::permit::{Claims, TokenKey, token};
///
/// let key = TokenKey::new("secret".to_owned()).unwrap();
/// let claims = Claims { exp: Timestamp::from_secs(2_000), ..Claims::default() };
/// let text = token::mint(&key, &claims);
/// assert_eq!(token::verify(&text, &key, Timestamp::from_secs(2_000)).unwrap().claims, claims);
/// assert!(token::verify(&text, &key, Timestamp::from_secs(2_001)).is_err());
/// ```
#[must_use]
pub fn mint(key: &TokenKey, claims: &Claims) -> String {
    let payload = URL_SAFE_NO_PAD.encode(claims.to_json());
    let code = hmac_sha256(&key.0, &[payload.as_bytes()]);
    format!("{payload}.{}", URL_SAFE_NO_PAD.encode(code))
}

/// 16 bytes that nobody without the key can guess, always the same for one payment: a token can be made again whenever its
/// payer asks for it once more.
#[must_use]
pub fn nonce(key: &TokenKey, payment: &PaymentId) -> String {
    let code = hmac_sha256(&key.0, &[b"faregate/token-nonce/1", payment.as_bytes()]);
    let (half, _) = code.split_at(16);
    URL_SAFE_NO_PAD.encode(half)
}

/// What a token says, whoever made it and whenever it ends: for looking at, never for deciding.
///
/// # Errors
/// [`TokenError::Malformed`].
pub fn peek(text: &str) -> Result<AccessToken, TokenError> {
    if text.len() > ACCESS_TOKEN_BYTES_MAX {
        return Err(TokenError::Malformed);
    }
    let (payload, code) = text.split_once('.').ok_or(TokenError::Malformed)?;
    let code = URL_SAFE_NO_PAD.decode(code);
    let json = URL_SAFE_NO_PAD.decode(payload);
    match (json, code) {
        (Ok(json), Ok(_)) => AccessToken::read(json).ok_or(TokenError::Malformed),
        _ => Err(TokenError::Malformed),
    }
}

/// Checks a token: form, code, time, in this order.
///
/// # Errors
/// [`TokenError::Malformed`], [`TokenError::Forged`] or [`TokenError::Expired`]. What it is for is another question, see
/// [`Claims::check`].
pub fn verify(text: &str, key: &TokenKey, now: Timestamp) -> Result<AccessToken, TokenError> {
    if text.len() > ACCESS_TOKEN_BYTES_MAX {
        return Err(TokenError::Malformed);
    }
    let (payload, code) = text.split_once('.').ok_or(TokenError::Malformed)?;
    let theirs = URL_SAFE_NO_PAD
        .decode(code)
        .map_err(|_| TokenError::Malformed)?;
    let ours = hmac_sha256(&key.0, &[payload.as_bytes()]);
    if !bool::from(ours.as_slice().ct_eq(&theirs)) {
        return Err(TokenError::Forged);
    }
    let json = URL_SAFE_NO_PAD
        .decode(payload)
        .map_err(|_| TokenError::Malformed)?;
    let token = AccessToken::read(json).ok_or(TokenError::Malformed)?;
    if now > token.claims.exp {
        return Err(TokenError::Expired);
    }
    Ok(token)
}

impl AccessToken {
    /// Reads a payload once; this is done for every request. A time may be a float in the product's tokens, and none is made
    /// of it here.
    fn read(json: Vec<u8>) -> Option<Self> {
        let payload = String::from_utf8(json).ok()?;
        let members = Object::read(payload.as_bytes())?;
        let time = |name: &str| {
            let raw = members.get(name)?.raw().get();
            Decimal::parse(raw).ok()?.floor().map(Timestamp::from_secs)
        };
        let text = |name: &str| members.get(name).and_then(Member::text);
        let claims = Claims {
            exp: time("exp")?,
            iat: time("iat"),
            nonce: text("nonce"),
            aud: text("aud"),
            route: text("route"),
            method: text("method"),
            quote: text("quote"),
            payer: text("payer"),
            amount: text("amount"),
            asset: text("asset"),
            jti: text("jti"),
        };
        Some(Self {
            claims,
            payload: payload.into(),
        })
    }
}

impl Claims {
    /// Whether the token is for this service and route, and for the method if it names one. A token that does not say so opens
    /// nothing here; `HEAD` is asked for like `GET`.
    ///
    /// # Errors
    /// [`TokenError::Elsewhere`].
    pub fn check(&self, bound: &Bound<'_>) -> Result<(), TokenError> {
        let method_fits = self.method.as_deref().is_none_or(|method| {
            method == bound.method || (bound.method == "HEAD" && method == "GET")
        });
        if method_fits
            && self.aud.as_deref() == Some(bound.aud)
            && self.route.as_deref() == Some(bound.route)
        {
            Ok(())
        } else {
            Err(TokenError::Elsewhere)
        }
    }

    /// The JSON object that is signed: members sorted by name, no blanks.
    fn to_json(&self) -> String {
        let texts = [
            ("amount", &self.amount),
            ("asset", &self.asset),
            ("aud", &self.aud),
            ("jti", &self.jti),
            ("method", &self.method),
            ("nonce", &self.nonce),
            ("payer", &self.payer),
            ("quote", &self.quote),
            ("route", &self.route),
        ];
        let texts = texts
            .into_iter()
            .filter_map(|(name, text)| Some((name, Value::from(text.as_deref()?))));
        let mut members: BTreeMap<&str, Value> = texts.collect();
        members.insert("exp", Value::from(self.exp.as_secs()));
        if let Some(iat) = self.iat {
            members.insert("iat", Value::from(iat.as_secs()));
        }
        wire::to_json(&members)
    }
}
