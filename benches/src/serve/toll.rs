//! A shop that is paid over Lightning, behind our layer, with a wallet in its own process.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use alloy_primitives::{B256, U256, keccak256};
use axum::serve;
use faregate_core::port::lightning::Receiver;
use faregate_core::rail::l402::{InvoiceRate, L402, MasterKey, MasterKeys};
use faregate_core::{Asked, Clock, LightningAsk, Offer, Resource, Scope, SettlePolicy, Till};
use faregate_devnet::{DevLightning, LightningConfig, WalletName};
use faregate_ledger::LedgerStore;
use faregate_store::memory::MemoryLedger;
use faregate_store::sqlite::SqliteLedger;
use faregate_tower::PaywallLayer;
use faregate_types::Timestamp;
use faregate_types::l402::credential;
use faregate_types::lightning::{BitcoinNetwork, Msat, Preimage};

use super::{joke, listen};
use crate::{Failed, http};

/// Whoever makes the requests knows it too, and makes their tokens beforehand.
const MASTER: [u8; 32] = [0x40; 32];

/// What tokens of the shop buy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the two kinds there are")]
pub enum Buys {
    /// One request.
    One,
    /// Any number, until it expires.
    Any,
}

/// Serves the joke. `books` is `memory` or a path.
///
/// # Errors
/// The port, the ledger.
pub async fn serve_toll(buys: Buys, books: &str) -> Result<(), Failed> {
    let store: Arc<dyn LedgerStore> = match books {
        "memory" => Arc::new(MemoryLedger::new()),
        path => Arc::new(SqliteLedger::open(Path::new(path))?),
    };
    let lightning = DevLightning::start(LightningConfig::default()).await?;
    let rail = rail(&lightning);
    let till = Till::new(store, clock(), vec![Arc::new(rail)]);
    let listener = listen().await?;
    let app = joke().layer(PaywallLayer::new(till, offer(buys)?)?);
    Ok(serve(listener, app).await?)
}

/// `count` requests, each with a token of its own that its payment was made for.
///
/// # Errors
/// There is no port for the wallet.
pub async fn requests(buys: Buys, count: usize) -> Result<Vec<Vec<u8>>, Failed> {
    let lightning = DevLightning::start(LightningConfig::default()).await?;
    let (rail, offer, asked) = (rail(&lightning), offer(buys)?, Asked::default());
    let mut requests = Vec::with_capacity(count);
    for number in 0..count {
        let secret = keccak256(B256::from(U256::from(number)));
        let preimage = Preimage::from_bytes(secret.0);
        let token = rail
            .token(preimage.hash(), &offer, &asked)
            .map_err(|away| away.to_string())?;
        let line = credential::write(&token, &preimage);
        requests.push(http::get("/joke", &format!("Authorization: {}", *line)));
    }
    lightning.shutdown().await;
    Ok(requests)
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(|| Timestamp::from(SystemTime::now()))
}

fn rail(lightning: &DevLightning) -> L402 {
    let wallet = Arc::new(lightning.wallet(WalletName::Seller));
    let receiver = Receiver::new(wallet, BitcoinNetwork::Regtest, clock());
    let keys = MasterKeys::new(MasterKey::from_bytes(MASTER));
    // One client asks for all of them here.
    let rate = InvoiceRate {
        per_minute: NonZeroU32::MAX,
        at_once: NonZeroU32::MAX,
    };
    L402::new(receiver, keys, clock()).rate(rate)
}

fn offer(buys: Buys) -> Result<Offer, Failed> {
    let ask = LightningAsk {
        network: BitcoinNetwork::Regtest,
        price: Msat::new(10_000),
        route: "/joke".into(),
        service: "jokes".into(),
        tier: 0,
        capability: None,
        uses: match buys {
            Buys::One => NonZeroU32::new(1),
            Buys::Any => None,
        },
        valid_secs: 3_600,
        scope: Scope::Route,
        is_bound_to_client: false,
    };
    let resource = Resource {
        url: "http://127.0.0.1/joke".into(),
        description: "one joke".into(),
        mime_type: "text/plain".into(),
    };
    let asks = vec![ask.into()];
    Ok(Offer::new(
        "joke",
        resource,
        asks,
        SettlePolicy::After,
        300,
    )?)
}
