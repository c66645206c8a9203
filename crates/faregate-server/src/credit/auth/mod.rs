//! Who is calling: signing in with a wallet, access tokens, and what comes of both (specs/4mica.md §1.5).
//!
//! | question | where |
//! |---|---|
//! | is this nonce one that we gave to this wallet | `nonce` |
//! | is this access token ours, and whose | `token` |
//! | which refresh token comes next, and what a used one means | `session` |
//! | what may this wallet do | `role` |

mod nonce;
mod role;
mod session;
mod token;

use std::sync::Arc;

use faregate_core::port::Away;
use faregate_core::port::access::{ContractWallets, Recover};
use faregate_types::credit::api::{Hidden, VerifyRequest};
use faregate_types::credit::api::{LoggedOut, NonceAnswer, NonceRequest, RefreshRequest, Tokens};
use faregate_types::credit::signin::Asked;
use faregate_types::credit::{DateText, SignIn, SignInError, SignInTemplate, parse_signature};
use faregate_types::{Address, ChainId, Timestamp};
use http::HeaderMap;
use http::header::AUTHORIZATION;

pub use role::{Role, Scope, Scopes, Standing};
pub use token::TokenKey;

use super::refusal::Refusal;
use super::{Call, Parts, Said, chance, message};
use crate::limits::CREDIT_SIGNATURE_BYTES_MAX;
use role::Standings;
use token::{Issuer, TokenFault};

/// How wallets sign in.
#[derive(Clone, Debug)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that configuration code builds by literal"
)]
pub struct AuthSettings {
    /// Whether callers have to. If not, who shows no token may do everything that a recipient and a facilitator may: for SDK
    /// 0.4.3, which knows no tokens.
    pub required: bool,
    /// Signs access tokens.
    pub key: TokenKey,
    /// Who gives them out: `iss`.
    pub issuer: Box<str>,
    /// For whom: `aud`.
    pub audience: Box<str>,
    /// The host of the service, as wallets show it.
    pub domain: Box<str>,
    /// What is signed in to.
    pub uri: Box<str>,
    /// What people read when they sign.
    pub statement: Box<str>,
    /// How long a nonce is good, in seconds.
    pub nonce_ttl_secs: u64,
    /// How long an access token is good, in seconds. SDK 1.1.1 asks for a new one a minute before its end.
    pub access_ttl_secs: u64,
    /// How long a refresh token is good, in seconds.
    pub refresh_ttl_secs: u64,
    /// Wallets that are more, or less, than users with all scopes.
    pub wallets: Vec<(Address, Standing)>,
}

/// What signing in needs. Shared by all calls.
pub(super) struct Auth {
    issuer: Issuer,
    required: bool,
    domain: Box<str>,
    uri: Box<str>,
    statement: Box<str>,
    chain: ChainId,
    nonce_ttl_secs: u64,
    refresh_ttl_secs: u64,
    standings: Standings,
    recover: Recover,
    contracts: Option<Arc<dyn ContractWallets>>,
}

/// Whoever calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Somebody without a token, where none is required.
    Anyone,
    /// A wallet that has signed in.
    Wallet { address: Address, role: Role },
}

impl Caller {
    /// True for the operator's people.
    pub(super) fn is_admin(self) -> bool {
        matches!(
            self,
            Self::Wallet {
                role: Role::Admin,
                ..
            }
        )
    }

    /// True for whoever may do this for anybody: a facilitator, and everybody where nobody signs in.
    pub(super) const fn acts_for_others(self) -> bool {
        matches!(
            self,
            Self::Anyone
                | Self::Wallet {
                    role: Role::Facilitator,
                    ..
                }
        )
    }

    /// True when it is this wallet.
    pub(super) fn is(self, wallet: Address) -> bool {
        matches!(self, Self::Wallet { address, .. } if address == wallet)
    }
}

impl Auth {
    pub(super) fn new(
        settings: AuthSettings,
        chain: ChainId,
        recover: Recover,
        contracts: Option<Arc<dyn ContractWallets>>,
    ) -> Self {
        Self {
            issuer: Issuer {
                key: settings.key,
                name: settings.issuer,
                audience: settings.audience,
                chain_id: chain.get(),
                ttl_secs: settings.access_ttl_secs,
            },
            required: settings.required,
            domain: settings.domain,
            uri: settings.uri,
            statement: settings.statement,
            chain,
            nonce_ttl_secs: settings.nonce_ttl_secs,
            refresh_ttl_secs: settings.refresh_ttl_secs,
            standings: settings.wallets.into_iter().collect(),
            recover,
            contracts,
        }
    }

    /// Who calls, and that they have this scope.
    ///
    /// # Errors
    /// The answer to who may not: 401 when nobody knows who it is, 403 when it is known.
    pub(super) fn caller(
        &self,
        headers: &HeaderMap,
        scope: Option<Scope>,
        now: Timestamp,
    ) -> Result<Caller, Refusal> {
        let Some(token) = bearer(headers)? else {
            return if self.required {
                Err(Refusal::unauthorized("missing authorization"))
            } else {
                Ok(Caller::Anyone)
            };
        };
        let read = self.issuer.read(token, now).map_err(|fault| match fault {
            TokenFault::Invalid => Refusal::unauthorized("invalid access token"),
            TokenFault::Chain => Refusal::unauthorized("invalid chain id"),
        });
        let (address, allowed) = read?;
        // What the file says counts from the next start on, whatever tokens from before say.
        let standing = self.standing(address)?;
        let allowed = allowed.and(standing.scopes);
        if scope.is_some_and(|scope| !allowed.has(scope)) {
            return Err(Refusal::forbidden("missing scope"));
        }
        Ok(Caller::Wallet {
            address,
            role: standing.role,
        })
    }

