//! The L402 rail: a Lightning invoice and a token, then the token with the preimage (L402 wire facts §1).
//!
//! Nothing is stored when a challenge is made: the keys that tokens are signed with are derived from one master key, so
//! that whoever asks and does not pay leaves nothing behind. A token that comes back was issued here or it has no valid
//! signature, and its preimage says that its invoice was paid; what it was used for stands in the ledger, by payment hash.

mod invite;
mod keys;
mod limit;
mod mint;
mod paid;
mod revoked;
mod strict;

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use faregate_ledger::{AccountId, Payment, Transfer};
use faregate_types::l402::replay::UseName;
use faregate_types::l402::{
    Credential as L402Credential, Grant, Identifier, Presented as Sent, Request, Rules, Target,
    challenge, grpc,
};
use faregate_types::lightning::{Msat, PaymentHash};
use faregate_types::{Code, PaymentId, RailName, Refusal};
use futures_util::future::{BoxFuture, ready};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};

use crate::offer::{Ask, LightningAsk, Offer, Scope};
use crate::order::Asked;
use crate::port::lightning::{Receiver, Wanted};
use crate::port::replay::ReplayStore;
use crate::port::{Away, Clock, SettleOutcome, Unknown};
use crate::rail::seen::{self, Seen};
use crate::rail::{Challenge, Credential, Evidence, Instrument, Presented, Rail, Reading, Uses};

pub use keys::{MasterKey, MasterKeys};
pub use limit::InvoiceRate;
use limit::Limit;
use paid::{Kept, SharedKey, settled};
pub use revoked::{REVOCATIONS_MAX, Revocations};
pub use strict::Confirms;
use strict::{Check, Strict};

/// Where the money of all Lightning payments goes.
const PAYEE: &str = "payee/lightning";

/// How long an invoice can be paid, in seconds, if nobody says otherwise.
pub const INVOICE_EXPIRY_SECS: u32 = 600;

/// What a token was checked for.
struct SeenToken {
    ask: LightningAsk,
    method: Method,
    token: Identifier,
}

/// The rail, over the wallet that makes the invoices.
pub struct L402 {
    receiver: Receiver,
    keys: MasterKeys,
    clock: Arc<dyn Clock>,
    limit: Limit,
    seen: Seen<SeenToken>,
    revocations: Option<Arc<Revocations>>,
    strict: Option<Arc<Strict>>,
    exact_texts: bool,
    lines: challenge::Lines,
    used_up_status: u16,
    invoice_expiry_secs: u32,
    replay: Option<Arc<dyn ReplayStore>>,
}

impl fmt::Debug for L402 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("L402")
            .field("receiver", &self.receiver)
            .field("lines", &self.lines)
            .finish_non_exhaustive()
    }
}

impl L402 {
    /// The rail over a wallet. The root keys of its tokens come from `keys`.
    #[must_use]
    pub fn new(receiver: Receiver, keys: MasterKeys, clock: Arc<dyn Clock>) -> Self {
        Self {
            receiver,
            keys,
            clock,
            limit: Limit::new(InvoiceRate::default()),
            seen: Seen::default(),
            revocations: None,
            strict: None,
            exact_texts: false,
            lines: challenge::Lines::default(),
            used_up_status: 402,
            invoice_expiry_secs: INVOICE_EXPIRY_SECS,
            replay: None,
        }
    }

    /// Which lines a challenge is written in.
    #[must_use]
    pub const fn lines(mut self, lines: challenge::Lines) -> Self {
        self.lines = lines;
        self
    }

    /// How many invoices one client gets, and how many are made at once.
    #[must_use]
    pub fn rate(mut self, rate: InvoiceRate) -> Self {
        self.limit = Limit::new(rate);
        self
    }

    /// Refuses what is on this list.
    #[must_use]
    pub fn revocations(mut self, list: Arc<Revocations>) -> Self {
        self.revocations = Some(list);
        self
    }

    /// Asks the wallet before the first use of a token whether its invoice was paid. Without this the preimage is enough.
    #[must_use]
    pub fn strict(mut self, wallet: Arc<dyn Confirms>) -> Self {
        self.strict = Some(Arc::new(Strict::new(wallet)));
        self
    }

    /// Answers every token that opens nothing with 401 and the words of l402kit's documents, and nothing else.
    #[must_use]
    pub const fn exact_texts(mut self, yes: bool) -> Self {
        self.exact_texts = yes;
        self
    }

    /// The wallet that makes the invoices.
    #[must_use]
    pub const fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// How long an invoice can be paid, in seconds.
    #[must_use]
    pub const fn invoice_expiry_secs(mut self, secs: u32) -> Self {
        self.invoice_expiry_secs = secs;
        self
    }

    /// Answers a token that was used up with 401 and no invoice, as l402kit's documents say, instead of 402 and a new one.
    #[must_use]
    pub const fn replay_is_401(mut self, yes: bool) -> Self {
        self.used_up_status = if yes { 401 } else { 402 };
        self
    }

