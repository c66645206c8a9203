//! `faregate wallet collateral` and `deposit`: what a payer has left with the credit contract, and leaving more there.

use std::time::Duration;

use faregate_client::credit::{CreditError, ETH, SendError};
use faregate_server::config::Env;
use faregate_types::{Address, MoneyText, U256};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::cli::credit::{DepositArgs, PayerArgs};
use crate::commands::pay_tabs::allowed;
use crate::commands::tabs::{Payer, failed};
use crate::exit::{Exit, Failed};
use crate::printer::Printer;

/// How often the core is asked whether it has counted a deposit.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is deposited when nobody says what.
const SYMBOL: &str = "USDC";

/// What there is of one asset, in its atomic units.
struct Held {
    asset: Address,
    /// In the contract, by the contract's word.
    collateral: U256,
    /// Of it, asked to be withdrawn.
    withdrawing: U256,
    /// What the core counts, and what of that it has locked.
    counted: U256,
    locked: U256,
}

/// Shows it.
///
/// # Errors
/// When there is no key or no credit core, or one of those who are asked does not answer.
pub(crate) async fn show(args: &PayerArgs, env: &Env, printer: Printer) -> Result<(), Failed> {
    let payer = Payer::open(args, env).await?;
    let mut all = Vec::new();
    let assets = payer.client.user().collateral().await.map_err(failed)?;
    for found in assets {
        let (counted, locked) = counted(&payer, found.asset).await?;
        all.push(Held {
            asset: found.asset,
            collateral: found.collateral,
            withdrawing: found.requested,
            counted,
            locked,
        });
    }
    all.retain(|held| !held.collateral.is_zero() || !held.counted.is_zero());
    let (address, contract) = (payer.client.address(), payer.client.contract());
    if all.is_empty() {
        printer.line(&format!("{address} has left nothing with {contract}"));
    }
    for held in &all {
        printer.line(&payer.words(held));
    }
    let rows: Vec<Value> = all.iter().map(|held| payer.held(held)).collect();
    printer.data(&json!({
        "payer": address.to_string(), "network": payer.client.chain().to_string(),
        "contract": contract.to_string(), "collateral": rows,
    }));
    Ok(())
}

/// What the core counts of an asset, and what of it is locked.
async fn counted(payer: &Payer, asset: Address) -> Result<(U256, U256), Failed> {
    let about = payer.client.recipient();
    let found = about.balance(payer.client.address(), asset).await;
    let found = found.map_err(failed)?;
    Ok(found.map_or((U256::ZERO, U256::ZERO), |found| {
        (found.total, found.locked)
    }))
}

impl Payer {
    fn words(&self, held: &Held) -> String {
        let money = |amount| self.money(held.asset, amount);
        let mut words = vec![
            format!("collateral  {}", money(held.collateral)),
            format!("locked  {}", money(held.locked)),
            format!("free  {}", money(held.free())),
        ];
        if !held.withdrawing.is_zero() {
            words.push(format!("withdrawing  {}", money(held.withdrawing)));
        }
        if held.counted != held.collateral {
            words.push(format!("counted by the core  {}", money(held.counted)));
        }
        words.join("   ")
    }

    fn held(&self, held: &Held) -> Value {
        let unit = self.unit(held.asset);
        json!({
            "asset": held.asset.to_string(), "symbol": unit.map(|(symbol, _)| symbol),
            "decimals": unit.map(|(_, decimals)| decimals), "collateral": held.collateral.to_string(),
            "withdrawing": held.withdrawing.to_string(), "counted": held.counted.to_string(),
            "locked": held.locked.to_string(), "free": held.free().to_string(),
        })
    }
}

impl Held {
    /// What further guarantees may lock.
    const fn free(&self) -> U256 {
        self.counted
            .saturating_sub(self.locked)
            .saturating_sub(self.withdrawing)
    }
}

/// Deposits.
///
/// # Errors
/// See the table of exit codes.
pub(crate) async fn deposit(args: &DepositArgs, env: &Env, printer: Printer) -> Result<(), Failed> {
    let payer = Payer::open(&args.payer, env).await?;
    let (asset, amount) = amount(&payer, &args.amount)?;
    allowed(&payer, &args.allow_networks)?;
    let (before, _) = counted(&payer, asset).await?;
    let user = payer.client.user();
    if asset != ETH {
        user.approve(asset, amount).await.map_err(failed)?;
    }
    let mined = user.deposit(asset, amount).await.map_err(undecided)?;
    let money = payer.money(asset, amount);
    printer.line(&format!("deposited  {money}  {}", mined.transaction));
    let is_counted = wait(&payer, asset, before.saturating_add(amount), args.wait).await?;
    if !is_counted {
        printer.note("the credit core has not counted it yet: it does when the block is final");
    }
    printer.data(&json!({
        "payer": payer.client.address().to_string(), "asset": asset.to_string(), "amount": amount.to_string(),
        "transaction": mined.transaction.to_string(), "counted": is_counted,
    }));
    Ok(())
}

/// `10 USDC`, `0.01 ETH`.
fn amount(payer: &Payer, text: &str) -> Result<(Address, U256), Failed> {
    let bad = |why: String| Failed::usage(why).hint("an amount is written like \"10 USDC\"");
    let money = MoneyText::parse(text).map_err(|error| bad(error.to_string()))?;
    let symbol = money.currency().unwrap_or(SYMBOL);
    let (asset, decimals) = payer.by_symbol(symbol).ok_or_else(|| {
        bad(format!(
            "{symbol} is no asset that is known on this network"
        ))
    })?;
    let amount = money
        .to_atomic(decimals)
        .map_err(|error| bad(error.to_string()))?;
    if amount.is_zero() {
        return Err(bad("there is nothing to deposit".to_owned()));
    }
    Ok((asset, amount))
}

/// Waits until the core counts so much. False when it takes longer.
async fn wait(payer: &Payer, asset: Address, total: U256, secs: u64) -> Result<bool, Failed> {
    let until = Instant::now().checked_add(Duration::from_secs(secs));
    loop {
        if counted(payer, asset).await?.0 >= total {
            return Ok(true);
        }
        let next = Instant::now().checked_add(LOOK_EVERY);
        if next.is_none() || next > until {
            return Ok(false);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// A deposit that is sent again is another deposit.
fn undecided(error: CreditError) -> Failed {
    match &error {
        CreditError::Transaction(SendError::Unknown(_)) => {
            Failed::new(Exit::Undecided, error.to_string()).hint(
                "`faregate wallet collateral` shows whether it arrived; the same command again is another deposit",
            )
        }
        _ => failed(error),
    }
}
