//! Sellers of the L402 kind, over the two wallets of a Lightning network in this process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use faregate_client::{Client, ClientBuilder, LightningWallet, MsatCaps, WalletStore};
use faregate_core::port::Clock;
use faregate_core::port::lightning::{InvoiceAsk, Receiver, Sender};
use faregate_devnet::{DevLightning, LightningConfig, WalletName};
use faregate_types::Timestamp;
use faregate_types::l402::{Identifier, Macaroon, Presented, RootKey, challenge};
use faregate_types::lightning::{BitcoinNetwork, Bolt11, Msat};

use super::{Seen, Seller};

pub const SAT: u64 = 1_000;
const KEY: [u8; 32] = [9; 32];

/// The system's clock.
struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// Both ends of the network.
pub struct Net {
    pub dev: DevLightning,
    receiver: Receiver,
    serial: AtomicU64,
}

impl Net {
    pub async fn start() -> Arc<Self> {
        let dev = DevLightning::start(LightningConfig::default())
            .await
            .unwrap();
        let wallet = Arc::new(dev.wallet(WalletName::Seller));
        let receiver = Receiver::new(wallet, BitcoinNetwork::Regtest, Arc::new(Now));
        Arc::new(Self {
            dev,
            receiver,
            serial: AtomicU64::new(1),
        })
    }

    pub fn sender(&self) -> Sender {
        let wallet = Arc::new(self.dev.wallet(WalletName::Payer));
        Sender::new(wallet, BitcoinNetwork::Regtest, Arc::new(Now)).unwrap()
    }

    /// What the payer has spent so far, fees included.
    pub fn spent(&self) -> u64 {
        let start = LightningConfig::default().balance.get();
        start - self.dev.balance(WalletName::Payer).get()
    }

    pub async fn invoice(&self, msat: u64) -> Bolt11 {
        let ask = InvoiceAsk {
            amount: Msat::new(msat),
            description: "a joke".into(),
            expiry_secs: 600,
        };
        self.receiver.create(&ask).await.unwrap().bolt11().clone()
    }

    /// A real macaroon for an invoice.
    pub fn token(&self, invoice: &Bolt11) -> String {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let mut token_id = [0; 32];
        token_id[..8].copy_from_slice(&serial.to_be_bytes());
        let identifier = Identifier {
            payment_hash: invoice.payment_hash(),
            token_id,
        };
        let key = RootKey::from_bytes(KEY);
        let token = Macaroon::mint::<&[u8]>(&key, "", &identifier.encode(), &[]).unwrap();
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, token.as_bytes())
    }

    /// A 402 answer with a challenge.
    pub async fn ask(&self, msat: u64) -> Response {
        let invoice = self.invoice(msat).await;
        ask_with(&self.token(&invoice), invoice.as_str())
    }

    pub fn client(&self, store: &Arc<dyn WalletStore>) -> ClientBuilder {
        let caps = MsatCaps {
            per_payment: Msat::new(1_000 * SAT),
            per_host: None,
            per_period: None,
        };
        Client::builder()
            .lightning(LightningWallet::new(self.sender(), caps))
            .store(Arc::clone(store))
            .wait(Duration::from_secs(2))
    }
}

pub fn ask_with(token: &str, invoice: &str) -> Response {
    let mut response = StatusCode::PAYMENT_REQUIRED.into_response();
    for line in challenge::write(token, invoice, challenge::Lines::default()) {
        let value = line.parse().unwrap();
        response.headers_mut().append("www-authenticate", value);
    }
    response
}

/// What a request shows: the hash it paid, after its token and preimage were checked.
pub fn shown(request: &Seen) -> Option<[u8; 32]> {
    let value = request.headers.get("authorization")?;
    let Ok(Some(Presented::Signed(credential))) = Presented::read(value.as_bytes()) else {
        return None;
    };
    let token = credential.tokens.first()?;
    let identifier = Identifier::decode(token.identifier()).ok()?;
    let genuine = token.is_signed_by(&RootKey::from_bytes(KEY));
    let paid = identifier.payment_hash.is_of(&credential.preimage);
    (genuine && paid).then(|| *identifier.payment_hash.as_bytes())
}

/// A seller whose answers are made asynchronously.
pub async fn l402_seller<F>(answer: impl Fn(Seen) -> F + Clone + Send + Sync + 'static) -> Seller
where
    F: Future<Output = Response> + Send,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let seller = Seller {
        address: listener.local_addr().unwrap(),
        seen: Arc::default(),
    };
    let seen = seller.seen.clone();
    let app = Router::new().fallback(move |request: Request| {
        let (answer, seen) = (answer.clone(), seen.clone());
        async move {
            let (parts, body) = request.into_parts();
            let request = Seen {
                method: parts.method,
                path: parts.uri.to_string(),
                headers: parts.headers,
                body: axum::body::to_bytes(body, 1 << 20).await.unwrap(),
            };
            seen.lock().unwrap().push(request.clone());
            answer(request).await
        }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    seller
}

/// A seller of one thing for ten satoshis; each token buys it `uses` times.
pub async fn honest_l402(net: &Arc<Net>, uses: u32) -> Seller {
    let (net, used) = (net.clone(), Arc::new(Mutex::new(BTreeMap::new())));
    l402_seller(move |request| {
        let (net, used) = (net.clone(), used.clone());
        async move {
            let may = shown(&request).is_some_and(|hash| {
                let mut used = used.lock().unwrap();
                let count = used.entry(hash).or_insert(0);
                *count += 1;
                *count <= uses
            });
            if may {
                return (StatusCode::OK, "a joke").into_response();
            }
            net.ask(10 * SAT).await
        }
    })
    .await
}
