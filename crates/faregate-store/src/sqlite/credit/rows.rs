//! Rows to the words of the credit core and back. What cannot be read is [`Fault::Damaged`], never a default.

use alloy_primitives::{Address, B256, U256};
use faregate_core::credit::{
    Account, Certificate, Entry, Guarantee, Identity, Place, Tab, TabId, TabPayment,
};
use faregate_types::credit::BlsSignature;
use faregate_types::{Timestamp, parse_atomic};
use rusqlite::{Connection, Params, Row};

use super::super::codec;
use super::super::fault::Fault;
pub(super) use crate::words::credit::{ages_from, id_bytes, integer, kind, settlement, stage};
use crate::words::credit::{kind_of, stage_of};

pub(super) fn number(row: &Row<'_>, column: usize) -> Result<u64, Fault> {
    Ok(row.get::<_, i64>(column)?.cast_unsigned())
}

fn time(row: &Row<'_>, column: usize) -> Result<Timestamp, Fault> {
    Ok(codec::time(row.get(column)?))
}

fn address(row: &Row<'_>, column: usize) -> Result<Address, Fault> {
    Ok(Address::from(row.get::<_, [u8; 20]>(column)?))
}

fn hash(row: &Row<'_>, column: usize) -> Result<B256, Fault> {
    Ok(B256::from(row.get::<_, [u8; 32]>(column)?))
}

fn tab_id(row: &Row<'_>, column: usize) -> Result<TabId, Fault> {
    Ok(TabId(U256::from_be_bytes(row.get::<_, [u8; 32]>(column)?)))
}

/// An amount, or a request's number.
pub(super) fn sum(row: &Row<'_>, column: usize) -> Result<U256, Fault> {
    sum_or_none(row, column)?.ok_or(Fault::Damaged("a sum that is missing"))
}

fn sum_or_none(row: &Row<'_>, column: usize) -> Result<Option<U256>, Fault> {
    let text = row.get_ref(column)?.as_str_or_null();
    let text = text.map_err(|_| Fault::Damaged("a sum of money"))?;
    let sum = text.map(parse_atomic).transpose();
    sum.map_err(|_| Fault::Damaged("a sum of money"))
}

/// The columns that [`tab`] reads.
pub(super) const TAB_COLUMNS: &str = "t.seq, t.id, t.payer, t.recipient, t.asset, t.version, t.start, t.ttl, t.guarantees, t.next_req, \
     t.total, t.paid, t.remunerated, t.latest, t.closed, t.expired, t.created_at, t.updated_at";

/// A tab and its number, from a row of [`TAB_COLUMNS`].
pub(super) fn tab(row: &Row<'_>) -> Result<(i64, Tab), Fault> {
    let tab = Tab {
        id: tab_id(row, 1)?,
        identity: identity(row, 2)?,
        start: time(row, 6)?,
        ttl_secs: number(row, 7)?,
        guarantees: number(row, 8)?,
        next_req: sum(row, 9)?,
        total: sum(row, 10)?,
        paid: sum(row, 11)?,
        remunerated: sum(row, 12)?,
        latest: time(row, 13)?,
        closed: row.get(14)?,
        expired: row.get(15)?,
        created_at: time(row, 16)?,
        updated_at: time(row, 17)?,
    };
    Ok((row.get(0)?, tab))
}

/// Payer, recipient, asset and version, from this column on.
fn identity(row: &Row<'_>, column: usize) -> Result<Identity, Fault> {
    let at = |further: usize| column.saturating_add(further);
    Ok(Identity {
        payer: address(row, at(0))?,
        recipient: address(row, at(1))?,
        asset: address(row, at(2))?,
        version: number(row, at(3))?,
    })
}

/// The columns that [`guarantee`] reads, from [`GUARANTEE_TABLES`].
pub(super) const GUARANTEE_COLUMNS: &str = "t.id, t.payer, t.recipient, t.asset, t.version, g.req, e.amount, g.total, g.timestamp, \
     g.request, g.number, e.at, c.claims, c.signature";

/// Where a guarantee is.
pub(super) const GUARANTEE_TABLES: &str = "credit_guarantee g JOIN credit_entry e ON e.seq = g.seq \
     JOIN credit_tab t ON t.seq = g.tab LEFT JOIN credit_certificate c ON c.guarantee = g.seq";

