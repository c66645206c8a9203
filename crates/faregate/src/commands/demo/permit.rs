//! The demo's purchase over the permit rail: one permit, one token, several requests, and the end of the token.

use std::time::{Duration, Instant};

use alloy_primitives::U256;
use faregate_client::{Caps, Client, PayError, Payment, Prefer, Worth};
use serde_json::Value;

use super::{Row, Steps, books, broken, client, joke, network_title, on_chain, payer, served};
use crate::commands::paid::money;
use crate::exit::Failed;
use crate::stack::{self, Stack};

/// How often the receipt is asked for until it is there.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Buys a token with a permit, uses it, sees the money arrive, and sees the token refused when it is revoked. `before` is what
/// the payee's books hold already, `price` what the route costs.
///
/// # Errors
/// When a step does not go as it should.
pub(super) async fn buy(
    stack: &Stack,
    steps: Steps,
    before: U256,
    price: U256,
) -> Result<Row, Failed> {
    let url = format!("{}/joke", stack.gate_url());
    let payee = stack::payee()
        .ok_or_else(|| broken("there is no payee"))?
        .address;
    let client = careful(stack, price)?;
    let had = on_chain(stack, payee).await?;
    let asked = Instant::now();
    let payment = bought(stack, &client, &url, steps).await?;
    let took = asked.elapsed();
    for again in ["again", "and again"] {
        let joke = once_more(&client, &url).await?;
        steps.say(again, &format!("{joke} (the same token)"));
    }
    let transaction = collected(stack, &payment).await?;
    let amount = payment.amount.value();
    let received = on_chain(stack, payee).await?.checked_sub(had);
    if received != Some(amount) {
        return Err(broken("the chain does not show what the permit was for"));
    }
    let price = money(amount, &stack.asset);
    steps.say(
        "on chain",
        &format!("{price} arrived in {transaction}, once"),
    );
    books(stack, payee, before.saturating_add(amount)).await?;
    let agree = "every account adds up, and the ledger and the chain agree";
    steps.say("books", agree);
    revoked(stack, &client, &url, &payment, steps).await?;
    Ok(Row {
        rail: "permit",
        network: network_title(stack),
        price,
        transaction,
        took,
    })
}

/// A payer who may pay this once, and not twice: what is revoked is not bought again behind its back.
fn careful(stack: &Stack, price: U256) -> Result<Client, Failed> {
    let cap = Worth::of_dollar_coin(price, stack.asset.decimals);
    let cap = cap.ok_or_else(|| broken("the price is no cap"))?;
    let node = stack.rpc_url().parse();
    let node = node.map_err(|_| broken("the node has no URL"))?;
    let caps = Caps {
        total: Some(cap),
        ..Caps::per_payment(cap)
    };
    client(
        payer()?
            .prefer(Prefer::Permit)
            .node(stack.chain, node)
            .caps(caps),
    )
}

/// The first request: asked for money, a permit signed, a token received, served.
async fn bought(
    stack: &Stack,
    client: &Client,
    url: &str,
    steps: Steps,
) -> Result<Payment, Failed> {
    let paid = client.get(url).send().await;
    let paid = paid.map_err(|error| broken(&format!("permit: {error}")))?;
    let (payment, joke) = served(paid).await?;
    let over = payment.permit();
    let over = over.ok_or_else(|| broken("it was not paid with a permit"))?;
    let price = money(payment.amount.value(), &stack.asset);
    let (payee, payer, kind) = (&payment.payee, over.payer, over.kind.as_str());
    steps.say("asked", "GET /joke: 402 Payment Required");
    steps.say(
        "permit",
        &format!("{price} for {payee}, signed by {payer} ({kind})"),
    );
    let endpoint = stack.token_endpoint().unwrap_or_default();
    steps.say(
        "token",
        &format!("from POST {endpoint}/q_…, before the money moved"),
    );
    steps.say("served", &joke);
    Ok(payment)
}

/// The end of the token.
async fn revoked(
    stack: &Stack,
    client: &Client,
    url: &str,
    payment: &Payment,
    steps: Steps,
) -> Result<(), Failed> {
    stack.revoke(payment.id).await?;
    match client.get(url).send().await {
        Err(PayError::Cap(refusal)) => {
            let why = format!("the token is refused, and another is not bought: {refusal}");
            steps.say("revoked", &why);
            Ok(())
        }
        Err(error) => Err(broken(&format!("after the revocation: {error}"))),
        Ok(_) => Err(broken("a revoked token was served")),
    }
}

/// The next joke, for nothing but the token.
async fn once_more(client: &Client, url: &str) -> Result<String, Failed> {
    let paid = client
        .get(url)
        .send()
        .await
        .map_err(|error| broken(&error.to_string()))?;
    if paid.payment.is_some() {
        return Err(broken("a token was bought that was there"));
    }
    joke(paid.answer).await
}

/// Waits for the receipt of a payment: its transaction. The demo's own time limit ends this.
async fn collected(stack: &Stack, payment: &Payment) -> Result<String, Failed> {
    let endpoint = stack
        .token_endpoint()
        .ok_or_else(|| broken("there is no token endpoint"))?;
    let url = format!("{endpoint}/receipts/{}", payment.id);
    let failed = |error: reqwest::Error| broken(&format!("the receipt: {error}"));
    let http = reqwest::Client::builder()
        .no_proxy()
        .build()
        .map_err(failed)?;
    loop {
        let receipt: Value = http
            .get(&url)
            .send()
            .await
            .map_err(failed)?
            .json()
            .await
            .map_err(failed)?;
        match (receipt["state"].as_str(), receipt["tx_hash"].as_str()) {
            (Some("settled"), Some(transaction)) => return Ok(transaction.to_owned()),
            (Some("failed" | "released"), _) | (None, _) => {
                return Err(broken("the permit was not collected"));
            }
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}
