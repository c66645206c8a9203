//! `faregate wallet pay-tabs`: pays what is owed on credit before it is taken out of the collateral.

use std::io::{BufRead as _, IsTerminal as _};
use std::time::Duration;

use faregate_client::credit::{
    CreditError, Debt, DebtState, Due, Repaid, RepayFault, RepaymentState, SendError, Settled,
    Which,
};
use faregate_server::config::Env;
use faregate_types::{Address, MoneyText, U256, network, parse_atomic};
use serde_json::{Value, json};

use crate::cli::credit::PayTabsArgs;
use crate::commands::rails;
use crate::commands::tabs::{Payer, failed, short};
use crate::exit::{Exit, Failed};
use crate::printer::Printer;

/// Runs it.
///
/// # Errors
/// See the table of exit codes. What was paid before something went wrong stays paid.
pub(crate) async fn run(args: &PayTabsArgs, env: &Env, printer: Printer) -> Result<(), Failed> {
    let mut payer = Payer::open(&args.payer, env).await?;
    payer.debts = payer.debts.wait(Duration::from_secs(args.wait));
    let earlier = if args.dry_run {
        Vec::new()
    } else {
        payer.debts.catch_up().await.map_err(failed)?
    };
    for settled in &earlier {
        printer.line(&payer.told(settled));
    }
    let debts = chosen(&payer, args).await?;
    let totals = payer.totals(&debts, |debt| debt.owed);
    let mut report = Report::new(&payer, &earlier, &debts, &totals);
    let unknown = earlier
        .iter()
        .any(|settled| settled.state == RepaymentState::Open);
    if debts.is_empty() {
        printer.line("nothing is due");
    } else {
        printer.line(&payer.table(&debts, args.within.0));
        printer.line(&format!("\nto pay  {}", payer.sums(&totals)));
        check(&payer, args, &totals)?;
        strangers(&payer, args, &debts, printer).await?;
        if !args.dry_run {
            confirm(args, &payer.sums(&totals), debts.len()).await?;
            pay(&payer, &debts, &mut report, printer).await;
        }
    }
    printer.data(&report.data(args.dry_run));
    report.end(unknown)
}

/// What these arguments ask for, the most urgent first.
async fn chosen(payer: &Payer, args: &PayTabsArgs) -> Result<Vec<Debt>, Failed> {
    if args.tab.is_empty() {
        let due = match args.all {
            true => Due::All,
            false => Due::Within(args.within.0),
        };
        let mut debts = payer.debts.list(Which::Pending).await.map_err(failed)?;
        debts.retain(|debt| debt.is_due(due));
        return Ok(debts);
    }
    let mut chosen: Vec<Debt> = Vec::new();
    let mut all: Option<Vec<Debt>> = None;
    for text in &args.tab {
        let digits = text
            .strip_prefix("0x")
            .unwrap_or(text)
            .trim_end_matches('…');
        let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = U256::from_str_radix(digits, 16).ok().filter(|_| is_hex);
        let number = number.ok_or_else(|| {
            Failed::usage(format!("{text:?} is no tab")).hint("`faregate wallet tabs` lists them")
        })?;
        let found = match payer.debts.one(number).await.map_err(failed)? {
            Some(debt) => debt,
            None => {
                if all.is_none() {
                    all = Some(payer.debts.list(Which::All).await.map_err(failed)?);
                }
                let all = all.iter().flatten();
                begins_with(all, digits, text)?
            }
        };
        if found.owed.is_zero() || found.underway {
            let state = found.state(Duration::ZERO).as_str().replace('_', " ");
            return Err(Failed::usage(format!(
                "there is nothing to pay on tab {text}: {state}"
            )));
        }
        if !chosen.contains(&found) {
            chosen.push(found);
        }
    }
    Ok(chosen)
}

/// The only one whose number begins like that.
fn begins_with<'a>(
    all: impl Iterator<Item = &'a Debt>,
    digits: &str,
    text: &str,
) -> Result<Debt, Failed> {
    let digits = digits.to_ascii_lowercase();
    let mut found = all.filter(|debt| format!("{:x}", debt.tab).starts_with(&digits));
    match (found.next(), found.next()) {
        (Some(debt), None) => Ok(debt.clone()),
        (Some(_), Some(_)) => Err(Failed::usage(format!("several tabs begin with {text}"))
            .hint("--json of `faregate wallet tabs` has the whole numbers")),
        (None, _) => Err(
            Failed::usage(format!("there is no tab {text} of this payer"))
                .hint("`faregate wallet tabs --all` lists them"),
        ),
    }
}

