//! Our client, paying a server that asks for what a recording says, at the recorded time and with the recorded nonce.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use faregate_client::{Caps, Client, Wallet, limits};
use faregate_evm::{Entropy, EntropyError};
use faregate_store::memory::MemoryWallet;
use faregate_types::x402::{Version, header};
use faregate_types::{B256, ChainId, Timestamp};
use serde_json::Value;
use tokio::net::TcpListener;

/// What the client is given.
pub(super) struct Purse {
    /// The private key, as hexadecimal text.
    pub(super) key: String,
    /// The one nonce it will draw.
    pub(super) nonce: B256,
    /// What its clock says, in seconds.
    pub(super) now: u64,
    /// Where it may pay.
    pub(super) chain: ChainId,
}

/// The payment header it sent.
pub(super) struct Sent {
    pub(super) name: &'static str,
    pub(super) value: String,
}

/// Lets the client buy once.
pub(super) fn pay(purse: Purse, version: Version, offer: &Value) -> Result<Sent, String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let sent = Arc::new(Mutex::new(None));
        let url = serve(challenge(version, offer), Arc::clone(&sent)).await?;
        let client = client(purse)?;
        let paid = client.get(url).send().await;
        paid.map_err(|error| format!("our client did not pay: {error}"))?;
        let sent = sent.lock().unwrap_or_else(PoisonError::into_inner).take();
        sent.ok_or_else(|| "our client sent no payment".to_owned())
    })
}

struct OneNonce(B256);

impl Entropy for OneNonce {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        for (slot, byte) in buffer.iter_mut().zip(self.0.iter().cycle()) {
            *slot = *byte;
        }
        Ok(())
    }
}

fn client(purse: Purse) -> Result<Client, String> {
    let environment = BTreeMap::from([("FAREGATE_PRIVATE_KEY".to_owned(), purse.key)]);
    let wallet = Wallet::from_env(&environment).map_err(|error| error.to_string())?;
    let store = MemoryWallet::new();
    let caps = Caps {
        per_payment: limits::PER_PAYMENT_DEFAULT,
        total: None,
        per_host: None,
        per_period: None,
    };
    let now = Timestamp::from_secs(purse.now);
    Client::builder()
        .wallet(wallet)
        .caps(caps)
        .store(Arc::new(store))
        .allow_chain(purse.chain)
        .clock(move || now)
        .entropy(OneNonce(purse.nonce))
        .build()
        .map_err(|error| error.to_string())
}

/// The 402 answer.
fn challenge(version: Version, offer: &Value) -> (HeaderMap, String) {
    let mut headers = HeaderMap::new();
    match version {
        Version::V1 => (headers, offer.to_string()),
        Version::V2 => {
            if let Ok(value) = header::encode(offer).parse() {
                headers.insert(header::PAYMENT_REQUIRED, value);
            }
            (headers, "{}".to_owned())
        }
    }
}

/// Serves until the runtime ends: 402 without a payment, 200 with one.
async fn serve(
    challenge: (HeaderMap, String),
    sent: Arc<Mutex<Option<Sent>>>,
) -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let app = Router::new().fallback(async move |headers: HeaderMap| {
        let found = [header::PAYMENT_SIGNATURE, header::X_PAYMENT]
            .into_iter()
            .find_map(|name| Some((name, headers.get(name)?.to_str().ok()?.to_owned())));
        match found {
            Some((name, value)) => {
                *sent.lock().unwrap_or_else(PoisonError::into_inner) = Some(Sent { name, value });
                StatusCode::OK.into_response()
            }
            None => asking(challenge),
        }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(format!("http://{address}/premium-data"))
}

fn asking((headers, body): (HeaderMap, String)) -> Response {
    (StatusCode::PAYMENT_REQUIRED, headers, body).into_response()
}
