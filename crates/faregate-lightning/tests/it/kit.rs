//! A scripted server, invoices, and short words for outcomes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bitcoin::hashes::{Hash as _, sha256};
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use faregate_core::port::lightning::{
    Invoice, InvoiceAsk, InvoiceState, PayOrder, PayOutcome, ReceiveBackend, Receiver, SendBackend,
    Sender, Wanted,
};
use faregate_lightning::Endpoint;
use faregate_types::lightning::{BitcoinNetwork, Bolt11, Msat, PaymentHash, Preimage};
use faregate_types::{Code, Timestamp};
use futures_util::stream;
use lightning_invoice::{
    Bolt11InvoiceDescription, Currency, Description, InvoiceBuilder, PaymentSecret, Sha256,
};
use serde_json::Value;
use tokio::net::TcpListener;

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const PREIMAGE: [u8; 32] = [5; 32];

pub(crate) fn hash() -> PaymentHash {
    Preimage::from_bytes(PREIMAGE).hash()
}

/// A regtest invoice of 10 satoshis for the hash of [`PREIMAGE`], good for ten minutes.
pub(crate) fn invoice() -> String {
    invoice_over(10_000)
}

pub(crate) fn invoice_over(msat: u64) -> String {
    let words = Description::new("a joke".to_owned()).unwrap();
    signed(Bolt11InvoiceDescription::Direct(words), msat)
}

/// The same, for the hash of a text.
pub(crate) fn invoice_for(text: &str, msat: u64) -> String {
    let hash = sha256::Hash::hash(text.as_bytes());
    signed(Bolt11InvoiceDescription::Hash(Sha256(hash)), msat)
}

fn signed(description: Bolt11InvoiceDescription, msat: u64) -> String {
    let key = SecretKey::from_slice(&[0x11; 32]).unwrap();
    let sign = |hash: &_| Secp256k1::new().sign_ecdsa_recoverable(hash, &key);
    InvoiceBuilder::new(Currency::Regtest)
        .invoice_description(description)
        .payment_hash(sha256::Hash::from_byte_array(*hash().as_bytes()))
        .payment_secret(PaymentSecret([9; 32]))
        .duration_since_epoch(Duration::from_secs(NOW))
        .min_final_cltv_expiry_delta(80)
        .expiry_time(Duration::from_secs(600))
        .amount_milli_satoshis(msat)
        .build_signed(sign)
        .unwrap()
        .to_string()
}

/// One answer.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    Json(u16, Value),
    Text(u16, &'static str),
    /// More bytes than anybody reads.
    Huge,
    /// Nothing, for a long time.
    Nothing,
    /// The beginning of an answer.
    Cut,
}

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Call {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<(VecDeque<Say>, Vec<Call>)>>,
}

impl Script {
    /// Gives these answers, one after the other.
    pub(crate) async fn start(says: impl IntoIterator<Item = Say>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new((says.into_iter().collect(), Vec::new())));
        let script = Self { address, state };
        let router = Router::new().fallback(answer).with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        script
    }

    /// The calls of this one, behind the address of another.
    pub(crate) fn reached_at(self, address: SocketAddr) -> Self {
        Self { address, ..self }
    }

    /// Where it is, with a short deadline for calls.
    pub(crate) fn endpoint(&self) -> Endpoint {
        endpoint(&format!("http://{}", self.address))
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().1.clone()
    }
}

pub(crate) fn endpoint(url: &str) -> Endpoint {
    Endpoint::new(url.parse().unwrap()).timeout(Duration::from_millis(500))
}

/// Where nobody listens.
pub(crate) fn nobody() -> Endpoint {
    endpoint("http://127.0.0.1:1")
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let say = {
        let mut state = script.state.lock().unwrap();
        state.1.push(Call {
            line: format!("{} {}", head.method, head.uri),
            headers: head.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        });
        state.0.pop_front()
    };
    let (status, body) = match say {
        Some(Say::Json(status, value)) => (status, Body::from(value.to_string())),
        Some(Say::Text(status, text)) => (status, Body::from(text)),
        Some(Say::Huge) => (200, Body::from(vec![b' '; 2 << 20])),
        Some(Say::Nothing) => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            (200, Body::empty())
        }
        Some(Say::Cut) => {
            let parts = [
                Ok(Bytes::from_static(b"{\"pay")),
                Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted)),
            ];
            (200, Body::from_stream(stream::iter(parts)))
        }
        None => (418, Body::from("the script is over")),
    };
    Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}

pub(crate) fn receiver(backend: impl ReceiveBackend) -> Receiver {
    let clock = Arc::new(|| Timestamp::from_secs(NOW));
    Receiver::new(Arc::new(backend), BitcoinNetwork::Regtest, clock)
}

pub(crate) fn sender(backend: impl SendBackend) -> Sender {
    let clock = Arc::new(|| Timestamp::from_secs(NOW));
    Sender::new(Arc::new(backend), BitcoinNetwork::Regtest, clock).unwrap()
}

pub(crate) async fn create(receiver: &Receiver) -> Result<Invoice, Code> {
    let ask = InvoiceAsk {
        amount: Msat::new(10_000),
        description: "a joke".into(),
        expiry_secs: 600,
    };
    receiver.create(&ask).await.map_err(|away| away.code)
}

pub(crate) async fn look_up(
    receiver: &Receiver,
    handle: Option<&str>,
) -> Result<InvoiceState, Code> {
    let wanted = Wanted {
        payment_hash: hash(),
        amount: Msat::new(10_000),
        handle: handle.map(Into::into),
    };
    receiver.look_up(&wanted).await.map_err(|away| away.code)
}

/// Pays [`invoice`] with a fee of at most one satoshi.
pub(crate) async fn pay(sender: &Sender) -> PayOutcome {
    let order = PayOrder {
        invoice: Bolt11::parse(&invoice()).unwrap(),
        fee_max: Msat::new(1_000),
        time_limit: Duration::from_millis(100),
    };
    sender.pay(&order).await
}

pub(crate) async fn track(sender: &Sender) -> PayOutcome {
    sender.track(&Bolt11::parse(&invoice()).unwrap()).await
}

/// An outcome in two words: `paid`, `failed`, `refused` or `unknown`, and the code.
pub(crate) fn words(outcome: &PayOutcome) -> (&'static str, Option<Code>) {
    match outcome {
        PayOutcome::Paid(paid) => {
            assert_eq!(paid.preimage.expose(), &PREIMAGE);
            ("paid", None)
        }
        PayOutcome::Failed(refusal) => ("failed", Some(refusal.code)),
        PayOutcome::Refused(refusal) => ("refused", Some(refusal.code)),
        PayOutcome::Unknown(code) => ("unknown", Some(*code)),
    }
}
