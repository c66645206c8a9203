//! A seller on credit, made of the words of `faregate-types`: it opens tabs, checks claims and issues certificates.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use faregate_client::{ClientBuilder, OnCredit, Prefer, WalletStore};
use faregate_evm::recover;
use faregate_types::credit::digest::domain_separator;
use faregate_types::credit::x402::{CreditCall, CreditEnvelope, Demand, TabRequest};
use faregate_types::credit::{BlsSecretKey, Certificate, Claims, Guarantee};
use faregate_types::x402::header::decode_any;
use faregate_types::{B256, ChainId, U256};
use serde_json::{Value, json};

use super::{PAYEE, PAYER, Seen, Seller, USDC, builder, encode, required_v1, required_v2, seller};

/// One cent.
pub const PRICE: u64 = 10_000;
/// The domain of certificates.
pub const DOMAIN: B256 = B256::repeat_byte(0xd0);

/// An offer of version 1, as sellers of this network write it: fewer members, amounts of either kind.
pub fn plain(at: &str) -> Value {
    json!({"scheme": "4mica-credit", "network": "eip155:84532", "maxAmountRequired": PRICE.to_string(), "payTo": PAYEE,
        "asset": USDC, "extra": {"tabEndpoint": format!("{at}/tabs")}})
}

/// An offer of version 2, on a condition.
pub fn conditional(at: &str) -> Value {
    json!({"scheme": "4mica-credit", "network": "eip155:84532", "amount": PRICE.to_string(), "payTo": PAYEE, "asset": USDC,
        "maxTimeoutSeconds": 60, "extra": {"tabEndpoint": format!("{at}/tabs"),
            "validationRegistryAddress": "0x1111111111111111111111111111111111111111", "validationChainId": 84532,
            "validatorAddress": "0x2222222222222222222222222222222222222222", "validatorAgentId": "7",
            "minValidationScore": 80, "jobHash": B256::repeat_byte(3).to_string(), "requiredValidationTag": "joke"}})
}

/// What a seller on credit knows, and how it behaves.
#[derive(Default)]
pub struct Book {
    /// Offers of the body and of the header, made with the seller's own address.
    pub v1: Vec<fn(&str) -> Value>,
    pub v2: Vec<fn(&str) -> Value>,
    /// The tab that is open.
    pub tab: u64,
    /// Whether every question for a tab gets another number, as from gates of ours.
    pub is_reserving: bool,
    pub next: u64,
    /// What was taken: tab and number to payment header.
    pub taken: BTreeMap<(U256, U256), String>,
    /// In all.
    pub total: u64,
    /// Refused with this instead of taken, as often as that.
    pub refuses: Option<(&'static str, usize)>,
}

/// A seller on credit.
#[derive(Clone)]
pub struct CreditShop {
    pub book: Arc<Mutex<Book>>,
}

impl CreditShop {
    pub fn new(v1: &[fn(&str) -> Value], v2: &[fn(&str) -> Value]) -> Self {
        let book = Book {
            v1: v1.to_vec(),
            v2: v2.to_vec(),
            tab: 0x2a,
            ..Book::default()
        };
        Self {
            book: Arc::new(Mutex::new(book)),
        }
    }

    pub async fn open(&self) -> Seller {
        let shop = self.clone();
        seller(move |seen| shop.answer(seen)).await
    }

    pub fn taken(&self) -> usize {
        self.book.lock().unwrap().taken.len()
    }

    pub fn answer(&self, seen: &Seen) -> Response {
        let at = format!("http://{}", seen.header("host").unwrap());
        match (seen.path.as_str(), seen.payment()) {
            ("/tabs", _) => self.tab(&seen.body),
            (_, None) => self.ask(&at, None),
            (_, Some(payment)) => self.take(&at, &payment),
        }
    }

    /// The 402: version 1 in the body, version 2 in the header.
    pub fn ask(&self, at: &str, error: Option<&str>) -> Response {
        let book = self.book.lock().unwrap();
        let offers = |make: &[fn(&str) -> Value]| make.iter().map(|make| make(at)).collect();
        let (v1, v2): (Vec<Value>, Vec<Value>) = (offers(&book.v1), offers(&book.v2));
        let mut body = required_v1(&v1);
        let mut header = required_v2(&v2);
        if let Some(error) = error {
            body["error"] = json!(error);
            header["error"] = json!(error);
        }
        let mut headers = HeaderMap::new();
        if !v2.is_empty() {
            headers.insert("payment-required", encode(&header).parse().unwrap());
        }
        let body = match v1.is_empty() {
            true => "{}".to_owned(),
            false => body.to_string(),
        };
        (StatusCode::PAYMENT_REQUIRED, headers, body).into_response()
    }