/// Whether caps and networks allow it.
fn check(payer: &Payer, args: &PayTabsArgs, totals: &[(Address, U256)]) -> Result<(), Failed> {
    let caps = args.max.iter().map(|text| cap(payer, text));
    let caps = caps.collect::<Result<Vec<_>, _>>()?;
    for (asset, sum) in totals {
        let cap = caps.iter().find(|(of, _)| of == asset);
        let most = match cap {
            Some((_, most)) => *most,
            None if caps.is_empty() => continue,
            None => U256::ZERO,
        };
        if *sum > most {
            return Err(Failed::new(
                Exit::OverBudget,
                format!(
                    "{} is due and --max allows {}: nothing was paid",
                    payer.money(*asset, *sum),
                    payer.money(*asset, most)
                ),
            )
            .hint("a larger --max, a shorter --within, or --tab for each that is to be paid"));
        }
    }
    allowed(payer, &args.allow_networks)
}

/// Whether money may be sent on the payer's network.
///
/// # Errors
/// On a main network that was not allowed.
pub(crate) fn allowed(payer: &Payer, networks: &[String]) -> Result<(), Failed> {
    let chain = payer.client.chain();
    let named = networks.iter().map(|name| rails::network(name));
    let named = named.collect::<Result<Vec<_>, _>>()?;
    if named.contains(&chain) || network(chain).is_some_and(|network| network.testnet) {
        return Ok(());
    }
    Err(Failed::new(
        Exit::OverBudget,
        format!("{chain} is no test network: nothing was paid"),
    )
    .hint(format!("--allow-network {chain} allows it")))
}

/// Tells what was not signed with this wallet's books: the core alone says that it is owed. Where nobody looks and no cap is
/// named, that is not paid.
async fn strangers(
    payer: &Payer,
    args: &PayTabsArgs,
    debts: &[Debt],
    printer: Printer,
) -> Result<(), Failed> {
    if debts
        .iter()
        .any(|debt| debt.state(Duration::ZERO) == DebtState::Overdue)
    {
        printer.note(
            "warning: what is overdue can be taken out of the collateral at any moment, also while its payment is being recorded: \
             then it is paid twice",
        );
    }
    let mut is_any = false;
    for debt in debts {
        let unsigned = payer.unsigned(debt).await?;
        if !unsigned.is_zero() {
            is_any = true;
            let money = payer.money(debt.asset, unsigned);
            let tab = short(debt.tab);
            printer.note(&format!(
                "warning: {money} on {tab} was not signed with this wallet's books"
            ));
        }
    }
    if is_any && args.yes && args.max.is_empty() && !args.dry_run {
        return Err(Failed::new(
            Exit::OverBudget,
            "not all of it was signed with this wallet's books: nothing was paid",
        )
        .hint("--max says how much may be paid all the same; without --yes you are asked"));
    }
    Ok(())
}

/// `USDC=5`, `ETH=0.01`, `0x…=5000000`.
fn cap(payer: &Payer, text: &str) -> Result<(Address, U256), Failed> {
    let bad = || Failed::usage(format!("--max {text:?} is no cap")).hint("like USDC=5 or ETH=0.01");
    let (name, amount) = text.split_once('=').ok_or_else(bad)?;
    if let Ok(address) = name.trim().parse::<Address>() {
        return Ok((address, parse_atomic(amount.trim()).map_err(|_| bad())?));
    }
    let (asset, decimals) = payer.by_symbol(name.trim()).ok_or_else(|| {
        Failed::usage(format!(
            "{name:?} is no asset that is known on this network"
        ))
        .hint("its address and atomic units do, like 0x…=5000000")
    })?;
    let amount = MoneyText::parse(amount).and_then(|amount| amount.to_atomic(decimals));
    Ok((asset, amount.map_err(|_| bad())?))
}

/// Asks, if there is somebody to ask.
async fn confirm(args: &PayTabsArgs, sums: &str, count: usize) -> Result<(), Failed> {
    if args.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(
            Failed::usage("nobody is there to say yes: nothing was paid")
                .hint("--yes pays without asking, best with --max; --dry-run only shows"),
        );
    }
    let tabs = if count == 1 { "tab" } else { "tabs" };
    Printer::new(false).note(&format!("pay {sums} on {count} {tabs}? [y/N] "));
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let answer = answer.await.ok().and_then(Result::ok).unwrap_or_default();
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failed::new(
            Exit::OverBudget,
            "not confirmed: nothing was paid",
        )),
    }
}

/// One after the other. What cannot be paid does not stop the others.
async fn pay(payer: &Payer, debts: &[Debt], report: &mut Report<'_>, printer: Printer) {
    for (at, debt) in debts.iter().enumerate() {
        // What the contract still has to be allowed for this one and those after it.
        let rest = debts.iter().skip(at);
        let rest = rest.filter(|other| other.asset == debt.asset);
        let allowance = rest.fold(U256::ZERO, |sum, other| sum.saturating_add(other.owed));
        let what = format!(
            "{} to {} for {}",
            payer.money(debt.asset, debt.owed),
            debt.recipient,
            short(debt.tab)
        );
        match payer.debts.pay(debt, allowance).await {
            Ok(repaid) => {
                let hash = repaid.mined.transaction;
                let money = payer.money(debt.asset, repaid.amount);
                printer.line(&format!(
                    "paid  {money} to {} for {}  {hash}",
                    debt.recipient,
                    short(debt.tab)
                ));
                report.paid.push((debt.clone(), repaid));
            }
            // Somebody else was faster, and that is as good.
            Err(CreditError::Repay(RepayFault::NothingOwed)) => {
                printer.line(&format!("paid already  {what}"));
            }
            Err(error) => {
                printer.line(&format!("not paid  {what}: {error}"));
                report.failed.push((debt.clone(), error));
            }
        }
    }
    if !report.paid.is_empty() {
        let sums = payer.sums(&report.sums());
        printer.line(&format!("\npaid  {sums}, for {} gas", report.gas()));
    }
}

