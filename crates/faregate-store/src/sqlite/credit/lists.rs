//! What is asked about tabs, guarantees and collateral.

use alloy_primitives::{Address, U256};
use faregate_core::credit::{
    Certificate, Collateral, Entry, Guarantee, Settlement, Tab, TabId, TabPayment,
};
use faregate_core::port::credit::Page;
use faregate_ledger::StoreError;
use faregate_types::ChainId;
use rusqlite::{Connection, params};

use super::super::fault::Fault;
use super::super::limits::PAGE_ROWS;
use super::desk;
use super::rows::{
    self, ENTRY_COLUMNS, ENTRY_TABLES, GUARANTEE_COLUMNS, GUARANTEE_TABLES, PAYMENT_COLUMNS,
    TAB_COLUMNS, all, id_bytes, one,
};

/// Keeps the first certificate of a guarantee.
pub(super) fn certify(
    conn: &Connection,
    tab: TabId,
    req: U256,
    certificate: &Certificate,
) -> Result<(), Fault> {
    let sql = "SELECT seq FROM credit_guarantee WHERE tab = (SELECT seq FROM credit_tab WHERE id = ?1) AND req = ?2";
    let key = params![id_bytes(tab), req.to_string()];
    let seq: i64 = one(conn, sql, key, |row| Ok(row.get(0)?))?.ok_or(StoreError::NotFound)?;
    conn.prepare_cached(
        "INSERT INTO credit_certificate (guarantee, claims, signature) VALUES (?1, ?2, ?3) \
         ON CONFLICT (guarantee) DO NOTHING",
    )?
    .execute(params![
        seq,
        certificate.claims.as_ref(),
        certificate.signature.as_bytes()
    ])?;
    conn.prepare_cached("DELETE FROM credit_unsigned WHERE guarantee = ?1")?
        .execute([seq])?;
    Ok(())
}

/// Guarantees without a certificate, oldest first.
pub(super) fn uncertified(conn: &Connection, limit: u32) -> Result<Vec<Guarantee>, Fault> {
    let sql = format!(
        "SELECT {GUARANTEE_COLUMNS} FROM credit_unsigned u CROSS JOIN {GUARANTEE_TABLES} \
         WHERE g.seq = u.guarantee ORDER BY u.guarantee LIMIT ?1"
    );
    all(conn, &sql, [limit.min(PAGE_ROWS)], rows::guarantee)
}

/// Everybody's collateral, by payer and asset.
pub(super) fn collaterals(
    conn: &Connection,
    chain: ChainId,
    after: Option<(Address, Address)>,
    limit: u32,
) -> Result<Vec<(Address, Address, Collateral)>, Fault> {
    let limit = limit.min(PAGE_ROWS);
    let read = |row: &rusqlite::Row<'_>| {
        let payer = Address::from(row.get::<_, [u8; 20]>(0)?);
        Ok((payer, Address::from(row.get::<_, [u8; 20]>(1)?)))
    };
    let keys = match after {
        None => {
            let sql = "SELECT payer, asset FROM credit_collateral ORDER BY payer, asset LIMIT ?1";
            all(conn, sql, [limit], read)?
        }
        Some((payer, asset)) => {
            let sql = "SELECT payer, asset FROM credit_collateral WHERE (payer, asset) > (?1, ?2) \
                       ORDER BY payer, asset LIMIT ?3";
            all(conn, sql, params![payer.0.0, asset.0.0, limit], read)?
        }
    };
    let mut found = Vec::with_capacity(keys.len());
    for (payer, asset) in keys {
        let collateral = desk::collateral(conn, chain, payer, asset)?;
        found.push((payer, asset, collateral.unwrap_or_default()));
    }
    Ok(found)
}

/// A tab.
pub(super) fn tab(conn: &Connection, id: TabId) -> Result<Option<Tab>, Fault> {
    let sql = format!("SELECT {TAB_COLUMNS} FROM credit_tab t WHERE t.id = ?1");
    let found = one(conn, &sql, [id_bytes(id)], rows::tab)?;
    Ok(found.map(|(_, tab)| tab))
}

/// Tabs of a recipient, the last changed first. Of each settlement the newest are read, and no more than may be told.
pub(super) fn tabs_of_recipient(
    conn: &Connection,
    recipient: Address,
    settlements: &[Settlement],
    page: Page,
) -> Result<Vec<Tab>, Fault> {
    let limit = page.limit.min(PAGE_ROWS);
    let mut found = Vec::new();
    let wanted = |is: &Settlement| settlements.is_empty() || settlements.contains(is);
    let newest = i64::from(page.skip).saturating_add(i64::from(limit));
    let sql = "SELECT t.updated_at, t.id FROM credit_tab t WHERE t.recipient = ?1 AND t.settlement = ?2 \
               ORDER BY t.updated_at DESC, t.id DESC LIMIT ?3";
    for settlement in Settlement::ALL.iter().filter(|is| wanted(is)) {
        let key = params![recipient.0.0, rows::settlement(*settlement), newest];
        found.extend(all(conn, sql, key, |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?))
        })?);
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let on_page = found.into_iter().skip(count(page.skip)).take(count(limit));
    let mut tabs = Vec::new();
    for (_, id) in on_page {
        let tab = tab(conn, TabId(U256::from_be_bytes(id)))?;
        tabs.push(tab.ok_or(Fault::Damaged("a tab that is not there"))?);
    }
    Ok(tabs)
}

