//! Sellers of the L402 kind, over the two wallets of a Lightning network in this process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bitcoin::hashes::{Hash as _, sha256};
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use faregate_client::{Client, ClientBuilder, LightningWallet, MsatCaps, WalletStore};
use faregate_core::port::Clock;
use faregate_core::port::lightning::{
    InvoiceAsk, PayOrder, PayReport, Receiver, SendAbilities, SendBackend, Sender,
};
use faregate_devnet::lightning::DevWallet;
use faregate_devnet::{DevLightning, LightningConfig, WalletName};
use faregate_types::Timestamp;
use faregate_types::l402::{Identifier, Macaroon, Presented, RootKey, challenge};
use faregate_types::lightning::{BitcoinNetwork, Bolt11, Msat, PaymentHash};
use futures_util::future::BoxFuture;
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};

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
        self.client_with(self.sender(), msat_caps(1_000 * SAT), store)
    }

    pub fn client_with(
        &self,
        sender: Sender,
        caps: MsatCaps,
        store: &Arc<dyn WalletStore>,
    ) -> ClientBuilder {
        Client::builder()
            .lightning(LightningWallet::new(sender, caps))
            .store(Arc::clone(store))
            .wait(Duration::from_secs(2))
    }
}

pub fn msat_caps(per_payment: u64) -> MsatCaps {
    MsatCaps {
        per_payment: Msat::new(per_payment),
        total: None,
        per_host: None,
        per_period: None,
    }
}

/// An invoice of a node that nobody knows, over any amount or none.
pub fn invoice_of(node: u8, msat: Option<u64>) -> String {
    let key = SecretKey::from_slice(&[node; 32]).unwrap();
    let hash = sha256::Hash::hash(&[node]);
    let invoice = InvoiceBuilder::new(Currency::Regtest)
        .description("a joke".to_owned())
        .payment_hash(hash)
        .payment_secret(PaymentSecret([node; 32]))
        .duration_since_epoch(Duration::from_secs(now().as_secs()))
        .min_final_cltv_expiry_delta(80);
    let sign = |hash: &_| Secp256k1::signing_only().sign_ecdsa_recoverable(hash, &key);
    match msat {
        Some(msat) => invoice.amount_milli_satoshis(msat).build_signed(sign),
        None => invoice.build_signed(sign),
    }
    .unwrap()
    .to_string()
}

/// The system's time.
pub fn now() -> Timestamp {
    Now.now()
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

/// A wallet whose process ends while it pays: before anything is sent, or right after.
pub struct Cut {
    wallet: DevWallet,
    sends: bool,
}

impl Cut {
    pub fn sender(net: &Net, sends: bool) -> Sender {
        let wallet = net.dev.wallet(WalletName::Payer);
        let cut = Arc::new(Self { wallet, sends });
        Sender::new(cut, BitcoinNetwork::Regtest, Arc::new(Now)).unwrap()
    }
}

impl SendBackend for Cut {
    fn abilities(&self) -> SendAbilities {
        SendBackend::abilities(&self.wallet)
    }

    fn pay<'a>(&'a self, order: &'a PayOrder) -> BoxFuture<'a, PayReport> {
        Box::pin(async move {
            if self.sends {
                self.wallet.pay(order).await;
            }
            std::future::pending().await
        })
    }

    fn track<'a>(&'a self, payment_hash: &'a PaymentHash) -> BoxFuture<'a, PayReport> {
        self.wallet.track(payment_hash)
    }
}
