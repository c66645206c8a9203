//! `faregate credit-remunerate`: what a gate holds certificates of, and what is redeemed of it.

use faregate_core::port::HeldSums;
use faregate_evm::credit::{RedeemError, RedeemMode, RedeemRound, Redeeming, TabView};
use faregate_server::config::{Env, GateCreditConfig};
use faregate_types::{
    Amount, AssetRegistry, ChainId, Code, Erc20, Timestamp, U256, to_decimal_text,
};
use serde_json::{Value, json};

use crate::cli::RemunerateArgs;
use crate::commands::config;
use crate::commands::wallet::price;
use crate::exit::{Exit, Failed};
use crate::printer::Printer;
use crate::wire::{self, HeldBooks};

/// Runs it.
///
/// # Errors
/// A wrong configuration, a ledger that cannot be used; and at the end when a chain could not be looked at, another process
/// redeems, or the end of something that was sent is not known.
pub(crate) async fn run(args: &RemunerateArgs, env: &Env, printer: Printer) -> Result<(), Failed> {
    let path = &args.config.config;
    let gate = config::read(path, env)?
        .gate
        .ok_or_else(|| Failed::usage(format!("{} has no [gate]", path.display())))?;
    let credit = gate
        .credit
        .ok_or_else(|| Failed::usage(format!("{} has no [gate.credit]", path.display())))?;
    if credit.remunerate.is_none() && !args.dry_run {
        return Err(Failed::usage(
            "there is no [gate.credit.remunerate], which says who pays for gas",
        )
        .hint("with --dry-run nobody has to"));
    }
    let books = wire::held_books(&gate.store).await?;
    let mode = if args.dry_run {
        RedeemMode::Look
    } else {
        RedeemMode::Redeem
    };
    let (rounds, problems) = rounds(&credit, mode, env, &books).await;
    books.turn.leave().await;
    let registry = AssetRegistry::builtin();
    for round in &rounds {
        for view in &round.views {
            printer.line(&line(view, &registry));
        }
    }
    let sums = books.store.held_sums().await.map_err(|error| {
        Failed::new(Exit::Failure, error.to_string()).code(Code::StoreUnavailable)
    })?;
    for sum in &sums {
        printer.line(&total(sum, &registry));
    }
    if sums.is_empty() {
        printer.line("no certificates are held");
    }
    for problem in &problems {
        printer.note(&problem.message);
    }
    printer.data(&json!({
        "dryRun": args.dry_run,
        "networks": rounds.iter().map(data).collect::<Vec<_>>(),
        "sums": sums.iter().map(sum_data).collect::<Vec<_>>(),
        "problems": problems.iter().map(|problem| &problem.message).collect::<Vec<_>>(),
    }));
    if let Some(problem) = problems.into_iter().next() {
        return Err(problem);
    }
    let unknown = rounds.iter().flat_map(|round| &round.views);
    if !args.dry_run && { unknown }.any(|view| view.doing == Redeeming::Unknown) {
        return Err(Failed::new(
            Exit::Undecided,
            "something was sent and its end is not known yet",
        )
        .hint("run the same command again: what was sent is looked up, not sent twice"));
    }
    Ok(())
}

/// One round for each core. A chain that cannot be looked at holds none of the others up.
async fn rounds(
    credit: &GateCreditConfig,
    mode: RedeemMode,
    env: &Env,
    books: &HeldBooks,
) -> (Vec<RedeemRound>, Vec<Failed>) {
    let (mut rounds, mut problems) = (Vec::new(), Vec::new());
    for core in &credit.cores {
        let done = async {
            // Now is when it is asked for: a schedule would wait as long as the file says.
            let config = credit.remunerate.clone().map(|mut config| {
                config.before_deadline = None;
                config
            });
            let redeemer = wire::redeemer(core, config.as_ref(), env, books).await?;
            redeemer
                .round(mode)
                .await
                .map_err(|error| failed(error, core.chain))
        };
        match done.await {
            Ok(round) => rounds.push(round),
            Err(problem) => problems.push(problem),
        }
    }
    (rounds, problems)
}

