//! What was spent, out of the wallet's books: all rails, all processes that share them.

use std::collections::BTreeSet;

use faregate_ledger::{Caps, Period, SpendState, StoreError, Unit, WalletStore, Worth};
use faregate_types::{Amount, PaymentId, Timestamp};

use crate::limits::REPORT_HOSTS_MAX;

/// What was spent, and what may still be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpendingReport {
    /// Altogether, a line for each unit.
    pub units: Vec<UnitSpending>,
    /// For each host in each unit, by host.
    pub hosts: Vec<HostSpending>,
    /// The newest payments, newest first.
    pub transactions: Vec<Transaction>,
}

/// What was spent in one unit. Everything that was signed counts, however it ended; of Lightning with the most that the way
/// was allowed to cost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnitSpending {
    /// What it is counted in.
    pub unit: Unit,
    /// Ever.
    pub total: Worth,
    /// What may still be spent altogether, where there is a cap.
    pub remaining: Option<Worth>,
    /// Within the window, where there is a cap for one.
    pub period: Option<PeriodSpending>,
}

/// What was spent within a rolling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeriodSpending {
    /// Length of the window in seconds.
    pub secs: u64,
    /// How much.
    pub spent: Worth,
    /// What may still be spent within it.
    pub remaining: Worth,
}

/// What was spent for one host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostSpending {
    /// Scheme, host and port of the seller.
    pub origin: Box<str>,
    /// What it is counted in.
    pub unit: Unit,
    /// How much.
    pub total: Worth,
    /// What may still be spent for it, where there is a cap for hosts.
    pub remaining: Option<Worth>,
}

/// One payment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transaction {
    /// The payment's natural key.
    pub id: PaymentId,
    /// When it was signed.
    pub at: Timestamp,
    /// Scheme, host and port of the seller.
    pub origin: Box<str>,
    /// The path of the request.
    pub path: Box<str>,
    /// Who paid: an address, or the name of a Lightning wallet.
    pub payer: Box<str>,
    /// Who was paid.
    pub payee: Box<str>,
    /// How much.
    pub amount: Amount,
    /// How much it counts, in the unit of its amount.
    pub worth: Worth,
    /// How it ended.
    pub state: SpendState,
}

impl SpendingReport {
    /// The report at `now`, with at most `limit` payments. `budgets` are the caps that are in force, a unit each; units without
    /// one are reported without what remains.
    ///
    /// # Errors
    /// Those of the books.
    pub async fn of(
        store: &dyn WalletStore,
        budgets: &[(Unit, Caps)],
        now: Timestamp,
        limit: u32,
    ) -> Result<Self, StoreError> {
        let signed = store.signed(REPORT_HOSTS_MAX).await?;
        let caps_of = |unit: Unit| {
            let mut caps = budgets.iter().filter(|(of, _)| *of == unit);
            caps.next().map(|(_, caps)| *caps)
        };
        let mut names: BTreeSet<Unit> = signed.iter().map(|signed| signed.unit).collect();
        names.extend(budgets.iter().map(|(unit, _)| *unit));
        let mut units = Vec::new();
        for unit in names {
            let caps = caps_of(unit);
            units.push(UnitSpending::of(store, unit, caps, now).await?);
        }
        let hosts = signed
            .into_iter()
            .map(|signed| HostSpending {
                remaining: caps_of(signed.unit)
                    .and_then(|caps| caps.per_host)
                    .map(|cap| left(cap, signed.worth)),
                origin: signed.origin,
                unit: signed.unit,
                total: signed.worth,
            })
            .collect();
        let transactions = store.recent_spends(limit).await?;
        let transactions = transactions
            .into_iter()
            .map(|record| Transaction {
                id: record.spend.id,
                at: record.spend.at,
                origin: record.spend.origin,
                path: record.spend.path,
                payer: record.spend.payer,
                payee: record.spend.payee,
                amount: record.spend.amount,
                worth: record.spend.worth,
                state: record.state,
            })
            .collect();
        Ok(Self {
            units,
            hosts,
            transactions,
        })
    }
}

impl UnitSpending {
    async fn of(
        store: &dyn WalletStore,
        unit: Unit,
        caps: Option<Caps>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let period = caps.and_then(|caps| caps.per_period);
        let since = period.map_or(now, |period| period.since(now));
        let usage = store.usage("".into(), unit, since).await?;
        let of_period = |Period { secs, cap }| PeriodSpending {
            secs,
            spent: usage.period,
            remaining: left(cap, usage.period),
        };
        Ok(Self {
            unit,
            total: usage.total,
            remaining: caps
                .and_then(|caps| caps.total)
                .map(|cap| left(cap, usage.total)),
            period: period.map(of_period),
        })
    }
}

/// What a cap leaves. Caps may have been larger once.
pub(crate) fn left(cap: Worth, spent: Worth) -> Worth {
    Worth::new(cap.units().saturating_sub(spent.units()))
}