    fn standing(&self, wallet: Address) -> Result<Standing, Refusal> {
        let standing = self.standings.get(&wallet).copied().unwrap_or_default();
        if standing.barred {
            return Err(Refusal::forbidden("wallet is not active"));
        }
        Ok(standing)
    }

    /// Tokens for a session whose refresh token this is.
    fn tokens(&self, wallet: Address, refresh: Hidden, now: Timestamp) -> Result<Tokens, Refusal> {
        let standing = self.standing(wallet)?;
        let jti = faregate_types::credit::to_uuid(chance()?);
        let access = self
            .issuer
            .issue(wallet, standing.role, standing.scopes, jti, now);
        Ok(Tokens {
            access_token: Hidden::new(access),
            refresh_token: refresh,
            expires_in: self.issuer.ttl_secs,
        })
    }

    /// Whether this wallet signed this message.
    async fn signed(
        &self,
        wallet: Address,
        message: &SignIn,
        signature: &[u8],
    ) -> Result<bool, Away> {
        let digest = message.digest();
        let by_key = parse_signature(signature).ok();
        if by_key.and_then(|signature| (self.recover)(digest, &signature)) == Some(wallet) {
            return Ok(true);
        }
        match &self.contracts {
            Some(contracts) if signature.len() <= CREDIT_SIGNATURE_BYTES_MAX => {
                contracts.signed(wallet, digest, signature).await
            }
            _ => Ok(false),
        }
    }
}

/// The token of the one `Authorization` header; two are none.
fn bearer(headers: &HeaderMap) -> Result<Option<&[u8]>, Refusal> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = all.next() else {
        return Ok(None);
    };
    if all.next().is_some() {
        return Err(Refusal::unauthorized("invalid authorization"));
    }
    let Some((scheme, token)) = value.as_bytes().split_at_checked(b"Bearer ".len()) else {
        return Err(Refusal::unauthorized("missing bearer token"));
    };
    let token = token.trim_ascii();
    if !scheme.eq_ignore_ascii_case(b"Bearer ") || token.is_empty() {
        return Err(Refusal::unauthorized("missing bearer token"));
    }
    Ok(Some(token))
}

/// `POST /auth/nonce`.
pub(super) async fn nonce(parts: Arc<Parts>, call: Call) -> Said {
    let asked: NonceRequest = call.message()?;
    let (auth, now) = (&parts.auth, parts.clock.now());
    let nonce = nonce::make(&auth.issuer.key, asked.address, now, chance()?);
    let expiration = now
        .checked_add_secs(auth.nonce_ttl_secs)
        .ok_or_else(Refusal::internal)?;
    Ok(message(&NonceAnswer {
        nonce,
        siwe: SignInTemplate {
            domain: auth.domain.clone().into(),
            uri: auth.uri.clone().into(),
            chain_id: auth.chain.get(),
            statement: auth.statement.clone().into(),
            expiration: DateText::from(expiration),
            issued_at: DateText::from(now),
        },
    }))
}

/// `POST /auth/verify`.
pub(super) async fn verify(parts: Arc<Parts>, call: Call) -> Said {
    let asked: VerifyRequest = call.message()?;
    let (auth, now) = (&parts.auth, parts.clock.now());
    let read = SignIn::parse(&asked.message).map_err(refused)?;
    let expected = Asked {
        address: asked.address,
        domain: &auth.domain,
        uri: &auth.uri,
        chain: auth.chain,
        statement: &auth.statement,
        now,
        nonce_ttl: auth.nonce_ttl_secs,
    };
    read.check(&expected).map_err(refused)?;
    let given = nonce::given_at(&auth.issuer.key, asked.address, &read.nonce);
    let given = given.ok_or_else(|| Refusal::unauthorized("invalid nonce"))?;
    let until = given
        .checked_add_secs(auth.nonce_ttl_secs)
        .filter(|until| *until > now)
        .ok_or_else(|| Refusal::unauthorized("nonce expired"))?;
    if !auth.signed(asked.address, &read, &asked.signature).await? {
        return Err(Refusal::unauthorized("invalid signature"));
    }
    auth.standing(asked.address)?;
    parts.rates.sign_in(asked.address)?;
    let refresh = session::begin(&parts, asked.address, &read.nonce, until, now).await?;
    Ok(message(&auth.tokens(asked.address, refresh, now)?))
}

fn refused(error: SignInError) -> Refusal {
    match error {
        SignInError::Malformed(_) => Refusal::bad(error.to_string()),
        _ => Refusal::unauthorized(error.to_string()),
    }
}

/// `POST /auth/refresh`.
pub(super) async fn refresh(parts: Arc<Parts>, call: Call) -> Said {
    let asked: RefreshRequest = call.message()?;
    let now = parts.clock.now();
    let (wallet, next) = session::rotate(&parts, asked.refresh_token.expose(), now).await?;
    Ok(message(&parts.auth.tokens(wallet, next, now)?))
}

/// `POST /auth/logout`.
pub(super) async fn logout(parts: Arc<Parts>, call: Call) -> Said {
    let asked: RefreshRequest = call.message()?;
    let revoked = session::end(&parts, asked.refresh_token.expose()).await?;
    Ok(message(&LoggedOut { revoked }))
}
