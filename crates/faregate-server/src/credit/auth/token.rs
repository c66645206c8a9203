//! Access tokens: JSON Web Tokens with HMAC-SHA256 (RFC 7515, 7519), and nothing else.
//!
//! Made with `hmac` and `sha2`, which are here anyway: one algorithm that nobody can choose is a few lines, while the crates
//! for all of them bring RSA and elliptic curves, or a C library, for keys that this service will never have.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use faregate_types::{Address, Timestamp};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::role::{Role, Scopes};
use crate::limits::CREDIT_TOKEN_BYTES_MAX;

/// The head of every token we make, and the only one we take, whatever its spelling.
const HEAD: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// How far the clocks of several machines may be apart, in seconds.
const LEEWAY_SECS: u64 = 5;

/// The secret that access tokens are signed with. Everybody who has it can be anybody.
#[derive(Clone)]
pub struct TokenKey(Zeroizing<[u8; BLOCK]>);

/// Bytes of a block of the hash.
const BLOCK: usize = 64;

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(redacted)")
    }
}

impl TokenKey {
    /// Shortest secret, in bytes: what HMAC-SHA256 can make use of.
    pub const BYTES_MIN: usize = 32;

    /// A key of these bytes; `None` when they are fewer than [`BYTES_MIN`](Self::BYTES_MIN).
    #[must_use]
    pub fn new(secret: &[u8]) -> Option<Self> {
        if secret.len() < Self::BYTES_MIN {
            return None;
        }
        // HMAC's own rule for keys that do not fit one block of the hash, written out because it cannot fail so.
        let mut block = Zeroizing::new([0; BLOCK]);
        let hashed = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(secret)));
        let bytes = if secret.len() > BLOCK {
            hashed.as_slice()
        } else {
            secret
        };
        for (slot, byte) in block.iter_mut().zip(bytes) {
            *slot = *byte;
        }
        Some(Self(block))
    }

    /// The code of the parts, each preceded by its length, under a name that keeps purposes apart.
    pub(super) fn code(&self, purpose: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.mac();
        for part in [&[purpose], parts].concat() {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    fn mac(&self) -> Hmac<Sha256> {
        Hmac::new((&*self.0).into())
    }
}

/// What an access token says (specs/4mica.md §1.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// Whose it is, in lower case.
    sub: String,
    role: Role,
    scopes: Scopes,
    iss: String,
    aud: String,
    iat: u64,
    exp: u64,
    nbf: u64,
    jti: String,
    chain_id: u64,
}

/// Who gives tokens out, and for whom.
#[derive(Clone, Debug)]
pub(super) struct Issuer {
    pub(super) key: TokenKey,
    pub(super) name: Box<str>,
    pub(super) audience: Box<str>,
    pub(super) chain_id: u64,
    pub(super) ttl_secs: u64,
}

/// Why a token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenFault {
    /// Not ours, changed, or over.
    Invalid,
    /// Ours, for another chain.
    Chain,
}

impl Issuer {
    /// A token for `wallet` from now on.
    pub(super) fn issue(
        &self,
        wallet: Address,
        role: Role,
        scopes: Scopes,
        jti: String,
        now: Timestamp,
    ) -> String {
        let now = now.as_secs();
        let claims = Claims {
            sub: format!("{wallet:#x}"),
            role,
            scopes,
            iss: self.name.clone().into(),
            aud: self.audience.clone().into(),
            iat: now,
            exp: now.saturating_add(self.ttl_secs),
            nbf: now,
            jti,
            chain_id: self.chain_id,
        };
        // Numbers, texts and lists of them can always be written.
        let claims = serde_json::to_vec(&claims).unwrap_or_default();
        let (head, claims) = (URL_SAFE_NO_PAD.encode(HEAD), URL_SAFE_NO_PAD.encode(claims));
        let signed = format!("{head}.{claims}");
        let mut mac = self.key.mac();
        mac.update(signed.as_bytes());
        let code = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        format!("{signed}.{code}")
    }

    /// Whose token this is, and what it allows.
    ///
    /// # Errors
    /// [`TokenFault`].
    pub(super) fn read(
        &self,
        token: &[u8],
        now: Timestamp,
    ) -> Result<(Address, Scopes), TokenFault> {
        let claims = self.claims(token).ok_or(TokenFault::Invalid)?;
        let now = now.as_secs();
        let fresh = claims.exp > now
            && claims.nbf <= now.saturating_add(LEEWAY_SECS)
            && claims.iat <= now.saturating_add(LEEWAY_SECS);
        if !fresh || *claims.iss != *self.name || *claims.aud != *self.audience {
            return Err(TokenFault::Invalid);
        }
        if claims.chain_id != self.chain_id {
            return Err(TokenFault::Chain);
        }
        let wallet = claims.sub.parse().map_err(|_| TokenFault::Invalid)?;
        Ok((wallet, claims.scopes))
    }

