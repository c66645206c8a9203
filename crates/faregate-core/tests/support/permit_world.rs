//! A till with the permit rail over a scripted collector and a ledger in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use faregate_core::rail::l402::Revocations;
use faregate_core::rail::permit::Permits;
use faregate_core::{
    Asked, Offer, Order, Outcome, PermitAsk, Rail, Reading, Resource, Served, SettlePolicy,
    Settling, Till, TokenPolicy,
};
use faregate_ledger::{Answer, LedgerStore, PaymentState};
use faregate_types::permit::{Endpoint, Permit, TokenKey};
use faregate_types::{Code, Fingerprint, Refusal, Timestamp};
use futures_util::FutureExt;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use super::collector::{NOW, Script, Time, ask};
use super::support::Memory;

pub const KEY: &str = "the key of the tests";
pub const AUDIENCE: &str = "jokes.example";

/// The service ran.
pub const OPENED: Result<(), Code> = Ok(());

pub struct World {
    pub time: Time,
    pub script: Arc<Script>,
    pub memory: Arc<Memory>,
    pub rail: Arc<Permits>,
    pub till: Till,
}

/// What a posted permit got.
#[derive(Debug)]
pub enum Got {
    Token(String),
    No(Refusal),
    /// The text for replays.
    Taken,
    Later,
    Away(Code),
}

impl Got {
    pub fn token(self) -> String {
        match self {
            Self::Token(text) => text,
            other => panic!("no token: {other:?}"),
        }
    }
}

impl World {
    pub fn new() -> Self {
        let time = Arc::new(AtomicU64::new(NOW));
        let script = Script::new(&time);
        Self::of(time, script, Arc::default(), |rail| rail)
    }

    pub fn of(
        time: Time,
        script: Arc<Script>,
        memory: Arc<Memory>,
        change: impl FnOnce(Permits) -> Permits,
    ) -> Self {
        let clock = {
            let time = Arc::clone(&time);
            move || Timestamp::from_secs(time.load(Ordering::SeqCst))
        };
        let rail = Permits::new(
            Arc::clone(&script) as _,
            TokenKey::new(KEY.to_owned()).unwrap(),
            AUDIENCE,
            Endpoint::parse(Endpoint::PLAIN).unwrap(),
            Arc::new(clock.clone()),
        );
        let rail = Arc::new(change(rail));
        let till = Till::new(
            Arc::clone(&memory) as Arc<dyn LedgerStore>,
            Arc::new(clock),
            vec![Arc::clone(&rail) as Arc<dyn Rail>],
        );
        Self {
            time,
            script,
            memory,
            rail,
            till,
        }
    }

    /// The same gate in another process, over the same books and chain.
    pub fn restarted(&self) -> Self {
        self.restarted_with(|rail| rail)
    }

    pub fn restarted_with(&self, change: impl FnOnce(Permits) -> Permits) -> Self {
        let (time, script) = (Arc::clone(&self.time), Arc::clone(&self.script));
        Self::of(time, script, Arc::clone(&self.memory), change)
    }

    pub fn revoking(&self, list: &Arc<Revocations>) -> Self {
        self.restarted_with(|rail| rail.revocations(Arc::clone(list)))
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_secs(self.time.load(Ordering::SeqCst))
    }

    pub fn pass_secs(&self, secs: u64) {
        self.time.fetch_add(secs, Ordering::SeqCst);
    }

    pub fn state(&self, permit: &Permit) -> Option<PaymentState> {
        self.memory.state(permit.payment_id())
    }

    /// Posts a permit to the quote of an offer; what is to be settled behind the token comes with it.
    pub async fn buy(&self, offer: &Offer, permit: Permit) -> (Got, Option<Settling>) {
        self.post(offer, permit, true).await
    }

