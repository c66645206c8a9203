//! A token endpoint beside a shop that takes permits, x402 and Lightning, over one till.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::any;
use faregate_core::port::lightning::{ReceiveBackend, Receiver};
use faregate_core::rail::l402::{L402, MasterKey, MasterKeys, Revocations};
use faregate_core::rail::permit::{Permits, Quotes};
use faregate_core::rail::x402::X402;
use faregate_core::{
    Ask, Clock, LightningAsk, Offer, Payee, PermitAsk, Rail, Resource, Scope, SettlePolicy, Till,
    TokenAsk, TokenPolicy,
};
use faregate_ledger::{LedgerStore, Revocation, RevocationStore, StoreError};
use faregate_tower::{Cors, Events, PaywallLayer, Purchases, TokenDesk};
use faregate_types::lightning::{BitcoinNetwork, Msat};
use faregate_types::permit::{Endpoint, Permit, TokenKey, request};
use faregate_types::{Amount, RailName, Timestamp, U256};
use futures_util::future::{BoxFuture, ready};
use http::header::{AUTHORIZATION, ORIGIN};
use http::{HeaderValue, Request};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::collector::{NOW, PRICE, Script, TREASURY, Time, ask, usdc};
use super::common::Fake;
use super::support::Memory;
use super::wallet::Wallet;

pub const KEY: &str = "the key of the tests";

/// What the cheapest costs.
pub const HALF: u64 = 500;

/// Routes of the shop: what they cost over this rail, and when tokens are given out.
const PRICES: [(&str, u64, TokenPolicy); 4] = [
    ("/joke", PRICE, TokenPolicy::Optimistic),
    ("/pun", HALF, TokenPolicy::Optimistic),
    ("/song", 2 * PRICE, TokenPolicy::Settled),
    ("/poem", 3 * PRICE, TokenPolicy::Simulated),
];

pub struct World {
    pub time: Time,
    pub script: Arc<Script>,
    pub memory: Arc<Memory>,
    pub revocations: Arc<Revocations>,
    pub till: Till,
    pub events: Events,
    pub desk: TokenDesk,
    pub purchases: Purchases,
    shop: Router,
}

/// An answer, read.
#[derive(Debug)]
pub struct Heard {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub text: String,
}

impl Heard {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// The token of a good answer.
    pub fn token(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// The text of a refusal.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

#[derive(Default)]
struct List(Mutex<Vec<Revocation>>);

impl RevocationStore for List {
    fn revoke(&self, revocation: Revocation) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.0.lock().unwrap().push(revocation);
        Box::pin(ready(Ok(true)))
    }

    fn revocations(&self) -> BoxFuture<'_, Result<Vec<Revocation>, StoreError>> {
        Box::pin(ready(Ok(self.0.lock().unwrap().clone())))
    }
}

fn offer(path: &str, asks: Vec<Ask>) -> Offer {
    let resource = Resource {
        url: format!("https://jokes.example{path}").into(),
        description: "".into(),
        mime_type: "".into(),
    };
    Offer::new(path, resource, asks, SettlePolicy::Before, 60).unwrap()
}

fn x402() -> Ask {
    let asset = usdc();
    let ask = TokenAsk {
        rail: RailName::X402,
        amount: Amount::new(U256::from(PRICE), asset.id),
        asset,
        payee: Payee::Evm(TREASURY),
    };
    ask.into()
}

fn lightning() -> Ask {
    let ask = LightningAsk {
        network: BitcoinNetwork::Regtest,
        price: Msat::new(10_000),
        route: "/joke".into(),
        service: "jokes".into(),
        tier: 0,
        capability: None,
        uses: None,
        valid_secs: 3_600,
        scope: Scope::Route,
        is_bound_to_client: false,
    };
    ask.into()
}

fn permits(price: u64, policy: TokenPolicy) -> Ask {
    let ask: PermitAsk = ask(price, policy);
    ask.into()
}

impl World {
    pub async fn new() -> Self {
        Self::with(Cors::Any).await
    }