/// What happened, for programs and for the exit code.
struct Report<'a> {
    payer: &'a Payer,
    earlier: Vec<Value>,
    plan: Vec<Value>,
    to_pay: Value,
    paid: Vec<(Debt, Repaid)>,
    failed: Vec<(Debt, CreditError)>,
}

impl<'a> Report<'a> {
    fn new(
        payer: &'a Payer,
        earlier: &[Settled],
        debts: &[Debt],
        totals: &[(Address, U256)],
    ) -> Self {
        let earlier = earlier.iter().map(|settled| {
            json!({
                "tab": format!("{:#x}", settled.repayment.tab.tab), "amount": settled.repayment.amount.to_string(),
                "state": settled.state.as_str(), "transaction": settled.transaction.map(|hash| hash.to_string()),
            })
        });
        Self {
            payer,
            earlier: earlier.collect(),
            plan: debts
                .iter()
                .map(|debt| payer.row(debt, Duration::ZERO))
                .collect(),
            to_pay: payer.sums_data(totals),
            paid: Vec::new(),
            failed: Vec::new(),
        }
    }

    fn sums(&self) -> Vec<(Address, U256)> {
        let paid: Vec<Debt> = self
            .paid
            .iter()
            .map(|(debt, repaid)| {
                let mut debt = debt.clone();
                debt.owed = repaid.amount;
                debt
            })
            .collect();
        self.payer.totals(&paid, |debt| debt.owed)
    }

    fn gas(&self) -> u64 {
        let each = self.paid.iter().map(|(_, repaid)| gas(repaid));
        each.fold(0, u64::saturating_add)
    }

    fn data(&self, dry_run: bool) -> Value {
        let paid = self.paid.iter().map(|(debt, repaid)| {
            json!({
                "tab": format!("{:#x}", debt.tab), "recipient": debt.recipient.to_string(), "asset": debt.asset.to_string(),
                "amount": repaid.amount.to_string(), "money": self.payer.money(debt.asset, repaid.amount),
                "transaction": repaid.mined.transaction.to_string(), "gas": gas(repaid),
            })
        });
        let failed = self.failed.iter().map(|(debt, error)| {
            json!({"tab": format!("{:#x}", debt.tab), "error": error.to_string(), "unknown": error.is_unknown()})
        });
        let paid: Vec<Value> = paid.collect();
        let failed: Vec<Value> = failed.collect();
        json!({
            "dryRun": dry_run, "earlier": self.earlier, "due": self.plan, "toPay": self.to_pay, "paid": paid,
            "failed": failed, "totals": self.payer.sums_data(&self.sums()), "gas": self.gas(),
        })
    }

    fn end(self, earlier_unknown: bool) -> Result<(), Failed> {
        let sent = |error: &CreditError| {
            matches!(error, CreditError::Transaction(SendError::Unknown(_)))
                || matches!(error, CreditError::Repay(RepayFault::Underway))
        };
        if earlier_unknown || self.failed.iter().any(|(_, error)| sent(error)) {
            return Err(
                Failed::new(Exit::Undecided, "the end of a payment is not known yet")
                    .hint("run the same command again: it is not paid twice"),
            );
        }
        match self.failed.into_iter().next() {
            None => Ok(()),
            Some((debt, error)) => {
                let tab = short(debt.tab);
                let first = failed(error);
                Err(Failed {
                    message: format!("not everything was paid; tab {tab}: {}", first.message),
                    ..first
                })
            }
        }
    }
}

fn gas(repaid: &Repaid) -> u64 {
    let payment = repaid.mined.gas_used.unwrap_or_default();
    payment.saturating_add(repaid.approval_gas)
}

impl Payer {
    /// A line about a payment of an earlier command.
    fn told(&self, settled: &Settled) -> String {
        let repayment = &settled.repayment;
        let money = self.money(repayment.asset, repayment.amount);
        let what = match settled.state {
            RepaymentState::Open => "end unknown",
            RepaymentState::Paid | RepaymentState::Recorded => "paid",
            RepaymentState::Void => "never happens",
        };
        let hash = settled
            .transaction
            .map_or_else(String::new, |hash| format!("  {hash}"));
        let tab = short(repayment.tab.tab);
        format!(
            "earlier payment, {what}: {money} to {} for {tab}{hash}",
            repayment.recipient
        )
    }
}
