//! A till with the L402 rail over a wallet that makes real invoices, and a payer.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use faregate_core::port::lightning::{ReceiveBackend, Receiver};
use faregate_core::rail::l402::{L402, MasterKey, MasterKeys};
use faregate_core::{
    Asked, Away, Challenge, LightningAsk, Offer, Order, Outcome, Rail, Reading, Resource, Scope,
    Served, SettlePolicy, Till,
};
use faregate_ledger::{Answer, LedgerStore};
use faregate_types::l402::{Challenge as Words, credential};
use faregate_types::lightning::{BitcoinNetwork, Bolt11, Msat, Preimage};
use faregate_types::{Code, Fingerprint, Refusal, Timestamp};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};

use super::support::Memory;
use super::wallet::{NOW, Wallet};

pub const MASTER: [u8; 32] = [1; 32];

pub struct World {
    pub wallet: Arc<Wallet>,
    pub clock: Arc<AtomicU64>,
    pub memory: Arc<Memory>,
    pub rail: Arc<L402>,
    pub till: Till,
}

pub fn keys() -> MasterKeys {
    MasterKeys::new(MasterKey::from_bytes(MASTER))
}

pub fn world() -> World {
    world_with(keys(), |rail| rail)
}

pub fn world_with(keys: MasterKeys, change: impl FnOnce(L402) -> L402) -> World {
    let (wallet, clock) = (Arc::new(Wallet::default()), Arc::new(AtomicU64::new(NOW)));
    let time = Arc::clone(&clock);
    let now: Arc<dyn faregate_core::Clock> =
        Arc::new(move || Timestamp::from_secs(time.load(Ordering::SeqCst)));
    let backend = Arc::clone(&wallet) as Arc<dyn ReceiveBackend>;
    let receiver = Receiver::new(backend, BitcoinNetwork::Regtest, Arc::clone(&now));
    let rail = Arc::new(change(L402::new(receiver, keys, Arc::clone(&now))));
    let memory = Arc::new(Memory::default());
    let store = Arc::clone(&memory) as Arc<dyn LedgerStore>;
    let till = Till::new(store, now, vec![Arc::clone(&rail) as Arc<dyn Rail>]);
    World {
        wallet,
        clock,
        memory,
        rail,
        till,
    }
}

pub fn ask() -> LightningAsk {
    LightningAsk {
        network: BitcoinNetwork::Regtest,
        price: Msat::from_sat(10).unwrap(),
        route: "/joke".into(),
        service: "jokes".into(),
        tier: 0,
        capability: None,
        uses: NonZeroU32::new(1),
        valid_secs: 3_600,
        scope: Scope::Route,
        is_bound_to_client: false,
    }
}

pub fn offer(route: &str, ask: LightningAsk) -> Offer {
    let resource = Resource {
        url: "https://api.example.com/joke".into(),
        description: "one joke".into(),
        mime_type: "".into(),
    };
    Offer::new(route, resource, vec![ask.into()], SettlePolicy::After, 60).unwrap()
}

pub fn jokes() -> Offer {
    offer("GET /joke", ask())
}

/// For any number of requests.
pub fn passes() -> Offer {
    offer(
        "any",
        LightningAsk {
            uses: None,
            ..ask()
        },
    )
}

pub fn get(path: &str) -> Asked {
    Asked {
        uri: path.parse().unwrap(),
        ..Asked::default()
    }
}

pub fn from(client: &str) -> Asked {
    Asked {
        client: Some(client.parse().unwrap()),
        ..get("/joke")
    }
}

/// A token and what was paid for it.
pub struct Bought {
    pub token: String,
    pub preimage: Preimage,
}

impl World {
    pub async fn challenge(&self, offer: &Offer, asked: &Asked) -> Result<Challenge, Away> {
        let why = Refusal::new(Code::PaymentRequired);
        self.till.challenge(offer, asked, &why).await
    }

    pub async fn buy(&self, offer: &Offer, asked: &Asked) -> Bought {
        let challenge = words(&self.challenge(offer, asked).await.unwrap());
        let invoice = Bolt11::parse(&challenge.invoice).unwrap();
        Bought {
            token: challenge.token.into(),
            preimage: self.wallet.pay(invoice.payment_hash()),
        }
    }

    pub async fn send(&self, offer: &Offer, asked: &Asked, bought: &Bought) -> Outcome<()> {
        let line = credential::write(&bought.token, &bought.preimage);
        self.send_line(offer, asked, &line).await
    }

    pub async fn send_line(&self, offer: &Offer, asked: &Asked, line: &str) -> Outcome<()> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(line).unwrap());
        let credential = match self.till.read(&headers, offer) {
            Reading::Found(credential) => credential,
            Reading::Malformed(refusal) => {
                let challenge = self.till.challenge(offer, asked, &refusal).await.unwrap();
                return Outcome::Unpaid { refusal, challenge };
            }
            Reading::Nothing => panic!("no credential"),
        };
        let order = Order {
            offer,
            asked,
            fingerprint: Fingerprint::of(&[asked.uri.path().as_bytes()]),
            idempotency: None,
        };
        let serve = |_paid| -> BoxFuture<'static, Served<()>> { ready(Served::Well(())).boxed() };
        let outcome = self.till.run(order, credential, ready(()), serve).await;
        match outcome {
            Outcome::Sold {
                sale,
                response,
                receipt,
            } => {
                let answer = Answer {
                    status: 200,
                    headers: vec![],
                    body: None,
                };
                sale.keep(answer).await.unwrap();
                Outcome::Passed { response, receipt }
            }
            other => other,
        }
    }

    /// Why a token did not open a route; it gets an invoice or, if nobody issued it, none.
    pub async fn refused(&self, offer: &Offer, asked: &Asked, bought: &Bought) -> Code {
        let before = self.wallet.made();
        match self.send(offer, asked, bought).await {
            Outcome::Unpaid { refusal, challenge } => {
                let invited = self.wallet.made() > before;
                assert_eq!(challenge.status, refusal.code.http_status());
                assert_eq!(invited, challenge.status == 402, "{refusal:?}");
                refusal.code
            }
            other => panic!("opened: {other:?}"),
        }
    }

    pub async fn opens(&self, offer: &Offer, asked: &Asked, bought: &Bought) {
        let outcome = self.send(offer, asked, bought).await;
        assert!(matches!(outcome, Outcome::Passed { .. }), "{outcome:?}");
    }
}

pub fn lines(challenge: &Challenge) -> Vec<&[u8]> {
    let ours = challenge
        .headers
        .iter()
        .filter(|(name, _)| *name == WWW_AUTHENTICATE);
    ours.map(|(_, value)| value.as_bytes()).collect()
}

pub fn words(challenge: &Challenge) -> Words {
    Words::parse(lines(challenge)).unwrap()
}