    /// Shares what was used with other gates: a use that is counted is claimed in the ledger and noted there before anything
    /// is served, and whoever cannot note it serves nothing.
    #[must_use]
    pub fn replay(mut self, store: Arc<dyn ReplayStore>) -> Self {
        self.replay = Some(store);
        self
    }

    /// The ask that this rail takes: the first on the wallet's network.
    fn ask<'o>(&self, offer: &'o Offer) -> Option<&'o LightningAsk> {
        let mut asks = offer.asks().iter().filter_map(Ask::as_lightning);
        asks.find(|ask| ask.network == self.receiver.network() && self.receiver.can_ask(ask.price))
    }

    fn is_revoked(&self, token: &Identifier) -> bool {
        let list = self.revocations.as_ref();
        list.is_some_and(|list| list.has(token))
    }

    /// What the client of a request is called in a token, where the ask binds tokens to clients.
    fn client(&self, ask: &LightningAsk, asked: &Asked) -> Option<String> {
        let bound = ask.is_bound_to_client;
        bound.then(|| self.keys.client_name(asked.client))
    }

    /// Checks every token of a credential against the offer; the first is the one that is used.
    fn grant(
        &self,
        credential: &L402Credential,
        ask: &LightningAsk,
        asked: &Asked,
    ) -> Result<Grant, Refusal> {
        let (client, path) = (self.client(ask, asked), ask.path_word(asked.uri.path()));
        let request = Request {
            route: &ask.route,
            path: &path,
            method: asked.method.as_str(),
            price: ask.price,
            client: client.as_deref(),
        };
        let target = Target {
            service: &ask.service,
            tier: ask.tier,
            capability: ask.capability.as_deref(),
            now: self.clock.now(),
            rules: Rules::Ours(request),
        };
        let mut refused = Refusal::new(Code::L402TokenMalformed);
        for token in &credential.tokens {
            match self.keys.verify(token, &credential.preimage, &target) {
                Ok(grant) => return Ok(grant),
                // All tokens of a credential are of one payment, whose preimage it shows.
                Err(refusal)
                    if matches!(
                        refusal.code,
                        Code::L402TokenMalformed | Code::L402PreimageWrong
                    ) =>
                {
                    return Err(refusal);
                }
                Err(refusal) => refused = refusal,
            }
        }
        Err(refused)
    }

    /// The token of a payment, as a challenge would carry it, in base64: for payments that came another way, and for tests.
    /// Whoever has the preimage and this may use it as often as the offer says.
    ///
    /// # Errors
    /// [`Away`] with [`Code::NoMatchingRequirements`] for an offer that this rail does not serve.
    pub fn token(
        &self,
        payment_hash: PaymentHash,
        offer: &Offer,
        asked: &Asked,
    ) -> Result<String, Away> {
        let ask = self.ask(offer).ok_or(Away {
            code: Code::NoMatchingRequirements,
        })?;
        self.mint(payment_hash, ask, asked)
    }

    fn mint(
        &self,
        payment_hash: PaymentHash,
        ask: &LightningAsk,
        asked: &Asked,
    ) -> Result<String, Away> {
        let client = self.client(ask, asked);
        let terms = mint::Terms {
            ask,
            asked,
            now: self.clock.now(),
            client: client.as_deref(),
        };
        mint::token(&self.keys, payment_hash, &terms)
    }

    /// The token that the headers' credential has, if it has one only.
    fn only_token(&self, headers: &HeaderMap) -> Option<Identifier> {
        let Reading::Found(credential) = self.read(headers) else {
            return None;
        };
        match credential.content::<L402Credential>()?.tokens.as_slice() {
            [token] => Identifier::decode(token.identifier()).ok(),
            _ => None,
        }
    }

    /// What the wallet is asked about a payment of that much, if it is asked.
    fn check(&self, hash: PaymentHash, paid: Msat) -> Option<Check> {
        let strict = Arc::clone(self.strict.as_ref()?);
        let wanted = Wanted {
            payment_hash: hash,
            amount: paid,
            handle: None,
        };
        Some(Check { strict, wanted })
    }
}

const BUG: Away = Away {
    code: Code::Internal,
};

impl Rail for L402 {
    fn name(&self) -> RailName {
        RailName::L402
    }

    fn serves(&self, offer: &Offer) -> bool {
        self.ask(offer)
            .is_some_and(|ask| mint::is_possible(&self.keys, ask))
    }

    fn read(&self, headers: &HeaderMap) -> Reading {
        let lines = headers.get_all(AUTHORIZATION).iter();
        let found = Sent::read_all(lines.map(HeaderValue::as_bytes)).transpose();
        let found = found.or_else(|| {
            let mut carriers = grpc::METADATA.iter().filter_map(|name| headers.get(*name));
            let carried = L402Credential::from_metadata(carriers.next()?.as_bytes());
            Some(carried.map(Sent::Signed))
        });
        match found {
            None => Reading::Nothing,
            Some(Ok(Sent::Signed(credential))) => {
                Reading::Found(Credential::new(RailName::L402, credential))
            }
            Some(Ok(Sent::Unsigned(_))) => {
                let forged = Refusal::new(Code::L402TokenForged);
                Reading::Malformed(forged.detail("nobody signed this token"))
            }
            Some(Err(error)) => {
                let malformed = Refusal::new(Code::L402TokenMalformed);
                Reading::Malformed(malformed.detail(error.to_string()))
            }
        }
    }