    pub async fn with(cors: Cors) -> Self {
        let time = Arc::new(AtomicU64::new(NOW));
        let script = Script::new(&time);
        let now = Arc::clone(&time);
        let clock: Arc<dyn Clock> =
            Arc::new(move || Timestamp::from_secs(now.load(Ordering::SeqCst)));
        let list = Revocations::load(Arc::<List>::default()).await.unwrap();
        let revocations = Arc::new(list);
        let rail = Permits::new(
            Arc::clone(&script) as _,
            TokenKey::new(KEY.to_owned()).unwrap(),
            "jokes.example",
            Endpoint::parse(Endpoint::PLAIN).unwrap(),
            Arc::clone(&clock),
        );
        let rail = Arc::new(rail.revocations(Arc::clone(&revocations)));
        let backend = Arc::<Wallet>::default() as Arc<dyn ReceiveBackend>;
        let receiver = Receiver::new(backend, BitcoinNetwork::Regtest, Arc::clone(&clock));
        let keys = MasterKeys::new(MasterKey::from_bytes([1; 32]));
        let l402 = L402::new(receiver, keys, Arc::clone(&clock));
        let memory = Arc::new(Memory::default());
        let till = Till::new(
            Arc::clone(&memory) as Arc<dyn LedgerStore>,
            clock,
            vec![
                Arc::new(X402::new(Arc::new(Fake::default()) as _)) as Arc<dyn Rail>,
                Arc::new(l402),
                Arc::clone(&rail) as _,
            ],
        );
        let events = Events::default();
        let till = till.observed_by(Arc::new(events.clone()));
        let mut offers: Vec<Offer> = PRICES
            .into_iter()
            .map(|(path, price, policy)| offer(path, vec![permits(price, policy)]))
            .collect();
        let all = vec![x402(), lightning(), permits(PRICE, TokenPolicy::Optimistic)];
        offers.push(offer("/all", all));
        offers.push(offer("/x402", vec![x402()]));
        let quotes = Quotes::of(&offers).unwrap();
        let purchases = Purchases::default();
        let mut shop = Router::new();
        for offer in offers {
            let path = offer.route().to_owned();
            let layer = PaywallLayer::new(till.clone(), offer).unwrap();
            let layer = layer.cors(cors.clone()).counted_by(purchases.clone());
            shop = shop.route(&path, any(|| async { "knock, knock" }).layer(layer));
        }
        let desk = TokenDesk::new(till.clone(), rail, quotes, cors, purchases.clone());
        Self {
            time,
            script,
            memory,
            revocations,
            till,
            events,
            desk,
            purchases,
            shop,
        }
    }

    pub fn pass_secs(&self, secs: u64) {
        self.time.fetch_add(secs, Ordering::SeqCst);
    }

    /// Sends a request to the desk or the shop, as the gate would.
    pub async fn send(&self, request: Request<Body>) -> Heard {
        let answer = if self.desk.is_at(request.uri().path()) {
            self.desk.answer(request).await
        } else {
            self.shop.clone().oneshot(request).await.unwrap()
        };
        heard(answer).await
    }

    pub async fn get(&self, path: &str) -> Heard {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    /// Shows these `Authorization` lines.
    pub async fn show(&self, path: &str, lines: &[&[u8]]) -> Heard {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        for line in lines {
            let value = HeaderValue::from_bytes(line).unwrap();
            request.headers_mut().append(AUTHORIZATION, value);
        }
        self.send(request).await
    }

    pub async fn open(&self, path: &str, token: &str) -> Heard {
        self.show(path, &[format!("Bearer {token}").as_bytes()])
            .await
    }

    /// Where the 402 of a path says that tokens are sold.
    pub async fn endpoint(&self, path: &str) -> String {
        let unpaid = self.get(path).await;
        assert_eq!(unpaid.status, 402);
        unpaid.json()["access_token_endpoint"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub async fn post(&self, to: &str, body: impl Into<Body>) -> Heard {
        let request = Request::post(to)
            .header(ORIGIN, "https://page.example")
            .body(body.into());
        self.send(request.unwrap()).await
    }

    /// Posts a permit to the quote of a path.
    pub async fn buy(&self, path: &str, permit: &Permit) -> Heard {
        let endpoint = self.endpoint(path).await;
        self.post(&endpoint, written(permit)).await
    }
}

pub fn written(permit: &Permit) -> String {
    request::write(permit, Timestamp::from_secs(NOW))
}

pub async fn heard(answer: Response) -> Heard {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Heard {
        status: head.status.as_u16(),
        headers: head.headers,
        text: String::from_utf8(body.to_vec()).unwrap(),
    }
}
