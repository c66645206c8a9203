//! Signing in with the key, and staying signed in.
//!
//! Whoever finds no good token takes the turn to get one; the others wait and use what it got. A refresh token is taken out
//! of the session before it is shown: shown twice, it would end the session, because to the service it looks stolen.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use faregate_evm::Signer;
use faregate_types::credit::api::{
    Hidden, LoggedOut, NonceAnswer, NonceRequest, RefreshRequest, Tokens, VerifyRequest,
};
use faregate_types::credit::{SignIn, write};
use faregate_types::{Bytes, ChainId, eip191};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use super::error::{ConfigFault, CreditError, NoAnswer, SignInFault};
use super::http::{Again, Call, Caller, Service, is_this_machine};

/// A session, or the wish for one.
pub(super) struct Session {
    service: Service,
    signer: Arc<dyn Signer>,
    /// Whom a message may sign in to, if it is not who is asked.
    domain: Option<Box<str>>,
    /// Where the service is supposed to be.
    chain: Option<ChainId>,
    margin: Duration,
    turn: Semaphore,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    access: Option<Access>,
    refresh: Option<Hidden>,
}

#[derive(Clone)]
struct Access {
    token: Hidden,
    /// When another one is due.
    due: Instant,
    end: Instant,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("address", &self.signer.address())
            .finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(
        service: Service,
        signer: Arc<dyn Signer>,
        domain: Option<Box<str>>,
        chain: Option<ChainId>,
        margin: Duration,
    ) -> Self {
        Self {
            service,
            signer,
            domain,
            chain,
            margin,
            turn: Semaphore::new(1),
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self) -> Option<Hidden> {
        let held = self.held();
        let access = held.access.as_ref()?;
        (Instant::now() < access.due).then(|| access.token.clone())
    }

    /// A token that is good for a while: the one there is, a refreshed one, or that of a new sign-in.
    pub(super) async fn token(&self) -> Result<Hidden, CreditError> {
        if let Some(token) = self.fresh() {
            return Ok(token);
        }
        // Never closed.
        let _turn = self.turn.acquire().await;
        if let Some(token) = self.fresh() {
            return Ok(token);
        }
        self.renew().await
    }

    /// This token was not taken: the next one comes from a new sign-in, unless there is a newer one already.
    pub(super) fn not_taken(&self, token: &Hidden) {
        let mut held = self.held();
        if held
            .access
            .as_ref()
            .is_some_and(|access| access.token == *token)
        {
            *held = Held::default();
        }
    }

    async fn renew(&self) -> Result<Hidden, CreditError> {
        let refresh = self.held().refresh.take();
        let Some(refresh) = refresh else {
            return self.sign_in().await;
        };
        let request = RefreshRequest {
            refresh_token: refresh.clone(),
        };
        let answer = self.post::<Tokens>("auth/refresh", write(&request), Again::Never);
        match answer.await {
            Ok(tokens) => Ok(self.hold(tokens)),
            // It was not shown, or not looked at: it is still good, and so may be the token.
            Err(error) if was_not_looked_at(&error) => {
                let mut held = self.held();
                held.refresh.get_or_insert(refresh);
                match &held.access {
                    Some(access) if Instant::now() < access.end => Ok(access.token.clone()),
                    _ => Err(error),
                }
            }
            // Refused, or perhaps used up.
            Err(_) => self.sign_in().await,
        }
    }

    async fn sign_in(&self) -> Result<Hidden, CreditError> {
        let address = self.signer.address();
        let request = NonceRequest { address };
        let answer: NonceAnswer = self
            .post("auth/nonce", write(&request), Again::Always)
            .await?;
        let message = SignIn {
            address,
            nonce: answer.nonce,
            template: answer.siwe,
        };
        let text = message.checked_text().map_err(SignInFault::Message)?;
        self.check(&message)?;
        let signature = self
            .signer
            .sign_digest(eip191::digest(text.as_bytes()))
            .await?;
        let request = VerifyRequest {
            address,
            message: text,
            signature: Bytes::copy_from_slice(&signature.to_bytes()),
        };
        // A nonce is good once.
        let tokens = self.post::<Tokens>("auth/verify", write(&request), Again::Never);
        Ok(self.hold(tokens.await?))
    }

    /// A signature for one service is not given to another that asks for it.
    fn check(&self, message: &SignIn) -> Result<(), SignInFault> {
        let template = &message.template;
        if self
            .chain
            .is_some_and(|chain| chain.get() != template.chain_id)
        {
            return Err(SignInFault::Chain);
        }
        let uri = template
            .uri
            .parse::<Url>()
            .map_err(|_| SignInFault::Domain)?;
        let names = |domain: &str| {
            domain.eq_ignore_ascii_case(&template.domain)
                && uri.host_str().is_some_and(|host| is_host_of(host, domain))
        };
        let is_right = match &self.domain {
            Some(domain) => names(domain),
            None => {
                let url = self.service.base().as_url();
                is_this_machine(url) || authorities(url).iter().any(|domain| names(domain))
            }
        };
        if is_right {
            Ok(())
        } else {
            Err(SignInFault::Domain)
        }
    }

    fn hold(&self, tokens: Tokens) -> Hidden {
        let lifetime = Duration::from_secs(tokens.expires_in);
        // Half of a short life is better than a refresh for each call.
        let margin = self.margin.min(lifetime.checked_div(2).unwrap_or_default());
        let now = Instant::now();
        let after = |time: Duration| now.checked_add(time).unwrap_or(now);
        let token = tokens.access_token;
        *self.held() = Held {
            access: Some(Access {
                token: token.clone(),
                due: after(lifetime.saturating_sub(margin)),
                end: after(lifetime),
            }),
            refresh: Some(tokens.refresh_token),
        };
        token
    }

    /// Ends the session; tells whether the service had one.
    pub(super) async fn sign_out(&self) -> Result<bool, CreditError> {
        let _turn = self.turn.acquire().await;
        let held = std::mem::take(&mut *self.held());
        let Some(refresh_token) = held.refresh else {
            return Ok(false);
        };
        let request = RefreshRequest { refresh_token };
        let answer = self.post::<LoggedOut>("auth/logout", write(&request), Again::Always);
        Ok(answer.await?.revoked)
    }

    async fn post<M: faregate_types::credit::Message>(
        &self,
        path: &str,
        body: String,
        again: Again,
    ) -> Result<M, CreditError> {
        let call = Call::post(path.to_owned(), body, again);
        self.service.call(&call, &Caller::default()).await
    }
}

const fn was_not_looked_at(error: &CreditError) -> bool {
    match error {
        CreditError::NoAnswer(NoAnswer::NotSent) => true,
        CreditError::Service(refusal) => refusal.status == 429,
        CreditError::Config(ConfigFault::Credential) => true,
        _ => false,
    }
}

/// What a service at this URL may call itself.
fn authorities(url: &Url) -> Vec<String> {
    let Some(host) = url.host_str() else {
        return Vec::new();
    };
    let port = url.port_or_known_default();
    let with_port = port.map(|port| format!("{host}:{port}"));
    std::iter::once(host.to_owned()).chain(with_port).collect()
}

fn is_host_of(host: &str, domain: &str) -> bool {
    let rest = domain.get(..host.len()).zip(domain.get(host.len()..));
    rest.is_some_and(|(start, rest)| {
        start.eq_ignore_ascii_case(host) && (rest.is_empty() || rest.starts_with(':'))
    })
}
