//! `faregate demo`: the main job from end to end, in one process, with nothing but this program.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{Address, U256};
use faregate_client::{Caps, Client, ClientBuilder, Paid, Payment, Wallet, limits};
use faregate_ledger::{AccountId, LedgerStore as _};
use faregate_store::memory::MemoryWallet;
use faregate_types::network;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::commands::paid::money;
use crate::exit::{Exit, Failed};
use crate::printer::Printer;
use crate::stack::{self, Stack, StackConfig};

mod credit;
mod lightning;
mod permit;

/// Longer than this means something hangs.
const DEMO_TIMEOUT: Duration = Duration::from_secs(60);

/// Starts everything, buys, checks the money, stops everything.
///
/// # Errors
/// When any rail did not pay, was not served, or the books and the chain do not agree.
pub(crate) async fn run(printer: Printer) -> Result<(), Failed> {
    tokio::time::timeout(DEMO_TIMEOUT, whole(printer))
        .await
        .map_err(|_| broken("the demo did not finish in a minute"))?
}

/// One bought resource, as a row of the table.
struct Row {
    rail: &'static str,
    network: String,
    price: String,
    transaction: String,
    took: Duration,
}

async fn whole(printer: Printer) -> Result<(), Failed> {
    let started = Instant::now();
    let stack = Stack::start(StackConfig::default()).await?;
    let steps = Steps { printer };
    steps.say(
        "dev chain",
        &format!(
            "{} at {}, test USDC at {}",
            stack.chain,
            stack.rpc_url(),
            stack.asset.id.token()
        ),
    );
    steps.say(
        "lightning",
        &format!("regtest at {}", stack.lightning().rest_url()),
    );
    steps.say("facilitator", &stack.facilitator_url());
    if let Ok(credit) = stack.credit() {
        steps.say("credit core", &credit.url());
    }
    steps.say(
        "gate",
        &format!("{} in front of a sample API", stack.gate_url()),
    );
    let result = buy(&stack, steps).await;
    let rows = match result {
        Ok(rows) => rows,
        Err(failed) => {
            stack.shutdown().await;
            return Err(failed);
        }
    };
    stack.shutdown().await;
    table(&rows, started.elapsed(), printer);
    Ok(())
}

async fn buy(stack: &Stack, steps: Steps) -> Result<Vec<Row>, Failed> {
    let url = format!("{}/joke", stack.gate_url());
    let payee = stack::payee()
        .ok_or_else(|| broken("there is no payee"))?
        .address;
    let before = on_chain(stack, payee).await?;
    let client = client(payer()?.caps(Caps::per_payment(limits::PER_PAYMENT_DEFAULT)))?;

    let asked = Instant::now();
    let paid = client
        .get(&url)
        .send()
        .await
        .map_err(|error| broken(&format!("x402: {error}")))?;
    let took = asked.elapsed();
    let (payment, body) = served(paid).await?;
    let x402 = payment
        .x402()
        .ok_or_else(|| broken("it was not paid over x402"))?;
    let price = money(payment.amount.value(), &x402.asset);
    steps.say("asked", "GET /joke: 402 Payment Required");
    steps.say(
        "paid",
        &format!("{price} to {}, signed by {}", payment.payee, x402.payer),
    );
    steps.say("served", &body);
    let transaction = x402
        .receipt
        .transaction()
        .ok_or_else(|| broken("there is no receipt"))?
        .to_owned();

    let received = on_chain(stack, payee).await?.checked_sub(before);
    if received != Some(payment.amount.value()) {
        return Err(broken("the chain does not show the payment"));
    }
    steps.say("on chain", &format!("{price} arrived in {transaction}"));
    books(stack, payee, payment.amount.value()).await?;
    steps.say(
        "books",
        "every account adds up, and the ledger and the chain agree",
    );
    let first = Row {
        rail: "x402",
        network: network_title(stack),
        price,
        transaction,
        took,
    };
    let amount = payment.amount.value();
    let second = permit::buy(stack, steps, amount, amount).await?;
    let third = lightning::buy(stack, steps).await?;
    // Last, because time passes on the chain.
    let fourth = credit::buy(stack, steps).await?;
    Ok(vec![first, second, third, fourth])
}

