//! Do the books of a credit core add up? The journal is added up by the database, and what is kept for speed computed again.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use faregate_ledger::{AccountId, Balance};
use faregate_types::{AssetId, ChainId};
use tokio_postgres::Row;

use super::super::fault::Fault;
use super::super::limits::PAGE_ROWS;
use super::super::pool::Link;
use super::chain::bound;
use super::rows::{self, columns};
use crate::audit::{Audit, AuditFault};
use crate::words::credit::{ages_from, settlement};

/// What moved, by account. The rules of [`Entry::postings`](faregate_core::credit::Entry::postings) in SQL: of a line that unlocks or
/// pays out, as much is pending less as it says, whatever was reserved and voided for it on the way. A line that moves nothing makes
/// no account.
const MOVED: &str = "WITH lines AS (\
     SELECT t.payer, t.recipient, t.asset, CASE j.kind WHEN 2 THEN j.lock ELSE -j.lock END AS pending, \
     CASE j.kind WHEN 5 THEN j.amount ELSE 0 END AS posted FROM credit_journal j JOIN credit_tab t ON t.id = j.tab), \
     moving AS (SELECT * FROM lines WHERE pending <> 0 OR posted <> 0), sides AS (\
     SELECT 0 AS role, payer AS who, asset, pending AS a, posted AS b, 0::numeric AS c, 0::numeric AS d FROM moving \
     UNION ALL SELECT 1, recipient, asset, 0, 0, pending, posted FROM moving \
     UNION ALL SELECT 0, payer, asset, 0, CASE kind WHEN 1 THEN amount ELSE 0 END, 0, CASE kind WHEN 0 THEN amount ELSE 0 END \
     FROM credit_funding \
     UNION ALL SELECT 2, NULL, asset, 0, CASE kind WHEN 0 THEN amount ELSE 0 END, 0, CASE kind WHEN 1 THEN amount ELSE 0 END \
     FROM credit_funding) \
     SELECT role, who, asset, sum(a)::text AS a, sum(b)::text AS b, sum(c)::text AS c, sum(d)::text AS d \
     FROM sides GROUP BY role, who, asset";

const COUNT: &str =
    "SELECT (SELECT count(*) FROM credit_journal) + (SELECT count(*) FROM credit_funding) AS rows";

/// Each tab beside what its guarantees say: how many there are, their sum, and whether each knows which one it is and what all were
/// worth up to it.
const TABS: &str = concat!(
    "SELECT ",
    columns!(tab),
    ", t.settlement, t.active, t.ages_from, i.issued, i.worth::text AS worth, ",
    "i.fits AND (SELECT coalesce(max(j.seq), 0) = t.seq FROM credit_journal j WHERE j.tab = t.id) AS fits ",
    "FROM credit_tab t CROSS JOIN LATERAL (",
    "SELECT count(*) AS issued, coalesce(sum(n.amount), 0) AS worth, coalesce(bool_and(n.number = n.before AND n.total = n.upto), true) AS fits ",
    "FROM (SELECT g.amount, g.number, g.total, row_number() OVER w - 1 AS before, sum(g.amount) OVER w AS upto ",
    "FROM credit_guarantee g WHERE g.tab = t.id WINDOW w AS (ORDER BY g.seq)) n) i ",
    "WHERE t.id > $1 ORDER BY t.id LIMIT $2"
);

/// A guarantee has a certificate or waits for one.
const UNSIGNED: &str = "SELECT g.tab FROM credit_guarantee g \
     LEFT JOIN credit_certificate c ON c.tab = g.tab AND c.req = g.req \
     LEFT JOIN credit_unsigned u ON u.seq = g.seq AND u.tab = g.tab AND u.req = g.req \
     WHERE (c.tab IS NULL) = (u.tab IS NULL)";

/// What the journal moved, by account.
pub(in crate::postgres) type Moved = BTreeMap<(AccountId, AssetId), Balance>;

