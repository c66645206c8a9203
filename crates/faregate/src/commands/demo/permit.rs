//! The demo's purchase over the permit rail: one permit, one token, several requests, and the end of the token.

use std::time::{Duration, Instant};

use alloy_primitives::U256;
use faregate_client::{Caps, Client, PayError, Payment, Prefer, Worth};
use serde_json::Value;

use super::{Row, Steps, books, broken, client, joke, on_chain, payer, served};
use crate::commands::paid::money;
use crate::exit::Failed;
use crate::stack::{self, Stack};

/// How often the receipt is asked for until it is there.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Buys a token with a permit, uses it, sees the money arrive, and sees the token refused when it is revoked. `before` is what
/// the payee's books hold already.
///
/// # Errors
/// When a step does not go as it should.
pub(super) async fn buy(stack: &Stack, steps: Steps, before: U256) -> Result<Row, Failed> {
    let url = format!("{}/joke", stack.gate_url());
    let payee = stack::payee()
        .ok_or_else(|| broken("there is no payee"))?
        .address;
    let (asset, decimals) = (&stack.asset, stack.asset.decimals);
    // Enough for one token and not for two: what is revoked is not bought again behind the payer's back.
    let price = U256::from(1_000);
    let cap = Worth::of_dollar_coin(price, decimals).ok_or_else(|| broken("no cap"))?;
    let node = stack
        .rpc_url()
        .parse()
        .map_err(|_| broken("the node has no URL"))?;
    let caps = Caps {
        total: Some(cap),
        ..Caps::per_payment(cap)
    };
    let client = client(
        payer()?
            .prefer(Prefer::Permit)
            .node(stack.chain, node)
            .caps(caps),
    )?;
    let had = on_chain(stack, payee).await?;

    let asked = Instant::now();
    let paid = client.get(&url).send().await;
    let (payment, first) =
        served(paid.map_err(|error| broken(&format!("permit: {error}")))?).await?;
    let took = asked.elapsed();
    let over = payment
        .permit()
        .ok_or_else(|| broken("it was not paid with a permit"))?;
    let price = money(payment.amount.value(), asset);
    steps.say("asked", "GET /joke: 402 Payment Required");
    steps.say(
        "permit",
        &format!(
            "{price} for {}, an {} signed by {}",
            payment.payee,
            over.kind.as_str(),
            over.payer
        ),
    );
    steps.say(
        "token",
        &format!("from POST {}", stack.token_endpoint().unwrap_or_default()),
    );
    steps.say("served", &first);
    for again in ["again", "and again"] {
        steps.say(
            again,
            &format!("{} (the same token)", once_more(&client, &url).await?),
        );
    }
    let transaction = collected(stack, &payment).await?;
    let received = on_chain(stack, payee).await?.checked_sub(had);
    if received != Some(payment.amount.value()) {
        return Err(broken("the chain does not show what the permit was for"));
    }
    steps.say(
        "on chain",
        &format!("{price} arrived in {transaction}, once"),
    );
    let all = before.saturating_add(payment.amount.value());
    books(stack, payee, all).await?;
    steps.say(
        "books",
        "every account adds up, and the ledger and the chain agree",
    );
    stack.revoke(payment.id).await?;
    match client.get(&url).send().await {
        Err(PayError::Cap(refusal)) => {
            steps.say(
                "revoked",
                &format!("the token is refused, and the payer does not buy another: {refusal}"),
            );
        }
        Err(error) => return Err(broken(&format!("after the revocation: {error}"))),
        Ok(_) => return Err(broken("a revoked token was served")),
    }
    Ok(Row {
        rail: "permit",
        network: super::network_title(stack),
        price,
        transaction,
        took,
    })
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
