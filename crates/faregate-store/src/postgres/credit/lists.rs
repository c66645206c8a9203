//! What is asked about tabs, guarantees and collateral. Each is one statement, so it is answered as of one moment.

use alloy_primitives::{Address, U256};
use faregate_core::credit::{Collateral, Guarantee, Settlement, Tab, TabId};
use faregate_core::port::credit::Page;
use faregate_ledger::{AccountId, StoreError};
use faregate_types::{AssetId, ChainId};
use tokio_postgres::Row;

use super::super::fault::Fault;
use super::super::pool::{Params, Pool};
use super::super::reads::{page, told};
use super::rows::{self, columns};
use super::sheet::Owned;
use crate::words::credit::{id_bytes, settlement};

/// Guarantees with their tabs.
macro_rules! guarantees {
    ($rest:literal) => {
        concat!(
            "SELECT t.id, t.payer, t.recipient, t.asset, t.version, ",
            columns!(guarantee),
            " FROM credit_guarantee g JOIN credit_tab t ON t.id = g.tab ",
            "LEFT JOIN credit_certificate c ON c.tab = g.tab AND c.req = g.req ",
            $rest
        )
    };
}

/// Tabs of a recipient by settlement, the last changed first. Of each settlement the newest are read, and no more than may be told.
macro_rules! tabs_to {
    ($columns:expr, $join:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM (SELECT n.* FROM unnest($2::int2[]) AS w (is_so) CROSS JOIN LATERAL (SELECT * FROM credit_tab ",
            "WHERE recipient = $1 AND settlement = w.is_so ORDER BY updated_at DESC, id DESC LIMIT $3::int8 + $4::int8) n ",
            "ORDER BY n.updated_at DESC, n.id DESC LIMIT $3 OFFSET $4) t ",
            $join,
            "ORDER BY t.updated_at DESC, t.id DESC"
        )
    };
}

/// Payments.
macro_rules! payments {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            columns!(payment),
            " FROM credit_payment p ",
            $rest
        )
    };
}

pub(super) const ACCOUNT: &str =
    "SELECT address, suspended, updated_at FROM credit_account WHERE address = $1";

pub(super) const SUSPEND: &str = "INSERT INTO credit_account (address, suspended, updated_at) VALUES ($1, $2, $3) \
     ON CONFLICT (address) DO UPDATE SET suspended = excluded.suspended, updated_at = excluded.updated_at \
     RETURNING address, suspended, updated_at";

const COLLATERALS: &str = "SELECT c.payer, c.asset AS of, c.withdrawing::text AS withdrawing, c.version, c.updated_at, b.asset, \
     b.debits_pending::text AS debits_pending, b.debits_posted::text AS debits_posted, \
     b.credits_pending::text AS credits_pending, b.credits_posted::text AS credits_posted \
     FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::text[]) AS w (payer, asset, account, name) \
     JOIN credit_collateral c ON c.payer = w.payer AND c.asset = w.asset \
     LEFT JOIN balance b ON b.account = w.account AND b.asset = w.name ORDER BY c.payer, c.asset";

const OWNED: &str = "SELECT payer, asset FROM credit_collateral \
     WHERE $1::bytea IS NULL OR (payer, asset) > ($1::bytea, $2::bytea) ORDER BY payer, asset LIMIT $3";

pub(super) const TAB: &str = concat!(
    "SELECT ",
    columns!(tab),
    " FROM credit_tab t WHERE t.id = $1"
);

const TABS_TO: &str = tabs_to!(columns!(tab), "");

const PENDING: &str = tabs_to!(
    concat!(
        columns!(tab),
        ", g.g_req, g.g_amount, g.g_total, g.g_timestamp, g.g_request, g.g_number, g.g_created_at, g.claims, g.signature"
    ),
    "LEFT JOIN LATERAL (SELECT g.req::text AS g_req, g.amount::text AS g_amount, g.total::text AS g_total, \
     g.timestamp AS g_timestamp, g.request AS g_request, g.number AS g_number, g.created_at AS g_created_at, c.claims, c.signature \
     FROM credit_guarantee g LEFT JOIN credit_certificate c ON c.tab = g.tab AND c.req = g.req \
     WHERE g.tab = t.id ORDER BY g.seq DESC LIMIT 1) g ON true "
);