/// Whether there ever was a tab of this payer for this recipient.
pub(super) fn has_tab(
    conn: &Connection,
    payer: Address,
    recipient: Address,
) -> Result<bool, Fault> {
    let sql = "SELECT 1 FROM credit_tab WHERE payer = ?1 AND recipient = ?2";
    let mut statement = conn.prepare_cached(sql)?;
    Ok(statement.exists(params![payer.0.0, recipient.0.0])?)
}

/// Tabs of a payer with one of these settlements, the last changed first.
pub(super) fn tabs_of_payer(
    conn: &Connection,
    payer: Address,
    settlements: &[Settlement],
    page: Page,
) -> Result<Vec<Tab>, Fault> {
    let sql = format!(
        "SELECT {TAB_COLUMNS} FROM credit_tab t WHERE t.payer = ?1 AND (?4 >> t.settlement) & 1 \
         ORDER BY t.updated_at DESC, t.id DESC LIMIT ?2 OFFSET ?3"
    );
    // A bit for each that is wanted.
    let wanted = |is: &&Settlement| settlements.is_empty() || settlements.contains(is);
    let wanted = Settlement::ALL.iter().filter(wanted);
    let wanted = wanted.fold(0_i64, |bits, is| bits | (1 << rows::settlement(*is)));
    let key = params![payer.0.0, page.limit.min(PAGE_ROWS), page.skip, wanted];
    let found = all(conn, &sql, key, rows::tab)?;
    Ok(found.into_iter().map(|(_, tab)| tab).collect())
}

/// Pending tabs of a recipient, each with its latest guarantee.
pub(super) fn pending(
    conn: &Connection,
    recipient: Address,
    page: Page,
) -> Result<Vec<(Tab, Option<Guarantee>)>, Fault> {
    let tabs = tabs_of_recipient(conn, recipient, &[Settlement::Pending], page)?;
    tabs.into_iter()
        .map(|tab| {
            let latest = latest(conn, tab.id)?;
            Ok((tab, latest))
        })
        .collect()
}

/// One guarantee.
pub(super) fn guarantee(
    conn: &Connection,
    tab: TabId,
    req: U256,
) -> Result<Option<Guarantee>, Fault> {
    let sql = format!(
        "SELECT {GUARANTEE_COLUMNS} FROM {GUARANTEE_TABLES} \
         WHERE g.tab = (SELECT seq FROM credit_tab WHERE id = ?1) AND g.req = ?2"
    );
    let key = params![id_bytes(tab), req.to_string()];
    one(conn, &sql, key, rows::guarantee)
}

/// Reservations of a tab are found by the journal: their number is that of the guarantee.
const IN_ORDER: &str = "FROM credit_entry e CROSS JOIN credit_guarantee g ON g.seq = e.seq \
     JOIN credit_tab t ON t.seq = e.tab LEFT JOIN credit_certificate c ON c.guarantee = g.seq \
     WHERE e.tab = (SELECT seq FROM credit_tab WHERE id = ?1)";

/// The guarantee of a tab that was issued last.
pub(super) fn latest(conn: &Connection, tab: TabId) -> Result<Option<Guarantee>, Fault> {
    let sql = format!("SELECT {GUARANTEE_COLUMNS} {IN_ORDER} ORDER BY e.seq DESC LIMIT 1");
    one(conn, &sql, [id_bytes(tab)], rows::guarantee)
}

/// The guarantees of a tab, in the order they were issued.
pub(super) fn guarantees(
    conn: &Connection,
    tab: TabId,
    page: Page,
) -> Result<Vec<Guarantee>, Fault> {
    let sql = format!("SELECT {GUARANTEE_COLUMNS} {IN_ORDER} ORDER BY e.seq LIMIT ?2 OFFSET ?3");
    let key = params![id_bytes(tab), page.limit.min(PAGE_ROWS), page.skip];
    all(conn, &sql, key, rows::guarantee)
}

/// Payments to a recipient, newest first.
pub(super) fn payments_to(
    conn: &Connection,
    recipient: Address,
    page: Page,
) -> Result<Vec<TabPayment>, Fault> {
    let sql = format!(
        "SELECT {PAYMENT_COLUMNS} FROM credit_payment WHERE recipient = ?1 \
         ORDER BY block DESC, transaction_hash DESC, log DESC LIMIT ?2 OFFSET ?3"
    );
    let key = params![recipient.0.0, page.limit.min(PAGE_ROWS), page.skip];
    all(conn, &sql, key, rows::payment)
}

/// The journal of a tab, oldest first.
pub(super) fn entries_of(conn: &Connection, tab: TabId, page: Page) -> Result<Vec<Entry>, Fault> {
    let sql = format!(
        "SELECT {ENTRY_COLUMNS} FROM {ENTRY_TABLES} \
         WHERE e.tab = (SELECT seq FROM credit_tab WHERE id = ?1) ORDER BY e.seq LIMIT ?2 OFFSET ?3"
    );
    let key = params![id_bytes(tab), page.limit.min(PAGE_ROWS), page.skip];
    all(conn, &sql, key, rows::entry)
}