    fn challenge<'a>(
        &'a self,
        offer: &'a Offer,
        asked: &'a Asked,
        why: &'a Refusal,
    ) -> BoxFuture<'a, Result<Challenge, Away>> {
        let status = match why.code {
            Code::PaymentRequired => 402,
            _ if self.exact_texts => 401,
            Code::L402TokenUsedUp => self.used_up_status,
            code => code.http_status(),
        };
        if status == 401 {
            return Box::pin(ready(self.reject(why)));
        }
        Box::pin(async move {
            let ask = self.ask(offer).ok_or(BUG)?;
            self.issue(offer, ask, asked, why).await
        })
    }

    fn present(
        &self,
        credential: Credential,
        offer: &Offer,
        asked: &Asked,
    ) -> Result<Presented, Refusal> {
        let bug = || Refusal::new(Code::Internal);
        let sent = credential.content::<L402Credential>().ok_or_else(bug)?;
        let ask = self
            .ask(offer)
            .ok_or(Refusal::new(Code::NoMatchingRequirements))?;
        let grant = self.grant(sent, ask, asked)?;
        if self.is_revoked(&grant.identifier) {
            return Err(Refusal::new(Code::L402TokenRevoked));
        }
        let hash = grant.identifier.payment_hash;
        let account = |name: &str| AccountId::parse(name).map_err(|_| bug());
        // A token is worth what was paid for it, which may be more than the route costs now.
        let paid = grant.price.unwrap_or(ask.price);
        let uses = match grant.max_uses {
            None => Uses::Unlimited,
            Some(uses) => Uses::Counted(NonZeroU32::new(uses).ok_or_else(bug)?),
        };
        let shared = match (&self.replay, uses) {
            (Some(_), Uses::Counted(_)) => Some(SharedKey {
                digest: UseName::digest_of(&sent.preimage),
                until: grant.issued_until.ok_or_else(bug)?,
            }),
            _ => None,
        };
        let kept = Kept { hash, shared };
        Ok(Presented {
            id: hash.payment_id(),
            rail: RailName::L402,
            transfer: Transfer {
                debit: account(&format!("payer/{hash}"))?,
                credit: account(PAYEE)?,
                amount: paid.on(ask.network),
            },
            evidence: kept.evidence(),
            uses,
            fingerprint: None,
            good_until: grant.valid_until,
            instrument: kept.instrument(self.replay.as_ref(), self.check(hash, paid)),
        })
    }

    fn named(&self, credential: &Credential) -> Option<PaymentId> {
        // All tokens of a credential have one preimage, and so one payment.
        let sent = credential.content::<L402Credential>()?;
        let identifier = Identifier::decode(sent.tokens.first()?.identifier()).ok()?;
        Some(identifier.payment_hash.payment_id())
    }

    fn known(&self, headers: &HeaderMap, offer: &Offer, asked: &Asked) -> Option<Arc<Presented>> {
        let line = seen::line(headers)?;
        let ask = self.ask(offer)?;
        self.seen.find(line, self.clock.now(), |seen| {
            seen.ask == *ask && seen.method == asked.method && !self.is_revoked(&seen.token)
        })
    }

    fn remember(&self, headers: &HeaderMap, offer: &Offer, asked: &Asked, presented: Presented) {
        let (Some(line), Some(ask)) = (seen::line(headers), self.ask(offer)) else {
            return;
        };
        // Kept is what does not depend on more than ask, method and time.
        if ask.scope != Scope::Route || ask.is_bound_to_client {
            return;
        }
        if let Some(token) = self.only_token(headers) {
            let on = SeenToken {
                ask: ask.clone(),
                method: asked.method.clone(),
                token,
            };
            self.seen.keep(line, on, presented);
        }
    }

    fn recall(&self, evidence: &Evidence) -> Result<Arc<dyn Instrument>, Refusal> {
        Kept::read(&evidence.0)
            .map(|kept| kept.instrument(self.replay.as_ref(), None))
            .ok_or(Refusal::new(Code::Internal))
    }

    fn is_prepaid(&self) -> bool {
        true
    }

    fn resolve<'a>(&'a self, payment: &'a Payment) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(ready(self.recorded(payment)))
    }

    fn recorded(&self, payment: &Payment) -> SettleOutcome {
        match (payment.failure, Kept::read(&payment.claim.evidence)) {
            (Some(code), _) => SettleOutcome::Failed(Refusal::new(code)),
            (None, Some(kept)) => settled(kept.hash),
            (None, None) => SettleOutcome::Unknown(Unknown {
                code: Code::Internal,
                transaction: None,
            }),
        }
    }
}

/// Whose limits count: an address, or the network of 64 bits that one customer has.
fn customer(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => mapped.into(),
            None => {
                let prefix = u128::from(address) & (u128::MAX << 64);
                std::net::Ipv6Addr::from(prefix).into()
            }
        },
    }
}
