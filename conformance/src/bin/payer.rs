//! The client library as a program, for rows that need one client for several requests: `faregate curl` is a new one each time.
//!
//! Asks for URL, COUNT times, and prints one JSON line: `{"statuses","bodies","paid","errors"}`, one entry for each request;
//! `paid` in millisatoshis without the fee, or as the kind of permit that was signed. Pays over Lightning with an LND node
//! (LND_REST, LND_MACAROON) or with a wallet of LNbits (LNBITS_URL, LNBITS_KEY; NETWORK where it is not regtest), at most
//! MAX_SATS for one request and MAX_SATS_IN_ALL for all of them. Or pays in tokens with FAREGATE_PRIVATE_KEY on CHAIN, with
//! permits where they are taken: with a node of the chain if NODE names one, and no other kind than KIND, if that is set. The
//! wallet's books are in memory.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use faregate_client::{
    Caps, Client, ClientBuilder, LightningWallet, MsatCaps, PayError, Payment, Prefer, Rail,
    Wallet, limits,
};
use faregate_core::port::lightning::Sender;
use faregate_lightning::{BackendConfig, Endpoint, LnbitsConfig, LndConfig};
use faregate_store::memory::MemoryWallet;
use faregate_types::lightning::{BitcoinNetwork, Msat};
use faregate_types::permit::PermitKind;
use faregate_types::{ChainId, Secret, Timestamp};
use serde_json::{Value, json};

type Failure = Box<dyn Error + Send + Sync>;

/// All payments of one run count, because a run is shorter.
const DAY_SECS: u64 = 86_400;

/// Names the key that pays in tokens.
const KEY: &str = "FAREGATE_PRIVATE_KEY";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let (url, count) = (var("URL")?, var("COUNT")?.parse::<u32>()?);
    let client = client()?;
    let (mut statuses, mut bodies) = (Vec::new(), Vec::new());
    let (mut paid, mut errors) = (Vec::new(), Vec::new());
    for _ in 0..count {
        match client.get(&url).send().await {
            Ok(bought) => {
                let how = bought.payment.as_ref().map_or(Value::Null, how);
                statuses.push(json!(bought.answer.status().as_u16()));
                bodies.push(json!(bought.answer.text().await?));
                paid.push(how);
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

fn how(payment: &Payment) -> Value {
    match &payment.rail {
        Rail::L402(one) => json!(one.amount.get()),
        Rail::Permit(one) => json!(one.kind.as_str()),
        _ => Value::Null,
    }
}

fn described(error: &PayError) -> Value {
    json!({ "code": error.code().as_str(), "text": error.to_string() })
}

fn client() -> Result<Client, Failure> {
    let builder = if var(KEY).is_ok() {
        tokens()?
    } else {
        Client::builder().lightning(satoshis()?)
    };
    Ok(builder.store(Arc::new(MemoryWallet::new())).build()?)
}

fn tokens() -> Result<ClientBuilder, Failure> {
    let env = BTreeMap::from([(KEY.to_owned(), var(KEY)?)]);
    let chain = ChainId::new(var("CHAIN")?.parse()?).ok_or("0 is no chain")?;
    let caps = Caps {
        per_payment: limits::PER_PAYMENT_DEFAULT,
        total: None,
        per_host: None,
        per_period: None,
    };
    let mut builder = Client::builder()
        .wallet(Wallet::from_env(&env)?)
        .caps(caps)
        .prefer(Prefer::Permit)
        .allow_chain(chain);
    if let Ok(node) = var("NODE") {
        builder = builder.node(chain, node.parse()?);
    }
    if let Ok(kind) = var("KIND") {
        let kinds = [
            PermitKind::Eip2612,
            PermitKind::Erc3009,
            PermitKind::Permit2,
        ];
        let kind = kinds.into_iter().find(|one| one.as_str() == kind);
        builder = builder.permit_kind(kind.ok_or("KIND is no kind of permit")?);
    }
    Ok(builder)
}

fn satoshis() -> Result<LightningWallet, Failure> {
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
    // FakeWallet calls its network so.
    Ok(if network == BitcoinNetwork::Mainnet {
        wallet.allow_mainnet()
    } else {
        wallet
    })
}

fn var(name: &str) -> Result<String, Failure> {
    std::env::var(name).map_err(|_| format!("{name} is not set").into())
}
