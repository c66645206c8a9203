//! Loads what decisions will ask about into a [`Sheet`]. Rows are locked in the order of their keys, and payments before tabs before
//! sums, by everybody: nobody waits in a circle. What belongs to a locked row is read after it, by statements of their own, which
//! see what was committed while the lock was waited for.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, U256};
use faregate_core::credit::{Identity, TabId};
use faregate_ledger::AccountId;
use futures_util::future::try_join4;
use tokio_postgres::Row;

use super::super::fault::Fault;
use super::super::pool::Link;
use super::super::sheet::SumsName;
use super::super::work::lock_sums;
use super::super::write::columns as split;
use super::rows::{self, columns};
use super::sheet::{Beside, Owned, PaymentRow, Sheet, Standing, TabRow};
use crate::words::credit::{id_bytes, integer};

const LOCK_TABS: &str = concat!(
    "SELECT ",
    columns!(tab),
    " FROM credit_tab t WHERE t.id = ANY($1) ORDER BY t.id FOR UPDATE"
);

/// The active tabs of some identities.
macro_rules! active {
    ($columns:expr) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::int8[]) AS w (payer, recipient, asset, version) ",
            "JOIN credit_tab t ON t.payer = w.payer AND t.recipient = w.recipient AND t.asset = w.asset ",
            "AND t.version = w.version AND t.active"
        )
    };
}

const SEE_ACTIVE: &str = active!(columns!(tab));

const FIND_ACTIVE: &str = active!("t.id");

const ACCOUNTS: &str =
    "SELECT address, suspended, updated_at FROM credit_account WHERE address = ANY($1)";

const TAKEN: &str = "SELECT g.tab, g.req::text AS req FROM unnest($1::bytea[], $2::text[]) AS w (tab, req) \
     JOIN credit_guarantee g ON g.tab = w.tab AND g.req = w.req::numeric";

const TAKEN_BETWEEN: &str = "SELECT g.tab, g.req::text AS req FROM unnest($1::bytea[], $2::text[], $3::text[]) AS w (tab, low, high) \
     JOIN credit_guarantee g ON g.tab = w.tab AND g.req >= w.low::numeric AND g.req <= w.high::numeric";

const BESIDES: &str = "SELECT c.payer, c.asset, c.withdrawing::text AS withdrawing, c.version, c.updated_at \
     FROM unnest($1::bytea[], $2::bytea[]) AS w (payer, asset) \
     JOIN credit_collateral c ON c.payer = w.payer AND c.asset = w.asset";

const LOCK_PAYMENTS: &str = concat!(
    "SELECT ",
    columns!(payment),
    " FROM credit_payment p WHERE p.record = ANY($1) ORDER BY p.record FOR UPDATE"
);

/// What belongs to rows that are locked.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) people: BTreeSet<Address>,
    /// Whose collateral.
    pub(super) owned: BTreeSet<Owned>,
    /// Whom something is guaranteed, and in what.
    pub(super) recipients: BTreeSet<(Address, Address)>,
    /// In what collateral comes or goes.
    pub(super) outside: BTreeSet<Address>,
    pub(super) numbers: BTreeSet<(TabId, U256)>,
    /// All numbers from the first to the last.
    pub(super) ranges: Vec<(TabId, U256, U256)>,
}

/// Locks and loads tabs.
pub(super) async fn tabs(
    link: &Link,
    ids: &BTreeSet<TabId>,
    sheet: &mut Sheet,
) -> Result<(), Fault> {
    if ids.is_empty() {
        return Ok(());
    }
    let ids: Vec<[u8; 32]> = ids.iter().map(|id| id_bytes(*id)).collect();
    let ids: Vec<&[u8]> = ids.iter().map(<[u8; 32]>::as_slice).collect();
    for row in link.rows(LOCK_TABS, &[&ids]).await? {
        know(sheet, &row, Standing::Locked)?;
    }
    Ok(())
}

/// The ids of active tabs. They are to be locked: until then they may be active no more.
pub(super) async fn active_ids(
    link: &Link,
    identities: &BTreeSet<Identity>,
) -> Result<Vec<TabId>, Fault> {
    let found = active(link, FIND_ACTIVE, identities).await?;
    found.iter().map(|row| rows::tab_id(row, "id")).collect()
}

/// Loads active tabs that are not to be written. The table itself sees to it that an identity has one.
pub(super) async fn rivals(
    link: &Link,
    identities: &BTreeSet<Identity>,
    sheet: &mut Sheet,
) -> Result<(), Fault> {
    for row in active(link, SEE_ACTIVE, identities).await? {
        if !sheet.tabs.contains_key(&rows::tab_id(&row, "id")?) {
            know(sheet, &row, Standing::Seen)?;
        }
    }
    Ok(())
}