fn network_title(stack: &Stack) -> String {
    network(stack.chain).map_or_else(
        || stack.chain.to_string(),
        |known| format!("{} (dev chain)", known.title),
    )
}

/// The payer's client in the making.
fn payer() -> Result<ClientBuilder, Failed> {
    let payer = stack::payer().ok_or_else(|| broken("there is no payer"))?;
    let env = [(
        "FAREGATE_PRIVATE_KEY".to_owned(),
        payer.private_key.to_owned(),
    )]
    .into();
    let wallet = Wallet::from_env(&env).map_err(|error| broken(&error.to_string()))?;
    Ok(Client::builder().wallet(wallet))
}

/// A client with books of its own.
fn client(builder: ClientBuilder) -> Result<Client, Failed> {
    builder
        .store(Arc::new(MemoryWallet::new()))
        .build()
        .map_err(|error| broken(&error.to_string()))
}

async fn served(paid: Paid<Response>) -> Result<(Payment, String), Failed> {
    let Paid {
        answer, payment, ..
    } = paid;
    let payment = payment.ok_or_else(|| broken("the joke was free"))?;
    Ok((payment, joke(answer).await?))
}

/// What was bought.
async fn joke(answer: Response) -> Result<String, Failed> {
    if answer.status() != StatusCode::OK {
        return Err(broken(&format!(
            "paid, and the gate answered {}",
            answer.status()
        )));
    }
    let body: Value = answer
        .json()
        .await
        .map_err(|error| broken(&error.to_string()))?;
    let joke = body
        .get("joke")
        .and_then(Value::as_str)
        .ok_or_else(|| broken("that was no joke"))?;
    Ok(joke.to_owned())
}

async fn on_chain(stack: &Stack, account: Address) -> Result<U256, Failed> {
    let devchain = stack
        .devchain()
        .ok_or_else(|| broken("there is no dev chain"))?;
    devchain
        .usdc_balance(account)
        .await
        .map_err(|error| broken(&error.to_string()))
}

/// The ledger's totals balance, and the payee's account holds what arrived on the chain.
async fn books(stack: &Stack, payee: Address, expected: U256) -> Result<(), Failed> {
    balanced(stack, AccountId::payee(payee), expected).await
}

/// The ledger's totals balance, and this account holds so much.
async fn balanced(stack: &Stack, account: AccountId, expected: U256) -> Result<(), Failed> {
    let store = |error: faregate_ledger::StoreError| broken(&error.to_string());
    let totals = stack.ledger.totals().await.map_err(store)?;
    let held = stack
        .ledger
        .balance(account, stack.asset.id.into())
        .await
        .map_err(store)?;
    if totals.iter().all(faregate_ledger::Balance::is_balanced) && held.credits_posted == expected {
        Ok(())
    } else {
        Err(broken("the books do not balance"))
    }
}

fn broken(what: &str) -> Failed {
    Failed::new(Exit::Failure, what)
}

#[derive(Clone, Copy)]
struct Steps {
    printer: Printer,
}

impl Steps {
    fn say(self, what: &str, how: &str) {
        self.printer.line(&format!("  {what:<12} {how}"));
    }
}

fn table(rows: &[Row], elapsed: Duration, printer: Printer) {
    printer.line(&format!(
        "\n  {:<8} {:<26} {:<12} {:<8} transaction",
        "rail", "network", "price", "took"
    ));
    for row in rows {
        printer.line(&format!(
            "  {:<8} {:<26} {:<12} {:<8} {}",
            row.rail,
            row.network,
            row.price,
            format!("{} ms", row.took.as_millis()),
            row.transaction
        ));
    }
    printer.line(&format!(
        "\n{} of {} rails paid and served, in {} ms",
        rows.len(),
        rows.len(),
        elapsed.as_millis()
    ));
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "rail": row.rail, "network": row.network, "price": row.price,
                "transaction": row.transaction, "tookMillis": row.took.as_millis().to_string(),
            })
        })
        .collect();
    printer.data(&json!({"receipts": rows, "ok": true}));
}