fn failed(error: RedeemError, chain: ChainId) -> Failed {
    let failed = Failed::new(Exit::Failure, format!("{chain}: {error}"));
    match error {
        RedeemError::NotOurTurn => {
            failed.hint("a gate with [gate.credit.remunerate] is running over this ledger: it does this by itself")
        }
        RedeemError::Books => failed.code(Code::StoreUnavailable),
        _ => failed.code(Code::ChainUnavailable),
    }
}

/// One tab, for people.
fn line(view: &TabView, registry: &AssetRegistry) -> String {
    let (tab, shares) = (&view.tab, view.tab.shares());
    let money = |sum| money(sum, tab.asset, registry);
    format!(
        "{:<20} {:#x} of {}  {} promised, {} paid, {} redeemed, {} owed  {}..{}",
        view.doing.name(),
        tab.key.tab,
        tab.key.payer,
        money(tab.total),
        money(shares.repaid),
        money(shares.redeemed),
        money(shares.owed),
        date(view.from),
        date(view.until),
    )
}

fn total(sum: &HeldSums, registry: &AssetRegistry) -> String {
    let money = |amount| money(amount, sum.asset, registry);
    let shares = sum.shares;
    format!(
        "altogether  {} promised on {} tabs: {} paid, {} redeemed, {} lost, {} owed on {} open tabs",
        money(sum.promised),
        sum.open.saturating_add(sum.ended),
        money(shares.repaid),
        money(shares.redeemed),
        money(shares.lost),
        money(shares.owed),
        sum.open,
    )
}

/// In the asset's own unit where it is known.
fn money(amount: U256, asset: Erc20, registry: &AssetRegistry) -> String {
    if asset.token().is_zero() {
        return format!("{} ETH", to_decimal_text(amount, 18));
    }
    price(Amount::new(amount, asset), registry)
}

/// Seconds since 1970, as the chain counts.
fn date(at: Timestamp) -> String {
    format!("@{}", at.as_secs())
}

fn data(round: &RedeemRound) -> Value {
    json!({
        "network": round.chain.to_string(),
        "contract": round.contract.to_string(),
        "now": round.now.as_secs(),
        "tabs": round.views.iter().map(tab_data).collect::<Vec<_>>(),
    })
}

fn tab_data(view: &TabView) -> Value {
    let (tab, shares) = (&view.tab, view.tab.shares());
    let (transaction, amount) = match &view.doing {
        Redeeming::Redeemed {
            transaction,
            amount,
        } => (Some(transaction.to_string()), Some(amount.to_string())),
        Redeeming::InFlight(transaction) => (Some(transaction.to_string()), None),
        _ => (None, None),
    };
    let why = match &view.doing {
        Redeeming::Refused(why) => Some(why),
        _ => None,
    };
    json!({
        "tab": format!("{:#x}", tab.key.tab),
        "payer": tab.key.payer.to_string(),
        "recipient": tab.key.recipient.to_string(),
        "asset": tab.asset.to_string(),
        "version": tab.version.number(),
        "certificates": tab.certificates,
        "total": tab.total.to_string(),
        "paid": shares.repaid.to_string(),
        "redeemed": shares.redeemed.to_string(),
        "lost": shares.lost.to_string(),
        "owed": shares.owed.to_string(),
        "from": view.from.as_secs(),
        "until": view.until.as_secs(),
        "near": view.is_near,
        "doing": view.doing.name(),
        "why": why,
        "transaction": transaction,
        "amount": amount,
    })
}

fn sum_data(sum: &HeldSums) -> Value {
    let shares = sum.shares;
    json!({
        "asset": sum.asset.to_string(),
        "open": sum.open,
        "ended": sum.ended,
        "promised": sum.promised.to_string(),
        "paid": shares.repaid.to_string(),
        "redeemed": shares.redeemed.to_string(),
        "lost": shares.lost.to_string(),
        "owed": shares.owed.to_string(),
    })
}