    fn tab(&self, body: &[u8]) -> Response {
        let asked = TabRequest::read(body).unwrap();
        let mut book = self.book.lock().unwrap();
        let number = if book.is_reserving {
            book.next += 1;
            book.next - 1
        } else {
            let tab = U256::from(book.tab);
            let taken = book.taken.keys().filter(|(of, _)| *of == tab).count();
            u64::try_from(taken).unwrap()
        };
        json!({"tabId": format!("{:#x}", book.tab), "userAddress": asked.payer, "recipientAddress": PAYEE,
            "assetAddress": USDC, "startTimestamp": super::NOW, "ttlSeconds": 86_400, "nextReqId": format!("{number:#x}")})
        .to_string()
        .into_response()
    }

    fn take(&self, at: &str, payment: &str) -> Response {
        let envelope = CreditEnvelope::read(&decode_any(payment.as_bytes()).unwrap()).unwrap();
        let (claims, version) = (envelope.request.claims.clone(), envelope.version);
        let domain = domain_separator("4mica", "1", ChainId::BASE_SEPOLIA);
        assert_eq!(claims.payer.to_string(), PAYER);
        assert!(envelope.request.signed_as(domain, recover).is_some());
        let key = (claims.tab_id, claims.req_id);
        {
            let mut book = self.book.lock().unwrap();
            let offer = match version.number() {
                1 => book.v1.last().unwrap()(at),
                _ => book.v2.last().unwrap()(at),
            };
            let call = CreditCall {
                demand: Demand::read(version, &offer).unwrap(),
                payment: envelope,
            };
            call.check().unwrap();
            let is_new = book.taken.get(&key).is_none_or(|taken| taken != payment);
            let is_refused = match &mut book.refuses {
                Some((code, times)) if *times > 0 => {
                    *times -= 1;
                    Some(*code)
                }
                _ => None,
            };
            let refusal = match is_refused {
                Some(code) => Some(code),
                None if is_new && book.taken.contains_key(&key) => Some("credit_req_id_taken"),
                None if claims.tab_id != U256::from(book.tab) => Some("credit_tab_unknown"),
                None => None,
            };
            if let Some(code) = refusal {
                drop(book);
                return self.ask(at, Some(code));
            }
            if is_new {
                book.taken.insert(key, payment.to_owned());
                book.total += PRICE;
            }
        }
        let total = U256::from(self.book.lock().unwrap().total);
        served(&claims, version.number(), total)
    }
}

/// A certificate for claims, of a core whose key is nobody's.
pub fn certificate(claims: &Claims, total: U256) -> Certificate {
    let guarantee = Guarantee::of(claims, DOMAIN, total).unwrap();
    Certificate::issue(&guarantee, &bls_key())
}

pub fn bls_key() -> BlsSecretKey {
    BlsSecretKey::from_bytes(&[7; 32]).unwrap()
}

/// What was bought, with its receipt.
pub fn served(claims: &Claims, version: u8, total: U256) -> Response {
    let receipt = json!({"success": true, "transaction": "", "network": "eip155:84532", "payer": claims.payer.to_string(),
        "extra": {"certificate": certificate(claims, total)}});
    let name = match version {
        1 => "x-payment-response",
        _ => "payment-response",
    };
    let mut headers = HeaderMap::new();
    let name: HeaderName = name.parse().unwrap();
    headers.insert(name, encode(&receipt).parse().unwrap());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    (StatusCode::OK, headers, "served").into_response()
}

/// A client that pays on credit, and prefers to.
pub fn on_credit(store: &Arc<dyn WalletStore>) -> ClientBuilder {
    let builder = builder().credit(OnCredit::new()).prefer(Prefer::Credit);
    builder.store(store.clone())
}

/// The questions for tabs that a seller got.
pub fn questions(seller: &Seller) -> Vec<Value> {
    let seen = seller.seen().into_iter();
    let posts = seen.filter(|seen| seen.path == "/tabs");
    posts
        .map(|post| serde_json::from_slice(&post.body).unwrap())
        .collect()
}