    pub async fn post(
        &self,
        offer: &Offer,
        permit: Permit,
        has_quote: bool,
    ) -> (Got, Option<Settling>) {
        let offer = Permits::token_offer(offer).unwrap().unwrap();
        let asked = Asked::default();
        let order = Order {
            offer: &offer,
            asked: &asked,
            fingerprint: Fingerprint::of(&[]),
            idempotency: None,
        };
        let serve = |paid: faregate_core::Paid| async move { Served::Well(paid.id) }.boxed();
        let credential = Permits::posted(permit, &offer, has_quote);
        let patience = std::future::ready(());
        let outcome = self.till.run(order, credential, patience, serve).await;
        let answer = Answer {
            status: 200,
            headers: Vec::new(),
            body: None,
        };
        let issued = |payment| Got::Token(self.rail.token(&payment).unwrap().text);
        match outcome {
            Outcome::Sold { response, sale, .. } => {
                sale.keep(answer).await.unwrap();
                (
                    issued(self.till.payment(response).await.unwrap().unwrap()),
                    None,
                )
            }
            Outcome::Owed { response, owed, .. } => {
                let settling = owed.serve(answer).await.unwrap();
                let payment = self.till.payment(response).await.unwrap().unwrap();
                (issued(payment), Some(settling))
            }
            Outcome::Replay(payment) => (issued(*payment), None),
            Outcome::Unpaid { refusal, .. } | Outcome::Refused { refusal, .. } => {
                (Got::No(refusal), None)
            }
            Outcome::Conflict => (Got::Taken, None),
            Outcome::Pending { .. } | Outcome::InFlight => (Got::Later, None),
            Outcome::Unavailable(away) => (Got::Away(away.code), None),
            other => panic!("{other:?}"),
        }
    }

    /// Shows a token as a request would.
    pub async fn show(&self, token: &str, offer: &Offer) -> Result<(), Code> {
        self.show_lines(&[format!("Bearer {token}").as_bytes()], offer)
            .await
            .map_err(|(code, _)| code)
    }

    /// The same with any lines, and the words of the refusal.
    pub async fn show_lines(&self, lines: &[&[u8]], offer: &Offer) -> Result<(), (Code, String)> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(line).unwrap());
        }
        let asked = Asked::default();
        if self.till.pass(&headers, offer, &asked).is_some() {
            return Ok(());
        }
        let credential = match self.till.read(&headers, offer) {
            Reading::Found(credential) => credential,
            Reading::Nothing => return Err((Code::PaymentRequired, String::new())),
            Reading::Malformed(refusal) => return Err((refusal.code, String::new())),
        };
        let passed = self.till.new_pass(&headers, offer, &asked, &credential);
        if passed.is_some() {
            return Ok(());
        }
        let order = Order {
            offer,
            asked: &asked,
            fingerprint: Fingerprint::of(&[b"request"]),
            idempotency: None,
        };
        let serve = |_| async { Served::Well(()) }.boxed();
        let patience = std::future::ready(());
        match self.till.run(order, credential, patience, serve).await {
            Outcome::Passed { .. } => Ok(()),
            Outcome::Unpaid { refusal, challenge } => {
                let reason = challenge.body["reason"].as_str().unwrap_or_default();
                Err((refusal.code, reason.to_owned()))
            }
            Outcome::Pending { unknown, .. } => Err((unknown.code, "pending".to_owned())),
            Outcome::Unavailable(away) => Err((away.code, String::new())),
            other => panic!("{other:?}"),
        }
    }
}

pub fn offer(route: &str, price: u64, policy: TokenPolicy) -> Offer {
    offer_of(route, vec![ask(price, policy)])
}

pub fn offer_of(route: &str, asks: Vec<PermitAsk>) -> Offer {
    let resource = Resource {
        url: "https://jokes.example/joke".into(),
        description: "".into(),
        mime_type: "".into(),
    };
    let asks = asks.into_iter().map(Into::into).collect();
    Offer::new(route, resource, asks, SettlePolicy::Before, 60).unwrap()
}
