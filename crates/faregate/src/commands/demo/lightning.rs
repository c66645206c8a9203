//! The demo's purchase over L402, from a Lightning wallet that the dev network's node has.

use std::sync::Arc;
use std::time::Instant;

use faregate_client::{Client, LightningWallet, MsatCaps};
use faregate_core::port::lightning::Sender;
use faregate_devnet::WalletName;
use faregate_ledger::{AccountId, Balance, LedgerStore as _};
use faregate_lightning::{BackendConfig, Endpoint, LndConfig};
use faregate_store::memory::MemoryWallet;
use faregate_types::lightning::{BitcoinNetwork, Msat};
use faregate_types::{AssetId, Secret, U256};

use super::{Row, Steps, broken, served};
use crate::exit::Failed;
use crate::stack::Stack;
use crate::wire;

const NETWORK: BitcoinNetwork = BitcoinNetwork::Regtest;

/// Far above the price of a joke.
const CAP: Msat = Msat::new(100_000);

/// Buys, and compares what the seller's wallet and the gate's books say.
///
/// # Errors
/// When it did not pay, was not served, or wallet and books do not agree.
pub(super) async fn buy(stack: &Stack, steps: Steps) -> Result<Row, Failed> {
    let url = format!("{}/joke", stack.gate_url());
    let client = client(stack)?;
    let before = stack.lightning().balance(WalletName::Seller);
    let asked = Instant::now();
    let paid = client.get(&url).send().await;
    let paid = paid.map_err(|error| broken(&format!("L402: {error}")))?;
    let took = asked.elapsed();
    let (payment, body) = served(paid).await?;
    let over = payment
        .l402()
        .ok_or_else(|| broken("that was no Lightning payment"))?;
    let price = sat(over.amount);
    steps.say("asked", "GET /joke: 402 Payment Required");
    steps.say(
        "paid",
        &format!(
            "{price} to {}, and {} for the way",
            payment.payee,
            over.fee.map_or_else(|| "something".to_owned(), sat)
        ),
    );
    steps.say("served", &body);
    let received = stack
        .lightning()
        .balance(WalletName::Seller)
        .checked_sub(before);
    if received != Some(over.amount) {
        return Err(broken("the seller's wallet does not show the payment"));
    }
    books(stack, over.amount).await?;
    steps.say("books", "the ledger and the seller's wallet agree");
    Ok(Row {
        rail: "l402",
        network: "Lightning regtest (dev)".to_owned(),
        price,
        transaction: over.payment_hash.to_string(),
        took,
    })
}

/// A payer with a Lightning wallet, a cap and books of its own.
fn client(stack: &Stack) -> Result<Client, Failed> {
    let url = stack.lightning().rest_url().parse();
    let url = url.map_err(|_| broken("the Lightning node has no URL"))?;
    let macaroon = stack.lightning().macaroon(WalletName::Payer);
    let node = LndConfig::new(Endpoint::new(url), Secret::new(macaroon.into_bytes()));
    let node = BackendConfig::Lnd(node)
        .sender()
        .map_err(|error| broken(&error.to_string()))?;
    let sender = Sender::new(node, NETWORK, wire::clock())
        .map_err(|_| broken("the Lightning node cannot pay"))?;
    let caps = MsatCaps {
        per_payment: CAP,
        total: None,
        per_host: None,
        per_period: None,
    };
    Client::builder()
        .lightning(LightningWallet::new(sender, caps))
        .store(Arc::new(MemoryWallet::new()))
        .build()
        .map_err(|error| broken(&error.to_string()))
}

/// The ledger's totals balance, and the account of Lightning payments holds what arrived.
async fn books(stack: &Stack, expected: Msat) -> Result<(), Failed> {
    let store = |error: faregate_ledger::StoreError| broken(&error.to_string());
    let payee = AccountId::parse("payee/lightning").map_err(|_| broken("there is no payee"))?;
    let totals = stack.ledger.totals().await.map_err(store)?;
    let account = stack
        .ledger
        .balance(payee, AssetId::Msat(NETWORK))
        .await
        .map_err(store)?;
    let agrees = account.credits_posted == U256::from(expected.get());
    if agrees && totals.iter().all(Balance::is_balanced) {
        Ok(())
    } else {
        Err(broken("the books do not balance"))
    }
}

/// Millisatoshis for people: in satoshis when they are whole.
fn sat(amount: Msat) -> String {
    amount
        .to_sat()
        .map_or_else(|| amount.to_string(), |sat| format!("{sat} sat"))
}
