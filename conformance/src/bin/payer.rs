//! The client library as a program, for rows that need one client for several requests: `faregate curl` is a new one each time.
//!
//! Asks for URL, COUNT times, and prints one JSON line: `{"statuses","bodies","paid","errors"}`, one entry for each request;
//! `paid` in millisatoshis without the fee. Pays over Lightning with an LND node (LND_REST, LND_MACAROON) or with a wallet of
//! LNbits (LNBITS_URL, LNBITS_KEY; NETWORK where it is not regtest), at most MAX_SATS for one request and MAX_SATS_IN_ALL for
//! all of them. The wallet's books are in memory.

use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use faregate_client::{Client, LightningWallet, MsatCaps, PayError, Rail};
use faregate_core::port::lightning::Sender;
use faregate_lightning::{BackendConfig, Endpoint, LnbitsConfig, LndConfig};
use faregate_store::memory::MemoryWallet;
use faregate_types::lightning::{BitcoinNetwork, Msat};
use faregate_types::{Secret, Timestamp};
use serde_json::{Value, json};

type Failure = Box<dyn Error + Send + Sync>;

/// All payments of one run count, because a run is shorter.
const DAY_SECS: u64 = 86_400;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let (url, count) = (var("URL")?, var("COUNT")?.parse::<u32>()?);
    let client = client()?;
    let (mut statuses, mut bodies) = (Vec::new(), Vec::new());
    let (mut paid, mut errors) = (Vec::new(), Vec::new());
    for _ in 0..count {
        match client.get(&url).send().await {
            Ok(bought) => {
                let lightning = bought.payment.as_ref().and_then(|one| match &one.rail {
                    Rail::L402(one) => Some(one.amount.get()),
                    _ => None,
                });
                statuses.push(json!(bought.answer.status().as_u16()));
                bodies.push(json!(bought.answer.text().await?));
                paid.push(json!(lightning));
                errors.push(Value::Null);
            }
            Err(error) => {
                statuses.push(Value::Null);
                bodies.push(Value::Null);
                paid.push(Value::Null);
                errors.push(described(&error));
            }
        }
    }
    let said = json!({ "statuses": statuses, "bodies": bodies, "paid": paid, "errors": errors });
    writeln!(std::io::stdout(), "{said}")?;
    Ok(())
}

fn described(error: &PayError) -> Value {
    json!({ "code": error.code().as_str(), "text": error.to_string() })
}

fn client() -> Result<Client, Failure> {
    let backend = match var("LNBITS_URL") {
        Ok(url) => {
            let key = Secret::new(var("LNBITS_KEY")?.into_bytes());
            BackendConfig::Lnbits(LnbitsConfig::new(Endpoint::new(url.parse()?), key))
        }
        Err(_) => {
            let macaroon = Secret::new(var("LND_MACAROON")?.into_bytes());
            let node = Endpoint::new(var("LND_REST")?.parse()?);
            BackendConfig::Lnd(LndConfig::new(node, macaroon))
        }
    };
    let network = match var("NETWORK") {
        Ok(word) => BitcoinNetwork::from_word(&word).ok_or("NETWORK is no network")?,
        Err(_) => BitcoinNetwork::Regtest,
    };
    let clock = Arc::new(|| Timestamp::from(SystemTime::now()));
    let sender = Sender::new(backend.sender()?, network, clock)
        .map_err(|away| away.code.meaning().to_owned())?;
    let sats = |name: &str| -> Result<Msat, Failure> {
        Ok(Msat::from_sat(var(name)?.parse()?).ok_or("too many satoshis")?)
    };
    let caps = MsatCaps {
        per_payment: sats("MAX_SATS")?,
        total: None,
        per_host: None,
        per_period: Some((DAY_SECS, sats("MAX_SATS_IN_ALL")?)),
    };
    let wallet = LightningWallet::new(sender, caps);
    let wallet = if network == BitcoinNetwork::Mainnet {
        // FakeWallet calls its network so.
        wallet.allow_mainnet()
    } else {
        wallet
    };
    let client = Client::builder().lightning(wallet);
    Ok(client.store(Arc::new(MemoryWallet::new())).build()?)
}

fn var(name: &str) -> Result<String, Failure> {
    std::env::var(name).map_err(|_| format!("{name} is not set").into())
}