pub(super) const HAS_TAB: &str =
    "SELECT 1 FROM credit_tab WHERE payer = $1 AND recipient = $2 LIMIT 1";

const TABS_FROM: &str = concat!(
    "SELECT ",
    columns!(tab),
    " FROM credit_tab t WHERE t.payer = $1 AND t.settlement = ANY($2::int2[]) ",
    "ORDER BY t.updated_at DESC, t.id DESC LIMIT $3 OFFSET $4"
);

pub(super) const GUARANTEE: &str = guarantees!("WHERE g.tab = $1 AND g.req = $2::text::numeric");

pub(super) const LATEST: &str = guarantees!("WHERE g.tab = $1 ORDER BY g.seq DESC LIMIT 1");

pub(super) const GUARANTEES: &str =
    guarantees!("WHERE g.tab = $1 ORDER BY g.seq LIMIT $2 OFFSET $3");

/// Those without a certificate, oldest first.
pub(super) const UNCERTIFIED: &str = concat!(
    "SELECT t.id, t.payer, t.recipient, t.asset, t.version, ",
    columns!(guarantee),
    " FROM (SELECT seq, tab FROM credit_unsigned ORDER BY seq, tab LIMIT $1) u ",
    "JOIN credit_guarantee g ON g.tab = u.tab AND g.seq = u.seq JOIN credit_tab t ON t.id = g.tab ",
    "LEFT JOIN credit_certificate c ON c.tab = g.tab AND c.req = g.req ORDER BY u.seq, u.tab"
);

/// Newest first.
pub(super) const PAYMENTS_TO: &str = payments!(
    "WHERE p.recipient = $1 \
     ORDER BY p.block DESC, p.transaction_hash DESC, p.log DESC NULLS LAST LIMIT $2 OFFSET $3"
);

/// Those that the contract does not know of for certain, oldest first.
pub(super) const UNTOLD: &str = payments!(
    "WHERE p.stage IN (0, 1) ORDER BY p.block, p.transaction_hash, p.log NULLS FIRST LIMIT $1"
);

pub(super) const ENTRIES: &str = "SELECT t.id, t.payer, t.recipient, t.asset, t.version, e.kind, e.req::text AS req, \
     e.amount::text AS amount, e.lock::text AS lock, e.at, h.block, h.transaction_hash, h.log \
     FROM (SELECT * FROM credit_journal WHERE tab = $1 ORDER BY seq LIMIT $2 OFFSET $3) e \
     JOIN credit_tab t ON t.id = e.tab LEFT JOIN credit_happening h ON h.record = e.happening ORDER BY e.seq";

/// Newest first.
pub(super) const ASIDES: &str = "SELECT h.block, h.transaction_hash, h.log, a.what, a.why, a.at \
     FROM (SELECT * FROM credit_aside ORDER BY number DESC LIMIT $1 OFFSET $2) a \
     JOIN credit_happening h ON h.record = a.happening ORDER BY a.number DESC";

/// A part of a list, as two numbers.
pub(super) fn part(of: Page) -> (i64, i64) {
    (page(of.limit), i64::from(of.skip))
}

/// The first row of an answer.
pub(super) async fn one<T>(
    pool: &Pool,
    sql: &'static str,
    params: Params<'_>,
    read: impl FnOnce(&Row) -> Result<T, Fault>,
) -> Result<Option<T>, StoreError> {
    let rows = pool.rows(sql, params).await?;
    told(rows.first().map(read).transpose())
}

/// All rows of an answer.
pub(super) async fn all<T>(
    pool: &Pool,
    sql: &'static str,
    params: Params<'_>,
    read: impl FnMut(&Row) -> Result<T, Fault>,
) -> Result<Vec<T>, StoreError> {
    let rows = pool.rows(sql, params).await?;
    told(rows.iter().map(read).collect())
}