/// Looks at these books, and tells what their journal moved.
pub(in crate::postgres) async fn credit(link: &Link, audit: &mut Audit) -> Result<Moved, Fault> {
    let Some(chain) = bound(link).await? else {
        return Ok(Moved::new());
    };
    for row in link.rows(COUNT, &[]).await? {
        let lines = row.try_get::<_, i64>("rows")?.cast_unsigned();
        audit.rows = audit.rows.saturating_add(lines);
    }
    let mut moved = Moved::new();
    for row in link.rows(MOVED, &[]).await? {
        let (name, balance) = sums(&row, chain)?;
        moved.insert(name, balance);
    }
    let locked = tabs(link, audit).await?;
    check_locked(chain, &locked, &moved, audit);
    for row in link.rows(UNSIGNED, &[]).await? {
        let tab = rows::tab_id(&row, "tab")?.0;
        audit.add(AuditFault::Certificate { tab });
    }
    Ok(moved)
}

fn sums(row: &Row, chain: ChainId) -> Result<((AccountId, AssetId), Balance), Fault> {
    let account = match row.try_get::<_, i32>("role")? {
        0 => AccountId::collateral(rows::address(row, "who")?),
        1 => AccountId::guaranteed(rows::address(row, "who")?),
        _ => AccountId::outside_credit(),
    };
    let asset = AssetId::erc20(chain, rows::address(row, "asset")?);
    // Below zero it is no sum that can be read.
    let balance = Balance {
        asset,
        debits_pending: rows::sum(row, "a")?,
        debits_posted: rows::sum(row, "b")?,
        credits_pending: rows::sum(row, "c")?,
        credits_posted: rows::sum(row, "d")?,
    };
    Ok(((account, asset), balance))
}

/// What is locked, by payer and asset, as the tabs say.
type Locked = BTreeMap<(Address, Address), U256>;

async fn tabs(link: &Link, audit: &mut Audit) -> Result<Locked, Fault> {
    let mut locked = Locked::new();
    let mut after = Vec::<u8>::new();
    loop {
        let page = link.rows(TABS, &[&after, &i64::from(PAGE_ROWS)]).await?;
        for row in &page {
            check_tab(row, &mut locked, audit)?;
        }
        match page.last() {
            Some(last) => after = last.try_get("id")?,
            None => return Ok(locked),
        }
    }
}

fn check_tab(row: &Row, locked: &mut Locked, audit: &mut Audit) -> Result<(), Fault> {
    let (tab, _) = rows::tab(row)?;
    let identity = &tab.identity;
    let sum = locked.entry((identity.payer, identity.asset)).or_default();
    let more = sum.checked_add(tab.locked());
    *sum = more.ok_or(Fault::Damaged("a sum that overflows"))?;
    let found = (
        rows::word(row, "settlement")?,
        row.try_get("active")?,
        row.try_get("ages_from")?,
    );
    let follows = (
        settlement(tab.settlement()),
        tab.is_active(),
        ages_from(&tab),
    );
    let issued = row.try_get::<_, i64>("issued")?.cast_unsigned();
    let guaranteed = (issued, rows::sum(row, "worth")?);
    let fits: bool = row.try_get("fits")?;
    if found != follows || guaranteed != (tab.guarantees, tab.total) || !fits {
        audit.add(AuditFault::Tab { tab: tab.id.0 });
    }
    Ok(())
}

/// What is locked for a payer's tabs is what is pending of its account, and nobody else has anything locked.
fn check_locked(chain: ChainId, locked: &Locked, moved: &Moved, audit: &mut Audit) {
    let mut computed = BTreeMap::new();
    for ((payer, asset), sum) in locked.iter().filter(|(_, sum)| !sum.is_zero()) {
        let key = (AccountId::collateral(*payer), AssetId::erc20(chain, *asset));
        computed.insert(key, *sum);
    }
    let pending = moved.iter();
    let pending = pending.map(|(key, balance)| (key.clone(), balance.debits_pending));
    let pending = pending.filter(|(_, sum)| !sum.is_zero()).collect();
    crate::audit::compare(&computed, &pending, |(account, asset)| {
        audit.add(AuditFault::Locked {
            account: account.clone(),
            asset: *asset,
        });
    });
}
