//! Do the books of a credit core add up? The journal is played again, and what is kept for speed computed again.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use faregate_ledger::{AccountId, Balance, Side};
use faregate_types::AssetId;
use rusqlite::Connection;

use super::super::audit::{Balances, each};
use super::super::fault::Fault;
use super::super::spends::plus;
use super::chain::bound;
use super::rows::{self, ENTRY_COLUMNS, ENTRY_TABLES, TAB_COLUMNS};
use crate::audit::{Audit, AuditFault};

/// Adds what the journal moved to `balances`, and looks at the tabs.
pub(in super::super) fn credit(
    conn: &Connection,
    balances: &mut Balances,
    audit: &mut Audit,
) -> Result<(), Fault> {
    replay(conn, balances, audit)?;
    let issued = issued(conn)?;
    let locked = check_tabs(conn, &issued, audit)?;
    check_locked(conn, balances, &locked, audit)?;
    check_signed(conn, audit)
}

/// Plays the journal again.
fn replay(conn: &Connection, balances: &mut Balances, audit: &mut Audit) -> Result<(), Fault> {
    let Some(chain) = bound(conn)? else {
        return Ok(());
    };
    let sql = format!("SELECT {ENTRY_COLUMNS} FROM {ENTRY_TABLES} ORDER BY e.seq");
    each(conn, &sql, |row| {
        audit.row();
        for (transfer, movement) in rows::entry(row)?.postings(chain) {
            let asset = transfer.amount.asset();
            let sides = [
                (transfer.debit, Side::Debit),
                (transfer.credit, Side::Credit),
            ];
            for (account, side) in sides {
                let balance = balances
                    .entry((account, asset))
                    .or_insert_with(|| Balance::zero(asset));
                *balance = balance
                    .after(side, movement, transfer.amount.value())
                    .map_err(|_| Fault::Damaged("an entry that its account does not fit"))?;
            }
        }
        Ok(())
    })
}

/// Of each tab how many guarantees there are, and their sum.
fn issued(conn: &Connection) -> Result<BTreeMap<i64, (u64, U256)>, Fault> {
    let mut issued = BTreeMap::<i64, (u64, U256)>::new();
    let sql = "SELECT g.tab, e.amount, g.number, g.total FROM credit_guarantee g \
               JOIN credit_entry e ON e.seq = g.seq AND e.tab = g.tab AND e.kind = 2 ORDER BY g.seq";
    each(conn, sql, |row| {
        let (count, sum) = issued.entry(row.get(0)?).or_default();
        // Each knows which one it is and what all were worth up to it.
        if rows::number(row, 2)? == *count {
            *count = count.saturating_add(1);
        }
        *sum = plus(*sum, rows::sum(row, 1)?)?;
        if rows::sum(row, 3)? != *sum {
            *count = u64::MAX;
        }
        Ok(())
    })?;
    Ok(issued)
}

/// What is locked, by payer and asset, as the tabs say.
type Locked = BTreeMap<(Address, Address), U256>;

fn check_tabs(
    conn: &Connection,
    issued: &BTreeMap<i64, (u64, U256)>,
    audit: &mut Audit,
) -> Result<Locked, Fault> {
    let mut locked = Locked::new();
    let sql =
        format!("SELECT {TAB_COLUMNS}, t.settlement, t.active, t.ages_from FROM credit_tab t");
    each(conn, &sql, |row| {
        let (seq, tab) = rows::tab(row)?;
        let sum = locked
            .entry((tab.identity.payer, tab.identity.asset))
            .or_default();
        *sum = plus(*sum, tab.locked())?;
        let found = (row.get::<_, u8>(18)?, row.get(19)?, row.get(20)?);
        let follows = (
            rows::settlement(tab.settlement()),
            tab.is_active(),
            rows::ages_from(&tab),
        );
        let guaranteed = issued.get(&seq).copied().unwrap_or_default();
        if found != follows || guaranteed != (tab.guarantees, tab.total) {
            audit.add(AuditFault::Tab { tab: tab.id.0 });
        }
        Ok(())
    })?;
    Ok(locked)
}

/// What is locked for a payer's tabs is what is pending of its account, and nobody else has anything locked.
fn check_locked(
    conn: &Connection,
    balances: &Balances,
    locked: &Locked,
    audit: &mut Audit,
) -> Result<(), Fault> {
    let Some(chain) = bound(conn)? else {
        return Ok(());
    };
    let mut computed = BTreeMap::new();
    for ((payer, asset), sum) in locked {
        let key = (AccountId::collateral(*payer), AssetId::erc20(chain, *asset));
        computed.insert(key, *sum);
    }
    let kept = balances
        .iter()
        .filter(|((account, _), _)| account.as_str().starts_with("collateral/"))
        .map(|(key, balance)| (key.clone(), balance.debits_pending))
        .collect();
    let zero = |sums: &mut BTreeMap<_, U256>| sums.retain(|_, sum| !sum.is_zero());
    let mut kept: BTreeMap<(AccountId, AssetId), U256> = kept;
    zero(&mut computed);
    zero(&mut kept);
    crate::audit::compare(&computed, &kept, |(account, asset)| {
        audit.add(AuditFault::Locked {
            account: account.clone(),
            asset: *asset,
        });
    });
    Ok(())
}

/// A guarantee has a certificate or waits for one, and each reservation has its guarantee.
fn check_signed(conn: &Connection, audit: &mut Audit) -> Result<(), Fault> {
    let sql = "SELECT t.id FROM credit_entry e JOIN credit_tab t ON t.seq = e.tab \
               LEFT JOIN credit_guarantee g ON g.seq = e.seq \
               LEFT JOIN credit_certificate c ON c.guarantee = e.seq \
               LEFT JOIN credit_unsigned u ON u.guarantee = e.seq \
               WHERE e.kind = 2 AND (g.seq IS NULL OR (c.guarantee IS NULL) = (u.guarantee IS NULL))";
    each(conn, sql, |row| {
        let tab = U256::from_be_bytes(row.get::<_, [u8; 32]>(0)?);
        audit.add(AuditFault::Certificate { tab });
        Ok(())
    })
}
