//! Fake sellers, good and bad, and clients to send there.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may, and each uses a part of this"
)]

pub mod credit;
pub mod lightning;
pub mod permit;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use faregate_client::{Caps, Client, ClientBuilder, Wallet, WalletStore, Worth, limits};
use faregate_evm::OsEntropy;
use faregate_store::memory::MemoryWallet;
use faregate_types::{Timestamp, U256};
use serde_json::{Value, json};

pub const KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
pub const PAYER: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
pub const PAYEE: &str = "0x209693Bc6afc0C5328bA36FaF03C514EF312287C";
pub const USDC: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
pub const HASH: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";
pub const NOW: u64 = 1_740_672_089;

/// A request as a seller saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<String> {
        Some(self.headers.get(name)?.to_str().unwrap().to_owned())
    }

    /// The payment header, of either version.
    pub fn payment(&self) -> Option<String> {
        self.header("payment-signature")
            .or_else(|| self.header("x-payment"))
    }
}

/// A seller and what it saw.
#[derive(Clone)]
pub struct Seller {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Vec<Seen>>>,
}

impl Seller {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn payments(&self) -> Vec<String> {
        self.seen().iter().filter_map(Seen::payment).collect()
    }
}

/// A seller that answers what `answer` says.
pub async fn seller(answer: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static) -> Seller {
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
            let response = answer(&request);
            seen.lock().unwrap().push(request);
            response
        }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    seller
}

/// A seller that writes raw bytes. `None` closes the connection without an answer.
pub fn raw_seller(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static) -> Seller {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let seller = Seller {
        address: listener.local_addr().unwrap(),
        seen: Arc::default(),
    };
    let seen = seller.seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).into_owned();
            let mut headers = HeaderMap::new();
            for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
                let name: HeaderName = name.parse().unwrap();
                headers.insert(name, value.parse().unwrap());
            }
            let length = headers
                .get("content-length")
                .map_or(0, |length| length.to_str().unwrap().parse().unwrap());
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let mut start = head.split(' ');
            seen.lock().unwrap().push(Seen {
                method: start.next().unwrap().parse().unwrap(),
                path: start.next().unwrap_or_default().to_owned(),
                headers,
                body: body.into(),
            });
            if let Some(bytes) = answer(&head) {
                // The client may have gone away, which is its right.
                drop(stream.write_all(&bytes));
            }
        }
    });
    seller
}

/// The bytes of an HTTP answer on a connection that is closed after it.
pub fn raw(status: u16, headers: &[(&str, String)], body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Status\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    text.into_bytes()
}

pub fn raw_ask() -> Vec<u8> {
    let offers = encode(&required_v2(&[offer_v2()]));
    raw(402, &[("payment-required", offers)], "{}")
}

pub fn raw_served() -> Vec<u8> {
    raw(200, &[("payment-response", encode(&receipt()))], "served")
}

/// Whether the head of a raw request has a payment.
pub fn is_paid(head: &str) -> bool {
    head.contains("payment-signature:")
}

pub fn offer_v2() -> Value {
    json!({"scheme": "exact", "network": "eip155:84532", "amount": "10000", "asset": USDC, "payTo": PAYEE,
        "maxTimeoutSeconds": 60, "extra": {"name": "USDC", "version": "2"}})
}

pub fn offer_v1() -> Value {
    json!({"scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "10000",
        "resource": "https://api.example.com/premium-data", "description": "Access to premium market data",
        "mimeType": "application/json", "payTo": PAYEE, "maxTimeoutSeconds": 60, "asset": USDC,
        "extra": {"name": "USDC", "version": "2"}})
}

pub fn required_v2(accepts: &[Value]) -> Value {
    json!({"x402Version": 2, "error": "Payment required", "accepts": accepts, "resource": {
        "url": "https://api.example.com/premium-data", "description": "Access to premium market data",
        "mimeType": "application/json"}})
}

pub fn required_v1(accepts: &[Value]) -> Value {
    json!({"x402Version": 1, "error": "X-PAYMENT header is required", "accepts": accepts})
}

pub fn encode(value: &Value) -> String {
    STANDARD.encode(value.to_string())
}

pub fn decode(header: &str) -> Value {
    serde_json::from_slice(&STANDARD.decode(header).unwrap()).unwrap()
}

/// A version 2 answer.
pub fn ask_v2(accepts: &[Value]) -> Response {
    let header = [("PAYMENT-REQUIRED", encode(&required_v2(accepts)))];
    (StatusCode::PAYMENT_REQUIRED, header, "{}").into_response()
}

/// A version 1 answer.
pub fn ask_v1(accepts: &[Value]) -> Response {
    let body = required_v1(accepts).to_string();
    (StatusCode::PAYMENT_REQUIRED, body).into_response()
}

/// What a good server sends along with what was bought.
pub fn receipt() -> Value {
    json!({"success": true, "transaction": HASH, "network": "eip155:84532", "payer": PAYER})
}

pub fn served() -> Response {
    ([("PAYMENT-RESPONSE", encode(&receipt()))], "served").into_response()
}

/// A seller of one thing for one cent, version 2.
pub async fn honest() -> Seller {
    seller(|request| match request.payment() {
        Some(_) => served(),
        None => ask_v2(&[offer_v2()]),
    })
    .await
}

pub fn cents(count: u64) -> Worth {
    Worth::of_dollar_coin(U256::from(count), 2).unwrap()
}

pub fn caps() -> Caps {
    Caps {
        per_payment: limits::PER_PAYMENT_DEFAULT,
        total: None,
        per_host: None,
        per_period: None,
    }
}

pub fn wallet() -> Wallet {
    let env = [("FAREGATE_PRIVATE_KEY".to_owned(), KEY.to_owned())];
    Wallet::from_env(&env.into()).unwrap()
}

pub fn memory() -> Arc<dyn WalletStore> {
    Arc::new(MemoryWallet::new())
}

/// Everything but the store, with the clock standing still.
pub fn builder() -> ClientBuilder {
    Client::builder()
        .wallet(wallet())
        .caps(caps())
        .clock(|| Timestamp::from_secs(NOW))
}

pub fn client(store: &Arc<dyn WalletStore>) -> Client {
    builder().store(store.clone()).build().unwrap()
}

/// A client over the same books that can sign for nobody.
pub fn nobody(store: &Arc<dyn WalletStore>) -> Client {
    let caps = Caps {
        per_payment: Worth::ZERO,
        total: None,
        per_host: None,
        per_period: None,
    };
    let (wallet, _key) = Wallet::generate(&mut OsEntropy).unwrap();
    let builder = builder().wallet(wallet).caps(caps);
    builder.store(Arc::clone(store)).build().unwrap()
}
