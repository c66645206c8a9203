//! `faregate wallet report`: what was spent, for people and programs.

use std::collections::BTreeSet;
use std::time::SystemTime;

use faregate_client::{
    Caps, SpendingReport, Transaction, Unit, UnitSpending, WalletStore as _, Worth,
};
use faregate_ledger::budget::WORTH_DECIMALS;
use faregate_server::config::Env;
use faregate_types::lightning::Msat;
use faregate_types::{AssetRegistry, Timestamp, to_decimal_text};
use serde_json::{Value, json};

use crate::cli::lightning::SatBudgetArgs;
use crate::cli::{UsdBudgetArgs, WalletArgs};
use crate::commands::curl::{self, books};
use crate::commands::lightning;
use crate::commands::wallet::{price, trouble};
use crate::exit::Failed;
use crate::printer::Printer;

/// What a report is about.
pub(crate) struct Wanted<'a> {
    pub(crate) wallet: &'a WalletArgs,
    pub(crate) budget: &'a UsdBudgetArgs,
    pub(crate) sats: &'a SatBudgetArgs,
    pub(crate) limit: u32,
}

/// Runs it.
///
/// # Errors
/// When an argument is none, or the books cannot be read.
pub(crate) async fn run(wanted: Wanted<'_>, env: &Env, printer: Printer) -> Result<(), Failed> {
    let store = books(wanted.wallet, env).await?;
    let dollars = curl::budget(wanted.budget, Worth::ZERO)?;
    let sats = lightning::budget(wanted.sats, Msat::ZERO)?.in_books();
    // The books say on which networks there was anything to count.
    let signed = store
        .signed(u32::MAX)
        .await
        .map_err(|error| trouble(&error))?;
    let units: BTreeSet<Unit> = signed.into_iter().map(|signed| signed.unit).collect();
    let budgets: Vec<(Unit, Caps)> = units
        .into_iter()
        .map(|unit| match unit {
            Unit::Dollar => (unit, dollars),
            _ => (unit, sats),
        })
        .collect();
    let now = Timestamp::from(SystemTime::now());
    let report = SpendingReport::of(&*store, &budgets, now, wanted.limit).await;
    let report = report.map_err(|error| trouble(&error))?;
    tell(&report, printer);
    printer.data(&data(&report));
    Ok(())
}

fn tell(report: &SpendingReport, printer: Printer) {
    if report.units.is_empty() {
        printer.line("nothing was spent yet");
    }
    let more = |unit: Unit, left: Option<Worth>| {
        left.map_or_else(String::new, |left| format!(", {} left", worth(unit, left)))
    };
    for line in &report.units {
        let UnitSpending { unit, total, .. } = line;
        printer.line(&format!(
            "altogether  {}{}",
            worth(*unit, *total),
            more(*unit, line.remaining)
        ));
        if let Some(period) = &line.period {
            printer.line(&format!(
                "  within {} seconds  {}, {} left",
                period.secs,
                worth(*unit, period.spent),
                worth(*unit, period.remaining)
            ));
        }
    }
    for host in &report.hosts {
        printer.line(&format!(
            "{}  {}{}",
            host.origin,
            worth(host.unit, host.total),
            more(host.unit, host.remaining)
        ));
    }
    let registry = AssetRegistry::builtin();
    for one in &report.transactions {
        printer.line(&format!(
            "@{} {:<8} {:<16} {}{}  from {} to {}",
            one.at.as_secs(),
            one.state.as_str(),
            price(one.amount, &registry),
            one.origin,
            one.path,
            one.payer,
            one.payee
        ));
    }
}

/// In the units people use: dollars and satoshis.
fn worth(unit: Unit, worth: Worth) -> String {
    match unit {
        Unit::Dollar => format!("${}", number(unit, worth)),
        _ => format!("{} sat", number(unit, worth)),
    }
}

fn number(unit: Unit, worth: Worth) -> String {
    let decimals = match unit {
        Unit::Dollar => WORTH_DECIMALS,
        // Millisatoshis.
        _ => 3,
    };
    to_decimal_text(worth.units(), decimals)
}

/// Numbers are decimal text, in dollars or satoshis.
fn data(report: &SpendingReport) -> Value {
    let left = |unit: Unit, left: Option<Worth>| left.map(|left| number(unit, left));
    let units: Vec<Value> = report
        .units
        .iter()
        .map(|line| {
            let period = line.period.map(|period| {
                json!({
                    "secs": period.secs, "spent": number(line.unit, period.spent), "remaining": number(line.unit, period.remaining),
                })
            });
            json!({
                "unit": line.unit.to_string(), "total": number(line.unit, line.total),
                "remaining": left(line.unit, line.remaining), "period": period,
            })
        })
        .collect();
    let hosts: Vec<Value> = report
        .hosts
        .iter()
        .map(|host| {
            json!({
                "origin": &*host.origin, "unit": host.unit.to_string(), "total": number(host.unit, host.total),
                "remaining": left(host.unit, host.remaining),
            })
        })
        .collect();
    let transactions: Vec<Value> = report.transactions.iter().map(transaction).collect();
    json!({"units": units, "hosts": hosts, "transactions": transactions})
}

fn transaction(one: &Transaction) -> Value {
    let unit = Unit::of(one.amount.asset());
    json!({
        "id": one.id.to_string(), "at": one.at.as_secs(), "origin": &*one.origin, "path": &*one.path, "payer": &*one.payer,
        "payee": &*one.payee, "amount": one.amount.value().to_string(), "asset": one.amount.asset().to_string(),
        "unit": unit.to_string(), "counts": number(unit, one.worth), "state": one.state.as_str(),
    })
}