    /// The code comes first: nothing is parsed that is not ours.
    fn claims(&self, token: &[u8]) -> Option<Claims> {
        if token.len() > CREDIT_TOKEN_BYTES_MAX {
            return None;
        }
        let mut parts = token.rsplitn(2, |byte| *byte == b'.');
        let (code, signed) = (parts.next()?, parts.next()?);
        let code = URL_SAFE_NO_PAD.decode(code).ok()?;
        let mut mac = self.key.mac();
        mac.update(signed);
        mac.verify_slice(&code).ok()?;
        let mut parts = signed.splitn(2, |byte| *byte == b'.');
        let (head, claims) = (parts.next()?, parts.next()?);
        let head: serde_json::Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).ok()?).ok()?;
        if head.get("alg")?.as_str()? != "HS256" {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(secret: u8) -> Issuer {
        Issuer {
            key: TokenKey::new(&[secret; 32]).unwrap(),
            name: "4mica-core".into(),
            audience: "4mica".into(),
            chain_id: 84_532,
            ttl_secs: 900,
        }
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + secs)
    }

    fn wallet() -> Address {
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
            .parse()
            .unwrap()
    }

    fn token() -> String {
        let id = "6f1c".to_owned();
        issuer(1).issue(wallet(), Role::User, Scopes::default(), id, at(0))
    }

    #[test]
    fn a_token_says_who_and_for_how_long() {
        let token = token();
        let claims = token.split('.').nth(1).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        let expected = serde_json::json!({
            "sub": "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266", "role": "user",
            "scopes": ["guarantee:issue", "tab:create", "tab:read"], "iss": "4mica-core", "aud": "4mica",
            "iat": 1_700_000_000, "exp": 1_700_000_900, "nbf": 1_700_000_000, "jti": "6f1c", "chain_id": 84_532,
        });
        assert_eq!(claims, expected);
        let read = |secs| issuer(1).read(token.as_bytes(), at(secs));
        assert_eq!(read(0), Ok((wallet(), Scopes::default())));
        assert_eq!(read(899), Ok((wallet(), Scopes::default())));
        assert_eq!(read(900), Err(TokenFault::Invalid));
        let early = Timestamp::from_secs(1_699_999_990);
        assert_eq!(
            issuer(1).read(token.as_bytes(), early),
            Err(TokenFault::Invalid)
        );
    }

    #[test]
    fn no_changed_token_counts() {
        let token = token();
        for index in 0..token.len() {
            for bit in [1, 2, 0x20] {
                let mut changed = token.clone().into_bytes();
                changed[index] ^= bit;
                assert!(issuer(1).read(&changed, at(0)).is_err(), "{index}");
            }
        }
        for length in 0..token.len() {
            assert!(issuer(1).read(&token.as_bytes()[..length], at(0)).is_err());
        }
    }

    #[test]
    fn tokens_of_others_do_not_count() {
        let token = token();
        let read = |issuer: &Issuer| issuer.read(token.as_bytes(), at(0));
        assert_eq!(read(&issuer(2)), Err(TokenFault::Invalid));
        let other = Issuer {
            name: "somebody".into(),
            ..issuer(1)
        };
        assert_eq!(read(&other), Err(TokenFault::Invalid));
        let other = Issuer {
            audience: "others".into(),
            ..issuer(1)
        };
        assert_eq!(read(&other), Err(TokenFault::Invalid));
        let other = Issuer {
            chain_id: 1,
            ..issuer(1)
        };
        assert_eq!(read(&other), Err(TokenFault::Chain));
    }

    #[test]
    fn a_token_cannot_choose_how_it_is_checked() {
        let signed_as = |head: &str| {
            let token = token();
            let claims = token.split('.').nth(1).unwrap();
            let signed = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(head));
            let mut mac = issuer(1).key.mac();
            mac.update(signed.as_bytes());
            let code = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
            issuer(1).read(format!("{signed}.{code}").as_bytes(), at(0))
        };
        assert!(signed_as(r#"{"typ":"JWT","alg":"HS256"}"#).is_ok());
        assert!(signed_as(r#"{"alg":"none"}"#).is_err());
        assert!(signed_as(r#"{"alg":"HS512"}"#).is_err());
        let token = token();
        let (signed, _) = token.rsplit_once('.').unwrap();
        assert!(
            issuer(1)
                .read(format!("{signed}.").as_bytes(), at(0))
                .is_err()
        );
    }

    #[test]
    fn a_known_token_is_read() {
        // RFC 7515, A.1: its key makes its code. Its claims are not ours, so only the code can be compared.
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let key = TokenKey::new(&URL_SAFE_NO_PAD.decode(key).unwrap()).unwrap();
        let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
            eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let mut mac = key.mac();
        mac.update(signed.as_bytes());
        assert_eq!(
            URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()),
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        );
    }

    #[test]
    fn a_short_secret_is_refused_and_none_is_shown() {
        assert!(TokenKey::new(&[7; 31]).is_none());
        assert_eq!(format!("{:?}", issuer(7).key), "TokenKey(redacted)");
    }
}