/// A guarantee, from a row of [`GUARANTEE_COLUMNS`].
pub(super) fn guarantee(row: &Row<'_>) -> Result<Guarantee, Fault> {
    let certificate = certificate(row, 12)?;
    Ok(Guarantee {
        tab: tab_id(row, 0)?,
        req: sum(row, 5)?,
        identity: identity(row, 1)?,
        amount: sum(row, 6)?,
        total: sum(row, 7)?,
        timestamp: time(row, 8)?,
        request: row.get::<_, Vec<u8>>(9)?.into(),
        order: number(row, 10)?,
        created_at: time(row, 11)?,
        certificate,
    })
}

/// Claims and signature, if there are any, from this column on.
fn certificate(row: &Row<'_>, column: usize) -> Result<Option<Certificate>, Fault> {
    let claims: Option<Vec<u8>> = row.get(column)?;
    let signature: Option<Vec<u8>> = row.get(column.saturating_add(1))?;
    let Some((claims, signature)) = claims.zip(signature) else {
        return Ok(None);
    };
    let signature = BlsSignature::from_bytes(&signature);
    Ok(Some(Certificate {
        claims: claims.into(),
        signature: signature.map_err(|_| Fault::Damaged("the signature of a certificate"))?,
    }))
}

/// The columns that [`entry`] reads, from [`ENTRY_TABLES`].
pub(super) const ENTRY_COLUMNS: &str = "e.kind, coalesce(t.payer, e.payer), coalesce(t.asset, e.asset), e.amount, e.lock, t.id, t.recipient, \
     coalesce(e.req, g.req), h.block, h.transaction_hash, h.log, e.at";

/// Where an entry is.
pub(super) const ENTRY_TABLES: &str = "credit_entry e LEFT JOIN credit_tab t ON t.seq = e.tab \
     LEFT JOIN credit_guarantee g ON g.seq = e.seq LEFT JOIN credit_happening h ON h.seq = e.happening";

/// An entry, from a row of [`ENTRY_COLUMNS`].
pub(super) fn entry(row: &Row<'_>) -> Result<Entry, Fault> {
    let stored: u8 = row.get(0)?;
    let found = kind_of(stored);
    let has_tab = row.get::<_, Option<[u8; 32]>>(5)?.is_some();
    let has_place = row.get::<_, Option<i64>>(8)?.is_some();
    Ok(Entry {
        kind: found.ok_or(Fault::Damaged("the kind of an entry"))?,
        payer: address(row, 1)?,
        asset: address(row, 2)?,
        amount: sum(row, 3)?,
        lock: sum(row, 4)?,
        tab: has_tab
            .then(|| Ok::<_, Fault>((tab_id(row, 5)?, address(row, 6)?)))
            .transpose()?,
        req: sum_or_none(row, 7)?,
        place: has_place.then(|| place(row, 8)).transpose()?,
        at: time(row, 11)?,
    })
}

/// Block, transaction and log, from this column on.
pub(super) fn place(row: &Row<'_>, column: usize) -> Result<Place, Fault> {
    let log: Option<i64> = row.get(column.saturating_add(2))?;
    Ok(Place {
        block: number(row, column)?,
        transaction: hash(row, column.saturating_add(1))?,
        log: log.map(i64::cast_unsigned),
    })
}

/// The columns that [`payment`] reads.
pub(super) const PAYMENT_COLUMNS: &str =
    "block, transaction_hash, log, tab, req, payer, recipient, asset, amount, at, stage, teller";

/// A payment, from a row of [`PAYMENT_COLUMNS`].
pub(super) fn payment(row: &Row<'_>) -> Result<TabPayment, Fault> {
    let teller: Option<[u8; 32]> = row.get(11)?;
    let stage = stage_of(row.get(10)?, teller).ok_or(Fault::Damaged("the stage of a payment"))?;
    Ok(TabPayment {
        place: place(row, 0)?,
        tab: tab_id(row, 3)?,
        req: sum_or_none(row, 4)?,
        payer: address(row, 5)?,
        recipient: address(row, 6)?,
        asset: address(row, 7)?,
        amount: sum(row, 8)?,
        stage,
        at: time(row, 9)?,
    })
}

/// Somebody, from a row of address, suspended, updated_at.
pub(super) fn account(row: &Row<'_>) -> Result<Account, Fault> {
    Ok(Account {
        address: address(row, 0)?,
        suspended: row.get(1)?,
        updated_at: time(row, 2)?,
    })
}

/// The first row, read.
pub(super) fn one<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// All rows, read.
pub(super) fn all<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}