async fn active(
    link: &Link,
    sql: &'static str,
    identities: &BTreeSet<Identity>,
) -> Result<Vec<Row>, Fault> {
    if identities.is_empty() {
        return Ok(Vec::new());
    }
    let (a, b, c, d) = split!(identities, identity =>
        identity.payer.as_slice(),
        identity.recipient.as_slice(),
        identity.asset.as_slice(),
        integer(identity.version),
    );
    link.rows(sql, &[&a, &b, &c, &d]).await
}

fn know(sheet: &mut Sheet, row: &Row, standing: Standing) -> Result<(), Fault> {
    let (tab, seq) = rows::tab(row)?;
    sheet.put_tab(TabRow {
        tab,
        seq,
        standing,
        is_changed: false,
    });
    Ok(())
}

/// Locks and loads payments.
pub(super) async fn payments(
    link: &Link,
    records: &BTreeSet<B256>,
    sheet: &mut Sheet,
) -> Result<(), Fault> {
    if records.is_empty() {
        return Ok(());
    }
    let records: Vec<&[u8]> = records.iter().map(|record| record.as_slice()).collect();
    for row in link.rows(LOCK_PAYMENTS, &[&records]).await? {
        let known = PaymentRow {
            payment: rows::payment(&row)?,
            is_stored: true,
            is_changed: false,
        };
        sheet.payments.insert(rows::hash(&row, "record")?, known);
    }
    Ok(())
}

/// Locks and loads sums, and then what belongs to them and to the tabs that are locked.
pub(super) async fn belongings(
    link: &Link,
    wanted: &Wanted,
    sheet: &mut Sheet,
) -> Result<(), Fault> {
    let mut names = BTreeSet::<SumsName>::new();
    for (payer, asset) in &wanted.owned {
        names.insert((AccountId::collateral(*payer), sheet.asset(*asset)));
    }
    for (recipient, asset) in &wanted.recipients {
        names.insert((AccountId::guaranteed(*recipient), sheet.asset(*asset)));
    }
    for asset in &wanted.outside {
        names.insert((AccountId::outside_credit(), sheet.asset(*asset)));
    }
    sheet.sums = lock_sums(link, names).await?;
    let (people, numbers, ranges, besides) = try_join4(
        people(link, wanted),
        numbers(link, wanted),
        ranges(link, wanted),
        besides(link, wanted),
    )
    .await?;
    for row in people {
        let account = rows::account(&row)?;
        sheet.accounts.insert(account.address, account);
    }
    for row in numbers.iter().chain(&ranges) {
        let taken = (rows::tab_id(row, "tab")?, rows::sum(row, "req")?);
        sheet.taken.insert(taken);
    }
    for row in besides {
        let key = (rows::address(&row, "payer")?, rows::address(&row, "asset")?);
        let beside = Beside {
            known: rows::beside(&row)?,
            is_stored: true,
            touched: 0,
            is_asked: false,
        };
        sheet.besides.insert(key, beside);
    }
    Ok(())
}

async fn people(link: &Link, wanted: &Wanted) -> Result<Vec<Row>, Fault> {
    if wanted.people.is_empty() {
        return Ok(Vec::new());
    }
    let (a,) = split!(wanted.people, who => who.as_slice());
    link.rows(ACCOUNTS, &[&a]).await
}

async fn numbers(link: &Link, wanted: &Wanted) -> Result<Vec<Row>, Fault> {
    if wanted.numbers.is_empty() {
        return Ok(Vec::new());
    }
    let (a, b) = split!(wanted.numbers, (tab, req) => id_bytes(*tab).to_vec(), req.to_string());
    link.rows(TAKEN, &[&a, &b]).await
}

async fn ranges(link: &Link, wanted: &Wanted) -> Result<Vec<Row>, Fault> {
    if wanted.ranges.is_empty() {
        return Ok(Vec::new());
    }
    let (a, b, c) = split!(wanted.ranges, (tab, low, high) =>
        id_bytes(*tab).to_vec(),
        low.to_string(),
        high.to_string(),
    );
    link.rows(TAKEN_BETWEEN, &[&a, &b, &c]).await
}

async fn besides(link: &Link, wanted: &Wanted) -> Result<Vec<Row>, Fault> {
    if wanted.owned.is_empty() {
        return Ok(Vec::new());
    }
    let (a, b) = split!(wanted.owned, (payer, asset) => payer.as_slice(), asset.as_slice());
    link.rows(BESIDES, &[&a, &b]).await
}