/// What these payers have.
pub(super) async fn collaterals_of(
    pool: &Pool,
    chain: ChainId,
    owned: &[Owned],
) -> Result<Vec<(Address, Address, Collateral)>, StoreError> {
    let (mut payers, mut assets, mut accounts, mut names) = (vec![], vec![], vec![], vec![]);
    for (payer, asset) in owned {
        payers.push(payer.as_slice());
        assets.push(asset.as_slice());
        accounts.push(AccountId::collateral(*payer).as_str().to_owned());
        names.push(AssetId::erc20(chain, *asset).to_string());
    }
    let params: Params<'_> = &[&payers, &assets, &accounts, &names];
    let read = |row: &Row| {
        let (payer, asset) = (rows::address(row, "payer")?, rows::address(row, "of")?);
        Ok((payer, asset, rows::collateral(row)?))
    };
    all(pool, COLLATERALS, params, read).await
}

/// Everybody's collateral, by payer and asset.
pub(super) async fn collaterals(
    pool: &Pool,
    chain: ChainId,
    after: Option<Owned>,
    limit: u32,
) -> Result<Vec<(Address, Address, Collateral)>, StoreError> {
    let payer = after.as_ref().map(|(payer, _)| payer.as_slice());
    let asset = after.as_ref().map(|(_, asset)| asset.as_slice());
    let read = |row: &Row| Ok((rows::address(row, "payer")?, rows::address(row, "asset")?));
    let owned = all(pool, OWNED, &[&payer, &asset, &page(limit)], read).await?;
    if owned.is_empty() {
        return Ok(Vec::new());
    }
    collaterals_of(pool, chain, &owned).await
}

/// Tabs of a party with one of these settlements, each with its latest guarantee if that is asked for.
async fn to<T>(
    pool: &Pool,
    sql: &'static str,
    party: Address,
    settlements: &[Settlement],
    of: Page,
    read: impl FnMut(&Row) -> Result<T, Fault>,
) -> Result<Vec<T>, StoreError> {
    let wanted = |is: &&Settlement| settlements.is_empty() || settlements.contains(is);
    let wanted = Settlement::ALL.iter().filter(wanted);
    let wanted: Vec<i16> = wanted.map(|is| i16::from(settlement(*is))).collect();
    let (limit, skip) = part(of);
    let params: Params<'_> = &[&party.as_slice(), &wanted, &limit, &skip];
    all(pool, sql, params, read).await
}

/// Tabs of a recipient with one of these settlements (none named: any), the last changed first.
pub(super) async fn tabs_to(
    pool: &Pool,
    recipient: Address,
    settlements: &[Settlement],
    of: Page,
) -> Result<Vec<Tab>, StoreError> {
    let read = |row: &Row| Ok(rows::tab(row)?.0);
    to(pool, TABS_TO, recipient, settlements, of, read).await
}

/// Tabs of a payer with one of these settlements (none named: any), the last changed first.
pub(super) async fn tabs_from(
    pool: &Pool,
    payer: Address,
    settlements: &[Settlement],
    of: Page,
) -> Result<Vec<Tab>, StoreError> {
    let read = |row: &Row| Ok(rows::tab(row)?.0);
    to(pool, TABS_FROM, payer, settlements, of, read).await
}

/// Pending tabs of a recipient, each with its latest guarantee.
pub(super) async fn pending(
    pool: &Pool,
    recipient: Address,
    of: Page,
) -> Result<Vec<(Tab, Option<Guarantee>)>, StoreError> {
    let read = |row: &Row| Ok((rows::tab(row)?.0, rows::guarantee_or_none(row)?));
    to(pool, PENDING, recipient, &[Settlement::Pending], of, read).await
}

/// One guarantee.
pub(super) async fn guarantee(
    pool: &Pool,
    tab: TabId,
    req: U256,
) -> Result<Option<Guarantee>, StoreError> {
    let key = id_bytes(tab);
    let params: Params<'_> = &[&key.as_slice(), &req.to_string()];
    one(pool, GUARANTEE, params, rows::guarantee).await
}
